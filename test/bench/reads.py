"""The rows on reading collections: each function measures and returns some of them.

Two ways to ask.  Where many rows come, the scan itself is measured: MOVE executes
the plan of a cursor and gives its rows to nobody, so that neither an aggregate's
work nor a client's is counted, as the libmongoc program does no more with a document
than to copy it.  It is a fresh session each time, whose connection to MongoDB is
open, as the program's is.  Where few rows come, both are asked by a C program that
has the whole result in its hands at the end (bench_query.c).
"""

import random
import time

from bench_lab import (BATCH_SIZE, CUSTOMERS, DATABASE, ORDERS, PeakRss, command_json, cpu_s, median,
                       rss_anon_mib)
from report import Row

TYPED = "SELECT _id, dep_delay, carrier, tailnum, origin, air_time, distance, time_hour FROM flights"
DOCUMENT = "SELECT document FROM flight_documents"
JOIN = "SELECT o._id, o.price, c.name FROM orders o JOIN customers c ON c._id = o.customer"
JOIN_OF_FEW = "SELECT o._id, o.price, f.carrier FROM orders o JOIN flights f ON f._id = o.customer WHERE o._id < {}"
FEW = 100
QUESTIONS = 300
QUESTIONS_OF_MANY = 40
MEMORY_DOCUMENTS = 5000000


def _move_all(session, query):
    """Execute a query and give its rows to nobody; how many there were, and the seconds."""
    with session.transaction():
        session.execute(f"DECLARE rows NO SCROLL CURSOR FOR {query}")
        started = time.monotonic()
        moved = session.execute("MOVE FORWARD ALL IN rows")
        return int(moved.statusmessage.split()[1]), time.monotonic() - started


def _scan(lab, query):
    """One scan in a fresh session: rows, wall and CPU seconds, and the peak of RssAnon in MiB."""
    with lab.read_session() as session:
        pid = session.info.backend_pid
        session.execute("SELECT FROM flights WHERE _id = 0")
        with PeakRss(pid) as peak:
            cpu = cpu_s(pid)
            count, wall_s = _move_all(session, query)
            cpu = cpu_s(pid) - cpu
    if count != lab.inserts:
        raise RuntimeError(f"{count} rows of {query}")
    return count / wall_s, cpu, peak.mib


def scan(lab):
    """Full scans, against a libmongoc cursor that drains the collection, and against the fastest drain there is.

    All have the same batch size and read concern.  The cursor cannot ask for a
    batch before the last one is consumed, as the scan does; bench_pipeline.c is what
    reading can at best be with libmongoc.
    """
    find = command_json({"find": "flights", "filter": {}, "batchSize": BATCH_SIZE, "$db": DATABASE})
    scans = {"8 typed columns": (TYPED, 0.9), "documents as jsonb": (DOCUMENT, 0.6)}
    drains = {"drain": ("scan of {}", "libmongoc cursor that copies bytes"),
              "pipelined": ("scan of {}, to the limit", "libmongoc, pipelined")}
    ours = {name: [] for name in scans}
    theirs = {how: [] for how in drains}
    for run in range(lab.runs + 1):
        for how, kept in theirs.items():
            drained = lab.drain(find, how)
            if run > 0:
                kept.append(drained)
        for name, kept in ours.items():
            scanned = _scan(lab, scans[name][0])
            if run > 0:
                kept.append(scanned)
    rows = []
    for how, (title, other) in drains.items():
        other_rate = median(d["documents"] / d["wall_s"] for d in theirs[how])
        for name, (_, bar) in scans.items():
            rate, cpu, rss = (median(values) for values in zip(*ours[name]))
            rows.append(Row(title.format(name), rate, "rows/s", other, other_rate, ratio=rate / other_rate, bar=bar,
                            cpu_s=cpu, other_cpu_s=median(d["cpu_s"] for d in theirs[how]), rss_mib=rss,
                            other_rss_mib=median(d["peak_rss_kib"] for d in theirs[how]) / 1024))
    return rows


