"""Aggregates, GROUP BY and DISTINCT that MongoDB computes: the answers are PostgreSQL's, or PostgreSQL gives them.

Generated queries over collections of which each field draws its values from a palette of its own, from
plain to awkward (judge.py): MongoDB must answer where the values are plain, and never wrongly.
"""

import decimal
import os
import re

import pytest
from bson import Decimal128, Int64, ObjectId
from psycopg import errors

from judge import NAN, POOLS, UUIDS, Clauses, create_table, create_types, explain, rows_or_error, undefined, utc, with_raw
from palettes import MISSING, NAMES, UNDEFINED, columns_of, comparable, make_palette_tables, make_statistics

QUERIES = int(os.environ.get("MT_QUERIES") or (20000 if os.environ.get("MT_LONG") else 1000)) // 2

KEYS = ["i2", "i4", "i8", "f8", "n", "n2", "s", "c", "v", "e", "v3", "bp", "b", "t", "ts", "d", "u", "xy", "f4"]
CALLS = {
    "count": KEYS + ["x", "doc", "id"],
    "sum": ["i2", "i4", "i8", "f8", "n", "n2", "xy", "f4"],
    "avg": ["i2", "i4", "i8", "f8", "n", "xy", "f4"],
    "min": ["i2", "i4", "i8", "f8", "n", "c", "v", "s", "t", "ts", "d", "xy", "f4", "bp"],
    "max": ["i2", "i4", "i8", "f8", "n", "c", "v", "s", "t", "ts", "d", "xy", "f4", "bp"],
    "bool_and": ["b"], "bool_or": ["b"], "every": ["b"],
}


@pytest.fixture(autouse=True)
def small_collections(pg):
    """However few documents there are, it pays not to aggregate them here."""
    pg.execute("SET cpu_operator_cost = 10")


@pytest.fixture
def palette_tables(pg, server, mongo, fresh_namespace, rng):
    tables = make_palette_tables(pg, server, mongo, fresh_namespace, rng, analyzed=0.6)
    yield tables
    for table in tables:
        pg.execute(f"DROP FOREIGN TABLE {table}")


def make_calls(rng, clauses, parameters):
    """Aggregates, some of them with FILTER."""
    if rng.random() < 0.2:
        column = rng.choice(KEYS)
        return [f"count(DISTINCT {column})"] + (["sum(i4)"] if rng.random() < 0.2 else [])
    calls = []
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        name = rng.choice(list(CALLS) + ["count"])
        call = rng.choice(["count(*)", f"{name}({rng.choice(CALLS[name])})", f"{name}({rng.choice(CALLS[name])})"])
        calls.append(call + (f" FILTER (WHERE {clauses.clause(parameters, 1)})" if rng.random() < 0.3 else ""))
    return calls


def make_query(rng, clauses, parameters):
    """A query with FROM @ for what it reads; the parameters of its clauses are added in their order."""
    keys = rng.sample(KEYS, rng.choice([0, 0, 1, 1, 1, 2, 3]))
    is_distinct = keys and rng.random() < 0.15
    calls = make_calls(rng, clauses, parameters) if not is_distinct else []
    if not is_distinct and (rng.random() < 0.6 or not (keys or calls)):
        calls.append(rng.choice(["count(*)", "count(1)", "count(*) + 1", "coalesce(sum(i4), 0) + count(*)"]))
    where = f"WHERE {clauses.clause(parameters, 1)}" if rng.random() < 0.4 else ""
    query = f"SELECT {'DISTINCT ' if is_distinct else ''}{', '.join(keys + calls)} FROM @ {where}"
    if is_distinct:
        return query
    if keys:
        query += f" GROUP BY {', '.join(keys)}"
    if rng.random() < 0.2:
        query += " HAVING " + rng.choice(["count(*) > 2", "sum(i4) > 10", "min(i4) IS NOT NULL", "avg(f8) < 5", "bool_or(b)"])
    if rng.random() < 0.1 and keys:
        query += f" ORDER BY {keys[0]}"
    return query


