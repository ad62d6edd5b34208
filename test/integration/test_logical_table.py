"""The logical table: changes as a foreign table, its columns and what its conditions read."""

import datetime
import decimal
import json
import re
import uuid

import bson
import psycopg
import pymongo
import pytest
from bson import Binary, Decimal128, Int64, ObjectId, SON
from psycopg import sql

ALL_COLUMNS = ('"position" mongo_tail.position, cluster_time mongo_tail.cluster_time, wall_time timestamptz, '
               'shard text, operation_type text, database text, collection text, document_key jsonb, '
               'full_document jsonb, update_description jsonb, transaction_id text, entry_bytes int, source text')


@pytest.fixture(scope="module")
def tail(pg_server, database, server):
    """The module's server with a tail of all but one database."""
    with pg_server.connect(database) as connection:
        connection.execute("SELECT mongo_tail.start_tail(%s, exclude_namespaces => '{hidden_db.*}')", (server,))
    return server


@pytest.fixture
def make_table(pg, unused_name, tail):
    """make_table('a int, b text', database='x', ...): a logical table's name."""
    def make(columns=ALL_COLUMNS, server=tail, connection=pg, **options):
        name = unused_name("changes_")
        options = {"relation": "changes", **options}
        connection.execute(sql.SQL("CREATE FOREIGN TABLE {} ({}) SERVER {} OPTIONS ({})").format(
            sql.Identifier(name), sql.SQL(columns), sql.Identifier(server),
            sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(k), sql.Literal(v))
                               for k, v in options.items())))
        return name
    return make


@pytest.fixture
def seen(pg, tail, wait_until):
    """seen(): wait until the tail has what was written before."""
    def wait():
        def has():
            return pg.execute("SELECT 1 FROM mongo_tail.changes(%s, namespaces => '{test_db_marker.*}') "
                              "WHERE document_key->>'_id' = %s", (tail, marker)).fetchone()
        with pymongo_client(pg, tail) as client:
            marker = str(ObjectId())
            client["test_db_marker"].marks.insert_one({"_id": marker})
            wait_until(has, 10, what="the tail")
    return wait


def pymongo_client(pg, server):
    options = pg.execute("SELECT srvoptions FROM pg_foreign_server WHERE srvname = %s", (server,)).fetchone()[0]
    uri = next(o.removeprefix("uri=") for o in options if o.startswith("uri="))
    return pymongo.MongoClient(uri)


def rows(pg, query, *values):
    return pg.execute(query, values or None).fetchall()


def explain(pg, query, *values, analyze=False):
    """The plan as JSON: the node of the scan."""
    mode = "EXPLAIN (FORMAT JSON, ANALYZE, TIMING off)" if analyze else "EXPLAIN (FORMAT JSON)"
    plan = pg.execute(f"{mode} {query}", values or None).fetchone()[0][0]["Plan"]

    def find(node):
        if node["Node Type"] == "Foreign Scan":
            return node
        return next((f for f in map(find, node.get("Plans", [])) if f), None)
    return find(plan)


def test_same_rows_as_the_function(pg, tail, mongo, fresh_namespace, make_table, seen):
    c = mongo[fresh_namespace].flights
    c.insert_one({"_id": 1, "a": {"b": 1}})
    c.update_one({"_id": 1}, {"$set": {"a.b": 2}})
    c.replace_one({"_id": 1}, {"z": 1})
    c.delete_one({"_id": 1})
    c.drop()
    seen()
    table = make_table(database=fresh_namespace)
    there = rows(pg, f"SELECT * FROM {table}")
    assert there == rows(pg, "SELECT * FROM mongo_tail.changes(%s, namespaces => %s)",
                         tail, [f"{fresh_namespace}.*"])
    assert [r[4] for r in there] == ["create", "insert", "update", "replace", "delete", "drop"]


def test_columns_by_name_in_any_order(pg, mongo, fresh_namespace, make_table, seen):
    c = mongo[fresh_namespace].flights
    c.insert_one({"_id": 1, "source": "radar"})
    c.update_one({"_id": 1}, {"$set": {"x.y": 1, "x.z": 2}, "$unset": {"source": 1}})
    seen()
    table = make_table("source text, radar text OPTIONS (field 'source'), changed_columns text[], "
                       "cluster_time timestamptz, full_document_bson bytea, operation_type text",
                       database=fresh_namespace, collection="flights")
    found = rows(pg, f"SELECT * FROM {table} WHERE operation_type IN ('insert', 'update')")
    assert [r[:3] for r in found] == [("oplog", "radar", None), ("oplog", None, ["source", "x"])]
    assert bson.decode(found[0][4]) == {"_id": 1, "source": "radar"}
    assert found[1][4] is None
    now = datetime.datetime.now(datetime.timezone.utc)
    assert all(abs(now - r[3]) < datetime.timedelta(seconds=60) and r[3].microsecond == 0 for r in found)


def test_typed_feed(pg, mongo, fresh_namespace, make_table, seen):
    """What an update without full document tells, and what a delete does."""
    c = mongo[fresh_namespace].flights
    c.insert_one({"_id": 7, "n": 1, "in": {"a": 1, "b": "x"}, "list": [1, {"k": 2}]})
    c.update_one({"_id": 7}, {"$set": {"n": 2}})
    c.update_one({"_id": 7}, {"$set": {"in.a": 5}})
    c.update_one({"_id": 7}, {"$set": {"in": {"b": "y"}}})
    c.update_one({"_id": 7}, {"$unset": {"n": 1}})
    c.replace_one({"_id": 7}, {"n": 3})
    c.delete_one({"_id": 7})
    c.drop()
    seen()
    table = make_table("operation_type text, _id int, n int, a int OPTIONS (field 'in.a'), "
                       "b text OPTIONS (field 'in.b'), k int OPTIONS (field 'list.1.k'), "
                       "doc jsonb OPTIONS (field '$'), ok int", collection="flights", database=fresh_namespace)
    assert rows(pg, f"SELECT * FROM {table}") == [
        ("create", None, None, None, None, None, None, None),
        ("insert", 7, 1, 1, "x", 2, {"_id": 7, "n": 1, "in": {"a": 1, "b": "x"}, "list": [1, {"k": 2}]}, None),
        ("update", 7, 2, None, None, None, None, None),
        ("update", 7, None, 5, None, None, None, None),
        ("update", 7, None, None, "y", None, None, None),
        ("update", 7, None, None, None, None, None, None),
        ("replace", 7, 3, None, None, None, {"_id": 7, "n": 3}, None),
        ("delete", 7, None, None, None, None, None, None),
        ("drop", None, None, None, None, None, None, None)]


def test_name_with_a_dot_is_no_path(pg, mongo, fresh_namespace, make_table, seen):
    c = mongo[fresh_namespace].c
    c.insert_one({"_id": 1, "a": {"b": 0}})
    c.update_one({"_id": 1}, [{"$replaceWith": {"$setField": {"field": "a.b", "input": "$$ROOT", "value": 9}}}])
    seen()
    table = make_table("operation_type text, b int OPTIONS (field 'a.b')", database=fresh_namespace)
    assert rows(pg, f"SELECT * FROM {table} WHERE operation_type <> 'create'") == [("insert", 0), ("update", None)]
