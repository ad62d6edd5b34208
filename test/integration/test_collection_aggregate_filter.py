"""FILTER of aggregates that MongoDB computes: conditions as aggregation expressions.

The clauses are those of WHERE (judge.py), each document is a group, and so each shows whether it passes.
"""

import decimal
import os

import pytest
from bson import Decimal128, Int64
from psycopg import errors

from judge import NAN, Clauses, create_table, explain, make_tables, rows_or_error, symbol, with_raw
from palettes import MISSING, comparable

QUERIES = int(os.environ.get("MT_QUERIES") or (20000 if os.environ.get("MT_LONG") else 1000)) // 2


@pytest.fixture
def awkward_tables(pg, server, mongo, fresh_namespace, rng):
    tables = make_tables(pg, server, mongo, fresh_namespace, rng)
    pg.execute("SET cpu_operator_cost = 10")
    pg.execute("SET plan_cache_mode = force_generic_plan")
    pg.execute("SET TimeZone = 'Europe/Berlin'")
    yield tables
    for name in tables:
        pg.execute(f"DROP FOREIGN TABLE {name}")


class Verdict:
    """What the queries of one test came to."""

    def __init__(self):
        self.failures, self.pushed, self.by_mongodb, self.passed = [], 0, 0, 0

    def give(self, queries):
        for failure in self.failures[:10]:
            print(*failure, sep="\n    ")
        assert not self.failures, f"{len(self.failures)} of {self.pushed} queries"
        print(f"{queries} queries: {self.pushed} with a $group, {self.by_mongodb} answered by MongoDB, {self.passed} passed rows")
        assert self.pushed > queries * 0.2 and self.passed > self.pushed * 0.3 and self.by_mongodb > self.pushed * 0.5


def filtered(pg, table, clause, parameters=()):
    """The plan that counts each k under FILTER, None: not by MongoDB; the ks, or the error; was it MongoDB?"""
    query = f"SELECT k, count(*) FILTER (WHERE {clause}) FROM {table} GROUP BY k"
    plan = rows_or_error(pg, f"EXPLAIN (VERBOSE, COSTS OFF) {query}", parameters)
    plan = plan if isinstance(plan, str) else "\n".join(row[0] for row in plan)
    if '"$group"' not in plan:
        return None, None, None
    rows = rows_or_error(pg, query, parameters)
    if isinstance(rows, str):
        return plan, rows, False
    is_local = "Answered Locally" in explain(pg, query, parameters, "ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF")
    return plan, sorted((k,) for k, n in rows if n), not is_local


def test_generated_filters(pg, awkward_tables, rng):
    """FILTER lets just those documents through that WHERE does without MongoDB."""
    verdict = Verdict()
    for _ in range(QUERIES):
        table = rng.choice(["awkward", "clean", "french"])
        parameters = [] if rng.random() < 0.5 else None
        clause = Clauses(rng, awkward_tables[table]).clause(parameters)
        parameters = parameters or []
        plan, sent, by_mongodb = filtered(pg, table, clause, parameters)
        local = rows_or_error(pg, f"WITH x AS MATERIALIZED (SELECT * FROM {table}) SELECT k FROM x WHERE {clause} ORDER BY k",
                              parameters)
        # a pattern that ends with its escape fails where it is looked at, be there a row for it or not
        if plan is None or isinstance(local, str) or sent == "22025":
            continue
        verdict.pushed += 1
        verdict.passed += bool(local)
        verdict.by_mongodb += by_mongodb
        if sent != local:
            verdict.failures.append((table, clause, parameters, plan, sent if isinstance(sent, str) else
                                     sorted(set(local) ^ set(sent))[:5]))
    verdict.give(QUERIES)


