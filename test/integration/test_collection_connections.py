"""The connections that a session keeps from one statement to the next."""

import pytest
from psycopg import errors

from harness.tails import Background


@pytest.fixture
def table(pg, server, mongo, fresh_namespace):
    """20,000 documents {_id: n, a: n} as a table t; the collection."""
    collection = mongo[fresh_namespace].t
    collection.insert_many({"_id": n, "a": n} for n in range(20000))
    pg.execute(f"""CREATE FOREIGN TABLE t (_id integer, a integer) SERVER {server}
                   OPTIONS (database '{fresh_namespace}', collection 't')""")
    yield collection
    pg.execute("DROP FOREIGN TABLE IF EXISTS t CASCADE")


def connections(pg, columns="in_use, valid, uses"):
    return pg.execute(f"SELECT {columns} FROM mongo_tail.connections").fetchall()


def made(mongo):
    """How many connections the server has ever accepted."""
    return mongo.admin.command("serverStatus")["connections"]["totalCreated"]


def operations(mongo):
    """What the server has been asked for so far: commands by name, with their count."""
    commands = mongo.admin.command("serverStatus")["metrics"]["commands"]
    return {name: c["total"] for name, c in commands.items() if isinstance(c, dict) and "total" in c}


def test_kept(pg, table, mongo):
    pg.execute("SELECT FROM t WHERE _id = 1")
    before = made(mongo)
    for n in range(20):
        assert pg.execute("SELECT a FROM t WHERE _id = %s", (n,)).fetchall() == [(n,)]
    assert made(mongo) == before
    assert [(c[0], c[1]) for c in connections(pg)] == [(False, True)]


def test_one_round_trip(pg, table, mongo):
    """A look-up is one find, and nothing else."""
    pg.execute("SET plan_cache_mode = force_generic_plan")
    pg.execute("PREPARE q(int) AS SELECT a FROM t WHERE _id = $1")
    pg.execute("EXECUTE q(0)")
    before = operations(mongo)
    for n in range(100):
        pg.execute("EXECUTE q(%s)" % n)
    after = operations(mongo)
    asked = {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name, 0)}
    # the test's own client asks, too, and keeps an eye on the server
    for name in ("serverStatus", "hello", "isMaster", "ping"):
        if asked.get(name, 0) < 50:
            asked.pop(name, None)
    assert asked == {"find": 100}
    pg.execute("DEALLOCATE q")


def test_two_scans_at_once(pg, table, mongo):
    """Two cursors are open at once; each has its connection, and both are kept."""
    with pg.transaction():
        one, two = pg.cursor("one"), pg.cursor("two")
        one.execute("SELECT a FROM t WHERE a >= 0")
        two.execute("SELECT a FROM t WHERE a < 20000")
        rows = {one: [], two: []}
        for _ in range(20):
            for cursor in (one, two):
                rows[cursor] += cursor.fetchmany(1000)
        assert [c[0] for c in connections(pg)] == [True, True]
        for cursor in (one, two):
            assert not cursor.fetchmany(1)
            assert sorted(r[0] for r in rows[cursor]) == list(range(20000))
    assert [c[0] for c in connections(pg)] == [False, False]
    before = made(mongo)
    assert pg.execute("SELECT count(*) FROM t x JOIN t y USING (a)").fetchone() == (20000,)
    assert made(mongo) == before


def test_many_scans_at_once(pg, table):
    """What is too much to be kept is closed."""
    with pg.transaction():
        for n in range(9):
            pg.execute(f"DECLARE c{n} CURSOR FOR SELECT a FROM t")
            pg.execute(f"FETCH 200 FROM c{n}")
        assert len(connections(pg)) == 9
    assert [c[0] for c in connections(pg)] == [False] * 4
    assert pg.execute("SELECT mongo_tail.disconnect()").fetchone() == (4,)
    assert connections(pg) == []


