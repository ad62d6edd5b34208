"""Slots: exactly once, in the consumer's own transaction."""

import os
import shutil
import subprocess
import threading
import time

import pytest
from psycopg import errors

IDS = "SELECT (document_key->>'_id')::int FROM mongo_tail.get_changes(%s, max_changes => %s, wait => %s)"


@pytest.fixture(scope="module")
def tail(pg_server, database, server):
    """A tail of everything; returns its server's name."""
    with pg_server.connect(database) as connection:
        connection.execute("SELECT mongo_tail.start_tail(%s)", (server,))
    return server


@pytest.fixture
def fresh_namespace(mongo, fresh_namespace):
    """A MongoDB database with empty collections items and other: creating them is a change, too."""
    for name in ("items", "other"):
        mongo[fresh_namespace].create_collection(name)
    return fresh_namespace


@pytest.fixture
def slot(pg, tail, fresh_namespace, unused_name):
    """A slot that reads the test's own database of MongoDB from now on; it goes with the module's database."""
    name = unused_name("slot")
    pg.execute("SELECT mongo_tail.create_slot(%s, %s, %s)", (name, tail, [f"{fresh_namespace}.*"]))
    return name


@pytest.fixture
def insert(mongo, fresh_namespace):
    """insert(1, 2, 3): one document each, in one write each; their last is acknowledged."""
    collection = mongo[fresh_namespace].items

    def insert_each(*ids):
        for i in ids:
            collection.insert_one({"_id": i})
    return insert_each


def get(connection, slot, max_changes=None, wait="0"):
    return [row[0] for row in connection.execute(IDS, (slot, max_changes, wait))]


def peek(connection, slot):
    return [row[0] for row in connection.execute(
        "SELECT (document_key->>'_id')::int FROM mongo_tail.peek_changes(%s)", (slot,))]


def position(connection, slot):
    return connection.execute('SELECT "position"::text FROM mongo_tail.slot WHERE slot = %s', (slot,)).fetchone()[0]


@pytest.fixture
def settled(pg, wait_until):
    """settled(slot, n): wait until the tail has n changes for it."""
    def wait(slot, n):
        wait_until(lambda: len(peek(pg, slot)) >= n, what=f"{n} changes for {slot}")
    return wait


def transaction(mongo, database, ids, other=(), filler=""):
    """One transaction that inserts into items, and into other."""
    with mongo.start_session() as session, session.start_transaction():
        for i in ids:
            mongo[database].items.insert_one({"_id": i, "filler": filler}, session=session)
        for i in other:
            mongo[database].other.insert_one({"_id": i}, session=session)


# ---- consuming ----

def test_now_is_before_every_later_write(pg, tail, fresh_namespace, mongo, unused_name):
    for i in range(20):
        mongo[fresh_namespace].items.insert_one({"_id": i})
        name = unused_name("now")
        pg.execute("SELECT mongo_tail.create_slot(%s, %s, %s)", (name, tail, [f"{fresh_namespace}.*"]))
        mongo[fresh_namespace].items.insert_one({"_id": 1000 + i})
        assert get(pg, name, wait="10s") == [1000 + i]
        pg.execute("SELECT mongo_tail.drop_slot(%s)", (name,))


def test_successive_calls(pg, slot, insert, settled):
    insert(*range(10))
    settled(slot, 10)
    assert get(pg, slot, 3) == [0, 1, 2]
    assert get(pg, slot, 3) == [3, 4, 5]
    assert get(pg, slot, 0) == []
    assert peek(pg, slot) == [6, 7, 8, 9]
    assert get(pg, slot) == [6, 7, 8, 9]
    assert get(pg, slot) == []


def test_same_row_shape_as_changes(pg, tail):
    shape = [c.name for c in pg.execute("SELECT * FROM mongo_tail.changes(%s, max_changes => 0)", (tail,)).description]
    pg.execute("SELECT mongo_tail.create_slot('shape', %s)", (tail,))
    for function in ("get_changes", "peek_changes"):
        rows = pg.execute(f"SELECT * FROM mongo_tail.{function}('shape', max_changes => 0)")
        assert [c.name for c in rows.description] == shape
    pg.execute("SELECT mongo_tail.drop_slot('shape')")


