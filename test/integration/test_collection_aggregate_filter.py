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


def test_generated_filters(pg, awkward_tables, mongo, fresh_namespace, rng):
    """FILTER lets just those documents through that WHERE does without MongoDB."""
    failures, compared, pushed, by_mongodb, passed = [], 0, 0, 0, 0
    for _ in range(QUERIES):
        table = rng.choice(["awkward", "clean", "french"])
        parameters = [] if rng.random() < 0.5 else None
        clause = Clauses(rng, awkward_tables[table]).clause(parameters)
        parameters = parameters or []
        query = f"SELECT k, count(*) FILTER (WHERE {clause}) FROM {table} GROUP BY k"
        plan = explain(pg, query, parameters)
        if '"$group"' not in plan:
            continue
        pushed += 1
        local = rows_or_error(pg, f"WITH x AS MATERIALIZED (SELECT * FROM {table}) SELECT k FROM x WHERE {clause} ORDER BY k",
                              parameters)
        sent = rows_or_error(pg, query, parameters)
        if isinstance(local, str):
            continue
        compared += 1
        passed += bool(local)
        by_mongodb += "Answered Locally" not in explain(pg, query, parameters, "ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF")
        if isinstance(sent, list):
            sent = sorted((k,) for k, n in sent if n)
        if sent != local:
            differing = sorted(set(local) ^ set(sent))[:2] if isinstance(sent, list) else []
            failures.append((table, clause, parameters, plan, sent if not differing else
                             mongo[fresh_namespace][table].find_one({"k": differing[0][0]})))
    for failure in failures[:10]:
        print(*failure, sep="\n    ")
    assert not failures, f"{len(failures)} of {compared} queries"
    print(f"{QUERIES} queries: {pushed} with a $group, {compared} compared, {passed} returned rows, {by_mongodb} by MongoDB")
    assert compared > QUERIES * 0.2 and passed > compared * 0.4 and by_mongodb > compared * 0.5
