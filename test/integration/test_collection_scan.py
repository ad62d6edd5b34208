"""Collections as foreign tables: plans, faults, memory.  What their conditions find: test_collection_filter.py."""

import re
import time

import bson
import psycopg
import pytest
from psycopg import errors

from harness.tails import Background, anonymous_mb, wait_backend_waits
from judge import create_table, explain


# ---- plans ----

@pytest.fixture
def numbers(pg, server, mongo, fresh_namespace):
    """20,000 documents {_id: n, a: n, pad}, as a table."""
    mongo[fresh_namespace].numbers.insert_many({"_id": n, "a": n, "pad": "x" * 100} for n in range(20000))
    create_table(pg, server, "numbers", "_id integer, a integer, pad text", fresh_namespace, "numbers")
    yield mongo[fresh_namespace].numbers
    pg.execute("DROP FOREIGN TABLE IF EXISTS numbers CASCADE")


def test_explain(pg, numbers):
    text = explain(pg, "SELECT a FROM numbers WHERE a > 5 AND _id IN (1, 2) AND length(pad) > 1")
    assert '{ "$and" : [ { "a" : { "$gt" : 5 } }, { "_id" : { "$in" : [ 1, 2 ] } } ] }' in text, text
    assert "Filter: ((numbers.a > 5)" in text, "the clauses must be checked here, too"
    pg.execute("SET plan_cache_mode = force_generic_plan")
    pg.execute("PREPARE q(int) AS SELECT a FROM numbers WHERE _id = $1")
    assert '{ "_id" : "$1" }' in explain(pg, "EXECUTE q(7)")
    assert pg.execute("EXECUTE q(7)").fetchall() == [(7,)]
    assert pg.execute("EXECUTE q(NULL)").fetchall() == []
    text = explain(pg, "EXECUTE q(7)", options="ANALYZE, TIMING OFF")
    assert "MongoDB Documents: 1\n" in text and "MongoDB Commands: 1\n" in text, text
    assert "Reads Nothing: true" in explain(pg, "SELECT a FROM numbers WHERE a = ANY ('{NULL}'::int[])")
    pg.execute("SET mongo_tail.enable_pushdown = off")
    assert 'MongoDB Query: { "find" : "numbers", "filter" : { } }' in explain(pg, "SELECT a FROM numbers WHERE _id = 7")


def counted(pg, query, options="ANALYZE"):
    """What EXPLAIN ANALYZE says of the scan: {"Commands": n, "Batches": n, ...}."""
    return {name: float(value) for name, value in re.findall(r"MongoDB ([A-Z][A-Za-z ]+): ([\d.]+)(?: ms)?\n",
                                                             explain(pg, query, options=options) + "\n")}


def test_explain_analyze_counts(pg, server, numbers, mongo, fresh_namespace):
    """Commands, batches, documents, their bytes, and how long MongoDB was waited for."""
    size = len(bson.encode({"_id": 1, "a": 1, "pad": "x" * 100}))
    pg.execute("SET mongo_tail.enable_projection = off; SET mongo_tail.enable_aggregate = off")
    counts = counted(pg, "SELECT pad FROM numbers")
    # the replies': each document with its place in the batch, and some words around them
    assert (counts["Commands"], counts["Documents"]) == (1, 20000) and 0 < counts["Bytes"] - 20000 * size < 8 * 20000
    pg.execute("ALTER FOREIGN TABLE numbers OPTIONS (ADD batch_size '1000')")
    assert 20 <= counted(pg, "SELECT pad FROM numbers")["Batches"] <= 22
    assert 0 < counted(pg, "SELECT pad FROM numbers WHERE _id < 3")["Bytes"] - 3 * size < 1000
    # a rescan adds to it, and without timing there is no time
    counts = counted(pg, "SELECT n.pad FROM (VALUES (1), (5)) v(w) JOIN numbers n ON n._id = v.w", "ANALYZE, TIMING OFF")
    assert 0 < counts.pop("Bytes") - 2 * size < 2000
    assert counts == {"Commands": 2, "Batches": 2, "Documents": 2}
    # a server that takes 300 ms for its answer
    mongo[fresh_namespace].command("create", "slow", viewOn="numbers", pipeline=[
        {"$match": {"_id": 7}}, {"$match": {"$expr": {"$function": {"body": "function() { sleep(300); return true; }",
                                                                    "args": [], "lang": "js"}}}}])
    create_table(pg, server, "slow", "_id integer", fresh_namespace, "slow")
    pg.execute("EXPLAIN SELECT * FROM slow")            # the estimate is there
    counts = counted(pg, "SELECT * FROM slow")
    assert counts["Documents"] == 1 and 300 <= counts["Wait Time"] < 3000, counts
    pg.execute("DROP FOREIGN TABLE slow")