def test_two_calls_in_one_statement_get_successive_batches(pg, slot, insert, settled):
    insert(*range(6))
    settled(slot, 6)
    both = pg.execute("""
        SELECT (SELECT array_agg(document_key->>'_id') FROM mongo_tail.get_changes(%(s)s, 2)),
               (SELECT array_agg(document_key->>'_id') FROM mongo_tail.peek_changes(%(s)s, 2)),
               (SELECT array_agg(document_key->>'_id') FROM mongo_tail.get_changes(%(s)s, 3))""",
                      {"s": slot}).fetchone()
    assert both == (["0", "1"], ["2", "3"], ["2", "3", "4"])
    assert get(pg, slot) == [5]


def test_limit_outside_does_not_unconsume(pg, slot, insert, settled):
    insert(*range(5))
    settled(slot, 5)
    assert get_limited(pg, slot) == 0
    assert get(pg, slot) == []


def get_limited(connection, slot):
    return connection.execute(IDS + " LIMIT 1", (slot, None, "0")).fetchone()[0]


def test_wait_ends_with_the_first_change(pg, slot, insert):
    timer = threading.Timer(0.5, insert, (1,))
    timer.start()
    started = time.monotonic()
    assert get(pg, slot, wait="20s") == [1]
    assert 0.4 < time.monotonic() - started < 5
    timer.join()


def test_until(pg, slot, insert, settled):
    insert(*range(6))
    settled(slot, 6)
    third = pg.execute('SELECT "position"::text FROM mongo_tail.peek_changes(%s) OFFSET 2 LIMIT 1', (slot,)).fetchone()[0]
    rows = pg.execute("SELECT (document_key->>'_id')::int FROM mongo_tail.get_changes(%s, until => %s)", (slot, third))
    assert [r[0] for r in rows] == [0, 1, 2]
    # Before everything at a time: that time's change is still to come, however long nothing was stored.
    for expected in ([], [3]):
        before = pg.execute("SELECT cluster_time::text || '/00000000/0' FROM mongo_tail.peek_changes(%s) OFFSET %s LIMIT 1",
                            (slot, len(expected))).fetchone()[0]
        pg.execute("UPDATE mongo_tail.slot SET advanced_at = now() - interval '1 day' WHERE slot = %s", (slot,))
        rows = pg.execute("SELECT (document_key->>'_id')::int FROM mongo_tail.get_changes(%s, until => %s)",
                          (slot, before))
        assert [r[0] for r in rows] == expected
    # The same end again consumes nothing, and so does one before.
    for until in (third, "oldest", "2020-01-01"):
        assert pg.execute("SELECT * FROM mongo_tail.get_changes(%s, until => %s)", (slot, until)).fetchall() == []
    assert get(pg, slot) == [4, 5]


# ---- MongoDB's transactions ----

def test_a_batch_ends_on_a_transactions_boundary(pg, slot, mongo, fresh_namespace, insert, settled):
    insert(1)
    transaction(mongo, fresh_namespace, [10, 11, 12, 13, 14])
    insert(2)
    settled(slot, 7)
    assert get(pg, slot, 1) == [1]
    assert get(pg, slot, 1) == [10, 11, 12, 13, 14]
    assert get(pg, slot, 1) == [2]


def test_a_transaction_whose_last_change_is_not_wanted(pg, tail, mongo, fresh_namespace, unused_name, wait_until):
    name = unused_name("filtered")
    pg.execute("SELECT mongo_tail.create_slot(%s, %s, %s)", (name, tail, [f"{fresh_namespace}.items"]))
    transaction(mongo, fresh_namespace, [1, 2], other=[7])
    transaction(mongo, fresh_namespace, [3, 4], other=[8])
    mongo[fresh_namespace].items.insert_one({"_id": 5})
    wait_until(lambda: len(peek(pg, name)) == 5)
    assert get(pg, name, 1) == [1, 2]
    assert get(pg, name, 1) == [3, 4]
    assert get(pg, name, 1) == [5]
    pg.execute("SELECT mongo_tail.drop_slot(%s)", (name,))


