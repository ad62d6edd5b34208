"""IMPORT FOREIGN SCHEMA: a database of MongoDB as foreign tables."""

import datetime
import uuid

import bson
import psycopg
import pytest
from bson import Binary, Code, Decimal128, Int64, ObjectId, Regex, Timestamp
from psycopg import errors, sql

from harness import mongod_version
from harness.tails import Background, takes_at_most, wait_backend_waits

UTC = datetime.timezone.utc
DAY = datetime.datetime(2024, 2, 29, tzinfo=UTC)


@pytest.fixture
def schema(pg, unused_name):
    """A schema to import into."""
    name = unused_name("imported_")
    pg.execute(f"CREATE SCHEMA {name}")
    pg.execute("SET TimeZone = 'UTC'")
    yield name
    pg.execute(f"DROP SCHEMA {name} CASCADE")


def import_schema(pg, server, database, schema, limit="", **options):
    text = ", ".join(f"{name} '{value}'" for name, value in options.items())
    pg.execute(f'IMPORT FOREIGN SCHEMA "{database}" {limit} FROM SERVER {server} INTO {schema}'
               + (f" OPTIONS ({text})" if text else ""))


def columns(pg, schema, table):
    """{column: its type}, in order."""
    return dict(pg.execute("""SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = to_regclass(%s) AND attnum > 0 ORDER BY attnum""", (f'{schema}."{table}"',)).fetchall())


def fields(pg, schema, table):
    """{column: its option field}"""
    return dict(pg.execute("""SELECT attname, substr(attfdwoptions[1], 7) FROM pg_attribute
        WHERE attrelid = to_regclass(%s) AND attnum > 0 AND attfdwoptions IS NOT NULL ORDER BY attnum""",
                           (f'{schema}."{table}"',)).fetchall())


def tables(pg, schema):
    return [row[0] for row in pg.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'f' ORDER BY relname COLLATE \"C\"",
        (schema,))]


def comment(pg, schema, table, column):
    return pg.execute("""SELECT col_description(attrelid, attnum) FROM pg_attribute
        WHERE attrelid = to_regclass(%s) AND attname = %s""", (f'{schema}."{table}"', column)).fetchone()[0]


# field's values -> the column's type
MIXES = {
    "int": ([1, 2], "integer"),
    "long": ([1, Int64(2)], "bigint"),
    "double": ([0.5, 1.5], "double precision"),
    "int_double": ([1, 0.5], "double precision"),
    "small_long_double": ([Int64(5), 0.5], "double precision"),
    "large_long_double": ([Int64(2 ** 53 + 1), 0.5], "numeric"),
    "decimal": ([Decimal128("1.10")], "numeric"),
    "int_decimal": ([1, Decimal128("1.10")], "numeric"),
    "double_decimal": ([0.5, Decimal128("1.10")], "numeric"),
    "string": (["a", None], "text"),
    "object_id": ([ObjectId()], "mongo_tail.objectid"),
    "object_ids": ([[ObjectId()], [None]], "mongo_tail.objectid[]"),
    "string_object_id": (["a", ObjectId()], "text"),
    "nul": (["a\0b"], "jsonb"),
    "bool": ([True, False], "boolean"),
    "date": ([DAY], "timestamp with time zone"),
    "uuid": ([Binary.from_uuid(uuid.UUID(int=5))], "uuid"),
    "old_uuid": ([Binary(b"x" * 16, 3)], "bytea"),
    "binary": ([b"abc"], "bytea"),
    "binary_uuid": ([b"abc", Binary.from_uuid(uuid.UUID(int=5))], "bytea"),
    "document": ([{"a": 1}], "jsonb"),
    "int_string": ([1, "a"], "jsonb"),
    "bool_int": ([True, 1], "jsonb"),
    "date_string": ([DAY, "2024"], "jsonb"),
    "ints": ([[1, 2], [], [None]], "integer[]"),
    "longs": ([[1], [Int64(2)]], "bigint[]"),
    "strings": ([["a"], ["b", None]], "text[]"),
    "dates": ([[DAY]], "timestamp with time zone[]"),
    "doubles": ([[1, 0.5]], "double precision[]"),
    "mixed_array": ([[1, "a"]], "jsonb"),
    "documents": ([[{"a": 1}]], "jsonb"),
    "nested": ([[[1]]], "jsonb"),
    "int_ints": ([1, [1]], "jsonb"),
    "empty_array": ([[]], "jsonb"),
    "nulls": ([None], "jsonb"),
    "regex": ([Regex("a")], "jsonb"),
    "timestamp": ([Timestamp(5, 1)], "mongo_tail.cluster_time"),
    "code": ([Code("x")], "jsonb"),
    "min_key": ([bson.MinKey()], "jsonb"),
}


