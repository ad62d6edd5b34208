"""One server for each shard of a cluster: what moves between shards is no change."""

import pytest
from bson import MaxKey, MinKey
from pymongo import MongoClient

from harness import mongod_version, wait_until
from harness.tails import changes, inserted, read_inserted, start_tail

MAJORITY = {"w": "majority", "wtimeout": 15000}


def initiate(server, **config):
    with server.client(direct=True) as client:
        client.admin.command("replSetInitiate", {"_id": server.replica_set, **config,
                                                 "members": [{"_id": 0, "host": server.address}]})
        server.wait_primary(client)


# What mongos would send, which is each version's own affair.

def shard_collection(cfg, first):
    """Shard app.t by _id, all of it on the first shard."""
    if mongod_version() < (6,):
        cfg.admin.command("_configsvrEnableSharding", "app", writeConcern=MAJORITY)
    if mongod_version() < (5,):
        cfg.admin.command("_configsvrShardCollection", "app.t", key={"_id": 1}, unique=False, writeConcern=MAJORITY)
        return
    version = cfg.config.databases.find_one({"_id": "app"})["version"]
    first.app.command("_shardsvrCreateCollection", "t", shardKey={"_id": 1}, unique=False,
                      databaseVersion=version, writeConcern=MAJORITY)


def split_chunk(cfg, first, at):
    collection = cfg.config.collections.find_one({"_id": "app.t"})
    stamp = {"timestamp": collection["timestamp"]} if "timestamp" in collection else {}
    first.admin.command("splitChunk", "app.t", **{"from": "sh1"}, keyPattern={"_id": 1},
                        epoch=collection["lastmodEpoch"], **stamp,
                        min={"_id": MinKey()}, max={"_id": MaxKey()}, splitKeys=[{"_id": at}])


def move_chunk(cfg, start):
    """Move the chunk from start to the second shard, and delete it on the first."""
    bounds = {"min": {"_id": start}, "max": {"_id": MaxKey()}}
    if mongod_version() >= (6,):
        cfg.admin.command("_configsvrMoveRange", "app.t", toShard="sh2", **bounds,
                          waitForDelete=True, writeConcern=MAJORITY)
        return
    collection = cfg.config.collections.find_one({"_id": "app.t"})
    chunk = cfg.config.chunks.find_one(
        {"min": bounds["min"], "$or": [{"ns": "app.t"}, {"uuid": collection.get("uuid")}]})
    stamp = {}
    if "timestamp" in collection:
        stamp = {"lastmodTimestamp": collection["timestamp"], "collectionUUID": collection["uuid"]}
    cfg.admin.command("_configsvrMoveChunk", 1, ns="app.t", **bounds, shard="sh1", toShard="sh2",
                      lastmod=chunk["lastmod"], lastmodEpoch=collection["lastmodEpoch"], **stamp,
                      maxChunkSizeBytes=64 << 20, secondaryThrottle={}, waitForDelete=True, writeConcern=MAJORITY)


@pytest.fixture
def shards(make_mongo):
    """Two shards without a mongos, app.t sharded by _id and all on the first."""
    fast = ["--setParameter", "orphanCleanupDelaySecs=0", "--setParameter", "rangeDeleterBatchDelayMS=0"]
    config = make_mongo(start=False, replica_set="cfg", extra=["--configsvr"]).start()
    servers = [make_mongo(start=False, replica_set=name, extra=["--shardsvr", *fast]).start() for name in ("sh1", "sh2")]
    initiate(config, configsvr=True)
    for server in servers:
        initiate(server)
    with config.client() as cfg, servers[0].client() as first:
        for server in servers:
            cfg.admin.command("_configsvrAddShard", f"{server.replica_set}/{server.address}", writeConcern=MAJORITY)
        cfg.admin.command("_configsvrCreateDatabase", "app", primaryShardId="sh1", writeConcern=MAJORITY)
        shard_collection(cfg, first)
        yield cfg, servers


@pytest.mark.parametrize("include_migrate", [False, True])
def test_a_chunk_that_moves(pg, new_server, shards, include_migrate):
    cfg, servers = shards
    names = [new_server(pg, f"shard{n}", server.uri, include_migrate=str(include_migrate).lower())
             for n, server in enumerate(servers)]
    try:
        places = [start_tail(pg, name, ["app.*"]) for name in names]
        clients = [MongoClient(server.uri) for server in servers]
        clients[0].app.t.insert_many({"_id": n} for n in range(20))
        split_chunk(cfg, clients[0], at=10)
        move_chunk(cfg, start=10)
        clients[1].app.t.insert_one({"_id": 99})
        clients[0].app.t.delete_one({"_id": 0})
        for client in clients:
            client.close()
        moved = list(range(10, 20)) if include_migrate else []
        ids, _ = read_inserted(pg, names[1], len(moved) + 1, places[1])
        assert ids == moved + [99]
        wait_until(lambda: sorted(r[2]["_id"] for r in changes(pg, names[0], "position, operation_type, document_key")
                                  if r[1] == "delete") == [0] + moved, what="the deletes of the first shard")
        assert inserted(changes(pg, names[0], after=places[0])) == list(range(20))
        # The way through the oplog says the same as the ring.
        for name, place in zip(names, places):
            ring = changes(pg, name, after=place)
            pg.execute("SELECT mongo_tail.seek_tail(%s, 'now')", (name,))
            assert changes(pg, name, after=place) == ring
    finally:
        pg.execute("DROP SERVER shard0, shard1 CASCADE")