def test_generated_aggregates(pg, palette_tables, rng):
    """Each query gives the same rows by MongoDB and over a materialized copy of the table."""
    pg.execute("SET plan_cache_mode = force_generic_plan")
    pg.execute("SET TimeZone = 'UTC'")
    failures, pushed, by_mongodb, locally_failed = [], 0, 0, 0
    for n in range(QUERIES):
        table = rng.choice(palette_tables)
        parameters = [] if rng.random() < 0.5 else None
        query, parameters = make_query(rng, Clauses(rng, NAMES), parameters), parameters or []
        copy = f"WITH y AS MATERIALIZED (SELECT {', '.join(columns_of(query))} FROM {table}) "
        local = rows_or_error(pg, copy + query.replace("FROM @", "FROM y"), parameters)
        sent = rows_or_error(pg, query.replace("FROM @", f"FROM {table}"), parameters)
        # a pattern that ends with its escape fails where it is looked at, be there a row for it or not
        if isinstance(local, str) or sent == "22025":
            locally_failed += 1
            continue
        if comparable(sent) != comparable(local):
            failures.append((query.replace("FROM @", f"FROM {table}"), parameters, sent, local))
            continue
        plan = explain(pg, query.replace("FROM @", f"FROM {table}"), parameters,
                       "ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF")
        if '"$group"' in plan:
            pushed += 1
            by_mongodb += "Answered Locally" not in plan
    for failure in failures[:10]:
        print(*failure, sep="\n    ")
    assert not failures, f"{len(failures)} of {QUERIES} queries"
    print(f"{QUERIES} queries: {pushed} with a $group, {by_mongodb} answered by MongoDB; {locally_failed} failed without pushdown")
    assert pushed > QUERIES * 0.1 and by_mongodb > pushed * 0.3


# ---- what went wrong once, or would: each a case of its own ----

NAMED = [
    # type, the field's values, what is selected, rows, does MongoDB answer?
    ("int4", [1, 2, 3, None, MISSING], "count(*), count(a), sum(a), min(a), max(a)", [(5, 3, 6, 1, 3)], True),
    ("int4", [1, 2, 4], "avg(a)", [(decimal.Decimal("2.3333333333333333"),)], True),
    ("int4", [1, -1], "sum(a), avg(a)", [(0, decimal.Decimal("0E-20"))], True),
    ("int4", [None, MISSING], "sum(a), avg(a), count(a), min(a)", [(None, None, 0, None)], True),
    ("int4", [], "count(*), sum(a), avg(a), max(a)", [(0, None, None, None)], True),
    ("int4", [], "a, count(*) GROUP BY a", [], True),
    ("int4", [5, 5.0, Int64(5), Decimal128("5")], "a, count(*) GROUP BY a", [(5, 4)], True),
    ("int4", [None, MISSING, UNDEFINED], "a, count(*) GROUP BY a", [(None, 3)], False),
    ("int4", [None, MISSING], "a, count(*) GROUP BY a", [(None, 2)], True),
    ("int4", [1, "x", [2]], "sum(a), count(a), count(*)", [(1, 1, 3)], False),
    ("int4", [1, "x", None], "a, count(*) GROUP BY a", [(1, 1), (None, 2)], False),
    ("int4", [1, 2.0], "sum(a)", [(3,)], False),
    ("int4", [1, Int64(2 ** 40)], "sum(a), count(a)", [(1, 1)], False),
    ("int8", [Int64(2 ** 63 - 1), Int64(2 ** 63 - 1)], "sum(a)", [(decimal.Decimal(2 ** 64 - 2),)], False),
    ("int8", [Int64(2 ** 62), Int64(2 ** 61)], "sum(a)", [(decimal.Decimal(2 ** 62 + 2 ** 61),)], True),
    ("text COLLATE mt_scan_ci", ["a", "A", "b"], "count(DISTINCT a)", [(2,)], None),
    ("int4", [1, 2, 2, Int64(2), None, MISSING], "count(DISTINCT a), count(*)", [(2, 6)], True),
    ("int4", [1, "x", [1]], "count(DISTINCT a)", [(1,)], False),
    ("float8", [NAN, 1.0], "max(a)", [(NAN,)], False),
    ("float8", [0.5, 1.5, None], "sum(a), avg(a), max(a), count(a)", [(2.0, 1.0, 1.5, 2)], True),
    ("float8", [1.0, Int64(2 ** 53 + 1)], "count(a)", [(1,)], False),
    ("numeric", [0.1, Decimal128("0.1")], "a, count(*) GROUP BY a", [(decimal.Decimal("0.1"), 2)], False),
    ("numeric", [0.1, Decimal128("0.2")], "sum(a)", [(decimal.Decimal("0.3"),)], None),
    ("text", ["a", "A", None], "a, count(*) GROUP BY a", [("A", 1), ("a", 1), (None, 1)], True),
    ("text", [ObjectId("0" * 24), "0" * 24], "a, count(*) GROUP BY a", [("0" * 24, 2)], False),
    ("text", ["b", "a\0c"], "count(a)", [(1,)], None),
    ("text COLLATE \"C\"", ["b", "a", "B"], "min(a), max(a)", [("B", "b")], True),
    ("text COLLATE \"C\"", ["b", ObjectId("0" * 24)], "min(a), max(a)", [("0" * 24, "b")], False),
    ("text COLLATE \"en-x-icu\"", ["b", "a", "B"], "min(a), max(a)", [("a", "B")], None),
    ("bool", [True, False, None], "bool_and(a), bool_or(a), every(a), count(a)", [(False, True, False, 2)], True),
    ("uuid", [POOLS["u"][0], POOLS["u"][3]], "a, count(*) GROUP BY a", [(UUIDS[0], 2)], False),
    ("date", [utc("2024-02-29"), utc("2024-03-01")], "min(a), max(a)", None, True),
]


