"""What breaks goes on by itself: PostgreSQL, MongoDB, and the way between them.

Two databases have a tail each, so that nothing depends on the one that a
session happens to be connected to.
"""

import contextlib
import os
import re
import signal
import threading
import time

import bson
import psycopg
import pytest
from psycopg import errors
from pymongo import WriteConcern
from pymongo.errors import PyMongoError

from harness import free_port, wait_until
from harness.tails import (Background, changes, cpu_seconds, inserted, read_inserted, start_tail, stat, takes_at_most,
                           wait_backend_waits, wait_state)

DATABASES = ("one", "two")


def make_tails(postgres, uri, new_server, databases=DATABASES, namespaces=("d.*",), **options):
    """A server m and a tail of it in each of the databases."""
    for database in databases:
        postgres.create_database(database)
        with postgres.connect(database) as pg:
            pg.execute("CREATE EXTENSION mongo_tail")
            new_server(pg, "m", uri, **options)
            start_tail(pg, "m", namespaces)
            wait_state(pg, "m", "streaming")


def tailers(postgres):
    """The databases whose tailers run: as `postgres` sees it, without connecting to them."""
    with postgres.connect() as pg:
        return {row[0] for row in pg.execute(
            "SELECT datname FROM pg_stat_activity WHERE backend_type = 'mongo_tail tailer'").fetchall()}


def place_of(postgres, database="one"):
    with postgres.connect(database) as pg:
        return stat(pg, "m", "position::text")


class Writer:
    """Inserts {_id: 0, 1, 2, ...} with w:majority, each once, whatever happens to the server."""

    def __init__(self, client, pause_s=0.002):
        self.collection = client.d.get_collection("c", write_concern=WriteConcern("majority", wtimeout=20000))
        self.written = 0
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            try:
                # An upsert: trying again after an answer that was lost is harmless.
                self.collection.update_one({"_id": self.written}, {"$setOnInsert": {"n": 1}}, upsert=True)
                self.written += 1
            except PyMongoError:
                pass
            time.sleep(self._pause_s)

    def stop(self):
        self._stop.set()
        self._thread.join(40)
        assert not self._thread.is_alive()
        return self.written


def expect_all(postgres, count, after, databases=DATABASES):
    """Every insert 0 .. count - 1, each once and in order, from a position on, in each database."""
    for database in databases:
        with postgres.connect(database) as pg:
            ids, _ = read_inserted(pg, "m", count, after)
            assert ids == list(range(count)), database


# ---- PostgreSQL ----

@pytest.mark.parametrize("how", ["fast restart", "immediate restart", "kill the postmaster", "kill a tailer",
                                 "kill the launcher", "kill a backend"])
def test_everything_comes_back_by_itself(make_postgres, make_mongo, new_server, how):
    postgres, mongod = make_postgres(), make_mongo()
    make_tails(postgres, mongod.uri, new_server)
    with mongod.client() as client:
        after = place_of(postgres)
        writer = Writer(client)
        wait_until(lambda: writer.written > 50)
        if how == "fast restart":
            postgres.stop("fast")
        elif how == "immediate restart":
            postgres.stop("immediate")
        elif how == "kill the postmaster":
            postgres.kill9()
        else:
            postgres.kill9_child({"kill a tailer": "mongo_tail tailer", "kill the launcher": "mongo_tail launcher",
                                  "kill a backend": "client backend"}[how])
            time.sleep(0.1)
            postgres.wait_ready()
        if not postgres.alive:
            down = writer.written
            wait_until(lambda: writer.written > down + 50)
            postgres.start()
        wait_until(lambda: tailers(postgres) == set(DATABASES), timeout=15, what="both tailers")
        back = writer.written
        wait_until(lambda: writer.written > back + 50)
        count = writer.stop()
    expect_all(postgres, count, after)
    for database in DATABASES:
        with postgres.connect(database) as pg:
            wait_state(pg, "m", "streaming")


