"""read_consistency: several reads of one server that show one state of it."""

import contextlib
import threading

import psycopg
import pymongo
import pytest
from psycopg import errors
from pymongo import WriteConcern

from harness import mongod_version

SNAPSHOTS = mongod_version() >= (5,)
needs_snapshots = pytest.mark.skipif(not SNAPSHOTS, reason="reads as of one time are of MongoDB 5.0")

ACCOUNTS = 400
SUM = 1000 * ACCOUNTS


def create_tables(pg, server, database, *names, columns="_id integer, v bigint", **options):
    listed = "".join(f", {name} '{value}'" for name, value in options.items())
    for name in names:
        pg.execute(f"""CREATE FOREIGN TABLE {name} ({columns}) SERVER {server}
                       OPTIONS (database '{database}', collection '{name}'{listed})""")


@pytest.fixture
def accounts(pg, server, mongo, fresh_namespace):
    """Two collections a and b of the same accounts, as tables; the database."""
    if not SNAPSHOTS:
        pytest.skip("reads as of one time are of MongoDB 5.0")
    database = mongo[fresh_namespace]
    for name in "ab":
        # in an order of which a writer that goes the other way round shows a mixture
        database[name].insert_many({"_id": n, "v": 1000} for n in range(ACCOUNTS))
    create_tables(pg, server, fresh_namespace, "a", "b", batch_size=50)
    yield database
    pg.execute("DROP FOREIGN TABLE a, b")


@contextlib.contextmanager
def moving_money(database):
    """Someone who moves money from an account to another, from one collection to the other, in
    transactions: at any one time the sum is what it was."""
    stop = threading.Event()
    failed = []
    moves = 0

    def move():
        nonlocal moves
        client = database.client
        n = 0
        try:
            while not stop.is_set():
                n += 1
                with client.start_session() as session:
                    def both(session):
                        database.a.update_one({"_id": n * 7 % ACCOUNTS}, {"$inc": {"v": -1}}, session=session)
                        database.b.update_one({"_id": (n * 13 + 5) % ACCOUNTS}, {"$inc": {"v": 1}}, session=session)
                    session.with_transaction(both)
                moves = n
        except pymongo.errors.PyMongoError as e:
            failed.append(e)
    thread = threading.Thread(target=move)
    thread.start()
    try:
        yield lambda: moves
    finally:
        stop.set()
        thread.join()
    assert not failed, failed


SUMS = "SELECT sum(v)::bigint FROM (SELECT v FROM a UNION ALL SELECT v FROM b) x"


@pytest.mark.skipif(SNAPSHOTS, reason="this MongoDB can")
def test_a_mongodb_that_cannot(pg, server, mongo, fresh_namespace):
    mongo[fresh_namespace].old.insert_one({"_id": 1, "v": 2})
    create_tables(pg, server, fresh_namespace, "old")
    for consistency in ("statement", "transaction"):
        pg.execute(f"SET mongo_tail.read_consistency = {consistency}")
        with pytest.raises(errors.FeatureNotSupported) as caught:
            pg.execute("SELECT * FROM old")
        assert "MongoDB 5.0 or newer" in caught.value.diag.message_hint
    pg.execute("RESET mongo_tail.read_consistency")
    assert pg.execute("SELECT * FROM old").fetchall() == [(1, 2)]
    pg.execute("DROP FOREIGN TABLE old")


def test_a_statement_reads_one_state(pg, accounts, wait_until):
    pg.execute("SET mongo_tail.read_consistency = statement")
    seen = set()
    with moving_money(accounts) as moves:
        wait_until(lambda: moves() > 5)
        begun = moves()
        for _ in range(40):
            assert pg.execute(SUMS).fetchone() == (2 * SUM,)
            seen.add(pg.execute("SELECT sum(v) FROM a").fetchone()[0])
        assert moves() > begun
    assert len(seen) > 1, "each statement has its own time"


def test_cursors_differ(pg, accounts, wait_until):
    """What the others prevent: without a time of its own a statement shows a mixture."""
    with moving_money(accounts) as moves:
        def torn():
            # b is read when the writer has gone on since a was
            return pg.execute("""SELECT sum(v)::bigint FROM (SELECT v FROM a UNION ALL SELECT v * 0 FROM pg_sleep(0.1), a
                                 WHERE _id < 1 UNION ALL SELECT v FROM b) x""").fetchone() != (2 * SUM,)
        wait_until(lambda: moves() > 5)
        wait_until(torn, timeout=30, what="a mixture")


@pytest.mark.parametrize("isolation, setting", [("REPEATABLE READ", "statement"), ("SERIALIZABLE", "statement"),
                                                ("READ COMMITTED", "transaction"), ("REPEATABLE READ", "transaction")])
