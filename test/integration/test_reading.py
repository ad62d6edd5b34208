"""changes(): its interval, its waiting, and its way between the ring and the oplog."""

import os
import threading
import time

import bson
import pytest
from psycopg import errors
from pymongo import WriteConcern

from harness import wait_until
from harness.tails import (Background, changes, inserted, read_inserted, start_tail, stat, wait_backend_waits,
                           wait_state)


@pytest.fixture(autouse=True)
def no_tail_left(pg, server):
    yield
    pg.execute("SELECT mongo_tail.stop_tail(server) FROM mongo_tail.tail")


@pytest.fixture
def tailed(pg, server, fresh_namespace, mongo):
    """A streaming tail of fresh_namespace; gives its start and collection t there."""
    place = start_tail(pg, server, [f"{fresh_namespace}.*"])
    wait_state(pg, server, "streaming")
    return place, mongo[fresh_namespace].t


# ---- the interval ----

def test_after_until_and_max_changes(pg, server, tailed):
    place, collection = tailed
    collection.insert_many({"_id": n} for n in range(10))
    ids, _ = read_inserted(pg, server, 10, place)
    rows = [r for r in changes(pg, server, after=place) if r[1] == "insert"]
    assert inserted(rows) == ids == list(range(10))
    positions = [r[0] for r in rows]
    for way in (lambda **a: a, lambda **a: {**a, "namespaces": [f"{collection.full_name}"]}):
        assert inserted(changes(pg, server, **way(after=positions[3]))) == list(range(4, 10))
        assert inserted(changes(pg, server, **way(after=positions[3], until=positions[6]))) == [4, 5, 6]
        assert inserted(changes(pg, server, **way(after=positions[3], max_changes=2))) == [4, 5]
        assert inserted(changes(pg, server, **way(after=positions[9]))) == []
        assert inserted(changes(pg, server, **way(after=positions[6], until=positions[3]))) == []
        assert changes(pg, server, **way(after=positions[3], max_changes=0)) == []
        assert inserted(changes(pg, server, **way(after="now"))) == []
    with pytest.raises(errors.InvalidParameterValue):
        changes(pg, server, max_changes=-1)
    with pytest.raises(errors.InvalidParameterValue):
        changes(pg, server, wait="-1s")
    with pytest.raises(errors.InvalidParameterValue):
        changes(pg, server, namespaces=["elsewhere.*"])


def test_the_ring_and_the_oplog_say_the_same(pg, server, tailed, mongo, fresh_namespace):
    place, collection = tailed
    collection.insert_many({"_id": n, "a": {"b": n}} for n in range(5))
    collection.update_many({"_id": {"$gt": 2}}, {"$set": {"a.b": -1}, "$unset": {"x": 1}})
    collection.replace_one({"_id": 1}, {"c": 1})
    collection.delete_one({"_id": 0})
    with mongo.start_session() as session, session.start_transaction():
        collection.insert_one({"_id": "t1"}, session=session)
        collection.update_one({"_id": 1}, {"$set": {"t": 1}}, session=session)
        mongo[fresh_namespace].u.insert_one({"_id": "t2"}, session=session)
    collection.create_index("a")
    collection.rename("renamed")
    mongo[fresh_namespace].renamed.drop()
    mongo[fresh_namespace].last.insert_one({"_id": "end"})
    read_inserted(pg, server, 8, place)
    whole = "c::text"
    in_ring = changes(pg, server, whole.replace("c::", "changes::"), after=place)
    reads = stat(pg, server, "events")
    pg.execute("SELECT mongo_tail.seek_tail(%s, 'now')", (server,))
    through_oplog = changes(pg, server, "changes::text", after=place)
    assert in_ring == through_oplog
    assert len(in_ring) >= 14 and reads >= 14