def test_types_of_a_sample(pg, server, mongo, fresh_namespace, schema):
    rows = max(len(values) for values, _ in MIXES.values())
    mongo[fresh_namespace].mixes.insert_many(
        [{"_id": n, **{name: values[n] for name, (values, _) in MIXES.items() if n < len(values)}} for n in range(rows)])
    import_schema(pg, server, fresh_namespace, schema)
    assert columns(pg, schema, "mixes") == {"_id": "integer", **{name: kind for name, (_, kind) in MIXES.items()}}
    assert fields(pg, schema, "mixes") == {}
    # all of it converts
    assert len(pg.execute(f"SELECT * FROM {schema}.mixes").fetchall()) == rows
    assert comment(pg, schema, "mixes", "int_string") == "of 3 documents sampled: int 1, string 1, missing 1"
    assert comment(pg, schema, "mixes", "strings") == "of 3 documents sampled: array 2 (of string 2, null 1), missing 1"


def test_rows_are_those_of_pymongo(pg, server, mongo, fresh_namespace, schema):
    documents = [{"_id": ObjectId(), "name": f"n{n}", "n": n, "price": n / 4, "at": DAY + datetime.timedelta(hours=n),
                  "tags": [str(n), "x"], "address": {"city": "c", "zip": [n]}, "on": n % 2 == 0} for n in range(50)]
    mongo[fresh_namespace].items.insert_many(documents)
    import_schema(pg, server, fresh_namespace, schema)
    found = pg.execute(f"SELECT * FROM {schema}.items ORDER BY n").fetchall()
    assert found == [(str(d["_id"]), d["name"], d["n"], d["price"], d["at"], d["tags"], d["address"], d["on"])
                     for d in documents]


def test_validator(pg, server, mongo, fresh_namespace, schema):
    properties = {
        "title": {"bsonType": "string"}, "year": {"bsonType": "int", "minimum": 1900},
        "size": {"bsonType": ["long", "null"]}, "any_number": {"bsonType": "number"}, "on": {"type": "boolean"},
        "kind": {"enum": ["a", "b", None]}, "many": {"bsonType": "array", "items": {"bsonType": "date"}},
        "either": {"anyOf": [{"bsonType": "int"}, {"bsonType": "string"}]}, "described": {"description": "no type"},
        "address": {"bsonType": "object", "properties": {"city": {"bsonType": "string"}, "zip": {"bsonType": "int"}}},
    }
    expected = {"_id": "jsonb", "title": "text", "year": "integer", "size": "bigint", "any_number": "numeric",
                "on": "boolean", "kind": "text", "many": "timestamp with time zone[]", "either": "jsonb",
                "described": "jsonb", "address": "jsonb"}
    database = mongo[fresh_namespace]
    validator = {"$and": [{"$jsonSchema": {"bsonType": "object", "properties": properties}}, {"year": {"$gt": 0}}]}
    database.create_collection("books", validator=validator)
    import_schema(pg, server, fresh_namespace, schema)
    assert columns(pg, schema, "books") == expected
    assert comment(pg, schema, "books", "size") == "long or null by the validator"
    # what was there before the validator counts, too
    database.command("collMod", "books", validationLevel="off")
    database.books.insert_one({"_id": 1, "title": 5, "year": 1999, "extra": DAY})
    pg.execute(f"DROP FOREIGN TABLE {schema}.books")
    import_schema(pg, server, fresh_namespace, schema)
    assert columns(pg, schema, "books") == {**expected, "_id": "integer", "title": "jsonb",
                                            "extra": "timestamp with time zone"}
    assert comment(pg, schema, "books", "title") == "string by the validator; of 1 documents sampled: int 1"
    pg.execute(f"DROP FOREIGN TABLE {schema}.books")
    import_schema(pg, server, fresh_namespace, schema, sample_size=0, flatten="true")
    assert columns(pg, schema, "books") == {**{c: t for c, t in expected.items() if c != "address"},
                                            "address_city": "text", "address_zip": "integer"}
    assert fields(pg, schema, "books") == {"address_city": "address.city", "address_zip": "address.zip"}


