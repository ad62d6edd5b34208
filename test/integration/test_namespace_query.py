"""The query that a namespace filter becomes finds every entry that the filter passes.

usage: test_namespace_query.py URI FILTER_OPLOG

Fills databases of odd names on a real replica set, with writes, commands,
renames across databases, applyOps and transactions; then, for many filters,
compares what filter_oplog passes of that oplog with what MongoDB returns for
the query.  Prints one line at the end, and exits 1 when an entry is missing.
"""
import random
import subprocess
import sys

import bson
import pymongo
from bson import json_util
from bson.raw_bson import RawBSONDocument

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
    rename = lambda source, to: client.admin.command("renameCollection", source, to=to, dropTarget=True)
    rename("mall.b", "shop.from_mall")
    rename("sho.a", "sho.renamed")
    list(client.shop.a.aggregate([{"$out": "out"}]))
    list(client.mall.a.aggregate([{"$out": {"db": "shop", "coll": "out2"}}]))
    client.mall.command("applyOps", [{"op": "i", "ns": "shop.a", "o": {"_id": 2}}])
    client.admin.command("applyOps", [{"op": "i", "ns": "sho.A", "o": {"_id": 2}}, {"op": "i", "ns": "a+b.A", "o": {"_id": 2}}])
    with client.start_session() as session, session.start_transaction():
        for i, name in enumerate(DATABASES):
            client[name].log.insert_one({"_id": 10 + i}, session=session)
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
    for _ in range(400):
        yield [rng.choice(everything) for _ in range(rng.randint(0, 4))] + \
            ["-" + rng.choice(everything) for _ in range(rng.randint(0, 3))]


def main(uri, filter_oplog):
    client = pymongo.MongoClient(uri)
    oplog = client.local.get_collection("oplog.rs", bson.CodecOptions(document_class=RawBSONDocument))
    start = client.local["oplog.rs"].find().sort("$natural", -1).limit(1).next()["ts"]
    fill(client)
    entries = [entry.raw for entry in oplog.find({"ts": {"$gt": start}}).sort("$natural", 1)]
    end = bson.decode(entries[-1])["ts"]
    number = lambda ts: ts.time << 32 | ts.inc
    missing = n = passed = returned = 0
    for patterns in filters(random.Random(7)):
        out = subprocess.run([filter_oplog, *patterns], input=b"".join(entries), capture_output=True, check=True).stdout.split(b"\n")
        query = json_util.loads(out[0])
        wanted = {int(line) for line in out[1:] if line}
        found = {number(bson.decode(e.raw)["ts"]) for e in
                 oplog.find({"ts": {"$gt": start, "$lte": end}, **query}, {"ts": 1})}
        n, passed, returned = n + 1, passed + len(wanted), returned + len(found)
        if not wanted <= found:
            missing += 1
            lost = [bson.decode(e) for e in entries if number(bson.decode(e)["ts"]) in wanted - found]
            print("lost by", patterns, ":", lost[:2])
    print(f"{n} filters over {len(entries)} entries: {passed} passed, {returned} returned, "
          f"{n * len(entries)} without a query; {missing} filters lost entries")
    return missing > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