def test_a_transaction_reads_one_state(pg, accounts, wait_until, isolation, setting):
    pg.execute(f"SET mongo_tail.read_consistency = {setting}")
    per_account = "SELECT array_agg(v ORDER BY _id) FROM {}"
    with moving_money(accounts) as moves:
        wait_until(lambda: moves() > 5)
        states = set()
        for _ in range(2):
            pg.execute(f"BEGIN ISOLATION LEVEL {isolation}")
            first = pg.execute(per_account.format("a")).fetchone()[0]
            begun = moves()
            wait_until(lambda: moves() > begun + 20)
            with pytest.raises(errors.DivisionByZero), pg.transaction():
                pg.execute("SELECT 1 / (sum(v) * 0) FROM a")
            second = pg.execute(per_account.format("b")).fetchone()[0]
            assert sum(first) + sum(second) == 2 * SUM
            assert pg.execute(per_account.format("a")).fetchone()[0] == first
            pg.execute("COMMIT")
            states.add(tuple(first))
        assert len(states) == 2, "each transaction has its own time"


def test_options(pg, accounts, server):
    """The table's option over the server's; the setting over both."""
    def one_state():
        pg.execute("BEGIN")
        pg.execute("SELECT sum(v) FROM a")
        accounts.a.update_one({"_id": 1}, {"$inc": {"v": 1}})
        same = pg.execute("SELECT sum(v) FROM a").fetchone() == (before,)
        pg.execute("COMMIT")
        return same
    for server_option, table_option, setting, expected in [
            (None, None, "options", False), ("transaction", None, "options", True),
            ("transaction", "statement", "options", False), ("cursor", "transaction", "options", True),
            ("transaction", "transaction", "cursor", False), ("cursor", "cursor", "transaction", True)]:
        if server_option:
            pg.execute(f"ALTER SERVER {server} OPTIONS (ADD read_consistency '{server_option}')")
        if table_option:
            pg.execute(f"ALTER FOREIGN TABLE a OPTIONS (ADD read_consistency '{table_option}')")
        pg.execute(f"SET mongo_tail.read_consistency = {setting}")
        before = pg.execute("SELECT sum(v) FROM a").fetchone()[0]
        assert one_state() == expected, (server_option, table_option, setting)
        if server_option:
            pg.execute(f"ALTER SERVER {server} OPTIONS (DROP read_consistency)")
        if table_option:
            pg.execute("ALTER FOREIGN TABLE a OPTIONS (DROP read_consistency)")


@pytest.mark.parametrize("setting", ["statement", "transaction"])
@pytest.mark.parametrize("kept", [True, False], ids=["kept connection", "new connection"])
def test_own_writes_are_seen(pg, accounts, setting, kept):
    """A write that was acknowledged, to anybody, is seen by a statement that begins then."""
    pg.execute(f"SET mongo_tail.read_consistency = {setting}")
    quick = accounts.a.with_options(write_concern=WriteConcern(w=1))
    for n in range(50):
        if not kept:
            pg.execute("SELECT mongo_tail.disconnect()")
        quick.insert_one({"_id": 1000 + n, "v": 0})
        assert pg.execute("SELECT count(*) FROM a WHERE _id = %s", (1000 + n,)).fetchone() == (1,), n


def test_aggregates_and_views(pg, accounts, server):
    """MongoDB's views are read as of one time, too."""
    accounts.create_collection("united", viewOn="a", pipeline=[{"$unionWith": "b"}])
    create_tables(pg, server, accounts.name, "united")
    pg.execute("SET mongo_tail.read_consistency = statement")
    with moving_money(accounts):
        for _ in range(10):
            assert pg.execute("SELECT sum(v)::bigint FROM united").fetchone() == (2 * SUM,)
    pg.execute("DROP FOREIGN TABLE united")


def test_nested_loop_and_rescans(pg, accounts, wait_until):
    """Every look-up of one statement is made at its time."""
    pg.execute("SET mongo_tail.read_consistency = statement")
    pg.execute("SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off")
    with moving_money(accounts) as moves:
        wait_until(lambda: moves() > 5)
        for _ in range(3):
            total = pg.execute("""SELECT (SELECT sum(v) FROM a) + sum(b.v) FROM generate_series(0, 399) g
                                  CROSS JOIN LATERAL (SELECT v FROM b WHERE _id = g OFFSET 0) b""").fetchone()[0]
            assert total == 2 * SUM