def test_kinds_of_collections(pg, server, mongo, fresh_namespace, schema):
    database = mongo[fresh_namespace]
    database.base.insert_many([{"_id": n, "n": n} for n in range(20)])
    database.create_collection("capped", capped=True, size=65536)
    database.capped.insert_one({"_id": 1, "line": "x"})
    database.command("create", "seen", viewOn="base", pipeline=[{"$match": {"n": {"$lt": 5}}},
                                                                {"$project": {"_id": 0, "twice": {"$add": ["$n", "$n"]}}}])
    database.create_collection("nothing")
    expected = ["base", "capped", "nothing", "seen"]
    series = mongo.server_info()["versionArray"] >= [5]
    if series:
        database.create_collection("series", timeseries={"timeField": "at", "metaField": "of"})
        database.series.insert_many([{"at": DAY + datetime.timedelta(minutes=n), "of": n % 2, "v": n / 2} for n in range(20)])
        expected = sorted([*expected, "series"])
    import_schema(pg, server, fresh_namespace, schema)
    assert tables(pg, schema) == expected
    assert columns(pg, schema, "seen") == {"twice": "integer"}
    assert sorted(pg.execute(f"SELECT twice FROM {schema}.seen").fetchall()) == [(0,), (2,), (4,), (6,), (8,)]
    assert columns(pg, schema, "nothing") == {"_id": "jsonb", "document": "jsonb"}
    comments = dict(pg.execute("SELECT relname, obj_description(oid) FROM pg_class WHERE relnamespace = %s::regnamespace",
                               (schema,)).fetchall())
    assert comments["seen"] == f"view {fresh_namespace}.seen on base"
    assert comments["capped"] == f"capped collection {fresh_namespace}.capped"
    if series:
        assert columns(pg, schema, "series") == {"_id": "mongo_tail.objectid", "of": "integer", "at": "timestamp with time zone",
                                                 "v": "double precision"}
        assert pg.execute(f"SELECT count(*), sum(v) FROM {schema}.series WHERE of = 1").fetchone() == (10, 50.0)
        assert comments["series"] == f"time series {fresh_namespace}.series by at"


def import_unseen(pg, server, database, schema, table, unseen, **options):
    """Until the sample has none of these columns' fields, as it mostly does not."""
    for _ in range(10):
        import_schema(pg, server, database, schema, **options)
        if all(comment(pg, schema, table, column).startswith("index ") for column in unseen):
            return
        pg.execute(f"DROP FOREIGN TABLE {schema}.{table}")
    pytest.fail("the sample always has them")


