"""ANALYZE of collections: statistics from a sample, or from all of it."""

import datetime

import pytest
from bson import ObjectId
from psycopg import errors

from harness.tails import Background, takes_at_most, wait_backend_waits

MANY = 60_000
DAY = datetime.datetime(2024, 2, 29)


def create(pg, server, table, columns, database, collection, **options):
    more = "".join(f", {name} '{value}'" for name, value in options.items())
    pg.execute(f"CREATE FOREIGN TABLE {table} ({columns}) SERVER {server} "
               f"OPTIONS (database '{database}', collection '{collection}'{more})")


def analyze(pg, table):
    """What the wrapper says that it did; PostgreSQL says more, another version another thing."""
    said = []

    def note(diagnostic):
        said.append(diagnostic.message_primary)
    pg.add_notice_handler(note)
    pg.execute(f"ANALYZE VERBOSE {table}")
    pg.remove_notice_handler(note)
    return next(text for text in said if text.startswith('"') or "cannot analyze" in text)


def statistics(pg, table, column):
    return pg.execute("SELECT null_frac, n_distinct, avg_width FROM pg_stats WHERE tablename = %s AND attname = %s",
                      (table, column)).fetchone()


def reltuples(pg, table):
    return pg.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", (table,)).fetchone()[0]


def rows(pg, query):
    return pg.execute("EXPLAIN (FORMAT JSON) " + query).fetchone()[0][0]["Plan"]["Plan Rows"]


@pytest.fixture
def many(mongo, fresh_namespace):
    documents = [{"_id": n, "kind": n % 3, "name": f"name {n}", **({"half": n} if n % 2 else {}),
                  "odd": "x" if n % 10 == 0 else n, "at": DAY + datetime.timedelta(minutes=n % 1000), "tags": [n % 7]}
                 for n in range(MANY)]
    mongo[fresh_namespace].many.insert_many(documents)
    return fresh_namespace


COLUMNS = "_id integer, kind integer, name text, half integer, odd integer, at timestamptz, tags integer[]"


@pytest.mark.parametrize("target, how", [(9, "sampled"), (100, "read")])
def test_statistics(pg, server, many, target, how):
    """A sample of less than a twentieth is MongoDB's; otherwise all is read, and a part kept."""
    create(pg, server, "many", COLUMNS, many, "many")
    pg.execute(f"SET default_statistics_target = {target}")
    assert rows(pg, "SELECT * FROM many WHERE kind = 1") < MANY / 100, "without statistics there is no telling"
    assert analyze(pg, "many") == f'"many": {how} {MANY} documents, {300 * target} rows in sample'
    assert reltuples(pg, "many") == MANY
    assert pg.execute("SELECT relpages > 100 FROM pg_class WHERE relname = 'many'").fetchone() == (True,)
    assert statistics(pg, "many", "_id")[1] == -1
    assert statistics(pg, "many", "kind")[1] == 3
    assert 0.4 < statistics(pg, "many", "half")[0] < 0.6
    # what does not convert counts as NULL here, and is an error in a query
    assert 0.05 < statistics(pg, "many", "odd")[0] < 0.15
    with pytest.raises(errors.InvalidCharacterValueForCast):
        pg.execute("SELECT sum(odd) FROM many")
    assert MANY / 4 < rows(pg, "SELECT * FROM many WHERE kind = 1") < MANY / 2.5
    assert MANY / 4 < rows(pg, "SELECT * FROM many WHERE half IS NULL") < MANY / 1.5
    # MongoDB's random steps may prefer a part of a collection that was just filled
    if how == "read":
        assert MANY / 5 < rows(pg, "SELECT * FROM many WHERE _id < 20000") < MANY / 2
    pg.execute("DROP FOREIGN TABLE many")


def test_no_part_of_a_collection_is_preferred(pg, server, many):
    create(pg, server, "many", COLUMNS, many, "many")
    pg.execute("SET default_statistics_target = 100")
    pg.execute("ANALYZE many")
    bounds = pg.execute("SELECT histogram_bounds::text::int[] FROM pg_stats WHERE tablename = 'many' AND attname = '_id'").fetchone()[0]
    assert len(bounds) == 101
    for i, bound in enumerate(bounds):
        assert abs(bound - i * MANY / 100) < MANY / 50, (i, bound)
    pg.execute("DROP FOREIGN TABLE many")


