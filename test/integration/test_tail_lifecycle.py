"""start_tail, pause_tail, resume_tail, seek_tail, stop_tail: what they promise, and what they refuse."""

import threading
import time

import psycopg
import pytest
from psycopg import errors

from harness import free_port, wait_until
from harness.tails import (Background, changes, inserted, read_inserted, start_tail, stat, takes_at_most,
                           wait_backend_waits, wait_state)


@pytest.fixture(autouse=True)
def no_tail_left(pg, server):
    yield
    pg.execute("SELECT mongo_tail.stop_tail(server) FROM mongo_tail.tail")


def test_write_after_start_is_always_seen(pg, server, mongo, fresh_namespace):
    collection = mongo[fresh_namespace].t
    for n in range(50):
        place = start_tail(pg, server, [f"{fresh_namespace}.*"])
        collection.insert_one({"_id": n})
        ids, _ = read_inserted(pg, server, 1, place)
        assert ids == [n]
        pg.execute("SELECT mongo_tail.stop_tail(%s)", (server,))


def test_write_after_start_is_seen_in_the_same_transaction(connect, server, mongo, fresh_namespace):
    pg = connect(autocommit=False)
    start_tail(pg, server, [f"{fresh_namespace}.*"])
    mongo[fresh_namespace].t.insert_one({"_id": 1})
    assert inserted(changes(pg, server, wait="5s")) == [1]
    pg.commit()
    mongo[fresh_namespace].t.insert_one({"_id": 2})
    ids, _ = read_inserted(pg, server, 2, None)
    assert ids == [1, 2]


def test_rolled_back_start_leaves_nothing(pg, connect, server):
    other = connect(autocommit=False)
    start_tail(other, server)
    other.rollback()
    assert stat(pg, server) is None
    with pytest.raises(errors.UndefinedObject):
        changes(pg, server)


def test_start_positions(pg, server, mongo, fresh_namespace):
    collection = mongo[fresh_namespace].t
    names = [f"{fresh_namespace}.*"]
    collection.insert_one({"_id": 1})
    start_tail(pg, server, names, after="oldest")
    wait_state(pg, server, "streaming")
    first, position = read_inserted(pg, server, 1, None)
    assert first == [1]
    pg.execute("SELECT mongo_tail.stop_tail(%s)", (server,))

    collection.insert_one({"_id": 2})
    start_tail(pg, server, names, after=position)
    assert read_inserted(pg, server, 1, None)[0] == [2]
    pg.execute("SELECT mongo_tail.stop_tail(%s)", (server,))

    # A clock time: of whole seconds, so wait for one that lies between two writes.
    time.sleep(1.1)
    moment = pg.execute("SELECT clock_timestamp()::text").fetchone()[0]
    time.sleep(1.1)
    collection.insert_one({"_id": 3})
    start_tail(pg, server, names, after=moment)
    assert read_inserted(pg, server, 1, None)[0] == [3]
    pg.execute("SELECT mongo_tail.stop_tail(%s)", (server,))

    start_tail(pg, server, names, after="now")
    assert inserted(changes(pg, server)) == []


def test_bad_places_are_refused(pg, server):
    with pytest.raises(errors.InvalidParameterValue) as e:
        start_tail(pg, server, after="2099-01-01 00:00:00+00")
    assert "later than anything" in e.value.diag.message_primary and e.value.diag.message_hint
    assert stat(pg, server) is None


def test_bad_arguments_are_refused(pg, server):
    for namespaces in (["a"], ["/(/"], [""], ["."]):
        with pytest.raises(errors.InvalidParameterValue) as e:
            start_tail(pg, server, namespaces)
        assert e.value.diag.message_hint
    with pytest.raises(errors.NullValueNotAllowed):
        start_tail(pg, server, [None])
    for arguments in ({"full_document": "all"}, {"ring_size": "1kB"}, {"ring_size": "much"}, {"notify": ""},
                      {"notify": "x" * 64}, {"notify_ms": -1}):
        with pytest.raises(errors.InvalidParameterValue):
            start_tail(pg, server, **arguments)
    start_tail(pg, server)
    with pytest.raises(errors.DuplicateObject):
        start_tail(pg, server)
    for function in ("pause_tail('{0}')", "resume_tail('{0}')", "stop_tail('{0}')", "seek_tail('{0}', 'now')",
                     "adopt_tail('{0}')", "grant_tail('{0}', 'postgres')"):
        with pytest.raises(errors.UndefinedObject):
            pg.execute("SELECT mongo_tail." + function.format("no_such_server"))
    with pytest.raises(errors.UndefinedObject):
        changes(pg, "no_such_server")