def test_resuming_after_every_single_change(pg, server, tailed, mongo, fresh_namespace):
    """Also in the middle of a transaction, from the ring and from the oplog."""
    place, collection = tailed
    collection.insert_one({"_id": 0})
    with mongo.start_session() as session, session.start_transaction():
        for n in range(1, 6):
            collection.insert_one({"_id": n}, session=session)
    collection.insert_one({"_id": 6})
    read_inserted(pg, server, 7, place)
    rows = [r for r in changes(pg, server, after=place) if r[1] == "insert"]
    for _ in range(2):
        for n, row in enumerate(rows):
            assert inserted(changes(pg, server, after=row[0])) == list(range(n + 1, 7))
            assert inserted(changes(pg, server, after=place, until=row[0])) == list(range(n + 1))
        pg.execute("SELECT mongo_tail.seek_tail(%s, 'now')", (server,))


def test_position_of_another_history_is_refused(pg, server, tailed, mongo):
    place, collection = tailed
    collection.insert_one({"_id": 1})
    _, last = read_inserted(pg, server, 1, place)
    start, rest = last.split("/", 1)
    seconds, increment = start.split(".")
    # An entry that never was, in the middle of the oplog, before the ring.
    other = mongo[collection.database.name + "_elsewhere"].t
    wait_until(lambda: other.insert_one({}).acknowledged and
               mongo.admin.command("ping")["operationTime"].time > int(seconds))
    collection.insert_one({"_id": 2})
    pg.execute("SELECT mongo_tail.seek_tail(%s, 'now')", (server,))
    assert inserted(changes(pg, server, after=last)) == [2]
    with pytest.raises(errors.ObjectNotInPrerequisiteState) as e:
        changes(pg, server, after=f"{seconds}.{int(increment) + 99999}/{rest}")
    assert "has no entry at" in e.value.diag.message_primary and e.value.diag.message_hint


def test_clock_time_before_the_set_was_made_is_no_lost_history(pg, server, tailed):
    """The oplog still begins with the entry that made the replica set."""
    place, collection = tailed
    collection.insert_one({"_id": 1})
    read_inserted(pg, server, 1, place)
    assert inserted(changes(pg, server, after="1999-01-01 00:00:00+00")) == inserted(changes(pg, server, after="oldest"))


def test_filtered_scan_of_the_ring(pg, server, tailed, mongo, fresh_namespace):
    place, collection = tailed
    collection.insert_many({"_id": n} for n in range(50))
    mongo[fresh_namespace].u.insert_many({"_id": f"u{n}"} for n in range(50))
    read_inserted(pg, server, 100, place)
    assert inserted(changes(pg, server, namespaces=[f"{fresh_namespace}.u"])) == [f"u{n}" for n in range(50)]
    assert inserted(changes(pg, server, namespaces=[f"{fresh_namespace}.t"])) == list(range(50))


# ---- waiting ----

def test_wait_wakes_on_the_event(pg, connect, server, tailed):
    """From the acknowledgement of a w:majority write to the row in the client."""
    place, collection = tailed
    collection = collection.with_options(write_concern=WriteConcern("majority"))
    collection.insert_one({"_id": -1})
    _, after = read_inserted(pg, server, 1, place)
    delays = []
    reader = connect()
    for n in range(40):
        call = Background(reader, "SELECT position::text, operation_type, full_document FROM "
                                  "mongo_tail.changes(%s, after => %s, wait => '30s')", (server, after))
        wait_backend_waits(pg, call.pid)
        time.sleep(0.01)
        collection.insert_one({"_id": n})
        acknowledged = time.monotonic()
        call.join()
        assert inserted(call.rows) == [n]
        delays.append(call.ended - acknowledged)
        after = call.rows[-1][0]
    delays.sort()
    print(f"p50 {delays[20] * 1000:.1f} ms, p90 {delays[36] * 1000:.1f} ms, max {delays[-1] * 1000:.1f} ms")
    assert delays[20] < 0.02 and delays[36] < 0.05


def test_wait_ends_by_itself(pg, server, tailed):
    start = time.monotonic()
    assert changes(pg, server, after="now", wait="300ms") == []
    assert 0.29 < time.monotonic() - start < 0.6


