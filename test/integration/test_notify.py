"""LISTEN: at most one NOTIFY per notify_ms, and the last event is never without one."""

import threading
import time

import pytest
from psycopg import errors

from harness import wait_until
from harness.tails import Background, changes, inserted, read_inserted, start_tail, stat, wait_state


class Listener:
    """Collects the notifications of a channel and when they came."""

    def __init__(self, connection, channel):
        self.got = []
        self._connection = connection
        connection.execute(f"LISTEN {channel}")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            for notification in self._connection.notifies(timeout=0.05):
                self.got.append((time.monotonic(), notification.channel, notification.payload))

    def stop(self):
        self._stop.set()
        self._thread.join()
        return self.got


@pytest.fixture(autouse=True)
def no_tail_left(pg, server):
    yield
    pg.execute("SELECT mongo_tail.stop_tail(server) FROM mongo_tail.tail")


def test_at_most_one_in_notify_ms_and_a_trailing_one(pg, connect, server, mongo, fresh_namespace):
    listener = Listener(connect(), "news")
    place = start_tail(pg, server, [f"{fresh_namespace}.*"], notify="news", notify_ms=200)
    wait_state(pg, server, "streaming")
    end = time.monotonic() + 1.5
    n = 0
    while time.monotonic() < end:
        mongo[fresh_namespace].t.insert_one({"_id": n})
        n += 1
        time.sleep(0.005)
    last_write = time.monotonic()
    read_inserted(pg, server, n, place)
    time.sleep(0.5)
    got = listener.stop()
    gaps = [b[0] - a[0] for a, b in zip(got, got[1:])]
    print(f"{n} inserts, {len(got)} notifications, least gap {min(gaps) * 1000:.0f} ms")
    assert {(g[1], g[2]) for g in got} == {("news", server)}
    assert 6 <= len(got) <= 10
    assert min(gaps) > 0.15
    # The trailing one: within notify_ms, though nothing came after it and the await time is longer.
    assert last_write - 0.02 < got[-1][0] < last_write + 0.35
    assert stat(pg, server, "notifies") == len(got)


def test_a_single_event_is_notified_at_once(pg, connect, server, mongo, fresh_namespace):
    listener = Listener(connect(), "single")
    start_tail(pg, server, [f"{fresh_namespace}.*"], notify="single", notify_ms=3600000)
    wait_state(pg, server, "streaming")
    mongo[fresh_namespace].t.insert_one({"_id": 1})
    written = time.monotonic()
    wait_until(lambda: listener.got, timeout=3)
    assert listener.stop()[0][0] - written < 0.3


def test_what_the_listener_hears_can_be_read(pg, connect, server, mongo, fresh_namespace):
    # the collection's creation would be a notification of its own
    mongo[fresh_namespace].create_collection("t")
    listener = Listener(connect(), "heard")
    place = start_tail(pg, server, [f"{fresh_namespace}.*"], notify="heard", notify_ms=0)
    wait_state(pg, server, "streaming")
    for n in range(20):
        before = len(listener.got)
        mongo[fresh_namespace].t.insert_one({"_id": n})
        wait_until(lambda: len(listener.got) > before, interval=0.002)
        assert n in inserted(changes(pg, server, after=place))
    listener.stop()


def test_no_channel_no_notification(pg, connect, server, mongo, fresh_namespace):
    place = start_tail(pg, server, [f"{fresh_namespace}.*"])
    assert pg.execute("SELECT notify_channel, notify_ms FROM mongo_tail.tail").fetchone() == (None, 100)
    wait_state(pg, server, "streaming")
    # a tail that is started again at once goes on in its slot, and counts on from the last test's
    before = stat(pg, server, "notifies")
    mongo[fresh_namespace].t.insert_one({"_id": 1})
    read_inserted(pg, server, 1, place)
    assert stat(pg, server, "notifies") in (0, before)