def test_other_wrapper_is_refused(pg):
    pg.execute("CREATE FOREIGN DATA WRAPPER other; CREATE SERVER alien FOREIGN DATA WRAPPER other")
    with pytest.raises(errors.WrongObjectType):
        start_tail(pg, "alien")
    pg.execute("DROP FOREIGN DATA WRAPPER other CASCADE")


def test_server_that_is_down_is_an_error_at_once(pg, new_server):
    new_server(pg, "down", f"mongodb://127.0.0.1:{free_port()}/?replicaSet=rs0")
    with takes_at_most(2, "start_tail on a dead port"), pytest.raises(psycopg.Error) as e:
        start_tail(pg, "down")
    assert e.value.sqlstate.startswith("08")
    assert stat(pg, "down") is None


def test_frozen_server_can_be_cancelled(pg, connect, make_mongo, new_server):
    mongod = make_mongo()
    new_server(pg, "frozen", mongod.uri)
    mongod.sigstop()
    call = Background(connect(), "SELECT mongo_tail.start_tail('frozen')")
    wait_backend_waits(pg, call.pid)
    with takes_at_most(0.3, "cancel of start_tail on a frozen mongod"):
        pg.execute("SELECT pg_cancel_backend(%s)", (call.pid,))
        call.join()
    assert isinstance(call.error, errors.QueryCanceled)


def test_prepare_is_refused(pg, connect, server):
    other = connect(autocommit=False)
    start_tail(other, server)
    with pytest.raises(psycopg.Error) as e:
        other.execute("PREPARE TRANSACTION 'x'")
    assert e.value.sqlstate in ("0A000", "55000")
    other.rollback()


def test_read_only_transaction_is_refused(connect, server):
    other = connect(autocommit=False)
    other.execute("SET TRANSACTION READ ONLY")
    with pytest.raises(errors.ReadOnlySqlTransaction):
        start_tail(other, server)


# ---- pause, resume, seek, stop ----

def test_pause_bounds_readers_and_resume_goes_on(pg, server, mongo, fresh_namespace):
    collection = mongo[fresh_namespace].t
    place = start_tail(pg, server, [f"{fresh_namespace}.*"])
    wait_state(pg, server, "streaming")
    collection.insert_one({"_id": 1})
    ids, last = read_inserted(pg, server, 1, place)
    pg.execute("SELECT mongo_tail.pause_tail(%s)", (server,))
    pg.execute("SELECT mongo_tail.pause_tail(%s)", (server,))
    # At once, before the tailer heard of it: the pause itself bounds readers.
    collection.insert_one({"_id": 2})
    assert changes(pg, server, after=last) == []
    wait_state(pg, server, "paused")
    collection.insert_one({"_id": 3})
    assert changes(pg, server, after=last, wait="200ms") == []
    assert inserted(changes(pg, server, after="oldest"))[-1:] == [1]
    pg.execute("SELECT mongo_tail.resume_tail(%s)", (server,))
    pg.execute("SELECT mongo_tail.resume_tail(%s)", (server,))
    ids, _ = read_inserted(pg, server, 2, last)
    assert ids == [2, 3]
    wait_state(pg, server, "streaming")


def test_waiting_reader_of_a_paused_tail_gets_what_resume_brings(pg, connect, server, mongo, fresh_namespace):
    place = start_tail(pg, server, [f"{fresh_namespace}.*"])
    wait_state(pg, server, "streaming")
    waiter = Background(connect(), "SELECT full_document FROM mongo_tail.changes(%s, after => %s, wait => '10s') "
                                   "WHERE operation_type = 'insert'", (server, place))
    wait_backend_waits(pg, waiter.pid)
    pg.execute("SELECT mongo_tail.pause_tail(%s)", (server,))
    wait_state(pg, server, "paused")
    mongo[fresh_namespace].create_collection("t")
    mongo[fresh_namespace].t.insert_one({"_id": 1})
    time.sleep(0.1)
    assert waiter.running
    pg.execute("SELECT mongo_tail.resume_tail(%s)", (server,))
    waiter.join()
    assert waiter.error is None
    assert waiter.ended - waiter.started < 5


