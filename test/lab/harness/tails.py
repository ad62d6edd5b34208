"""Tails in SQL: what the tests of watching have in common."""

import contextlib
import threading
import time

import psycopg

from .util import wait_until


def start_tail(connection, server, namespaces=(), **arguments):
    """SELECT mongo_tail.start_tail(...); returns the position it starts after."""
    names = "".join(f", {name} => %({name})s" for name in arguments)
    return connection.execute(
        f"SELECT mongo_tail.start_tail(%(server)s, namespaces => %(namespaces)s{names})::text",
        {"server": server, "namespaces": list(namespaces), **arguments}).fetchone()[0]


def changes(connection, server, columns="position::text, operation_type, full_document", **arguments):
    """SELECT columns FROM mongo_tail.changes(server, ...)."""
    names = "".join(f", {name} => %({name})s" for name in arguments)
    return connection.execute(f"SELECT {columns} FROM mongo_tail.changes(%(server)s{names})",
                              {"server": server, **arguments}).fetchall()


def inserted(rows):
    """The _id of each inserted document, in order, of rows as changes() gives them."""
    return [row[2]["_id"] for row in rows if row[1] == "insert"]


def read_inserted(connection, server, count, after, timeout=20, max_changes=None, seen=None):
    """Read on from a position until `count` inserts were seen; every one in its order.

    Returns (ids, last position).  More than asked for is returned too, so that
    a duplicate is not missed.
    """
    ids = []
    deadline = time.monotonic() + timeout
    while len(ids) < count:
        assert time.monotonic() < deadline, f"{len(ids)} of {count} inserts within {timeout} s, up to {after}"
        rows = changes(connection, server, after=after, max_changes=max_changes, wait="1s")
        ids += inserted(rows)
        if rows:
            after = rows[-1][0]
        if seen is not None:
            seen.append(len(rows))
    return ids, after


def stat(connection, server, column="state"):
    row = connection.execute(f"SELECT {column} FROM mongo_tail.stat_tail WHERE server = %s", (server,)).fetchone()
    return row and row[0]


def wait_state(connection, server, *states, timeout=10):
    """Wait until the tail is in one of the states; returns it."""
    def reached():
        state = stat(connection, server)
        return state in states and state
    try:
        return wait_until(reached, timeout, what=f"tail of {server} {' or '.join(states)}")
    except TimeoutError as e:
        raise TimeoutError(f"{e}; it is {stat(connection, server, 'row(state, last_error)::text')}") from e


class Background:
    """A statement that runs in a thread: what it returned or raised, and when it was over."""

    def __init__(self, connection, query, parameters=()):
        self.connection = connection
        self.rows = self.error = self.ended = None
        self.pid = connection.info.backend_pid
        self.started = time.monotonic()
        self._thread = threading.Thread(target=self._run, args=(query, parameters), daemon=True)
        self._thread.start()

    def _run(self, query, parameters):
        try:
            cursor = self.connection.execute(query, parameters)
            self.rows = cursor.fetchall() if cursor.description else []
        except psycopg.Error as e:
            self.error = e
        self.ended = time.monotonic()

    @property
    def running(self):
        return self._thread.is_alive()

    def join(self, timeout=10):
        self._thread.join(timeout)
        assert not self.running, f"the statement still runs after {timeout} s"
        return self


def wait_backend_waits(connection, pid, timeout=10):
    """Wait until a backend sleeps in an extension's wait event."""
    return wait_until(lambda: connection.execute(
        "SELECT wait_event FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Extension'",
        (pid,)).fetchone(), timeout, what=f"backend {pid} waits")


@contextlib.contextmanager
def takes_at_most(seconds, what):
    """Fail when the block takes longer; prints how long it took."""
    start = time.monotonic()
    yield
    took = time.monotonic() - start
    print(f"{what}: {took * 1000:.0f} ms")
    assert took <= seconds, f"{what} took {took * 1000:.0f} ms, at most {seconds * 1000:.0f} were allowed"


def cpu_seconds(pid):
    """User and system CPU of a process so far."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def anonymous_mb(pid):
    """RssAnon of a process in MB."""
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon")) / 1024
