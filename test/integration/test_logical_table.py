"""The logical table: changes as a foreign table, its columns and what its conditions read."""

import datetime
import re
import uuid

import bson
import psycopg
import pymongo
import pytest
from bson import Binary, Decimal128, Int64, ObjectId, SON
from psycopg import sql

from harness import mongod_version

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


def start_tail(pg, name, wait_until):
    pg.execute("SELECT mongo_tail.start_tail(%s)", (name,))
    wait_until(lambda: rows(pg, "SELECT FROM mongo_tail.stat_tail WHERE server = %s AND state = 'streaming'", name),
               10, what="the tail to stream")


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


@pytest.mark.skipif(mongod_version() < (5,), reason="$setField is of MongoDB 5.0")
def test_name_with_a_dot_is_no_path(pg, mongo, fresh_namespace, make_table, seen):
    c = mongo[fresh_namespace].c
    c.insert_one({"_id": 1, "a": {"b": 0}})
    c.update_one({"_id": 1}, [{"$replaceWith": {"$setField": {"field": "a.b", "input": "$$ROOT", "value": 9}}}])
    seen()
    table = make_table("operation_type text, b int OPTIONS (field 'a.b')", database=fresh_namespace)
    assert rows(pg, f"SELECT * FROM {table} WHERE operation_type <> 'create'") == [("insert", 0), ("update", None)]


# What is read

def write_several(mongo, database, n=5):
    for name in ("flights", "planes", "my.dotted"):
        mongo[database][name].insert_many([{"_id": i} for i in range(n)])
    mongo[database].flights.update_many({}, {"$set": {"x": 1}})
    mongo[database].planes.delete_many({})


# Conditions, each with a flag: does it restrict what is read (rather than nothing, or only the range)?
CONDITIONS = [
    "operation_type = 'insert'",
    "'insert' = operation_type",
    "operation_type IN ('update', 'delete', 'nothing')",
    "operation_type = ANY (ARRAY['insert', NULL])",
    "operation_type = 'nothing'",
    "operation_type = NULL",
    "operation_type <> 'insert'",
    "collection = 'planes'",
    "collection IN ('planes', 'my.dotted')",
    "collection = 'my.dotted' AND database = current_setting('my.db')",
    "collection IN ('planes', 'flights') AND collection = 'planes'",
    "collection = 'planes' AND collection = 'flights'",
    "collection = '*'",
    "collection = ''",
    "collection = 'a*b'",
    "database IN (current_setting('my.db'), 'elsewhere')",
    "database = 'hidden_db'",
    "database = '/x' AND collection = 'y/'",
    "database = current_setting('my.db') AND collection = 'flights'",
    "database = 'test.db'",
    "\"position\" > (SELECT min(\"position\") FROM {table})",
    "\"position\" >= (SELECT max(\"position\") FROM {table})",
    "\"position\" < (SELECT max(\"position\") FROM {table})",
    "\"position\" <= (SELECT min(\"position\") FROM {table})",
    "\"position\" = (SELECT max(\"position\") FROM {table} WHERE collection = 'flights')",
    "\"position\" = ANY (ARRAY(SELECT \"position\" FROM {table}))",
    "\"position\" > 'oldest'",
    "\"position\" >= 'oldest'",
    "\"position\" < 'oldest'",
    "\"position\" > 'now'",
    "\"position\" <= 'now'",
    "\"position\" > now()",
    "\"position\" > now() - interval '2 s'",
    "cluster_time > (SELECT min(cluster_time) FROM {table})",
    "cluster_time >= (SELECT max(cluster_time) FROM {table})",
    "cluster_time = (SELECT max(cluster_time) FROM {table})",
    "cluster_time < (SELECT max(cluster_time) FROM {table})",
    "cluster_time <= (SELECT min(cluster_time) FROM {table})",
    "cluster_time > now() + interval '1 day'",
    "cluster_time > '0.0' AND cluster_time < '4294967295.4294967295'",
    "cluster_time <= '4294967295.4294967295'",
    "cluster_time BETWEEN (SELECT min(cluster_time) FROM {table}) AND (SELECT max(cluster_time) FROM {table})",
]

SECOND_CONDITIONS = [
    "cluster_time {op} (SELECT {f}(cluster_time) FROM {{table}}) {d}".format(op=op, f=f, d=d)
    for op in ("<", "<=", "=", ">=", ">") for f in ("min", "max")
    for d in ("", "+ interval '1 us'", "- interval '1 us'", "+ interval '1 s'")
] + [f"cluster_time {op} {value}" for op in ("<", "<=", "=", ">=", ">")
     for value in ("'infinity'", "'-infinity'", "'1969-12-31 23:59:59.5+00'", "'1970-01-01+00'", "'2200-01-01+00'")
     if (op, value) != (">", "'1970-01-01+00'")]  # after 1970 is not in the oplog any more


