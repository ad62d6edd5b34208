"""full_document => 'lookup': each update with its document, in its place among all other changes.

A document shows the present, so most tests write while the tail is paused: what
is looked up afterwards is what the collection holds then.
"""

import datetime
import json
import threading
import time

import bson
import pytest
from bson import json_util
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from harness import wait_until
from harness.tails import (Background, anonymous_mb, changes, start_tail, stat, takes_at_most, wait_backend_waits,
                           wait_state)

COLUMNS = "position::text, operation_type, document_key, full_document, collection"


@pytest.fixture(autouse=True)
def no_tail_left(pg, server):
    yield
    pg.execute("SELECT mongo_tail.stop_tail(server) FROM mongo_tail.tail")


class Lookup:
    """A tail that looks up, and both ways to read it."""

    def __init__(self, pg, server, place):
        self.pg, self.server, self.place = pg, server, place

    def pause(self):
        self.pg.execute("SELECT mongo_tail.pause_tail(%s)", (self.server,))
        wait_state(self.pg, self.server, "paused")

    def resume(self):
        self.pg.execute("SELECT mongo_tail.resume_tail(%s)", (self.server,))

    def read(self):
        rows = changes(self.pg, self.server, COLUMNS, after=self.place)
        return [row for row in rows if row[1] != "create"]

    def from_ring(self, count, timeout=60):
        """All changes so far but creates, when there are `count` of them."""
        def enough():
            rows = self.read()
            return len(rows) >= count and rows
        return wait_until(enough, timeout, what=f"{count} changes")

    def from_oplog(self):
        self.pg.execute("SELECT mongo_tail.seek_tail(%s, 'now')", (self.server,))
        before = stat(self.pg, self.server, "lookups") or 0
        rows = self.read()
        self.looked_up_by_reader = (stat(self.pg, self.server, "lookups") or 0) - before
        return rows

    def both_ways(self, count):
        """The changes as the tailer put them into the ring, which a reader's own
        way through the oplog must show as well."""
        rows = self.from_ring(count)
        assert self.from_oplog() == rows
        return rows


@pytest.fixture
def new_lookup(pg, server, fresh_namespace):
    def make(server=server, **arguments):
        place = start_tail(pg, server, [f"{fresh_namespace}.*"], full_document="lookup", **arguments)
        wait_state(pg, server, "streaming")
        return Lookup(pg, server, place)
    return make


@pytest.fixture
def lookup(new_lookup):
    return new_lookup()


def as_json(document):
    return document and json.loads(json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS))


def updates(rows):
    return [(row[2]["_id"], row[3]) for row in rows if row[1] == "update"]


IDS = [
    bson.ObjectId("65a1b2c3d4e5f60718293a4b"), "text", "", "grüße", "1", 1, 2.5, Int64(2 ** 60), Decimal128("0.1"),
    float("inf"), -7, 0, True, False, None, datetime.datetime(2024, 2, 29, 12, 30, 0, 125000), bson.Timestamp(5, 6),
    bson.Binary(b"\x00\x01\xff", 0), bson.Binary(bytes(range(16)), 4), bson.Code("f()"), bson.MinKey(), bson.MaxKey(),
    {"a": 1}, {"a": "1"}, {"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": {"b": [1, 2, {"c": None}]}}, {}, {"a": []},
    {"$ref": "t", "$id": 7}, "x" * 3000,
]


def test_ids_of_every_type(lookup, mongo, fresh_namespace):
    collection = mongo[fresh_namespace].t
    lookup.pause()
    collection.insert_many({"_id": i, "n": n} for n, i in enumerate(IDS))
    for i in IDS:
        collection.update_one({"_id": i}, {"$set": {"seen": 1}, "$inc": {"n": 1000}})
    collection.delete_many({"n": {"$gte": 1000, "$lt": 1010}})
    lookup.resume()
    rows = lookup.both_ways(2 * len(IDS) + 10)
    current = {bson.encode({"_id": d["_id"]}): as_json(d) for d in collection.find()}
    expected = [(as_json({"_id": i})["_id"], current.get(bson.encode({"_id": i}))) for i in IDS]
    assert updates(rows) == expected
    assert sum(document is None for _, document in expected) == 10
    # the reader asked MongoDB for each id once, too
    assert lookup.looked_up_by_reader == len(IDS)