def test_seek_moves_the_window_and_keeps_old_positions_valid(pg, server, mongo, fresh_namespace):
    collection = mongo[fresh_namespace].t
    place = start_tail(pg, server, [f"{fresh_namespace}.*"])
    wait_state(pg, server, "streaming")
    collection.insert_many({"_id": n} for n in range(3))
    read_inserted(pg, server, 3, place)
    pg.execute("SELECT mongo_tail.seek_tail(%s, 'now')", (server,))
    assert inserted(changes(pg, server)) == []
    collection.insert_one({"_id": 3})
    assert read_inserted(pg, server, 1, None)[0] == [3]
    assert inserted(changes(pg, server, after=place)) == [0, 1, 2, 3]
    pg.execute("SELECT mongo_tail.seek_tail(%s, %s::mongo_tail.position)", (server, place))
    assert read_inserted(pg, server, 4, None)[0] == [0, 1, 2, 3]
    wait_until(lambda: pg.execute("SELECT covered_from::mongo_tail.position <= %s::mongo_tail.position "
                                  "FROM mongo_tail.stat_ring WHERE server = %s", (place, server)).fetchone() == (True,))
    assert read_inserted(pg, server, 4, None)[0] == [0, 1, 2, 3]


def test_seek_is_not_undone_by_the_stored_progress(pg, server, mongo, fresh_namespace):
    # Where a tailer stood must not become where the tail is after a seek.
    collection = mongo[fresh_namespace].t
    place = start_tail(pg, server, [f"{fresh_namespace}.*"])
    wait_state(pg, server, "streaming")
    for n in range(20):
        collection.insert_one({"_id": n})
        target = pg.execute("SELECT mongo_tail.seek_tail(%s, %s::mongo_tail.position)::mongo_tail.cluster_time",
                            (server, place)).fetchone()[0]
        wait_until(lambda: pg.execute("SELECT covered_from = %s::mongo_tail.cluster_time FROM mongo_tail.stat_ring "
                                      "WHERE server = %s", (target, server)).fetchone() == (True,), what=f"seek {n}")
        assert read_inserted(pg, server, n + 1, None)[0] == list(range(n + 1))


def test_concurrent_seeks_end_where_the_last_one_said(pg, connect, server):
    start_tail(pg, server)
    wait_state(pg, server, "streaming")
    first, second = connect(autocommit=False), connect()
    first.execute("SELECT mongo_tail.seek_tail(%s, 'oldest')", (server,))
    late = Background(second, "SELECT mongo_tail.seek_tail(%s, 'now')::mongo_tail.cluster_time", (server,))
    time.sleep(0.2)
    first.commit()
    late.join()
    assert late.error is None
    wait_until(lambda: pg.execute("SELECT covered_from = %s::mongo_tail.cluster_time FROM mongo_tail.stat_ring "
                                  "WHERE server = %s", (late.rows[0][0], server)).fetchone() == (True,))


def test_stop_while_paused_and_start_again(pg, server, mongo, fresh_namespace):
    start_tail(pg, server, [f"{fresh_namespace}.*"])
    pg.execute("SELECT mongo_tail.pause_tail(%s)", (server,))
    wait_state(pg, server, "paused")
    pid = stat(pg, server, "pid")
    with takes_at_most(0.3, "end of a paused tailer"):
        pg.execute("SELECT mongo_tail.stop_tail(%s)", (server,))
        wait_until(lambda: not alive(pg, pid), interval=0.005)
    start_tail(pg, server, [f"{fresh_namespace}.*"])
    wait_state(pg, server, "streaming")


def alive(pg, pid):
    return pg.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone() is not None


def test_await_time_delays_nothing(pg, server):
    """The tailer waits in getMore for 10 s; each command acts while it does."""
    pg.execute(f"ALTER SERVER {server} OPTIONS (ADD await_ms '10000')")
    try:
        start_tail(pg, server)
        wait_state(pg, server, "streaming")
        time.sleep(0.3)
        pid = stat(pg, server, "pid")
        with takes_at_most(0.3, "pause"):
            pg.execute("SELECT mongo_tail.pause_tail(%s)", (server,))
            wait_until(lambda: stat(pg, server) == "paused", interval=0.005)
        with takes_at_most(0.3, "resume"):
            pg.execute("SELECT mongo_tail.resume_tail(%s)", (server,))
            wait_until(lambda: stat(pg, server) == "streaming", interval=0.005)
        with takes_at_most(0.3, "seek"):
            target = pg.execute("SELECT mongo_tail.seek_tail(%s, 'oldest')::mongo_tail.cluster_time",
                                (server,)).fetchone()[0]
            wait_until(lambda: pg.execute("SELECT covered_from FROM mongo_tail.stat_ring").fetchone()[0] == target,
                       interval=0.005)
        assert stat(pg, server, "pid") == pid
        with takes_at_most(0.3, "stop"):
            pg.execute("SELECT mongo_tail.stop_tail(%s)", (server,))
            wait_until(lambda: not alive(pg, pid), interval=0.005)
    finally:
        pg.execute(f"ALTER SERVER {server} OPTIONS (DROP await_ms)")


