#!/usr/bin/env python3
"""Record the seed corpus of fuzz_oplog_entry from a real replica set.

usage: record_oplog_corpus.py URI DIRECTORY

Provokes one entry of every shape that the server can be made to write, and
writes each shape once, as raw BSON.  The entries of a transaction that spans
several go into one file.  Shapes of other versions are put together by hand:
those of 4.4 from what 4.4.2 logs, those of 8.0 from the server's source.
Needs a replica set of one member with --setParameter enableTestCommands=1 and
--setParameter maxNumberOfTransactionOperationsInSingleOplogEntry=2; drops the
databases shop and mall.
"""
import hashlib
import os
import sys
import uuid

import bson
import pymongo
from bson import Binary, Int64, Timestamp
from bson.raw_bson import RawBSONDocument

NULL_OPTIME = {"ts": Timestamp(0, 0), "t": Int64(-1)}


def provoke(client):
    shop, mall = client.shop, client.mall
    client.drop_database("shop")
    client.drop_database("mall")
    shop.a.insert_one({"_id": 1, "s": "x", "list": [1, 2], "d": {"e": 1}})
    shop.a.insert_many([{"_id": i, "f": i / 3} for i in range(2, 5)])
    shop.a.update_one({"_id": 1}, {"$set": {"s": "y", "d.e": 2, "n": 1}, "$push": {"list": 3}, "$unset": {"q": 1}})
    shop.a.update_many({}, {"$unset": {"f": 1}})
    shop.a.replace_one({"_id": 2}, {"whole": True})
    shop.a.update_one({"_id": 9}, {"$set": {"up": 1}}, upsert=True)
    shop.a.find_one_and_update({"_id": 9}, {"$inc": {"up": 1}})
    shop.a.find_one_and_delete({"_id": 9})
    shop.a.delete_one({"_id": 3})
    shop.a.create_index("s")
    shop.empty.create_index("s")
    shop.a.drop_index("s_1")
    shop.command("collMod", "a", validator={"s": {"$type": "string"}}, validationAction="warn")
    shop.create_collection("capped", capped=True, size=4096)
    shop.capped.insert_one({"_id": 1})
    try:
        shop.command("emptycapped", "capped")
    except pymongo.errors.OperationFailure:
        pass
    shop.command("convertToCapped", "a", size=8192)
    shop.command("cloneCollectionAsCapped", "a", toCollection="clone", size=8192)
    shop.create_collection("view", viewOn="a", pipeline=[])
    shop.create_collection("series", timeseries={"timeField": "t"})
    shop.series.insert_one({"t": bson.datetime.datetime(2020, 1, 1), "v": 1})
    list(shop.a.aggregate([{"$out": "target"}]))
    list(shop.a.aggregate([{"$merge": "target"}]))
    client.admin.command("renameCollection", "shop.target", to="mall.moved")
    mall.moved.rename("z")
    mall.z.drop()
    client.admin.command("appendOplogNote", data={"note": 1})
    apply_ops = lambda ops, **more: client.admin.command("applyOps", ops, **more)
    apply_ops([{"op": "u", "ns": "shop.clone", "o2": {"_id": 77}, "o": {"$v": 1, "$set": {"a.b": 1}}, "b": True}], alwaysUpsert=False)
    apply_ops([{"op": "u", "ns": "shop.clone", "o2": {"_id": 78}, "o": {"$set": {"a": 1}}}], alwaysUpsert=True)
    apply_ops([{"op": "i", "ns": "shop.clone", "o": {"_id": 79}}, {"op": "c", "ns": "shop.$cmd", "o": {"create": "made"}}])
    transactions(client)
    client.drop_database("mall")