@pytest.mark.parametrize("kind", ["exact", "seconds"])
def test_conditions_hide_nothing(kind, pg, mongo, fresh_namespace, make_table, seen):
    """Each query gives what the same condition gives over rows read without it."""
    # Conditions reach some seconds back, and history must be there.
    first = mongo.local["oplog.rs"].find_one(sort=[("$natural", 1)])["ts"].time
    pg.execute("SELECT pg_sleep(greatest(0, %s + 5 - extract(epoch FROM clock_timestamp())))", (first,))
    seen()
    pg.execute("SELECT pg_sleep(3)")
    write_several(mongo, fresh_namespace)
    seen()
    columns = ALL_COLUMNS
    if kind == "seconds":
        columns = columns.replace("cluster_time mongo_tail.cluster_time", "cluster_time timestamptz")
    table = make_table(columns)
    own = make_table(columns, database=fresh_namespace)
    pg.execute("SELECT set_config('my.db', %s, false)", (fresh_namespace,))
    start = rows(pg, f'SELECT min("position")::text FROM {table}')[0][0]
    for condition in CONDITIONS if kind == "exact" else SECOND_CONDITIONS:
        condition = condition.format(table=own)
        reaches_back = re.search(r"(position\"|cluster_time) (>=?|=) '(oldest|0\.0|-inf|19)", condition)
        with pg.transaction():
            read = rows(pg, f'SELECT "position" FROM {table} WHERE {condition} ORDER BY 1')
            check = rows(pg, f'WITH x AS MATERIALIZED (SELECT * FROM {table} WHERE "position" >= %s) '
                             f'SELECT "position" FROM x WHERE {condition} ORDER BY 1',
                         "oldest" if reaches_back else start)
        assert read == check, condition
    assert len(rows(pg, f"SELECT FROM {own}")) > 20


def test_explain_shows_what_is_read(pg, tail, make_table):
    table = make_table(collection="flights")
    node = explain(pg, f"SELECT * FROM {table}")
    assert (node["Server"], node["Namespaces"], node["Operations"], node["After"], node["Until"]) == \
        (tail, "*.flights", "all", "the oldest in the ring", "the newest")
    node = explain(pg, f"""SELECT * FROM {table} WHERE database IN ('a', 'b')
                           AND operation_type = ANY ('{{insert,update}}') AND "position" > '5.1/a/0'
                           AND "position" > '4.1/a/0' AND cluster_time <= '9.0'""")
    assert node["Namespaces"] == "a.flights, b.flights"
    assert node["Operations"] == "insert, update"
    assert (node["After"], node["Until"]) == ("5.1/0000000a/0", "9.0/ffffffff/4294967295")
    node = explain(pg, f"SELECT * FROM {table} WHERE \"position\" >= now() AND database = current_user::text "
                       f"AND operation_type = (SELECT 'x')")
    assert node["After"].startswith("position >= ") and "now()" in node["After"]
    assert node["Namespaces"].startswith("*.flights, database = ") and "CURRENT_USER" in node["Namespaces"].upper()
    assert node["Operations"] in ("operation_type = $0", "operation_type = (InitPlan 1).col1")    # since 17
    assert explain(pg, f"SELECT * FROM {table} WHERE collection = 'planes'")["Reads Nothing"] is True


def test_conditions_restrict_what_is_read(pg, mongo, fresh_namespace, make_table, seen):
    mongo[fresh_namespace].flights.insert_many([{"_id": i} for i in range(1000)])
    seen()
    table = make_table()
    places = [r[0] for r in rows(pg, f"SELECT \"position\"::text FROM {table} WHERE database = %s", fresh_namespace)]
    for condition, least, most in [
            (f"\"position\" > '{places[-11]}'", 10, 30), (f"\"position\" <= '{places[-11]}'", 990, 10 ** 6),
            (f"\"position\" BETWEEN '{places[10]}' AND '{places[20]}'", 11, 13),
            (f"cluster_time = (SELECT p::mongo_tail.cluster_time FROM (VALUES "
             f"('{places[10]}'::mongo_tail.position)) v(p))", 1, 1500)]:
        node = explain(pg, f"SELECT * FROM {table} WHERE {condition}", analyze=True)
        read = node["Changes Read From Ring"] + node["Changes Read From Oplog"]
        assert node["Actual Rows"] >= least and read <= most, (condition, read)