def test_until_inside_a_transaction_finishes_it(pg, slot, mongo, fresh_namespace, settled):
    transaction(mongo, fresh_namespace, [1, 2, 3])
    transaction(mongo, fresh_namespace, [4, 5])
    settled(slot, 5)
    second = pg.execute('SELECT "position"::text FROM mongo_tail.peek_changes(%s) OFFSET 1 LIMIT 1', (slot,)).fetchone()[0]
    rows = pg.execute("SELECT (document_key->>'_id')::int FROM mongo_tail.get_changes(%s, until => %s)", (slot, second))
    assert [r[0] for r in rows] == [1, 2, 3]
    assert get(pg, slot) == [4, 5]


# ---- PostgreSQL's transactions ----

def test_rollback_unconsumes(pg, connect, slot, insert, settled):
    insert(1, 2, 3)
    settled(slot, 3)
    other = connect(autocommit=False)
    assert get(other, slot, 2) == [1, 2]
    other.rollback()
    assert get(other, slot, 2) == [1, 2]
    other.commit()
    other.execute("SAVEPOINT a")
    assert get(other, slot) == [3]
    other.execute("ROLLBACK TO a")
    assert get(other, slot) == [3]
    with pytest.raises(errors.DivisionByZero):
        other.execute("SELECT 1/0")
    other.rollback()
    assert get(pg, slot) == [3]


def test_second_session_fails_at_once(pg, connect, slot, insert, settled):
    insert(1, 2)
    settled(slot, 2)
    pg.execute("SET statement_timeout = '5s'")
    other = connect(autocommit=False)
    assert get(other, slot, 1) == [1]
    for statement in ("SELECT mongo_tail.get_changes(%s)", "SELECT mongo_tail.drop_slot(%s)",
                      "SELECT mongo_tail.advance_slot(%s, 'now')"):
        started = time.monotonic()
        with pytest.raises(errors.ObjectInUse) as caught:
            pg.execute(statement, (slot,))
        assert time.monotonic() - started < 2
        assert caught.value.diag.message_primary == f'slot "{slot}" is in use by another transaction'
        assert str(other.info.backend_pid) in caught.value.diag.message_detail
        assert caught.value.diag.message_hint
    state = pg.execute("SELECT state, pid FROM mongo_tail.stat_slot WHERE slot = %s", (slot,)).fetchone()
    assert state == ("active", other.info.backend_pid)
    assert peek(pg, slot) == [1, 2]
    other.rollback()
    assert get(pg, slot) == [1, 2]


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_serialization_failure(pg, connect, slot, insert, settled, level):
    insert(1, 2, 3)
    settled(slot, 3)
    other = connect(autocommit=False)
    other.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
    assert peek(other, slot) == [1, 2, 3]
    assert get(pg, slot, 1) == [1]
    with pytest.raises(errors.SerializationFailure):
        get(other, slot, 1)
    other.rollback()
    assert get(other, slot, 1) == [2]


def test_read_only_transaction(pg, connect, slot, insert, settled):
    insert(1)
    settled(slot, 1)
    other = connect()
    other.execute("SET default_transaction_read_only = on")
    for call in ("get_changes(%s)", "advance_slot(%s, 'now')", "drop_slot(%s)", "adopt_slot(%s)",
                 "create_slot(%s, 'mongo')"):
        with pytest.raises(errors.ReadOnlySqlTransaction) as caught:
            other.execute(f"SELECT mongo_tail.{call}", (slot,))
        assert "peek_changes" in caught.value.diag.message_hint
    assert peek(other, slot) == [1]


