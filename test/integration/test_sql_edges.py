"""Reading changes in the corners of SQL: arguments, names, cursors, transactions, errors on the way, encodings."""

import re
import threading
import time

import bson
import psycopg
import pytest
from bson.raw_bson import RawBSONDocument
from psycopg import errors, sql

from harness.tails import Background, changes, inserted, read_inserted, start_tail, wait_backend_waits, wait_state


@pytest.fixture(autouse=True)
def no_tail_left(pg, database, server):
    pg.execute(sql.SQL("ALTER DATABASE {} SET statement_timeout = '30s'").format(sql.Identifier(database)))
    pg.execute("SET statement_timeout = '30s'")
    yield
    pg.execute("SELECT mongo_tail.stop_tail(server) FROM mongo_tail.tail")


@pytest.fixture
def tailed(pg, server, fresh_namespace, mongo):
    """A tail of fresh_namespace with ten inserts; gives the place before them and collection t."""
    place = start_tail(pg, server, [f"{fresh_namespace}.*"])
    wait_state(pg, server, "streaming")
    mongo[fresh_namespace].t.insert_many({"_id": n} for n in range(10))
    read_inserted(pg, server, 10, place)
    return place, mongo[fresh_namespace].t


# ---- arguments ----

def test_clock_times_are_positions(pg, server, tailed):
    """after and until take a timestamptz as it is."""
    count = "SELECT count(*) FILTER (WHERE operation_type = 'insert') FROM mongo_tail.changes(%s, {})"
    for arguments, expected in (("after => now() - interval '1 minute'", 10),
                                ("until => now() + interval '1 minute'", 10),
                                ("after => now() + interval '1 minute'", 0),
                                ("until => now() - interval '1 day'", 0),
                                ("after => current_timestamp - interval '1 min', until => 'now'", 10),
                                ("after => 'oldest', until => 'oldest'", 0)):
        assert pg.execute(count.format(arguments), (server,)).fetchone()[0] == expected, arguments


def test_null_arguments(pg, server, tailed):
    rows = pg.execute("SELECT count(*) FROM mongo_tail.changes(%s, NULL, NULL, NULL, NULL, NULL)", (server,)).fetchone()
    assert rows[0] == len(changes(pg, server)) >= 10
    with pytest.raises(errors.NullValueNotAllowed, match='"server" must not be NULL'):
        changes(pg, None)
    with pytest.raises(errors.NullValueNotAllowed, match='"namespaces" must not contain NULL'):
        changes(pg, server, namespaces=["a.b", None])


def test_counts_and_waits(pg, server, tailed):
    assert changes(pg, server, max_changes=0) == []
    assert changes(pg, server, max_changes=0, wait="1 hour") == []
    assert len(changes(pg, server, max_changes=9223372036854775807)) >= 10
    with pytest.raises(errors.InvalidParameterValue, match='"max_changes" must not be negative'):
        changes(pg, server, max_changes=-1)
    for wait in ("-1 s", "1 month", "-1 day", "1 day -25 hours"):
        with pytest.raises(errors.InvalidParameterValue, match='"wait" must be a time between zero and 100 years'):
            changes(pg, server, wait=wait)


@pytest.mark.parametrize("wait", ["36500 days", "876000 hours"])
def test_longest_wait_waits(pg, connect, server, tailed, wait):
    waiting = Background(connect(), "SELECT count(*) FROM mongo_tail.changes(%s, after => 'now', wait => %s)", (server, wait))
    wait_backend_waits(pg, waiting.pid)
    pg.execute("SELECT pg_cancel_backend(%s)", (waiting.pid,))
    assert isinstance(waiting.join(1).error, errors.QueryCanceled)


@pytest.mark.parametrize("wait", ["36501 days", "900000 hours", "36500 days 2562047788 hours"])
def test_longer_waits_are_refused(pg, server, tailed, wait):
    pg.execute("SET statement_timeout = '2s'")
    with pytest.raises(errors.InvalidParameterValue, match="100 years"):
        changes(pg, server, after="now", wait=wait)


def test_arrays_of_namespaces(pg, server, tailed):
    _, collection = tailed
    everything = changes(pg, server)
    assert changes(pg, server, namespaces=[]) == everything
    name = collection.full_name
    assert changes(pg, server, namespaces=[name, name, f"{collection.database.name}.*"]) == everything
    assert inserted(pg.execute("SELECT position::text, operation_type, full_document FROM mongo_tail.changes(%s, "
                               "namespaces => ARRAY[ARRAY[%s::text]])", (server, name)).fetchall()) == list(range(10))