def test_generated_mismatches(pg, awkward_tables, rng):
    """Where what does not convert is an error, no document passes by it; see the test of that name of WHERE."""
    verdict = Verdict()
    for _ in range(QUERIES // 2):
        clauses = Clauses(rng, awkward_tables["strict"])
        clauses.only_constants = True
        state = rng.getstate()
        clause = clauses.clause(None)
        rng.setstate(state)
        clauses.unknown_mismatch = True
        told = clauses.clause(None)
        local = rows_or_error(pg, f"WITH x AS MATERIALIZED (SELECT * FROM awkward) SELECT k FROM x WHERE {told} ORDER BY k")
        plan, sent, by_mongodb = filtered(pg, "strict", clause)
        if plan is None or isinstance(local, str) or isinstance(sent, str):
            continue
        verdict.pushed += 1
        verdict.passed += bool(local)
        verdict.by_mongodb += by_mongodb
        if sent != local:
            verdict.failures.append((clause, plan, sorted(set(local) ^ set(sent))[:5]))
    verdict.give(QUERIES // 2)


# ---- what would go wrong: each a case of its own ----

NAMED = [
    # columns, documents but for their _ids, what is selected, rows, does MongoDB answer?
    ("a text, b text", [("$b", "x"), ("x", "x"), ("$c", "y")],
     "count(*) FILTER (WHERE a = '$b'), count(*) FILTER (WHERE a IN ('$b', '$$ROOT')), count(*) FILTER (WHERE b <> '$a')", [(1, 1, 3)], True),
    ('a text COLLATE "C", b text', [("$b", "x"), ("x", "x"), ("$c", "y")],
     "count(*) FILTER (WHERE a >= '$b'), count(*) FILTER (WHERE a < '$c')", [(3, 1)], True),
    ("a text, b int", [(("symbol", "ab"), 1), ("ac", 2), ("b", 3)],
     "sum(b) FILTER (WHERE a LIKE 'a%'), count(*) FILTER (WHERE a = 'ab'), count(*) FILTER (WHERE a NOT LIKE '%b'), "
     "count(*) FILTER (WHERE a IS NOT NULL)", [(3, 1, 1, 3)], True),
    ("a int, b bool", [(1, True), (2, True), (4, False), (None, True), (MISSING, None)],
     "count(*) FILTER (WHERE b), count(a) FILTER (WHERE b), sum(a) FILTER (WHERE b), avg(a) FILTER (WHERE b), min(a) FILTER (WHERE b), "
     "max(a) FILTER (WHERE b), max(a), sum(a)", [(3, 2, 3, decimal.Decimal("1.5000000000000000"), 1, 2, 4, 7)], True),
    ("a int, b bool", [(1, True), (2, True)], "sum(a) FILTER (WHERE NOT b), count(a) FILTER (WHERE NOT b), avg(a) FILTER (WHERE NOT b), "
     "min(a) FILTER (WHERE NOT b)", [(None, 0, None, None)], True),
    ("a int, b int", [(1, 1), ("x", 2), ([2], 3), (5.5, 4)], "sum(a) FILTER (WHERE b < 2), count(a) FILTER (WHERE b = 1)", [(1, 1)], True),
    ("a int, b int", [(1, 1), ("x", 2)], "sum(a) FILTER (WHERE b <= 2)", [(1,)], False),
    ("a int, b int", [(1, 1), ("x", 2)], "sum(b) FILTER (WHERE a > 0), sum(b) FILTER (WHERE a IS NULL)", [(1, 2)], True),
    ("a int, b int", [(0, 1), (0, 1), (0, None)], "avg(a) FILTER (WHERE b = 1), sum(a) FILTER (WHERE b = 1)", [(decimal.Decimal("0E-20"), 0)], True),
    ("a int, b int", [], "count(*) FILTER (WHERE a > 1), sum(b) FILTER (WHERE a > 1)", [(0, None)], True),
    ("a float8, b int", [(NAN, 1), (1.5, 2), (7, 4), ("5", 8), (None, 16), (MISSING, 32), (Decimal128("2"), 64), ([1], 128)],
     "sum(b) FILTER (WHERE a < 5), sum(b) FILTER (WHERE a > 5), sum(b) FILTER (WHERE a <> 7), sum(b) FILTER (WHERE a IS NULL)",
     [(66, 5, 67, 184)], True),
    ("a int, b int", [(1, 1), (1.0, 2), (1.5, 4), (Int64(2 ** 31), 8), (Decimal128("1"), 16), (True, 32)],
     "sum(b) FILTER (WHERE a >= 1), sum(b) FILTER (WHERE a IS NULL), sum(b) FILTER (WHERE a IS DISTINCT FROM 1)", [(19, 44, 44)], True),
    ("a int OPTIONS (field 'a.c'), b int", [({"c": 1}, 1), ([{"c": 1}], 2), ([], 4), ({}, 8), (5, 16), (None, 32)],
     "sum(b) FILTER (WHERE a = 1), sum(b) FILTER (WHERE a IS NULL)", [(1, 62)], True),
    ("a int, b int, c int", [(1, 1), (1, 2), (2, 4), (2, 8)],
     "a, sum(b) FILTER (WHERE b IN (1, 8)), count(*) FILTER (WHERE b > 2), count(*) GROUP BY a", [(1, 1, 0, 2), (2, 8, 2, 2)], True),
    ("a text, b int", [("A", 1), ("a", 2)], "sum(b) FILTER (WHERE a = 'a'), sum(b) FILTER (WHERE a <> 'a')", [(2, 1)], True),
    ("a int, b int", [(1, 1)], "count(*) FILTER (WHERE a + 1 = 2)", [(1,)], None),
    ("a int, b int", [(1, 1)], "count(DISTINCT a) FILTER (WHERE b = 1)", [(1,)], None),
    ("a int, b int", [(1, 1)], "count(DISTINCT a), count(*) FILTER (WHERE b = 1)", [(1, 1)], None),
    ("a jsonb OPTIONS (field '$'), b int", [(1, 1)], "count(*) FILTER (WHERE a IS NOT NULL)", [(1,)], None),
    ("a jsonb, b int", [(1, 1), (None, 2), ([None], 4), (MISSING, 8)],
     "sum(b) FILTER (WHERE a IS NOT NULL), sum(b) FILTER (WHERE a IS NULL)", [(5, 10)], True),
]


def document_of(number, values):
    document, raw = {"_id": number}, []
    for name, value in zip("ab", values):
        if isinstance(value, tuple) and value[0] == "symbol":
            raw.append(symbol(name, value[1]))
        elif value != MISSING:
            document[name] = value
    return with_raw(document, *raw)


@pytest.mark.parametrize("case", NAMED, ids=[f"{n} {c[2][:40]}" for n, c in enumerate(NAMED)])
def test_named(pg, server, mongo, fresh_namespace, case):
    columns, documents, selected, expected, by_mongodb = case
    pg.execute("SET cpu_operator_cost = 10")
    for collection, options in (("t", {}), ("f", {"collation": {"locale": "fr", "strength": 1}})):
        target = mongo[fresh_namespace].create_collection(collection, **options)
        if documents:
            target.insert_many(document_of(n, values) for n, values in enumerate(documents))
        pg.execute("DROP FOREIGN TABLE IF EXISTS named_filter")
        create_table(pg, server, "named_filter", columns, fresh_namespace, collection, "null")
        what, _, group = selected.partition(" GROUP BY ")
        query = f"SELECT {what} FROM named_filter" + (f" GROUP BY {group}" if group else "")
        assert comparable(pg.execute(query).fetchall()) == comparable(expected), collection
        plan = explain(pg, query, options="ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF")
        assert {True: '"$group"' in plan and "Answered Locally" not in plan, False: "Answered Locally: true" in plan,
                None: '"$group"' not in plan}[by_mongodb], plan
    pg.execute("DROP FOREIGN TABLE named_filter")


def test_parameters_and_errors(pg, server, mongo, fresh_namespace):
    """A value that is NULL lets nothing through; what does not convert is an error where a row needs it."""
    mongo[fresh_namespace].t.insert_many([{"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": "x", "b": 3}, {"a": 3, "b": "x"}])
    create_table(pg, server, "filtered", "a integer, b integer", fresh_namespace, "t")
    pg.execute("SET cpu_operator_cost = 10")
    pg.execute("SET plan_cache_mode = force_generic_plan")
    pg.execute("PREPARE filtered(int) AS SELECT count(*) FILTER (WHERE b < $1), count(*) FILTER (WHERE b IS DISTINCT FROM $1) FROM filtered")
    plan = explain(pg, "EXECUTE filtered(2)")
    assert '"$lt" : [ "$b", "$1" ]' in plan, plan
    assert [pg.execute(f"EXECUTE filtered({n})").fetchone() for n in (1, 2, 3)] == [(0, 2), (1, 2), (2, 2)]
    assert pg.execute("EXECUTE filtered(NULL)").fetchone() == (0, 3)
    assert pg.execute("SELECT sum(a) FILTER (WHERE b < 3) FROM filtered").fetchone() == (3,)
    with pytest.raises(errors.InvalidCharacterValueForCast):
        pg.execute("SELECT sum(a) FILTER (WHERE b <= 3) FROM filtered")
    for switch in ("enable_aggregate", "enable_filter"):
        pg.execute(f"SET mongo_tail.{switch} = off")
        assert '"$group"' not in explain(pg, "SELECT count(*) FILTER (WHERE b < 3) FROM filtered")
        pg.execute(f"RESET mongo_tail.{switch}")
    pg.execute("DROP FOREIGN TABLE filtered")


@pytest.mark.parametrize("elements, by_mongodb", [(1000, True), (240000, False), (300000, False)],
                         ids=["short", "too long together", "too long"])
def test_long_filters(pg, server, mongo, fresh_namespace, elements, by_mongodb):
    """A command that MongoDB would refuse is not sent: PostgreSQL aggregates."""
    mongo[fresh_namespace].t.insert_many({"a": n, "b": n} for n in range(100))
    pg.execute("DROP FOREIGN TABLE IF EXISTS long_filter")
    create_table(pg, server, "long_filter", "a integer, b integer", fresh_namespace, "t")
    pg.execute("SET cpu_operator_cost = 10")
    condition = f"FILTER (WHERE b = ANY (ARRAY(SELECT g FROM generate_series(50, 49 + {elements}) g)))"
    query = f"SELECT sum(a) {condition}, avg(a) {condition}, count(a) {condition}, min(a) {condition} FROM long_filter"
    assert pg.execute(query).fetchone() == (3725, decimal.Decimal("74.5"), 50, 50)
    plan = explain(pg, query, options="ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF")
    assert ("Answered Locally" not in plan) == by_mongodb
    pg.execute("DROP FOREIGN TABLE long_filter")