def test_limit_reads_no_further(pg, mongo, fresh_namespace, make_table, seen):
    mongo[fresh_namespace].flights.insert_many([{"_id": i} for i in range(1000)])
    seen()
    table = make_table(database=fresh_namespace)
    first = rows(pg, f"SELECT \"position\"::text FROM {table} LIMIT 1")[0][0]
    for order in ("", 'ORDER BY "position"', "ORDER BY cluster_time"):
        query = f"SELECT \"position\" FROM {table} WHERE \"position\" >= '{first}' {order} LIMIT 7"
        node = explain(pg, query, analyze=True)
        assert node["Actual Rows"] == 7
        assert node["Changes Read From Ring"] + node["Changes Read From Oplog"] <= 8
        assert rows(pg, query) == rows(pg, f'SELECT "position" FROM ({query}) limited ORDER BY "position"')


def test_rescan_repeats_the_interval(pg, connect, mongo, fresh_namespace, make_table, seen):
    """A join that scans the table anew for each row, while MongoDB writes between the rows."""
    c = mongo[fresh_namespace].flights
    c.insert_many([{"_id": i} for i in range(3)])
    seen()
    table = make_table(database=fresh_namespace, collection="flights")
    pg.execute("SET enable_material = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
    with pg.transaction():
        cursor = pg.cursor(name="repeated")
        cursor.execute(f"SELECT g, t.document_key->>'_id' FROM generate_series(1, 3) g "
                       f"CROSS JOIN LATERAL (SELECT * FROM {table} WHERE g > 0 AND operation_type = 'insert' "
                       f"OFFSET 0) t")
        got = [cursor.fetchone()]
        c.insert_many([{"_id": 100 + i} for i in range(3)])
        wait_seen(connect(), fresh_namespace, 102)
        got += cursor.fetchall()
    assert got == [(g, str(i)) for g in (1, 2, 3) for i in range(3)]
    assert len(rows(pg, f"SELECT FROM {table} WHERE operation_type = 'insert'")) == 6


def wait_seen(connection, database, key):
    rows(connection, "SELECT mongo_tail.changes('mongo', namespaces => %s, wait => '5s')", [f"{database}.*"])
    for _ in range(200):
        if rows(connection, "SELECT FROM mongo_tail.changes('mongo', namespaces => %s) WHERE document_key->'_id' = %s",
                [f"{database}.*"], str(key)):
            return
        connection.execute("SELECT pg_sleep(0.05)")
    raise TimeoutError


def test_parameters_of_joins_and_prepared_statements(pg, mongo, fresh_namespace, make_table, seen):
    mongo[fresh_namespace].flights.insert_many([{"_id": i} for i in range(1000)])
    seen()
    table = make_table(database=fresh_namespace)
    places = rows(pg, f"SELECT \"position\"::text FROM {table} WHERE operation_type = 'insert'")
    pg.execute('CREATE TEMP TABLE wanted (n int, p mongo_tail.position, o text, d text)')
    for n in (3, 500, 900):
        pg.execute("INSERT INTO wanted VALUES (%s, %s::text::mongo_tail.position, 'insert', %s)",
                   (n, places[n][0], fresh_namespace))
    pg.execute("SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; ANALYZE wanted")
    for join in ('t."position" = w.p', 't."position" >= w.p AND t."position" <= w.p',
                 't."position" = w.p AND t.operation_type = w.o AND t.database = w.d',
                 't.cluster_time >= w.p AND t."position" = w.p'):
        query = f"SELECT w.n, (t.document_key->'_id')::int FROM wanted w JOIN {table} t ON {join} ORDER BY 1"
        assert rows(pg, query) == [(n, n) for n in (3, 500, 900)], join
    node = explain(pg, f"SELECT w.n FROM wanted w JOIN {table} t ON t.\"position\" = w.p", analyze=True)
    assert node["After"] == node["Until"] == "position = $0"
    assert node["Actual Loops"] == 3 and node["Changes Read From Ring"] + node["Changes Read From Oplog"] <= 9
    pg.execute(f"PREPARE s(text) AS SELECT count(*) FROM {table} WHERE operation_type = $1")
    pg.execute("SET plan_cache_mode = force_generic_plan")
    assert rows(pg, "EXECUTE s('insert')") == [(1000,)]
    assert rows(pg, "EXECUTE s('delete')") == [(0,)]
    assert rows(pg, "EXECUTE s(NULL)") == [(0,)]


def test_nondeterministic_collation_is_not_pushed(pg, mongo, fresh_namespace, make_table, seen):
    if not rows(pg, "SELECT FROM pg_collation WHERE collprovider = 'i'"):
        pytest.skip("PostgreSQL without ICU")
    mongo[fresh_namespace].Flights.insert_one({"_id": 1})
    seen()
    pg.execute("CREATE COLLATION IF NOT EXISTS nocase "
               "(provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    table = make_table("collection text COLLATE nocase, operation_type text COLLATE nocase", database=fresh_namespace)
    query = f"SELECT * FROM {table} WHERE collection = 'flights' AND operation_type IN ('INSERT')"
    assert rows(pg, query) == [("Flights", "insert")]
    assert rows(pg, query.replace("collection =", 'collection COLLATE "C" =')) == []


def test_rename_is_seen_by_both_names(pg, mongo, fresh_namespace, make_table, seen):
    mongo[fresh_namespace].old.insert_one({"_id": 1})
    mongo[fresh_namespace].old.rename("new")
    seen()
    select = "SELECT operation_type, collection FROM {} WHERE operation_type = 'rename'"
    assert rows(pg, select.format(make_table(collection="new", database=fresh_namespace))) == [("rename", "old")]
    both = make_table(database=fresh_namespace)
    assert rows(pg, select.format(both) + " AND collection = 'old'") == [("rename", "old")]
    assert rows(pg, select.format(both) + " AND collection = 'new'") == []


def test_from_the_oplog(pg, new_server, mongo_server, mongo, fresh_namespace, make_table, unused_name,
                        wait_until):
    """What was before the ring is read with position > 'oldest', and only then."""
    mongo[fresh_namespace].flights.insert_many([{"_id": i} for i in range(10)])
    name = new_server(pg, unused_name("late_"), mongo_server.uri)
    start_tail(pg, name, wait_until)
    mongo[fresh_namespace].flights.insert_one({"_id": 10})
    rows(pg, "SELECT FROM mongo_tail.changes(%s, namespaces => %s, wait => '5s')", name, [f"{fresh_namespace}.*"])
    table = make_table(server=name, database=fresh_namespace)
    count = f"SELECT count(*) FROM {table} WHERE operation_type = 'insert'"
    assert rows(pg, count) == [(1,)]
    assert rows(pg, count + " AND \"position\" > 'oldest'") == [(11,)]
    node = explain(pg, f"SELECT FROM {table} WHERE \"position\" > 'oldest'", analyze=True)
    assert node["Changes Read From Oplog"] >= 10
    pg.execute("SELECT mongo_tail.stop_tail(%s)", (name,))
    with pytest.raises(psycopg.errors.UndefinedObject):
        pg.execute(count)


# Who may read, and what is refused

def test_rights_go_by_the_owner(pg, connect, tail, make_table):
    table = make_table()
    pg.execute("""DROP ROLE IF EXISTS lt_reader; DROP ROLE IF EXISTS lt_maker;
                  CREATE ROLE lt_reader LOGIN; CREATE ROLE lt_maker LOGIN""")
    try:
        reader = connect(user="lt_reader")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"foreign table {table}"):
            reader.execute(f"SELECT FROM {table}")
        pg.execute(f"GRANT SELECT ON {table} TO lt_reader")
        reader.execute(f"SELECT operation_type FROM {table}")
        pg.execute(f"GRANT USAGE ON FOREIGN SERVER {tail} TO lt_maker; GRANT CREATE ON SCHEMA public TO lt_maker")
        maker = connect(user="lt_maker")
        own = make_table("operation_type text, database text", connection=maker)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="denied for the tail") as caught:
            maker.execute(f"SELECT FROM {own}")
        assert f"grant_tail('{tail}', 'lt_maker')" in caught.value.diag.message_hint
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="denied for the tail"):
            pg.execute(f"SELECT FROM {own}")
        pg.execute("SELECT mongo_tail.grant_tail(%s, 'lt_maker')", (tail,))
        maker.execute(f"SELECT FROM {own}")
        maker.execute(f"CREATE VIEW lt_view AS SELECT * FROM {own}; GRANT SELECT ON lt_view TO lt_reader")
        reader.execute("SELECT FROM lt_view")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(f"SELECT FROM {own}")
        pg.execute("SELECT mongo_tail.revoke_tail(%s, 'lt_maker')", (tail,))
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="denied for the tail"):
            reader.execute("SELECT FROM lt_view")
    finally:
        pg.execute("DROP OWNED BY lt_reader, lt_maker CASCADE; DROP ROLE lt_reader, lt_maker")