def test_kills_again_and_again(make_postgres, make_mongo, new_server, rng):
    """Both sides die in turn while a reader reads on from its last position."""
    postgres, mongod = make_postgres(), make_mongo(sync_delay_s=1)
    make_tails(postgres, mongod.uri, new_server, databases=("one",), max_backoff_ms=500)
    rounds = 200 if os.environ.get("MT_LONG") else 4
    with mongod.client(serverSelectionTimeoutMS=2000) as client:
        after = place_of(postgres)
        writer = Writer(client)
        ids = []
        for _ in range(rounds):
            victim = rng.choice(["mongod", "postmaster", "mongo_tail tailer"])
            time.sleep(rng.uniform(0.1, 0.5))
            with contextlib.suppress(psycopg.Error, AssertionError), postgres.connect("one") as pg:
                rows = changes(pg, "m", after=after)
                ids += inserted(rows)
                after = rows[-1][0] if rows else after
            if victim == "mongod":
                mongod.kill9()
                mongod.start()
                mongod.wait_primary()
            elif victim == "postmaster":
                postgres.kill9()
                postgres.start()
            else:
                wait_until(lambda: tailers(postgres), timeout=15)
                postgres.kill9_child(victim)
                time.sleep(0.1)
                postgres.wait_ready()
        count = writer.stop()
    with postgres.connect("one") as pg:
        wait_state(pg, "m", "streaming", timeout=20)
        rest, _ = read_inserted(pg, "m", count - len(ids), after)
    assert ids + rest == list(range(count))


# ---- MongoDB ----

def state_lines(postgres, offset=0):
    return re.findall(r'tail of server "m", shard "\w+": (\w+)', postgres.log_text(offset))


@pytest.mark.parametrize("how", ["stop", "kill9"])
def test_mongod_restart(make_postgres, make_mongo, new_server, how):
    postgres, mongod = make_postgres(), make_mongo(sync_delay_s=1)
    make_tails(postgres, mongod.uri, new_server, databases=("one",), max_backoff_ms=400)
    with mongod.client() as client, postgres.connect("one") as pg:
        after = stat(pg, "m", "position::text")
        majority = client.d.get_collection("c", write_concern=WriteConcern("majority", j=True))
        majority.insert_many({"_id": n} for n in range(100))
        read_inserted(pg, "m", 100, after)
        offset = postgres.log_size
        getattr(mongod, how)()
        wait_state(pg, "m", "retrying")
        assert "MongoDB reported" in stat(pg, "m", "last_error")
        # What is in the ring can be read meanwhile; waiting is no error.
        assert inserted(changes(pg, "m", after=after)) == list(range(100))
        assert changes(pg, "m", after="now", wait="50ms") == []
        time.sleep(2)
        tries = stat(pg, "m", "reconnects")
        assert 3 <= tries <= 12, tries
        mongod.start()
        mongod.wait_primary()
        wait_state(pg, "m", "streaming")
        majority.insert_many({"_id": n} for n in range(100, 200))
        assert read_inserted(pg, "m", 200, after)[0] == list(range(200))
        # One line for each change of state, not for each try.
        lines = state_lines(postgres, offset)
        assert lines == ["retrying", "streaming"], lines
        assert stat(pg, "m", "last_error_at") is not None


def test_back_off_grows_and_costs_nothing(make_postgres, make_mongo, new_server):
    postgres, mongod = make_postgres(), make_mongo()
    make_tails(postgres, mongod.uri, new_server, databases=("one",), max_backoff_ms=1000)
    with postgres.connect("one") as pg:
        pid = stat(pg, "m", "pid")
        mongod.kill9()
        wait_state(pg, "m", "retrying")
        time.sleep(2)
        cpu, tries, start = cpu_seconds(pid), stat(pg, "m", "reconnects"), time.monotonic()
        time.sleep(5)
        used, tries, took = cpu_seconds(pid) - cpu, stat(pg, "m", "reconnects") - tries, time.monotonic() - start
        print(f"{tries} tries in {took:.1f} s, {used * 1000:.0f} ms of CPU")
        assert 2 <= tries <= 7
        assert used < 0.25
        # And a command reaches it while it backs off.
        with takes_at_most(0.3, "pause of a retrying tail"):
            pg.execute("SELECT mongo_tail.pause_tail('m')")
            wait_until(lambda: stat(pg, "m") == "paused", interval=0.005)


