"""Fixtures: real servers, one of each for the session, and databases of one's own.

    mongo_server   the session's one-node replica set (MongoServer)
    mongo          a pymongo client to it
    pg_server      the session's PostgreSQL (PostgresServer), the extension preloaded
    database       a fresh database with the extension, for one test module
    pg             a psycopg connection (autocommit) to it, for one test
    connect        a function that makes more of them
    server         the name of a foreign server there that points to mongo_server
    fresh_namespace  a MongoDB database name that no other test uses
    rng            random.Random with the printed seed (MT_SEED=n repeats a run)

A test that stops, kills or freezes a server makes its own with make_mongo,
make_replica_set and make_postgres; they end with the test.
"""

import os
import pathlib
import random
import shutil
import tempfile

import psycopg
import pytest
from psycopg import sql

from harness import (MongoReplicaSet, MongoServer, PostgresServer, give_back_port,
                     interrupt_on_sigterm, make_tls_files, repository, wait_until as _wait_until)

SEED = int(os.environ.get("MT_SEED") or random.SystemRandom().randrange(2 ** 32))
KEPT_LOGS = repository / "build/log/integration"


def pytest_configure(config):
    interrupt_on_sigterm()


def pytest_report_header(config):
    return f"seed: {SEED} (MT_SEED={SEED} repeats it)"


def pytest_collection_modifyitems(config, items):
    if not os.environ.get("MT_LONG"):
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        item.session.any_failed = True
        report.sections.append(("seed", str(SEED)))
        for server in getattr(item.session, "postgres_servers", []):
            text = server.log_text(getattr(server, "log_offset_of_test", 0))
            if text:
                report.sections.append((f"PostgreSQL log of {server.directory.name}", text[-6000:]))
    return report


@pytest.fixture(autouse=True)
def _mark_logs(request):
    """Remember where each server's log stood, so that a failure shows its own part."""
    for server in getattr(request.session, "postgres_servers", []):
        server.log_offset_of_test = server.log_size


