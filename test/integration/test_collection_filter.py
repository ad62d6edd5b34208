"""What of WHERE is left to MongoDB: it must send every document whose row passes, and no other when it says so.

Generated clauses (judge.py), and what ever went wrong, each as a case with a name.
"""

import datetime
import os
import uuid

import bson
import psycopg
import pytest
from bson import Binary, Decimal128, Int64, Regex
from psycopg import errors

from judge import (COMPARED, INF, NAN, OBJECT_IDS, TIME_ZONES, UUIDS, Clauses, create_table, date_ms, document_of, documents_of_exact, explain,
                   filter_of_exact, make_tables, mongo_query, rows_or_error, utc, with_raw)

QUERIES = int(os.environ.get("MT_QUERIES") or (20000 if os.environ.get("MT_LONG") else 1000))


@pytest.fixture
def awkward_tables(pg, server, mongo, fresh_namespace, rng):
    tables = make_tables(pg, server, mongo, fresh_namespace, rng)
    pg.execute("SET plan_cache_mode = force_generic_plan")
    pg.execute("SET TimeZone = 'Europe/Berlin'")
    yield tables
    for name in tables:
        pg.execute(f"DROP FOREIGN TABLE {name}")


class Verdict:
    """What the queries of one test came to."""

    def __init__(self):
        self.failures, self.errors_met = [], {}
        self.compared = self.returned = self.exact = 0

    def fail(self, *what):
        self.failures.append(what)

    def give(self, queries, least_returned=0.4):
        for failure in self.failures[:20]:
            print(*failure, sep="\n    ")
        assert not self.failures, f"{len(self.failures)} of {self.compared} queries"
        print(f"{self.compared} compared, {self.returned} returned rows, {self.exact} exact, "
              f"errors without pushdown: {self.errors_met}")
        assert self.compared > queries * 0.8
        assert self.returned > self.compared * least_returned, "the clauses are too narrow to show anything"
        assert self.exact > self.compared * 0.2


def test_generated_clauses(pg, awkward_tables, mongo, fresh_namespace, rng):
    """Each query gives the same rows with its conditions sent and with none; exact filters send no more."""
    verdict = Verdict()
    for _ in range(QUERIES):
        table = rng.choice(["awkward", "clean", "french"])
        parameters = [] if rng.random() < 0.5 else None
        clause = Clauses(rng, awkward_tables[table]).clause(parameters)
        parameters = parameters or []
        local = rows_or_error(pg, f"WITH x AS MATERIALIZED (SELECT * FROM {table}) SELECT k FROM x WHERE {clause} ORDER BY k",
                              parameters)
        sent = rows_or_error(pg, f"SELECT k FROM {table} WHERE {clause} ORDER BY k", parameters)
        if isinstance(local, str):
            verdict.errors_met[table, local] = verdict.errors_met.get((table, local), 0) + 1
            continue
        verdict.compared += 1
        verdict.returned += bool(local)
        if sent != local:
            differing = sorted(set(local) ^ set(sent))[:2] if isinstance(sent, list) else []
            verdict.fail(table, clause, parameters, explain(pg, f"SELECT k FROM {table} WHERE {clause}", parameters),
                         sent if not differing else mongo[fresh_namespace][table].find_one({"k": differing[0][0]}))
            continue
        documents = documents_of_exact(pg, f"SELECT k FROM {table} WHERE {clause}", parameters)
        verdict.exact += documents is not None
        if documents not in (None, len(local)):
            verdict.fail(table, clause, parameters, f"exact: {documents} documents for {len(local)} rows")
    verdict.give(QUERIES)


DAY_MS = 86400000


@pytest.fixture
def times_table(pg, server, mongo, fresh_namespace):
    """Dates around midnights, changes of the clocks, beginnings of units; and what is none."""
    borders = [utc(text) for text in ("1969-01-01", "1970-01-01", "2024-02-29", "2024-03-01", "2011-12-30", "2024-03-10 07:00",
                                      "2024-11-03 06:00", "2024-01-01", "1900-01-01", "2001-01-01", "0001-01-01", "9999-01-01")]
    moments = [int((b - utc("1970-01-01")) / datetime.timedelta(milliseconds=1)) + day * DAY_MS + hours * 3600000 + ms
               for b in borders for day in (-4, -1, 0, 1, 4) for hours, ms in ((-15, 0), (-13, 1800000), (-5, 0), (0, -1), (0, 0), (6, 0), (14, 1))]
    moments += [ms - 300 * 365 * DAY_MS for ms in (0, 9224318015999999)] + [-62135596800000 - year * 365 * DAY_MS for year in (1, 2, 500, 2000)]
    values = [bson.DatetimeMS(ms) for ms in moments] + [[bson.DatetimeMS(0)], None, "1970-01-01", 0]
    collection = mongo[fresh_namespace].times
    collection.insert_many({"k": k, "t": value} for k, value in enumerate(values))
    collection.create_index("t")
    create_table(pg, server, "times", "k integer, t timestamptz, t1 timestamptz(1) OPTIONS (field 't'), ts timestamp OPTIONS (field 't'), "
                 "d date OPTIONS (field 't')", fresh_namespace, "times", "null")
    yield ["k", "t", "t1", "ts", "d"]
    pg.execute("DROP FOREIGN TABLE times")