@pytest.mark.parametrize("ring_size", ["64MB", "4kB"])
def test_random_steps_lose_nothing_and_repeat_nothing(pg, connect, rng, mongo, mongo_server, fresh_namespace,
                                                      new_server, unused_name, ring_size):
    """Consume and roll back at random while writes go on: what was committed is everything, once.

    With a ring of a few changes the oplog is read as often as not.
    """
    server = new_server(pg, unused_name("random"), mongo_server.uri)
    slot = server
    pg.execute("SELECT mongo_tail.start_tail(%s, %s, ring_size => %s)", (server, [f"{fresh_namespace}.*"], ring_size))
    pg.execute("SELECT mongo_tail.create_slot(%s, %s)", (slot, server))
    consumer = connect(autocommit=False)
    written, seen = 0, []
    for _ in range(1000):
        if rng.random() < 0.3 and written < 600:
            n = rng.choice([1, 1, 2, 5])
            filler = "x" * rng.choice([10, 500, 1500])
            if n > 1:
                transaction(mongo, fresh_namespace, range(written, written + n), filler=filler)
            else:
                mongo[fresh_namespace].items.insert_one({"_id": written, "filler": filler})
            written += n
        batch = get(consumer, slot, rng.choice([None, 0, 1, 2, 7]))
        kind = rng.choice(["commit", "commit", "rollback", "savepoint", "partly"])
        if kind == "savepoint":
            consumer.execute("SAVEPOINT a")
            get(consumer, slot, rng.choice([None, 1, 3]))
            consumer.execute("ROLLBACK TO SAVEPOINT a")
        elif kind == "partly":
            consumer.execute("SAVEPOINT a")
            batch += get(consumer, slot, rng.choice([None, 1, 3]))
        if kind == "rollback":
            consumer.rollback()
        else:
            consumer.commit()
            seen += batch
    while len(seen) < written:
        more = get(consumer, slot, wait="5s")
        assert more, f"{len(seen)} of {written} came"
        consumer.commit()
        seen += more
    assert seen == list(range(written))
    assert get(pg, slot) == []
    # A change of 1500 bytes is in that ring by reference only, and a transaction of five larger than it.
    reads = pg.execute("SELECT oplog_reads FROM mongo_tail.stat_ring WHERE server = %s", (server,)).fetchone()[0]
    assert reads > 10 or ring_size != "4kB"
    pg.execute(f"DROP SERVER {server} CASCADE")


def test_crash_unconsumes(make_postgres, mongo_server, mongo, fresh_namespace, new_server, wait_until):
    postgres = make_postgres()
    with postgres.connect() as c:
        c.execute("CREATE EXTENSION mongo_tail")
        new_server(c, "mongo", mongo_server.uri)
        c.execute("SELECT mongo_tail.start_tail('mongo', %s)", ([f"{fresh_namespace}.*"],))
        c.execute("SELECT mongo_tail.create_slot('s', 'mongo')")
        c.execute("CREATE TABLE seen (id int)")
        for i in range(30):
            mongo[fresh_namespace].items.insert_one({"_id": i})
        wait_until(lambda: len(peek(c, "s")) == 30)
    for _ in range(2):
        open_transaction = postgres.connect(autocommit=False)
        with postgres.connect() as c:
            c.execute("INSERT INTO seen " + IDS, ("s", 7, "5s"))
        open_transaction.execute("INSERT INTO seen " + IDS, ("s", 7, "0"))
        postgres.kill9()
        postgres.start()
        open_transaction.close()
    with postgres.connect() as c:
        wait_until(lambda: c.execute("INSERT INTO seen " + IDS, ("s", None, "1s")) and
                   c.execute("SELECT count(*) FROM seen").fetchone()[0] >= 30)
        assert [r[0] for r in c.execute("SELECT id FROM seen ORDER BY id")] == list(range(30))


# ---- where a slot stands ----

def test_position_moves_while_nothing_happens(pg, connect, slot, insert, fresh_namespace, mongo, wait_until):
    """Writes elsewhere carry it on, but not with every call."""
    before = position(pg, slot)
    mongo[fresh_namespace + "_elsewhere"].items.insert_one({"_id": 1})
    assert get(pg, slot) == []
    assert position(pg, slot) == before
    pg.execute("UPDATE mongo_tail.slot SET advanced_at = now() - interval '11 s' WHERE slot = %s", (slot,))

    def moved():
        assert get(pg, slot) == []
        return position(pg, slot) != before
    wait_until(moved)
    after = position(pg, slot)
    assert pg.execute("SELECT %s::mongo_tail.position > %s", (after, before)).fetchone()[0]
    mongo[fresh_namespace + "_elsewhere"].items.insert_one({"_id": 2})
    for _ in range(20):
        get(pg, slot)
    assert position(pg, slot) == after
    mongo.drop_database(fresh_namespace + "_elsewhere")
    insert(1)
    assert get(pg, slot, wait="5s") == [1]


