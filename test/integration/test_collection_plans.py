"""Which plan is chosen for collections: shapes of plans, never times."""

import datetime

import pytest
from bson import ObjectId, json_util
from psycopg import errors

from judge import explain
from harness.tails import Background, takes_at_most, wait_backend_waits

MANY = 500_000


@pytest.fixture(scope="module")
def many(mongo, unused_name):
    """The name of a database with a collection of half a million documents, made by MongoDB itself."""
    name = unused_name("plans_")
    database = mongo[name]
    database.seed.insert_many([{"i": i} for i in range(MANY // 1000)])
    database.seed.aggregate([
        {"$project": {"j": {"$range": [0, 1000]}, "i": 1}}, {"$unwind": "$j"},
        {"$project": {"_id": {"$add": [{"$multiply": ["$i", 1000]}, "$j"]}, "i": 1, "j": 1,
                      "n": {"$add": [{"$multiply": ["$i", 1000]}, "$j"]},
                      "code": {"$toString": {"$add": [{"$multiply": ["$i", 1000]}, "$j"]}},
                      "plain": "$j", "sub.k": "$j", "pad": {"$literal": "x" * 100}}},
        {"$out": "many"}])
    many = database.many
    many.create_index("j")
    many.create_index("code", unique=True)
    many.create_index([("i", 1), ("n", 1)], unique=True)
    many.create_index("sub.k")
    database.small.insert_many([{"_id": i, "n": i * 50, "code": str(i * 50)} for i in range(10)])
    yield name
    mongo.drop_database(name)


@pytest.fixture(scope="module")
def planned(pg_server, database, server, many):
    """The schema of its tables, and local ones to join with; none is analyzed but the local ones."""
    with pg_server.connect(database) as connection:
        connection.execute("CREATE SCHEMA planned")
        connection.execute(f"IMPORT FOREIGN SCHEMA {many} FROM SERVER {server} INTO planned OPTIONS (flatten 'true')")
        for name, rows in (("ten", 10), ("fifty_thousand", 50_000)):
            connection.execute(f"CREATE TABLE planned.{name} AS SELECT g * 7 % {MANY} AS n, (g * 7)::text COLLATE \"C\" AS code "
                               f"FROM generate_series(1, {rows}) g")
            connection.execute(f"ANALYZE planned.{name}")
    return "planned"


@pytest.fixture
def session(pg, planned):
    pg.execute(f"SET search_path = {planned}")
    pg.execute("SET jit = off")
    return pg


def plan(connection, query):
    return connection.execute("EXPLAIN (FORMAT JSON) " + query).fetchone()[0][0]["Plan"]


def nodes(tree):
    yield tree
    for child in tree.get("Plans", []):
        yield from nodes(child)


def foreign(tree, table="many"):
    return next(n for n in nodes(tree) if n["Node Type"] == "Foreign Scan" and n.get("Relation Name") == table)


def shape(tree):
    return [n["Node Type"] for n in nodes(tree)]


def cost(connection, where):
    return foreign(plan(connection, f"SELECT * FROM many WHERE {where}"))["Total Cost"]


def test_rows_without_analyze(session):
    """The count is MongoDB's, and a unique index says that a value stands in one document."""
    for where, least, most in (("true", MANY, MANY), ("_id = 5", 1, 1), ("code = '5'", 1, 1), ("_id IN (1, 2, 3)", 3, 3),
                               ("i = 5 AND n = 5005", 1, 1), ("j = 5", 100, 10_000), ("plain = 5", 100, 10_000)):
        rows = plan(session, f"SELECT * FROM many WHERE {where}")["Plan Rows"]
        assert least <= rows <= most, (where, rows)


def test_unique_index_says_how_many_values_there_are(session):
    """Before ANALYZE, and after one whose sample cannot tell."""
    def groups(column):
        return plan(session, f"SELECT {column} FROM many WHERE length(pad) > 0 GROUP BY {column}")["Plan Rows"] / \
            plan(session, "SELECT pad FROM many WHERE length(pad) > 0")["Plan Rows"]
    session.execute("SET mongo_tail.enable_aggregate = off")
    assert groups("code") > 0.9 and groups("_id") > 0.9
    assert groups("plain") < 0.1, "which no index tells of"


def test_an_index_makes_a_condition_cheap(session):
    whole = cost(session, "true")
    unindexed = cost(session, "plain = 5")
    for where in ("_id = 5", "code = '5'", "j = 5", "i = 5", "i = 5 AND n > 7", "sub_k = 5", "_id IN (1, 2, 3)",
                  "j = 5 OR code = '7'", "j IN (5, 7) OR j IS NULL", "_id BETWEEN 5 AND 7",
                  "code LIKE '12%'", "code ^@ '12'", "j IS NOT DISTINCT FROM 5"):
        assert cost(session, where) < unindexed / 4, where
    assert cost(session, "_id = 5") < cost(session, "j = 5")
    # the second field of an index is none of its own; an arm without an index reads all
    for where in ("n = 5", "plain = 5", "j = 5 OR plain = 7", "j <> 5", "sub_k IS NOT NULL",
                  "code LIKE '%12'", "code NOT LIKE '12%'", "j IS DISTINCT FROM 5"):
        assert cost(session, where) > whole / 5, where


def test_special_indexes(session, mongo, many, server):
    kinds = mongo[many].kinds
    kinds.insert_many([{"_id": n, "part": n, "sparse": n, "hash": n, "hidden": n, "folded": str(n), "any": {"x": n}, "bare": n}
                       for n in range(20_000)])
    kinds.create_index("part", partialFilterExpression={"part": {"$gt": 10}})
    kinds.create_index("sparse", sparse=True)
    kinds.create_index([("hash", "hashed")])
    kinds.create_index("hidden", hidden=True)
    kinds.create_index("folded", collation={"locale": "fr", "strength": 1})
    kinds.create_index([("any.$**", 1)])
    session.execute(f"IMPORT FOREIGN SCHEMA {many} LIMIT TO (kinds) FROM SERVER {server} INTO planned OPTIONS (flatten 'true')")

    def price(where):
        return foreign(plan(session, f"SELECT * FROM kinds WHERE {where}"), "kinds")["Total Cost"]
    bare = price("bare = 5")
    for where in ("sparse = 5", "hash = 5", "any_x = 5"):
        assert price(where) < bare / 2, where
    for where in ("part = 5", "sparse IS NULL", "hash > 5", "hidden = 5", "folded = '5'"):
        assert price(where) > bare / 2, where
    session.execute("DROP FOREIGN TABLE kinds")


def winning_stages(mongo, database, collection, query):
    """The stages of MongoDB's own plan for the find or the $match that EXPLAIN (VERBOSE) shows."""
    text = next(line.split(": ", 1)[1] for line in query.splitlines() if "MongoDB Query" in line)
    command = json_util.loads(text, json_options=json_util.JSONOptions(unicode_decode_error_handler="replace"))
    stages = []

    def walk(node):
        stages.append(node["stage"])
        for child in [node.get("inputStage")] + node.get("inputStages", []):
            if child is not None:
                walk(child)
    walk(mongo[database].command("explain", command, verbosity="queryPlanner")["queryPlanner"]["winningPlan"])
    return stages


SERVED = [
    "i = 5", "i IN (5, 7)", "i < 5", "i IS NULL", "i IS NOT DISTINCT FROM 5", "i <> 5", "i = 5 OR i > 19990", "i = 5 OR f = 7", "i = 5 AND f = 7",
    "f < 5", "n = 5", "n BETWEEN 5 AND 7", "t = '5'", "t IN ('5', '7')", "t < '1'", "t LIKE '199%'", "t LIKE '%99'", "t ^@ '199'",
    "t LIKE '199%' OR t LIKE '%99'", "t = '5' OR t LIKE '%99'", "i = 5 OR t LIKE '%99'", "t IS NULL", "b = '5'", "v = '5'", "en = 'a'",
    "o = '65a1b2c3d4e5f60718293a4b'", "o > '65a1b2c3d4e5f60718293a4b'", "u = '65a1b2c3-d4e5-4607-8829-3a4b5c6d7e8f'", "at = '2024-02-29'",
    "at < '1970-01-02'", "day = '2024-02-29'", "doc ->> 'k' = '5'", "doc ->> 'k' IN ('5', 'x')", "doc -> 'k' = '5'", "doc @> '{\"k\": 5}'",
    "doc @> '{\"l\": [{\"m\": 5}]}'", "doc @> '{\"z\": 5}'", "(doc ->> 'k')::integer < 5", "doc['k'] = '5'", "doc -> 'l' -> 0 ->> 'm' = '5'",
    "doc ->> 'k' = '5' OR i = 7", "whole ->> 'i' = '5'", "whole @> '{\"i\": 5}'", "k = 5", "'t5' = ANY (g)", "g @> '{t5}'", "g && '{t5}'",
    "g = '{t5}'", "doc ? 'k'", "at::date = '1970-01-03'", "date_trunc('day', at) IN ('1970-01-03', '1970-01-20')", "extract(year FROM day) = 1971",
    "doc @@ '$.k == 5'", "doc @@ '$.l.m < 5'", "doc @? '$.l[*] ? (@.m == 5)'", "doc @? '$.k'", "whole @@ '$ == 5'", "whole @? '$ ? (@.i == 5)'",
]
INDEXES = [{}, {"sparse": True}, {"hidden": True}, {"collation": {"locale": "fr", "strength": 1}}, {"expireAfterSeconds": 10 ** 9},
           {"partialFilterExpression": {"i": {"$gt": 3}}}, {"kind": "hashed"}, {"kind": "wildcard"}, {"kind": "2dsphere"}, {"kind": "text"},
           {"kind": "later"}, {"kind": "descends"}, {"kind": "projected", "wildcardProjection": {"other": 1}}]


def make_indexes(collection, kind=None, **options):
    keys = {"hashed": [("@", "hashed")], "wildcard": [("@.$**", 1)], "2dsphere": [("@", 1), ("place", "2dsphere")],
            "text": [("@", 1), ("words", "text")], "later": [("other", 1), ("@", 1)], "descends": [("@", -1), ("other", 1)],
            "projected": [("$**", 1)]}
    fields = {"text": ["s"], "projected": ["s"], "hashed": ["i", "f", "s", "at", "doc.k"]}
    for field in fields.get(kind, ["i", "f", "s", "at", "doc.k", "doc.l.m", "g"]):
        collection.create_index([(name.replace("@", field), order) for name, order in keys.get(kind, [("@", 1)])], **options)


def served_document(n):
    return {"_id": n, "i": n, "f": n + 0.5, "s": str(n), "at": datetime.datetime(1970, 1, 1) + datetime.timedelta(hours=n), "other": n % 3,
            "g": [f"t{n}", "u"], "doc": {"k": n, "l": [{"m": n}]}, "pad": "x" * 200, "place": [0, 0], "words": "x"}


@pytest.mark.parametrize("options", INDEXES, ids=[" ".join([*o, o.get("kind", "")]).strip() or "plain" for o in INDEXES])
def test_what_is_priced_by_an_index_is_answered_by_it(session, mongo, many, server, unused_name, options):
    """For every kind of index: where the price says so, MongoDB's own plan uses it."""
    name = unused_name("served_")
    mongo[many][name].insert_many(served_document(n) for n in range(1000))
    table = f"""CREATE FOREIGN TABLE served (_id integer, i integer, f float8, n numeric OPTIONS (field 'i'),
        t text OPTIONS (field 's') COLLATE "C", b char(5) OPTIONS (field 's'), v varchar(30) OPTIONS (field 's'),
        en planned.letter OPTIONS (field 's'), o mongo_tail.objectid OPTIONS (field 's'), u uuid OPTIONS (field 's'), at timestamptz,
        day date OPTIONS (field 'at'), doc jsonb, k integer OPTIONS (field 'doc.k'), g text[], whole jsonb OPTIONS (field '$'))
        SERVER {server} OPTIONS (database '{many}', collection '{name}')"""

    def prices():
        session.execute(table)
        return [foreign(plan(session, f"SELECT * FROM served WHERE {where}"), "served")["Total Cost"] for where in SERVED]
    session.execute("CREATE TYPE planned.letter AS ENUM ('a', 'b')")
    try:
        bare = prices()
        session.execute("DROP FOREIGN TABLE served")
        make_indexes(mongo[many][name], **options)
        priced = [where for where, before, now in zip(SERVED, bare, prices()) if now != before]
        by_index = {}
        for where in SERVED:
            stages = winning_stages(mongo, many, name, explain(session, f"SELECT * FROM served WHERE {where}"))
            by_index[where] = "IXSCAN" in stages or "EOF" in stages
        print(f"{len(priced)} priced by an index; answered by one without being priced so:", *(w for w in SERVED if by_index[w] and w not in priced), sep="\n    ")
        assert all(by_index[where] for where in priced), [where for where in priced if not by_index[where]]
        is_usable = "hidden" not in options and "partialFilterExpression" not in options and \
            options.get("kind") not in ("2dsphere", "text", "later", "projected")
        assert len(priced) > 15 if is_usable else priced == []
    finally:
        session.execute("DROP FOREIGN TABLE IF EXISTS served")
        session.execute("DROP TYPE planned.letter")


def test_join_by_index_or_hash(session):
    """Ten rows look up ten documents; fifty thousand read the collection once."""
    for column in ("n", "code"):
        inner = "_id" if column == "n" else "code"
        few = plan(session, f"SELECT * FROM ten v JOIN many m ON m.{inner} = v.{column}")
        assert "Nested Loop" in shape(few) and "Hash Join" not in shape(few), few
        assert foreign(few)["Plan Rows"] == 1
        assert few["Plan Rows"] == 10
        lot = plan(session, f"SELECT * FROM fifty_thousand v JOIN many m ON m.{inner} = v.{column}")
        assert "Nested Loop" not in shape(lot), lot
        assert lot["Plan Rows"] == 50_000
    assert session.execute("SELECT count(*) FROM ten v JOIN many m ON m.code = v.code").fetchone() == (10,)
    # without an index even ten rows are not worth ten readings of the collection
    assert "Nested Loop" not in shape(plan(session, "SELECT * FROM ten v JOIN many m ON m.plain = v.n"))


def test_join_of_two_collections(session):
    """Ten documents look up ten, MongoDB's own or each by a find; half a million are read once."""
    query = "SELECT * FROM small s JOIN many m ON m._id = s.n"
    assert shape(plan(session, query)) == ["Foreign Scan"]
    assert "Hash Join" in shape(plan(session, "SELECT * FROM many a JOIN many b ON b._id = a.n"))
    session.execute("SET mongo_tail.enable_join = off")
    assert "Nested Loop" in shape(plan(session, query))


def test_uniqueness_is_only_an_estimate(session, mongo, many, server):
    """A unique index of MongoDB's may hold values that are one here; no join may stop at the first."""
    both = mongo[many].both
    both.create_index("u", unique=True)
    both.insert_many([{"_id": 1, "u": "65a1b2c3d4e5f60718293a4b"}, {"_id": 2, "u": ObjectId("65a1b2c3d4e5f60718293a4b")}])
    session.execute(f"""CREATE FOREIGN TABLE both_sides (_id integer, u text) SERVER {server}
        OPTIONS (database '{many}', collection 'both')""")
    for method in ("hashjoin", "mergejoin", "nestloop"):
        for other in ("hashjoin", "mergejoin", "nestloop"):
            session.execute(f"SET enable_{other} = {'on' if other == method else 'off'}")
        assert session.execute("SELECT count(*) FROM both_sides a JOIN both_sides b ON a.u = b.u").fetchone() == (4,), method
    session.execute("RESET ALL")
    session.execute("DROP FOREIGN TABLE planned.both_sides")


def test_cost_options(session, server):
    cheap = cost(session, "_id = 5")
    session.execute(f"ALTER SERVER {server} OPTIONS (ADD fdw_startup_cost '5000', ADD fdw_tuple_cost '7')")
    try:
        assert 4900 < cost(session, "_id = 5") - cheap < 5100
        assert cost(session, "true") > 7 * MANY
        few = plan(session, "SELECT * FROM ten v JOIN many m ON m._id = v.n")
        assert "Nested Loop" in shape(few)
    finally:
        session.execute(f"ALTER SERVER {server} OPTIONS (DROP fdw_startup_cost, DROP fdw_tuple_cost)")


def test_width_of_whole_documents(session, mongo, many, server):
    mongo[many].fat.insert_many([{"_id": n, "pad": "x" * 20_000} for n in range(20)])
    session.execute(f"""CREATE FOREIGN TABLE fat (_id integer, d jsonb OPTIONS (field '$')) SERVER {server}
        OPTIONS (database '{many}', collection 'fat')""")
    assert 20_000 < plan(session, "SELECT * FROM fat")["Plan Width"] < 21_000
    assert plan(session, "SELECT _id FROM fat")["Plan Width"] == 4
    session.execute("DROP FOREIGN TABLE fat")


def test_planning_without_a_server(pg, new_server, unused_name):
    """A plan is made without MongoDB; only running it fails."""
    name = new_server(pg, unused_name("nowhere_"), "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200")
    pg.execute(f"CREATE FOREIGN TABLE absent (_id integer) SERVER {name} OPTIONS (database 'd')")
    assert plan(pg, "SELECT * FROM absent WHERE _id = 5")["Node Type"] == "Foreign Scan"
    with pytest.raises(errors.SqlclientUnableToEstablishSqlconnection):
        pg.execute("SELECT * FROM absent")
    pg.execute(f"DROP SERVER {name} CASCADE")


def test_cancel_planning_while_mongod_stands_still(pg, connect, make_mongo, new_server, unused_name):
    mongod = make_mongo()
    name = new_server(pg, unused_name("frozen_"), mongod.uri)
    pg.execute(f"CREATE FOREIGN TABLE frozen (_id integer) SERVER {name} OPTIONS (database 'd')")
    other = connect()
    mongod.sigstop()
    try:
        planning = Background(pg, "EXPLAIN SELECT * FROM frozen WHERE _id = 5")
        wait_backend_waits(other, pg.info.backend_pid)
        with takes_at_most(0.5, "cancelling a plan"):
            pg.cancel()
            assert isinstance(planning.join().error, errors.QueryCanceled)
    finally:
        mongod.sigcont()
    assert plan(pg, "SELECT * FROM frozen WHERE _id = 5")["Node Type"] == "Foreign Scan"
    pg.execute(f"DROP SERVER {name} CASCADE")
