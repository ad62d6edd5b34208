"""Every block of the README runs, in order, as a reader would run it.

SQL blocks run in a database of their own, statement by statement; python blocks
with a pymongo client by the name of client.  What a block is said to show is
checked where a reader would be misled.
"""

import datetime
import re

import bson
import pymongo
import pytest
from psycopg import sql

from harness import mongod_version, repository

TEXT = (repository / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.M | re.S)


def statements(block):
    """The block's statements; none of the README's strings holds a semicolon at a line's end."""
    without_comments = re.sub(r"--[^\n']*$", "", block, flags=re.M)
    return [s.strip() for s in re.split(r";[ \t]*\n", without_comments + "\n") if s.strip()]


@pytest.fixture
def reader(pg_server, mongo_server, unused_name):
    """A connection to an empty database, and README's address made that of our server."""
    name = pg_server.create_database(unused_name("readme_"))
    with pg_server.connect(name) as connection:
        yield connection
    with pg_server.connect("postgres") as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute("DROP ROLE IF EXISTS analyst")


def test_blocks_run_in_order(reader, mongo, mongo_server):
    address = f"{mongo_server.address}/"
    shown = []
    mongo.drop_database("shop")
    try:
        with pymongo.MongoClient(mongo_server.uri, w="majority") as client:
            for language, block in BLOCKS:
                if language == "python":
                    exec(block, {"client": client, "datetime": datetime, "bson": bson})
                elif language == "sql" and "CREATE EXTENSION" not in "".join(shown) + block:
                    continue            # the pitch, before anything is installed
                elif language == "sql" and mongod_version() < (5,) and "read_consistency" in block:
                    continue            # it says that MongoDB must be newer
                elif language == "sql":
                    for statement in statements(block):
                        cursor = reader.execute(statement.replace("localhost:27017/", address))
                        shown.append(statement)
                        if cursor.description and "update_description" in statement:
                            assert [row[0] for row in cursor if row[0] != "create"] == ["insert", "update", "delete"]
    finally:
        mongo.drop_database("shop")
    assert len(shown) > 30


def test_every_block_has_a_language_we_know():
    assert {language for language, _ in BLOCKS} <= {"sql", "sh", "python"}