def test_idle_tailer_costs_nothing(make_postgres, make_mongo, new_server):
    postgres, mongod = make_postgres(), make_mongo()
    make_tails(postgres, mongod.uri, new_server)
    with postgres.connect("one") as pg:
        pids = [row[0] for row in pg.execute("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'mongo_tail%'")]
        assert len(pids) == 3
        before = [cpu_seconds(pid) for pid in pids]
        time.sleep(3)
        used = sum(cpu_seconds(pid) for pid in pids) - sum(before)
        print(f"{used * 1000:.0f} ms of CPU in 3 s")
        assert used < 0.1


@pytest.mark.parametrize("how", ["step down", "kill"])
def test_failover(make_postgres, make_replica_set, new_server, how):
    postgres, replica_set = make_postgres(), make_replica_set()
    make_tails(postgres, replica_set.uri, new_server, databases=("one",), max_backoff_ms=500)
    with replica_set.client() as client, postgres.connect("one") as pg:
        after = stat(pg, "m", "position::text")
        writer = Writer(client)
        wait_until(lambda: writer.written > 50)
        if how == "step down":
            replica_set.step_down()
        else:
            replica_set.kill_primary()
        failed_over = writer.written
        wait_until(lambda: writer.written > failed_over + 50, timeout=30)
        count = writer.stop()
        ids, _ = read_inserted(pg, "m", count, after)
        assert ids == list(range(count))
        wait_state(pg, "m", "streaming")
        print(f"reconnects: {stat(pg, 'm', 'reconnects')}, states: {state_lines(postgres)}")
        if how == "kill":
            assert stat(pg, "m", "reconnects") >= 1
            assert state_lines(postgres)[1:] in (["retrying", "streaming"], ["retrying", "streaming"] * 2)


def test_write_that_rolls_back_is_never_seen(make_postgres, make_replica_set, new_server):
    """w:1 on a primary whose secondaries do not replicate; then another primary."""
    postgres = make_postgres()
    replica_set = make_replica_set(settings={"catchUpTimeoutMillis": 0, "chainingAllowed": False})
    make_tails(postgres, replica_set.uri, new_server, databases=("one",), max_backoff_ms=500)
    old = replica_set.primary()
    others = [n for n in replica_set.nodes if n is not old]
    with postgres.connect("one") as pg:
        pg.execute(f"CREATE SERVER l FOREIGN DATA WRAPPER mongo_tail OPTIONS (uri "
                   f"'mongodb://{old.address}/?directConnection=true', read_concern 'local')")
        pg.execute("CREATE USER MAPPING FOR postgres SERVER l")
        start_tail(pg, "l", ["d.*"])
        wait_state(pg, "l", "streaming")
        after = stat(pg, "m", "position::text")
        for node in others:
            node.fail_point("stopReplProducer", "alwaysOn")
        time.sleep(0.5)
        with old.client(direct=True) as client:
            client.d.get_collection("c", write_concern=WriteConcern(1, j=True)).insert_one({"_id": "doomed"})
            # The control: a tail that reads concern local has it.
            assert read_inserted(pg, "l", 1, after)[0] == ["doomed"]
            time.sleep(0.3)
            assert inserted(changes(pg, "m", after=after)) == []
            with contextlib.suppress(PyMongoError):
                client.admin.command("replSetStepDown", 60, force=True, secondaryCatchUpPeriodSecs=0)
        replica_set.step_up(*others)
        for node in others:
            node.fail_point("stopReplProducer", "off")
        with replica_set.client() as client:
            client.d.get_collection("c", write_concern=WriteConcern("majority", wtimeout=20000)).insert_one(
                {"_id": "survivor"})
            assert read_inserted(pg, "m", 1, after)[0] == ["survivor"]
            wait_until(lambda: list((old.data / "rollback").glob("*/*.bson")), timeout=20, what="rollback files")
            assert client.d.c.find_one({"_id": "doomed"}) is None
        assert inserted(changes(pg, "m", after=after)) == ["survivor"]
        pg.execute("SELECT mongo_tail.seek_tail('m', 'now')")
        assert inserted(changes(pg, "m", after=after)) == ["survivor"]


