"""Several processes that read one collection: every document comes, and comes once."""

import datetime
import threading

import bson
import pytest
from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from psycopg import errors
from pymongo.collation import Collation

from harness import mongod_version, wait_until
from harness.tails import Background, takes_at_most, wait_backend_waits

EAGER = """SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
    SET max_parallel_workers_per_gather = 3; SET cpu_operator_cost = 10; SET mongo_tail.enable_aggregate = off"""
ALL = "WHERE length(pad) > 0"         # which is dear to check, as the settings have it
COLUMNS = "doc bytea OPTIONS (field '$'), k integer, pad text"


def awkward_ids(rng, n):
    """About n values of every type that an _id may have, unequal to each other."""
    def text():
        return "".join(rng.choice("abcXYZ\u00e9\u4e00\U0001d11e ~") for _ in range(rng.randrange(12)))
    makers = [
        lambda: rng.randrange(-1000, 1000), lambda: Int64(rng.randrange(-2 ** 62, 2 ** 62)),
        lambda: rng.uniform(-1000, 1000), lambda: Decimal128(str(rng.uniform(-1000, 1000))), text,
        lambda: ObjectId(rng.randbytes(12)), lambda: Binary(rng.randbytes(rng.randrange(20)), rng.choice([0, 3, 4, 5, 128])
                                                            if rng.random() < .2 else 0),
        lambda: datetime.datetime.fromtimestamp(rng.randrange(0, 10 ** 9), datetime.timezone.utc),
        lambda: {"a": rng.randrange(100), "b": text()}, lambda: {text().replace("$", ""): None},
        lambda: Timestamp(rng.randrange(1000), rng.randrange(1, 1000)), lambda: rng.random() < .5,
        lambda: rng.choice([None, float("nan"), float("inf"), float("-inf"), 0, MinKey(), MaxKey(), "", {}, 2 ** 31,
                            Decimal128("1E+6000"), Decimal128("-1E+6000")]),
    ]
    return [rng.choice(makers)() for _ in range(n)]


def fill(collection, ids):
    """Insert them, but for those that equal one before."""
    for n in range(0, len(ids), 1000):
        try:
            collection.insert_many([{"_id": v, "k": n + i, "pad": "x" * 50} for i, v in enumerate(ids[n:n + 1000])],
                                   ordered=False)
        except Exception as e:
            if "E11000" not in str(e):
                raise


def create_table(pg, server, namespace, name="t", options=""):
    pg.execute(f"""CREATE FOREIGN TABLE {name} ({COLUMNS}) SERVER {server}
                   OPTIONS (database '{namespace}', collection '{name}'{options})""")


def plan(pg, query, options="COSTS OFF"):
    return "\n".join(r[0] for r in pg.execute(f"EXPLAIN ({options}) {query}"))


def documents(pg, where=ALL, name="t"):
    return sorted(r[0] for r in pg.execute(f"SELECT doc FROM {name} {where}"))


def both_ways(pg, where=ALL, name="t"):
    """What one process reads, after it was compared with what several do."""
    pg.execute("SET mongo_tail.enable_parallel = off")
    assert "Parallel Foreign Scan" not in plan(pg, f"SELECT doc FROM {name} {where}")
    alone = documents(pg, where, name)
    pg.execute("SET mongo_tail.enable_parallel = on")
    assert "Parallel Foreign Scan" in plan(pg, f"SELECT doc FROM {name} {where}")
    assert documents(pg, where, name) == alone
    return alone


@pytest.fixture(autouse=True)
def own_tables(pg, connect):
    """The test's tables go with it."""
    yield
    with connect() as session:
        session.execute("DROP FOREIGN TABLE IF EXISTS t, collated, view CASCADE")


@pytest.fixture
def eager(pg, server):
    """A session that takes several processes whenever it can."""
    pg.execute(EAGER)
    return pg


@pytest.fixture
def numbers(eager, server, mongo, fresh_namespace):
    """20,000 documents {_id: n, k: n, pad} as the table t."""
    collection = mongo[fresh_namespace].t
    fill(collection, list(range(20000)))
    collection.update_many({}, [{"$set": {"k": "$_id"}}])
    create_table(eager, server, fresh_namespace)
    return collection


