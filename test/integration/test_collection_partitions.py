"""Partitioned tables, and inheritance, whose parts are collections: each part's work is MongoDB's, and the rows PostgreSQL's."""

import pytest
from bson import Decimal128, Int64

from judge import explain, rows_or_error, utc
from palettes import comparable

YEARS = [2021, 2022, 2023]


def documents(rng, year, odd):
    """Plain ones, and in an odd collection some that no $group can vouch for."""
    for n in range(300):
        document = {"_id": year * 1000 + n, "year": year, "n": rng.randrange(50), "city": rng.choice(["Bonn", "Rome", "Oslo", None]),
                    "x": rng.random(), "at": utc(f"{year}-0{rng.randrange(1, 10)}-11"), "pad": "x" * 200}
        if odd and n % 50 == 0:
            document["n"] = rng.choice(["five", 5.0, Int64(5), Decimal128("7"), [5], 5.5, None])
        yield document


@pytest.fixture(scope="module")
def parts(pg_server, database, server, mongo, unused_name):
    """Tables sales and returns, partitioned by year; the second part's columns are in another order, and the third is odd."""
    import random
    rng, name = random.Random(5), unused_name("parts_")
    for table in ("sales", "returns"):
        for year in YEARS:
            collection = mongo[name][f"{table}_{year}"]
            collection.insert_many(documents(rng, year, year == 2023))
            for index in ("n", "city", [("at", 1), ("_id", 1)], [("city", 1), ("_id", -1)]):
                collection.create_index(index)
    with pg_server.connect(database) as connection:
        connection.execute("CREATE SCHEMA parts; SET search_path = parts")
        for table in ("sales", "returns"):
            connection.execute(f"""CREATE TABLE {table} (_id integer, year integer NOT NULL, gone text, n integer, city text COLLATE "C",
                x float8, at timestamptz) PARTITION BY LIST (year)""")
            options = f"SERVER {server} OPTIONS (database '{name}', on_mismatch 'null')"
            for year in (2021, 2023):
                connection.execute(f"CREATE FOREIGN TABLE {table}_{year} PARTITION OF {table} FOR VALUES IN ({year}) {options}")
            connection.execute(f"ALTER TABLE {table} DROP COLUMN gone")
            connection.execute(f"""CREATE FOREIGN TABLE {table}_2022 (lost text, at timestamptz, city text COLLATE "C", year integer NOT NULL,
                x float8, _id integer, n integer) {options}""")
            connection.execute(f"ALTER TABLE {table}_2022 DROP COLUMN lost")
            connection.execute(f"ALTER TABLE {table} ATTACH PARTITION {table}_2022 FOR VALUES IN (2022)")
    yield name
    mongo.drop_database(name)


@pytest.fixture
def session(pg, parts):
    pg.execute("SET search_path = parts")
    for setting in ("enable_partitionwise_aggregate", "enable_partitionwise_join"):
        pg.execute(f"SET {setting} = on")
    pg.execute("SET TimeZone = 'UTC'")
    return pg


COPIES = "WITH " + ", ".join(f"c_{t} AS MATERIALIZED (SELECT * FROM {t})" for t in ("sales", "returns"))


def same(connection, query, ordered=False):
    """The plan, when the rows are those of the same query over materialized copies."""
    local = COPIES + " " + query.replace("FROM sales", "FROM c_sales sales").replace("JOIN returns", "JOIN c_returns returns")
    wanted, given = connection.execute(local).fetchall(), connection.execute(query).fetchall()
    if not ordered:
        wanted, given = comparable(wanted), comparable(given)
    assert given == wanted, query
    return explain(connection, query)