def test_advance(pg, slot, insert, settled):
    insert(1, 2, 3, 4)
    settled(slot, 4)
    places = [r[0] for r in pg.execute('SELECT "position"::text FROM mongo_tail.peek_changes(%s)', (slot,))]
    assert pg.execute("SELECT mongo_tail.advance_slot(%s, %s)::text", (slot, places[1])).fetchone()[0] == places[1]
    assert peek(pg, slot) == [3, 4]
    for back in (places[0], "oldest", "2020-01-01"):
        with pytest.raises(errors.InvalidParameterValue) as caught:
            pg.execute("SELECT mongo_tail.advance_slot(%s, %s)", (slot, back))
        assert "cannot go back" in caught.value.diag.message_primary and caught.value.diag.message_hint
    with pytest.raises(errors.InvalidParameterValue, match="later than what has been scanned"):
        pg.execute("SELECT mongo_tail.advance_slot(%s, '2100-01-01')", (slot,))
    assert pg.execute("SELECT mongo_tail.advance_slot(%s, %s)::text", (slot, places[1])).fetchone()[0] == places[1]
    pg.execute("SELECT mongo_tail.advance_slot(%s, 'now')", (slot,))
    assert get(pg, slot) == []
    insert(5)
    assert get(pg, slot, wait="5s") == [5]


def test_create_at_a_place(pg, tail, slot, insert, settled, fresh_namespace, unused_name):
    insert(1, 2, 3)
    settled(slot, 3)
    second = pg.execute('SELECT "position"::text FROM mongo_tail.peek_changes(%s) OFFSET 1 LIMIT 1', (slot,)).fetchone()[0]
    for after, expected in ((second, [3]), ("oldest", [None, 1, 2, 3])):
        name = unused_name("at")
        returned = pg.execute("SELECT mongo_tail.create_slot(%s, %s, %s, %s)::text",
                              (name, tail, [f"{fresh_namespace}.items"], after)).fetchone()[0]
        assert position(pg, name) == returned
        assert get(pg, name) == expected
        pg.execute("SELECT mongo_tail.drop_slot(%s)", (name,))
    with pytest.raises(errors.InvalidParameterValue, match="later than anything"):
        pg.execute("SELECT mongo_tail.create_slot('late', %s, after => '2100-01-01')", (tail,))


def test_mistakes(pg, tail, slot, new_server, mongo_server):
    with pytest.raises(errors.DuplicateObject):
        pg.execute("SELECT mongo_tail.create_slot(%s, %s)", (slot, tail))
    with pytest.raises(errors.InvalidName):
        pg.execute("SELECT mongo_tail.create_slot('', %s)", (tail,))
    with pytest.raises(errors.NullValueNotAllowed):
        pg.execute("SELECT mongo_tail.create_slot(NULL, %s)", (tail,))
    with pytest.raises(errors.NullValueNotAllowed):
        pg.execute("SELECT * FROM mongo_tail.get_changes(NULL)")
    with pytest.raises(errors.InvalidParameterValue):
        pg.execute("SELECT * FROM mongo_tail.get_changes(%s, -1)", (slot,))
    for function in ("get_changes('nope')", "peek_changes('nope')", "drop_slot('nope')", "adopt_slot('nope')",
                     "advance_slot('nope', 'now')"):
        with pytest.raises(errors.UndefinedObject) as caught:
            pg.execute(f"SELECT mongo_tail.{function}")
        assert "does not exist" in caught.value.diag.message_primary
    new_server(pg, "untailed", mongo_server.uri)
    with pytest.raises(errors.UndefinedObject) as caught:
        pg.execute("SELECT mongo_tail.create_slot('x', 'untailed')")
    assert "start_tail" in caught.value.diag.message_hint
    pg.execute("SELECT mongo_tail.start_tail('untailed', '{shop.*}')")
    with pytest.raises(errors.InvalidParameterValue, match="not all inside"):
        pg.execute("SELECT mongo_tail.create_slot('x', 'untailed', '{other.*}')")
    pg.execute("DROP SERVER untailed CASCADE")


