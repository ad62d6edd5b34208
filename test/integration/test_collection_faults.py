"""Reading collections while something breaks: every fault is an error with an SQLSTATE, never a short
result, and the next statement works."""

import contextlib
import os
import select
import signal
import socket
import threading
import time

import psycopg
import pymongo
import pytest
from psycopg import errors

from harness import wait_until
from harness.tails import Background, takes_at_most, wait_backend_waits

SLACK_S = 0.3

# Reads every document: what is volatile keeps MongoDB from counting by itself.
READ = "SELECT count(*), count(pad) FROM (SELECT pad, random() FROM t) x"
DOCUMENTS = 30000


class Proxy:
    """A TCP proxy before a mongod, which can cut or hold what passes."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs = []
        self.passed = 0             # bytes from the server, of all connections
        self.cut_after = None       # cut when so many bytes have passed
        self.closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.closed:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            self.pairs.append((near, far))
            threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near, far):
        with contextlib.suppress(OSError):
            while True:
                ready, _, _ = select.select([near, far], [], [])
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        return self._cut(near, far)
                    if source is far:
                        self.passed += len(data)
                        if self.cut_after is not None and self.passed > self.cut_after:
                            near.sendall(data[:len(data) // 2])
                            self.cut_after = None
                            return self._cut(near, far)
                    (far if source is near else near).sendall(data)
        self._cut(near, far)

    def _cut(self, near, far):
        for s in (near, far):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """Cut every connection that there is."""
        for near, far in self.pairs:
            self._cut(near, far)
        self.pairs.clear()

    def close(self):
        self.closed = True
        self.listener.close()
        self.cut()


@pytest.fixture(scope="module")
def mongod(lab_directory, unused_name):
    """A replica set of one, that the tests may freeze and stop."""
    from harness import MongoServer
    server = MongoServer(lab_directory / unused_name("mongo"))
    server.start().initiate()
    with server.client() as client:
        fill(client.shop.t)
    yield server
    server.sigcont()
    server.kill9()


def fill(collection):
    collection.insert_many({"_id": n, "pad": "x" * 500} for n in range(DOCUMENTS))


@pytest.fixture
def client(mongod):
    with mongod.client() as client:
        yield client


@pytest.fixture
def proxy(mongod):
    proxy = Proxy(mongod.port)
    yield proxy
    proxy.close()


@pytest.fixture
def table(pg, mongod, new_server):
    """The table t of 30,000 documents on server f."""
    new_server(pg, "f", mongod.uri)
    create_table(pg, "f", "t", "_id integer, pad text")
    yield "t"
    mongod.sigcont()
    pg.execute("SET lock_timeout = '5s'")       # a session that a failed test has left
    pg.execute("DROP SERVER f CASCADE")


def create_table(pg, server, name, columns, database="shop", collection="t"):
    pg.execute(f"""CREATE FOREIGN TABLE {name} ({columns}) SERVER {server}
                   OPTIONS (database '{database}', collection '{collection}')""")


def works(pg, expected=DOCUMENTS):
    assert pg.execute(READ).fetchone() == (expected, expected)


@contextlib.contextmanager
def in_the_middle(pg, query="SELECT pad FROM t"):
    """The cursor c, of which some batches have been read; what it raises when it is read to its end."""
    class Caught:
        error = None
    caught = Caught()
    pg.execute("BEGIN")
    try:
        pg.execute(f"DECLARE c CURSOR FOR {query}")
        assert len(pg.execute("FETCH 5200 FROM c").fetchall()) == 5200
        yield caught
        with pytest.raises(psycopg.Error) as raised:
            pg.execute("FETCH ALL FROM c")
        caught.error = raised.value
    finally:
        pg.execute("ROLLBACK")


def idle_cursors(client, namespace="shop.t"):
    return [c["cursor"]["cursorId"] for c in client.admin.aggregate(
        [{"$currentOp": {"idleCursors": True, "allUsers": True}},
         {"$match": {"ns": namespace, "type": "idleCursor"}}])]


# ---- cursors and connections that end ----

def test_killed_cursors(pg, table, client):
    with in_the_middle(pg) as caught:
        client.shop.command("killCursors", "t", cursors=wait_until(lambda: idle_cursors(client)))
    assert caught.error.sqlstate in ("58P01", "57014"), caught.error
    works(pg)


def test_killed_sessions(pg, table, client):
    with in_the_middle(pg) as caught:
        client.admin.command("killAllSessions", [])
    assert caught.error.sqlstate in ("58P01", "57014", "08006"), caught.error
    works(pg)


@pytest.fixture
def table_behind_proxy(pg, proxy, new_server):
    """The table t, read through the proxy."""
    new_server(pg, "cut", f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true")
    create_table(pg, "cut", "t", "_id integer, pad text")
    yield "t"
    pg.execute("DROP SERVER cut CASCADE")


def test_lost_connection(pg, table_behind_proxy, proxy):
    with in_the_middle(pg) as caught:
        proxy.cut()
    assert caught.error.sqlstate == "08006", caught.error
    works(pg)
    # while it stands idle: nothing is noticed
    proxy.cut()
    works(pg)


def test_connection_lost_within_a_reply(pg, table_behind_proxy, proxy):
    """Wherever a connection ends, the rows are all of them or an error."""
    pg.execute("EXPLAIN SELECT * FROM t")
    failed = 0
    for after in (10, 300, 1000, 30000, 60000, 1000000, 2700000, 9000000, 15000000):
        proxy.passed, proxy.cut_after = 0, after
        try:
            works(pg)
        except psycopg.Error as e:
            failed += 1
            assert e.sqlstate == "08006", e
        proxy.cut_after = None
        works(pg)
    assert failed >= 5


def test_dropped_collection(pg, table, client):
    fill(client.shop.dropped)
    pg.execute("ALTER FOREIGN TABLE t OPTIONS (SET collection 'dropped')")
    with in_the_middle(pg) as caught:
        client.shop.dropped.drop()
    assert "could not read collection" in str(caught.error) and caught.error.sqlstate == "HV000", caught.error
    works(pg, 0)


def test_server_stops_and_starts(pg, table, mongod):
    with in_the_middle(pg) as caught:
        mongod.kill9()
    assert caught.error.sqlstate == "08006", caught.error
    with pytest.raises(errors.SqlclientUnableToEstablishSqlconnection) as raised:
        works(pg)
    assert "uri" in raised.value.diag.message_hint
    mongod.start()
    mongod.wait_primary()
    works(pg)
    mongod.restart()
    mongod.wait_primary()
    works(pg)


def test_primary_steps_down(pg, make_replica_set, new_server):
    """A cursor survives that its server is the primary no longer, and the next statement finds the new one."""
    members = make_replica_set()
    with members.client(w=3) as client:
        fill(client.shop.t)
        new_server(pg, "f", members.uri)
        create_table(pg, "f", "t", "_id integer, pad text")
        try:
            with pg.transaction():
                pg.execute("DECLARE c CURSOR FOR SELECT pad FROM t")
                assert len(pg.execute("FETCH 5200 FROM c").fetchall()) == 5200
                members.step_down(seconds=60)
                try:
                    rest = len(pg.execute("FETCH ALL FROM c").fetchall())
                    assert rest == DOCUMENTS - 5200
                except psycopg.Error as e:
                    assert e.sqlstate == "08006", e
                    pg.rollback()
            # a new primary knows what a majority has once it has written something itself
            client.shop.other.insert_one({})
            works(pg)
            with in_the_middle(pg) as caught:
                members.kill_primary()
            assert caught.error.sqlstate == "08006", caught.error
            works(pg)
        finally:
            pg.execute("DROP SERVER f CASCADE")


# ---- errors of the server's ----

def test_error_in_the_middle(pg, table, client):
    """A view whose expression fails at a late document: an error, though batches have been read."""
    client.shop.drop_collection("failing")
    client.shop.create_collection("failing", viewOn="t", pipeline=[
        {"$project": {"pad": 1, "q": {"$divide": [1, {"$subtract": ["$_id", 20000]}]}}}])
    pg.execute("ALTER FOREIGN TABLE t OPTIONS (SET collection 'failing')")
    with in_the_middle(pg) as caught:
        pass
    assert "could not read collection" in str(caught.error), caught.error
    assert "divide" in caught.error.diag.message_detail
    with pytest.raises(psycopg.Error):
        pg.execute(READ)
    pg.execute("ALTER FOREIGN TABLE t OPTIONS (SET collection 't')")
    works(pg)


def test_fail_points(pg, table, mongod):
    """Errors of getMore, one after another: each has its SQLSTATE."""
    for code, sqlstate in [(11600, "08006"), (189, "08006"), (13, "42501"), (237, "57014"), (50, "57014"),
                           (43, "58P01"), (175, "HV000"), (8, "HV000"), (91, "08006"), (262, None)]:
        with in_the_middle(pg) as caught:
            # the one that was sent ahead has its reply
            mongod.fail_point("failCommand", {"times": 1}, {"failCommands": ["getMore"], "errorCode": code})
        assert sqlstate is None or caught.error.sqlstate == sqlstate, (code, caught.error)
        works(pg)
    for code in (13, 50, 211):
        mongod.fail_point("failCommand", {"times": 1}, {"failCommands": ["find", "aggregate"], "errorCode": code})
        with pytest.raises(psycopg.Error) as raised:
            works(pg)
        assert str(code) in raised.value.diag.message_detail
        works(pg)


def test_find_is_tried_again_on_a_kept_connection(pg, table, mongod):
    """What only says that a connection has gone stale does not fail a statement, once; twice it does."""
    for data in ({"errorCode": 10107}, {"errorCode": 91}, {"closeConnection": True}):
        works(pg)
        mongod.fail_point("failCommand", {"times": 1}, {"failCommands": ["find", "aggregate"], **data})
        works(pg)
    mongod.fail_point("failCommand", {"times": 2}, {"failCommands": ["find", "aggregate"], "errorCode": 10107})
    with pytest.raises(psycopg.OperationalError):
        works(pg)
    works(pg)


@pytest.mark.parametrize("password", ["p@ss:/%?w#rd&", "%41", " ", "ünïcödé", "\\'\"", "x" * 200])
def test_passwords(pg, make_mongo, new_server, password, request):
    mongo = request.getfixturevalue("guarded")
    name = f"u{abs(hash(password)) % 10 ** 8}@:/%"
    mongo.create_user(name, password, ["readAnyDatabase"], login={"username": "root", "password": "r"})
    new_server(pg, "guarded", mongo.uri, {"username": name, "password": password})
    try:
        create_table(pg, "guarded", "locked", "_id integer")
        assert pg.execute("SELECT * FROM locked").fetchall() == [(1,)]
        pg.execute("ALTER USER MAPPING FOR CURRENT_USER SERVER guarded OPTIONS (SET password 'wr0ng@:/%')")
        with pytest.raises(errors.InvalidPassword) as raised:
            pg.execute("SELECT * FROM locked")
        assert "wr0ng" not in str(raised.value) + str(raised.value.diag.message_detail)
    finally:
        pg.execute("DROP SERVER guarded CASCADE")


@pytest.fixture(scope="module")
def guarded(lab_directory, unused_name):
    from harness import MongoServer
    server = MongoServer(lab_directory / unused_name("mongo"), auth=True)
    server.start().initiate()
    server.create_user("root", "r", ["root"])
    with server.client(username="root", password="r") as client:
        client.shop.t.insert_one({"_id": 1})
    yield server
    server.kill9()


def test_revoked(pg, guarded, new_server):
    """A right that is taken away while a connection stands idle."""
    with guarded.client(username="root", password="r") as client:
        client.admin.command("createUser", "fickle", pwd="f", roles=["readAnyDatabase"])
        new_server(pg, "guarded", guarded.uri, {"username": "fickle", "password": "f"})
        try:
            create_table(pg, "guarded", "locked", "_id integer")
            assert pg.execute("SELECT * FROM locked").fetchall() == [(1,)]
            client.admin.command("updateUser", "fickle", roles=[])
            with pytest.raises(errors.InsufficientPrivilege) as raised:
                pg.execute("SELECT * FROM locked")
            assert "MongoDB server reported" in raised.value.diag.message_detail
            client.admin.command("updateUser", "fickle", roles=["readAnyDatabase"])
            assert pg.execute("SELECT * FROM locked").fetchall() == [(1,)]
        finally:
            pg.execute("DROP SERVER guarded CASCADE")


# ---- documents ----

def test_large_documents(pg, table, client):
    """Documents that are as large as MongoDB lets them be, and batches that hold but one."""
    large = client.shop.large
    large.drop()
    size = 16 * 1024 * 1024 - 100
    for n in range(4):
        large.insert_one({"_id": n, "pad": "x" * (size if n % 2 else 10)})
    pg.execute("ALTER FOREIGN TABLE t OPTIONS (SET collection 'large')")
    assert pg.execute("SELECT _id, length(pad) FROM t ORDER BY 1").fetchall() == [(0, 10), (1, size), (2, 10), (3, size)]
    pg.execute("ALTER FOREIGN TABLE t OPTIONS (SET collection 't')")
    works(pg)
    large.drop()


def test_documents_that_grow(pg, table, client):
    """What is behind the scan grows over what a batch may hold: all documents come, once."""
    growing = client.shop.growing
    growing.drop()
    growing.insert_many({"_id": n, "pad": "x" * 100} for n in range(8000))
    pg.execute("ALTER FOREIGN TABLE t OPTIONS (SET collection 'growing')")
    with pg.transaction():
        pg.execute("DECLARE c CURSOR FOR SELECT _id, length(pad) FROM t")
        rows = pg.execute("FETCH 5200 FROM c").fetchall()
        growing.update_many({"_id": {"$gte": 7900}}, {"$set": {"pad": "x" * 1000000}})
        rows += pg.execute("FETCH ALL FROM c").fetchall()
    assert sorted(r[0] for r in rows) == list(range(8000))
    pg.execute("ALTER FOREIGN TABLE t OPTIONS (SET collection 't')")
    works(pg)
    growing.drop()


# ---- time ----

@pytest.fixture
def profiled(client):
    """What commands the server is asked, newest last."""
    client.shop.command("profile", 2)
    yield lambda: [e["command"] for e in client.shop["system.profile"].find({"ns": "shop.t"}).sort("$natural", 1)]
    client.shop.command("profile", 0)
    client.shop["system.profile"].drop()


def test_max_time(pg, table, profiled):
    pg.execute("SELECT FROM t WHERE _id = 1")
    assert "maxTimeMS" not in profiled()[-1]
    pg.execute("SET statement_timeout = '30s'")
    pg.execute("SELECT FROM t WHERE _id = 1")
    assert 25000 < profiled()[-1]["maxTimeMS"] <= 30100
    pg.execute("SELECT pg_sleep(1), _id FROM t WHERE _id = (SELECT 1 FROM pg_sleep(2))")
    assert 24000 < profiled()[-1]["maxTimeMS"] < 28200
    pg.execute("SET statement_timeout = 2147483647")
    pg.execute("SELECT FROM t WHERE _id = 1")
    assert profiled()[-1]["maxTimeMS"] == 2147483647
    with pg.transaction():                # a cursor has its timeout anew with every FETCH
        pg.execute("DECLARE c CURSOR FOR SELECT FROM t WHERE _id = 1")
        pg.execute("FETCH ALL FROM c")
    assert "maxTimeMS" not in profiled()[-1]


@pytest.mark.parametrize("where", ["find", "getMore"])
def test_server_is_told_to_stop(pg, connect, table, client, where):
    """After a cancel MongoDB stops working on the query, and its cursor goes."""
    client.shop.drop_collection("slow")
    # a view that takes an hour, at its first document or after a batch
    client.shop.create_collection("slow", viewOn="t", pipeline=[{"$match": {"$expr": {"$function": {
        "body": f"function(id) {{ if (id > {0 if where == 'find' else 6000}) sleep(100); return true; }}",
        "args": ["$_id"], "lang": "js"}}}}])

    def at_work():
        return [o for o in client.admin.aggregate([{"$currentOp": {"allUsers": True, "idleCursors": True}}])
                if o.get("ns") in ("shop.t", "shop.slow")]
    session = connect()
    session.execute("SET lock_timeout = '10s'")
    session.execute("ALTER FOREIGN TABLE t OPTIONS (SET collection 'slow')")
    call = Background(session, READ)
    wait_until(at_work)
    wait_backend_waits(pg, call.pid)
    time.sleep(0.2 if where == "find" else 1)
    with takes_at_most(SLACK_S, f"cancel during {where}"):
        pg.execute("SELECT pg_cancel_backend(%s)", (call.pid,))
        call.join()
    assert isinstance(call.error, errors.QueryCanceled)
    session.execute("ALTER FOREIGN TABLE t OPTIONS (SET collection 't')")
    try:
        with takes_at_most(5, "the end of the server's work"):
            wait_until(lambda: not at_work(), timeout=5)
    except TimeoutError:
        # on a machine that is too busy to say so in time, the next statement does
        session.execute("SELECT FROM t WHERE _id = 1")
        wait_until(lambda: not at_work(), timeout=10, what="the end of the server's work")
    works(session)


def test_frozen_server_is_told_later(pg, connect, table, client, mongod):
    """What a server could not be told while it was frozen, the session's next statement tells it."""
    session = connect(autocommit=False)
    session.execute("DECLARE c CURSOR FOR SELECT pad FROM t")
    session.execute("FETCH 5200 FROM c")
    mongod.sigstop()
    try:
        call = Background(session, "FETCH ALL FROM c")
        wait_backend_waits(pg, call.pid)
        pg.execute("SELECT pg_cancel_backend(%s)", (call.pid,))
        call.join()
    finally:
        mongod.sigcont()
    session.rollback()
    works(session)
    session.rollback()
    wait_until(lambda: not idle_cursors(client), timeout=10, what="no cursor is left")


