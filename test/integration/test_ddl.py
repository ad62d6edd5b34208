"""DDL around a running tail: nothing refuses because of it, and nothing of it is left behind."""

import time

import pytest
from psycopg import errors

from harness import wait_until
from harness.tails import Background, inserted, read_inserted, start_tail, stat, takes_at_most, wait_state

TAILERS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'mongo_tail tailer' AND datname = %s"


@pytest.fixture
def home(pg_server, mongo_server, unused_name, new_server):
    """A database of this test with a running tail of server m; its name."""
    name = pg_server.create_database(unused_name("ddl_home_"))
    with pg_server.connect(name) as pg:
        pg.execute("CREATE EXTENSION mongo_tail")
        new_server(pg, "m", mongo_server.uri)
        start_tail(pg, "m", ["d.*"])
        wait_state(pg, "m", "streaming")
    yield name
    pg_server.drop_database(name)


@pytest.fixture
def outside(pg_server):
    with pg_server.connect("postgres") as connection:
        yield connection


def runs(outside, database):
    return outside.execute(TAILERS, (database,)).fetchone()[0]


def test_drop_database(outside, home, pg_server):
    offset = pg_server.log_size
    with takes_at_most(2, "DROP DATABASE"):
        outside.execute(f"DROP DATABASE {home}")
    time.sleep(1.5)
    assert runs(outside, home) == 0
    # Nobody tries to connect to it again.
    log = pg_server.log_text(offset)
    assert "FATAL" not in log and "ERROR" not in log, log


def test_drop_database_that_fails_lets_the_tail_go_on(outside, home, pg_server):
    with pg_server.connect(home) as pg:
        # PostgreSQL waits 5 s for the other session, then refuses.
        with pytest.raises(errors.ObjectInUse):
            outside.execute(f"DROP DATABASE {home}")
        wait_state(pg, "m", "streaming")


def test_stranger_cannot_disturb(outside, home, pg_server):
    outside.execute("CREATE ROLE ddl_stranger LOGIN")
    try:
        with pg_server.connect(home) as pg, pg_server.connect("postgres", user="ddl_stranger") as stranger:
            pid = stat(pg, "m", "pid")
            for statement in (f"DROP DATABASE {home}", f"ALTER DATABASE {home} RENAME TO x",
                              f"CREATE DATABASE x TEMPLATE {home}"):
                with pytest.raises(errors.InsufficientPrivilege):
                    stranger.execute(statement)
            time.sleep(0.2)
            assert stat(pg, "m", "pid") == pid
    finally:
        outside.execute("DROP ROLE ddl_stranger")


def test_terminated_drop_database_does_not_hold_for_ever(outside, home, pg_server):
    with pg_server.connect(home) as pg:
        call = Background(pg_server.connect("postgres"), f"DROP DATABASE {home}")
        wait_until(lambda: runs(outside, home) == 0)
        outside.execute("SELECT pg_terminate_backend(%s)", (call.pid,))
        call.join()
        assert call.error is not None
        wait_state(pg, "m", "streaming")


def test_rename_database(outside, home, pg_server, mongo):
    with pg_server.connect(home) as pg:
        place = stat(pg, "m", "position::text")
    with takes_at_most(2, "ALTER DATABASE RENAME"):
        outside.execute(f"ALTER DATABASE {home} RENAME TO {home}_renamed")
    try:
        mongo.d.c.insert_one({"_id": home})
        with pg_server.connect(f"{home}_renamed") as pg:
            wait_state(pg, "m", "streaming")
            assert read_inserted(pg, "m", 1, place)[0] == [home]
    finally:
        outside.execute(f"ALTER DATABASE {home}_renamed RENAME TO {home}")


def test_rename_in_a_transaction_that_rolls_back(outside, home, pg_server):
    with pg_server.connect("postgres", autocommit=False) as other:
        other.execute(f"ALTER DATABASE {home} RENAME TO {home}_renamed")
        time.sleep(0.3)
        assert runs(outside, home) == 0
        other.rollback()
    wait_until(lambda: runs(outside, home) == 1)