def test_wait_ends_when_its_end_is_scanned(pg, connect, server, tailed, mongo):
    """A reader with until does not wait for an event that can no longer come."""
    soon = pg.execute("SELECT (clock_timestamp() + interval '1s')::mongo_tail.position::text").fetchone()[0]
    call = Background(connect(), "SELECT * FROM mongo_tail.changes(%s, after => 'now', until => %s, wait => '20s')",
                      (server, soon))
    wait_until(lambda: mongo.elsewhere.c.insert_one({}) and not call.running, timeout=8, interval=0.2)
    call.join()
    assert call.error is None and call.rows == []
    assert call.ended - call.started < 8


def test_many_waiters_are_all_woken(pg, connect, server, tailed):
    place, collection = tailed
    collection.insert_one({"_id": 0})
    _, after = read_inserted(pg, server, 1, place)
    calls = [Background(connect(), "SELECT full_document FROM mongo_tail.changes(%s, after => %s, wait => '30s')",
                        (server, after)) for _ in range(20)]
    for call in calls:
        wait_backend_waits(pg, call.pid)
    # A sleeper that is cancelled hands the news on.
    for call in calls[::4]:
        pg.execute("SELECT pg_cancel_backend(%s)", (call.pid,))
    collection.insert_one({"_id": 1})
    start = time.monotonic()
    for n, call in enumerate(calls):
        call.join(3)
        assert (call.error is not None) if n % 4 == 0 and call.error else call.rows == [({"_id": 1},)]
    print(f"20 waiters: {(time.monotonic() - start) * 1000:.0f} ms")


def test_waiting_procedure_holds_no_snapshot(pg, connect, server, tailed):
    place, collection = tailed
    waiter = Background(connect(), "CALL mongo_tail.wait_for_changes(%s, wait => '20s')", (server,))
    # Where 'now' is, it still asks MongoDB with a snapshot.
    wait_until(lambda: pg.execute("SELECT backend_xmin, backend_xid FROM pg_stat_activity WHERE pid = %s "
                                  "AND wait_event_type = 'Extension'",
                                  (waiter.pid,)).fetchone() == (None, None), what="a wait without a snapshot")
    reader = Background(connect(), "SELECT * FROM mongo_tail.changes(%s, after => 'now', wait => '20s')", (server,))
    wait_backend_waits(pg, reader.pid)
    assert pg.execute("SELECT backend_xmin FROM pg_stat_activity WHERE pid = %s", (reader.pid,)).fetchone()[0]
    collection.insert_one({"_id": 1})
    assert waiter.join().error is None
    assert reader.join().error is None
    # In a block, from PL/pgSQL, and after an error.
    pg.execute("DO $$ BEGIN CALL mongo_tail.wait_for_changes('" + server + "', wait => '100ms'); "
               "PERFORM count(*) FROM pg_class; COMMIT; PERFORM 1; END $$")
    with pg.transaction():
        pg.execute("CALL mongo_tail.wait_for_changes(%s, wait => '50ms')", (server,))
        assert pg.execute("SELECT 1").fetchone() == (1,)
    pg.execute("SET statement_timeout = '100ms'")
    with pytest.raises(errors.QueryCanceled):
        pg.execute("CALL mongo_tail.wait_for_changes(%s, wait => '5s')", (server,))
    pg.execute("RESET statement_timeout")
    pg.execute("CALL mongo_tail.wait_for_changes(%s, after => %s)", (server, place))


# ---- rings that are too small ----