HOW = {"cancel": "57014", "statement_timeout": "57014", "terminate": "57P01", "client goes": None}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("when", ["before", "at the find", "in the middle", "choosing a time", "planning"])
def test_mongod_is_frozen(pg, connect, table, mongod, how, when):
    """Nobody waits for a mongod that is stopped longer than he is told to."""
    session = connect(autocommit=False)
    query = READ
    if when != "planning":
        session.execute("EXPLAIN SELECT FROM t")        # the estimate is there
    if when in ("at the find", "choosing a time"):
        session.execute("SELECT FROM t WHERE _id = 1")  # a connection, too
    if when == "choosing a time":
        session.execute("SET mongo_tail.read_consistency = statement")
    if when == "in the middle":
        session.execute("DECLARE c CURSOR FOR SELECT pad FROM t")
        assert len(session.execute("FETCH 5200 FROM c").fetchall()) == 5200
        query = "FETCH ALL FROM c"
    if how == "statement_timeout":
        session.execute("SET statement_timeout = '700ms'")
    elif how == "client goes":
        session.execute("SET client_connection_check_interval = '50ms'")
    mongod.sigstop()
    try:
        call = Background(session, query)
        pid = call.pid
        wait_backend_waits(pg, pid)
        started = time.monotonic()
        if how == "cancel":
            pg.execute("SELECT pg_cancel_backend(%s)", (pid,))
        elif how == "terminate":
            pg.execute("SELECT pg_terminate_backend(%s)", (pid,))
        elif how == "client goes":
            with socket.socket(fileno=os.dup(session.fileno())) as s:
                s.shutdown(socket.SHUT_RDWR)
        else:
            started = call.started + 0.7
        if how == "client goes":
            wait_until(lambda: not pg.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone(),
                       timeout=2, what="the backend's end")
            ended = time.monotonic()
        else:
            ended = call.join().ended
            assert call.error.sqlstate == HOW[how], call.error
        print(f"{how}, {when}: {(ended - started) * 1000:.0f} ms")
        assert ended - started < SLACK_S
        mongod.sigcont()
        works(pg)
        if how in ("cancel", "statement_timeout"):
            session.rollback()
            session.execute("SET statement_timeout = 0")
            works(session)
    finally:
        mongod.sigcont()
        session.close()