def test_fields_that_only_indexes_show(pg, server, mongo, fresh_namespace, schema):
    """A sample of 50 misses what one document of 20,000 has; an index does not."""
    things = mongo[fresh_namespace].things
    things.insert_many([{"_id": n, "n": n, "address": {"city": "c"}} for n in range(20000)])
    rare = {"Rare": "x", "part": DAY, "hidden_part": DAY, "kind": "k", "deep": {"er": 5, "beside": "b"}, "plain": 1.5, "hidden": True, "f" * 70: 7,
            "where": [1.0, 2.0], "on_earth": [1, 2], "words": "some words", "with_words": 3, "by_hash": Int64(1), "anything": 1}
    things.update_one({"_id": 9000}, {"$set": {**rare, "address.zip": 5}})
    things.update_one({"_id": 9001}, {"$set": {"part": "not in the index", "hidden_part": "neither", "null": None, "rare": 1}})
    things.create_index("Rare", sparse=True)
    things.create_index("part", partialFilterExpression={"kind": "k"})
    things.create_index([("n", 1), ("deep.er", -1)])
    things.create_index("plain")
    things.create_index("null", sparse=True)
    things.create_index("nowhere", sparse=True, name="of no document")
    things.create_index("address.zip")
    things.create_index("f" * 70)
    things.create_index([("where", "2d")])
    things.create_index([("on_earth", "2dsphere")])
    things.create_index([("with_words", 1), ("words", "text")])
    things.create_index([("by_hash", "hashed")])
    things.create_index("anything.$**")
    things.create_index("$**")
    things.create_index("hidden", hidden=True)
    things.create_index("hidden_part", hidden=True, partialFilterExpression={"kind": "k"})
    expected = {"Rare": "text", "part": "timestamp with time zone", "deep": "jsonb", "plain": "double precision", "null": "jsonb",
                "nowhere": "jsonb", "f" * 63: "integer", "where": "double precision[]", "with_words": "integer",
                "by_hash": "bigint", "hidden": "boolean",
                "hidden_part": "timestamp with time zone", "on_earth": "integer[]"}
    seen = {"_id": "integer", "n": "integer", "address": "jsonb"}
    import_unseen(pg, server, fresh_namespace, schema, "things", ["Rare", "part", "null"], sample_size=50)
    assert columns(pg, schema, "things") == {**seen, **expected}
    assert fields(pg, schema, "things") == {"f" * 63: "f" * 70}
    assert comment(pg, schema, "things", "Rare") == "index Rare_1; of 1 documents sampled by it: string 1"
    assert comment(pg, schema, "things", "deep") == "index n_1_deep.er_-1; of 1 documents sampled by it: object 1"
    assert comment(pg, schema, "things", "nowhere") == "index of no document; no documents sampled by it"
    assert comment(pg, schema, "things", "n") == "of 50 documents sampled: int 50"
    row = pg.execute(f"""SELECT "Rare", part, deep, plain, "where", by_hash FROM {schema}.things WHERE _id = 9000""").fetchone()
    assert row == ("x", DAY, {"er": 5, "beside": "b"}, 1.5, [1.0, 2.0], 1)

    pg.execute(f"DROP FOREIGN TABLE {schema}.things")
    import_unseen(pg, server, fresh_namespace, schema, "things", ["address_zip", "part", "null"], sample_size=50, flatten="true",
                  fold_names="true")
    del expected["Rare"], expected["deep"]
    found = columns(pg, schema, "things")
    assert found == {**{c: t for c, t in seen.items() if c != "address"}, **expected, "rare": "text", "address_city": "text",
                     "address_zip": "integer", "deep_er": "integer", "deep_beside": "text"}
    assert comment(pg, schema, "things", "deep_beside") == "index n_1_deep.er_-1; of 1 documents sampled by it: string 1"
    assert comment(pg, schema, "things", "address_zip") == "index address.zip_1; of 1 documents sampled by it: int 1"

    pg.execute(f"DROP FOREIGN TABLE {schema}.things")
    import_schema(pg, server, fresh_namespace, schema, "EXCEPT (things)")
    assert tables(pg, schema) == []
    import_schema(pg, server, fresh_namespace, schema, sample_size=0)
    assert columns(pg, schema, "things")["Rare"] == "jsonb", "without a sample no document is read"
    assert comment(pg, schema, "things", "Rare") == "index Rare_1; no documents sampled by it"


def test_index_that_takes_too_long(pg, server, mongo, fresh_namespace, schema):
    mongo[fresh_namespace].t.insert_many([{"_id": 0, "b": 5}, *({"_id": n} for n in range(1, 20000))])
    mongo[fresh_namespace].t.create_index("b")
    # the time of whatever has a limit is over
    mongo.admin.command({"configureFailPoint": "maxTimeAlwaysTimeOut", "mode": "alwaysOn"})
    try:
        import_unseen(pg, server, fresh_namespace, schema, "t", ["b"], sample_size=5)
    finally:
        mongo.admin.command({"configureFailPoint": "maxTimeAlwaysTimeOut", "mode": "off"})
    assert columns(pg, schema, "t") == {"_id": "integer", "b": "jsonb"}
    assert comment(pg, schema, "t", "b") == "index b_1; no documents sampled by it"