# ---- what happens to the tail and to the server ----

def test_outlives_its_tail(pg, slot, tail, insert, settled):
    insert(1, 2)
    settled(slot, 2)
    assert get(pg, slot, 1) == [1]
    pg.execute("SELECT mongo_tail.stop_tail(%s)", (tail,))
    with pytest.raises(errors.UndefinedObject) as caught:
        get(pg, slot)
    assert "start_tail" in caught.value.diag.message_hint
    insert(3)
    pg.execute("SELECT mongo_tail.start_tail(%s)", (tail,))
    insert(4)
    settled(slot, 3)
    assert get(pg, slot, 1) == [2]
    pg.execute("SELECT mongo_tail.seek_tail(%s, 'now')", (tail,))
    settled(slot, 2)
    assert get(pg, slot) == [3, 4]


def test_follows_its_server(pg, connect, new_server, mongo_server, mongo, fresh_namespace):
    new_server(pg, "before", mongo_server.uri)
    pg.execute("SELECT mongo_tail.start_tail('before', %s)", ([f"{fresh_namespace}.*"],))
    pg.execute("SELECT mongo_tail.create_slot('follower', 'before')")
    pg.execute("ALTER SERVER before RENAME TO afterwards")
    mongo[fresh_namespace].items.insert_one({"_id": 1})
    assert get(pg, "follower", wait="5s") == [1]
    servers = "SELECT server FROM mongo_tail.slot WHERE slot = 'follower'"
    assert pg.execute(servers).fetchone()[0] == "afterwards"
    other = connect(autocommit=False)
    other.execute("DROP SERVER afterwards CASCADE")
    with pytest.raises(errors.UndefinedObject):
        get(other, "follower")
    other.rollback()
    assert peek(pg, "follower") == []
    pg.execute("DROP SERVER afterwards CASCADE")
    assert pg.execute(servers).fetchone() is None


def test_another_replica_set(pg, slot):
    pg.execute("UPDATE mongo_tail.slot SET shards = '{rs9}' WHERE slot = %s", (slot,))
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="another replica set"):
        get(pg, slot)


def test_lost_history(make_postgres, make_mongo, new_server, wait_until):
    mongod = make_mongo(oplog_mb=1, sync_delay_s=1)
    postgres = make_postgres()
    with postgres.connect() as c, mongod.client() as client:
        c.execute("CREATE EXTENSION mongo_tail")
        new_server(c, "mongo", mongod.uri)
        c.execute("SELECT mongo_tail.start_tail('mongo', ring_size => '64kB')")
        client.shop.items.insert_one({"_id": -1})
        c.execute("SELECT mongo_tail.create_slot('s', 'mongo')")
        start = c.execute("SELECT position::mongo_tail.cluster_time::bigint FROM mongo_tail.slot").fetchone()[0]
        filler = "x" * 100_000

        def rolled():
            client.shop.items.insert_many([{"filler": filler} for _ in range(20)])
            first = client.local["oplog.rs"].find_one(sort=[("$natural", 1)])["ts"]
            return (first.time << 32 | first.inc) > start
        wait_until(rolled, timeout=60, interval=0.5)
        with pytest.raises(errors.ObjectNotInPrerequisiteState) as caught:
            get(c, "s")
        assert caught.value.diag.message_hint
        with pytest.raises(errors.ObjectNotInPrerequisiteState, match="no longer holds"):
            c.execute("SELECT mongo_tail.create_slot('early', 'mongo', after => '2020-01-01')")


# ---- copies ----

def test_restored_until_adopted(pg, slot, insert, settled):
    insert(1)
    settled(slot, 1)
    pg.execute("UPDATE mongo_tail.slot SET database = 1 WHERE slot = %s", (slot,))
    assert pg.execute("SELECT state FROM mongo_tail.stat_slot WHERE slot = %s", (slot,)).fetchone()[0] == "restored"
    for call in ("get_changes(%s)", "peek_changes(%s)", "advance_slot(%s, 'now')"):
        with pytest.raises(errors.ObjectNotInPrerequisiteState) as caught:
            pg.execute(f"SELECT mongo_tail.{call}", (slot,))
        assert "adopt_slot" in caught.value.diag.message_hint
    pg.execute("SELECT mongo_tail.adopt_slot(%s)", (slot,))
    assert get(pg, slot) == [1]