@pytest.mark.parametrize("call", ["changes(%s)", "changes(%s, after => 'oldest', wait => '1 s')"])
def test_server_without_a_tail(pg, server, call):
    for name, hint in ((server, f"SELECT mongo_tail.start_tail('{server}')"), ("no such server", None)):
        with pytest.raises(errors.UndefinedObject) as caught:
            pg.execute(f"SELECT * FROM mongo_tail.{call}", (name,))
        said = caught.value.diag
        print(said.message_primary, "|", said.message_hint)
        assert f'"{name}"' in said.message_primary
        assert hint is None or hint in said.message_hint


@pytest.mark.parametrize("name", ["Shop", 'qu"o\'te', "ünïcödé", "a.b", "select", "x" * 63, " "])
def test_names_of_servers(pg, mongo_server, new_server, mongo, fresh_namespace, name):
    new_server(pg, name, mongo_server.uri)
    try:
        place = start_tail(pg, name, [f"{fresh_namespace}.*"])
        mongo[fresh_namespace].t.insert_one({"_id": name})
        assert read_inserted(pg, name, 1, place)[0] == [name]
        pg.execute("SELECT mongo_tail.create_slot(%s, %s, after => 'oldest')", (name, name))
        assert pg.execute("SELECT count(*) FROM mongo_tail.get_changes(%s)", (name,)).fetchone()[0] >= 1
        pg.execute("SELECT mongo_tail.drop_slot(%s)", (name,))
    finally:
        pg.execute(sql.SQL("DROP SERVER {} CASCADE").format(sql.Identifier(name)))


@pytest.mark.parametrize("collection", ["with.dots.in.it", "ünïcödé 😀", 'qu"o\'te', "sp ace", "x" * 220, "a*b", "/x/"])
def test_names_of_collections(pg, server, mongo, fresh_namespace, collection):
    namespace = f"{fresh_namespace}.{collection}"
    place = start_tail(pg, server, [f"{fresh_namespace}.*"], ring_size="4kB")
    mongo[fresh_namespace][collection].insert_one({"_id": 1})
    read_inserted(pg, server, 1, place)
    assert pg.execute("SELECT DISTINCT database, collection FROM mongo_tail.changes(%s, after => %s)",
                      (server, place)).fetchall() == [(fresh_namespace, collection)]
    if "*" not in collection:
        assert inserted(changes(pg, server, after=place, namespaces=[namespace])) == [1]


# ---- where a query may stand ----

def test_views_functions_and_prepared_statements(pg, server, tailed):
    ids = list(range(10))
    pg.execute(f"""
        CREATE VIEW v AS SELECT * FROM mongo_tail.changes('{server}') WHERE operation_type = 'insert';
        CREATE FUNCTION f() RETURNS SETOF jsonb LANGUAGE sql AS
          'SELECT full_document FROM mongo_tail.changes(''{server}'') WHERE operation_type = ''insert''';
        CREATE FUNCTION g() RETURNS int LANGUAGE plpgsql AS $$
          DECLARE r record; n int := 0;
          BEGIN
            FOR r IN SELECT * FROM mongo_tail.changes('{server}') WHERE operation_type = 'insert' LOOP
              BEGIN
                IF (r.full_document->>'_id')::int % 2 = 0 THEN RAISE 'even'; END IF;
                PERFORM 1 FROM mongo_tail.changes('{server}', after => 'oldest', max_changes => 3);
                n := n + 1;
              EXCEPTION WHEN raise_exception THEN
                PERFORM count(*) FROM mongo_tail.changes('{server}', after => r."position");
              END;
            END LOOP;
            BEGIN
              PERFORM mongo_tail.changes('no such server');
            EXCEPTION WHEN undefined_object THEN n := n + 100;
            END;
            RETURN n;
          END $$;
        PREPARE p(name, bigint) AS SELECT full_document->'_id' FROM mongo_tail.changes($1, max_changes => $2)
          WHERE operation_type = 'insert'""")
    try:
        assert [r[0]["_id"] for r in pg.execute("SELECT full_document FROM v").fetchall()] == ids
        assert [r[0]["_id"] for r in pg.execute("SELECT f()").fetchall()] == ids
        assert pg.execute("SELECT g()").fetchone()[0] == 105
        for _ in range(7):
            assert [r[0] for r in pg.execute(f"EXECUTE p('{server}', NULL)").fetchall()] == ids
        plan = "\n".join(r[0] for r in pg.execute(f"EXPLAIN (ANALYZE, VERBOSE) EXECUTE p('{server}', NULL)").fetchall())
        assert "Function Scan on mongo_tail.changes" in plan and re.search(r"rows=10(\.00)? ", plan)
        pg.execute("DISCARD ALL")
        assert len(pg.execute("SELECT * FROM v").fetchall()) == 10
    finally:
        pg.execute("DROP VIEW v; DROP FUNCTION f(); DROP FUNCTION g()")


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE", "READ COMMITTED, READ ONLY", "SERIALIZABLE, READ ONLY"])
def test_transactions(connect, server, tailed, level):
    connection = connect(autocommit=False)
    connection.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
    assert inserted(changes(connection, server)) == list(range(10))
    assert inserted(changes(connection, server, after="oldest", namespaces=[tailed[1].full_name])) == list(range(10))
    connection.rollback()