def test_given_back_after_an_error(pg, table):
    pg.execute("SELECT FROM t WHERE _id = 1")
    with pytest.raises(errors.DivisionByZero):
        pg.execute("SELECT 1 / (a - 10) FROM t")
    pg.execute("DO $$ BEGIN PERFORM 1 / (a - 7000) FROM t; EXCEPTION WHEN division_by_zero THEN NULL; END $$")
    assert pg.execute("SELECT count(*) FROM t").fetchone() == (20000,)
    assert not any(c[0] for c in connections(pg))


@pytest.mark.parametrize("what", ["SERVER mongo", "USER MAPPING FOR CURRENT_USER SERVER mongo"])
def test_alter(pg, connect, table, mongo, what):
    """Another session's ALTER ends the connection; one that is in use, after its use."""
    option = "connect_timeout_ms" if what.startswith("SERVER") else "auth_source"
    pg.execute("SELECT FROM t WHERE _id = 1")
    try:
        with pg.transaction():
            cursor = pg.cursor("c")
            cursor.execute("SELECT a FROM t")
            assert len(cursor.fetchmany(10)) == 10
            connect().execute(f"ALTER {what} OPTIONS (ADD {option} '9999')")
            pg.execute("SELECT 1 FROM pg_foreign_server")
            assert len(cursor.fetchall()) == 19990
        assert connections(pg) == []
    finally:
        pg.execute(f"ALTER {what} OPTIONS (DROP {option})")
    before = made(mongo)
    assert pg.execute("SELECT count(*) FROM t").fetchone() == (20000,)
    assert made(mongo) == before + 1


def test_uri_changes(pg, connect, table, make_mongo):
    """ALTER SERVER to another deployment: the next statement reads there."""
    other = make_mongo()
    with other.client() as client:
        client[table.database.name].t.insert_one({"_id": -1, "a": -1})
    assert pg.execute("SELECT count(*) FROM t").fetchone() == (20000,)
    old = pg.execute("SELECT option_value FROM pg_options_to_table((SELECT srvoptions FROM pg_foreign_server "
                     "WHERE srvname = 'mongo')) WHERE option_name = 'uri'").fetchone()[0]
    connect().execute(f"ALTER SERVER mongo OPTIONS (SET uri '{other.uri}')")
    assert pg.execute("SELECT a FROM t").fetchall() == [(-1,)]
    connect().execute(f"ALTER SERVER mongo OPTIONS (SET uri '{old}')")
    assert pg.execute("SELECT count(*) FROM t").fetchone() == (20000,)


def test_drop_server(pg, mongo_server, mongo, new_server, fresh_namespace):
    mongo[fresh_namespace].t.insert_one({"_id": 1})
    new_server(pg, "fleeting", mongo_server.uri)
    pg.execute(f"CREATE FOREIGN TABLE fleeting_t (_id integer) SERVER fleeting OPTIONS (database '{fresh_namespace}', collection 't')")
    pg.execute("SELECT * FROM fleeting_t")
    assert ("fleeting",) in connections(pg, "server")
    with pg.transaction():
        pg.execute("SELECT * FROM fleeting_t")
        pg.execute("DROP SERVER fleeting CASCADE")
    assert connections(pg, "server") in ([], [("mongo",)])


def test_disconnect(pg, table, mongo):
    pg.execute("SELECT mongo_tail.disconnect()")
    pg.execute("SELECT FROM t WHERE _id = 1")
    assert pg.execute("SELECT mongo_tail.disconnect('mongo')").fetchone() == (1,)
    assert pg.execute("SELECT mongo_tail.disconnect('mongo')").fetchone() == (0,)
    with pytest.raises(errors.UndefinedObject):
        pg.execute("SELECT mongo_tail.disconnect('nowhere')")
    with pg.transaction():
        pg.execute("DECLARE c CURSOR FOR SELECT a FROM t")
        pg.execute("FETCH 10 FROM c")
        assert pg.execute("SELECT mongo_tail.disconnect('mongo')").fetchone() == (0,)
        assert [c[:2] for c in connections(pg)] == [(True, False)]
        assert len(pg.execute("FETCH ALL FROM c").fetchall()) == 19990
    assert connections(pg) == []