def test_dump_and_restore(pg_server, database, pg, tail, slot, insert, settled, unused_name):
    insert(1, 2)
    settled(slot, 2)
    assert get(pg, slot, 1) == [1]
    copy = pg_server.create_database(unused_name("copy_"))
    try:
        dump = subprocess.run([pg_server.bindir / "pg_dump", "-h", pg_server.socket_directory, "-p", str(pg_server.port),
                               "-U", "postgres", database], check=True, capture_output=True, text=True).stdout
        pg_server.psql(dump, copy)
        with pg_server.connect(copy) as c:
            assert c.execute("SELECT state FROM mongo_tail.stat_slot WHERE slot = %s", (slot,)).fetchone()[0] == "restored"
            assert position(c, slot) == position(pg, slot)
            with pytest.raises(errors.ObjectNotInPrerequisiteState, match="restored"):
                get(c, slot)
            # The tail first, else the slot finds nothing that runs.
            c.execute("SELECT mongo_tail.adopt_slot(%s)", (slot,))
            with pytest.raises(errors.ObjectNotInPrerequisiteState) as caught:
                get(c, slot)
            assert "adopt_tail" in caught.value.diag.message_hint
            c.execute("SELECT mongo_tail.adopt_tail(%s)", (tail,))
            # Each consumes for itself from here on.
            assert get(c, slot) == [2]
            assert get(pg, slot) == [2]
    finally:
        pg_server.drop_database(copy)


def test_standby(make_postgres, mongo_server, mongo, fresh_namespace, new_server, wait_until):
    """peek_changes works there, by the oplog; nothing that consumes does; after promotion all does."""
    primary = make_postgres()
    with primary.connect() as c:
        c.execute("CREATE EXTENSION mongo_tail")
        new_server(c, "mongo", mongo_server.uri)
        c.execute("SELECT mongo_tail.start_tail('mongo', %s)", ([f"{fresh_namespace}.*"],))
        c.execute("SELECT mongo_tail.create_slot('s', 'mongo')")
        for i in range(5):
            mongo[fresh_namespace].items.insert_one({"_id": i})
        wait_until(lambda: get(c, "s", 2) == [0, 1])
    standby = make_postgres(start=False)
    shutil.rmtree(standby.data)
    command = [primary.bindir / "pg_basebackup", "-h", primary.socket_directory, "-p", str(primary.port), "-U", "postgres",
               "-D", standby.data, "-R", "-c", "fast"]
    subprocess.run(["runuser", "-u", "postgres", "--", *command] if os.getuid() == 0 else command,
                   check=True, capture_output=True, cwd="/")
    standby.configure(port=standby.port, unix_socket_directories=str(standby.socket_directory))
    standby.start()
    with standby.connect() as c:
        assert peek(c, "s") == [2, 3, 4]
        for call in ("get_changes('s')", "advance_slot('s', 'now')", "drop_slot('s')", "create_slot('t', 'mongo')"):
            with pytest.raises(errors.ReadOnlySqlTransaction):
                c.execute(f"SELECT mongo_tail.{call}")
        mongo[fresh_namespace].items.insert_one({"_id": 5})
        wait_until(lambda: peek(c, "s") == [2, 3, 4, 5])
        primary.stop("immediate")
        c.execute("SELECT pg_promote()")
        wait_until(lambda: not c.execute("SELECT pg_is_in_recovery()").fetchone()[0])
    with standby.connect() as c:
        seen = []
        wait_until(lambda: seen.extend(get(c, "s", wait="1s")) or len(seen) >= 4)
        assert seen == [2, 3, 4, 5]


# ---- views ----