# ---- history that is gone ----

def roll_the_oplog(mongod, place_seconds):
    """Write until the oplog begins later than a time."""
    with mongod.client() as client:
        def rolled():
            client.roll.c.insert_many([{"pad": "x" * 100000} for _ in range(40)])
            client.roll.c.delete_many({})
            time.sleep(0.5)
            return next(client.local["oplog.rs"].find().sort("$natural", 1).limit(1))["ts"].time > place_seconds + 1
        wait_until(rolled, timeout=60, interval=0, what="an oplog that has rolled")


@pytest.mark.parametrize("how", ["tail paused", "PostgreSQL down"])
def test_oplog_that_rolled_over_is_a_failure_with_a_way_out(make_postgres, make_mongo, new_server, how):
    postgres, mongod = make_postgres(), make_mongo(oplog_mb=1, sync_delay_s=1)
    make_tails(postgres, mongod.uri, new_server, databases=("one",))
    with mongod.client() as client:
        pg = postgres.connect("one")
        after = stat(pg, "m", "position::text")
        client.d.c.insert_one({"_id": 0})
        _, last = read_inserted(pg, "m", 1, after)
        if how == "tail paused":
            pg.execute("SELECT mongo_tail.pause_tail('m')")
            wait_state(pg, "m", "paused")
        else:
            pg.close()
            postgres.stop("fast")
        roll_the_oplog(mongod, int(last.split(".")[0]))
        if how == "tail paused":
            pg.execute("SELECT mongo_tail.resume_tail('m')")
        else:
            postgres.start()
            pg = postgres.connect("one")
        wait_state(pg, "m", "failed")
        error = stat(pg, "m", "last_error")
        assert "no longer holds" in error and "seek_tail" in error
        # It stays so, quietly.
        offset = postgres.log_size
        time.sleep(0.5)
        assert stat(pg, "m") == "failed" and postgres.log_text(offset) == ""
        for place in (after, "now", None):
            with pytest.raises(errors.ObjectNotInPrerequisiteState) as e:
                while changes(pg, "m", after=place):
                    place = changes(pg, "m", after=place)[-1][0]
            assert e.value.diag.message_hint
        with pytest.raises(errors.ObjectNotInPrerequisiteState) as e:
            pg.execute("SELECT mongo_tail.seek_tail('m', '1999-01-01 00:00:00+00')")
        assert "no longer holds" in e.value.diag.message_primary and "'oldest'" in e.value.diag.message_hint
        pg.execute("SELECT mongo_tail.seek_tail('m', 'now')")
        wait_state(pg, "m", "streaming")
        client.d.c.insert_one({"_id": 1})
        assert read_inserted(pg, "m", 1, None)[0] == [1]
        with pytest.raises(errors.ObjectNotInPrerequisiteState) as e:
            changes(pg, "m", after=after)
        assert "no longer in its oplog" in e.value.diag.message_primary and e.value.diag.message_hint
        pg.execute("SELECT mongo_tail.seek_tail('m', 'oldest')")
        wait_state(pg, "m", "streaming")
        assert read_inserted(pg, "m", 1, None)[0] == [1]
        pg.close()