def test_generated_times(pg, times_table, mongo, fresh_namespace, rng):
    """What is compared of a column of times, in many time zones."""
    verdict = Verdict()
    for _ in range(QUERIES):
        zone = rng.choice(TIME_ZONES)
        pg.execute(f"SET TimeZone = '{zone}'")
        parameters = [] if rng.random() < 0.5 else None
        clause = Clauses(rng, times_table).in_time(parameters)[1]
        parameters = parameters or []
        local = rows_or_error(pg, f"WITH x AS MATERIALIZED (SELECT * FROM times) SELECT k FROM x WHERE {clause} ORDER BY k", parameters)
        sent = rows_or_error(pg, f"SELECT k FROM times WHERE {clause} ORDER BY k", parameters)
        if isinstance(local, str):
            verdict.errors_met[zone, local] = verdict.errors_met.get((zone, local), 0) + 1
            continue
        verdict.compared += 1
        verdict.returned += bool(local)
        plan = explain(pg, f"SELECT k FROM times WHERE {clause}", parameters)
        verdict.exact += '"filter" : { }' not in plan
        if sent != local:
            verdict.fail(zone, clause, parameters, plan, sorted(set(local) ^ set(sent))[:2] if isinstance(sent, list) else sent)
    verdict.give(QUERIES)


def test_generated_jsonpaths(pg, awkward_tables, mongo, fresh_namespace, rng):
    """@@ and @?, on documents with arrays at every level."""
    verdict = Verdict()
    for _ in range(QUERIES):
        clause = Clauses(rng, awkward_tables["awkward"]).in_jsonpath()
        local = rows_or_error(pg, f"WITH x AS MATERIALIZED (SELECT * FROM awkward) SELECT k FROM x WHERE {clause} ORDER BY k")
        sent = rows_or_error(pg, f"SELECT k FROM awkward WHERE {clause} ORDER BY k")
        assert not isinstance(local, str), (clause, local)
        verdict.compared += 1
        verdict.returned += bool(local)
        plan = explain(pg, f"SELECT k FROM awkward WHERE {clause}")
        verdict.exact += '"filter" : { }' not in plan
        if sent != local:
            differing = sorted(set(local) ^ set(sent))[:2] if isinstance(sent, list) else []
            verdict.fail(clause, plan, sent if not differing else mongo[fresh_namespace].awkward.find_one({"k": differing[0][0]}))
    verdict.give(QUERIES, 0.25)   # of the paths many lead nowhere