def test_compound_ids(lookup, mongo, fresh_namespace):
    """Another tool found nothing for 31 of 200 of these."""
    collection = mongo[fresh_namespace].t
    ids = [{"region": n % 7, "customer": f"c{n}", "day": {"y": 2024, "m": n % 12, "d": n % 28}} for n in range(200)]
    lookup.pause()
    collection.insert_many({"_id": i, "n": n} for n, i in enumerate(ids))
    for i in ids:
        collection.update_one({"_id": i}, {"$set": {"total": i["customer"]}})
    lookup.resume()
    rows = lookup.both_ways(400)
    assert updates(rows) == [(i, {"_id": i, "n": n, "total": i["customer"]}) for n, i in enumerate(ids)]


def test_numbers_are_one_key_and_text_is_another(lookup, mongo, fresh_namespace):
    """1, 1.0, NumberLong(1) and NumberDecimal("1.00") are one key; "1" is not."""
    collection = mongo[fresh_namespace].t
    forms = [1, 1.0, Int64(1), Decimal128("1.00")]
    nested = [{"k": 3}, {"k": 3.0}, {"k": Decimal128("3E+0")}]
    fractions = [0.5, Decimal128("0.50")]
    lookup.pause()
    collection.insert_one({"_id": "1", "is": "text"})
    collection.update_one({"_id": "1"}, {"$set": {"seen": 1}})
    for same in (forms, nested, fractions):
        for form in same:
            collection.delete_one({"_id": form})
            collection.insert_one({"_id": form})
            collection.update_one({"_id": form}, {"$set": {"seen": 1}})
    # nearly one key, but two
    collection.insert_many([{"_id": 0.1}, {"_id": Decimal128("0.1")}, {"_id": 2.0 ** 53}, {"_id": Int64(2 ** 53 + 1)}])
    collection.update_many({"_id": {"$in": [0.1, Decimal128("0.1"), 2.0 ** 53, Int64(2 ** 53 + 1)]}},
                           {"$set": {"seen": 2}})
    lookup.resume()
    rows = lookup.both_ways(2 + 3 * 9 - 3 + 8)
    found = [document for _, document in updates(rows)]
    assert found[0] == {"_id": "1", "is": "text", "seen": 1}
    assert found[1:5] == [{"_id": {"$numberDecimal": "1.00"}, "seen": 1}] * 4
    assert found[5:8] == [{"_id": {"k": {"$numberDecimal": "3"}}, "seen": 1}] * 3
    assert found[8:10] == [{"_id": {"$numberDecimal": "0.50"}, "seen": 1}] * 2
    keys = [key for key, _ in updates(rows)][10:]
    assert [document["_id"] for document in found[10:]] == keys and len(keys) == 4


def test_many_updates_of_few_documents(lookup, mongo, fresh_namespace):
    collection = mongo[fresh_namespace].t
    lookup.pause()
    collection.insert_many({"_id": n, "n": 0} for n in range(3))
    collection.bulk_write([UpdateOne({"_id": n % 3}, {"$inc": {"n": 1}}) for n in range(3000)])
    lookup.resume()
    rows = lookup.both_ways(3003)
    assert updates(rows) == [(n % 3, {"_id": n % 3, "n": 1000}) for n in range(3000)]
    assert stat(lookup.pg, lookup.server, "lookups") < 100