def test_notification_that_fails_is_counted_and_stops_nothing(pg, pg_server, server, mongo, fresh_namespace):
    """As with a full queue, the transaction of the NOTIFY fails.

    The queue itself takes 8 GB to fill before PostgreSQL 17; here its channel has a name that NOTIFY
    refuses, which start_tail would not have let through.
    """
    place = start_tail(pg, server, [f"{fresh_namespace}.*"])
    pg.execute("UPDATE mongo_tail.tail SET notify_channel = repeat('x', 64), notify_ms = 0")
    pg.execute("SELECT mongo_tail.seek_tail(%s, %s)", (server, place))
    wait_state(pg, server, "streaming")
    offset = pg_server.log_size
    for n in range(5):
        mongo[fresh_namespace].t.insert_one({"_id": n})
        ids, _ = read_inserted(pg, server, n + 1, place)
        assert ids == list(range(n + 1))
    wait_until(lambda: stat(pg, server, "notify_failures") >= 5)
    assert stat(pg, server, "notifies") == 0
    assert stat(pg, server) == "streaming"
    assert pg_server.log_text(offset).count("ERROR") == 1


def test_full_queue_is_counted_and_stops_nothing(pg, make_postgres, mongo_server, mongo, fresh_namespace, new_server):
    """A listener that stays in a transaction keeps the queue from being emptied, until it is full."""
    if pg.info.server_version < 170000:
        pytest.skip("before 17 the queue takes 8 GB to fill")
    postgres = make_postgres(settings={"max_notify_queue_pages": 64})
    with postgres.connect() as pg, postgres.connect() as listener:
        pg.execute("CREATE EXTENSION mongo_tail")
        new_server(pg, "m", mongo_server.uri)
        listener.execute("LISTEN news")
        listener.execute("BEGIN; SELECT 1")
        place = start_tail(pg, "m", [f"{fresh_namespace}.*"], notify="news", notify_ms=0)
        wait_state(pg, "m", "streaming")
        with pytest.raises(errors.ProgramLimitExceeded):
            for _ in range(1000):
                pg.execute("SELECT pg_notify('filler', repeat('x', 7900))")
        failures, notifies = (stat(pg, "m", column) for column in ("notify_failures", "notifies"))
        for n in range(3):
            mongo[fresh_namespace].t.insert_one({"_id": n})
            assert read_inserted(pg, "m", n + 1, place)[0] == list(range(n + 1))
        wait_until(lambda: stat(pg, "m", "notify_failures") > failures)
        assert stat(pg, "m", "notifies") == notifies and stat(pg, "m") == "streaming"
        # it goes on when there is room; asking makes PostgreSQL look what can be thrown away
        listener.execute("COMMIT")
        wait_until(lambda: pg.execute("SELECT pg_notification_queue_usage()").fetchone()[0] < 0.5)
        mongo[fresh_namespace].t.insert_one({"_id": 3})
        wait_until(lambda: stat(pg, "m", "notifies") > notifies)


def test_settings_of_the_database_do_not_stop_a_tail(pg, database, server, mongo, fresh_namespace):
    """A database of read-only transactions, without a search path, with a timeout: the worker's are its own."""
    pg.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on;"
               f"ALTER DATABASE {database} SET default_transaction_isolation = 'serializable';"
               f"ALTER DATABASE {database} SET search_path = ''; ALTER DATABASE {database} SET lock_timeout = 1")
    try:
        place = start_tail(pg, server, [f"{fresh_namespace}.*"])
        before = pg.execute("SELECT resume_time FROM mongo_tail.tail_shard").fetchone()
        mongo[fresh_namespace].t.insert_one({"_id": 1})
        assert read_inserted(pg, server, 1, place)[0] == [1]
        wait_state(pg, server, "streaming")
        pg.execute("SELECT mongo_tail.pause_tail(%s)", (server,))
        wait_state(pg, server, "paused")
        assert pg.execute("SELECT resume_time FROM mongo_tail.tail_shard").fetchone() != before
    finally:
        pg.execute(f"ALTER DATABASE {database} RESET ALL")