def test_estimate(pg, numbers):
    plan = pg.execute("EXPLAIN SELECT * FROM numbers").fetchone()[0]
    assert "rows=20000 " in plan, plan


def test_nested_loop_by_id(pg, numbers):
    """A join with few rows asks for one document at a time, by _id."""
    text = explain(pg, "SELECT count(n.a) FROM (VALUES (1), (5), (19999)) v(w) JOIN numbers n ON n._id = v.w",
                   options="ANALYZE, VERBOSE, TIMING OFF")
    assert "MongoDB Commands: 3\n" in text and "MongoDB Documents: 3\n" in text, text


def open_cursors(mongo):
    return mongo.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"]


def test_limit_ends_early(pg, numbers, mongo, wait_until):
    """A LIMIT above reads one batch, and the server's cursor goes."""
    before = open_cursors(mongo)
    text = explain(pg, "SELECT a FROM numbers LIMIT 5", options="ANALYZE, TIMING OFF")
    assert "MongoDB Batches: 1\n" in text and "MongoDB Documents: 5" in text, text
    with pg.transaction():
        cursor = pg.cursor("c")
        cursor.execute("SELECT a FROM numbers")
        assert len(cursor.fetchmany(6000)) == 6000
        assert open_cursors(mongo) > before
        cursor.close()
    wait_until(lambda: open_cursors(mongo) <= before, what="the cursor is closed")
    with pytest.raises(errors.DivisionByZero):
        pg.execute("SELECT 1 / (a - 7000) FROM numbers")
    wait_until(lambda: open_cursors(mongo) <= before, what="the cursor of the failed query is closed")


def test_empty_and_missing(pg, server, mongo, fresh_namespace):
    create_table(pg, server, "nothing", "_id integer", fresh_namespace, "nothing")
    assert pg.execute("SELECT count(*) FROM nothing").fetchone() == (0,)
    pg.execute(f"CREATE FOREIGN TABLE homeless (_id integer) SERVER {server}")
    with pytest.raises(psycopg.Error, match="does not say which database"):
        pg.execute("SELECT * FROM homeless")
    pg.execute("DROP FOREIGN TABLE nothing, homeless")


def test_whole_document(pg, server, mongo, fresh_namespace):
    mongo[fresh_namespace].t.insert_one({"_id": 1, "a": [1, {"b": None}]})
    create_table(pg, server, "whole", "j jsonb OPTIONS (field '$'), b bytea OPTIONS (field '$'), a jsonb",
                 fresh_namespace, "t")
    j, b, a = pg.execute("SELECT * FROM whole WHERE j IS NOT NULL").fetchone()
    assert j == {"_id": 1, "a": [1, {"b": None}]} and bson.decode(b) == j and a == j["a"]
    assert pg.execute("SELECT count(*), count(whole) FROM whole").fetchone() == (1, 1)
    pg.execute("DROP FOREIGN TABLE whole")