# ---- entries that nobody knows ----

@pytest.fixture
def synthetic(pg, mongo_server, mongo, fresh_namespace, new_server):
    """A server m whose oplog is a capped collection that looks like one, and a way to append to it."""
    client = mongo
    oplog = client[fresh_namespace].create_collection("oplog", capped=True, size=16 * 1024 * 1024)
    uuid = bson.Binary(b"0123456789abcdef", 4)
    clock = [client.admin.command("hello")["lastWrite"]["majorityOpTime"]["ts"].time - 1000]

    def append(**entry):
        clock[0] += 1
        ts = bson.Timestamp(clock[0], 1)
        oplog.insert_one({"ts": ts, "t": bson.Int64(1), "v": 2, "wall": bson.datetime.datetime.now(),
                                           "ui": uuid, **entry})
        return f"{ts.time}.{ts.inc}"
    append(op="n", ns="", o={"msg": "begin"})
    new_server(pg, "m", mongo_server.uri, oplog_database=fresh_namespace, oplog_collection="oplog")
    yield pg, append
    pg.execute("DROP SERVER m CASCADE")


def test_unknown_operation_is_a_row(synthetic):
    pg, append = synthetic
    start_tail(pg, "m", after="oldest")
    append(op="i", ns="d.c", o={"_id": 1})
    append(op="zz", ns="d.c", o={"_id": 2, "what": "ever"}, newField=1)
    append(op="c", ns="d.$cmd", o={"frobnicate": "c", "x": 1})
    append(op="i", ns="d.c", o={"_id": 3})
    rows = wait_until(lambda: len(r := changes(pg, "m", "operation_type, database, full_document")) >= 4 and r)
    assert [r[0] for r in rows] == ["insert", "unknown", "unknown", "insert"]
    assert rows[1][2]["op"] == "zz" and rows[1][2]["newField"] == 1 and rows[1][2]["o"] == {"_id": 2, "what": "ever"}
    assert rows[2][2].get("o", rows[2][2])["frobnicate"] == "c"
    wait_state(pg, "m", "streaming")
    assert len(changes(pg, "m")) == 4


@pytest.mark.parametrize("entry", [dict(op="i", ns="d.c", o="no document"), dict(op=7, ns="d.c", o={"_id": 1}),
                                   dict(op="c", ns="admin.$cmd", o={"applyOps": [{"op": "i"}]})],
                         ids=["o", "op", "applyOps"])
def test_malformed_entry_fails_and_can_be_passed(synthetic, entry):
    pg, append = synthetic
    start = start_tail(pg, "m", after="oldest")
    append(op="i", ns="d.c", o={"_id": 1})
    bad = append(**entry)
    append(op="i", ns="d.c", o={"_id": 2})
    wait_state(pg, "m", "failed")
    error = stat(pg, "m", "last_error")
    assert "malformed" in error and bad in error and "seek_tail" in error
    # What came before it in the same batch has been seen.
    assert inserted(changes(pg, "m", after=start)) == [1]
    pg.execute("SELECT mongo_tail.seek_tail('m', %s)", (f"{bad}/ffffffff/4294967295",))
    wait_state(pg, "m", "streaming")
    assert read_inserted(pg, "m", 1, None)[0] == [2]
    # A reader that comes by through the oplog is told the same, if it comes so far.
    assert inserted(changes(pg, "m", after=start, max_changes=1)) == [1]
    with pytest.raises(errors.DataCorrupted) as e:
        changes(pg, "m", after=start)
    assert bad in e.value.diag.message_primary and e.value.diag.message_hint