def test_stat_slot(pg, slot, tail, insert, settled, wait_until):
    insert(1)
    settled(slot, 1)
    get(pg, slot)
    row = pg.execute("""SELECT server, owner::text, state, pid, position::text, cluster_time::text, wall_time,
                               lag, oplog_seconds_left, created_at <= advanced_at
                          FROM mongo_tail.stat_slot WHERE slot = %s""", (slot,)).fetchone()
    assert row[:4] == (tail, "postgres", "ok", None)
    assert row[4] == position(pg, slot) and row[4].startswith(row[5])
    assert row[6] is not None and row[9]

    def caught_up():
        pg.execute("SELECT mongo_tail.advance_slot(%s, 'now')", (slot,))
        return pg.execute("SELECT lag = '0' FROM mongo_tail.stat_slot WHERE slot = %s", (slot,)).fetchone()[0]
    wait_until(caught_up)
    pg.execute("UPDATE mongo_tail.slot SET \"position\" = now() - interval '1 day' WHERE slot = %s", (slot,))
    lag = pg.execute("SELECT extract(epoch FROM lag) FROM mongo_tail.stat_slot WHERE slot = %s", (slot,)).fetchone()[0]
    assert 86395 < lag < 86500
    # The tail's figure is that of its oldest reader, once the tailer has looked at the oplog's first entry.
    left, tails = wait_until(lambda: next((row for row in pg.execute("""
        SELECT (SELECT min(oplog_seconds_left) FROM mongo_tail.stat_slot s WHERE s.server = t.server),
               oplog_seconds_left FROM mongo_tail.stat_tail t WHERE server = %s""", (tail,)) if row[0] is not None), None))
    assert left == tails < -3000     # unless the oplog is nearly a day old


# ---- privileges ----

@pytest.fixture
def role(pg_server, database, unused_name):
    """A role that may log in and nothing more, and its connection."""
    name = unused_name("consumer")
    with pg_server.connect(database) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN")
        connection = pg_server.connect(database, user=name)
        yield name, connection
        connection.close()
        admin.execute("DELETE FROM mongo_tail.slot WHERE owner = %s::regrole", (name,))
        admin.execute(f"DROP OWNED BY {name}")
        admin.execute(f"DROP ROLE {name}")


def test_privileges(pg, tail, slot, role, insert, settled, fresh_namespace):
    name, connection = role
    calls = ("get_changes(%s)", "peek_changes(%s)", "advance_slot(%s, 'now')", "drop_slot(%s)", "adopt_slot(%s)")
    for call in (*calls, "create_slot(%s, 'mongo')"):
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(f"SELECT mongo_tail.{call}", (slot,))
    # The right to the functions alone is not the right to the tail.
    pg.execute(f"GRANT USAGE ON SCHEMA mongo_tail TO {name}; GRANT EXECUTE ON FUNCTION mongo_tail.create_slot TO {name}")
    with pytest.raises(errors.InsufficientPrivilege) as caught:
        connection.execute("SELECT mongo_tail.create_slot('theirs', %s)", (tail,))
    assert "grant_tail" in caught.value.diag.message_hint

    pg.execute("SELECT mongo_tail.grant_tail(%s, %s::regrole)", (tail, name))
    for call in calls:
        with pytest.raises(errors.InsufficientPrivilege, match="must be owner of slot"):
            connection.execute(f"SELECT mongo_tail.{call}", (slot,))
    for relation in ("slot", "stat_slot"):
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(f"SELECT * FROM mongo_tail.{relation}")
    connection.execute("SELECT mongo_tail.create_slot('theirs', %s, %s)", (tail, [f"{fresh_namespace}.*"]))
    insert(1)
    assert get(connection, "theirs", wait="5s") == [1]
    # A superuser and a member of the owner may use it; a member of another role may not.
    assert peek(pg, "theirs") == []
    pg.execute(f"CREATE ROLE member_of_{name} LOGIN IN ROLE {name}")
    try:
        pg.execute(f"SET ROLE member_of_{name}")
        insert(2)
        assert get(pg, "theirs", wait="5s") == [2]
    finally:
        pg.execute("RESET ROLE")
        pg.execute(f"DROP ROLE member_of_{name}")
    # What is revoked is gone for its slots, too.
    pg.execute("SELECT mongo_tail.revoke_tail(%s, %s::regrole)", (tail, name))
    with pytest.raises(errors.InsufficientPrivilege, match="permission denied for the tail"):
        get(connection, "theirs")
    connection.execute("SELECT mongo_tail.drop_slot('theirs')")
