"""Joins that MongoDB makes by $lookup: the rows are those that PostgreSQL's own joins give.

Generated joins over the collections of palettes.py, of which each field draws its values from plain to
awkward; PostgreSQL's join methods are switched off, so that what can be MongoDB's is.
"""

import os
import re

import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from psycopg import errors

from harness import mongod_version
from judge import NAN, UUIDS, Clauses, create_table, create_types, document_of, explain, ill_formed, rows_or_error, utc
from palettes import COLLECTIONS, MISSING, NAMES, UNDEFINED, comparable, make_palette_tables
from test_shards import shards  # noqa: F401

QUERIES = int(os.environ.get("MT_QUERIES") or (20000 if os.environ.get("MT_LONG") else 1000)) // 2

ONLY_FOREIGN = "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_nestloop = off"

# pairs that are joined, as what stands on either side of the =
INTEGERS = ["i2", "i4", "i8", "xy"]
TEXTS = ["s", "c", "v", "v3", "v25", "id"]
OTHERS = [("f8", "f8"), ("i4", "f8"), ("f8", "i2"), ("b", "b"), ("t", "t"), ("ts", "ts"), ("d", "d"), ("d", "ts"), ("ts", "d"),
          ("u", "u"), ("n", "n"), ("f4", "f8"), ("bp", "bp"), ("o", "o"), ("en", "en"), ("ts", "t"), ("e", "e"), ("n2", "n"),
          ("i8::numeric", "i4"), ("i4", "n"), ("x", "x"), ("ci", "ci"), ("i4 + 1", "i8"), ("dom", "c"), ("x0", "s")]
EXTRAS = ["l.i8 < r.i8", "l.i4 = r.i8", "l.s <> r.c COLLATE \"C\"", "l.k <= r.k", "l.s = r.s COLLATE \"C\"", "l.i4::bigint + r.i4 > 5",
          "l.b = r.b", "(l.i4 = r.i4 OR l.f8 < r.f8)", "l.k > 3", "l.t = r.t", "r.doc IS NOT NULL"]


@pytest.fixture
def joined_tables(pg, server, mongo, fresh_namespace, rng):
    """The tables of palettes.py, with indexes on all that is joined."""
    tables = make_palette_tables(pg, server, mongo, fresh_namespace, rng)
    for n in range(COLLECTIONS):
        mongo[fresh_namespace][f"c{n}"].drop_indexes()
        for field in ("i", "f", "s", "b", "t", "u", "n", "x.y"):
            keys = [(field, rng.choice([1, -1]))] + ([("k", 1)] if rng.random() < 0.3 else [])
            mongo[fresh_namespace][f"c{n}"].create_index(keys, name=f"join_{field}", sparse=rng.random() < 0.2)
    yield tables
    for table in tables:
        pg.execute(f"DROP FOREIGN TABLE {table}")


def equality(rng, left, right):
    """An equality between columns of the tables left and right, and its columns."""
    shape = rng.random()
    if shape < 0.4:
        a, b = rng.choice(INTEGERS), rng.choice(INTEGERS)
    elif shape < 0.7:
        a, b = rng.choice(TEXTS), rng.choice(TEXTS)
    else:
        a, b = rng.choice(OTHERS[:9] * 2 + OTHERS)
    text = f"{left}.{a} = {right}.{b}"
    if a in TEXTS + ["dom", "x0"] and b in TEXTS + ["c", "s"]:
        text += " COLLATE " + rng.choice(['"C"', '"C"', '"en-x-icu"'])
    return text


def make_query(rng, parameters):
    """A join of @l, @r and perhaps @q."""
    aliases = "lrq" if rng.random() < 0.25 else "lr"
    used = rng.sample(NAMES, 3) + ["k"]
    froms = []
    for alias in aliases:
        where = f"WHERE {Clauses(rng, NAMES).clause(parameters, 1)}" if rng.random() < 0.3 else ""
        froms.append(f"(SELECT * FROM @{alias} {where}) {alias}")
    on = [equality(rng, "l", "r")]
    if rng.random() < 0.3:
        on.append(rng.choice(EXTRAS))
    query = f"{froms[0]} {'LEFT ' if rng.random() < 0.05 else ''}JOIN {froms[1]} ON {' AND '.join(on)}"
    if len(aliases) == 3:
        query += f" {rng.choice(['JOIN', 'JOIN', 'LEFT JOIN'])} {froms[2]} ON {equality(rng, rng.choice('lr'), 'q')}"
    outputs = [f"{alias}.{column}" for alias in aliases for column in rng.sample(used, rng.randrange(1, 4))]
    if rng.random() < 0.3:
        outputs.append(rng.choice(["1", "l.k + r.k", "coalesce(r.i4, l.i4)", "(SELECT max(g) FROM generate_series(0, l.k) g)", "NULL"]))
    query = f"SELECT {', '.join(outputs)} FROM {query}"
    if rng.random() < 0.1:
        query = f"SELECT count(*) FROM ({query.replace('SELECT ' + ', '.join(outputs), 'SELECT 1', 1)}) x"
    return query, aliases


