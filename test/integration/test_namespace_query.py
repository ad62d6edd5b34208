"""The query that a namespace filter becomes finds every entry that the filter passes.

Databases of odd names on a real replica set are filled, with writes, commands, renames across databases, applyOps
and transactions; then, for many filters, what build/unit/filter_oplog (the unfolder itself) passes of that oplog is
compared with what MongoDB returns for the query.
"""

import os
import subprocess

import bson
import pytest
from bson import json_util
from bson.raw_bson import RawBSONDocument

from harness import repository

FILTER_OPLOG = repository / "build/unit/filter_oplog"
FILTERS = 400 if os.environ.get("MT_LONG") else 60
DATABASES = ["shop", "shopx", "sho", "mall", "a+b"]
COLLECTIONS = ["a", "b", "a.b", "aa", "x+y", "log", "log\n", "caf\u00e9", "A", "[z]", "a\\d", "tmpp", "system", "x_1"]


def fill(client):
    for name in DATABASES:
        client.drop_database(name)
    for name in DATABASES:
        database = client[name]
        for collection in COLLECTIONS:
            database[collection].insert_one({"_id": 1})
            database[collection].update_one({"_id": 1}, {"$set": {"x": 1}})
        database.a.create_index("x")
        database.aa.drop()

    def rename(source, to):
        client.admin.command("renameCollection", source, to=to, dropTarget=True)
    rename("mall.b", "shop.from_mall")
    rename("sho.a", "sho.renamed")
    list(client.shop.a.aggregate([{"$out": "out"}]))
    list(client.mall.a.aggregate([{"$out": {"db": "shop", "coll": "out2"}}]))
    client.mall.command("applyOps", [{"op": "i", "ns": "shop.a", "o": {"_id": 2}}])
    client.admin.command("applyOps", [{"op": "i", "ns": "sho.A", "o": {"_id": 2}}, {"op": "i", "ns": "a+b.A", "o": {"_id": 2}}])
    with client.start_session() as session, session.start_transaction():
        for i, name in enumerate(DATABASES):
            client[name].log.insert_one({"_id": 10 + i}, session=session)
    # a prepared one: what decides it names no collection
    transaction = {"lsid": {"id": bson.Binary(os.urandom(16), 4)}, "txnNumber": bson.Int64(1000), "autocommit": False}
    client.shop.command({"insert": "a", "documents": [{"_id": 20}], "startTransaction": True, **transaction})
    prepared = client.admin.command({"prepareTransaction": 1, **transaction})
    client.admin.command({"commitTransaction": 1, "commitTimestamp": prepared["prepareTimestamp"], **transaction})
    client.drop_database("shopx")
    client.admin.command("appendOplogNote", data={"x": 1})


def filters(rng):
    exact = [f"{d}.{c}" for d in DATABASES for c in COLLECTIONS] + ["shop.from_mall", "shop.out", "shop.out2", "nosuch.x"]
    database = [f"{d}.*" for d in DATABASES]
    collection = [f"*.{c}" for c in COLLECTIONS]
    regex = ["/^shop\\./", "/a$/", "/log$/", "/^[^.]*\\.a/", "/caf\u00e9/", "/\\+/", "/(?i)^SHOP/", "/^shop\\.(a|b)$/", "/./", "/x\\x{e9}|\\bA\\b/"]
    everything = exact + database * 3 + collection * 2 + regex * 3
    yield from ([p] for p in exact + database + collection + regex)
    yield from (["-" + p] for p in exact + database + collection + regex)
    for _ in range(FILTERS):
        yield [rng.choice(everything) for _ in range(rng.randint(0, 4))] + \
            ["-" + rng.choice(everything) for _ in range(rng.randint(0, 3))]


def number(ts):
    return ts.time << 32 | ts.inc


@pytest.mark.skipif(not FILTER_OPLOG.exists(), reason="make test-integration builds it")
def test_query_finds_what_the_filter_passes(make_mongo, rng):
    with make_mongo().client(retryWrites=False) as client:
        oplog = client.local.get_collection("oplog.rs", bson.CodecOptions(document_class=RawBSONDocument))
        start = client.local["oplog.rs"].find().sort("$natural", -1).limit(1).next()["ts"]
        fill(client)
        entries = [entry.raw for entry in oplog.find({"ts": {"$gt": start}}).sort("$natural", 1)]
        end = bson.decode(entries[-1])["ts"]
        n = passed = returned = 0
        for patterns in filters(rng):
            out = subprocess.run([FILTER_OPLOG, *patterns], input=b"".join(entries), capture_output=True,
                                 check=True).stdout.split(b"\n")
            wanted = {int(line) for line in out[1:] if line}
            query = {"ts": {"$gt": start, "$lte": end}, **json_util.loads(out[0])}
            found = {number(bson.decode(e.raw)["ts"]) for e in oplog.find(query, {"ts": 1})}
            lost = [bson.decode(e) for e in entries if number(bson.decode(e)["ts"]) in wanted - found]
            assert not lost, (patterns, lost[:2])
            n, passed, returned = n + 1, passed + len(wanted), returned + len(found)
    print(f"{n} filters over {len(entries)} entries: {passed} passed, {returned} returned, {n * len(entries)} without a query")
    # it finds all of them, and few more than those
    assert passed > 10 * n and passed <= returned < n * len(entries) * 0.7
