"""The main job in one test each: what is written in MongoDB comes out in SQL."""


def test_insert_comes_out_of_changes(pg, server, mongo, fresh_namespace):
    pg.execute("SELECT mongo_tail.start_tail(%s, namespaces => %s)", (server, [f"{fresh_namespace}.*"]))
    mongo[fresh_namespace].flights.insert_one({"_id": 1, "tailnum": "N14228", "dep_delay": 2})
    rows = pg.execute(
        "SELECT operation_type, database, collection, document_key, full_document, source "
        "FROM mongo_tail.changes(%s, wait => '5s')", (server,)).fetchall()
    assert [r for r in rows if r[0] == "insert"] == [
        ("insert", fresh_namespace, "flights", {"_id": 1}, {"_id": 1, "tailnum": "N14228", "dep_delay": 2}, "oplog")]
    state = pg.execute("SELECT state FROM mongo_tail.stat_tail WHERE server = %s", (server,)).fetchone()
    assert state is not None