def test_parallel_plans_are_not_broken(pg, server, tailed):
    pg.execute("CREATE TABLE big AS SELECT n, repeat('x', 100) AS pad FROM generate_series(1, 100000) n; ANALYZE big")
    forced = "force_parallel_mode" if pg.info.server_version < 160000 else "debug_parallel_query"
    try:
        pg.execute(f"SET {forced} = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; "
                   "SET min_parallel_table_scan_size = 0")
        assert pg.execute("SELECT count(*) FROM big JOIN mongo_tail.changes(%s) c ON n = (c.full_document->>'_id')::int "
                          "WHERE operation_type = 'insert'", (server,)).fetchone()[0] == 9
        assert pg.execute("SELECT count(*) FROM big WHERE n < 4 AND EXISTS (SELECT FROM mongo_tail.changes(%s) "
                          "WHERE full_document->'_id' = to_jsonb(n))", (server,)).fetchone()[0] == 3
    finally:
        pg.execute("DROP TABLE big; RESET ALL")


@pytest.fixture
def table(pg, server, fresh_namespace, tailed):
    pg.execute(f"CREATE FOREIGN TABLE feed (position mongo_tail.position, operation_type text, full_document jsonb) "
               f"SERVER {server} OPTIONS (relation 'changes', database '{fresh_namespace}')")
    yield "feed"
    pg.execute("DROP FOREIGN TABLE feed")


@pytest.mark.parametrize("source", ["ring", "oplog"])
def test_cursors_errors_and_subtransactions(connect, pg, server, tailed, table, source):
    """Scans that are half read when the transaction or a part of it fails."""
    place, collection = tailed
    if source == "oplog":
        pg.execute("SELECT mongo_tail.seek_tail(%s, 'now')", (server,))
        wait_state(pg, server, "streaming")
    connection = connect(autocommit=False)
    query = f"SELECT full_document->'_id' FROM {table} WHERE position > '{place}' AND operation_type = 'insert'"
    for _ in range(3):
        connection.execute(f"DECLARE c CURSOR FOR {query}; DECLARE h CURSOR WITH HOLD FOR {query}")
        assert connection.execute("FETCH 3 FROM c").fetchall() == [(0,), (1,), (2,)]
        connection.execute("SAVEPOINT s")
        connection.execute(f"DECLARE d CURSOR FOR {query}")
        assert connection.execute("FETCH 2 FROM d").fetchall() == [(0,), (1,)]
        assert connection.execute("FETCH 1 FROM c").fetchall() == [(3,)]
        with pytest.raises(errors.DivisionByZero):
            connection.execute(f"SELECT 1 / ((full_document->>'_id')::int - 5) FROM {table} WHERE position > %s "
                               "AND operation_type = 'insert'", (place,))
        connection.execute("ROLLBACK TO s")
        assert connection.execute("FETCH 2 FROM c").fetchall() == [(4,), (5,)]
        assert connection.execute("FETCH 1 FROM h").fetchall() == [(0,)]
        with pytest.raises(errors.DivisionByZero):
            connection.execute("SELECT 1/0")
        connection.rollback()
        connection.execute(f"DECLARE h CURSOR WITH HOLD FOR {query}")
        connection.execute("FETCH 4 FROM h")
        connection.commit()
        assert connection.execute("FETCH ALL FROM h").fetchall() == [(n,) for n in range(4, 10)]
        connection.execute("CLOSE h")
        connection.commit()
    backward = connect(autocommit=False)
    backward.execute(f"DECLARE b SCROLL CURSOR FOR {query}")
    assert backward.execute("FETCH 3 FROM b").fetchall() == [(0,), (1,), (2,)]
    assert backward.execute("FETCH BACKWARD 1 FROM b").fetchall() == [(1,)]
    backward.execute("MOVE ALL IN b")
    assert backward.execute("FETCH ABSOLUTE 10 FROM b").fetchall() == [(9,)]
    backward.rollback()


