"""The harness itself: what the other tests rely on to break things."""

import pytest
from pymongo.errors import ServerSelectionTimeoutError


def test_postgres_survives_kill9_and_restarts(make_postgres):
    server = make_postgres()
    with server.connect() as c:
        c.execute("CREATE TABLE t AS SELECT 1 AS a")
        c.execute("CHECKPOINT")
    server.kill9()
    server.start()
    assert server.psql("SELECT a FROM t").strip() == "1"
    server.stop("fast")
    server.start()
    server.restart("immediate")
    assert server.connect().execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_mongod_stops_freezes_and_restarts(make_mongo):
    server = make_mongo(oplog_mb=1, sync_delay_s=1)
    # Journaled, whatever this version's default is: kill -9 follows.
    with server.client(w="majority", journal=True) as client:
        client.t.c.insert_one({"_id": 1})
    server.sigstop()
    with server.client(direct=True, serverSelectionTimeoutMS=300) as client:
        with pytest.raises(ServerSelectionTimeoutError):
            client.admin.command("ping")
    server.sigcont()
    server.kill9()
    server.start()
    server.wait_primary()
    with server.client() as client:
        assert client.t.c.count_documents({}) == 1
    server.restart(empty=True)
    server.initiate()
    with server.client() as client:
        assert client.t.c.count_documents({}) == 0


def test_replica_set_fails_over(make_replica_set):
    replica_set = make_replica_set()
    first = replica_set.primary()
    second = replica_set.step_down()
    assert second is not first
    killed = replica_set.kill_primary()
    assert killed is second
    with replica_set.client() as client:
        client.t.get_collection("c").insert_one({"_id": 1})
    killed.start()
    replica_set.wait_secondaries()


def test_mongod_with_authentication_and_tls(make_mongo, tls_files):
    server = make_mongo(auth=True, tls=tls_files)
    server.create_user("root", "secret", ["root"])
    with server.client(username="root", password="secret") as client:
        client.t.c.insert_one({"_id": 1})
    server.create_user(tls_files.client_subject, None, [{"role": "read", "db": "local"}], source="$external",
                       login={"username": "root", "password": "secret"})
    with server.client(tlsCertificateKeyFile=str(tls_files.client), authMechanism="MONGODB-X509") as client:
        assert client.local["oplog.rs"].find_one() is not None
    with server.client(tlsCAFile=str(tls_files.foreign_ca), serverSelectionTimeoutMS=500) as client:
        with pytest.raises(ServerSelectionTimeoutError):
            client.admin.command("ping")


def test_wait_until_reports_the_last_error(wait_until):
    with pytest.raises(TimeoutError) as caught:
        wait_until(lambda: 1 / 0, timeout=0.1)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
