"""Nothing waits for MongoDB longer than it is told: cancel, timeouts, termination, shutdown.

100 ms are promised; the tests allow 300 ms on a loaded machine and print what it took.
"""

import os
import signal
import socket
import time

import psycopg
import pytest
from psycopg import errors

from harness import wait_until
from harness.tails import Background, start_tail, stat, takes_at_most, wait_backend_waits, wait_state

SLACK_S = 0.3


@pytest.fixture(scope="module")
def world(lab_directory, unused_name, request):
    """A PostgreSQL with a tail of a mongod, that the tests may freeze."""
    from harness import MongoServer, PostgresServer
    mongod = MongoServer(lab_directory / unused_name("mongo"))
    postgres = PostgresServer(lab_directory / unused_name("pg"))
    try:
        mongod.start().initiate()
        postgres.initdb().start()
        with postgres.connect() as pg:
            pg.execute("CREATE EXTENSION mongo_tail")
            pg.execute(f"CREATE SERVER m FOREIGN DATA WRAPPER mongo_tail OPTIONS (uri '{mongod.uri}', await_ms '5000')")
            pg.execute("CREATE USER MAPPING FOR postgres SERVER m")
            start_tail(pg, "m", ["d.*"])
            wait_state(pg, "m", "streaming")
        with mongod.client() as client:
            for n in range(30):
                client.d.c.insert_many({"text": "x" * 1000} for _ in range(200))
        yield postgres, mongod
    finally:
        mongod.sigcont()
        postgres.stop("immediate")
        mongod.kill9()


@pytest.fixture
def thawed(world):
    yield
    world[1].sigcont()


WAITING = "SELECT * FROM mongo_tail.changes('m', after => 'now', wait => '60s')"
THROUGH_THE_OPLOG = "SELECT count(*) FROM mongo_tail.changes('m', after => 'oldest')"
START = "SELECT mongo_tail.seek_tail('m', 'now')"


@pytest.fixture(params=["waiting for news", "reading the oplog of a frozen mongod", "seeking on a frozen mongod"])
def busy(request, world, thawed):
    """A session that is in the middle of something, and an observer."""
    postgres, mongod = world
    observer, victim = postgres.connect(), postgres.connect()
    if request.param == "waiting for news":
        query = WAITING
    else:
        query = THROUGH_THE_OPLOG if "oplog" in request.param else START
        mongod.sigstop()
    yield observer, victim, query
    mongod.sigcont()
    observer.close()
    victim.close()


def test_cancel(busy):
    observer, victim, query = busy
    call = Background(victim, query)
    wait_backend_waits(observer, call.pid)
    with takes_at_most(SLACK_S, "pg_cancel_backend"):
        observer.execute("SELECT pg_cancel_backend(%s)", (call.pid,))
        call.join()
    assert isinstance(call.error, errors.QueryCanceled)
    assert "user request" in str(call.error)


def test_statement_timeout(busy):
    _, victim, query = busy
    victim.execute("SET statement_timeout = '500ms'")
    call = Background(victim, query).join()
    assert isinstance(call.error, errors.QueryCanceled) and "statement timeout" in str(call.error)
    print(f"statement_timeout of 500 ms: {(call.ended - call.started) * 1000:.0f} ms")
    assert 0.45 < call.ended - call.started < 0.5 + SLACK_S


def test_terminate(busy):
    observer, victim, query = busy
    call = Background(victim, query)
    wait_backend_waits(observer, call.pid)
    with takes_at_most(SLACK_S, "pg_terminate_backend"):
        observer.execute("SELECT pg_terminate_backend(%s)", (call.pid,))
        call.join()
    assert isinstance(call.error, (errors.AdminShutdown, psycopg.OperationalError))


def test_client_that_goes_away_is_noticed(busy):
    observer, victim, query = busy
    victim.execute("SET client_connection_check_interval = '100ms'")
    call = Background(victim, query)
    pid = call.pid
    wait_backend_waits(observer, pid)

    with socket.socket(fileno=os.dup(victim.fileno())) as s:
        s.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: not observer.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone(),
               timeout=2)


def test_session_works_after_a_cancel(world, thawed):
    postgres, mongod = world
    with postgres.connect() as pg, postgres.connect() as observer:
        for _ in range(3):
            mongod.sigstop()
            call = Background(pg, THROUGH_THE_OPLOG)
            wait_backend_waits(observer, call.pid)
            observer.execute("SELECT pg_cancel_backend(%s)", (call.pid,))
            call.join()
            mongod.sigcont()
            assert isinstance(call.error, errors.QueryCanceled)
            assert pg.execute(THROUGH_THE_OPLOG).fetchone()[0] >= 6000


def test_cancel_in_the_middle_of_the_oplog(world, thawed):
    """Frozen while the reader has read a part, not before it began."""
    postgres, mongod = world
    with postgres.connect() as pg, postgres.connect() as observer:
        pg.execute("ALTER SERVER m OPTIONS (ADD batch_size '10')")
        call = Background(pg, THROUGH_THE_OPLOG)
        time.sleep(0.05)
        mongod.sigstop()
        assert call.running, "the oplog was read before it could be frozen"
        wait_backend_waits(observer, call.pid)
        with takes_at_most(SLACK_S, "pg_cancel_backend"):
            observer.execute("SELECT pg_cancel_backend(%s)", (call.pid,))
            call.join()
        assert isinstance(call.error, errors.QueryCanceled)
        mongod.sigcont()
        observer.execute("ALTER SERVER m OPTIONS (DROP batch_size)")


