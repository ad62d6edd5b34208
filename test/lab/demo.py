"""demo.py start|stop|lab|lab-stop: MongoDB and PostgreSQL side by side, by hand or on show.

The demo lives in /var/lib/mongo_tail_demo, the lab in /var/lib/mongo_tail_lab:
outside the clone, which user postgres may not be able to enter.  Both servers
listen on loopback only and outlive this program.  Starting again, also after
a crash or beside a running one, begins by ending what is there.
"""

import csv
import datetime
import io
import json
import os
import pathlib
import shutil
import sys
import threading
import time
import zipfile

import pymongo

from harness import MongoServer, PostgresServer, interrupt_on_sigterm, repository, wait_until
from harness.mongo import stop_recorded
from harness.util import free_port, port_is_free

DATA = repository / "build/data/nycflights13"
FLIGHTS = 336_776
BATCH = 5_000
DATABASE = "nycflights"


class Place:
    """A folder with both servers, whose processes are found again by their pid files."""

    def __init__(self, name, mongo_port, postgres_port):
        self.name = name
        self.directory = pathlib.Path(os.environ.get("MT_STATE", "/var/lib")) / f"mongo_tail_{name}"
        self.wanted_ports = (mongo_port, postgres_port)

    def stop(self):
        """End both servers and remove their data; returns whether there was anything."""
        there = self.directory.exists()
        stop_recorded(self.directory / "pg/data/postmaster.pid", "postgres")
        stop_recorded(self.directory / "mongo/mongod.pid", "mongod")
        shutil.rmtree(self.directory, ignore_errors=True)
        return there

    def start(self):
        self.stop()
        self.directory.mkdir(parents=True)
        self.directory.chmod(0o755)
        mongo_port, postgres_port = (p if port_is_free(p) and not os.environ.get("MT_PORTS") else free_port()
                                     for p in self.wanted_ports)
        self.mongo = MongoServer(self.directory / "mongo", port=mongo_port, cache_gb=0.5, outlive=True)
        self.postgres = PostgresServer(self.directory / "pg", port=postgres_port, outlive=True,
                                       settings={"cluster_name": f"mongo_tail {self.name}"})
        self.mongo.start().initiate()
        self.postgres.initdb().start()
        return self

    def psql_line(self):
        return self.postgres.psql_command()


PLACES = {"demo": Place("demo", 27117, 5532), "lab": Place("lab", 27118, 5533)}


# What is printed

def step(text):
    print(f"\n--- {text}", flush=True)


def show_sql(statement):
    print("postgres=# " + statement.strip().replace("\n", "\npostgres-# ") + ";", flush=True)