@pytest.mark.parametrize("ring_size", ["4kB", "16kB"])
def test_reader_that_falls_out_misses_nothing(pg, server, mongo, fresh_namespace, ring_size, rng):
    """Thousands of documents through a tiny ring, while they are written."""
    count = 4000
    place = start_tail(pg, server, [f"{fresh_namespace}.*"], ring_size=ring_size)
    wait_state(pg, server, "streaming")
    collection = mongo[fresh_namespace].t
    sizes = [rng.choice([0, 10, 100, 300, 900, 3000, 9000]) for _ in range(count)]

    def write():
        n = 0
        while n < count:
            batch = range(n, min(count, n + rng.choice([1, 1, 3, 20, 100])))
            collection.insert_many([{"_id": k, "pad": "x" * sizes[k]} for k in batch])
            n = batch.stop
            time.sleep(rng.choice([0, 0, 0.001, 0.003]))
    writer = threading.Thread(target=write)
    writer.start()
    ids, after = [], place
    deadline = time.monotonic() + 90
    sizes_seen = []
    while len(ids) < count:
        assert time.monotonic() < deadline, f"{len(ids)} of {count}"
        rows = changes(pg, server, "position::text, operation_type, jsonb_build_object('_id', full_document->'_id'), "
                                   "length(full_document->>'pad')",
                       after=after, max_changes=rng.choice([1, 7, 50, 1000]), wait="1s")
        ids += inserted(rows)
        sizes_seen += [r[3] for r in rows if r[1] == "insert"]
        after = rows[-1][0] if rows else after
    writer.join()
    assert ids == list(range(count))
    assert sizes_seen == sizes
    assert inserted(changes(pg, server, after=after)) == []
    through = pg.execute("SELECT oplog_reads, readers_lapped FROM mongo_tail.stat_ring WHERE server = %s",
                         (server,)).fetchone()
    print(f"oplog reads, laps: {through}")
    assert through[0] > 10
    # And from the beginning, in one call.
    assert inserted(changes(pg, server, "position::text, operation_type, "
                            "jsonb_build_object('_id', full_document->'_id')", after=place)) == ids


def test_events_larger_than_a_quarter_of_the_ring(pg, server, mongo, fresh_namespace):
    place = start_tail(pg, server, [f"{fresh_namespace}.*"], ring_size="64kB")
    wait_state(pg, server, "streaming")
    collection = mongo[fresh_namespace].t
    big = "y" * 20000
    collection.insert_one({"_id": 0, "big": big})
    collection.update_one({"_id": 0}, {"$set": {"big": big + "1"}})
    collection.replace_one({"_id": 0}, {"big": big + "2"})
    collection.insert_one({"_id": "z" * 18000})
    collection.delete_one({"_id": "z" * 18000})
    with mongo.start_session() as session, session.start_transaction():
        collection.insert_many([{"_id": n, "big": big + str(n)} for n in range(1, 4)], session=session)
    collection.insert_one({"_id": "end"})
    ids, _ = read_inserted(pg, server, 6, place)
    assert ids == [0, "z" * 18000, 1, 2, 3, "end"]
    # of each the ring has no more than where it stands
    assert 0 < pg.execute("SELECT ring_used_bytes FROM mongo_tail.stat_ring").fetchone()[0] < 16 * 1024
    rows = changes(pg, server, "operation_type, document_key, full_document, update_description, entry_bytes",
                   after=place)
    rows = [r for r in rows if r[0] in ("insert", "update", "replace", "delete")]
    assert [r[0] for r in rows] == ["insert", "update", "replace", "insert", "delete"] + ["insert"] * 4
    assert rows[0][2] == {"_id": 0, "big": big}
    assert rows[1][3]["updatedFields"] == {"big": big + "1"} and rows[1][1] == {"_id": 0}
    assert rows[2][2] == {"_id": 0, "big": big + "2"}
    assert rows[4][1] == {"_id": "z" * 18000}
    assert [r[2]["big"] for r in rows[5:8]] == [big + str(n) for n in range(1, 4)]
    assert all(r[4] > 0 for r in rows)


def test_documents_of_16_mb(pg, server, mongo, fresh_namespace):
    place = start_tail(pg, server, [f"{fresh_namespace}.*"], ring_size="1MB")
    wait_state(pg, server, "streaming")
    collection = mongo[fresh_namespace].t
    room = 16 * 1024 * 1024 - len(bson.encode({"_id": 1, "big": ""}))
    collection.insert_one({"_id": 1, "big": "x" * room})
    collection.update_one({"_id": 1}, {"$set": {"big": "y" * room}})
    collection.insert_one({"_id": 2})
    deadline = time.monotonic() + 20
    rows, after = [], place
    while "end" not in rows:
        assert time.monotonic() < deadline
        got = changes(pg, server, "position::text, operation_type, document_key->'_id', "
                      "length(coalesce(full_document->>'big', update_description->'updatedFields'->>'big'))",
                      after=after, wait="1s")
        rows += [r[1:] for r in got if r[1] in ("insert", "update")]
        after = got[-1][0] if got else after
        if rows and rows[-1][1] == 2:
            rows.append("end")
    assert rows[:-1] == [("insert", 1, room), ("update", 1, room), ("insert", 2, None)]