def names_in(query):
    return [c for c in NAMES if re.search(rf"\b{c}\b", query)]


def readable(pg, table, columns):
    """The table, or that of on_mismatch 'null' if not all of these columns can be read."""
    failed = isinstance(rows_or_error(pg, f"SELECT {columns} FROM {table}"), str)
    return table.replace("_error", "_null") if failed else table


def test_generated_joins(pg, joined_tables, rng):
    """Each query gives the same rows by MongoDB and over materialized copies of the tables."""
    pg.execute("SET plan_cache_mode = force_generic_plan")
    pg.execute("SET TimeZone = 'UTC'")
    pg.execute(ONLY_FOREIGN)
    failures, pushed, rows, locally_failed = [], 0, 0, 0
    for n in range(QUERIES):
        parameters = [] if rng.random() < 0.5 else None
        query, aliases = make_query(rng, parameters)
        parameters = parameters or []
        columns = ", ".join(names_in(query))
        tables = {alias: readable(pg, rng.choice(joined_tables), columns) for alias in aliases}
        copies = ", ".join(f"copy_{a} AS MATERIALIZED (SELECT {columns} FROM {t})" for a, t in tables.items())
        here, sent = f"WITH {copies} {query}", query
        for alias, table in tables.items():
            here = here.replace(f"FROM @{alias} ", f"FROM copy_{alias} ")
            sent = sent.replace(f"SELECT * FROM @{alias} ", f"SELECT {columns} FROM {table} ")
        local = rows_or_error(pg, here, parameters)
        remote = rows_or_error(pg, sent, parameters)
        if isinstance(local, str) or remote == "22025":
            locally_failed += 1
            continue
        if comparable(remote) != comparable(local):
            failures.append((sent, parameters, explain(pg, sent, parameters), comparable(remote), comparable(local)))
            continue
        if '"$lookup"' in explain(pg, sent, parameters):
            pushed += 1
            rows += len(remote)
    for failure in failures[:10]:
        print(*(str(part)[:3000] for part in failure), sep="\n    ")
    print(f"{QUERIES} queries: {pushed} with a $lookup, of {rows} rows; {locally_failed} failed without pushdown")
    assert not failures, f"{len(failures)} of {QUERIES} queries"
    assert pushed > QUERIES * 0.15 and rows > pushed


# ---- what went wrong once, or would: each a case of its own ----