@needs_snapshots
def test_snapshot_too_old(pg, make_mongo, new_server, wait_until):
    """A time that MongoDB no longer has is an error with a hint; a new transaction reads on."""
    mongo = make_mongo()
    with mongo.client() as client:
        client.shop.t.insert_many({"_id": n, "v": 0} for n in range(1000))
        client.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=1)
        new_server(pg, "brief", mongo.uri)
        create_tables(pg, "brief", "shop", "t")
        try:
            pg.execute("SET mongo_tail.read_consistency = transaction")

            def fails():
                client.shop.t.update_one({"_id": 1}, {"$inc": {"v": 1}})
                try:
                    with pg.transaction():
                        pg.execute("SAVEPOINT s")
                        pg.execute("SELECT count(*) FROM t")
                        pg.execute("SELECT pg_sleep(3)")
                        client.shop.t.update_one({"_id": 1}, {"$inc": {"v": 1}})
                        pg.execute("SELECT count(*) FROM t")
                    return None
                except psycopg.Error as e:
                    return e
            error = wait_until(fails, timeout=60, what="the end of the past")
            assert error.sqlstate == "72000", error
            assert "minSnapshotHistoryWindowInSeconds" in error.diag.message_hint
            assert pg.execute("SELECT count(*) FROM t").fetchone() == (1000,)
        finally:
            pg.execute("DROP SERVER brief CASCADE")


def test_where_it_cannot_be(pg, accounts, server, make_mongo, new_server):
    """Capped collections, collections younger than the time, standalones: errors with a hint."""
    accounts.create_collection("capped", capped=True, size=100000)
    accounts.capped.insert_one({"_id": 1})
    create_tables(pg, server, accounts.name, "capped", "young")
    pg.execute("SET mongo_tail.read_consistency = transaction")
    with pytest.raises(errors.ObjectNotInPrerequisiteState) as caught:
        pg.execute("SELECT * FROM capped")
    assert "capped" in caught.value.diag.message_detail and "read_consistency" in caught.value.diag.message_hint
    with pytest.raises(errors.ObjectNotInPrerequisiteState), pg.transaction():
        pg.execute("SELECT count(*) FROM a")
        accounts.young.insert_one({"_id": 1})
        pg.execute("SELECT * FROM young")
    assert pg.execute("SELECT _id FROM young").fetchall() == [(1,)]
    pg.execute("SET mongo_tail.read_consistency = cursor")
    assert pg.execute("SELECT _id FROM capped").fetchall() == [(1,)]

    mongo = make_mongo(replica_set=None)
    with mongo.client() as client:
        client.shop.t.insert_one({"_id": 1})
    new_server(pg, "standalone", mongo.uri)
    create_tables(pg, "standalone", "shop", "t")
    assert pg.execute("SELECT _id FROM t").fetchall() == [(1,)]
    pg.execute("SET mongo_tail.read_consistency = statement")
    with pytest.raises(errors.FeatureNotSupported) as caught:
        pg.execute("SELECT * FROM t")
    assert "replica set" in caught.value.diag.message_detail and "cursor" in caught.value.diag.message_hint
    pg.execute("SET mongo_tail.read_consistency = cursor")
    assert pg.execute("SELECT _id FROM t").fetchall() == [(1,)]
    pg.execute("DROP SERVER standalone CASCADE")
    pg.execute("DROP FOREIGN TABLE capped, young")


def test_secondary(pg, make_replica_set, new_server, accounts):
    """A member that lags answers late, not wrongly: the time comes from it or from what the session knows."""
    members = make_replica_set()
    with members.client(w=3) as client:
        client.shop.t.insert_many([{"_id": n, "v": 0} for n in range(100)])
        new_server(pg, "set3", members.uri, read_preference="secondary")
        create_tables(pg, "set3", "shop", "t")
        try:
            pg.execute("SET mongo_tail.read_consistency = statement")
            assert pg.execute("SELECT count(*) FROM t").fetchone() == (100,)
            pg.execute("ALTER FOREIGN TABLE t OPTIONS (ADD read_preference 'primary')")
            quick = client.shop.t.with_options(write_concern=WriteConcern(w=1))
            for n in range(100, 120):
                # the session hears of the write from the primary, and then asks a secondary
                quick.insert_one({"_id": n, "v": 0})
                assert pg.execute("SELECT count(*) FROM t").fetchone() == (n + 1,)
                pg.execute("ALTER FOREIGN TABLE t OPTIONS (SET read_preference 'secondary')")
                assert pg.execute("SELECT count(*) FROM t").fetchone() == (n + 1,)
                pg.execute("ALTER FOREIGN TABLE t OPTIONS (SET read_preference 'primary')")
        finally:
            pg.execute("DROP SERVER set3 CASCADE")