def test_standalone(pg, make_mongo, new_server):
    """Reading needs no replica set."""
    mongo = make_mongo(replica_set=None)
    with mongo.client() as client:
        client.shop.t.insert_many({"_id": n} for n in range(7000))
    new_server(pg, "alone", mongo.uri)
    create_table(pg, "alone", "t", "_id integer", "shop", "t")
    assert pg.execute("SELECT count(*), sum(_id) FROM t").fetchone() == (7000, 7000 * 6999 // 2)
    pg.execute("DROP SERVER alone CASCADE")


# ---- faults ----

def test_killed_cursor(pg, numbers, mongo):
    """A cursor that somebody kills is an error, never the end of the collection."""
    with pytest.raises(psycopg.Error) as caught, pg.transaction():
        cursor = pg.cursor("c")
        cursor.execute("SELECT a FROM numbers")
        assert len(cursor.fetchmany(50)) == 50
        ids = [c["cursor"]["cursorId"] for c in mongo.admin.aggregate(
            [{"$currentOp": {"idleCursors": True, "allUsers": True}},
             {"$match": {"ns": numbers.full_name, "type": "idleCursor"}}])]
        assert ids
        numbers.database.command("killCursors", "numbers", cursors=ids)
        cursor.fetchall()
    assert caught.value.sqlstate in ("58P01", "57014"), caught.value
    assert pg.execute("SELECT count(*) FROM numbers").fetchone() == (20000,)


def test_dropped_collection(pg, numbers):
    with pytest.raises(psycopg.Error) as caught, pg.transaction():
        cursor = pg.cursor("c")
        cursor.execute("SELECT a FROM numbers")
        assert len(cursor.fetchmany(50)) == 50
        numbers.drop()
        cursor.fetchall()
    assert "could not read collection" in str(caught.value) and "drop" in caught.value.diag.message_detail


def test_unauthorized(connect, make_mongo, new_server):
    """Who may not read gets an error with MongoDB's text, and a view reads by its owner's mapping."""
    mongo = make_mongo(auth=True)
    mongo.create_user("root", "r", ["root"])
    with mongo.client(username="root", password="r") as client:
        client.shop.t.insert_one({"_id": 1})
        client.shop.command("createUser", "reader", pwd="p@ss:/%?", roles=["read"])
        client.shop.command("createUser", "nobody", pwd="nobody", roles=[])
    pg = connect()
    new_server(pg, "guarded", mongo.uri, {"username": "reader", "password": "p@ss:/%?", "auth_source": "shop"})
    create_table(pg, "guarded", "t", "_id integer", "shop", "t")
    pg.execute("CREATE ROLE mt_scan_stranger LOGIN")
    try:
        assert pg.execute("SELECT * FROM t").fetchall() == [(1,)]
        pg.execute("CREATE VIEW v AS SELECT * FROM t")
        pg.execute("GRANT SELECT ON v, t TO mt_scan_stranger")
        pg.execute("""CREATE USER MAPPING FOR mt_scan_stranger SERVER guarded
            OPTIONS (username 'nobody', password 'nobody', auth_source 'shop')""")
        stranger = connect(user="mt_scan_stranger")
        assert stranger.execute("SELECT * FROM v").fetchall() == [(1,)]
        with pytest.raises(errors.InsufficientPrivilege) as caught:
            stranger.execute("SELECT * FROM t")
        assert "MongoDB server reported" in caught.value.diag.message_detail
        # but who asks is who reads, where the view says so
        pg.execute("ALTER VIEW v SET (security_invoker = on)")
        with pytest.raises(errors.InsufficientPrivilege):
            stranger.execute("SELECT * FROM v")
        pg.execute("ALTER USER MAPPING FOR mt_scan_stranger SERVER guarded OPTIONS (SET password 'wr0ng')")
        with pytest.raises(errors.InvalidPassword) as caught:
            connect(user="mt_scan_stranger").execute("SELECT * FROM t")
        assert "wr0ng" not in str(caught.value)
    finally:
        pg.execute("DROP SERVER guarded CASCADE")
        pg.execute("DROP ROLE mt_scan_stranger")


@pytest.mark.parametrize("how", ["cancel", "statement_timeout", "terminate"])
@pytest.mark.parametrize("begun", [False, True], ids=["at the find", "in the middle"])
def test_mongod_hangs(pg, connect, make_mongo, new_server, how, begun):
    """A stopped mongod does not hold up whoever wants to stop the query."""
    mongo = make_mongo()
    with mongo.client() as client:
        client.shop.t.insert_many({"_id": n, "pad": "x" * 1000} for n in range(30000))
    new_server(pg, "hanging", mongo.uri)
    create_table(pg, "hanging", "t", "_id integer, pad text", "shop", "t")
    session = connect(autocommit=False)
    try:
        query = "SELECT count(pad) FROM t"
        session.execute("EXPLAIN SELECT * FROM t")     # the estimate is there
        if begun:
            session.execute("DECLARE c CURSOR FOR SELECT pad FROM t")
            assert len(session.execute("FETCH 5200 FROM c").fetchall()) == 5200
            query = "FETCH ALL FROM c"
        if how == "statement_timeout":
            session.execute("SET statement_timeout = '700ms'")
        mongo.sigstop()
        background = Background(session, query)
        wait_backend_waits(pg, background.pid)
        assert background.running
        started = time.monotonic()
        if how == "cancel":
            pg.execute("SELECT pg_cancel_backend(%s)", (background.pid,))
        elif how == "terminate":
            pg.execute("SELECT pg_terminate_backend(%s)", (background.pid,))
        else:
            started = background.started + 0.7
        background.join()
        took = background.ended - started
        print(f"{how}: {took * 1000:.0f} ms")
        assert took < 0.5
        assert background.error.sqlstate == ("57P01" if how == "terminate" else "57014"), background.error
    finally:
        mongo.sigcont()
        session.close()
        pg.execute("DROP SERVER hanging CASCADE")


def test_memory_is_constant(pg, connect, server, mongo, fresh_namespace):
    """A scan's memory is that of a batch."""
    for n in range(0, 200000, 20000):
        mongo[fresh_namespace].big.insert_many({"_id": i, "pad": "x" * 300} for i in range(n, n + 20000))
    create_table(pg, server, "big", "_id integer, pad text, doc jsonb OPTIONS (field '$')", fresh_namespace, "big")
    session = connect()
    session.execute("SELECT count(*) FROM big WHERE _id = 5")
    pid = session.info.backend_pid
    before = anonymous_mb(pid)
    used = []
    for _ in range(3):
        assert session.execute("SELECT count(pad), count(doc) FROM big").fetchone() == (200000, 200000)
        used.append(anonymous_mb(pid) - before)
    print(f"MB over the backend's before: {used}")
    assert max(used) < 16
    session.close()
    pg.execute("DROP FOREIGN TABLE big")