def test_aggregates_by_part(session):
    """A key that holds the partition's is one $group for each part, HAVING and all."""
    for query in ("SELECT year, count(*) FROM sales GROUP BY year",
                  "SELECT n, year, count(*), sum(_id), max(at) FROM sales GROUP BY year, n HAVING count(*) > 5 AND n > 3 AND min(at) < '2023-07-01'",
                  "SELECT city, year, min(x), max(city), count(n), avg(n) FROM sales WHERE at > '2021-04-01' GROUP BY city, year",
                  "SELECT year + 1, count(*) * 2, sum(n) + max(_id) FROM sales GROUP BY year",
                  "SELECT count(DISTINCT n), year FROM sales GROUP BY year ORDER BY year",
                  "SELECT year, n FROM sales WHERE year IN (2021, 2022) GROUP BY year, n"):
        plan = same(session, query)
        assert plan.count('"aggregate" :') == (2 if "2022)" in query else 3), plan
        # but for what stands by under each
        assert plan.count("Aggregate\n") <= plan.count('"aggregate" :') and "Partial" not in plan, plan


def test_odd_part_is_answered_locally(session):
    plan = explain(session, "SELECT year, sum(n) FROM sales GROUP BY year", options="ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF")
    assert plan.count("Answered Locally") == 1 and plan.count('"$group"') == 3, plan
    assert plan.index("sales_2023") < plan.index("Answered Locally"), plan
    same(session, "SELECT year, sum(n), count(n), min(n) FROM sales GROUP BY year")


def test_parts_in_several_processes(session):
    """A $group may run in a worker, and so may what stands by when it is odd."""
    for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
        session.execute(f"SET {setting} = 0")
    query = "SELECT year, sum(n), count(n), max(at), count(*) FROM sales GROUP BY year"
    assert "Parallel Append" in same(session, query)
    session.execute("SET parallel_leader_participation = off")
    same(session, query)


def test_aggregates_across_parts(session):
    """Without the partition's key what the parts give would have to be put together: documents are read."""
    for query in ("SELECT n, count(*), sum(_id) FROM sales GROUP BY n", "SELECT count(*), max(at), avg(n), bool_or(n > 5) FROM sales",
                  "SELECT DISTINCT city FROM sales", "SELECT count(DISTINCT city) FROM sales"):
        plan = same(session, query)
        assert '"$group"' not in plan, plan
    session.execute("SET enable_partitionwise_aggregate = off")
    assert '"$group"' not in same(session, "SELECT year, count(*) FROM sales GROUP BY year")


def test_one_part_is_left(session):
    """Pruned to one part the query is one find, in order if there is an index; aggregates are not, without GROUP BY of the key."""
    for setting in ("on", "off"):
        session.execute(f"SET enable_partitionwise_aggregate = {setting}")
        plan = same(session, "SELECT count(*), sum(_id) FROM sales WHERE year = 2022 AND n > 5")
        assert plan.count("MongoDB Collection") <= 2 and "sales_2021" not in plan, plan
        plan = same(session, "SELECT n, city FROM sales WHERE year = 2022 AND n = 7")
        assert plan.count("MongoDB Collection") == 1, plan
    assert "Append" not in explain(session, "SELECT n, city FROM sales WHERE year = 2022 ORDER BY n, _id LIMIT 3")
    same(session, "SELECT n, city, _id FROM sales WHERE year = 2022 ORDER BY n, _id LIMIT 3", ordered=True)


def test_pruned_when_run(session):
    session.execute("SET plan_cache_mode = force_generic_plan")
    session.execute("PREPARE q(int) AS SELECT count(*) FROM sales WHERE year = $1 AND n > 5")
    assert session.execute("EXECUTE q(2022)").fetchone() == session.execute("SELECT count(*) FROM sales_2022 WHERE n > 5").fetchone()
    plan = explain(session, "EXECUTE q(2022)", options="ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF")
    assert "Subplans Removed: 2" in plan, plan
    assert session.execute("EXECUTE q(1999)").fetchone() == (0,)