def test_copy_of_a_database_does_not_tail(outside, home, pg_server):
    with takes_at_most(3, "CREATE DATABASE TEMPLATE"):
        outside.execute(f"CREATE DATABASE {home}_copy TEMPLATE {home}")
    try:
        with pg_server.connect(home) as pg:
            wait_state(pg, "m", "streaming")
        with pg_server.connect(f"{home}_copy") as pg:
            assert stat(pg, "m") == "restored"
            with pytest.raises(errors.ObjectNotInPrerequisiteState) as e:
                pg.execute("SELECT * FROM mongo_tail.changes('m')")
            assert "adopt_tail" in e.value.diag.message_hint
            assert runs(outside, f"{home}_copy") == 0
            pg.execute("SELECT mongo_tail.adopt_tail('m')")
            wait_state(pg, "m", "streaming")
    finally:
        pg_server.drop_database(f"{home}_copy")


def test_drop_server(outside, home, pg_server):
    with pg_server.connect(home) as pg:
        with pytest.raises(errors.DependentObjectsStillExist):
            pg.execute("DROP SERVER m")     # its user mapping
        pg.execute("BEGIN; DROP SERVER m CASCADE")
        assert stat(pg, "m") is None
        pg.execute("ROLLBACK")
        assert stat(pg, "m") == "streaming"
        with takes_at_most(1, "DROP SERVER until the tailer is gone"):
            pg.execute("DROP SERVER m CASCADE")
            wait_until(lambda: runs(outside, home) == 0)
        assert pg.execute("SELECT count(*) FROM mongo_tail.tail").fetchone() == (0,)


def test_server_made_anew_in_one_transaction(outside, home, pg_server, mongo_server, new_server):
    with pg_server.connect(home, autocommit=False) as pg:
        old = stat(pg, "m", "pid")
        pg.execute("DROP SERVER m CASCADE")
        new_server(pg, "m", mongo_server.uri)
        start_tail(pg, "m", ["e.*"])
        pg.commit()
        pg.autocommit = True
        wait_until(lambda: stat(pg, "m") == "streaming" and stat(pg, "m", "pid") != old)


def test_rename_server(home, pg_server, mongo):
    with pg_server.connect(home) as pg:
        place = stat(pg, "m", "position::text")
        pid = stat(pg, "m", "pid")
        pg.execute("ALTER SERVER m RENAME TO n")
        # Under its new name at once, by the same worker.
        assert stat(pg, "m") is None and stat(pg, "n", "pid") == pid
        wait_state(pg, "n", "streaming")
        mongo.d.c.insert_one({"_id": f"{home}1"})
        assert read_inserted(pg, "n", 1, place)[0] == [f"{home}1"]
        with pytest.raises(errors.UndefinedObject):
            pg.execute("SELECT * FROM mongo_tail.changes('m')")
        time.sleep(0.3)
        assert stat(pg, "n", "pid") == pid
        # Its progress is still stored, so that a restart goes on from there.
        before = pg.execute("SELECT resume_time FROM mongo_tail.tail_shard").fetchone()
        mongo.d.c.insert_one({"_id": f"{home}2"})
        read_inserted(pg, "n", 2, place)
        pg.execute("SELECT mongo_tail.pause_tail('n')")
        wait_state(pg, "n", "paused")
        assert pg.execute("SELECT resume_time FROM mongo_tail.tail_shard").fetchone() != before


def test_drop_extension(outside, home, pg_server):
    with pg_server.connect(home) as pg:
        with takes_at_most(1.5, "DROP EXTENSION until the tailer is gone"):
            pg.execute("DROP EXTENSION mongo_tail CASCADE")
            wait_until(lambda: runs(outside, home) == 0)
        pg.execute("CREATE EXTENSION mongo_tail")
        assert pg.execute("SELECT count(*) FROM mongo_tail.stat_tail").fetchone() == (0,)


def test_tailer_stands_in_no_ones_way(home, pg_server):
    """It holds no lock and no snapshot between batches."""
    with pg_server.connect(home) as pg:
        pid = stat(pg, "m", "pid")
        assert pg.execute("SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT (locktype = 'object')",
                          (pid,)).fetchone() == (0,)
        assert pg.execute("SELECT backend_xmin, backend_xid, xact_start FROM pg_stat_activity WHERE pid = %s",
                          (pid,)).fetchone() == (None, None, None)
        pg.execute("SET lock_timeout = '1s'")
        pg.execute("VACUUM FULL mongo_tail.tail")
        assert stat(pg, "m", "pid") == pid