@pytest.mark.parametrize("case", NAMED, ids=[f"{c[0]} {c[2]} {n}" for n, c in enumerate(NAMED)])
def test_named(pg, server, mongo, fresh_namespace, case):
    kind, values, selected, expected, by_mongodb = case
    create_types(pg)
    for collection, options in (("t", {}), ("f", {"collation": {"locale": "fr", "strength": 1}})):
        target = mongo[fresh_namespace].create_collection(collection, **options)
        if values:
            target.insert_many([with_raw({"_id": n} if v in (MISSING, UNDEFINED) else {"_id": n, "a": v},
                                         *([undefined("a")] if v == UNDEFINED else [])) for n, v in enumerate(values)])
        pg.execute("DROP FOREIGN TABLE IF EXISTS named")
        create_table(pg, server, "named", f"_id integer, a {kind}", fresh_namespace, collection, "null")
        what, _, group = selected.partition(" GROUP BY ")
        query = f"SELECT {what} FROM named" + (f" GROUP BY {group}" if group else "")
        rows = pg.execute(query).fetchall()
        if expected is not None:
            assert comparable(rows) == comparable(expected), collection
        plan = explain(pg, query, options="ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF")
        assert {True: '"$group"' in plan and "Answered Locally" not in plan, False: "Answered Locally: true" in plan,
                None: '"$group"' not in plan}[by_mongodb], plan
    pg.execute("DROP FOREIGN TABLE named")