def _asked(lab, name, other, bar, query, questions, setup="SELECT"):
    """The median of many questions that are asked in turn; the first ones connect, and choose a plan."""
    answers = lab.ask_both(query, questions, setup)[len(questions) // 10:]
    ours, theirs = (median(values) / 1000 for values in zip(*answers))
    return Row(name, ours, "ms", other, theirs, ratio=ours / theirs, bar=bar, at_most=True)


def _find(**parts):
    return {"find": "flights", "batchSize": BATCH_SIZE, "$db": DATABASE, **parts}


def lookups(lab):
    """Few rows by an index, in prepared statements, against the same find."""
    rng = random.Random(1)
    ids = [rng.randrange(lab.inserts) for _ in range(QUESTIONS)]
    tens = [[f"N{rng.randrange(10000, 99999)}" for _ in range(10)] for _ in range(QUESTIONS_OF_MANY)]
    ten = ", ".join(f"${n}" for n in range(1, 11))
    return [
        _asked(lab, "one row by _id", "libmongoc's find_one", 1.5, "SELECT * FROM flights WHERE _id = $1",
               [([n], _find(filter={"_id": n}, limit=1, singleBatch=True)) for n in ids]),
        _asked(lab, "rows of 10 values of an indexed column", "the same find by libmongoc", 2,
               f"SELECT * FROM flights WHERE tailnum IN ({ten})",
               [(values, _find(filter={"tailnum": {"$in": values}})) for values in tens]),
        _asked(lab, "rows of a prefix of an indexed column", "the same find by libmongoc", 2,
               "SELECT * FROM flights WHERE tailnum LIKE 'N4711%'",
               [([], _find(filter={"tailnum": {"$regex": "^N4711"}}))] * QUESTIONS_OF_MANY),
        _asked(lab, "the first 10 of an indexed order", "the same find by libmongoc", 2,
               "SELECT * FROM flights ORDER BY time_hour LIMIT 10",
               [([], _find(filter={}, sort={"time_hour": 1}, limit=10))] * QUESTIONS_OF_MANY)]


def group(lab):
    """Count, sum and average of groups, against the same aggregate by libmongoc."""
    pipeline = [{"$group": {"_id": "$carrier", "n": {"$sum": 1}, "sum": {"$sum": "$dep_delay"},
                            "avg": {"$avg": "$distance"}}}]
    return [_asked(lab, "GROUP BY with count, sum and avg", "the same aggregate by libmongoc", 1.2,
                   "SELECT carrier, count(*), sum(dep_delay), avg(distance) FROM flights GROUP BY carrier",
                   [([], {"aggregate": "flights", "pipeline": pipeline, "cursor": {}, "$db": DATABASE})]
                   * (lab.runs + 1))]


def _join(lab, name, query, expected):
    """A join as it is planned, against the better of joining here and in MongoDB."""
    ways = {"as planned": "SELECT", "here": "SET mongo_tail.enable_join = off",
            "in MongoDB": "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_nestloop = off"}
    times = {way: [] for way in ways}
    with lab.read_session() as session:
        for run in range(lab.runs + 1):
            for way, setting in ways.items():
                session.execute("RESET ALL")
                session.execute(setting)
                plan = str(session.execute(f"EXPLAIN (VERBOSE) {query}").fetchall())
                if way == "in MongoDB" and "$lookup" not in plan:
                    raise RuntimeError(f"MongoDB does not join: {query}")
                count, wall_s = _move_all(session, query)
                if count != expected:
                    raise RuntimeError(f"{count} rows of {query}")
                if run > 0:
                    times[way].append(wall_s * 1000)
    planned = median(times.pop("as planned"))
    better, way = min((median(values), way) for way, values in times.items() if values)
    return Row(name, planned, "ms", f"the better way, {way}", better, ratio=planned / better, bar=1.1, at_most=True)


def join(lab):
    """Many documents with a small collection, and few with a large one."""
    return [_join(lab, f"join of {ORDERS} with {CUSTOMERS}", JOIN, ORDERS),
            _join(lab, f"join of {FEW} with {lab.inserts}", JOIN_OF_FEW.format(FEW), FEW)]


def scan_memory(lab):
    """RssAnon over an idle backend's while one session scans five million documents, and whether it grows."""
    passes = max(2, MEMORY_DOCUMENTS // lab.inserts)
    peaks = []
    with lab.read_session() as idle, lab.read_session() as session:
        idle.execute("SELECT 1")
        base = rss_anon_mib(idle.info.backend_pid)
        for number in range(passes):
            with PeakRss(session.info.backend_pid) as peak:
                _move_all(session, DOCUMENT if number % 2 else TYPED)
            peaks.append(peak.mib - base)
    half = max(peaks[:passes // 2])
    return [
        Row("memory of a scan", max(peaks), "MiB", "idle backend", base, ratio=max(peaks),
            ratio_unit="MiB more", bar=16, at_most=True),
        Row("growth of a scan", max(peaks) - half, "MiB", "after half of the documents", half,
            ratio=max(peaks) - half, ratio_unit="MiB more", bar=1, at_most=True)]


ROWS = {"scan": scan, "lookups": lookups, "group": group, "join": join, "scan_memory": scan_memory}