def test_malformed_update_stops_its_reader_only(synthetic):
    """A diff is read by who reads the change: the tail goes on, and so can the reader."""
    pg, append = synthetic
    start_tail(pg, "m", after="oldest")
    append(op="i", ns="d.c", o={"_id": 1})
    bad = append(op="u", ns="d.c", o={"$v": 2, "diff": {"u": 1}}, o2={"_id": 1})
    append(op="i", ns="d.c", o={"_id": 2})
    wait_until(lambda: stat(pg, "m", "events") == 3)
    with pytest.raises(errors.DataCorrupted) as e:
        changes(pg, "m", "update_description")
    assert bad in e.value.diag.message_primary
    # max_changes reads no further than it must
    assert inserted(changes(pg, "m", "position, operation_type, full_document, update_description", max_changes=1)) == [1]
    assert inserted(changes(pg, "m", after=f"{bad}/ffffffff/4294967295")) == [2]
    assert stat(pg, "m") == "streaming"


def test_shapes_of_other_versions(synthetic):
    """4.4's $v:1, 5.0's $v:2, 8.0's vectored inserts, fromMigrate of a copy."""
    pg, append = synthetic
    start_tail(pg, "m", after="oldest")
    append(op="i", ns="d.c", o={"_id": 1, "a": 1})
    append(op="u", ns="d.c", o={"$v": 1, "$set": {"a": 2}, "$unset": {"b": True}}, o2={"_id": 1})
    append(op="u", ns="d.c", o={"$v": 2, "diff": {"d": {"b": False}, "u": {"a": 3}}}, o2={"_id": 1})
    append(op="u", ns="d.c", o={"_id": 1, "z": 1}, o2={"_id": 1})
    append(op="d", ns="d.c", o={"_id": 1})
    append(op="c", ns="admin.$cmd", multiOpType=1,
           o={"applyOps": [{"op": "i", "ns": "d.c", "ui": bson.Binary(b"0123456789abcdef", 4), "o": {"_id": 2}},
                           {"op": "i", "ns": "d.c", "ui": bson.Binary(b"0123456789abcdef", 4), "o": {"_id": 3}}]})
    append(op="n", ns="", o={"msg": "periodic noop"})
    append(op="c", ns="d.$cmd", o={"drop": "c"}, o2={"numRecords": 2})
    append(op="i", ns="admin.system.users", o={"_id": "secret"})
    append(op="i", ns="d.c", o={"_id": 4})
    rows = wait_until(lambda: len(r := changes(
        pg, "m", "operation_type, document_key, full_document, update_description")) >= 9 and r)
    assert [r[0] for r in rows] == ["insert", "update", "update", "replace", "delete", "insert", "insert", "drop",
                                    "insert"]
    for update, value in ((rows[1], 2), (rows[2], 3)):
        assert update[3]["updatedFields"] == {"a": value} and update[3]["removedFields"] == ["b"]
    assert rows[3][2] == {"_id": 1, "z": 1}
    assert inserted([(None, r[0], r[2]) for r in rows]) == [1, 2, 3, 4]


# ---- too few workers and slots ----

def test_no_worker_is_free(make_postgres, make_mongo, new_server):
    postgres = make_postgres(settings={"max_worker_processes": 4, "max_logical_replication_workers": 0})
    mongod = make_mongo()
    with postgres.connect() as pg:
        pg.execute("CREATE EXTENSION mongo_tail")
        for n in range(4):
            new_server(pg, f"m{n}", mongod.uri)
            start_tail(pg, f"m{n}", ["d.*"])
        lacking = wait_until(lambda: pg.execute("SELECT server, last_error FROM mongo_tail.stat_tail "
                                                "WHERE state = 'no worker'").fetchall())
        assert "max_worker_processes" in lacking[0][1]
        log = postgres.log_text()
        assert "no background worker is free" in log and "Increase max_worker_processes" in log
        # It is tried again, and said once.
        time.sleep(2.2)
        assert postgres.log_text().count("no background worker is free") == len(lacking)
        others = [row[0] for row in pg.execute("SELECT server FROM mongo_tail.stat_tail WHERE state = 'streaming'")]
        assert others
        for server in others:
            pg.execute("SELECT mongo_tail.stop_tail(%s)", (server,))
        for server, _ in lacking:
            wait_state(pg, server, "streaming")