def test_transactions_larger_than_the_ring(pg, new_server, make_mongo):
    """One of 40 MB (three oplog entries) through a ring of 64 kB."""
    mongod = make_mongo(cache_gb=1)
    server, fresh_namespace = new_server(pg, "large", mongod.uri), "d"
    place = start_tail(pg, server, ["d.*"], ring_size="64kB")
    wait_state(pg, server, "streaming")
    mongo = mongod.client()
    mongo[fresh_namespace].create_collection("t")
    collection = mongo[fresh_namespace].t

    def write(session):
        for n in range(40):
            collection.insert_one({"_id": n, "big": "x" * (1024 * 1024)}, session=session)
            if n % 4 == 0:
                collection.insert_one({"_id": f"s{n}"}, session=session)
    with mongo.start_session() as session:
        session.with_transaction(write)
    collection.insert_one({"_id": "end"})
    entries = list(mongo.local["oplog.rs"].find({"o.applyOps.ns": f"{fresh_namespace}.t"}, {"o.partialTxn": 1}))
    assert len(entries) == 3
    expected = [x for n in range(40) for x in ([n] + ([f"s{n}"] if n % 4 == 0 else []))] + ["end"]
    columns = ("position::text, operation_type, jsonb_build_object('_id', full_document->'_id'), transaction_id, "
               "length(full_document->>'big')")
    deadline = time.monotonic() + 30
    for max_changes in (None, 7):
        ids, after, transactions, lengths = [], place, set(), []
        while not ids or ids[-1] != "end":
            assert time.monotonic() < deadline
            rows = changes(pg, server, columns, after=after, max_changes=max_changes, wait="1s")
            ids += inserted(rows)
            transactions |= {r[3] for r in rows if r[1] == "insert" and r[2]["_id"] != "end"}
            lengths += [r[4] for r in rows if r[1] == "insert" and r[4]]
            after = rows[-1][0] if rows else after
        assert ids == expected
        assert len(transactions) == 1 and None not in transactions
        assert lengths == [1024 * 1024] * 40
    mongo.close()
    pg.execute("DROP SERVER large CASCADE")


@pytest.mark.parametrize("outcome", ["commit", "abort"])
def test_prepared_transactions(pg, server, mongo_server, fresh_namespace, outcome):
    """Foreign entries lie between prepare and commit; the group comes out at its commit."""
    place = start_tail(pg, server, [f"{fresh_namespace}.*"])
    wait_state(pg, server, "streaming")
    with mongo_server.client(retryWrites=False) as client:
        collection = client[fresh_namespace].t
        client[fresh_namespace].create_collection("t")
        lsid, number = {"id": bson.Binary(os.urandom(16), 4)}, bson.Int64(1)
        in_transaction = {"lsid": lsid, "txnNumber": number, "autocommit": False}
        client[fresh_namespace].command({"insert": "t", "documents": [{"_id": "p1"}, {"_id": "p2"}],
                                         "startTransaction": True, **in_transaction})
        prepared = client.admin.command({"prepareTransaction": 1, **in_transaction})
        collection.insert_one({"_id": "between"})
        assert read_inserted(pg, server, 1, place)[0] == ["between"]
        if outcome == "commit":
            client.admin.command({"commitTransaction": 1, "commitTimestamp": prepared["prepareTimestamp"],
                                  **in_transaction})
        else:
            client.admin.command({"abortTransaction": 1, **in_transaction})
        collection.insert_one({"_id": "end"})
    group = ["p1", "p2"] if outcome == "commit" else []
    ids, _ = read_inserted(pg, server, 2 + len(group), place)
    assert ids == ["between", *group, "end"]
    # A reader that begins between prepare and commit gets the whole group, from the oplog too.
    between = next(r[0] for r in changes(pg, server, after=place) if r[1] == "insert")
    pg.execute("SELECT mongo_tail.seek_tail(%s, 'now')", (server,))
    assert inserted(changes(pg, server, after=between)) == [*group, "end"]