HEX = "65a1b2c3d4e5f60718293a4b"
OID = ObjectId(HEX)
NAMED = [
    # types of both columns, values of both fields, pairs that are equal, is it MongoDB's?
    ("int4", "int4", [None, MISSING, UNDEFINED, 5], [None, MISSING, UNDEFINED, 5], [(3, 3)], True),
    ("int4", "int4", [5], [[5], [5, 7], [[5]], 5, [None], []], [(0, 3)], True),
    ("int4", "int4", [[5], [5, 7], [[5]], 5, [None], []], [5, None], [(3, 0)], True),
    ("int4", "int4", [5], [5, 5.0, Int64(5), Decimal128("5"), Decimal128("5.0"), "5", 5.5, True, {"y": 5}],
     [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)], True),
    ("int4", "int8", [5.0, 5.5, Decimal128("5"), "5"], [5], [(0, 0), (2, 0)], True),
    ("int4", "int4", [NAN, 5, Decimal128("NaN")], [NAN, 5, Decimal128("NaN")], [(1, 1)], True),
    ("int4", "int4", [5, 5, 7], [5, 5, 7], [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)], True),
    ("int8", "int2", [70000, 5], [70000, 5, Int64(2 ** 40)], [(1, 1)], True),
    ("int2", "int8", [70000, 5], [70000, 5], [(1, 1)], True),
    ("int8", "int8", [Int64(2 ** 53 + 1), Int64(2 ** 53)], [2.0 ** 53, Int64(2 ** 53 + 1), Decimal128("9007199254740993")],
     [(0, 1), (0, 2), (1, 0)], True),
    ("float8", "float8", [NAN, 0.0, 5, 0.1], [NAN, -0.0, Decimal128("NaN"), Decimal128("5"), Decimal128("0.1"), Int64(2 ** 53 + 1)],
     [(0, 0), (0, 2), (1, 1), (2, 3)], True),
    ("int4", "float8", [5, 7], [5.0, 5.5, Decimal128("7"), "7"], [(0, 0), (1, 2)], True),
    ("float8", "int4", [5.0, 5.5], [5, 5.5, 5.0], [(0, 0), (0, 2)], True),
    ("bool", "bool", [True, 1, None], [True, False, 1, [True]], [(0, 0)], True),
    ("text", "text", ["a", "A", HEX, OID, HEX.upper(), ("symbol", HEX), ("symbol", "a"), "a\0", ill_formed(b"a\xff")],
     ["a", OID, HEX, HEX.upper(), ["a"], ("symbol", "a"), "a\0", None, ill_formed(b"a\xff")],
     [(0, 0), (0, 5), (2, 1), (2, 2), (3, 1), (3, 2), (4, 3), (5, 1), (5, 2), (6, 0), (6, 5)], True),
    ("text", "varchar(3)", ["ab", "abcd", OID], ["ab", "abcd", OID, "abc"], [(0, 0)], True),
    ("varchar(3)", "text", ["ab", "abcd", OID], ["ab", "abcd", OID, "abc"], [(0, 0)], True),
    ("varchar(24)", "varchar(24)", [OID, HEX + "0"], [HEX, OID, HEX + "0"], [(0, 0), (0, 1)], True),
    ("text COLLATE mt_scan_ci", "text COLLATE mt_scan_ci", ["a"], ["a", "A"], [(0, 0), (0, 1)], False),
    ("mongo_tail.objectid", "mongo_tail.objectid", [OID, HEX], [OID, HEX, [OID]], [(0, 0)], True),
    ("date", "date", [utc("2024-02-29"), utc("2024-02-29 12:00")], [utc("2024-02-29"), utc("2024-02-29 12:00")], [(0, 0)], True),
    ("date", "timestamp", [utc("2024-02-29")], [utc("2024-02-29"), utc("2024-02-29 12:00")], [(0, 0)], True),
    ("timestamp", "date", [utc("2024-02-29"), utc("2024-02-29 12:00")], [utc("2024-02-29"), utc("2024-02-29 12:00")], [(0, 0)], True),
    ("timestamptz", "timestamptz", [utc("2024-02-29 12:00"), None], [utc("2024-02-29 12:00"), [utc("2024-02-29 12:00")]], [(0, 0)], True),
    ("timestamptz", "date", [utc("2024-02-29")], [utc("2024-02-29")], [(0, 0)], False),
    ("uuid", "uuid", [Binary.from_uuid(UUIDS[2])], [Binary.from_uuid(UUIDS[2]), Binary(UUIDS[2].bytes, 3)], [(0, 0), (0, 1)], False),
    ("numeric", "numeric", [0.1, Decimal128("0.1")], [0.1, Decimal128("0.1")], [(0, 0), (0, 1), (1, 0), (1, 1)], False),
    ("char(3)", "char(3)", ["a", "a "], ["a"], [(0, 0), (1, 0)], False),
]


def documents_of(values):
    """Documents whose field v has these values."""
    return [{"_id": n} if v == MISSING else document_of(n, "v", v) for n, v in enumerate(values)]


@pytest.fixture
def make_pair(pg, server, mongo, fresh_namespace):
    """make_pair(columns, left, right, index=("r", "v"), ...): tables l and r over these documents."""
    made = []

    def make(left_columns, left, right_columns, right, indexes=(("r", "v"),), mode="null", **options):
        create_types(pg)
        for name, columns, documents in (("l", left_columns, left), ("r", right_columns, right)):
            pg.execute(f"DROP FOREIGN TABLE IF EXISTS {name}")
            mongo[fresh_namespace].drop_collection(name)
            collection = mongo[fresh_namespace].create_collection(name, **options)
            collection.insert_many(documents)
            for table, field in indexes:
                if table == name:
                    collection.create_index(field, collation={"locale": "simple"})
            create_table(pg, server, name, columns, fresh_namespace, name, mode)
            made.append(name)
        pg.execute("SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_nestloop = off")
    yield make
    for name in set(made):
        pg.execute(f"DROP FOREIGN TABLE IF EXISTS {name} CASCADE")