def test_views_filters_and_time_series(pg, server, mongo, fresh_namespace):
    database = mongo[fresh_namespace]
    database.base.insert_many([{"_id": n, "n": n % 4} for n in range(4000)])
    database.command("create", "seen", viewOn="base", pipeline=[{"$match": {"n": 1}}])
    create(pg, server, "seen", "_id integer, n integer", fresh_namespace, "seen")
    assert rows(pg, "SELECT * FROM seen") == 1000, "MongoDB does not say how large a view is"
    assert analyze(pg, "seen") == '"seen": read 1000 documents, 1000 rows in sample'
    assert statistics(pg, "seen", "n")[1] == 1
    database.base.insert_many([{"_id": -n, "n": 1} for n in range(1, 701)])
    pg.execute("ANALYZE seen")
    assert rows(pg, "SELECT * FROM seen") == 1700
    for name, option, value, left in (("filtered", "filter", '{"n": 2}', 1000),
                                      ("piped", "pipeline", '[{"$match": {"n": 1}}, {"$limit": 500}]', 500)):
        create(pg, server, name, "_id integer, n integer", fresh_namespace, "base", **{option: value})
        assert analyze(pg, name) == f'"{name}": read {left} documents, {left} rows in sample'
        assert rows(pg, f"SELECT * FROM {name}") == left
        pg.execute(f"DROP FOREIGN TABLE {name}")
    if mongo.server_info()["versionArray"] >= [5]:
        database.create_collection("series", timeseries={"timeField": "at", "metaField": "of"})
        database.series.insert_many([{"at": DAY + datetime.timedelta(seconds=n), "of": n % 5, "v": n} for n in range(3000)])
        create(pg, server, "series", "at timestamptz, of integer, v integer", fresh_namespace, "series")
        assert analyze(pg, "series") == '"series": read 3000 documents, 3000 rows in sample'
        assert rows(pg, "SELECT * FROM series") == 3000
        assert statistics(pg, "series", "of")[1] == 5
        pg.execute("DROP FOREIGN TABLE series")
    pg.execute("DROP FOREIGN TABLE seen")


def test_empty_absent_and_unreadable(pg, server, mongo, fresh_namespace, new_server, make_mongo, unused_name):
    mongo[fresh_namespace].create_collection("empty")
    for name in ("empty", "absent"):
        create(pg, server, name, "_id integer", fresh_namespace, name)
        assert analyze(pg, name) == f'"{name}": read 0 documents, 0 rows in sample'
        pg.execute(f"DROP FOREIGN TABLE {name}")
    locked = make_mongo(auth=True)
    locked.create_user("root", "secret", ["root"])
    locked.create_user("nobody", "secret", [], login={"username": "root", "password": "secret"})
    name = new_server(pg, unused_name("locked_"), locked.uri, user_mapping={"username": "nobody", "password": "secret"})
    create(pg, name, "secret", "_id integer", "shop", "orders")
    with pytest.raises(errors.InsufficientPrivilege):
        pg.execute("ANALYZE secret")
    pg.execute(f"DROP SERVER {name} CASCADE")


def test_every_type_and_dropped_columns(pg, server, mongo, fresh_namespace):
    mongo[fresh_namespace].t.insert_many([{"_id": ObjectId(), "a": n, "s": "x" * n, "d": {"k": n}, "l": [n, None]} for n in range(50)])
    create(pg, server, "t", "_id text, gone integer, a numeric, s text, d jsonb, l integer[], doc jsonb OPTIONS (field '$')",
           fresh_namespace, "t")
    pg.execute("ALTER FOREIGN TABLE t DROP COLUMN gone")
    pg.execute("ANALYZE t")
    assert statistics(pg, "t", "_id") == (0.0, -1.0, 25)
    assert statistics(pg, "t", "a")[1] == -1
    assert pg.execute("SELECT count(*) FROM pg_stats WHERE tablename = 't'").fetchone() == (6,)
    pg.execute("DROP FOREIGN TABLE t")


def test_change_feeds_have_no_statistics(pg, server, fresh_namespace):
    pg.execute(f"CREATE FOREIGN TABLE feed (operation_type text) SERVER {server} OPTIONS (relation 'changes')")
    assert 'cannot analyze this foreign table' in analyze(pg, "feed")
    pg.execute("DROP FOREIGN TABLE feed")


def test_cancel_while_mongod_stands_still(pg, connect, make_mongo, new_server, unused_name):
    mongod = make_mongo()
    with mongod.client() as client:
        client.shop.orders.insert_many([{"_id": n, "pad": "x" * 1000} for n in range(20_000)])
    name = new_server(pg, unused_name("frozen_"), mongod.uri, batch_size=100)
    create(pg, name, "frozen", "_id integer, pad text", "shop", "orders")
    pg.execute("ANALYZE frozen")            # so that the facts are known
    other = connect()
    mongod.sigstop()
    try:
        analyzing = Background(pg, "ANALYZE frozen")
        wait_backend_waits(other, pg.info.backend_pid)
        with takes_at_most(0.5, "cancelling ANALYZE"):
            pg.cancel()
            assert isinstance(analyzing.join().error, errors.QueryCanceled)
    finally:
        mongod.sigcont()
    pg.execute("ANALYZE frozen")
    pg.execute(f"DROP SERVER {name} CASCADE")