def test_types_by_an_index(pg, server, mongo, fresh_namespace, schema):
    """What an index finds is a sample of it, not its beginning; a validator and other indexes count as well."""
    database = mongo[fresh_namespace]
    database.create_collection("t", validator={"$jsonSchema": {"properties": {"said": {"bsonType": "string"}}}})
    database.t.insert_many([{"_id": n} for n in range(20000)])
    database.t.insert_many([{"_id": -n, "mixed": n if n <= 20 else str(n)} for n in range(1, 41)])
    database.t.update_one({"_id": 19999}, {"$set": {"both": 1}})
    for field in ("mixed", "said"):
        database.t.create_index(field)
    database.t.create_index("both", partialFilterExpression={"mixed": {"$lt": 0}}, name="without it")
    database.t.create_index([("both", 1), ("_id", 1)], name="with it")
    import_unseen(pg, server, fresh_namespace, schema, "t", ["mixed", "both"], sample_size=20)
    assert columns(pg, schema, "t") == {"_id": "integer", "said": "text", "mixed": "jsonb", "both": "integer"}
    assert comment(pg, schema, "t", "mixed").startswith("index mixed_1; of 20 documents sampled by it: int ")
    assert comment(pg, schema, "t", "said") == "string by the validator; of 20 documents sampled: missing 20"
    assert comment(pg, schema, "t", "both") == "index with it; of 1 documents sampled by it: int 1"


def test_limit_to_and_except(pg, server, mongo, fresh_namespace, schema):
    for name in ("a", "b", "Mixed", "c"):
        mongo[fresh_namespace][name].insert_one({"x": 1})
    import_schema(pg, server, fresh_namespace, schema, 'LIMIT TO (a, "Mixed", absent)')
    assert tables(pg, schema) == ["Mixed", "a"]
    with pytest.raises(errors.DuplicateTable):
        import_schema(pg, server, fresh_namespace, schema)
    import_schema(pg, server, fresh_namespace, schema, 'EXCEPT (a, "Mixed", c)')
    assert tables(pg, schema) == ["Mixed", "a", "b"]


def test_names_of_tables(pg, server, mongo, fresh_namespace, schema):
    database = mongo[fresh_namespace]
    long = "l" * 70
    names = ["CamelCase", "camelcase", "with.dots", 'quote"d', "it's", "back\\slash", "select", "\u00e9t\u00e9", long + "1",
             long + "2", "l" * 63, " "]
    for n, name in enumerate(names):
        database[name].insert_one({"_id": n})
    import_schema(pg, server, fresh_namespace, schema)
    found = {}
    for table in tables(pg, schema):
        found[table] = pg.execute(sql.SQL("SELECT _id FROM {}.{}").format(sql.Identifier(schema), sql.Identifier(table))).fetchall()
    assert sorted(found.values()) == [[(n,)] for n in range(len(names))], "each collection once"
    assert set(names) - {long + "1", long + "2"} <= set(found), "a name that needs no change has none"
    assert found["l" * 63] == [(10,)]
    assert found["l" * 51 + "_2"] == [(8,)] and found["l" * 51 + "_3"] == [(9,)]

    pg.execute(f"DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}")
    import_schema(pg, server, fresh_namespace, schema, fold_names="true")
    assert pg.execute(f"SELECT _id FROM {schema}.camelcase").fetchall() == [(1,)]
    assert pg.execute(f"SELECT _id FROM {schema}.camelcase_2").fetchall() == [(0,)]


def notices(pg, function):
    seen = []

    def note(diagnostic):
        seen.append((diagnostic.severity, diagnostic.message_primary, diagnostic.message_detail))
    pg.add_notice_handler(note)
    try:
        function()
    finally:
        pg.remove_notice_handler(note)
    return seen