def test_stop_ends_a_waiting_reader(pg, connect, server):
    start_tail(pg, server)
    wait_state(pg, server, "streaming")
    waiter = Background(connect(), "SELECT * FROM mongo_tail.changes(%s, after => 'now', namespaces => '{x.y}', "
                                   "wait => '60s')", (server,))
    wait_backend_waits(pg, waiter.pid)
    pg.execute("SELECT mongo_tail.stop_tail(%s)", (server,))
    waiter.join(3)
    assert isinstance(waiter.error, errors.ObjectNotInPrerequisiteState)


def test_open_transactions_on_the_tail_do_not_hold_the_tailer(make_postgres, make_mongo, new_server):
    postgres, mongod = make_postgres(settings={"mongo_tail.position_store_interval": "100ms"}), make_mongo()
    with postgres.connect() as pg, postgres.connect(autocommit=False) as other, mongod.client() as mongo:
        pg.execute("CREATE EXTENSION mongo_tail")
        new_server(pg, "m", mongod.uri)
        place = start_tail(pg, "m")
        wait_state(pg, "m", "streaming")
        other.execute("SELECT mongo_tail.seek_tail('m', 'oldest')")
        ids = []
        for n in range(5):
            mongo.d.c.insert_one({"_id": n})
            time.sleep(0.15)
            ids += read_inserted(pg, "m", 1, place)[0][-1:]
        assert ids == list(range(5))
        other.rollback()
        before = pg.execute("SELECT resume_time FROM mongo_tail.tail_shard").fetchone()
        mongo.d.c.insert_one({"_id": 99})
        wait_until(lambda: pg.execute("SELECT resume_time FROM mongo_tail.tail_shard").fetchone() != before)
        # Also one that cannot be skipped must not keep the server from stopping.
        other.execute("LOCK mongo_tail.tail_shard IN ACCESS EXCLUSIVE MODE")
        mongo.d.c.insert_one({"_id": 100})
        time.sleep(0.4)
        other.close()
        with takes_at_most(2, "fast shutdown"):
            postgres.stop("fast")


# ---- options that change ----

def test_changed_options_make_the_tailer_connect_anew(pg, make_mongo, new_server):
    first, second = make_mongo(), make_mongo()
    new_server(pg, "moving", first.uri)
    start_tail(pg, "moving")
    wait_state(pg, "moving", "streaming")
    pg.execute(f"ALTER SERVER moving OPTIONS (SET uri 'mongodb://127.0.0.1:{free_port()}/?replicaSet=rs0', "
               "ADD connect_timeout_ms '200')")
    wait_state(pg, "moving", "retrying", timeout=15)
    pg.execute(f"ALTER SERVER moving OPTIONS (SET uri '{first.uri}')")
    wait_state(pg, "moving", "streaming", timeout=3)
    # Another replica set: the place is not in its oplog.
    pg.execute(f"ALTER SERVER moving OPTIONS (SET uri '{second.uri}')")
    assert second.uri != first.uri
    wait_until(lambda: stat(pg, "moving", "reconnects") is not None)
    pg.execute("DROP SERVER moving CASCADE")


# ---- what shows that it runs ----

def test_processes_have_names(pg, server):
    start_tail(pg, server)
    wait_state(pg, server, "streaming")
    rows = pg.execute("SELECT backend_type FROM pg_stat_activity WHERE backend_type LIKE 'mongo_tail%'").fetchall()
    assert set(rows) == {("mongo_tail launcher",), ("mongo_tail tailer",)}
    assert pg.execute("SELECT usename FROM pg_stat_activity WHERE backend_type = 'mongo_tail tailer'"
                      ).fetchone() == ("postgres",)


def waits_for(pg, process):
    """A condition: some process of that type or pid waits for an event of that name, as far as PostgreSQL names it."""
    named = pg.info.server_version >= 170000

    def reached(event):
        where = "pid" if isinstance(process, int) else "backend_type"
        events = pg.execute(f"SELECT wait_event_type, wait_event FROM pg_stat_activity WHERE {where} = %s", (process,)).fetchall()
        return ("Extension", event if named else "Extension") in events
    return lambda event: wait_until(lambda: reached(event), timeout=5, what=f"{process} waits for {event}")