PROVEN = [
    # type, on_mismatch, the field's values, what is selected, rows or the error, commands if MongoDB answers
    ("int4", "error", [1, 2, 4], "sum(a)", [(7,)], 1),
    ("int4", "error", [1, 2, 4], "avg(a), count(a), sum(a)", [(decimal.Decimal("2.3333333333333333"), 3, 7)], 1),
    ("int4", "error", [1, None, 4, MISSING], "sum(a)", [(5,)], 1),
    ("int4", "error", [1, None, 4, MISSING], "avg(a), count(a)", [(decimal.Decimal("2.5000000000000000"), 2)], 2),
    ("int4", "error", [None, MISSING], "sum(a)", [(None,)], 2),
    ("int4", "error", [None, MISSING], "avg(a), count(a)", [(None, 0)], 2),
    ("int4", "error", [0, 0, None], "sum(a)", [(0,)], 2),
    ("int4", "error", [1, -1, 0], "sum(a), avg(a), count(a)", [(0, decimal.Decimal("0E-20"), 3)], 2),
    ("int4", "error", [], "sum(a), avg(a), count(a)", [(None, None, 0)], 1),
    ("int4", "error", [1, "x"], "sum(a)", "22018", None),
    ("int4", "error", [1, "x"], "avg(a)", "22018", None),
    ("int4", "error", [1, [2]], "count(a)", "22018", None),
    ("int4", "error", [0, 0, utc("2024-02-29")], "count(a)", "22018", None),
    ("int4", "error", [1, 2.0], "avg(a)", [(decimal.Decimal("1.5000000000000000"),)], None),
    ("int4", "null", [1, "x", None], "avg(a), count(a), sum(a)", [(decimal.Decimal("1.00000000000000000000"), 1, 1)], None),
    ("int4", "null", [0, None], "sum(a)", [(0,)], 1),
    ("int4", "null", [None, MISSING], "sum(a), avg(a)", [(None, None)], 2),
    ("int4", "null", [None, MISSING], "sum(a)", [(None,)], 1),
    ("int8", "null", [Int64(2), "x"], "sum(a)", [(decimal.Decimal(2),)], None),
    ("int8", "null", [Int64(2), "x"], "avg(a)", [(decimal.Decimal("2.0000000000000000"),)], None),
    ("float8", "error", [0.5, 1.5, 2], "sum(a), avg(a), count(a)", [(4.0, 4 / 3, 3)], 1),
    ("float8", "error", [0.5, None], "avg(a)", [(0.5,)], 2),
    ("float8", "error", [0.5, -0.5], "sum(a)", [(0.0,)], 2),
    ("float8", "error", [0.5, True], "avg(a)", "22018", None),
    ("float8", "error", [5e-324, 5e-324, 1e-323, "x"], "avg(a)", "22018", None),
    ("float8", "error", [1e-323, None], "avg(a)", [(1e-323,)], 2),
    ("float8", "error", [NAN, 0.5], "avg(a)", [(NAN,)], None),
    ("float8", "error", [0.5, Decimal128("1.5")], "avg(a)", [(1.0,)], None),
]


@pytest.mark.parametrize("case", PROVEN, ids=[f"{c[0]} {c[1]} {c[3]} {n}" for n, c in enumerate(PROVEN)])
def test_statistics_are_no_proof(pg, server, mongo, fresh_namespace, case):
    """Where statistics show no NULL less is asked for, and that there is none is proven, or asked again."""
    kind, mode, values, selected, expected, commands = case
    pg.execute("DROP FOREIGN TABLE IF EXISTS believed")
    create_table(pg, server, "believed", f"_id integer, a {kind}", fresh_namespace, "t", mode)
    make_statistics(pg, mongo[fresh_namespace].t, ["believed"], {"_id": 0, "a": 1})
    if values:
        mongo[fresh_namespace].t.insert_many({"_id": n} if v == MISSING else {"_id": n, "a": v} for n, v in enumerate(values))
    query = f"SELECT {selected} FROM believed"
    assert comparable(rows_or_error(pg, query)) == comparable(expected)
    if isinstance(expected, list):
        plan = explain(pg, query, options="ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF")
        assert ("Answered Locally: true" if commands is None else f"MongoDB Commands: {commands}") in plan, plan
        assert commands is None or "Answered Locally" not in plan
    pg.execute("DROP FOREIGN TABLE believed")