def test_names_of_columns(pg, server, mongo, fresh_namespace, schema):
    if mongo.server_info()["versionArray"] < [5]:
        pytest.skip("before 5.0 MongoDB refuses names with dots and dollars")
    names = ["A", "a", 'q"q', "it's", "$x", "b\\b", "ctid", "xmin", "select", "\u00e9", "c" * 100, "c" * 101, "0", "%s"]
    no_column = "$"
    if mongod_version() < (5,):     # which stores no names with a dollar in front
        names[names.index("$x")], no_column = "x$", "b.c"
    mongo[fresh_namespace].command("insert", "odd", documents=[
        {"_id": 1, **{name: n for n, name in enumerate(names)}, "": "x", "a.b": "x", no_column: "x", "tail": 5}])
    seen = notices(pg, lambda: import_schema(pg, server, fresh_namespace, schema, fold_names="true", document="doc"))
    assert [(s, m) for s, m, _ in seen] == [
        ("WARNING", '3 fields of collection "odd" are no columns of foreign table "odd"')]
    cursor = pg.execute(f"SELECT * FROM {schema}.odd")
    row = dict(zip([c.name for c in cursor.description], cursor.fetchone()))
    assert row.pop("doc")["a.b"] == "x"
    assert row.pop(names[4]) == 4
    assert row == {"_id": 1, "a_2": 0, "a": 1, 'q"q': 2, "it's": 3, "b\\b": 5, "ctid_2": 6, "xmin_2": 7,
                   "select": 8, "\u00e9": 9, "c" * 63: 10, "c" * 51 + "_2": 11, "0": 12, "%s": 13, "tail": 5}


def test_database_of_another_encoding(pg_server, mongo, mongo_server, fresh_namespace, unused_name, new_server):
    mongo[fresh_namespace]["caf\u00e9"].insert_one({"_id": 1, "pr\u00e9nom": "Zo\u00e9", "\u65e5": 1})
    mongo[fresh_namespace]["\u65e5\u672c"].insert_one({"_id": 1})
    name = unused_name("latin_")
    with pg_server.connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pg_server.connect(name) as connection:
            connection.execute("CREATE EXTENSION mongo_tail")
            new_server(connection, "mongo", mongo_server.uri)
            seen = notices(connection, lambda: import_schema(connection, "mongo", fresh_namespace, "public"))
            assert [m for _, m, _ in seen] == ['1 field of collection "caf\u00e9" is no column of foreign table "caf\u00e9"',
                                               'collection "??????" is not imported']
            assert connection.execute('SELECT "pr\u00e9nom" FROM "caf\u00e9"').fetchone() == ("Zo\u00e9",)
    finally:
        pg_server.drop_database(name)


def test_flatten(pg, server, mongo, fresh_namespace, schema):
    mongo[fresh_namespace].deep.insert_many([
        {"_id": 1, "a": {"b": {"c": 1, "d": "x"}, "e": [1]}, "a_e": 5, "mixed": {"x": 1}, "dotted": {"x.y": 1},
         "map": {f"k{n}": n for n in range(200)}, "empty": {}},
        {"_id": 2, "a": {"b": None, "f": 0.5}, "mixed": 5},
        {"_id": {"x": 3}, "a": None}])
    import_schema(pg, server, fresh_namespace, schema, flatten="true")
    assert columns(pg, schema, "deep") == {
        "_id": "jsonb", "a_b_c": "integer", "a_b_d": "text", "a_e_2": "integer[]", "a_f": "double precision",
        "a_e": "integer", "mixed": "jsonb", "dotted": "jsonb", "map": "jsonb", "empty": "jsonb"}
    assert fields(pg, schema, "deep")["a_b_c"] == "a.b.c"
    assert comment(pg, schema, "deep", "a_b_c") == "of 3 documents sampled: int 1, missing 2"
    assert sorted(pg.execute(f"SELECT a_b_c, a_f FROM {schema}.deep").fetchall(), key=str) == [
        (1, None), (None, 0.5), (None, None)]


def test_too_many_fields(pg, server, mongo, fresh_namespace, schema):
    mongo[fresh_namespace].wide.insert_many(
        [{"_id": 1, **{f"once{n}": n for n in range(2000)}}, {**{f"often{n}": n for n in range(1000)}, "_id": 2},
         {**{f"often{n}": n for n in range(1000)}, "_id": 3}])
    mongo[fresh_namespace].wide.create_index("indexed")
    seen = notices(pg, lambda: import_schema(pg, server, fresh_namespace, schema, document="doc"))
    assert seen == [("WARNING", 'collection "wide" has more fields than foreign table "wide" can have columns',
                     "The most frequent fields are its columns, 1403 others are not.")]
    found = columns(pg, schema, "wide")
    assert len(found) == 1600 and list(found)[0] == "_id" and "doc" in found and "indexed" in found
    assert sum(name.startswith("often") for name in found) == 1000
    assert pg.execute(f"SELECT often999, doc -> 'often999' FROM {schema}.wide WHERE _id = 2").fetchone() == (999, 999)