def test_terminated_tailer_and_launcher_come_back(world):
    postgres, _ = world
    with postgres.connect() as pg:
        wait_state(pg, "m", "streaming")
        old = stat(pg, "m", "pid")
        with takes_at_most(SLACK_S, "pg_terminate_backend of a tailer"):
            pg.execute("SELECT pg_terminate_backend(%s)", (old,))
            wait_until(lambda: not pg.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (old,)).fetchone(),
                       interval=0.005)
        wait_until(lambda: stat(pg, "m", "pid") not in (None, old), timeout=10, what="a new tailer")
        wait_state(pg, "m", "streaming")
        old = pg.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'mongo_tail launcher'").fetchone()[0]
        pg.execute("SELECT pg_terminate_backend(%s)", (old,))
        wait_until(lambda: pg.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'mongo_tail launcher' "
                                      "AND pid <> %s", (old,)).fetchone(), timeout=10, what="a new launcher")
        # The new one does the old one's work.
        pg.execute("SELECT mongo_tail.pause_tail('m')")
        wait_state(pg, "m", "paused")
        pg.execute("SELECT mongo_tail.resume_tail('m')")
        wait_state(pg, "m", "streaming")


def test_cancelled_tailer_goes_on(world):
    postgres, _ = world
    with postgres.connect() as pg:
        wait_state(pg, "m", "streaming")
        pid = stat(pg, "m", "pid")
        for _ in range(10):
            pg.execute("SELECT pg_cancel_backend(%s)", (pid,))
            time.sleep(0.05)
            assert stat(pg, "m", "pid") == pid
        wait_state(pg, "m", "streaming")


@pytest.mark.parametrize("frozen", [False, True], ids=["awaiting", "frozen"])
def test_fast_shutdown(world, thawed, frozen):
    """Tailers are in getMore, readers wait: a fast shutdown takes none of their time."""
    postgres, mongod = world
    with postgres.connect() as pg:
        wait_state(pg, "m", "streaming")
    reader = Background(postgres.connect(), WAITING)
    time.sleep(0.3)
    if frozen:
        mongod.sigstop()
        time.sleep(0.2)
    try:
        with takes_at_most(1, "fast shutdown"):
            postgres.stop("fast")
    finally:
        mongod.sigcont()
        postgres.start() if not postgres.alive else None
    reader.join()
    assert reader.error is not None


def test_killed_postmaster_leaves_no_worker(world, thawed):
    postgres, mongod = world
    with postgres.connect() as pg:
        wait_state(pg, "m", "streaming")
    mongod.sigstop()
    time.sleep(0.2)
    with takes_at_most(1.5, "end of all processes after kill -9 of the postmaster"):
        postgres.kill9()
    mongod.sigcont()
    postgres.start()
    with postgres.connect() as pg:
        wait_state(pg, "m", "streaming")


def test_alarm_of_another_session_does_not_disturb(world):
    """A waiter's latch is set by others, too: it goes on waiting."""
    postgres, _ = world
    with postgres.connect() as pg:
        call = Background(postgres.connect(), WAITING.replace("60s", "1s"))
        wait_backend_waits(pg, call.pid)
        for _ in range(20):
            os.kill(call.pid, signal.SIGUSR1)
            pg.execute("SELECT pg_log_backend_memory_contexts(%s)", (call.pid,))
            time.sleep(0.01)
        call.join()
        assert call.error is None and call.rows == []
        assert call.ended - call.started > 0.9


def test_no_cursor_is_left_open(world, thawed):
    """Whoever stops reading the oplog takes the server's cursor along.

    A cancel does not wait for a server that takes its time: such a cursor is left to MongoDB's own timeout.
    """
    postgres, mongod = world
    with postgres.connect() as pg, mongod.client() as client:
        def open_cursors():
            return client.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"]

        # A ring that begins after what is read; batches of which several do not fit into a socket.
        for n in range(40):
            client.d.big.insert_many({"text": "y" * 100_000} for _ in range(10))
        pg.execute(START)
        pg.execute("CREATE FOREIGN TABLE feed (position mongo_tail.position) SERVER m OPTIONS (relation 'changes')")
        read = "SELECT FROM feed WHERE position > 'oldest'"
        before = open_cursors()
        most = 0
        for n in range(10):
            with pg.transaction():
                cursor = pg.cursor("c")
                cursor.execute(read)
                cursor.fetchmany(6001 + n * 10)
                most = max(most, open_cursors())
                cursor.close()
        assert most > before, "all was read before it could be stopped"
        wait_until(lambda: open_cursors() <= before, what="the cursors of what was closed are closed")
        cancelled = 0
        for n in range(40):
            pg.execute("BEGIN")
            pg.execute(f"DECLARE c CURSOR FOR {read}")
            pg.execute("FETCH c")
            pg.execute(f"SET LOCAL statement_timeout = '{1 + n % 20}ms'")
            try:
                pg.execute("MOVE ALL IN c")
            except errors.QueryCanceled:
                cancelled += 1
            pg.execute("ROLLBACK")
        assert cancelled >= 10
        print(f"{cancelled} reads cancelled, {open_cursors() - before} cursors left")
        wait_until(lambda: open_cursors() <= before + cancelled // 3, what="most cursors of what was cancelled are closed")
        pg.execute("DROP FOREIGN TABLE feed")