def test_every_type_of_id(eager, server, mongo, fresh_namespace, rng):
    collection = mongo[fresh_namespace].t
    fill(collection, awkward_ids(rng, 6000))
    create_table(eager, server, fresh_namespace)
    n = collection.count_documents({})
    assert n > 4000
    assert len(both_ways(eager)) == n
    both_ways(eager, ALL + " AND k IS NOT NULL AND k % 2 = 0")
    for _ in range(10):                     # other dividers each time
        eager.execute("SELECT mongo_tail.disconnect()")
        assert len(set(documents(eager))) == n == len(documents(eager))


@pytest.mark.parametrize("n", [0, 1, 2, 5, 40])
def test_few_documents(eager, server, mongo, fresh_namespace, rng, n):
    """Fewer documents than ranges; and the greatest of all at a place where a range would begin."""
    mongo[fresh_namespace].create_collection("t")
    if n:
        fill(mongo[fresh_namespace].t, [*range(n - 1), MaxKey()])
    create_table(eager, server, fresh_namespace)
    assert len(documents(eager)) == n


def test_work_is_shared(numbers, eager):
    text = plan(eager, "SELECT count(pad) FROM t", "ANALYZE, VERBOSE, TIMING OFF")
    assert "Parallel Foreign Scan" in text and "Workers Launched: 3" in text, text
    assert "MongoDB Documents: 20000\n" in text, text
    workers = [line for line in text.splitlines() if "Worker " in line and "rows=" in line]
    assert len(workers) >= 3, text


def test_documents_come_and_go(numbers, eager):
    """What is there all the time is read once, whatever is inserted and deleted meanwhile."""
    stop = threading.Event()

    def churn():
        n = 0
        while not stop.is_set():
            n += 1
            numbers.insert_one({"_id": n % 20000 + 0.5, "k": -1})
            numbers.update_one({"_id": n * 7 % 20000}, {"$set": {"pad": "y" * (n % 3000)}})
            numbers.delete_one({"_id": n % 20000 + 0.5})
    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(10):
            assert eager.execute("SELECT count(*), count(DISTINCT k) FROM t WHERE k >= 0").fetchone() == (20000, 20000)
    finally:
        stop.set()
        thread.join()