def test_many_namespaces_and_transactions(lookup, mongo, fresh_namespace):
    database = mongo[fresh_namespace]
    names = [f"c{n}" for n in range(40)]
    lookup.pause()
    for name in names:
        database[name].insert_many({"_id": n, "of": name} for n in range(5))
    with mongo.start_session() as session:
        for n in range(5):
            with session.start_transaction():
                for name in names:
                    database[name].update_one({"_id": n}, {"$set": {"n": n}}, session=session)
                    database[name].insert_one({"_id": f"i{n}"}, session=session)
    lookup.resume()
    rows = lookup.both_ways(40 * 5 + 400)
    assert [(row[4], row[3]) for row in rows if row[1] == "update"] == [
        (name, {"_id": n, "of": name, "n": n}) for n in range(5) for name in names]
    pairs = [row[1] for row in rows if row[1] in ("update", "insert")][200:]
    assert pairs == ["update", "insert"] * 200


def test_collections_that_are_gone(lookup, mongo, fresh_namespace):
    database = mongo[fresh_namespace]
    lookup.pause()
    for name in ("dropped", "renamed", "kept"):
        database[name].insert_one({"_id": 1})
        database[name].update_one({"_id": 1}, {"$set": {"a": 1}})
    database.dropped.drop()
    database.renamed.rename("other")
    lookup.resume()
    rows = lookup.both_ways(8)
    assert {row[4]: row[3] for row in rows if row[1] == "update"} == {
        "dropped": None, "renamed": None, "kept": {"_id": 1, "a": 1}}


def test_collection_with_a_collation(lookup, mongo, fresh_namespace):
    """Ids are told apart by their bytes, whatever the collection thinks of case."""
    collection = mongo[fresh_namespace].create_collection("t", collation={"locale": "en", "strength": 2})
    lookup.pause()
    collection.insert_many([{"_id": "Anna"}, {"_id": "Bert"}])
    collection.update_many({}, {"$set": {"n": 1}})
    collection.delete_one({"_id": "Bert"})
    collection.insert_one({"_id": "bert"})
    lookup.resume()
    assert updates(lookup.both_ways(6)) == [("Anna", {"_id": "Anna", "n": 1}), ("Bert", None)]


def test_no_lookup_without_the_option(pg, server, mongo, fresh_namespace):
    place = start_tail(pg, server, [f"{fresh_namespace}.*"])
    mongo[fresh_namespace].t.insert_one({"_id": 1})
    mongo[fresh_namespace].t.update_one({"_id": 1}, {"$set": {"a": 1}})
    tail = Lookup(pg, server, place)
    assert updates(tail.both_ways(2)) == [(1, None)]
    assert stat(pg, server, "lookups") == 0 == tail.looked_up_by_reader


def test_the_reader_looks_up_and_is_counted(lookup, mongo, fresh_namespace):
    collection = mongo[fresh_namespace].t
    collection.insert_one({"_id": 1})
    collection.update_one({"_id": 1}, {"$set": {"a": 1}})
    lookup.from_ring(2)
    assert updates(lookup.from_oplog()) == [(1, {"_id": 1, "a": 1})]
    assert lookup.looked_up_by_reader == 1


# ---- sizes ----

def test_documents_larger_than_the_budget(new_lookup, mongo, fresh_namespace):
    """Far more than fits in memory at once, and some too large for the ring."""
    lookup = new_lookup(ring_size="8MB")
    collection = mongo[fresh_namespace].t
    sizes = [400_000] * 60 + [5_000_000] * 8 + [16_000_000] * 3 + [100] * 200
    lookup.pause()
    for n, size in enumerate(sizes):
        collection.insert_one({"_id": n, "filler": "x" * size})
    for n in range(len(sizes)):
        collection.update_one({"_id": n}, {"$set": {"n": n}})
    lookup.resume()
    pid = wait_until(lambda: stat(lookup.pg, lookup.server, "pid"), what="the tailer's pid")
    peak = 0.0
    columns = "operation_type, (document_key->>'_id')::int, length(full_document->>'filler'), (full_document->>'n')::int"

    def complete():
        nonlocal peak
        peak = max(peak, anonymous_mb(pid))
        return stat(lookup.pg, lookup.server, "events") >= 2 * len(sizes)
    wait_until(complete, 60, what="all events in the ring")
    for _ in range(2):
        rows = changes(lookup.pg, lookup.server, columns, after=lookup.place)
        assert [row[1:] for row in rows if row[0] == "update"] == [(n, size, n) for n, size in enumerate(sizes)]
        lookup.pg.execute("SELECT mongo_tail.seek_tail(%s, 'now')", (lookup.server,))
    print(f"tailer: RssAnon {peak:.0f} MB at most, {anonymous_mb(pid):.0f} MB after")
    assert peak < 100