def test_average_of_many_zeros(pg, server, mongo, fresh_namespace):
    """The scale of a zero average depends on the count, for which MongoDB is asked again."""
    mongo[fresh_namespace].t.insert_many([{"_id": n, "a": 0 if n % 3 else None} for n in range(18000)])
    create_table(pg, server, "zeros", "_id integer, a integer", fresh_namespace, "t")
    average = pg.execute("SELECT avg(a) FROM zeros").fetchone()[0]
    assert str(average) == str(pg.execute("WITH x AS MATERIALIZED (SELECT * FROM zeros) SELECT avg(a) FROM x").fetchone()[0])
    plan = explain(pg, "SELECT avg(a) FROM zeros", options="ANALYZE, COSTS OFF, TIMING OFF")
    assert "MongoDB Commands: 2" in plan and "Answered Locally" not in plan
    pg.execute("DROP FOREIGN TABLE zeros")


def test_distinct_values_of_null_keys(pg, server, mongo, fresh_namespace):
    """A value is counted once in the group of NULL, be its key null or missing."""
    mongo[fresh_namespace].t.insert_many([{"_id": 1, "a": None, "b": 5}, {"_id": 2, "b": 5}, {"_id": 3, "a": 7, "b": 5}])
    create_table(pg, server, "keyed", "a integer, b integer", fresh_namespace, "t")
    query = "SELECT a, count(DISTINCT b), count(*) FROM keyed GROUP BY a"
    assert '"$ifNull"' in explain(pg, query)
    assert sorted(pg.execute(query).fetchall(), key=repr) == [(7, 1, 1), (None, 1, 2)]
    pg.execute("DROP FOREIGN TABLE keyed")


def test_mismatch_is_an_error(pg, server, mongo, fresh_namespace):
    """Under on_mismatch 'error' a value that does not convert is the error that a scan has for it."""
    mongo[fresh_namespace].t.insert_many([{"_id": 1, "a": 5}, {"_id": 2, "a": "five"}])
    create_table(pg, server, "strict", "_id integer, a integer", fresh_namespace, "t")
    for query in ("SELECT sum(a) FROM strict", "SELECT a, count(*) FROM strict GROUP BY a", "SELECT DISTINCT a FROM strict",
                  "SELECT min(a) FROM strict", "SELECT count(a) FROM strict"):
        with pytest.raises(errors.InvalidCharacterValueForCast) as caught:
            pg.execute(query)
        assert "with _id 2" in caught.value.diag.message_detail
    assert pg.execute("SELECT count(*) FROM strict").fetchone() == (2,)
    pg.execute("DROP FOREIGN TABLE strict")


def test_plans(pg, server, mongo, fresh_namespace):
    mongo[fresh_namespace].t.insert_many({"_id": n, "a": n % 7, "b": n} for n in range(2000))
    create_table(pg, server, "t", "_id integer, a integer, b integer", fresh_namespace, "t")
    query = "SELECT a, count(*), sum(b) + 1 FROM t WHERE b > 5 GROUP BY a HAVING count(*) > 1"
    plan = explain(pg, query)
    stage = re.search(r"MongoDB Query: (.*)", plan)[1]
    assert '"aggregate" : "t"' in stage and '"$match"' in stage and '"_id" : "$a"' in stage, plan
    assert "Filter: ((count(*)) > 1)" in plan, plan
    assert len(pg.execute(query).fetchall()) == 7
    pg.execute("SET plan_cache_mode = force_generic_plan")
    pg.execute("PREPARE q(int) AS SELECT count(*) FROM t WHERE b < $1")
    assert '"$1"' in explain(pg, "EXECUTE q(7)")
    assert [pg.execute("EXECUTE q(%s)" % n).fetchone()[0] for n in (7, 0, 2000, "NULL")] == [7, 0, 2000, 0]
    # a rescan asks anew
    assert pg.execute("SELECT v, (SELECT count(*) FROM t WHERE b < v + 0) FROM generate_series(0, 3) v").fetchall() == \
        [(n, n) for n in range(4)]
    assert '"$group"' in explain(pg, "SELECT DISTINCT a FROM t")
    assert len(pg.execute("SELECT DISTINCT a FROM t ORDER BY a LIMIT 5").fetchall()) == 5
    pg.execute("SET mongo_tail.enable_aggregate = off")
    assert '"$group"' not in explain(pg, query)
    pg.execute("DROP FOREIGN TABLE t")