def test_fast_shutdown(make_postgres, mongod, new_server):
    """A fast shutdown does not wait for a mongod that is stopped in the middle of a scan."""
    postgres = make_postgres()
    with postgres.connect() as pg:
        pg.execute("CREATE EXTENSION mongo_tail")
        new_server(pg, "f", mongod.uri)
        create_table(pg, "f", "t", "_id integer, pad text")
    sessions = [postgres.connect(autocommit=False) for _ in range(3)]
    sessions[0].execute("DECLARE c CURSOR FOR SELECT pad FROM t")
    sessions[0].execute("FETCH 5200 FROM c")
    sessions[1].execute("SELECT FROM t WHERE _id = 1")      # has an idle connection
    observer = postgres.connect()
    mongod.sigstop()
    try:
        calls = [Background(sessions[0], "FETCH ALL FROM c"), Background(sessions[2], READ)]
        for call in calls:
            wait_backend_waits(observer, call.pid)
        os.kill(postgres.pid, signal.SIGINT)
        with takes_at_most(1, "a fast shutdown"):
            started = time.monotonic()
            for call in calls:
                print(f"a backend: {(call.join().ended - started) * 1000:.0f} ms")
                assert call.ended - started < SLACK_S
            wait_until(lambda: not postgres.alive, timeout=5)
    finally:
        mongod.sigcont()