def transactions(client):
    shop = client.shop
    shop.t.insert_one({"_id": 0})
    with client.start_session() as session:
        with session.start_transaction():
            shop.t.insert_one({"_id": 1}, session=session)
            shop.t.update_one({"_id": 1}, {"$set": {"x": 1}}, session=session)
            shop.t.delete_one({"_id": 0}, session=session)
            shop.in_txn.insert_one({"_id": 1}, session=session)
    # a chain: the server cuts at 16 MB, or where its parameter says
    with client.start_session() as session:
        with session.start_transaction():
            for i in range(10, 15):
                shop.t.insert_one({"_id": i}, session=session)
    for end, ids in ("commitTransaction", range(20, 23)), ("abortTransaction", range(30, 33)):
        with client.start_session() as session:
            session.start_transaction()
            for i in ids:
                shop.t.insert_one({"_id": i}, session=session)
            prepared = client.admin.command("prepareTransaction", session=session, writeConcern={"w": "majority"})
            more = {"commitTimestamp": prepared["prepareTimestamp"]} if end == "commitTransaction" else {}
            client.admin.command(end, session=session, writeConcern={"w": "majority"}, **more)
            session._transaction.reset()


def shape(entry):
    """What makes two entries one shape: op, command, field names, kind of update."""
    o = entry.get("o", {})
    command = next(iter(o), "") if entry["op"] == "c" else ""
    kind = tuple(k for k in o if k in ("$v", "diff", "_id", "partialTxn", "prepare", "count", "msg"))
    inner = tuple(sorted({(i["op"], next(iter(i["o"])) if i["op"] == "c" else "") for i in o["applyOps"]})) \
        if command == "applyOps" else ()
    return (entry["op"], command, tuple(sorted(entry)), kind, inner, entry["ns"].split(".")[0] in ("admin", "config"))


def recorded(client, start):
    seen, chains = set(), {}
    oplog = client.local.get_collection("oplog.rs", bson.CodecOptions(document_class=RawBSONDocument))
    for raw in oplog.find({"ts": {"$gt": start}}).sort("$natural", 1):
        entry = bson.decode(raw.raw)
        command = next(iter(entry["o"]), "") if entry["op"] == "c" else ""
        if command in ("applyOps", "commitTransaction", "abortTransaction"):
            previous = chains.pop(entry.get("prevOpTime", NULL_OPTIME)["ts"], b"")
            chains[entry["ts"]] = previous + raw.raw
        elif len(raw.raw) < 4096 and shape(entry) not in seen:
            seen.add(shape(entry))
            yield raw.raw
    yield from (chain for chain in chains.values() if len(chain) < 8192)