# ---- batches ----

def test_updates_wait_for_each_other_and_nothing_else_does(pg, mongo_server, new_server, new_lookup, mongo,
                                                           fresh_namespace):
    new_server(pg, "patient", mongo_server.uri, lookup_wait_ms="800ms")
    collection = mongo[fresh_namespace].t
    collection.insert_one({"_id": 1, "n": 0})
    lookup = new_lookup("patient")
    with takes_at_most(0.5, "an insert alone"):
        collection.insert_one({"_id": 2})
        assert changes(pg, "patient", after=lookup.place, wait="5s")
    before = stat(pg, "patient", "lookups")
    start = time.monotonic()
    for _ in range(20):
        collection.update_one({"_id": 1}, {"$inc": {"n": 1}})
    rows = lookup.from_ring(21)
    assert 0.7 < time.monotonic() - start < 5
    assert updates(rows) == [(1, {"_id": 1, "n": 20})] * 20
    assert stat(pg, "patient", "lookups") - before == 1
    pg.execute("SELECT mongo_tail.stop_tail('patient')")


def test_one_id_a_find_on_one_connection(pg, mongo_server, new_server, new_lookup, mongo, fresh_namespace):
    new_server(pg, "narrow", mongo_server.uri, lookup_batch=1, lookup_connections=1)
    lookup = new_lookup("narrow")
    collection = mongo[fresh_namespace].t
    collection.insert_many({"_id": n} for n in range(300))
    collection.update_many({}, {"$set": {"a": 1}})
    assert updates(lookup.both_ways(600)) == [(n, {"_id": n, "a": 1}) for n in range(300)]


# ---- when things go wrong ----

def fail_find(mongo, namespace, mode, **data):
    mongo.admin.command({"configureFailPoint": "failCommand", "mode": mode,
                         "data": {"failCommands": ["find"], "namespace": namespace, **data}})


@pytest.fixture
def find_fails(mongo, fresh_namespace):
    """Make finds on collection t fail; they work again after the test."""
    yield lambda mode, **data: fail_find(mongo, f"{fresh_namespace}.t", mode, **data)
    mongo.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


@pytest.mark.parametrize("failure", [{"closeConnection": True}, {"errorCode": 11602}, {"errorCode": 13}],
                         ids=["connection closed", "interrupted by a step-down", "unauthorized"])
def test_failed_lookup_is_made_again(lookup, mongo, fresh_namespace, find_fails, failure):
    collection = mongo[fresh_namespace].t
    lookup.pause()
    collection.insert_many({"_id": n} for n in range(3000))
    collection.update_many({}, {"$set": {"a": 1}})
    find_fails({"times": 2}, **failure)
    lookup.resume()
    rows = lookup.from_ring(6000)
    assert updates(rows) == [(n, {"_id": n, "a": 1}) for n in range(3000)]
    assert len({row[0] for row in rows}) == len(rows) == 6000
    assert stat(lookup.pg, lookup.server, "reconnects") >= 1
    assert stat(lookup.pg, lookup.server, "last_error")


