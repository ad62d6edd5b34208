"""FILTER of aggregates that MongoDB computes: conditions as aggregation expressions.

The clauses are those of WHERE (judge.py), each document is a group, and so each shows whether it passes.
"""

import os

import pytest

from judge import Clauses, explain, make_tables, rows_or_error

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


def test_generated_filters(pg, awkward_tables, mongo, fresh_namespace, rng):
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
            differing = sorted(set(local) ^ set(sent))[:2] if isinstance(sent, list) else []
            verdict.failures.append((table, clause, parameters, plan, sent if not differing else
                                     mongo[fresh_namespace][table].find_one({"k": differing[0][0]})))
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