def test_changes_too(pg, server, mongo, fresh_namespace, schema):
    mongo[fresh_namespace].orders.insert_one({"_id": 1, "total": 12.5, "source": "web", "address": {"city": "London"}})
    mongo[fresh_namespace].orders_changes.insert_one({"_id": 1})
    mongo[fresh_namespace].command("create", "seen", viewOn="orders", pipeline=[])
    import_schema(pg, server, fresh_namespace, schema, import_changes="true", flatten="true")
    assert tables(pg, schema) == ["orders", "orders_changes", "orders_changes_2", "orders_changes_changes", "seen"]
    assert columns(pg, schema, "orders_changes_2") == {
        "position": "mongo_tail.\"position\"", "cluster_time": "mongo_tail.cluster_time", "operation_type": "text",
        "document_key": "jsonb", "changed_columns": "text[]", "_id": "integer", "total": "double precision",
        "source_2": "text", "address_city": "text"}
    pg.execute("SELECT mongo_tail.start_tail(%s, namespaces => %s, after => 'oldest')", (server, [f"{fresh_namespace}.*"]))
    try:
        pg.execute("CALL mongo_tail.wait_for_changes(%s, after => 'oldest', wait => '10s')", (server,))
        rows = pg.execute(f"""SELECT operation_type, _id, total, source_2, address_city FROM {schema}.orders_changes_2
                              WHERE operation_type = 'insert'""").fetchall()
        assert rows == [("insert", 1, 12.5, "web", "London")]
    finally:
        pg.execute("SELECT mongo_tail.stop_tail(%s)", (server,))


def test_options(pg, server, mongo, fresh_namespace, schema):
    mongo[fresh_namespace].t.insert_many([{"_id": n, "s": "a", "ss": ["a"]} for n in range(30)])
    import_schema(pg, server, fresh_namespace, schema, sample_size=7, on_mismatch="null")
    assert comment(pg, schema, "t", "s") == "of 7 documents sampled: string 7"
    collations = """SELECT attname FROM pg_attribute JOIN pg_collation c ON c.oid = attcollation AND collname = 'C'
                    WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"""
    assert pg.execute(collations, (f"{schema}.t",)).fetchall() == [("s",), ("ss",)]
    assert pg.execute("SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = %s::regclass", (f"{schema}.t",)).fetchone()[0] == [
        f"database={fresh_namespace}", "collection=t", "on_mismatch=null"]
    pg.execute(f"DROP FOREIGN TABLE {schema}.t")
    import_schema(pg, server, fresh_namespace, schema, import_collate="false")
    assert pg.execute(collations, (f"{schema}.t",)).fetchall() == []
    pg.execute(f"DROP FOREIGN TABLE {schema}.t")
    for option, value, state in (("nonsense", "1", "HV00D"), ("sample_size", "-1", "HV024"), ("sample_size", "many", "HV024"),
                                 ("on_mismatch", "5", "HV024"), ("flatten", "maybe", "42601")):
        with pytest.raises(psycopg.Error) as raised:
            import_schema(pg, server, fresh_namespace, schema, "LIMIT TO (t)", **{option: value})
        assert raised.value.sqlstate == state, option