def test_nothing_waits_for_a_lookup_that_hangs(lookup, mongo, fresh_namespace, find_fails, connect):
    collection = mongo[fresh_namespace].t
    collection.insert_one({"_id": 1})
    lookup.from_ring(1)
    find_fails("alwaysOn", blockConnection=True, blockTimeMS=20000)
    collection.update_one({"_id": 1}, {"$set": {"a": 1}})
    time.sleep(0.3)
    rows = changes(lookup.pg, lookup.server, COLUMNS, after=lookup.place)
    assert updates(rows) == []                  # the update is not shown without its document
    with takes_at_most(1, "pause_tail"):
        lookup.pause()
    with takes_at_most(1, "stop_tail"):
        lookup.pg.execute("SELECT mongo_tail.stop_tail(%s)", (lookup.server,))
        wait_until(lambda: lookup.pg.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE '%tailer%'").fetchone()[0] == 0, 5)
    # a reader on its own way
    place = start_tail(lookup.pg, lookup.server, [f"{fresh_namespace}.*"], full_document="lookup")
    collection.update_one({"_id": 1}, {"$set": {"a": 2}})
    lookup.pg.execute("SELECT mongo_tail.seek_tail(%s, 'now')", (lookup.server,))
    other = connect()
    reader = Background(other, "SELECT * FROM mongo_tail.changes(%s, after => %s)", (lookup.server, place))
    wait_backend_waits(lookup.pg, reader.pid)
    time.sleep(0.3)
    assert reader.running
    with takes_at_most(0.5, "cancel"):
        lookup.pg.execute("SELECT pg_cancel_backend(%s)", (reader.pid,))
        reader.join()
    assert reader.error.sqlstate == "57014"


def write_mix(collection, count, rng, stop):
    """Inserts, updates and deletes, in a way that can be told from the changes:
    each update writes the number of the write.  Survives restarts of the server."""
    n = 0
    while n < count and not stop.is_set():
        operations = []
        for n in range(n + 1, min(n + rng.randint(1, 400), count) + 1):
            kind = rng.random()
            if kind < 0.1:
                operations.append(("insert", {"_id": n, "n": n}))
            elif kind < 0.13:
                operations.append(("delete", {"_id": rng.randint(1, n)}))
            else:
                operations.append(("update", {"_id": rng.randint(1, min(n, 500))}, {"$set": {"n": n}}))
        for operation in operations:
            while True:
                try:
                    if operation[0] == "insert":
                        collection.replace_one({"_id": operation[1]["_id"]}, operation[1], upsert=True)
                    elif operation[0] == "delete":
                        collection.delete_one(operation[1])
                    else:
                        collection.update_one(operation[1], operation[2], upsert=True)
                    break
                except PyMongoError:
                    time.sleep(0.05)


def expected_changes(client, namespace):
    """From the oplog: (operation, _id, n that was written)."""
    for entry in client.local["oplog.rs"].find({"ns": namespace, "op": {"$in": ["i", "u", "d"]}}):
        if entry["op"] == "i":
            yield "insert", entry["o"]["_id"], entry["o"]["n"]
        elif entry["op"] == "d":
            yield "delete", entry["o"]["_id"], None
        elif "diff" in entry["o"]:
            diff = entry["o"]["diff"]
            yield "update", entry["o2"]["_id"], (diff.get("u") or diff.get("i"))["n"]
        elif "$set" in entry["o"]:          # MongoDB 4.4
            yield "update", entry["o2"]["_id"], entry["o"]["$set"]["n"]
        else:
            yield "replace", entry["o2"]["_id"], entry["o"]["n"]


def test_twenty_thousand_in_order_through_restarts(pg, make_mongo, new_server, rng):
    """Complete and in order while mongod is stopped, killed and started again; no
    document is older than its update."""
    mongod = make_mongo()
    new_server(pg, "restarted", mongod.uri, max_backoff_ms=200, lookup_batch=100)
    place = start_tail(pg, "restarted", ["mix.*"], full_document="lookup", ring_size="256kB")
    stop = threading.Event()
    with mongod.client(serverSelectionTimeoutMS=3000, w=1) as client:
        writer = threading.Thread(target=write_mix, args=(client.mix.t, 20000, rng, stop), daemon=True)
        writer.start()
        rows, after, restarts = [], place, 0
        try:
            deadline = time.monotonic() + 150
            quiet = 0
            while quiet < 3:
                assert time.monotonic() < deadline, f"{len(rows)} changes so far"
                try:
                    more = changes(pg, "restarted",
                                   "position::text, operation_type, (document_key->>'_id')::int, "
                                   "(full_document->>'n')::int", after=after, wait="300ms", max_changes=2500)
                except Exception as e:          # the reader's own way needs MongoDB
                    assert str(getattr(e, "sqlstate", "")).startswith("08"), e
                    time.sleep(0.1)
                    continue
                after = more[-1][0] if more else after
                rows += [row for row in more if row[1] != "create"]
                if restarts < 3 and len(rows) > (restarts + 1) * 4000:
                    restarts += 1
                    if restarts == 2:
                        mongod.kill9()
                        mongod.start()
                    else:
                        mongod.restart()
                    mongod.wait_primary()
                quiet = quiet + 1 if not more and not writer.is_alive() else 0
        finally:
            stop.set()
            writer.join(30)
        expected = list(expected_changes(client, "mix.t"))
    assert restarts == 3 and len(expected) >= 19000
    assert [row[1:3] for row in rows] == [e[:2] for e in expected]
    stale = [(row, e) for row, e in zip(rows, expected)
             if row[1] == "update" and row[3] is not None and row[3] < e[2]]
    assert stale == []
    missing = [row for row in rows if row[1] == "update" and row[3] is None]
    deleted = {e[1] for e in expected if e[0] == "delete"}
    assert all(row[2] in deleted for row in missing)
    pg.execute("SELECT mongo_tail.stop_tail('restarted')")


def reads_the_oplog(node):
    """Does a tail of ours read this member's oplog?"""
    with node.client(direct=True) as client:
        operations = client.admin.aggregate([
            {"$currentOp": {"allUsers": True, "idleCursors": True}},
            {"$match": {"ns": "local.oplog.rs", "appName": "mongo_tail"}}])
        return any(operations)


def test_a_member_that_lags_is_waited_for(pg, make_replica_set, new_server):
    """The look-ups may go to a member that has not seen the update yet."""
    replica_set = make_replica_set(nodes=3)
    new_server(pg, "lagging", replica_set.uri + "&readPreference=secondary", lookup_connections=16, lookup_batch=1,
               max_backoff_ms=200)
    secondaries = replica_set.secondaries()
    with replica_set.client(w="majority") as client:
        collection = client.lag.t
        collection.insert_many({"_id": n, "n": 0} for n in range(100))
        place = start_tail(pg, "lagging", ["lag.*"], full_document="lookup")
        wait_state(pg, "lagging", "streaming")
        wait_until(lambda: sum(map(reads_the_oplog, secondaries)) == 1, what="the member that is tailed")
        behind, = (node for node in secondaries if not reads_the_oplog(node))
        behind.fail_point("stopReplProducer", "alwaysOn")
        time.sleep(0.5)
        collection.insert_many({"_id": n} for n in range(100, 200))
        collection.update_many({}, {"$set": {"n": 1}})
        time.sleep(2)
        early = changes(pg, "lagging", COLUMNS, after=place)
        behind.fail_point("stopReplProducer", "off")

        def complete():
            rows = changes(pg, "lagging", COLUMNS, after=place)
            return len(rows) >= 300 and rows
        rows = wait_until(complete, 40, what="300 changes")
    assert updates(rows) == [(n, {"_id": n, "n": 1}) for n in range(200)]
    assert early == rows[:len(early)]
    assert len(early) < 300, "no look-up went to the member that lags, so nothing was tested"
    pg.execute("SELECT mongo_tail.stop_tail('lagging')")
