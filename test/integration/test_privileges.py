"""Who may do what, and that credentials show nowhere."""

import json

import psycopg
import pytest
from psycopg import errors

from harness import wait_until
from harness.tails import changes, inserted, read_inserted, start_tail, stat, wait_state

ROLES = ("tail_owner", "tail_reader", "tail_stranger")


@pytest.fixture(scope="module")
def roles(pg_server, database, server):
    """An owner who may start tails on the server, a reader, and a stranger with USAGE on the server."""
    with pg_server.connect(database) as pg:
        for role in ROLES:
            pg.execute(f"CREATE ROLE {role} LOGIN")
            pg.execute(f"GRANT USAGE ON FOREIGN SERVER {server} TO {role}")
        pg.execute("GRANT USAGE ON SCHEMA mongo_tail TO tail_owner")
        for function in ("start_tail", "stop_tail", "pause_tail", "resume_tail", "seek_tail", "grant_tail",
                         "revoke_tail", "changes"):
            pg.execute(f"GRANT EXECUTE ON FUNCTION mongo_tail.{function} TO tail_owner")
        pg.execute(f"CREATE USER MAPPING FOR tail_owner SERVER {server}")
        yield
        pg.execute("DELETE FROM mongo_tail.tail")
        for role in ROLES:
            pg.execute(f"DROP OWNED BY {role} CASCADE")
            pg.execute(f"DROP ROLE {role}")


@pytest.fixture
def owned(roles, pg, connect, server, mongo, fresh_namespace):
    """A tail of tail_owner with one document in it."""
    owner = connect(user="tail_owner")
    place = start_tail(owner, server, [f"{fresh_namespace}.*"])
    mongo[fresh_namespace].t.insert_one({"_id": 1})
    assert read_inserted(owner, server, 1, place)[0] == [1]
    yield owner, place
    pg.execute("SELECT mongo_tail.stop_tail(%s)", (server,))


def test_public_may_do_nothing(pg):
    """Every function, table and view of the extension, and its schema."""
    callable_ = pg.execute("""
        SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e'
          JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'mongo_tail'
         WHERE d.classid = 'pg_proc'::regclass
           AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) WHERE grantee = 0)
           AND p.prorettype <> 'trigger'::regtype ORDER BY 1""").fetchall()
    # The types' own functions alone: reading, writing and comparing values harms nobody.
    for (name,) in callable_:
        assert not any(word in name for word in ("tail(", "changes(", "stat_", "slot")), name
    assert pg.execute("""
        SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'mongo_tail'::regnamespace
           AND EXISTS (SELECT FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) WHERE grantee = 0)
        """).fetchall() == []
    assert pg.execute("SELECT has_schema_privilege('public', 'mongo_tail', 'USAGE')").fetchone() == (False,) or \
        pg.execute("SELECT nspacl FROM pg_namespace WHERE nspname = 'mongo_tail'").fetchone()[0] is None


def test_usage_on_the_server_shows_no_events(roles, pg, connect, server, owned):
    stranger = connect(user="tail_stranger")
    with pytest.raises(errors.InsufficientPrivilege):
        changes(stranger, server)
    # Also when all functions were granted: the tail is somebody else's.
    pg.execute("GRANT USAGE ON SCHEMA mongo_tail TO tail_stranger;"
               "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA mongo_tail TO tail_stranger")
    try:
        for query in ("SELECT * FROM mongo_tail.changes('{0}')", "SELECT * FROM mongo_tail.changes('{0}', after => 'oldest')",
                      "CALL mongo_tail.wait_for_changes('{0}')"):
            with pytest.raises(errors.InsufficientPrivilege) as e:
                stranger.execute(query.format(server))
            assert "grant_tail" in e.value.diag.message_hint
        for query in ("stop_tail('{0}')", "pause_tail('{0}')", "resume_tail('{0}')", "seek_tail('{0}', 'now')",
                      "grant_tail('{0}', 'tail_stranger')", "revoke_tail('{0}', 'tail_reader')", "adopt_tail('{0}')"):
            with pytest.raises(errors.InsufficientPrivilege) as e:
                stranger.execute("SELECT mongo_tail." + query.format(server))
            assert "must be owner of the tail" in e.value.diag.message_primary
        for table in ("tail", "tail_shard", "tail_grant", "stat_tail", "stat_ring"):
            with pytest.raises(errors.InsufficientPrivilege):
                stranger.execute(f"SELECT * FROM mongo_tail.{table}")
    finally:
        pg.execute("REVOKE ALL ON ALL ROUTINES IN SCHEMA mongo_tail FROM tail_stranger;"
                   "REVOKE ALL ON SCHEMA mongo_tail FROM tail_stranger")