def test_generated_mismatches(pg, awkward_tables, mongo, fresh_namespace, rng):
    """Where what does not convert is an error, an exact filter selects no document by it.

    The oracle is the table that reads NULL instead, under clauses that then are neither true nor false.
    """
    verdict = Verdict()
    for _ in range(QUERIES // 4):
        clauses = Clauses(rng, awkward_tables["strict"])
        clauses.only_constants = True
        state = rng.getstate()
        clause = clauses.clause(None)
        rng.setstate(state)
        clauses.unknown_mismatch = True
        told = clauses.clause(None)
        local = rows_or_error(pg, f"WITH x AS MATERIALIZED (SELECT * FROM awkward) SELECT k FROM x WHERE {told} ORDER BY k")
        if isinstance(local, str):
            continue
        verdict.compared += 1
        verdict.returned += bool(local)
        chosen = filter_of_exact(pg, f"SELECT k FROM strict WHERE {clause}")
        if chosen is None:
            continue
        verdict.exact += 1
        found = sorted((d["k"],) for d in mongo[fresh_namespace].awkward.find(
            chosen, {"k": 1, "_id": 0}, collation={"locale": "simple"}))
        if found != local:
            verdict.fail(clause, chosen, sorted(set(local) ^ set(found))[:5])
    verdict.give(QUERIES // 4)


def test_generated_joins(pg, awkward_tables, rng):
    """A nested loop gives each value as a parameter, and a rescan is a find of its own."""
    for setting in ("enable_hashjoin", "enable_mergejoin", "enable_material", "enable_memoize"):
        pg.execute(f"SET {setting} = off")
    for table in ("awkward", "clean", "french"):
        for column in ("i8", "n", "c", "t", "u", "f8", "id", "xy"):
            types, values = COMPARED[column]
            rows = ", ".join(f"('{v}'::{types[0]})" for v in rng.sample(values, min(4, len(values))) if "'" not in v)
            operator = rng.choice(["=", "=", "<", ">="])
            collate = ' COLLATE "C"' if types[0] == "text" else ""
            join = f"(VALUES {rows}) v(w) JOIN {{}} t ON t.{column} {operator} v.w{collate}"
            query = "SELECT v.w::text, t.k FROM " + join + " ORDER BY 1, 2"
            sent = pg.execute(query.format(table)).fetchall()
            local = pg.execute(f"WITH x AS MATERIALIZED (SELECT * FROM {table}) " + query.format("x")).fetchall()
            assert sent == local, (table, query)


# ---- what went wrong once, or would: each a case of its own ----

NAMED = [
    # (column's type, field's values, clause, values that pass; -1: the document without the field)
    ("numeric", [Int64(2 ** 53), Int64(2 ** 53 + 1), Decimal128("9007199254740993")], "a = 9007199254740993", [1, 2]),
    ("numeric", [Int64(2 ** 53), Int64(2 ** 53 + 1)], "a <> 9007199254740993", [0]),
    ("numeric", [0.1, Decimal128("0.1"), 0.2], "a = 0.1", [0, 1]),
    ("numeric", [0.3, Decimal128("0.3"), 0.1 + 0.2], "a <= 0.3", [0, 1]),
    ("numeric", [0.1, 1], "a >= 0.1", [0, 1]),
    # PostgreSQL writes the double 1e23 as 9.999999999999999e+22, and its very value is in between
    ("numeric", [1e23, 1], "a >= 1e23", []),
    ("numeric", [1e23, 1], "a <= 9.999999999999999e22", [0, 1]),
    ("numeric", [1e23, 1], "a = 9.999999999999999e22", [0]),
    ("numeric", [1e22, Decimal128("1E+22")], "a = 10000000000000000000000", [0, 1]),
    ("numeric", [Decimal128("1E+6000"), 1e300], "a > 1e400", [0]),
    ("numeric", [Decimal128("NaN"), 5, INF], "a > 4", [0, 1, 2]),
    ("numeric", [Decimal128("NaN"), NAN, 5], "a = 'NaN'", [0, 1]),
    ("numeric", [Decimal128("NaN"), NAN, 5, INF], "a < 'NaN'", [2, 3]),
    ("numeric", [0.1, 5, 6], "a IN (0.1, 5)", [0, 1]),
    ("float8", [NAN, 1, 7.0], "a > 5", [0, 2]),
    ("float8", [NAN, 1, 7.0], "a >= 'NaN'", [0]),
    ("float8", [NAN, 1, 7.0], "a < 5", [1]),
    ("float8", [NAN, 1, 7.0], "a > 'NaN'", []),
    ("float8", [0.0, -0.0, 0], "a = '-0'", [0, 1, 2]),
    ("float8", [NAN, 1, Decimal128("NaN"), Int64(2 ** 53 + 1), INF], "a < 'NaN'", [1, 4]),
    ("float8", [NAN, 1, Decimal128("NaN"), Int64(2 ** 53 + 1), Decimal128("0.1")], "a <= 'NaN'", [0, 1, 2]),
    ("float8", [Int64(2 ** 53), Int64(2 ** 53 + 1), Decimal128("0.1"), Decimal128("0.5"), 1], "a > 0", [0, 3, 4]),
    ("float8", [Int64(2 ** 53 + 1), Decimal128("1E+6000"), Decimal128("Infinity"), 1], "a <> 0", [2, 3]),
    # an array is no value in any of several arms
    ("float8", [NAN, 7.0, [7.0], [NAN], 5, [1, NAN]], "a > 5", [0, 1]),
    ("text", ["b", ["b"], OBJECT_IDS[1], [OBJECT_IDS[1]]], "a > '5' COLLATE \"C\"", [0, 2]),
    ("real", [0.1, 0.5, 0.25], "a = 0.1::float8", []),
    ("real", [0.1, 0.5, 0.25], "a IN (0.1::real, 0.5)", [1]),
    ("int4", [None, "", 5, [5], 7, "7", {}], "a > 4", [2, 4]),
    ("int4", [5, [5], [5, 7], 5.0, Int64(5), Decimal128("5"), 5.5], "a = 5", [0, 3, 4, 5]),
    ("int4", [5, None, 6, ["x"]], "a <> 5", [2]),
    ("int4", [5, 2 ** 31, "a", None, [5], 5.5, {}], "a IS NULL", [-1, 1, 2, 3, 4, 5, 6]),
    ("int4", [5, 6, 7], "a NOT IN (5, NULL)", []),
    ("int4", [5, None, 7], "a <> ALL ('{}')", [-1, 0, 1, 2]),
    ("int4", [5, None, 7], "a IN (5, NULL)", [0]),
    ("int4", [5, None, 7], "a = 7 OR a IS NULL", [-1, 1, 2]),
    ("int4", [3, [1, 9], 5], "a BETWEEN 2 AND 6", [0, 2]),
    ("int8", [Int64(2 ** 63 - 1), Int64(2 ** 53), Int64(2 ** 53 + 1)], "a = 9007199254740993", [2]),
    ("jsonb", [[None], None, {}, 5], "a IS NOT NULL", [0, 2, 3]),
    ("jsonb", [[None], None, {}, 5], "a IS NULL", [-1, 1]),
    ("int4[]", [[1, None], None, [None], []], "a IS NOT NULL", [0, 2, 3]),
    ("text", ["a", OBJECT_IDS[1], str(OBJECT_IDS[1])], f"a = '{OBJECT_IDS[1]}'", [1, 2]),
    ("text", [OBJECT_IDS[0], OBJECT_IDS[1], "/", "0"], "a < '0' COLLATE \"C\"", [2]),
    ("text", ["a", OBJECT_IDS[1]], f"a = '{str(OBJECT_IDS[1]).upper()}'", []),
    ("text", ["a", OBJECT_IDS[1], "7"], "a < '7' COLLATE \"C\"", [1]),
    ("text", ["a", OBJECT_IDS[1], "7"], f"a <> '{OBJECT_IDS[1]}'", [0, 2]),
    ("text", ["\uffff", "\U0001d11e", "a"], "a > '\uffff' COLLATE \"C\"", [1]),
    ("text", ["a", "A", "\u00e4"], "a = 'a'", [0]),
    ("char(3)", ["a", "a ", "a  "], "a = 'a'", [0, 1, 2]),
    ("varchar", ["a", "b"], "a IN ('a', 'c')", [0]),
    ("timestamptz", [utc("1969-12-31 23:59:59.999"), utc("1970-01-01")], "a < '1969-12-31 23:59:59.9995Z'", [0]),
    ("timestamptz", [utc("1969-12-31 23:59:59.999"), utc("1970-01-01")], "a >= '1969-12-31 23:59:59.9985Z'", [0, 1]),
    ("timestamptz", [utc("1970-01-01"), utc("1970-01-01 00:00:00.001")], "a = '1970-01-01 00:00:00.0005Z'", []),
    ("timestamptz", [utc("1970-01-01"), None], "a < 'infinity'", [0]),
    ("timestamptz", [utc("1970-01-01"), None], "a > '-infinity'", [0]),
    ("date", [utc("2024-02-29"), utc("2024-02-29 12:00"), utc("2024-03-01")], "a <= '2024-02-29'", [0]),
    ("date", [utc("2024-02-29"), utc("2024-02-29 12:00"), utc("2024-03-01")], "a > '2024-02-28'", [0, 2]),
    # the time zone of the cases is UTC
    ("timestamptz", [utc("2024-02-29"), utc("2024-02-29 23:59:59.999"), utc("2024-03-01"), [utc("2024-02-29")]], "a::date = '2024-02-29'", [0, 1]),
    ("timestamptz", [utc("2024-02-28 10:00"), utc("2024-02-28 09:59:59.999"), utc("2024-02-29 10:00")],
     "(a AT TIME ZONE 'Pacific/Kiritimati')::date = '2024-02-29'", [0]),
    ("timestamptz", [utc("2024-02-29 10:00"), utc("2024-03-01 09:59:59.999"), utc("2024-03-01 10:00")],
     "(a AT TIME ZONE 'Pacific/Honolulu')::date = '2024-02-29'", [0, 1]),
    # Samoa had no 30th of December, and lies a day apart since
    ("timestamptz", [utc("2011-12-30 09:59:59.999"), utc("2011-12-30 10:00"), utc("2011-12-29 10:00")],
     "date_trunc('day', a, 'Pacific/Apia') = '2011-12-30 10:00Z'", [1]),
    ("timestamptz", [utc("2024-01-31 18:30"), utc("2024-02-29 18:29:59.999"), utc("2024-02-29 18:30")],
     "date_trunc('month', a, 'Asia/Kolkata') = '2024-01-31 18:30Z'", [0, 1]),
    ("timestamp", [utc("2024-01-01"), utc("2024-12-31 23:59:59.999"), utc("2025-01-01"), utc("2023-12-31 23:59")], "extract(year FROM a) = 2024", [0, 1]),
    ("timestamp", [utc("2024-02-29"), utc("2024-02-29 23:59:59.999"), utc("2024-03-01")], "a::date = '2024-02-29'", [0, 1]),
    ("timestamp", [utc("2024-12-31"), utc("2020-01-01"), utc("2030-01-01")], "date_trunc('decade', a) = '2020-01-01'", [0, 1]),
    # a day of 25 hours
    ("timestamptz", [utc("2024-11-03 04:00"), utc("2024-11-04 04:59:59.999"), utc("2024-11-04 05:00")],
     "date_trunc('day', a, 'America/New_York') = '2024-11-03 04:00Z'", [0, 1]),
    # there is no year 0
    ("timestamp", [date_ms(-62135596800000), date_ms(-62135596800001), date_ms(-62167219200000), date_ms(-62167219200001)],
     "extract(year FROM a) = -1", [1, 2]),
    ("timestamp", [date_ms(-62135596800000), date_ms(-62135596800001), date_ms(-62167219200001)], "extract(year FROM a) < 0", [1, 2]),
    ("timestamp", [utc("2024-01-01")], "extract(year FROM a) < 'NaN'", [0]),
    ("timestamp", [utc("2024-01-01"), date_ms(9224318015999999), date_ms(-210866803200000)], "a::date < 'infinity' AND a::date > '-infinity'", [0, 1, 2]),
    ("timestamp", [date_ms(9224318015999999), date_ms(9224317929600000), date_ms(9224317929599999)], "a::date >= '294276-12-31'", [0, 1]),
    ("timestamp", [date_ms(-210866803200000), date_ms(-210866803200000 + 86400000)], "a::date <= '4714-11-24 BC'", [0]),
    ("uuid", [Binary(UUIDS[2].bytes, 4), Binary(UUIDS[2].bytes, 3), str(UUIDS[2])], f"a = '{UUIDS[2]}'", [0, 1]),
    # the double 2^60 reads as its shortest digits, which are those of another integer
    ("numeric", [2.0 ** 60, Int64(2 ** 60), Int64(1152921504606847000)], "a = 1152921504606847000", [0, 2]),
    ("numeric", [2.0 ** 60, Int64(2 ** 60), Int64(1152921504606847000)], "a <> 1152921504606846976", [0, 2]),
    ("numeric", [2.0 ** 60, Int64(2 ** 60), Int64(1152921504606847000)], "a < 1152921504606847000", [1]),
    ("numeric", [0.1, Decimal128("0.1"), Decimal128("0.1000000000000000055511151231257827")],
     "a > 0.10000000000000000555111512312578270211", []),
    ("numeric", [0.1, Decimal128("0.1"), Decimal128("0.1000000000000000055511151231257828")],
     "a > 0.10000000000000000555111512312578270211", [2]),
    ("numeric(20, 2)", [0.25, 0.125, 5, "5"], "a IN (0.125, 0.25)", [0]),
    ("int2", [Int64(70000), 5], "a = 70000", []),
    ("int4", [5.5, 6, 2.0 ** 40, Decimal128("7.0"), Decimal128("7.5"), NAN, INF, Int64(2 ** 40)], "a > 5", [1, 3]),
    ("int4", [-5.5, -6, -2.0 ** 40, Binary(b"x", 0)], "a < 5", [1]),
    ("int4", [5, 6, 7.0], "a::numeric > 5.5", [1, 2]),
    ("int4", [5, 6, 7.0], "a::float8 <= 6", [0, 1]),
    ("int8", [Int64(2 ** 53 + 1), Int64(2 ** 53)], "a::float8 = 9007199254740992", [0, 1]),
    ("text", ["ab", "a\nb", "a", "ba", "a%b"], "a LIKE 'a%b'", [0, 1, 4]),
    ("text", ["a", "a\n", "a\0"], "a LIKE 'a'", [0]),
    ("text", ["a", "a\n", "ab"], "a LIKE 'a_'", [1, 2]),
    ("text", ["a.c", "abc", "a\\c"], "a LIKE 'a.c'", [0]),
    ("text", ["a%c", "abc"], "a LIKE 'a\\%c'", [0]),
    ("text", ["aba", "ab", "ba", "abba", "ababa"], "a LIKE 'ab%ba'", [3, 4]),
    ("text", ["xaxbx", "xbxax"], "a LIKE '%a%b%'", [0]),
    ("text", [OBJECT_IDS[1], str(OBJECT_IDS[1]), OBJECT_IDS[0]], "a LIKE '65%'", [0, 1]),
    ("text", [OBJECT_IDS[1], str(OBJECT_IDS[1]), OBJECT_IDS[0], Regex("a")], "a LIKE '%a%'", [0, 1]),
    ("text", [OBJECT_IDS[1], OBJECT_IDS[0], "b", "a", Regex("a"), Regex("^[^\\x00]*+\\z", "s")], "a NOT LIKE '%a%'", [1, 2]),
    ("text", ["b", "a\0", "z", OBJECT_IDS[1]], "a > 'a' COLLATE \"C\"", [0, 2]),
    ("varchar(2)", ["ab", "abc", "b", OBJECT_IDS[1]], "a > 'a' COLLATE \"C\"", [0, 2]),
    ("varchar(2)", ["ab", "abc", "b"], "a IN ('abc', 'b')", [2]),
    ("varchar(23)", ["a", OBJECT_IDS[1], "x" * 24], "a IS NOT NULL", [0]),
    ("varchar(24)", ["a", OBJECT_IDS[1], "x" * 24, "x" * 25], "a IS NOT NULL", [0, 1, 2]),
    ("varchar(2)", ["ab", "abc", "\u00e9\u00e9"], "a LIKE '__%'", [0, 2]),
    ("char(3)", ["a", "a ", "a   ", "ab"], "a <> 'a'", [3]),
    ("date", [utc("2024-02-29"), utc("2024-02-29 12:00"), utc("2024-03-01")], "a = '2024-02-29 12:00'::timestamp", []),
    ("date", [utc("2024-02-29"), utc("2024-02-29 12:00"), utc("2024-03-01")], "a < '2024-02-29 12:00'::timestamp", [0]),
    ("timestamptz", [utc("2024-02-28 23:00"), utc("2024-02-29")], "a >= '2024-02-29'::date", [1]),
    ("timestamptz(0)", [utc("2024-02-29 00:00:00.5"), utc("2024-02-29")], "a = '2024-02-29 00:00:00.5Z'::timestamptz(3)", []),
    ("timestamptz(0)", [utc("2024-02-29 00:00:00.5"), utc("2024-02-29")], "a > '2024-02-28'", [1]),
    ("timestamptz", [date_ms(2 ** 63 - 1), date_ms(9224318015999999), utc("2024-02-29")], "a > '2024-02-28'", [1, 2]),
    ("uuid", [Binary(u.bytes, s) for u in UUIDS for s in (3, 4, 0)], f"a > '{UUIDS[0]}'", [3, 4, 6, 7]),
    ("uuid", [Binary(UUIDS[1].bytes, s) for s in (0, 3, 4, 5)] + [Binary(b"x" * 15, 4), Binary(b"x" * 17, 3)], "a IS NOT NULL", [1, 2]),
    ("int4", [5, None, 7, "x"], "a IS DISTINCT FROM 5", [-1, 1, 2, 3]),
    ("int4", [5, None, 7], "a IS NOT DISTINCT FROM 5", [0]),
    ("int4", [5, None, 7], "a <> ALL ('{5,NULL}')", []),
    ("int4", [5, None, 7], "NOT (a < 6 OR a IS NULL)", [2]),
    ("text[]", [["a"], [["a"]], "a", ["b", "a"]], "a @> '{a}'", [0, 1, 3]),
    ("text[]", [["a"], [["a", "b"], ["c", "d"]], "d"], "'d' = ANY (a)", [1]),
    ("int4[]", [[5, 7.0], [7], [Int64(5)], [5.5]], "a && '{5,9}'", [0, 2]),
    ("bytea", [Binary(b"a", 0), Binary(b"a", 2), Binary(b"a", 200), Binary(b"b", 0)], "a = 'a'", [0, 1, 2]),
    # newer servers refuse a subtype 7 that is none
    ("bytea", [Binary(b"\0", 7), Binary(b"\0", 0), Binary(b"\1", 0), b"aaaa"], "a = '\\x00'", [0, 1]),
    ("bytea", [Binary(b"\0", 7), b"aaaa", b"a", Binary(b"", 5)], "a IN ('aaaa', '\\x00', '')", [0, 1, 3]),
    ("bytea", [b"a" * 5000, b"a" * 4999, b"b"], "a IN (repeat('a', 5000)::bytea, 'b')", [0, 2]),
    # to -> a scalar is an array of one element
    ("jsonb", [5, [5], [[5]]], "a -> 0 = '5'", [0, 1]),
    ("jsonb", [{"k": 5}, {"k": "5"}, {"k": 5.0}, {"k": [5]}, [{"k": 5}]], "a ->> 'k' = '5'", [0, 1]),
    ("jsonb", [{"k": "a\0"}, {"k": "a\ufffd"}], "a ->> 'k' = 'a\ufffd'", [0, 1]),
    ("jsonb", [{"k": True}, {"k": "true"}, {"k": 1}], "a ->> 'k' IN ('true', 'x')", [0, 1]),
    ("jsonb", [{"k": {"j": [1, 2]}}, {"k": {"j": 1}}], "a @> '{\"k\": {\"j\": [2]}}'", [0]),
    ("jsonb", [{"k": None}, {}, ["k"], "k", [{"k": 1}]], "a ? 'k'", [0, 2, 3]),
    ("jsonb", [{"k": Int64(2 ** 53 + 1)}, {"k": 2.0 ** 53}, {"k": "9007199254740992"}, {"k": "1"}],
     "(a ->> 'k')::float8 = 9007199254740992", [0, 1, 2]),
    ("jsonb", [{"k": 7}, {"k": " 8 "}, {"k": "1"}], "(a ->> 'k')::int > 5", [0, 1]),
    ("jsonb", [{"k": 5}, {"k": [5]}, [{"k": 5}], {"k": [[5]]}, [[{"k": 5}]], {"k": "5"}, {"k": {"j": 5}}], "a @@ '$.k == 5'", [0, 1, 2]),
    # what a filter sees of an array is an element, of which the comparison takes the elements again
    ("jsonb", [{"k": 5}, {"k": [5]}, {"k": [[5]]}, {"k": [[[5]]]}], "a @? '$.k ? (@ == 5)'", [0, 1, 2]),
    ("jsonb", [{"k": [{"j": 5}]}, {"k": [[{"j": 5}]]}, {"k": [[[{"j": 5}]]]}, {"k": {"j": [5]}}, {"k": {"j": 6}}],
     "a @? '$.k[*] ? (@.j == 5)'", [0, 1, 2, 3]),
    ("jsonb", [[5], [[5]], [[[5]]], 5], "a @@ '$[*] == 5'", [0, 1, 3]),
    ("jsonb", [{"k": None}, {}, {"k": []}, {"k": [None]}, {"k": 0}, {"k": False}], "a @@ '$.k == null'", [0, 3]),
    ("jsonb", [{"k": None}, {"k": 5}], "a @@ '$.k <= null'", [0]),
    ("jsonb", [{"k": "b"}, {"k": "a"}, {"k": 5}], "a @@ '$.k > \"a\"'", [0]),
    ("jsonb", [{"k": Int64(2 ** 53 + 1)}, {"k": 2.0 ** 53}, {"k": Int64(2 ** 53)}], "a @@ '$.k > 9007199254740992'", [0]),
    ("jsonb", [{"k": Int64(2 ** 53 + 1)}, {"k": 2.0 ** 53}, {"k": 2.0 ** 60}], "a @@ '$.k == 1152921504606846976'", [2]),
    ("jsonb", [{"k": 0.1}, {"k": 0.3}, {"k": 0.1 + 0.2}, {"k": NAN}, {"k": Decimal128("0.3")}, {"k": INF}], "a @@ '$.k >= 0.3'", [1, 2]),
    ("jsonb", [{"k": 5}, {"k": {"$numberDecimal": "5"}}, {"k": Decimal128("5")}], "a @@ '5 == $.k'", [0]),
    ("jsonb", [{"0": 5}, [5], [{"0": 5}], {"a": 5}], "a @@ '$.\"0\" == 5'", [0, 2]),
    ("jsonb", [{"k": 5, "j": 1}, {"k": 5, "j": 2}], "a @@ '$.k == 5 && $.j > 1'", [1]),
    ("jsonb", [{"k": {"j": 1}}, {"k": [{"j": None}]}, {"k": 5}, [[{"k": {"j": 1}}]]], "a @? '$.k.j'", [0, 1]),
    ("jsonb", [{"k": [5]}, {"k": 5}, {}], "a @? 'strict $.k[*]'", [0]),
    ("bool", [True, False, None, [True], 1], "a", [0]),
    ("bool", [True, False, None, [True], 1], "NOT a", [1]),
    ("bool", [True, False, None, [True], 1], "a IS NOT TRUE", [-1, 1, 2, 3, 4]),
]


# the longest of each unit
NAMED += [("timestamp", [utc(start), utc(end) - datetime.timedelta(milliseconds=1), utc(end)], f"date_trunc('{unit}', a) = '{start}'", [0, 1])
          for unit, start, end in (
              ("second", "2024-02-29 12:00:59", "2024-02-29 12:01"), ("hour", "2024-02-29 23:00", "2024-03-01"), ("day", "2024-02-29", "2024-03-01"),
              ("week", "2024-02-26", "2024-03-04"), ("month", "2024-01-01", "2024-02-01"), ("quarter", "2024-07-01", "2024-10-01"),
              ("year", "2024-01-01", "2025-01-01"), ("decade", "2020-01-01", "2030-01-01"), ("century", "1901-01-01", "2001-01-01"),
              ("millennium", "1001-01-01", "2001-01-01"))]


@pytest.mark.parametrize("case", NAMED, ids=[f"{c[0]}: {c[2]}" for c in NAMED])
def test_named(pg, server, mongo, fresh_namespace, case):
    """With and without pushdown, in a collection with the French collation, too; an exact filter sends no more."""
    kind, values, clause, expected = case
    mongo[fresh_namespace].create_collection("t")
    mongo[fresh_namespace].create_collection("f", collation={"locale": "fr", "strength": 1})
    pg.execute("SET TimeZone = 'UTC'")
    query = f"SELECT _id FROM named WHERE {clause.replace('%', '%%')} ORDER BY _id"
    for collection in ("t", "f"):
        mongo[fresh_namespace][collection].insert_many([document_of(n, "a", v) for n, v in enumerate(values)] + [{"_id": -1}])
        pg.execute("DROP FOREIGN TABLE IF EXISTS named")
        create_table(pg, server, "named", f"_id integer, a {kind}", fresh_namespace, collection, "null")
        for enabled in ("on", "off"):
            pg.execute(f"SET mongo_tail.enable_pushdown = {enabled}")
            assert [r[0] for r in pg.execute(query, ())] == expected, (collection, enabled)
        pg.execute("RESET mongo_tail.enable_pushdown")
        assert documents_of_exact(pg, query) in (None, len(expected))


# ---- indexes ----

INDEXED = [
    # clause, index keys and documents that MongoDB may look at
    ("a = 5", 2, 1),
    ("a IN (1, 5, 7, 9, 11, 13, 15, 17, 19, 21)", 21, 10),
    ("a > 19990", 10, 9),
    ("a::numeric <= 9.5", 11, 10),
    ("a BETWEEN 10 AND 19", 11, 10),
    ("_id = 5", 2, 1),
    ("_id IN (5, 6, 7)", 4, 3),
    ("s = 'k00005'", 2, 1),
    ("s LIKE 'k0001%'", 12, 10),
    ("s LIKE 'k000_5%'", 101, 10),
    ("s < 'k00010'", 11, 10),
    ("n = 5", 2, 1),
    ("n = 0.25", 2, 1),
    ("d > 19990", 20, 18),  # the exact form's two guards are two scans of the range
    ("at = '2024-02-29T00:00:05Z'", 2, 1),
    ("u = '00000000-0000-0000-0000-000000000005'", 3, 1),
    ("date_trunc('hour', at) = '2024-03-02T05:30:00Z'", 201, 200),  # a range that begins two days before
]


def test_filters_use_indexes(pg, server, mongo, fresh_namespace):
    """Neither the superset nor the guards of the exact form keep MongoDB from reading little."""
    start = utc("2024-02-29")
    collection = mongo[fresh_namespace].indexed
    collection.insert_many({"_id": n, "a": n, "s": f"k{n:05}", "n": n / 4 if n == 1 else n, "d": float(n),
                            "at": start + datetime.timedelta(seconds=n), "u": Binary.from_uuid(uuid.UUID(int=n))}
                           for n in range(20000))
    for field in ("a", "s", "n", "d", "at", "u"):
        collection.create_index(field)
    create_table(pg, server, "indexed", '_id integer, a integer, s text COLLATE "C", n numeric, d double precision, '
                 "at timestamptz, u uuid", fresh_namespace, "indexed")
    pg.execute("SET mongo_tail.enable_projection = off")
    failures = []
    for clause, keys, documents in INDEXED:
        for exact in (False, True):
            pg.execute(f"SET mongo_tail.exact_filters = {exact}")
            query = mongo_query(explain(pg, f"SELECT * FROM indexed WHERE {clause}"))
            plan = collection.database.command("explain", query, verbosity="executionStats")["executionStats"]
            if plan["totalKeysExamined"] > keys + 3 or plan["totalDocsExamined"] > documents or plan["nReturned"] == 0:
                failures.append((clause, exact, plan["totalKeysExamined"], plan["totalDocsExamined"], plan["nReturned"]))
    pg.execute("DROP FOREIGN TABLE indexed")
    assert not failures


PATHS = [
    # field, documents' x, clause, ks that pass
    ("x.y", [{"y": 5}, {"y": 6}, [{"y": 5}], 5, [], None, {}], "a = 5", [0]),
    ("x.y", [{"y": 5}, {"y": None}, [{"y": 5}], 5, [], [1], None, {}], "a IS NULL", [1, 2, 3, 4, 5, 6, 7]),
    ("x.y", [{"y": 5}, {"y": None}, [{"y": 5}], 5, []], "a IS NOT NULL", [0]),
    ("x.0", [[7, {"0": None}], [5], {"0": 7}, [[7]], [None], 7], "a <> 5", [0, 2]),
    ("x.0", [[7, {"0": None}], {"0": 7}, [None, 7], 7], "a IS NOT NULL", [0, 1]),
    ("x.0.y", [[{"y": 5}], [{"y": 6}, {"y": 5}], {"0": {"y": 5}}], "a = 5", [0, 2]),
    ("x.$y", [{"$y": 5}, {"y": 5}], "a = 5", [0]),
    ("x..y", [{"": {"y": 5}}, {"y": 5}], "a = 5", [0]),
]


@pytest.mark.parametrize("case", PATHS, ids=[f"{c[0]}: {c[2]}" for c in PATHS])
def test_paths(pg, server, mongo, fresh_namespace, case):
    field, values, clause, expected = case
    mongo[fresh_namespace].t.insert_many([with_raw({"_id": n, "x": v}) for n, v in enumerate(values)])
    pg.execute("DROP FOREIGN TABLE IF EXISTS paths")
    create_table(pg, server, "paths", f"_id integer, a integer OPTIONS (field '{field}')", fresh_namespace, "t", "error")
    pg.execute("ALTER FOREIGN TABLE paths OPTIONS (SET on_mismatch 'null')" if "<>" in clause else "SELECT")
    for enabled in ("off", "on"):
        pg.execute(f"SET mongo_tail.enable_pushdown = {enabled}")
        rows = pg.execute(f"SELECT _id FROM paths WHERE {clause} ORDER BY _id").fetchall()
        assert [r[0] for r in rows] == expected, enabled
    assert documents_of_exact(pg, f"SELECT _id FROM paths WHERE {clause}") in (None, len(expected))


def test_constraint_of_domain_is_owed(pg, server, mongo, fresh_namespace):
    """What violates a domain is an error even where nothing but MongoDB needs to see the value."""
    mongo[fresh_namespace].t.insert_many({"_id": n, "a": a} for n, a in enumerate((5, 7, -5)))
    pg.execute("CREATE DOMAIN few AS integer CHECK (VALUE > 0)")
    for mode in ("null", "error"):
        create_table(pg, server, "constrained", "_id integer, a few", fresh_namespace, "t", mode)
        for query in ("SELECT count(*) FROM constrained WHERE a < 6", "SELECT count(*) FROM constrained WHERE a = -5",
                      "SELECT _id FROM constrained WHERE a = -5 LIMIT 1", "SELECT _id FROM constrained WHERE a IS NOT NULL LIMIT 3"):
            with pytest.raises(errors.CheckViolation):
                pg.execute(query)
            assert filter_of_exact(pg, query) is None
        pg.execute("DROP FOREIGN TABLE constrained")
    pg.execute("DROP DOMAIN few")


def test_mismatch_error(pg, server, mongo, fresh_namespace):
    """What does not convert is an error that names it, unless MongoDB filtered the document out."""
    mongo[fresh_namespace].t.insert_many([{"_id": 1, "a": 5}, {"_id": 2, "a": "five"}])
    create_table(pg, server, "strict", "_id integer, a integer", fresh_namespace, "t")
    with pytest.raises(errors.InvalidCharacterValueForCast) as caught:
        pg.execute("SELECT * FROM strict")
    assert f"{fresh_namespace}.t" in str(caught.value) and "with _id 2" in caught.value.diag.message_detail
    assert pg.execute("SELECT * FROM strict WHERE a = 5").fetchall() == [(1, 5)]
    assert pg.execute("SELECT _id FROM strict ORDER BY 1").fetchall() == [(1,), (2,)]
    pg.execute("DROP FOREIGN TABLE strict")