def test_namespaces_outside_the_tail(pg, make_table):
    table = make_table(database="hidden_db", collection="c")
    with pytest.raises(psycopg.errors.InvalidParameterValue) as caught:
        pg.execute(f"SELECT FROM {table}")
    assert caught.value.diag.message_hint
    # A condition is only a condition.
    assert rows(pg, f"SELECT FROM {make_table()} WHERE database = 'hidden_db'") == []


def test_a_server_without_tail(pg, new_server, mongo_server, make_table, unused_name):
    name = new_server(pg, unused_name("bare_"), mongo_server.uri)
    table = make_table(server=name)
    explain(pg, f"SELECT * FROM {table}")
    with pytest.raises(psycopg.errors.UndefinedObject) as caught:
        pg.execute(f"SELECT * FROM {table}")
    assert "start_tail" in caught.value.diag.message_hint


def test_tables_cannot_be_written(pg, make_table):
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        pg.execute(f"INSERT INTO {make_table('operation_type text')} VALUES ('insert')")


# BSON to the types of columns

DATE = datetime.datetime(2013, 1, 1, 5, 17, 0, 123000, tzinfo=datetime.timezone.utc)
MIDNIGHT = datetime.datetime(2013, 1, 1, tzinfo=datetime.timezone.utc)
UUID = uuid.UUID("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
OID = ObjectId("000102030405060708090a0b")
NAN = float("nan")
NULL = "NULL"

# type, BSON value, what SQL prints, or the SQLSTATE of a mismatch
CONVERSIONS = [
    ("bool", True, "true"), ("bool", False, "false"), ("bool", 1, "22018"), ("bool", "true", "22018"),
    ("int2", 32767, "32767"), ("int2", -32768, "-32768"), ("int2", 32768, "22003"), ("int2", Int64(70000), "22003"),
    ("int4", 3.0, "3"), ("int4", -0.0, "0"), ("int4", 3.7, "22018"), ("int4", NAN, "22003"),
    ("int4", float("inf"), "22003"), ("int4", 2147483647.0, "2147483647"), ("int4", 2147483648.0, "22003"),
    ("int4", True, "22018"), ("int4", "3", "22018"), ("int4", DATE, "22018"), ("int4", None, NULL),
    ("int4", Decimal128("7"), "7"), ("int4", Decimal128("7.00"), "7"), ("int4", Decimal128("7E+1"), "70"),
    ("int4", Decimal128("7.5"), "22018"), ("int4", Decimal128("NaN"), "22003"),
    ("int4", Decimal128("1E+6000"), "22003"),
    ("int4", Decimal128("-Infinity"), "22003"),
    ("int8", Int64(2 ** 63 - 1), "9223372036854775807"), ("int8", Int64(-2 ** 63), "-9223372036854775808"),
    ("int8", 2.0 ** 63, "22003"), ("int8", -2.0 ** 63, "-9223372036854775808"), ("int8", 2.0 ** 62, str(2 ** 62)),
    ("int8", Decimal128("9223372036854775807"), "9223372036854775807"),
    ("int8", Decimal128("9223372036854775808"), "22003"),
    ("int8", Decimal128("-9223372036854775808"), "-9223372036854775808"),
    ("int8", Decimal128("-9223372036854775809"), "22003"),
    ("float8", 0.1, "0.1"), ("float8", NAN, "NaN"), ("float8", float("-inf"), "-Infinity"), ("float8", 5, "5"),
    ("float8", Int64(2 ** 53), "9.007199254740992e+15"), ("float8", Int64(2 ** 53 + 1), "22003"),
    ("float8", Int64(2 ** 63 - 1), "22003"), ("float8", Int64(-2 ** 63), "-9.223372036854776e+18"),
    ("float8", Decimal128("0.5"), "0.5"), ("float8", Decimal128("0.1"), "22003"),
    ("float8", Decimal128("NaN"), "NaN"),
    ("float8", Decimal128("1E+6000"), "22003"), ("float8", Decimal128("Infinity"), "Infinity"),
    ("float8", "0.1", "22018"),
    ("float4", 0.5, "0.5"), ("float4", 0.1, "22003"), ("float4", NAN, "NaN"), ("float4", 2 ** 24 + 1, "22003"),
    ("float4", 1e300, "22003"),
    ("numeric", Int64(2 ** 63 - 1), "9223372036854775807"), ("numeric", 0.1, "0.1"), ("numeric", NAN, "NaN"),
    ("numeric", 1e300, "1" + "0" * 300), ("numeric", float("inf"), "Infinity"),
    ("numeric", 1 / 3, "0.3333333333333333"),
    ("numeric", Decimal128("1.50"), "1.50"), ("numeric", Decimal128("1E+3"), "1000"),
    ("numeric", Decimal128("1234567890123456789012345678901234"), "1234567890123456789012345678901234"),
    ("numeric", Decimal128("1E-6176"), "0." + "0" * 6175 + "1"), ("numeric", Decimal128("NaN"), "NaN"),
    ("numeric", "1", "22018"),
    ("numeric(4,2)", 1.5, "1.50"), ("numeric(4,2)", 99.99, "99.99"), ("numeric(4,2)", 1.555, "22003"),
    ("numeric(4,2)", 100, "22003"), ("numeric(4,2)", NAN, "NaN"), ("numeric(4,2)", float("inf"), "22003"),
    ("numeric(3,-2)", 12300, "12300"), ("numeric(3,-2)", 12345, "22003"), ("numeric(2,4)", 0.0012, "0.0012"),
    ("numeric(2,4)", 0.0123, "22003"),
    ("text", "Köln 東京", "Köln 東京"), ("text", "", ""), ("text", "a\0b", "22P05"), ("text", 5, "22018"),
    ("text", OID, "000102030405060708090a0b"), ("text", {"a": 1}, "22018"), ("text", DATE, "22018"),
    ("varchar(3)", "äbc", "äbc"), ("varchar(3)", "abcd", "22001"), ("varchar(3)", "abc ", "22001"),
    ("varchar", "abcd", "abcd"),
    ("char(4)", "äb", "äb"), ("char(4)", "abcde", "22001"),
    ("bytea", b"\x00\xff", "\\x00ff"), ("bytea", Binary(b"\x01", 2), "\\x01"), ("bytea", OID, "\\x" + str(OID)),
    ("bytea", {}, "\\x0500000000"), ("bytea", "ab", "22018"),
    ("uuid", Binary(UUID.bytes, 4), str(UUID)), ("uuid", Binary(UUID.bytes, 3), str(UUID)),
    ("uuid", Binary(UUID.bytes, 0), "22018"), ("uuid", str(UUID), "22018"), ("uuid", Binary(b"12", 4), "22018"),
    ("timestamptz", DATE, "2013-01-01 05:17:00.123+00"), ("timestamptz", 5, "22018"),
    ("timestamptz", bson.DatetimeMS(-1), "1969-12-31 23:59:59.999+00"),
    ("timestamptz", bson.DatetimeMS(9224318015999999), "294276-12-31 23:59:59.999+00"),
    ("timestamptz", bson.DatetimeMS(9224318016000000), "22008"),
    ("timestamptz", bson.DatetimeMS(-210866803200000), "4714-11-24 00:00:00+00 BC"),
    ("timestamptz", bson.DatetimeMS(-210866803200001), "22008"), ("timestamptz", bson.DatetimeMS(2 ** 63 - 1), "22008"),
    ("timestamptz", bson.DatetimeMS(-2 ** 63), "22008"), ("timestamptz", bson.Timestamp(5, 1), "22018"),
    ("timestamptz(2)", DATE, "22008"), ("timestamptz(0)", MIDNIGHT, "2013-01-01 00:00:00+00"),
    ("timestamp", DATE, "2013-01-01 05:17:00.123"), ("date", MIDNIGHT, "2013-01-01"), ("date", DATE, "22008"),
    ("date", bson.DatetimeMS(-86400000), "1969-12-31"),
    ("jsonb", {"a": [1, None]}, '{"a": [1, null]}'), ("jsonb", [1, {"a": OID}], '[1, {"a": {"$oid": "%s"}}]' % OID),
    ("jsonb", 5, "5"), ("jsonb", "x", '"x"'), ("jsonb", True, "true"), ("jsonb", None, NULL), ("jsonb", 1.5, "1.5"),
    ("jsonb", [], "[]"), ("jsonb", {}, "{}"), ("jsonb", OID, '{"$oid": "%s"}' % OID),
    ("json", {"a": 1}, '{"a": 1}'), ("json", "x", '"x"'),
    ("int4[]", [1, 2.0, None], "{1,2,NULL}"), ("int4[]", [], "{}"), ("int4[]", [[1, 2], [3, None]], "{{1,2},{3,NULL}}"),
    ("int4[]", [[1], [2, 3]], "22018"), ("int4[]", [1, [2]], "22018"), ("int4[]", [[1], 2], "22018"),
    ("int4[]", [[]], "22018"), ("int4[]", [[], []], "22018"), ("int4[]", [None, [1]], "22018"),
    ("int4[]", [[1], None], "22018"), ("int4[]", [[[1]], [2]], "22018"), ("int4[]", [[1], [[2]]], "22018"),
    ("int4[]", [1, "x"], "22018"), ("int4[]", 1, "22018"),
    ("int4[]", [[[[[[7]]]]]], "{{{{{{7}}}}}}"), ("int4[]", [[[[[[[7]]]]]]], "22018"),
    ("text[]", ["a", OID, "NULL"], '{a,%s,"NULL"}' % OID), ("varchar(2)[]", ["abc"], "22001"),
    ("numeric(3,1)[]", [1, 2.5], "{1.0,2.5}"),
    ("jsonb[]", [{"a": 1}, [2], "x", None], '{"{\\"a\\": 1}",[2],"\\"x\\"",NULL}'),
    ("json[]", [{"a": 1}, {"b": 2}], '{"{\\"a\\": 1}","{\\"b\\": 2}"}'),
    ("jsonb[]", [{"a": 1}, {"b": 2}], '{"{\\"a\\": 1}","{\\"b\\": 2}"}'),
    ("lt_mood", "ok", "ok"), ("lt_mood", "bad", "22P02"), ("lt_mood", "o" * 100, "22P02"), ("lt_mood", 1, "22018"),
    ("lt_mood[]", ["ok", "sad"], "{ok,sad}"),
    ("lt_positive", 5, "5"), ("lt_positive", "x", "22018"), ("lt_positive[]", [1, 2], "{1,2}"),
    ("lt_matrix", [[1, 2]], "{{1,2}}"),
    ("inet", "10.0.0.1", "10.0.0.1/32"), ("inet", 5, "22018"),
]


@pytest.fixture(scope="module")
def types(pg_server, database):
    with pg_server.connect(database) as connection:
        connection.execute("CREATE TYPE lt_mood AS ENUM ('ok', 'sad')")
        connection.execute("CREATE DOMAIN lt_positive AS int CHECK (VALUE > 0)")
        connection.execute("CREATE DOMAIN lt_matrix AS int[]")
        connection.execute("CREATE DOMAIN lt_present AS int NOT NULL")


def test_conversions(pg, mongo, fresh_namespace, make_table, seen, types):
    """Every value as the type, as an error of the right SQLSTATE, and as NULL by option."""
    for i, (type_name, value, _) in enumerate(CONVERSIONS):
        mongo[fresh_namespace][f"c {type_name}"].insert_one(SON([("_id", i), ("v", value)]))
    seen()
    wrong = []
    for type_name in dict.fromkeys(t for t, _, _ in CONVERSIONS):
        cases = {i: case for i, case in enumerate(CONVERSIONS) if case[0] == type_name}
        options = {"database": fresh_namespace, "collection": f"c {type_name}"}
        lenient = make_table(f"_id int, v {type_name} OPTIONS (on_mismatch 'null')", on_mismatch="error", **options)
        nulled = dict(rows(pg, f"SELECT _id, v::text FROM {lenient}"))
        places = dict(rows(pg, "SELECT (document_key->'_id')::int, \"position\"::text FROM mongo_tail.changes("
                               "'mongo', namespaces => %s) WHERE operation_type = 'insert'", [f"{fresh_namespace}.*"]))
        strict = make_table(f"_id int, v {type_name}, \"position\" mongo_tail.position", **options)
        for i, (_, value, expected) in cases.items():
            is_error = re.fullmatch("22[0-9P][0-9][0-9]", expected) is not None
            try:
                got = rows(pg, f"SELECT v::text FROM {strict} WHERE \"position\" = '{places[i]}'")[0][0]
                got = NULL if got is None else got
            except psycopg.Error as error:
                got = error.sqlstate
            if got != expected:
                wrong.append((type_name, value, "is", got, "not", expected))
            null = None if is_error or expected == NULL else expected
            if nulled.get(i) != null:
                wrong.append((type_name, value, "on_mismatch null", nulled.get(i), "not", null))
    assert wrong == []


def test_a_mismatch_names_everything(pg, mongo, fresh_namespace, make_table, seen):
    mongo[fresh_namespace].flights.insert_one({"_id": OID, "delay": {"minutes": 3.7}})
    seen()
    table = make_table("minutes int OPTIONS (field 'delay.minutes')", database=fresh_namespace, collection="flights")
    with pytest.raises(psycopg.errors.InvalidCharacterValueForCast) as caught:
        pg.execute(f"SELECT * FROM {table}")
    diag = caught.value.diag
    assert diag.message_primary == f'cannot convert field "delay.minutes" of a document of ' \
        f'"{fresh_namespace}.flights" to column "minutes"'
    assert diag.message_detail == 'In the document with _id {"$oid": "000102030405060708090a0b"} it is ' \
        'the double 3.7; the column has type integer, which holds no fractions.'
    assert "on_mismatch" in diag.message_hint


def test_on_mismatch_of_server_table_and_column(pg, mongo, fresh_namespace, make_table, new_server, mongo_server,
                                                unused_name, wait_until):
    name = new_server(pg, unused_name("lenient_"), mongo_server.uri, on_mismatch="null")
    start_tail(pg, name, wait_until)
    mongo[fresh_namespace].c.insert_one({"_id": 1, "v": "x"})
    rows(pg, "SELECT FROM mongo_tail.changes(%s, namespaces => %s, wait => '5s')", name, [f"{fresh_namespace}.c"])
    query = "SELECT v FROM {} WHERE operation_type = 'insert'"
    common = {"server": name, "database": fresh_namespace, "collection": "c"}
    assert rows(pg, query.format(make_table("v int, operation_type text", **common))) == [(None,)]
    for columns, options in (("v int", {"on_mismatch": "error"}), ("v int OPTIONS (on_mismatch 'error')", {})):
        with pytest.raises(psycopg.errors.InvalidCharacterValueForCast):
            rows(pg, query.format(make_table(f"{columns}, operation_type text", **common, **options)))
    pg.execute("SELECT mongo_tail.stop_tail(%s)", (name,))


def test_domains_hold(pg, mongo, fresh_namespace, make_table, seen, types):
    mongo[fresh_namespace].c.insert_many([{"_id": 1, "v": 1}, {"_id": 2, "v": -1}, {"_id": 3}])
    seen()
    options = {"database": fresh_namespace, "collection": "c", "on_mismatch": "null"}
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        pg.execute(f"SELECT v FROM {make_table('v lt_positive', **options)}")
    assert f'field "v" of the document with _id 2 of "{fresh_namespace}.c" to column "v"' in caught.value.diag.context
    with pytest.raises(psycopg.errors.NotNullViolation):
        pg.execute(f"SELECT v FROM {make_table('v lt_present, operation_type text', **options)}")


def test_types_read_from_text_have_the_last_word(pg, mongo, fresh_namespace, make_table, seen):
    mongo[fresh_namespace].c.insert_one({"_id": 1, "v": "nowhere"})
    seen()
    table = make_table("v inet", database=fresh_namespace)
    with pytest.raises(psycopg.errors.InvalidTextRepresentation) as caught:
        pg.execute(f"SELECT * FROM {table}")
    assert "_id 1" in (caught.value.diag.context or "") + (caught.value.diag.message_detail or "")


def test_memory_stays_flat(pg, mongo, fresh_namespace, make_table, seen):
    """A scan of very many rows allocates no more at its end than at its beginning."""
    mongo[fresh_namespace].many.insert_many(
        [{"_id": i, "n": i, "name": "x" * 50, "tags": ["a", "b"], "d": Decimal128("1.5")} for i in range(20000)])
    mongo[fresh_namespace].many.update_many({}, {"$set": {"n": 5, "sub.x": "y"}})
    seen()
    table = make_table(ALL_COLUMNS + ", changed_columns text[], full_document_bson bytea, n int, name text, "
                       "tags text[], d numeric, j jsonb OPTIONS (field 'tags'), f float8 OPTIONS (field 'd')",
                       database=fresh_namespace)
    pg.execute("SET enable_material = off")
    pid = pg.info.backend_pid

    def memory():
        with open(f"/proc/{pid}/status") as f:
            return int(re.search(r"RssAnon:\s+(\d+)", f.read()).group(1))
    aggregate = "count(t), count(full_document), count(update_description), sum(n), count(tags), max(d), max(f)"
    passes = f"SELECT x.* FROM generate_series(1, 10) g CROSS JOIN LATERAL " \
             f"(SELECT {aggregate} FROM {table} t WHERE g > 0) x"
    with pg.transaction():
        cursor = pg.cursor(name="passes")
        cursor.itersize = 1
        cursor.execute(passes)
        used = []
        while cursor.fetchone():
            used.append(memory())
    assert len(used) == 10
    assert used[-1] - used[1] < 2048, used