def test_wait_events(pg, connect, server, mongo, fresh_namespace):
    """What each process waits for; before PostgreSQL 17 all that an extension's do is "Extension"."""
    start_tail(pg, server, [f"{fresh_namespace}.*"])
    wait_state(pg, server, "streaming")
    waits_for(pg, "mongo_tail launcher")("MongoTailLauncherMain")
    waits_for(pg, "mongo_tail tailer")("MongoTailMongoDB")
    reader = Background(connect(), "SELECT * FROM mongo_tail.changes(%s, after => 'now', wait => '20s')", (server,))
    waits_for(pg, reader.pid)("MongoTailChanges")
    mongo[fresh_namespace].t.insert_one({"_id": 1})
    assert reader.join().error is None
    pg.execute("SELECT mongo_tail.pause_tail(%s)", (server,))
    wait_state(pg, server, "paused")
    waits_for(pg, "mongo_tail tailer")("MongoTailTailerIdle")


def test_stat_tail_and_stat_ring(pg, server, mongo, fresh_namespace):
    """Each column says what it is named for."""
    before = pg.execute("SELECT clock_timestamp()").fetchone()[0]
    mongo[fresh_namespace].create_collection("t")
    place = start_tail(pg, server, [f"{fresh_namespace}.*"], ring_size="1MB")
    wait_state(pg, server, "streaming")
    mongo[fresh_namespace].t.insert_many({"_id": n, "pad": "x" * 1000} for n in range(100))
    read_inserted(pg, server, 100, place)

    def row(view):
        cursor = pg.execute(f"SELECT *, position::mongo_tail.cluster_time = cluster_time AS at_its_time FROM mongo_tail.{view}"
                            if view == "stat_tail" else f"SELECT *, covered_from <= scanned_to AS in_order FROM mongo_tail.{view}")
        return dict(zip([c.name for c in cursor.description], cursor.fetchone()))
    tail, ring = row("stat_tail"), row("stat_ring")
    assert (tail["server"], tail["shard"], tail["state"], tail["events"]) == (server, "rs0", "streaming", 100)
    assert tail["entries"] >= 100 and 100 * 1000 < tail["bytes"] < 1000 * 1000 and 1 <= tail["batches"] <= tail["entries"]
    assert tail["at_its_time"] and tail["state_since"] > before and tail["lag"].total_seconds() < 30
    assert (tail["reconnects"], tail["lookups"], tail["notifies"], tail["notify_failures"], tail["last_error"]) == (0, 0, 0, 0, None)
    assert pg.execute("SELECT backend_type FROM pg_stat_activity WHERE pid = %s", (tail["pid"],)).fetchone() == ("mongo_tail tailer",)
    assert (ring["server"], ring["shard"], ring["events"], ring["readers_lapped"]) == (server, "rs0", 100, 0)
    assert ring["ring_bytes"] == 1024 * 1024 and 100 * 1000 < ring["ring_used_bytes"] < 200 * 1000 and ring["in_order"]
    # through the oplog, and another window
    pg.execute("SELECT mongo_tail.seek_tail(%s, 'now')", (server,))
    read_inserted(pg, server, 100, place)
    wait_until(lambda: row("stat_ring")["epoch"] > ring["epoch"] and row("stat_ring")["ring_used_bytes"] == 0)
    assert row("stat_ring")["oplog_reads"] > ring["oplog_reads"]


def test_many_sessions_start_and_stop(pg, connect, server, rng):
    """Whatever the interleaving, the slots end up as the catalog says."""
    actions = ["start_tail('{0}')", "stop_tail('{0}')", "pause_tail('{0}')", "resume_tail('{0}')",
               "seek_tail('{0}', 'oldest')", "seek_tail('{0}', 'now')"]
    plans = [[rng.choice(actions) for _ in range(12)] for _ in range(4)]

    def play(connection, plan):
        for action in plan:
            try:
                connection.execute("SELECT mongo_tail." + action.format(server))
            except (errors.UndefinedObject, errors.DuplicateObject, errors.UniqueViolation,
                    errors.ForeignKeyViolation):
                pass
    threads = [threading.Thread(target=play, args=(connect(), plan)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if stat(pg, server) is None:
        start_tail(pg, server)
    pg.execute("SELECT mongo_tail.resume_tail(%s)", (server,))
    wait_state(pg, server, "streaming")
    place = stat(pg, server, "position::text")
    mark = pg.execute("SELECT version FROM mongo_tail.tail").fetchone()
    assert mark is not None and place is not None