def test_waiting_procedure_where_it_may_stand(pg, server, tailed):
    """In a transaction, in PL/pgSQL, in a block with an exception handler: it waits, and what follows works."""
    place, _ = tailed
    pg.execute(f"""DO $$ BEGIN
        CALL mongo_tail.wait_for_changes('{server}', after => '{place}');
        BEGIN
          CALL mongo_tail.wait_for_changes('{server}', after => 'now', wait => '10 ms');
          PERFORM count(*) FROM pg_class;
          CALL mongo_tail.wait_for_changes('no such server');
        EXCEPTION WHEN undefined_object THEN
          PERFORM count(*) FROM pg_class;
        END;
        CALL mongo_tail.wait_for_changes('{server}', after => 'now', wait => '10 ms');
        COMMIT;
        PERFORM count(*) FROM pg_class;
      END $$""")
    pg.execute(f"BEGIN; CALL mongo_tail.wait_for_changes('{server}', after => 'now', wait => '10 ms'); "
               "SELECT count(*) FROM pg_class; COMMIT")


def test_waiting_procedure_that_fails_in_a_block(pg, connect, server, tailed):
    """An error after it has let go of its snapshot is caught, and what follows has one."""
    connection = connect()
    waiting = Background(connection, f"""DO $$ DECLARE t text; BEGIN
        BEGIN
          CALL mongo_tail.wait_for_changes('{server}', after => 'now', wait => '1 min');
        EXCEPTION WHEN query_canceled THEN
          SELECT string_agg(relname, ',') INTO t FROM pg_class;
        END;
        CREATE TABLE caught AS SELECT count(*) FROM pg_class;
      END $$""")
    wait_backend_waits(pg, waiting.pid)
    pg.execute("SELECT pg_cancel_backend(%s)", (waiting.pid,))
    assert waiting.join(5).error is None
    pg.execute("DROP TABLE caught")


# ---- many at once ----

def test_hundred_sessions_read_a_tiny_ring(pg, pg_server, database, server, mongo, fresh_namespace):
    place = start_tail(pg, server, [f"{fresh_namespace}.*"], ring_size="4kB")
    wait_state(pg, server, "streaming")
    count, failed, read = 400, [], []

    def reader():
        try:
            with pg_server.connect(database) as connection:
                read.append(read_inserted(connection, server, count, place, timeout=60)[0])
        except Exception as e:          # shown below
            failed.append(e)
    room = int(pg.execute("SHOW max_connections").fetchone()[0]) - 10
    threads = [threading.Thread(target=reader) for _ in range(min(100, room))]
    for thread in threads:
        thread.start()
    for n in range(0, count, 10):
        mongo[fresh_namespace].t.insert_many({"_id": k, "pad": "x" * 100} for k in range(n, n + 10))
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert not failed, failed[:3]
    print(f"{len(threads)} readers")
    assert all(ids == list(range(count)) for ids in read)


def test_three_tails(pg, mongo_server, new_server, mongo, fresh_namespace):
    names = [new_server(pg, f"tail{n}", mongo_server.uri) for n in range(3)]
    places = [start_tail(pg, name, [f"{fresh_namespace}.t{n}"]) for n, name in enumerate(names)]
    for n in range(30):
        mongo[fresh_namespace][f"t{n % 3}"].insert_one({"_id": n})
    for n, name in enumerate(names):
        assert read_inserted(pg, name, 10, places[n])[0] == list(range(n, 30, 3))
    pg.execute("DROP SERVER tail0, tail1, tail2 CASCADE")