def test_order_across_parts(session):
    """Each part comes in order from an index, and a LIMIT reads the first of each."""
    for order in ("n", "n DESC", "at, _id", "city", "city COLLATE \"C\" DESC, _id", "x", "n NULLS FIRST"):
        query = f"SELECT {order.split()[0].strip(',')} FROM sales ORDER BY {order}"
        same(session, query, ordered=True)
        plan = same(session, query + " LIMIT 10 OFFSET 3", ordered=True)
        if not order.startswith("x") and "NULLS" not in order:
            assert "Merge Append" in plan and plan.count('"sort"') >= 3 and "->  Sort" not in plan, plan
    plan = explain(session, "SELECT n, _id FROM sales WHERE n >= 0 ORDER BY n LIMIT 5",
                   options="ANALYZE, VERBOSE, COSTS OFF, TIMING OFF, SUMMARY OFF")
    assert all(int(line.split(":")[1]) < 150 for line in plan.splitlines() if "MongoDB Documents" in line), plan


def test_joins_by_part(session):
    for query in ("SELECT sales._id, returns._id FROM sales JOIN returns ON sales.year = returns.year AND sales._id = returns._id",
                  "SELECT sales.year, count(*), max(returns.n) FROM sales JOIN returns ON sales.year = returns.year AND sales._id = returns._id "
                  "WHERE returns.n > 20 GROUP BY sales.year",
                  "SELECT sales._id, returns.city FROM sales JOIN returns ON sales._id = returns._id WHERE sales.n = 7",
                  "SELECT sales._id, returns._id FROM sales LEFT JOIN returns ON sales.year = returns.year AND sales._id = returns.n"):
        same(session, query)


def test_whole_rows(session):
    """A row of a part whose columns stand in another order is one of the table."""
    same(session, "SELECT sales::text FROM sales WHERE n = 7")
    same(session, "SELECT (sales).city, sales.* FROM sales WHERE n < 5")
    for setting in ("on", "off"):
        session.execute(f"SET enable_partitionwise_aggregate = {setting}")
        assert session.execute("SELECT tableoid::regclass::text, count(*) FROM sales GROUP BY 1, year ORDER BY 1").fetchall() == \
            [(f"sales_{year}", 300) for year in YEARS]


def test_inheritance(session, server, parts):
    session.execute("CREATE TABLE old (_id integer, n integer, city text COLLATE \"C\")")
    session.execute("INSERT INTO old SELECT g, g % 50, 'Ulm' FROM generate_series(1, 100) g")
    options = f"SERVER {server} OPTIONS (database '{parts}', on_mismatch 'null', collection"
    session.execute(f"CREATE FOREIGN TABLE new_2021 () INHERITS (old) {options} 'sales_2021')")
    session.execute(f"CREATE FOREIGN TABLE new_2022 (more float8 OPTIONS (field 'x')) INHERITS (old) {options} 'sales_2022')")
    session.execute(f"CREATE FOREIGN TABLE newer () INHERITS (new_2022) {options} 'sales_2023')")
    try:
        for table in ("old", "new_2022"):
            for query in ("SELECT n, count(*), sum(_id) FROM @ GROUP BY n", "SELECT count(*), max(_id) FROM @", "SELECT n, _id FROM @ WHERE n = 7",
                          "SELECT DISTINCT city FROM @", "SELECT n, _id FROM @ ORDER BY n, _id LIMIT 20", "SELECT n FROM @ WHERE n > 5 ORDER BY n OFFSET 3"):
                local = f"WITH y AS MATERIALIZED (SELECT * FROM {table}) " + query.replace("@", "y")
                assert comparable(rows_or_error(session, query.replace("@", table), [])) == comparable(rows_or_error(session, local, [])), query
        assert session.execute("SELECT count(*) FROM new_2022").fetchone() == (600,)
        assert session.execute("SELECT count(*) FROM ONLY new_2022").fetchone() == (300,)
        assert '"$group"' in explain(session, "SELECT n, count(*) FROM ONLY new_2022 GROUP BY n")
    finally:
        session.execute("DROP TABLE old CASCADE")