def test_stop_in_a_batch_larger_than_the_ring(pg, server, mongo, fresh_namespace):
    """A batch is visible in portions; a pause in its middle doubles nothing."""
    collection = mongo[fresh_namespace].t
    first = start_tail(pg, server, [f"{fresh_namespace}.*"], ring_size="64kB")
    pg.execute("SELECT mongo_tail.pause_tail(%s)", (server,))
    collection.insert_many([{"_id": n, "pad": "x" * 200} for n in range(20000)])
    pg.execute("SELECT mongo_tail.resume_tail(%s)", (server,))
    ids, after = [], first
    deadline = time.monotonic() + 40
    while len(ids) < 20000:
        assert time.monotonic() < deadline
        pg.execute("SELECT mongo_tail.pause_tail(%s)", (server,))
        rows = changes(pg, server, after=after, max_changes=3000)
        pg.execute("SELECT mongo_tail.resume_tail(%s)", (server,))
        ids += inserted(rows)
        after = rows[-1][0] if rows else after
        time.sleep(0.01)
    assert ids == list(range(20000))


def test_wider_pattern_lacks_what_the_tail_excludes(pg, server, mongo, fresh_namespace):
    start_tail(pg, server, [f"{fresh_namespace}.*"], exclude_namespaces=[f"{fresh_namespace}.secret"])
    wait_state(pg, server, "streaming")
    place = pg.execute("SELECT position::text FROM mongo_tail.stat_tail").fetchone()[0]
    mongo[fresh_namespace].secret.insert_one({"_id": "secret"})
    mongo[fresh_namespace].open.insert_one({"_id": "open"})
    read_inserted(pg, server, 1, place)
    for after in (None, "oldest"):         # from the ring and from the oplog
        assert inserted(changes(pg, server, namespaces=[f"{fresh_namespace}.*"], after=after)) == ["open"]
    with pytest.raises(errors.InvalidParameterValue):
        changes(pg, server, namespaces=[f"{fresh_namespace}.secret"])


def test_merged_rings_wait_without_polling(pg, connect, server, tailed):
    """Two shards, which are the same replica set: every change comes twice, and who waits for one sleeps."""
    place, collection = tailed
    pg.execute("INSERT INTO mongo_tail.tail_shard SELECT server, 'another', resume_time FROM mongo_tail.tail_shard")
    pg.execute("SELECT mongo_tail.pause_tail(%s)", (server,))
    wait_state(pg, server, "paused")
    pg.execute("SELECT mongo_tail.resume_tail(%s)", (server,))
    wait_until(lambda: pg.execute("SELECT count(*) FROM mongo_tail.stat_tail WHERE state = 'streaming'").fetchone()[0] == 2)
    collection.insert_many({"_id": n} for n in range(20))
    wait_until(lambda: len(changes(pg, server, after=place)) >= 40, what="the inserts of both shards")
    rows = changes(pg, server, "position::text, shard, full_document->'_id'", after=place)
    assert sorted(r[2] for r in rows if r[2] is not None) == sorted([*range(20)] * 2)
    assert len({r[1] for r in rows}) == 2
    assert [r[2] for r in rows if r[1] == "another" and r[2] is not None] == list(range(20))

    def sleeps(pid):
        with open(f"/proc/{pid}/status") as status:
            return int(next(line for line in status if line.startswith("voluntary_ctxt")).split()[1])

    reader = connect()
    call = Background(reader, f"SELECT full_document FROM mongo_tail.changes('{server}', after => 'now', wait => '20s')")
    wait_backend_waits(pg, call.pid)
    before, since = sleeps(call.pid), time.monotonic()
    time.sleep(2)
    rate = (sleeps(call.pid) - before) / (time.monotonic() - since)
    print(f"{rate:.1f} sleeps a second")
    assert call.running and rate < 15, "each shard says once a while how far it is; a poll would be 50 a second"
    collection.insert_one({"_id": "news"})
    call.join()
    assert call.rows[0] == ({"_id": "news"},)
    assert call.ended - since < 10