def show_table(columns, rows, width=64):
    def text(value):
        value = "" if value is None else json.dumps(value) if isinstance(value, (dict, list)) else str(value)
        return value if len(value) <= width else value[:width - 3] + "..."
    cells = [[text(v) for v in row] for row in rows]
    widths = [max(len(line[i]) for line in [columns, *cells]) for i in range(len(columns))]
    print(" " + " | ".join(c.ljust(w) for c, w in zip(columns, widths)))
    print("-" + "-+-".join("-" * w for w in widths) + "-")
    for row in cells:
        print(" " + " | ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip())
    print(f"({len(rows)} row{'' if len(rows) == 1 else 's'})", flush=True)


class Session:
    """A PostgreSQL session that shows what it runs."""

    def __init__(self, connection):
        self.connection = connection

    def run(self, statement, parameters=(), shown=None, hide=0, width=64):
        """Run and print a statement; the last `hide` columns are returned but not printed."""
        show_sql(shown or statement)
        started = time.monotonic()
        cursor = self.connection.execute(statement, parameters or None)
        elapsed = time.monotonic() - started
        if cursor.description is None:
            print(cursor.statusmessage, flush=True)
            return [], elapsed
        columns = [c.name for c in cursor.description]
        rows = cursor.fetchall()
        keep = len(columns) - hide
        show_table(columns[:keep], [row[:keep] for row in rows], width)
        return rows, elapsed


# The data set

def value_of(column, text):
    """A CSV field as MongoDB would have it: NA is null, numbers are numbers, times are dates."""
    if text in ("", "NA"):
        return None
    if column == "time_hour":
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if column in ("tailnum", "carrier", "faa", "name", "model", "origin", "dest", "dst", "tzone", "type",
                  "manufacturer", "engine"):
        return text
    try:
        return int(text)
    except ValueError:
        return float(text)


def documents(file):
    reader = csv.reader(file)
    columns = next(reader)
    for row in reader:
        yield {c: value_of(c, v) for c, v in zip(columns, row)}


def batches(items, size):
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def progress(done, total, started, end="\r"):
    if not sys.stdout.isatty() and end == "\r":
        return
    bar = "#" * (30 * done // total)
    rate = done / max(time.monotonic() - started, 0.001)
    print(f"  flights [{bar:<30}] {done:>7,} of {total:,}  {rate:,.0f}/s", end=end, flush=True)


def load(client, limit=None):
    """The airlines, airports, planes and weather, then the flights with a progress line."""
    database = client[DATABASE]
    for name, key in (("airlines", "carrier"), ("airports", "faa"), ("planes", "tailnum"), ("weather", None)):
        with open(DATA / f"{name}.csv", newline="", encoding="utf-8") as file:
            rows = [{**({"_id": d[key]} if key else {}), **d} for d in documents(file)]
        database[name].insert_many(rows, ordered=False)
        print(f"  {name:<9}{len(rows):>7,}", flush=True)
    total = limit or FLIGHTS
    done, started, said = 0, time.monotonic(), 0
    with zipfile.ZipFile(DATA / "flights.csv.zip") as archive, archive.open("flights.csv") as raw:
        flights = documents(io.TextIOWrapper(raw, encoding="utf-8", newline=""))
        for batch in batches(({"_id": i, **d} for i, d in enumerate(flights, 1)), BATCH):
            batch = batch[:total - done]
            database.flights.insert_many(batch, ordered=False)
            done += len(batch)
            # A terminal gets one moving line; a log file a line every tenth.
            step_of_ten = 10 * done // total
            progress(done, total, started, end="\r" if sys.stdout.isatty() or step_of_ten == said else "\n")
            said = step_of_ten
            if done >= total:
                break
    if sys.stdout.isatty():
        progress(done, total, started, end="\n")
    return done


def connect_servers(session, place):
    session.run("CREATE EXTENSION mongo_tail")
    session.run(f"CREATE SERVER {place.name} FOREIGN DATA WRAPPER mongo_tail\n"
                f"    OPTIONS (uri '{place.mongo.uri}')")
    session.run(f"CREATE USER MAPPING FOR CURRENT_USER SERVER {place.name}")


# The show

class Watcher:
    """Writes in MongoDB a moment after changes() began to wait, and shows what it returned."""

    def __init__(self, session, database):
        self.session = session
        self.database = database
        self.after = None

    def expect(self, shown_write, write, count=1):
        """Run write() while SQL waits; show its rows until `count` came."""
        # changes() is already waiting when the write happens: the wait ends on
        # the event, not on a poll.
        acknowledged = []

        def write_later():
            time.sleep(0.5)
            write()
            acknowledged.append(time.monotonic())
        print(f"mongo> {shown_write}", flush=True)
        writer = threading.Thread(target=write_later)
        writer.start()
        seen = []
        deadline = time.monotonic() + 20
        while len(seen) < count:
            after = "" if self.after is None else f", after => '{self.after}'"
            rows, _ = self.session.run(
                "SELECT operation_type, collection, document_key, full_document, update_description, position::text\n"
                f"  FROM mongo_tail.changes('demo'{after}, wait => '5s')", hide=1)
            returned = time.monotonic()
            seen += rows
            if rows:
                self.after = rows[-1][-1]
            if time.monotonic() > deadline:
                break
        writer.join()
        if len(seen) != count:
            raise SystemExit(f"demo: expected {count} changes of {shown_write}, got {len(seen)}")
        print(f"{1000 * (returned - acknowledged[0]):.1f} ms after MongoDB acknowledged the write", flush=True)
        return seen


def run_show(place):
    began = time.monotonic()
    step("1. A MongoDB replica set of one node, and a PostgreSQL cluster with mongo_tail preloaded")
    place.start()
    print(f"MongoDB    {place.mongo.uri}")
    print(f"PostgreSQL {place.postgres.uri()}", flush=True)
    session = Session(place.postgres.connect())

    step(f"2. Real data into MongoDB: the flights of New York in 2013 (database {DATABASE})")
    with place.mongo.client() as client:
        database = client[DATABASE]
        loaded = load(client, int(os.environ.get("MT_DEMO_FLIGHTS", "0")) or None)

        step("3. Tell PostgreSQL where MongoDB is, and tail it")
        connect_servers(session, place)
        session.run(f"SELECT mongo_tail.start_tail('demo', namespaces => '{{{DATABASE}.*}}')")

        step("4. Write in MongoDB, and see it in SQL while it happens")
        flights = database.flights.with_options(write_concern=pymongo.WriteConcern("majority"))
        watcher = Watcher(session, database)
        flight = {"_id": FLIGHTS + 1, "carrier": "UA", "flight": 1545, "tailnum": "N14228", "origin": "EWR",
                  "dest": "IAH", "dep_delay": 2}
        watcher.expect(f"db.flights.insertOne({json.dumps(flight)})", lambda: flights.insert_one(dict(flight)))
        change = {"$set": {"dep_delay": 95}, "$unset": {"tailnum": 1}}
        watcher.expect(f"db.flights.updateOne({{_id: {flight['_id']}}}, {json.dumps(change)})",
                       lambda: flights.update_one({"_id": flight["_id"]}, change))
        watcher.expect(f"db.flights.deleteOne({{_id: {flight['_id']}}})",
                       lambda: flights.delete_one({"_id": flight["_id"]}))

        step("5. Many at once: every flight of Hawaiian Airlines gets a mark")
        marked = flights.update_many({"carrier": "HA"}, {"$set": {"favourite": True}}).modified_count
        print(f"mongo> db.flights.updateMany({{carrier: 'HA'}}, {{$set: {{favourite: true}}}})    {marked} modified")
        count_after = f"""SELECT operation_type, collection, count(*)
  FROM mongo_tail.changes('demo', after => '{watcher.after}', wait => '5s')
 GROUP BY 1, 2"""

        def all_seen():
            rows = session.connection.execute(count_after).fetchall()
            return rows and sum(r[2] for r in rows) >= marked
        wait_until(all_seen, 10, what="the marks in changes()")
        rows, _ = session.run(count_after)
        if sum(r[2] for r in rows) != marked:
            raise SystemExit(f"demo: {marked} updates in MongoDB, {rows} in PostgreSQL")

        step("6. The ring is a window on the oplog: what was written before the tail began is there too")
        rows, elapsed = session.run(f"""SELECT collection, count(*), min(cluster_time) AS first
  FROM mongo_tail.changes('demo', namespaces => '{{{DATABASE}.flights}}',
                          after => 'oldest', until => '{watcher.after}')
 WHERE operation_type = 'insert'
 GROUP BY 1""")
        if [r[1] for r in rows] != [loaded + 1]:
            raise SystemExit(f"demo: {loaded + 1} inserts in MongoDB, {rows} in PostgreSQL")
        print(f"{loaded + 1:,} changes out of the oplog in {elapsed:.1f} s")
        session.run("SELECT server, shard, state, lag, events, bytes, oplog_first FROM mongo_tail.stat_tail")

        step("7. The collections themselves, as tables: a column for each field, of the type that its values have")
        session.run(f"IMPORT FOREIGN SCHEMA {DATABASE} FROM SERVER demo INTO public")
        rows, _ = session.run("""SELECT c.relname AS table, string_agg(a.attname || ' ' || format_type(a.atttypid, NULL), ', '
                                    ORDER BY a.attnum) AS columns
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
 WHERE c.relkind = 'f' GROUP BY 1 ORDER BY 1""")
        if len(rows) != 5:
            raise SystemExit(f"demo: 5 collections in MongoDB, {len(rows)} tables in PostgreSQL")
        for query in ("""SELECT f._id, f.carrier, f.flight, f.dest, p.manufacturer, p.model
  FROM flights f JOIN planes p ON p._id = f.tailnum
 WHERE f._id IN (1, 1000, 100000)
 ORDER BY 1""", """SELECT carrier, count(*), round(avg(dep_delay)) AS delay
  FROM flights
 WHERE dep_delay > 60
 GROUP BY 1 ORDER BY 2 DESC LIMIT 5"""):
            session.run("EXPLAIN (VERBOSE, COSTS OFF) " + query, width=150)
            rows, elapsed = session.run(query)
            if not rows:
                raise SystemExit("demo: no rows")
            print(f"{len(rows)} rows in {1000 * elapsed:.0f} ms", flush=True)

    step(f"That was all, after {time.monotonic() - began:.0f} s. Both servers go on running.")
    print(f"""
Open psql:       {place.psql_line()}
Try:             SELECT * FROM mongo_tail.changes('demo', after => '{watcher.after}', wait => '5s') LIMIT 5;
In MongoDB:      {sys.executable} -c "import pymongo
pymongo.MongoClient('{place.mongo.uri}').{DATABASE}.flights.insert_one({{'flight': 1}})"
End everything:  make demo-stop""", flush=True)


def run_lab(place):
    place.start()
    session = Session(place.postgres.connect())
    connect_servers(session, place)
    print(f"""
Open psql:       {place.psql_line()}
MongoDB          {place.mongo.uri}
Logs             {place.postgres.log_file}
                 {place.mongo.log_file}
Server objects   CREATE SERVER {place.name} is done; SELECT mongo_tail.start_tail('{place.name}');
End everything:  make lab-stop""", flush=True)


def main():
    interrupt_on_sigterm()
    action = sys.argv[1] if len(sys.argv) == 2 else ""
    if action in ("stop", "lab-stop"):
        name = "demo" if action == "stop" else "lab"
        there = PLACES[name].stop()
        print(f"{name}: both servers ended, their data removed" if there else f"{name}: nothing was there")
        return
    runs = {"start": ("demo", run_show), "lab": ("lab", run_lab)}
    if action not in runs:
        sys.exit(__doc__)
    name, run = runs[action]
    place = PLACES[name]
    try:
        run(place)
    except BaseException as e:
        if not isinstance(e, (KeyboardInterrupt, SystemExit)):
            print(f"\n{name} failed; the server's last words:", file=sys.stderr)
            if getattr(place, "postgres", None):
                print(place.postgres.log_text()[-2000:], file=sys.stderr)
        if hasattr(place, "postgres"):
            print(f"\nThe servers, as far as they run, are left for a look: {place.psql_line()}", file=sys.stderr)
        print(f"make {name}-stop ends them", file=sys.stderr)
        raise


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