def test_objectids(pg, connect, server, mongo, fresh_namespace, schema):
    """ObjectIds have their own type, and are text for who may not use it, or does not want it."""
    objectid = ObjectId()
    mongo[fresh_namespace].t.insert_one({"_id": objectid, "mixed": "a"})
    mongo[fresh_namespace].t.insert_one({"mixed": ObjectId()})
    import_schema(pg, server, fresh_namespace, schema)
    assert columns(pg, schema, "t") == {"_id": "mongo_tail.objectid", "mixed": "text"}
    assert pg.execute(f"SELECT mixed FROM {schema}.t WHERE _id = '{objectid}'").fetchall() == [("a",)]
    pg.execute(f"DROP FOREIGN TABLE {schema}.t")
    import_schema(pg, server, fresh_namespace, schema, import_types="false")
    assert columns(pg, schema, "t") == {"_id": "text", "mixed": "text"}
    pg.execute(f"DROP FOREIGN TABLE {schema}.t")
    pg.execute("DROP ROLE IF EXISTS mt_importer")
    pg.execute(f"""CREATE ROLE mt_importer; GRANT CREATE, USAGE ON SCHEMA {schema} TO mt_importer;
        GRANT USAGE ON FOREIGN SERVER {server} TO mt_importer; CREATE USER MAPPING FOR mt_importer SERVER {server};
        SET ROLE mt_importer""")
    import_schema(pg, server, fresh_namespace, schema)
    assert columns(pg, schema, "t") == {"_id": "text", "mixed": "text"}
    assert pg.execute(f"SELECT mixed FROM {schema}.t WHERE _id = '{objectid}'").fetchall() == [("a",)]
    assert comment(pg, schema, "t", "mixed") == "of 2 documents sampled: string 1, objectId 1"
    pg.execute(f"RESET ROLE; DROP OWNED BY mt_importer CASCADE; DROP ROLE mt_importer")


def test_no_such_database(pg, server, mongo, fresh_namespace, schema):
    mongo[fresh_namespace].t.insert_one({})
    with pytest.raises(psycopg.Error) as raised:
        import_schema(pg, server, "nowhere", schema)
    assert raised.value.sqlstate == "HV00Q"
    assert raised.value.diag.message_primary == f'database "nowhere" has no collections on server "{server}"'
    assert fresh_namespace in raised.value.diag.message_detail


def test_privileges(pg, make_mongo, new_server, schema, unused_name):
    """Who may not list collections imports those that it may read; who may read none is told so."""
    server = make_mongo(auth=True)
    server.create_user("root", "secret", ["root"])
    root = {"username": "root", "password": "secret"}
    with server.client(**root) as client:
        client.shop.open.insert_one({"_id": 1, "a": 5})
        client.shop.closed.insert_one({"_id": 1})
        client.shop.create_collection("locked", validator={"$jsonSchema": {"properties": {"x": {"bsonType": "int"}}}})
        client.admin.command("createRole", "one", roles=[], privileges=[
            {"resource": {"db": "shop", "collection": "open"}, "actions": ["find"]}])
    for name, roles in (("reader", [{"role": "read", "db": "shop"}]), ("one", ["one"]), ("nobody", [{"role": "read", "db": "other"}])):
        server.create_user(name, "secret", roles, login=root)
        new_server(pg, unused_name(f"as_{name}_"), server.uri, user_mapping={"username": name, "password": "secret"})
    import_schema(pg, "as_reader_0", "shop", schema)
    assert tables(pg, schema) == ["closed", "locked", "open"]
    assert columns(pg, schema, "locked") == {"_id": "jsonb", "x": "integer"}
    pg.execute(f"DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}")
    import_schema(pg, "as_one_0", "shop", schema)
    assert tables(pg, schema) == ["open"]
    assert pg.execute(f"SELECT * FROM {schema}.open").fetchall() == [(1, 5)]
    with pytest.raises(errors.InsufficientPrivilege) as raised:
        import_schema(pg, "as_nobody_0", "shop", schema)
    assert 'list the collections of database "shop"' in str(raised.value)
    for name in ("reader", "one", "nobody"):
        pg.execute(f"DROP SERVER as_{name}_0 CASCADE")


def test_cancel_while_mongod_stands_still(pg, connect, make_mongo, new_server, schema, unused_name):
    server = make_mongo()
    with server.client() as client:
        client.shop.orders.insert_one({"_id": 1})
    name = new_server(pg, unused_name("frozen_"), server.uri)
    other = connect()
    server.sigstop()
    try:
        importing = Background(pg, f"IMPORT FOREIGN SCHEMA shop FROM SERVER {name} INTO {schema}")
        wait_backend_waits(other, pg.info.backend_pid)
        with takes_at_most(0.5, "cancelling an import"):
            pg.cancel()
            assert isinstance(importing.join().error, errors.QueryCanceled)
    finally:
        server.sigcont()
    import_schema(pg, name, "shop", schema)
    assert tables(pg, schema) == ["orders"]
    pg.execute(f"DROP SERVER {name} CASCADE")