def test_max_tails(make_postgres, make_mongo, new_server):
    postgres, mongod = make_postgres(settings={"mongo_tail.max_tails": 2}), make_mongo()
    with postgres.connect() as pg:
        pg.execute("CREATE EXTENSION mongo_tail")
        for n in range(3):
            new_server(pg, f"m{n}", mongod.uri)
            start_tail(pg, f"m{n}", ["d.*"])
        wait_until(lambda: "Increase mongo_tail.max_tails" in postgres.log_text())
        wait_state(pg, "m0", "streaming")
        assert stat(pg, "m2") not in ("streaming", "connecting")
        pg.execute("SELECT mongo_tail.stop_tail('m0')")
        wait_state(pg, "m2", "streaming")


def test_owner_that_may_no_longer_log_in(make_postgres, make_mongo, new_server):
    postgres, mongod = make_postgres(), make_mongo()
    with postgres.connect() as pg:
        pg.execute("CREATE EXTENSION mongo_tail; CREATE ROLE owner LOGIN; "
                   "GRANT USAGE ON SCHEMA mongo_tail TO owner; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA mongo_tail TO owner")
        new_server(pg, "m", mongod.uri)
        pg.execute("GRANT USAGE ON FOREIGN SERVER m TO owner; CREATE USER MAPPING FOR owner SERVER m")
        with postgres.connect(user="owner") as owner:
            start_tail(owner, "m", ["d.*"])
        wait_state(pg, "m", "streaming")
        pg.execute("ALTER ROLE owner NOLOGIN")
        pg.execute("SELECT pg_terminate_backend(pid) FROM mongo_tail.stat_tail")
        wait_until(lambda: "could not start" in (stat(pg, "m", "last_error") or ""), timeout=15)
        assert stat(pg, "m") == "starting"
        pg.execute("ALTER ROLE owner LOGIN")
        wait_state(pg, "m", "streaming", timeout=30)


# ---- databases that come and go: test_ddl.py; a standby: ----

@pytest.mark.long
def test_standby_starts_its_tails_when_promoted(make_postgres, make_mongo, new_server, lab_directory, unused_name):
    import shutil
    import subprocess
    from harness import PostgresServer
    from harness.util import as_user
    primary, mongod = make_postgres(), make_mongo()
    make_tails(primary, mongod.uri, new_server, databases=("one",))
    after = place_of(primary)
    standby = PostgresServer(lab_directory / unused_name("pg"))
    standby.directory.mkdir()
    standby.directory.chmod(0o755)
    shutil.chown(standby.directory, "postgres")
    try:
        subprocess.run([primary.bindir / "pg_basebackup", "-D", standby.data, "-h", primary.socket_directory, "-p",
                        str(primary.port), "-U", "postgres", "-R", "-c", "fast"], check=True, cwd="/", **as_user("postgres"))
        standby.configure(port=standby.port, unix_socket_directories=str(standby.socket_directory))
        standby.start()
        assert tailers(standby) == set() and tailers(primary) == {"one"}
        with standby.connect("one") as pg:
            with pytest.raises(errors.ReadOnlySqlTransaction):
                pg.execute("SELECT mongo_tail.pause_tail('m')")
        primary.stop("fast")
        with mongod.client() as client:
            client.d.c.insert_many({"_id": n} for n in range(10))
        with standby.connect("one") as pg:
            pg.execute("SELECT pg_promote()")
            wait_until(lambda: tailers(standby) == {"one"}, timeout=15)
            wait_state(pg, "m", "streaming")
            assert read_inserted(pg, "m", 10, after)[0] == list(range(10))
    finally:
        standby.stop("immediate")