def test_grant_and_revoke(roles, pg, connect, server, owned, mongo, fresh_namespace):
    owner, place = owned
    reader = connect(user="tail_reader")
    with pytest.raises(errors.InsufficientPrivilege):
        changes(reader, server)
    owner.execute("SELECT mongo_tail.grant_tail(%s, 'tail_reader')", (server,))
    owner.execute("SELECT mongo_tail.grant_tail(%s, 'tail_reader')", (server,))
    assert inserted(changes(reader, server, after=place)) == [1]
    reader.execute("CALL mongo_tail.wait_for_changes(%s, after => 'oldest')", (server,))
    # The way through the oplog runs as the owner: the reader has no user mapping.
    owner.execute("SELECT mongo_tail.seek_tail(%s, 'now')", (server,))
    assert inserted(changes(reader, server, after=place)) == [1]
    # And is bounded by the tail's namespaces.
    mongo.elsewhere_of_privileges.t.insert_one({"_id": "hidden"})
    with pytest.raises(errors.InvalidParameterValue):
        changes(reader, server, namespaces=["elsewhere_of_privileges.t"])
    assert "hidden" not in json.dumps(inserted(changes(reader, server, after=place)))
    for query in ("stop_tail('{0}')", "grant_tail('{0}', 'tail_stranger')"):
        with pytest.raises(errors.InsufficientPrivilege):
            reader.execute("SELECT mongo_tail." + query.format(server))
    owner.execute("SELECT mongo_tail.revoke_tail(%s, 'tail_reader')", (server,))
    with pytest.raises(errors.InsufficientPrivilege):
        changes(reader, server, after=place)
    mongo.drop_database("elsewhere_of_privileges")


def test_members_of_owner_and_grantee(roles, pg, connect, server, owned):
    owner, place = owned
    pg.execute("GRANT tail_reader TO tail_stranger")
    owner.execute("SELECT mongo_tail.grant_tail(%s, 'tail_reader')", (server,))
    assert inserted(changes(connect(user="tail_stranger"), server, after=place)) == [1]
    pg.execute("REVOKE tail_reader FROM tail_stranger")
    with pytest.raises(errors.InsufficientPrivilege):
        changes(connect(user="tail_stranger"), server, after=place)
    owner.execute("SELECT mongo_tail.revoke_tail(%s, 'tail_reader')", (server,))


def test_tailer_runs_as_its_owner(roles, pg, server, owned):
    wait_state(pg, server, "streaming")
    assert pg.execute("SELECT usename FROM pg_stat_activity WHERE backend_type = 'mongo_tail tailer'").fetchall() == [
        ("tail_owner",)]


def test_owner_must_be_able_to_log_in(roles, pg, connect, server):
    pg.execute("CREATE ROLE tail_group NOLOGIN; GRANT tail_group TO tail_owner;"
               f"GRANT USAGE ON FOREIGN SERVER {server} TO tail_group; GRANT USAGE ON SCHEMA mongo_tail TO tail_group;"
               "GRANT EXECUTE ON FUNCTION mongo_tail.start_tail TO tail_group")
    try:
        owner = connect(user="tail_owner")
        owner.execute("SET ROLE tail_group")
        with pytest.raises(errors.InvalidAuthorizationSpecification) as e:
            start_tail(owner, server)
        assert e.value.diag.message_hint
    finally:
        pg.execute("DROP OWNED BY tail_group; DROP ROLE tail_group")


def test_usage_on_the_server_is_needed(roles, pg, connect, server):
    pg.execute(f"REVOKE USAGE ON FOREIGN SERVER {server} FROM tail_owner")
    try:
        with pytest.raises(errors.InsufficientPrivilege):
            start_tail(connect(user="tail_owner"), server)
    finally:
        pg.execute(f"GRANT USAGE ON FOREIGN SERVER {server} TO tail_owner")


