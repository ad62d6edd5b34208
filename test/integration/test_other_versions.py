"""Oplogs of MongoDB versions that no package registry has: entries kept in test/data, and the changes that they are.

    test/data/NAME.oplog.jsonl     entries as that version writes them, made by hand from its source
    test/data/NAME.changes.jsonl   the rows of changes() that they are

MT_ACCEPT=1 takes what came out as what is expected: read the diff before committing it.
"""

import json
import os

import pytest
from bson import Timestamp, json_util

from harness import repository, wait_until
from harness.tails import changes, start_tail, wait_state

DATA = repository / "test/data"
COLUMNS = ("cluster_time::text", "operation_type", "database", "collection", "document_key", "full_document",
           "update_description", "transaction_id")
END = {"op": "i", "ns": "the.end", "o": {"_id": "the end"}, "o2": {"_id": "the end"}}


def lines(name):
    return (DATA / name).read_text().splitlines()


@pytest.mark.parametrize("version", sorted(p.name.removesuffix(".oplog.jsonl") for p in DATA.glob("*.oplog.jsonl")))
def test_oplog_of(pg, mongo_server, mongo, fresh_namespace, new_server, version):
    oplog = mongo[fresh_namespace].create_collection("oplog", capped=True, size=1024 * 1024)
    entries = [json_util.loads(line) for line in lines(f"{version}.oplog.jsonl")]
    # the last one is later than the server's clock, so that no reader waits for the tailer to catch up with that
    now = mongo.admin.command("hello")["lastWrite"]["majorityOpTime"]["ts"].time
    entries.append({**entries[-1], **END, "ts": Timestamp(now + 1000, 1)})
    # a collection's documents have an _id, and an unknown entry is shown whole
    oplog.insert_many({"_id": entry["ts"], **entry} for entry in entries)
    new_server(pg, "recorded", mongo_server.uri, oplog_database=fresh_namespace, oplog_collection="oplog")
    try:
        start = start_tail(pg, "recorded", after="oldest")
        wait_state(pg, "recorded", "streaming")

        def rows():
            return changes(pg, "recorded", ", ".join(COLUMNS), after=start)
        from_ring = wait_until(lambda: (r := rows())[-1:] and r[-1][2] == "the" and r[:-1], what="the last entry")
        pg.execute("SELECT mongo_tail.seek_tail('recorded', 'now')")
        assert [r for r in rows() if r[2] != "the"] == from_ring, "the same through the oplog as out of the ring"
    finally:
        pg.execute("DROP SERVER recorded CASCADE")
    got = [json.dumps({c.split(":")[0]: v for c, v in zip(COLUMNS, row) if v is not None}) for row in from_ring]
    if os.environ.get("MT_ACCEPT"):
        (DATA / f"{version}.changes.jsonl").write_text("\n".join(got) + "\n")
    assert got == lines(f"{version}.changes.jsonl")