def looks_up(pg, query, parameters=None):
    return '"$lookup"' in explain(pg, query, parameters)


@pytest.mark.parametrize("case", NAMED, ids=[f"{c[0]}-{c[1]}-{n}" for n, c in enumerate(NAMED)])
@pytest.mark.parametrize("indexed", ["l", "r"])
def test_named(pg, make_pair, case, indexed):
    """In both directions; and where strings compare otherwise by themselves."""
    left, right, left_values, right_values, expected, is_pushed = case
    query = "SELECT l._id, r._id FROM l JOIN r ON l.v = r.v"
    for options in ({}, {"collation": {"locale": "fr", "strength": 1}}):
        make_pair(f"_id integer, v {left}", documents_of(left_values), f"_id integer, v {right}", documents_of(right_values),
                  indexes=((indexed, "v"),), **options)
        assert sorted(pg.execute(query).fetchall()) == sorted(expected), options
        plan = explain(pg, query)
        assert ('"$lookup"' in plan) == is_pushed, plan
        assert not is_pushed or f'"from" : "{indexed}"' in plan, plan
        pg.execute("SET mongo_tail.enable_join = off")
        assert sorted(pg.execute(query).fetchall()) == sorted(expected), options
        pg.execute("RESET mongo_tail.enable_join")


def test_paths_through_arrays(pg, make_pair):
    """A path does not lead through an array, on neither side."""
    documents = [{"x": {"y": 5}}, {"x": [{"y": 5}]}, {"x": {"y": [5]}}, {"x": [{"y": 7}, {"y": 5}]}, {"x": {"y": 7}}, {"x": 5}, {}]
    columns = "_id integer, v integer OPTIONS (field 'x.y')"
    query = "SELECT l._id, r._id FROM l JOIN r ON l.v = r.v"
    for indexed in "lr":
        both = [[{"_id": n, **document} for n, document in enumerate(documents)] for _ in "lr"]
        make_pair(columns, both[0], columns, both[1], indexes=((indexed, "x.y"),))
        assert sorted(pg.execute(query).fetchall()) == [(0, 0), (4, 4)]
        # a condition on t2 itself would keep MongoDB from looking at the others while it looks up
        assert looks_up(pg, query) and '"t2.x" :' in explain(pg, query) and '"t2" :' not in explain(pg, query)


def numbers(n, **more):
    return [{"_id": i, "v": i % 7, **more} for i in range(n)]


@pytest.fixture
def pair(make_pair):
    def make(**options):
        make_pair("_id integer, v integer, s text", [{"_id": i, "v": i % 7, "s": f"s{i}"} for i in range(50)],
                  "_id integer, v integer, s text, doc jsonb OPTIONS (field '$')",
                  [{"_id": i, "v": i, "s": f"s{i}"} for i in range(100)], **options)
    return make