def by_hand():
    uid = lambda n: Binary(uuid.UUID(int=n).bytes, 4)
    wall = bson.datetime.datetime(2024, 1, 1)
    session = {"lsid": {"id": uid(1), "uid": Binary(bytes(32), 0)}, "txnNumber": Int64(3)}

    def entry(second, op, ns, o, **more):
        return bson.encode({"op": op, "ns": ns, "ui": uid(2), "o": o, "ts": Timestamp(second, 1), "t": Int64(1),
                            "v": Int64(2), "wall": wall, **more})

    def vectored(second, previous, ids):
        ops = [{"op": "i", "ns": "shop.a", "ui": uid(2), "o": {"_id": i}, "o2": {"_id": i}, "stmtId": i} for i in ids]
        return entry(second, "c", "admin.$cmd", {"applyOps": ops}, multiOpType=1, **session,
                     prevOpTime=previous)

    # 4.4
    yield entry(1, "i", "shop.a", {"_id": 1, "x": 1})
    yield entry(2, "u", "shop.a", {"$v": 1, "$set": {"a.b": 1}, "$unset": {"c": True}}, o2={"_id": 1},
                **session, stmtId=0, prevOpTime=NULL_OPTIME)
    yield entry(3, "u", "shop.a", {"_id": 1, "y": 2}, o2={"_id": 1}, preImageOpTime={"ts": Timestamp(2, 1), "t": Int64(1)})
    # 5.1 to 6.0
    yield entry(4, "d", "shop.a", {"_id": 1}, needsRetryImage="preImage", stmtId=[0, 1], **session, prevOpTime=NULL_OPTIME)
    # 8.0: two statements of one vectored, retryable insert
    yield vectored(5, NULL_OPTIME, [1, 2]) + vectored(6, {"ts": Timestamp(5, 1), "t": Int64(1)}, [3])
    yield entry(7, "u", "shop.a", {"$v": 2, "diff": {"u": {"x": 1}, "b": {"c": {"o": 3, "d": b"xx"}}}}, o2={"_id": 1},
                checkExistenceForDiffInsert=True)
    yield entry(8, "c", "shop.$cmd", {"truncateRange": "shop.a", "minRecordId": Int64(1), "maxRecordId": Int64(9),
                                      "bytesDeleted": Int64(9), "docsDeleted": Int64(1)})
    yield entry(8, "c", "shop.$cmd", {"importCollection": "shop.a", "importUUID": uid(4), "dryRun": False})
    yield entry(9, "i", "shop.a", {"_id": 1}, o2={"k": 1, "_id": 1}, rid=Int64(4), versionContext={"OFCV": "8.1"})
    yield entry(10, "ci", "admin.$container", {"k": b"x", "v": b"y"}, container="collection-1")
    yield entry(10, "xi", "shop.a", {"ik": b"x", "dk": {"_id": 1}})
    # a newer type: linked, with a count; and a prepared transaction
    ops = [{"op": "d", "ns": "shop.a", "ui": uid(2), "o": {"_id": 1}}]
    yield (entry(11, "c", "admin.$cmd", {"applyOps": ops, "partialTxn": True}, multiOpType=2, **session, prevOpTime=NULL_OPTIME)
           + entry(12, "c", "admin.$cmd", {"applyOps": ops, "count": Int64(2)}, multiOpType=2, **session,
                   prevOpTime={"ts": Timestamp(11, 1), "t": Int64(1)}))
    yield (entry(13, "c", "admin.$cmd", {"applyOps": ops, "prepare": True}, **session, prevOpTime=NULL_OPTIME)
           + entry(14, "c", "admin.$cmd", {"commitTransaction": 1, "commitTimestamp": Timestamp(13, 1)}, **session,
                   prevOpTime={"ts": Timestamp(13, 1), "t": Int64(1)}))
    # sharding
    yield entry(15, "i", "shop.a", {"_id": 1}, o2={"_id": 1}, fromMigrate=True)
    yield entry(15, "n", "shop.a", {"$sessionMigrateInfo": 1}, o2={"op": "i", "ns": "shop.a", "o": {"_id": 1}}, fromMigrate=True)
    yield entry(16, "c", "shop.$cmd", {"createDatabaseMetadata": "shop", "db": {}})
    # a command and an op of the future; groups within groups
    yield entry(17, "c", "shop.$cmd", {"shrinkCollection": "a"})
    yield entry(17, "km", "shop.a", {"x": 1})
    nested = {"applyOps": ops}
    for _ in range(3):
        nested = {"applyOps": ops + [{"op": "c", "ns": "admin.$cmd", "o": nested}] + ops}
    yield entry(18, "c", "admin.$cmd", {**nested, "alwaysUpsert": True, "$db": "admin"})


def main(uri, directory):
    client = pymongo.MongoClient(uri)
    start = client.local["oplog.rs"].find().sort("$natural", -1).limit(1).next()["ts"]
    provoke(client)
    os.makedirs(directory, exist_ok=True)
    n = 0
    for source, entries in ("real", recorded(client, start)), ("made", by_hand()):
        for raw in entries:
            name = f"{source}-{hashlib.sha1(raw).hexdigest()[:12]}"
            with open(os.path.join(directory, name), "wb") as f:
                f.write(raw)
            n += 1
    print(n, "files")


if __name__ == "__main__":
    main(*sys.argv[1:])