def test_terminated_waiter_leaves_nothing(pg, connect, new_server, mongo_server, fresh_namespace):
    """A reader that waits for its end asks the tailer to be woken by every watermark; not after it is gone."""
    new_server(pg, "brisk", mongo_server.uri, await_ms=20)
    start_tail(pg, "brisk", [f"{fresh_namespace}.*"])
    wait_state(pg, "brisk", "streaming")
    query = "SELECT * FROM mongo_tail.changes('brisk', after => 'now', {}wait => '1 hour')"
    waiting = Background(connect(), query.format("until => now() + interval '1 hour', "))
    wait_backend_waits(pg, waiting.pid)
    pg.execute("SELECT pg_terminate_backend(%s, 5000)", (waiting.pid,))
    assert waiting.join().error is not None
    other = Background(connect(), query.format(""))
    wait_backend_waits(pg, other.pid)

    def switches():
        with open(f"/proc/{other.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("voluntary"))
    before = switches()
    time.sleep(0.6)
    woken = switches() - before
    pg.execute("SELECT pg_cancel_backend(%s)", (other.pid,))
    other.join()
    pg.execute("DROP SERVER brisk CASCADE")
    assert woken < 5


# ---- encodings ----

@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "UTF8"])
def test_databases_of_other_encodings(pg_server, mongo_server, mongo, new_server, fresh_namespace, unused_name, encoding):
    """What the database's encoding has comes through; another character is PostgreSQL's own error."""
    name = unused_name("encoding_")
    with pg_server.connect("postgres") as c:
        c.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    both = {"_id": 1, "é": "ü", "in both": "ÿ\u00a0"}
    t = mongo[fresh_namespace]["tä"]
    try:
        with pg_server.connect(name, client_encoding="UTF8") as c:
            c.execute("CREATE EXTENSION mongo_tail")
            new_server(c, "mongo", mongo_server.uri)
            place = start_tail(c, "mongo", [f"{fresh_namespace}.*"])
            t.insert_one(both)
            assert read_inserted(c, "mongo", 1, place)[0] == [1]
            columns = "operation_type, collection, full_document"
            assert changes(c, "mongo", columns, after=place)[-1] == ("insert", "tä", both)
            assert changes(c, "mongo", columns, namespaces=[t.full_name])[-1] == ("insert", "tä", both)
            c.execute("SELECT mongo_tail.create_slot('s', 'mongo', namespaces => %s, after => %s)", ([t.full_name], place))
            assert c.execute(f"SELECT {columns} FROM mongo_tail.get_changes('s')").fetchall()[-1] == ("insert", "tä", both)
            after = changes(c, "mongo", after=place)[-1][0]
            t.insert_one(RawBSONDocument(bson.encode({"_id": 2, "bad": "aXb"}).replace(b"aXb", b"a\xffb")))
            t.insert_one({"_id": 3, "nul": "a\0b"})
            t.insert_one({"_id": 4, "漢字": "😀"})
            foreign = [{"_id": 2, "bad": "a\ufffdb"}, {"_id": 3, "nul": "a\ufffdb"}, {"_id": 4, "漢字": "😀"}]
            if encoding == "LATIN1":
                with pytest.raises(errors.UntranslatableCharacter):
                    read_inserted(c, "mongo", 3, after)
                c.execute(f"CREATE FOREIGN TABLE keys (operation_type text, _id int) SERVER mongo "
                          f"OPTIONS (relation 'changes', database '{fresh_namespace}')")
                assert c.execute("SELECT _id FROM keys WHERE operation_type = 'insert'").fetchall() == [
                    (1,), (2,), (3,), (4,)]
            else:
                assert read_inserted(c, "mongo", 3, after)[0] == [2, 3, 4]
                assert [r[2] for r in changes(c, "mongo", after=after)] == foreign
            c.execute("SELECT mongo_tail.stop_tail('mongo')")
            place = start_tail(c, "mongo", [t.full_name], exclude_namespaces=[f"{fresh_namespace}.ß"])
            assert c.execute("SELECT namespaces, exclude_namespaces FROM mongo_tail.tail").fetchone() == (
                [t.full_name], [f"{fresh_namespace}.ß"])
            wait_state(c, "mongo", "streaming")
            t.insert_one({"_id": 5})
            assert read_inserted(c, "mongo", 1, place)[0] == [5]
            assert c.execute("SELECT events FROM mongo_tail.stat_tail").fetchone()[0] > 0
            c.execute("SELECT mongo_tail.stop_tail('mongo')")
    finally:
        pg_server.drop_database(name)