def test_one_after_another(numbers, eager):
    """A pass that is made again, and one that ends early."""
    eager.execute("SET statement_timeout = '30s'")
    eager.execute("SET enable_material = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
    query = """SELECT v.n, x.c FROM (VALUES (1), (2), (3)) v(n) LEFT JOIN
               (SELECT count(pad) c FROM t) x ON x.c > v.n"""
    assert "Parallel Foreign Scan" in plan(eager, query)
    assert eager.execute(query).fetchall() == [(n, 20000) for n in (1, 2, 3)]
    for _ in range(3):
        assert len(eager.execute("SELECT k FROM t WHERE length(pad) > 1 LIMIT 10").fetchall()) == 10
    eager.execute("RESET enable_hashjoin; SET enable_nestloop = off")
    query = "SELECT count(*) FROM t a JOIN t b ON a.k = b.k + 1"
    assert eager.execute(query).fetchone() == (19999,)


def test_what_one_process_reads(eager, server, mongo, fresh_namespace, rng):
    """Collections with a collation, views, tables with a pipeline, consistent reads."""
    database = mongo[fresh_namespace]
    database.create_collection("collated", collation=Collation("de", strength=2))
    fill(database.collated, [str(n) + c for n in range(2000) for c in "aB"] + list(range(1000)))
    database.create_collection("view", viewOn="collated", pipeline=[])
    create_table(eager, server, fresh_namespace, "collated")
    create_table(eager, server, fresh_namespace, "view")
    for name in ("collated", "view"):
        assert "Parallel Foreign Scan" not in plan(eager, f"SELECT doc FROM {name} {ALL}")
        assert len(documents(eager, name=name)) == 5000
    fill(database.t, list(range(5000)))
    create_table(eager, server, fresh_namespace)
    eager.execute("PREPARE q AS SELECT count(pad) FROM t")
    assert "Parallel Foreign Scan" in plan(eager, "EXECUTE q")
    eager.execute("SET mongo_tail.read_consistency = statement")
    assert "Parallel" not in plan(eager, "EXECUTE q")
    if mongod_version() >= (5,):
        assert eager.execute("EXECUTE q").fetchone() == (5000,)
    eager.execute("SET mongo_tail.read_consistency = cursor")
    assert "Parallel Foreign Scan" in plan(eager, "EXECUTE q")
    eager.execute("""ALTER FOREIGN TABLE t OPTIONS (ADD pipeline '[{"$limit": 7}]')""")
    assert "Parallel Foreign Scan" not in plan(eager, "SELECT count(pad) FROM t")
    assert eager.execute("SELECT count(pad) FROM t").fetchone() == (7,)
    eager.execute("ALTER FOREIGN TABLE t OPTIONS (DROP pipeline, ADD enable_parallel 'off')")
    assert "Parallel" not in plan(eager, "SELECT count(pad) FROM t")


def test_costs(pg, server, mongo, fresh_namespace):
    """Several processes read when that pays: when rows are dear here."""
    collection = mongo[fresh_namespace].t
    collection.insert_many({"_id": n, "k": n, "pad": "x" * 300} for n in range(60000))
    create_table(pg, server, fresh_namespace)
    pg.execute("""CREATE FUNCTION dear(text) RETURNS boolean LANGUAGE plpgsql COST 10000 PARALLEL SAFE
                  AS $$ BEGIN RETURN length($1) > 1; END $$""")
    assert "Parallel" not in plan(pg, "SELECT * FROM t")
    assert "Parallel Foreign Scan" in plan(pg, "SELECT count(*) FROM t WHERE dear(pad)")
    assert pg.execute("SELECT count(*) FROM t WHERE dear(pad)").fetchone() == (60000,)
    pg.execute("DROP FUNCTION dear")


def test_errors_of_workers(numbers, eager, mongo):
    """Whichever process meets it, an error is an error, and no cursor is left."""
    before = mongo.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"]
    numbers.update_one({"_id": 17777}, {"$set": {"k": "no number"}})
    for _ in range(5):
        with pytest.raises(errors.InvalidCharacterValueForCast) as caught:
            eager.execute("SELECT sum(k), count(pad) FROM t")
        assert "with _id 17777" in caught.value.diag.message_detail
    numbers.update_one({"_id": 17777}, {"$set": {"k": 17777}})
    assert eager.execute("SELECT sum(k), count(pad) FROM t").fetchone() == (20000 * 19999 // 2, 20000)
    wait_until(lambda: mongo.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"] <= before,
               what="no cursor is left")


def test_frozen(pg, connect, make_mongo, new_server):
    """A cancel acts in all processes while MongoDB hangs."""
    mongo = make_mongo()
    with mongo.client() as client:
        fill(client.shop.t, list(range(30000)))
    new_server(pg, "frozen", mongo.uri)
    create_table(pg, "frozen", "shop")
    session = connect()
    session.execute(EAGER)
    assert session.execute("SELECT count(pad) FROM t").fetchone() == (30000,)
    try:
        call = Background(session, "SELECT count(pad), (SELECT pg_sleep(0)) FROM t x WHERE length(pad) > 1 OR pg_sleep(0.0001) IS NULL")
        mongo.sigstop()
        if call.running:
            wait_backend_waits(pg, call.pid)
            with takes_at_most(0.6, "cancel"):
                pg.execute("SELECT pg_cancel_backend(%s)", (call.pid,))
                call.join()
            assert call.error.sqlstate == "57014"
        wait_until(lambda: not pg.execute("SELECT FROM pg_stat_activity WHERE backend_type = 'parallel worker'").fetchone(),
                   timeout=5, what="the workers' end")
    finally:
        mongo.sigcont()
    assert session.execute("SELECT count(pad) FROM t").fetchone() == (30000,)
    session.close()
    pg.execute("DROP SERVER frozen CASCADE")