@pytest.fixture(scope="session")
def lab_directory(request):
    """Where the servers of this session live; their logs are kept when a test failed."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="mongo_tail_test.", dir="/var/tmp"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(KEPT_LOGS, ignore_errors=True)
    if getattr(request.session, "any_failed", False):
        for path in [*directory.rglob("*.log"), *directory.rglob("*.out")]:
            target = KEPT_LOGS / path.relative_to(directory)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        print(f"\nlogs of the servers: {KEPT_LOGS}")
    shutil.rmtree(directory, ignore_errors=True)


class Numbered:
    """Names that are used once: a0, a1, ..."""

    def __init__(self):
        self.used = {}

    def __call__(self, stem):
        number = self.used.get(stem, 0)
        self.used[stem] = number + 1
        return f"{stem}{number}"


@pytest.fixture(scope="session")
def unused_name():
    return Numbered()


def _postgres_factory(request, lab_directory, unused_name, made):
    def make(start=True, **options):
        server = PostgresServer(lab_directory / unused_name("pg"), **options)
        made.append(server)
        request.session.postgres_servers = getattr(request.session, "postgres_servers", []) + [server]
        server.initdb()
        return server.start() if start else server
    return make


def _end_postgres(request, made):
    for server in made:
        request.session.postgres_servers.remove(server)
        server.stop("immediate")
        give_back_port(server.port)


@pytest.fixture(scope="session")
def mongo_server(lab_directory, unused_name):
    """One for all, whose oplog holds what all tests write: some read from before it was made."""
    server = MongoServer(lab_directory / unused_name("mongo"))
    try:
        server.start().initiate()
        yield server
    finally:
        server.kill9()


@pytest.fixture(scope="session")
def mongo(mongo_server):
    with mongo_server.client() as client:
        yield client


@pytest.fixture(scope="session")
def pg_server(request, lab_directory, unused_name):
    made = []
    try:
        yield _postgres_factory(request, lab_directory, unused_name, made)()
    finally:
        _end_postgres(request, made)


@pytest.fixture
def make_postgres(request, lab_directory, unused_name):
    """make_postgres(settings={...}, fsync=True, start=False): a PostgresServer of this test."""
    made = []
    yield _postgres_factory(request, lab_directory, unused_name, made)
    _end_postgres(request, made)


@pytest.fixture
def make_mongo(lab_directory, unused_name):
    """make_mongo(oplog_mb=1, sync_delay_s=1, ...): a one-node replica set of this test
    (start=False: not started; replica_set=None: a standalone)."""
    made = []

    def make(start=True, **options):
        server = MongoServer(lab_directory / unused_name("mongo"), **options)
        made.append(server)
        if start:
            server.start()
            if server.replica_set:
                server.initiate()
        return server
    yield make
    for server in made:
        server.kill9()
        give_back_port(server.port)


@pytest.fixture
def make_replica_set(lab_directory, unused_name):
    """make_replica_set(nodes=3, settings={...}, ...): a running MongoReplicaSet of this test."""
    made = []

    def make(nodes=3, **options):
        replica_set = MongoReplicaSet(lab_directory / unused_name("set"), nodes, **options)
        made.append(replica_set)
        return replica_set.start()
    yield make
    for replica_set in made:
        for node in replica_set.nodes:
            node.kill9()
            give_back_port(node.port)


@pytest.fixture(scope="session")
def tls_files(lab_directory):
    return make_tls_files(lab_directory / "tls")


@pytest.fixture(scope="module")
def database(request, pg_server, unused_name):
    """The name of a fresh database with the extension; dropped after the module."""
    stem = request.module.__name__.rpartition(".")[2].removeprefix("test_")
    name = pg_server.create_database(unused_name(f"{stem}_"))
    try:
        with pg_server.connect(name) as connection:
            connection.execute("CREATE EXTENSION mongo_tail")
        yield name
    finally:
        pg_server.drop_database(name)


@pytest.fixture
def connect(pg_server, database):
    """connect(user='postgres', autocommit=True, ...): another session, closed after the test."""
    made = []

    def make(**options):
        connection = pg_server.connect(database, **options)
        made.append(connection)
        return connection
    yield make
    for connection in made:
        connection.close()


@pytest.fixture
def pg(connect):
    return connect()


def create_server(connection, name, uri, user_mapping=None, **options):
    """CREATE SERVER and a user mapping of the current user."""
    def option_list(values):
        return sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(k), sql.Literal(str(v)))
                                  for k, v in values.items())
    connection.execute(sql.SQL("CREATE SERVER {} FOREIGN DATA WRAPPER mongo_tail OPTIONS ({})").format(
        sql.Identifier(name), option_list({"uri": uri, **options})))
    mapping = sql.SQL("CREATE USER MAPPING FOR CURRENT_USER SERVER {}").format(sql.Identifier(name))
    if user_mapping:
        mapping += sql.SQL(" OPTIONS ({})").format(option_list(user_mapping))
    connection.execute(mapping)
    return name


@pytest.fixture(scope="module")
def server(pg_server, database, mongo_server):
    """The name of a foreign server in the module's database, with a user mapping."""
    with pg_server.connect(database) as connection:
        return create_server(connection, "mongo", mongo_server.uri)


@pytest.fixture
def new_server():
    """create_server(connection, name, uri, user_mapping={...}, **options), for other servers."""
    return create_server


@pytest.fixture
def fresh_namespace(mongo, unused_name):
    """A MongoDB database name of this test alone; dropped afterwards."""
    name = unused_name("test_db_")
    yield name
    mongo.drop_database(name)


@pytest.fixture(scope="session")
def wait_until():
    return _wait_until


@pytest.fixture
def rng(request):
    """Random numbers by the session's seed and the test's name, so that -k repeats them."""
    return random.Random(f"{SEED}:{request.node.nodeid}")