def test_no_fault_leaks(pg, table, client, mongod):
    """After many faults the server has no cursor of ours, and we no connection that is in use."""
    def open_cursors():
        return client.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"]
    before = open_cursors()
    for n in range(20):
        with pytest.raises(errors.DivisionByZero):
            pg.execute(f"SELECT 1 / (_id - {n * 500}) FROM t")
        pg.execute("SELECT pad FROM t LIMIT 3")
        pg.execute("BEGIN; DECLARE c CURSOR FOR SELECT pad FROM t; FETCH 200 FROM c; ROLLBACK")
    # each rescan leaves a cursor that has more, and a savepoint ends what was opened after it
    with pg.transaction():
        pg.execute("SELECT count(p.pad) FROM generate_series(1, 20) g, LATERAL (SELECT pad, random() FROM t WHERE g > 0 LIMIT 5) p")
        wait_until(lambda: open_cursors() <= before, what="no cursor of a rescan is left")
        pg.execute("SAVEPOINT s; DECLARE c CURSOR FOR SELECT pad FROM t; FETCH 200 FROM c")
        wait_until(lambda: open_cursors() > before)
        pg.execute("ROLLBACK TO s")
        wait_until(lambda: open_cursors() <= before, what="no cursor of a savepoint is left")
    wait_until(lambda: open_cursors() <= before, what="no cursor is left")
    assert [c for c in pg.execute("SELECT in_use FROM mongo_tail.connections").fetchall() if c[0]] == []
    works(pg)
