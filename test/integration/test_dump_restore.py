"""A dump keeps tails; where it is restored they wait until they are adopted."""

import subprocess

import pytest
from psycopg import errors

from harness.tails import changes, inserted, read_inserted, start_tail, stat, wait_state


def tool(pg_server, name, *arguments, **options):
    return subprocess.run([pg_server.bindir / name, "-h", pg_server.socket_directory, "-p", str(pg_server.port),
                           "-U", "postgres", *arguments], check=True, capture_output=True, text=True, **options)


def test_restored_tail_waits_to_be_adopted(pg_server, pg, database, server, mongo, fresh_namespace, unused_name):
    pg.execute("CREATE ROLE dump_reader")
    place = start_tail(pg, server, [f"{fresh_namespace}.*"], exclude_namespaces=["no.such"], notify="news", notify_ms=7, ring_size="128kB")
    pg.execute("SELECT mongo_tail.grant_tail(%s, 'dump_reader')", (server,))
    wait_state(pg, server, "streaming")
    dump = tool(pg_server, "pg_dump", database).stdout
    copy = pg_server.create_database(unused_name("restored_"))
    try:
        tool(pg_server, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", copy, input=dump)
        mongo[fresh_namespace].t.insert_one({"_id": 1})
        with pg_server.connect(copy) as other:
            assert stat(other, server) == "restored"
            columns = ("server, owner::text, namespaces, exclude_namespaces, full_document, ring_bytes, notify_channel, "
                       "notify_ms, start_time::text")
            assert other.execute(f"SELECT {columns} FROM mongo_tail.tail").fetchall() == \
                pg.execute(f"SELECT {columns} FROM mongo_tail.tail").fetchall()
            assert other.execute("SELECT grantee::text FROM mongo_tail.tail_grant").fetchall() == [("dump_reader",)]
            with pytest.raises(errors.ObjectNotInPrerequisiteState) as e:
                changes(other, server)
            assert "adopt_tail" in e.value.diag.message_hint
            # Whatever asks for a scan there: it stays so.
            other.execute(f"ALTER SERVER {server} OPTIONS (ADD await_ms '900')")
            assert stat(other, server) == "restored"
            other.execute("SELECT mongo_tail.adopt_tail(%s)", (server,))
            wait_state(other, server, "streaming")
            assert inserted(changes(other, server, after=place)) == [1]
            # The first one did not notice.
            assert read_inserted(pg, server, 1, place)[0] == [1]
    finally:
        pg_server.drop_database(copy)
        pg.execute("SELECT mongo_tail.stop_tail(%s)", (server,))
        pg.execute("DROP OWNED BY dump_reader; DROP ROLE dump_reader")


def test_restore_into_the_same_database(pg_server, server, pg, database, mongo, fresh_namespace, unused_name):
    """--clean drops and makes the server anew: the row is of one that is gone, and waits, too."""
    place = start_tail(pg, server, [f"{fresh_namespace}.*"])
    wait_state(pg, server, "streaming")
    copy = pg_server.create_database(unused_name("cleaned_"))
    tool(pg_server, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", copy,
         input=tool(pg_server, "pg_dump", database).stdout)
    try:
        with pg_server.connect(copy) as other:
            other.execute("SELECT mongo_tail.adopt_tail(%s)", (server,))
            wait_state(other, server, "streaming")
        dump = tool(pg_server, "pg_dump", "--clean", "--if-exists", copy).stdout
        tool(pg_server, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", copy, input=dump)
        with pg_server.connect(copy) as other:
            assert stat(other, server) == "restored"
            other.execute("SELECT mongo_tail.adopt_tail(%s)", (server,))
            wait_state(other, server, "streaming")
            mongo[fresh_namespace].t.insert_one({"_id": 1})
            assert read_inserted(other, server, 1, place)[0] == [1]
    finally:
        pg_server.drop_database(copy)
        pg.execute("SELECT mongo_tail.stop_tail(%s)", (server,))