def test_nobody_elses_mapping_is_used(make_mongo, make_postgres, new_server):
    """And the rest of authentication, on a mongod with users and a password of every special character."""
    secret = "s3cr:@/%?#[]'\"\\ e\u00e9&=+"
    other_secret = "0ther-S3cret"
    mongod, postgres = make_mongo(auth=True), make_postgres(settings={"log_statement": "none",
                                                                     "log_min_messages": "debug1"})
    mongod.create_user("root", "r", ["root"])
    login = {"username": "root", "password": "r"}
    mongod.create_user("tail:@/%er", secret, [{"role": "read", "db": "local"}], login=login)
    mongod.create_user("weak", other_secret, [{"role": "read", "db": "app"}], login=login)
    messages = []
    with postgres.connect() as pg, mongod.client(**login) as client:
        pg.add_notice_handler(lambda d: messages.append(str(vars(d) if hasattr(d, '__dict__') else d.message_primary)))
        pg.execute("CREATE EXTENSION mongo_tail; CREATE ROLE owner LOGIN; CREATE ROLE without LOGIN;"
                   "GRANT USAGE ON SCHEMA mongo_tail TO owner, without;"
                   "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA mongo_tail TO owner, without")
        new_server(pg, "m", mongod.uri, user_mapping={"username": "tail:@/%er", "password": secret})
        pg.execute("GRANT USAGE ON FOREIGN SERVER m TO owner, without")
        # A user without a mapping uses nobody else's: the server refuses it.
        with postgres.connect(user="without") as without, pytest.raises(psycopg.Error) as e:
            start_tail(without, "m")
        messages.append(str(vars(e.value.diag) if hasattr(e.value.diag, '__dict__') else e.value))
        assert e.value.sqlstate == "42501" and e.value.diag.message_hint
        place = start_tail(pg, "m", ["app.*"])
        client.app.t.insert_one({"_id": 1})
        assert read_inserted(pg, "m", 1, place)[0] == [1]
        wait_state(pg, "m", "streaming")
        # Wrong password, too few rights, and then the right ones again.
        pg.execute(f"ALTER USER MAPPING FOR postgres SERVER m OPTIONS (SET password '{other_secret}')")
        wait_state(pg, "m", "retrying", "failed", timeout=15)
        messages.append(stat(pg, "m", "last_error"))
        with pytest.raises(psycopg.Error) as e:
            changes(pg, "m", after="oldest")
            pg.execute("SELECT mongo_tail.seek_tail('m', 'now')")
        messages.append(str(e.value))
        assert e.value.sqlstate == "28P01"
        pg.execute(f"ALTER USER MAPPING FOR postgres SERVER m OPTIONS (SET username 'weak')")
        with pytest.raises(psycopg.Error) as e:
            pg.execute("SELECT mongo_tail.seek_tail('m', 'now')")
        messages.append(str(e.value))
        assert e.value.sqlstate == "42501"
        pg.execute("ALTER USER MAPPING FOR postgres SERVER m OPTIONS (SET username 'tail:@/%er', SET password {})".format(
            psycopg.sql.Literal(secret).as_string(pg)))
        wait_state(pg, "m", "streaming", timeout=20)

        # Nothing of it in the log, in a message, in a view or catalog that others may read.
        for text in (secret, other_secret, secret[:8], "s3cr%3A"):
            assert text not in "\n".join(m for m in messages if m)
            assert text not in postgres.log_text()
        with postgres.connect(user="owner") as owner:
            for (view,) in owner.execute(
                    "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v') AND "
                    "has_table_privilege(oid, 'SELECT') AND relnamespace IN ('pg_catalog'::regnamespace, "
                    "'information_schema'::regnamespace, 'mongo_tail'::regnamespace)").fetchall():
                if view in ("pg_hba_file_rules", "pg_stat_activity"):
                    continue
                for row in owner.execute(f"SELECT t::text FROM {view} t").fetchall():
                    assert other_secret not in row[0] and "s3cr" not in row[0], view
        for view in ("stat_tail", "stat_ring", "tail", "tail_shard", "tail_grant"):
            for row in pg.execute(f"SELECT t::text FROM mongo_tail.{view} t").fetchall():
                assert other_secret not in row[0] and "s3cr" not in row[0], view
    command_lines = [open(f"/proc/{p}/cmdline").read() for p in [postgres.pid]]
    assert "s3cr" not in "".join(command_lines)