def test_what_stands_above(pg, pair):
    """Conditions, order, limits, aggregates, prepared statements and rescans over a join."""
    pair()
    pg.execute("SET plan_cache_mode = force_generic_plan")
    for query, rows in (
            ("SELECT l._id, r.s FROM l JOIN r ON l.v = r.v WHERE l._id < 3 AND r.s <> 's1' ORDER BY 1", [(0, "s0"), (2, "s2")]),
            ("SELECT l._id FROM l JOIN r ON l.v = r.v ORDER BY l._id DESC LIMIT 2", [(49,), (48,)]),
            ("SELECT r.v, count(*), min(l._id) FROM l JOIN r ON l.v = r.v GROUP BY r.v ORDER BY 1 LIMIT 2", [(0, 8, 0), (1, 7, 1)]),
            ("SELECT count(*) FROM l JOIN r ON l.v = r.v", [(50,)]),
            ("SELECT 1 FROM l JOIN r ON l.v = r.v WHERE l._id = 3", [(1,)]),
            ("SELECT r.doc FROM l JOIN r ON l.v = r.v WHERE l._id = 3", [({"_id": 3, "v": 3, "s": "s3"},)]),
            ("SELECT l._id FROM l JOIN r ON l.v = r.v AND l._id > r._id AND l.s = 's' || (r._id + 7)", [(n,) for n in range(7, 14)]),
            ("SELECT l._id FROM l JOIN r ON l.v = r.v WHERE false", []),
            ("SELECT l._id FROM l JOIN r ON l.v = r.v WHERE r.s = NULL", []),
            ("SELECT a._id, b._id FROM r a JOIN r b ON a.v = b._id WHERE a._id IN (3, 5) ORDER BY 1", [(3, 3), (5, 5)]),
            ("SELECT l._id, a._id, b._id FROM l JOIN r a ON l.v = a.v JOIN r b ON b.v = a._id WHERE l._id IN (9, 3) ORDER BY 1",
             [(3, 3, 3), (9, 2, 2)]),
            ("SELECT count(*), min(l._id) FROM l JOIN r a ON l.v = a.v AND l._id > a._id + 20 JOIN r b ON b.v = a._id", [(29, 21)])):
        assert pg.execute(query).fetchall() == rows, query
        assert looks_up(pg, query) or rows == [] or "WHERE false" in query, explain(pg, query)
    pg.execute("PREPARE q(int, text) AS SELECT l._id, r._id FROM l JOIN r ON l.v = r.v WHERE l._id < $1 AND r.s <> $2 ORDER BY 1")
    assert looks_up(pg, "EXECUTE q(3, 's1')") and '"$1"' in explain(pg, "EXECUTE q(3, 's1')")
    assert [pg.execute(f"EXECUTE q({a}, {b})").fetchall() for a, b in ((3, "'s1'"), (2, "'s5'"), ("NULL", "'x'"), (2, "NULL"))] == \
        [[(0, 0), (2, 2)], [(0, 0), (1, 1)], [], []]
    # a rescan asks anew, and what is checked here may be known only then
    for query, rows in (
            ("SELECT g, (SELECT count(*) FROM l JOIN r ON l.v = r.v WHERE l._id < g + 0) FROM generate_series(0, 3) g",
             [(n, n) for n in range(4)]),
            ("SELECT g, (SELECT count(*) FROM l JOIN r ON l.v = r.v AND l._id + r._id < g) FROM generate_series(0, 7) g",
             [(n, (n + 1) // 2) for n in range(8)])):
        assert pg.execute(query).fetchall() == rows
        assert looks_up(pg, query)
    # what an outer join above makes NULL, constants among it
    query = """SELECT l._id, x.one, x._id FROM l LEFT JOIN (SELECT a.v, b._id, 1 AS one FROM r a JOIN r b ON a.v = b._id
        WHERE b._id < 3) x ON x.v = l.v WHERE l._id IN (2, 3) ORDER BY 1"""
    assert pg.execute(query).fetchall() == [(2, 1, 2), (3, None, None)]


def test_in_a_parallel_worker(pg, pair):
    """A join is no scan that processes share, but one of them may make it."""
    pair()
    setting = "debug_parallel_query" if pg.info.server_version >= 160000 else "force_parallel_mode"
    pg.execute(f"SET {setting} = on")
    query = "SELECT count(*) FROM l JOIN r ON l.v = r.v"
    assert "Gather" in explain(pg, query) and looks_up(pg, query)
    assert pg.execute(query).fetchone() == (50,)


def test_left_to_postgresql(pg, pair, server, mongo, fresh_namespace, unused_name):
    """What no $lookup can say, or nobody wants it to."""
    pair()
    query = "SELECT l._id, r._id FROM l JOIN r ON l.v = r.v"
    rows = sorted(pg.execute(query).fetchall())
    assert looks_up(pg, query) and len(rows) == 50
    for other, expected in ((query.replace("JOIN", "LEFT JOIN"), 50), (query.replace("JOIN", "RIGHT JOIN"), 143),
                            ("SELECT l._id FROM l WHERE EXISTS (SELECT FROM r WHERE r.v = l.v)", 50),
                            ("SELECT l._id FROM l WHERE NOT EXISTS (SELECT FROM r WHERE r.v = l.v)", 0),
                            (query + " FOR UPDATE", 50), ("SELECT l, r._id FROM l JOIN r ON l.v = r.v", 50),
                            ("SELECT l.tableoid FROM l JOIN r ON l.v = r.v", 50),
                            ("SELECT l._id FROM l JOIN r ON l.v < r.v", 4803), ("SELECT l._id FROM l JOIN r ON l.v = r.v + 1", 50 - 8),
                            ("SELECT l._id FROM l JOIN r ON l.v = r.v WHERE length(l.s) = 2", 10),
                            ("SELECT l._id FROM l JOIN r ON l.v = r.v AND random() < 2", 50),
                            ("SELECT l._id FROM l JOIN r ON l.v = r.v AND (SELECT l._id >= r._id)", 50),
                            ("SELECT l._id FROM l, LATERAL (SELECT r._id FROM r WHERE r.v = l.v OFFSET 0) r", 50),
                            (query + " WHERE (SELECT true FROM generate_series(1, 1) g WHERE g = 1)", 50)):
        assert len(pg.execute(other).fetchall()) == expected, other
        assert not looks_up(pg, other) or "WHERE (SELECT" in other, explain(pg, other)
    for off, on in (("SET mongo_tail.enable_join = off", "RESET mongo_tail.enable_join"),
                    ("SET mongo_tail.enable_pushdown = off", "RESET mongo_tail.enable_pushdown"),
                    ("ALTER FOREIGN TABLE l OPTIONS (ADD enable_join 'off')", "ALTER FOREIGN TABLE l OPTIONS (DROP enable_join)"),
                    ("ALTER FOREIGN TABLE r OPTIONS (ADD enable_join 'off')", "ALTER FOREIGN TABLE r OPTIONS (DROP enable_join)"),
                    (f"ALTER SERVER {server} OPTIONS (ADD enable_join 'off')", f"ALTER SERVER {server} OPTIONS (DROP enable_join)"),
                    ("ALTER FOREIGN TABLE r OPTIONS (ADD filter '{}')", "ALTER FOREIGN TABLE r OPTIONS (DROP filter)"),
                    ("ALTER FOREIGN TABLE l OPTIONS (ADD pipeline '[{\"$match\": {}}]')", "ALTER FOREIGN TABLE l OPTIONS (DROP pipeline)"),
                    ("ALTER FOREIGN TABLE l OPTIONS (ADD read_concern 'local')", "ALTER FOREIGN TABLE l OPTIONS (DROP read_concern)")):
        pg.execute(off)
        assert not looks_up(pg, query), off
        assert sorted(pg.execute(query).fetchall()) == rows
        pg.execute(on)
    assert looks_up(pg, query)
    # the first table's own filter comes first
    pg.execute("ALTER FOREIGN TABLE l OPTIONS (ADD filter '{\"_id\": {\"$lt\": 5}}')")
    assert looks_up(pg, query) and sorted(pg.execute(query).fetchall()) == rows[:5]
    pg.execute("ALTER FOREIGN TABLE l OPTIONS (DROP filter)")
    # no index, a view, another database
    pg.execute("DROP FOREIGN TABLE r")
    mongo[fresh_namespace].create_collection("view", viewOn="r", pipeline=[])
    mongo[fresh_namespace].plain.insert_many(numbers(10))
    other = unused_name("test_other_")
    mongo[other].r.insert_many(numbers(10))
    mongo[other].r.create_index("v")
    for database, collection in ((fresh_namespace, "view"), (fresh_namespace, "plain"), (other, "r")):
        create_table(pg, server, "r", "_id integer, v integer", database, collection)
        assert not looks_up(pg, query), collection
        pg.execute("DROP FOREIGN TABLE r")
    mongo.drop_database(other)


def test_conditions_compare_bytes(pg, make_pair):
    """Whatever collation the first collection has, in conditions on the others, too."""
    columns = "_id integer, v integer, s text"
    documents = [{"_id": 1, "v": 5, "s": "a"}, {"_id": 2, "v": 5, "s": "A"}, {"_id": 3, "v": 5, "s": "\u00e1"}]
    make_pair(columns, documents, columns, documents, collation={"locale": "fr", "strength": 1})
    query = "SELECT l._id, r._id FROM l JOIN r ON l.v = r.v WHERE r.s = 'a' ORDER BY 1"
    assert pg.execute(query).fetchall() == [(1, 1), (2, 1), (3, 1)]
    assert looks_up(pg, query)


@pytest.mark.skipif(mongod_version() < (5, 0), reason="snapshots that are read outside of transactions are of 5.0")
def test_read_as_of_one_time(pg, pair, mongo, fresh_namespace):
    pair()
    query = "SELECT count(*) FROM l JOIN r ON l.v = r.v"
    for consistency in ("statement", "transaction"):
        pg.execute(f"SET mongo_tail.read_consistency = '{consistency}'")
        with pg.transaction():
            pg.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            assert looks_up(pg, query) and pg.execute(query).fetchone() == (50,)
            mongo[fresh_namespace].r.delete_one({"v": 3})
            assert pg.execute(query).fetchone() == (50,)
        assert pg.execute(query).fetchone() == (43,)
        mongo[fresh_namespace].r.insert_one({"_id": 3, "v": 3, "s": "s3"})


def test_partitions_are_joined_one_by_one(pg, server, mongo, fresh_namespace):
    for part in range(2):
        mongo[fresh_namespace][f"l{part}"].insert_many([{"_id": n, "p": part, "v": n % 5} for n in range(20)])
        mongo[fresh_namespace][f"r{part}"].insert_many([{"_id": n, "p": part, "s": f"s{n}"} for n in range(10)])
    for name, columns in (("l", "_id integer, p integer, v integer"), ("r", "_id integer, p integer, s text")):
        pg.execute(f"CREATE TABLE parts_{name} ({columns}) PARTITION BY LIST (p)")
        for part in range(2):
            pg.execute(f"""CREATE FOREIGN TABLE parts_{name}{part} PARTITION OF parts_{name} FOR VALUES IN ({part})
                SERVER {server} OPTIONS (database '{fresh_namespace}', collection '{name}{part}')""")
    pg.execute(ONLY_FOREIGN + "; SET enable_partitionwise_join = on")
    query = "SELECT l.p, l._id, r.s FROM parts_l l JOIN parts_r r ON l.p = r.p AND l.v = r._id ORDER BY 1, 2"
    plan = explain(pg, query)
    assert plan.count('"$lookup"') == 2, plan
    assert pg.execute(query).fetchall() == [(part, n, f"s{n % 5}") for part in range(2) for n in range(20)]
    pg.execute("DROP TABLE parts_l, parts_r")


def test_switched_off_by_rights(pg, pair, connect, server):
    """A view's table is read by its owner's user mapping, so only tables of one owner are joined."""
    pair()
    pg.execute("DROP ROLE IF EXISTS mt_join_owner; CREATE ROLE mt_join_owner LOGIN")
    pg.execute(f"GRANT USAGE ON FOREIGN SERVER {server} TO mt_join_owner; GRANT SELECT ON r, l TO mt_join_owner")
    pg.execute(f"CREATE USER MAPPING FOR mt_join_owner SERVER {server}")
    pg.execute("CREATE VIEW rv AS SELECT * FROM r; GRANT SELECT ON rv TO mt_join_owner; ALTER VIEW rv OWNER TO mt_join_owner")
    query = "SELECT l._id FROM l JOIN rv r ON l.v = r.v"
    assert len(pg.execute(query).fetchall()) == 50 and not looks_up(pg, query)
    pg.execute("CREATE VIEW lr AS SELECT l._id FROM l JOIN r ON l.v = r.v; ALTER VIEW lr OWNER TO mt_join_owner")
    assert len(pg.execute("SELECT * FROM lr").fetchall()) == 50 and looks_up(pg, "SELECT * FROM lr")
    pg.execute("DROP VIEW rv, lr; REVOKE ALL ON r, l FROM mt_join_owner")
    pg.execute(f"DROP USER MAPPING FOR mt_join_owner SERVER {server}; REVOKE ALL ON FOREIGN SERVER {server} FROM mt_join_owner")
    pg.execute("DROP ROLE mt_join_owner")


def test_local_tables_are_updated_by_joins(pg, pair):
    """Rows that an UPDATE locks may have to be made again by themselves."""
    pair()
    pg.execute("CREATE TEMPORARY TABLE target AS SELECT g AS id, 0 AS n FROM generate_series(0, 9) g")
    pg.execute("UPDATE target SET n = r._id FROM l JOIN r ON l.v = r.v WHERE l._id = target.id")
    assert pg.execute("SELECT count(*) FROM target WHERE n = id % 7").fetchone() == (10,)


def test_errors_name_the_document(pg, make_pair, fresh_namespace):
    """Under on_mismatch 'error' what is joined and does not convert raises the error of its own document."""
    make_pair("_id integer, v integer, n integer", [{"_id": 1, "v": 5, "n": 1}, {"_id": 2, "v": 6, "n": "x"}, {"_id": 3, "v": "x"}],
              "_id integer, v integer, n integer OPTIONS (field 'a.n')", [{"_id": 7, "v": 5, "a": {"n": "x"}}, {"_id": 8, "v": 6, "a": {"n": 2}},
                                                                        {"_id": 9, "v": [5]}], mode="error")
    query = "SELECT {} FROM l JOIN r ON l.v = r.v ORDER BY 1"
    assert looks_up(pg, query.format("l._id")) and pg.execute(query.format("l._id, r._id")).fetchall() == [(1, 7), (2, 8)]
    for column, table, key, field in (("l.n", "l", 2, "n"), ("r.n", "r", 7, "a.n")):
        with pytest.raises(errors.InvalidCharacterValueForCast) as caught:
            pg.execute(query.format(column))
        assert f'field "{field}" of a document of "{fresh_namespace}.{table}"' in caught.value.diag.message_primary
        assert f"with _id {key}" in caught.value.diag.message_detail


def test_documents_that_are_too_large_together(pg, make_pair):
    """Fields are picked, which makes them small; else MongoDB says so, with a hint."""
    make_pair("_id integer, v integer, pad text", [{"_id": 1, "v": 5, "pad": "x" * 9_000_000}],
              "_id integer, v integer, pad text", [{"_id": 2, "v": 5, "pad": "y" * 9_000_000}])
    query = "SELECT l._id, r._id, {} FROM l JOIN r ON l.v = r.v"
    assert looks_up(pg, query.format("l.v")) and pg.execute(query.format("l.v")).fetchall() == [(1, 2, 5)]
    assert pg.execute(query.format("length(l.pad)")).fetchall() == [(1, 2, 9_000_000)]
    with pytest.raises(errors.ProgramLimitExceeded) as caught:
        pg.execute(query.format("l.pad, r.pad"))
    assert "enable_pushdown" in caught.value.diag.message_hint
    pg.execute("SET mongo_tail.enable_join = off")
    assert len(pg.execute(query.format("l.pad, r.pad")).fetchall()) == 1


def test_many_matches(pg, make_pair):
    """What one document finds may be more than a document holds."""
    make_pair("_id integer, v integer", [{"_id": 1, "v": 5}], "_id integer, v integer, pad text",
              [{"_id": n, "v": 5, "pad": "z" * 1000} for n in range(20_000)])
    query = "SELECT count(*) FROM l JOIN r ON l.v = r.v"
    assert looks_up(pg, query) and pg.execute(query).fetchone() == (20_000,)


def test_chosen_when_cheaper(pg, server, mongo, fresh_namespace):
    """Few documents are looked up in a large collection; many, or a small one, are joined here."""
    database = mongo[fresh_namespace]
    database.orders.insert_many([{"_id": n, "customer": n * 37 % 20_000} for n in range(20_000)])
    database.customers.insert_many([{"_id": n, "name": f"customer {n}"} for n in range(20_000)])
    create_table(pg, server, "orders", "_id integer, customer integer", fresh_namespace, "orders")
    create_table(pg, server, "customers", "_id integer, name text", fresh_namespace, "customers")
    query = "SELECT o._id, c.name FROM orders o JOIN customers c ON c._id = o.customer WHERE o._id IN ({})"
    few = query.format(", ".join(str(n) for n in range(20)))
    assert looks_up(pg, few) and len(pg.execute(few).fetchall()) == 20
    assert not looks_up(pg, query.format(", ".join(str(n) for n in range(5000))))
    assert not looks_up(pg, "SELECT o._id, c.name FROM orders o JOIN customers c ON c._id = o.customer")
    plan = explain(pg, few, options="ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF")
    assert f"MongoDB Collections: {fresh_namespace}.orders, {fresh_namespace}.customers" in plan
    assert "MongoDB Commands: 1" in plan and "MongoDB Documents: 20" in plan, plan
    pg.execute("DROP FOREIGN TABLE orders, customers")


def test_not_on_a_shard(pg, new_server, shards):
    """What a shard looks up might be another shard's, or an error."""
    _, servers = shards
    with servers[0].client() as client:
        client.app.t.insert_many(numbers(5))
    new_server(pg, "shard", servers[0].uri)
    create_table(pg, "shard", "t", "_id integer, v integer", "app", "t")
    pg.execute(ONLY_FOREIGN)
    query = "SELECT count(*) FROM t a JOIN t b ON a.v = b._id"
    assert not looks_up(pg, query)
    pg.execute("DROP SERVER shard CASCADE")
