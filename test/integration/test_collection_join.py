"""Joins that MongoDB makes by $lookup: the rows are those that PostgreSQL's own joins give.

Generated joins over the collections of palettes.py, of which each field draws its values from plain to
awkward; PostgreSQL's join methods are switched off, so that what can be MongoDB's is.
"""

import os
import re

import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from psycopg import errors

from judge import NAN, UUIDS, Clauses, create_table, create_types, explain, rows_or_error, symbol, undefined, utc, with_raw
from palettes import COLLECTIONS, MISSING, NAMES, UNDEFINED, comparable, make_palette_tables

QUERIES = int(os.environ.get("MT_QUERIES") or (20000 if os.environ.get("MT_LONG") else 1000)) // 2

ONLY_FOREIGN = "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_nestloop = off"

# pairs that are joined, as what stands on either side of the =
INTEGERS = ["i2", "i4", "i8", "xy"]
TEXTS = ["s", "c", "v", "v3", "v25", "id"]
OTHERS = [("f8", "f8"), ("i4", "f8"), ("f8", "i2"), ("b", "b"), ("t", "t"), ("ts", "ts"), ("d", "d"), ("d", "ts"), ("ts", "d"),
          ("u", "u"), ("n", "n"), ("f4", "f8"), ("bp", "bp"), ("o", "o"), ("en", "en"), ("ts", "t"), ("e", "e"), ("n2", "n"),
          ("i8::numeric", "i4"), ("i4", "n"), ("x", "x"), ("ci", "ci"), ("i4 + 1", "i8"), ("dom", "c"), ("x0", "s")]
EXTRAS = ["l.i8 < r.i8", "l.i4 = r.i8", "l.s <> r.c COLLATE \"C\"", "l.k <= r.k", "l.s = r.s COLLATE \"C\"", "l.i4 + r.i4 > 5",
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
    query = f"{froms[0]} JOIN {froms[1]} ON {' AND '.join(on)}"
    if len(aliases) == 3:
        query += f" JOIN {froms[2]} ON {equality(rng, rng.choice('lr'), 'q')}"
    outputs = [f"{alias}.{column}" for alias in aliases for column in rng.sample(used, rng.randrange(1, 4))]
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