def test_ends_with_the_session(connect, table, mongo, wait_until):
    """A session that ends takes its connections and sessions with it."""
    def current():
        return mongo.admin.command("serverStatus")["connections"]["current"]
    before = current()
    session = connect()
    session.execute("SELECT FROM t WHERE _id = 1")
    assert current() > before
    session.close()
    wait_until(lambda: current() <= before, what="the end of the connection")


def test_by_mapping(pg, connect, table, server):
    """Users of PUBLIC's mapping share a connection; a user's own mapping has another."""
    pg.execute("CREATE ROLE mt_lease_a LOGIN")
    pg.execute(f"CREATE USER MAPPING FOR PUBLIC SERVER {server}")
    try:
        pg.execute("GRANT SELECT ON t TO mt_lease_a")
        session = connect()
        session.execute("SELECT FROM t WHERE _id = 1")
        session.execute("SET ROLE mt_lease_a")
        session.execute("SELECT FROM t WHERE _id = 1")
        session.execute("RESET ROLE")
        assert sorted(connections(session, "user_name")) == [("postgres",), ("public",)]
        pg.execute(f"CREATE USER MAPPING FOR mt_lease_a SERVER {server}")
        session.execute("SET ROLE mt_lease_a")
        session.execute("SELECT FROM t WHERE _id = 1")
        session.execute("RESET ROLE")
        assert ("mt_lease_a",) in connections(session, "user_name")
    finally:
        pg.execute("DROP USER MAPPING IF EXISTS FOR mt_lease_a SERVER mongo")
        pg.execute("DROP USER MAPPING FOR PUBLIC SERVER mongo")
        pg.execute("DROP OWNED BY mt_lease_a; DROP ROLE mt_lease_a")


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_server_restarts_while_idle(pg, make_mongo, new_server, how):
    mongo = make_mongo()
    with mongo.client() as client:
        client.shop.t.insert_many({"_id": n} for n in range(1000))
    new_server(pg, "shaky", mongo.uri)
    pg.execute("CREATE FOREIGN TABLE shaky_t (_id integer) SERVER shaky OPTIONS (database 'shop', collection 't')")
    try:
        assert pg.execute("SELECT count(*) FROM shaky_t").fetchone() == (1000,)
        if how == "kill":
            mongo.kill9()
            mongo.start()
        else:
            mongo.restart()
        mongo.wait_primary()
        assert pg.execute("SELECT count(*) FROM shaky_t").fetchone() == (1000,)
    finally:
        pg.execute("DROP SERVER shaky CASCADE")


def test_primary_steps_down_while_idle(pg, make_replica_set, new_server):
    """A kept connection leads to a secondary now: the statement finds the primary."""
    members = make_replica_set()
    with members.client(w=3) as client:
        client.shop.t.insert_many({"_id": n} for n in range(1000))
    new_server(pg, "moving", members.uri)
    pg.execute("CREATE FOREIGN TABLE moving_t (_id integer) SERVER moving OPTIONS (database 'shop', collection 't')")
    try:
        with pg.transaction():                  # two connections that stand idle
            for n in (1, 2):
                pg.execute(f"DECLARE c{n} CURSOR FOR SELECT * FROM moving_t")
                pg.execute(f"FETCH 10 FROM c{n}")
        members.step_down(seconds=60)
        assert pg.execute("SELECT count(*) FROM moving_t x JOIN moving_t y USING (_id)").fetchone() == (1000,)
    finally:
        pg.execute("DROP SERVER moving CASCADE")


def test_two_backends(pg, connect, table):
    """Nothing is shared between sessions."""
    other = connect()
    background = Background(other, "SELECT count(*) FROM t x JOIN t y USING (a)")
    assert pg.execute("SELECT count(*) FROM t").fetchone() == (20000,)
    assert background.join().rows == [(20000,)]
