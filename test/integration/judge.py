"""The judge of collections as foreign tables: awkward documents, and queries over them.

Whatever is left to MongoDB must not change the answer.  So each query is run twice: on the table, and
over a materialized copy of it (WITH x AS MATERIALIZED (SELECT * FROM t)), of which nothing can be sent.

    make_document   an awkward document of every kind of value (POOLS), or one that converts (CLEAN)
    make_tables     three tables over such documents
    Clauses         random conditions
"""

import datetime
import re
import struct
import uuid

import bson
import psycopg
from bson import Binary, Decimal128, Int64, ObjectId
from bson.raw_bson import RawBSONDocument

DOCUMENTS = 400

UUIDS = [uuid.UUID(int=n) for n in (0, 1, 2 ** 127 + 12345)]
OBJECT_IDS = [ObjectId("0" * 24), ObjectId("65a1b2c3d4e5f60718293a4b"), ObjectId("f" * 24)]
DATES = ["1970-01-01", "1969-12-31 23:59:59.999", "2024-02-29", "2024-02-29 12:00:00.001", "1900-01-01",
         "0099-03-04", "9999-12-31"]


def utc(text):
    return datetime.datetime.fromisoformat(text)


def element(kind, name, value=b""):
    return bytes([kind]) + name.encode() + b"\0" + value


def undefined(name):
    return element(0x06, name)


def symbol(name, text):
    data = text.encode() + b"\0"
    return element(0x0E, name, struct.pack("<i", len(data)) + data)


def date_ms(ms):
    """A date that Python has no value for."""
    return ("raw", 0x09, struct.pack("<q", ms))


def with_raw(document, *elements):
    """The document with raw elements after its own."""
    body = bson.encode(document)[4:-1] + b"".join(elements)
    return RawBSONDocument(struct.pack("<i", len(body) + 5) + body + b"\0")


NAN = float("nan")
INF = float("inf")
NUMBERS = [0, 1, -1, 2, 3, 5, 7, 32767, 32768, -32768, 2 ** 31 - 1, -2 ** 31, Int64(2 ** 31), Int64(5),
           Int64(2 ** 53), Int64(2 ** 53 + 1), Int64(2 ** 63 - 1), Int64(-2 ** 63), 0.0, -0.0, 0.5, 1.5, 2.5, 3.0, 3.7,
           0.1, 0.3, 0.1 + 0.2, 1e15 + 0.3, 1e22, 1e23, 1e300, 5e-324, -1e-310, 2.0 ** 53, 2.0 ** 63, NAN, INF, -INF,
           Decimal128("0.1"), Decimal128("3"), Decimal128("3.0"), Decimal128("3.7"), Decimal128("NaN"),
           Decimal128("Infinity"), Decimal128("-Infinity"), Decimal128("1E+6000"), Decimal128("0.3"),
           Decimal128("0.1000000000000000055511151231257827"), Decimal128("9007199254740993"),
           Decimal128("1234567890123456789012345678901234"), Decimal128("-0"), Decimal128("1E-6000")]
STRINGS = ["", "a", "b", "ab", "a\n", "a ", "A", "z", "\u00e9", "e\u0301", "\U0001d11e", "\uffff", "5", "true", "null",
           "x" * 3000, "65a1b2c3d4e5f60718293a4b", "65A1B2C3D4E5F60718293A4B", "f" * 24, "a\0b", "$a", "a.b"]
POOLS = {
    "i": [n for n in NUMBERS if isinstance(n, int)],
    "f": [n for n in NUMBERS if isinstance(n, float)],
    "n": NUMBERS,
    "s": STRINGS + OBJECT_IDS + [("symbol", "a"), ("symbol", "z")],
    "b": [True, False],
    "t": [utc(text) for text in DATES] + [date_ms(-2 ** 63), date_ms(2 ** 63 - 1), date_ms(9224318015999999),
                                          date_ms(9224318016000000)],
    "u": [Binary.from_uuid(u) for u in UUIDS] + [Binary(u.bytes, 3) for u in UUIDS] + [Binary(b"x" * 16, 0)],
}
AWKWARD = ([None, [], [None], [5], [5, 7], [[5]], [5, None], [NAN], ["a"], ["a", OBJECT_IDS[1]], [True], {}, {"y": 5},
            [{"y": 5}], [{"y": 5}, {"z": 1}], {"": 1}, bson.Regex("a"), bson.Timestamp(5, 1), bson.MinKey(),
            bson.MaxKey(), bson.Code("x"), [utc("1970-01-01")], Binary(b"a", 0), ("undefined",)] +
           NUMBERS[:12] + [NAN] + STRINGS[:4] + OBJECT_IDS[1:2] + [True, False, utc("1970-01-01")])
NESTED = [None, 5, "a", {}, {"y": 5}, {"y": None}, {"y": "a"}, {"y": [5]}, {"y": [None]}, {"y": {"z": 5}}, {"y": 7.5},
          {"y": {"z": None}}, {"y": [{"z": 5}]}, [], [1], ["a"], [{"y": 5}], [{"y": 5}, {"y": None}], [{"0": "a"}],
          {"0": "a"}, {"0": None}, ["a", {"0": None}], ["a", None], [None, "a"], [["a"]], [[5], {"0": None}],
          {"y": Int64(5)}, {"y": Decimal128("5")}, {"y": 5.0}, {"x.y": 5}, ("undefined",)]
# What every column of its field converts: the table of on_mismatch 'error' can read all of it.
CLEAN = {
    "i": [0, 1, -1, 5, 7, 32767, -32768, Int64(5), 5.0, Decimal128("7"), -0.0],
    "f": [0.5, -0.0, 3, 1.5, NAN, INF, -INF, Decimal128("0.5"), 2.0 ** 53],
    "n": NUMBERS,
    "s": [s for s in STRINGS if "\0" not in s and len(s) < 100] + OBJECT_IDS + [("symbol", "a")],
    "b": [True, False],
    "t": [utc(text) for text in DATES if " " not in text],
    "u": [Binary.from_uuid(u) for u in UUIDS] + [Binary(u.bytes, 3) for u in UUIDS],
}
CLEAN_NESTED = [v for v in NESTED if v not in ({"y": "a"}, {"y": [5]}, {"y": [None]}, {"y": {"z": 5}}, {"y": 7.5},
                                               {"y": {"z": None}}, {"y": [{"z": 5}]}, [["a"]], [[5], {"0": None}],
                                               [1], [{"y": 5}], [{"y": 5}, {"y": None}], [{"0": "a"}])]

COLUMNS = """k integer NOT NULL, id text OPTIONS (field '_id') COLLATE "C",
    i2 smallint OPTIONS (field 'i'), i4 integer OPTIONS (field 'i'), i8 bigint OPTIONS (field 'i'),
    f4 real OPTIONS (field 'f'), f8 double precision OPTIONS (field 'f'), n numeric, n2 numeric(20, 2) OPTIONS (field 'n'),
    s text, c text OPTIONS (field 's') COLLATE "C", v varchar OPTIONS (field 's') COLLATE "C",
    e text OPTIONS (field 's') COLLATE "en-x-icu", ci text OPTIONS (field 's') COLLATE mt_scan_ci,
    v3 varchar(3) OPTIONS (field 's'), bp char(3) OPTIONS (field 's'),
    b boolean, t timestamptz, ts timestamp OPTIONS (field 't'), d date OPTIONS (field 't'), u uuid,
    x jsonb, xy integer OPTIONS (field 'x.y'), xz integer OPTIONS (field 'x.y.z'), x0 text OPTIONS (field 'x.0'),
    doc jsonb OPTIONS (field '$')"""
# f4, n2 and the short strings mismatch where their neighbours do not.
CLEAN_COLUMNS = COLUMNS.replace("f4 real OPTIONS (field 'f'),", "").replace(
    "n2 numeric(20, 2) OPTIONS (field 'n'),", "").replace("v3 varchar(3) OPTIONS (field 's'), bp char(3) OPTIONS (field 's'),", "")

INTEGERS = ["0", "1", "-1", "5", "7", "32767", "-32768"]
LARGE = ["2147483647", "-2147483648", "2147483648", "9007199254740993", "9223372036854775807", "-9223372036854775808"]
FLOATS = ["0", "-0", "0.5", "1.5", "3", "0.1", "0.3", "0.30000000000000004", "1e300", "5e-324", "NaN", "Infinity",
          "-Infinity", "9007199254740992", "1e22"]
NUMERICS = FLOATS + LARGE + ["0.10000000000000001", "0.1000000000000000055511151231257827021181583404541015625",
                             "1e400", "1e-400", "1234567890123456789012345678901234",
                             "12345678901234567890123456789012345", "3.7", "3.70", "1e23", "9007199254740992.5",
                             "1000000000000000.3", "100000000000000000000000", "99999999999999991611392"]
TIMES = DATES + ["1969-12-31 23:59:59.9985", "1970-01-01 00:00:00.0005", "2024-02-29 12:00:00.0005", "infinity",
                 "-infinity", "2024-02-28 23:59:59.999999"]
TEXTS = [s for s in STRINGS if "\0" not in s]
# column: types of constants, constants
COMPARED = {
    "i2": (["int2", "int4", "int8"], INTEGERS),
    "i4": (["int2", "int4", "int8"], INTEGERS),
    "i8": (["int8"], INTEGERS + LARGE),
    "f4": (["float4", "float8"], ["0", "0.5", "1.5", "3", "NaN", "Infinity", "-Infinity", "0.1"]),
    "f8": (["float8"], FLOATS),
    "n": (["numeric"], NUMERICS),
    "n2": (["numeric"], NUMERICS),
    "id": (["text"], TEXTS),
    "s": (["text"], TEXTS),
    "c": (["text"], TEXTS),
    "v": (["text"], TEXTS),
    "e": (["text"], TEXTS),
    "ci": (["text"], TEXTS),
    "v3": (["text"], TEXTS),
    "bp": (["bpchar"], TEXTS),
    "b": (["bool"], ["true", "false"]),
    "t": (["timestamptz"], TIMES),
    "ts": (["timestamp"], TIMES),
    "d": (["date"], [t for t in TIMES if " " not in t]),
    "u": (["uuid"], [str(u) for u in UUIDS]),
    "xy": (["int4"], INTEGERS),
    "xz": (["int4"], INTEGERS),
    "x0": (["text"], TEXTS),
}


class Clauses:
    """Random clauses over the columns that a table has; values as constants or parameters."""

    def __init__(self, rng, columns):
        self.rng = rng
        self.columns = [c for c in COMPARED if c in columns]
        self.nullable = self.columns + ["x", "doc", "k"]

    def constant(self, column, parameters):
        types, values = COMPARED[column]
        kind = self.rng.choice(types)
        text = None if self.rng.random() < 0.04 else self.rng.choice(values)
        how = self.rng.random()
        if parameters is not None and how < 0.6:
            parameters.append(text)
            return f"%s::text::{kind}", kind
        literal = "NULL" if text is None else "'" + text.replace("'", "''").replace("%", "%%") + "'"
        if how < 0.75:
            return f"(SELECT {literal}::{kind})", kind
        return f"{literal}::{kind}", kind

    def comparison(self, parameters):
        column = self.rng.choice(self.columns)
        value, kind = self.constant(column, parameters)
        shape = self.rng.random()
        if shape < 0.5:
            operator = self.rng.choice(["=", "=", "<", "<=", ">", ">=", "<>"])
            return f"{column} {operator} {value}" if self.rng.random() < 0.8 else f"{value} {operator} {column}"
        if shape < 0.6:
            return f"{column} BETWEEN {value} AND {self.constant(column, parameters)[0]}"
        if shape < 0.65:
            return f"NOT ({column} = {value})"
        unused = len(parameters or []) - (value.startswith("%s"))
        values = [value] + [self.constant(column, parameters)[0] for _ in range(self.rng.randrange(4))]
        if shape < 0.85:
            return f"{column} {self.rng.choice(['IN', 'IN', 'NOT IN'])} ({', '.join(values)})"
        array_kind = COMPARED[column][0][-1]
        # a cast array, which may be empty or NULL
        array = self.rng.choice([f"ARRAY[{', '.join(values)}]::{array_kind}[]", f"'{{}}'::{array_kind}[]",
                                 f"NULL::{array_kind}[]", f"ARRAY[{', '.join(values)}]::{array_kind}[]"])
        if parameters is not None and not array.startswith("ARRAY"):
            del parameters[unused:]
        return f"{column} {self.rng.choice(['= ANY', '= ANY', '<> ALL', '< ANY', '= ALL'])} ({array})"

    def leaf(self, parameters):
        shape = self.rng.random()
        if shape < 0.15:
            return f"{self.rng.choice(self.nullable)} IS {self.rng.choice(['', 'NOT '])}NULL"
        if shape < 0.22:
            return self.rng.choice(["b", "NOT b", "b IS TRUE", "b IS FALSE", "b IS NOT TRUE", "b IS UNKNOWN",
                                    "b IS NOT UNKNOWN", "b IS NOT FALSE"])
        if shape < 0.26:
            return self.rng.choice(["i8 + 1 > 5", "i4::numeric = 5", "length(s) > 1", "s LIKE 'a%%'", "i4 = i8",
                                    "x ->> 'y' = '5'", "coalesce(i4, 7) = 7", "c < s COLLATE \"C\"", "d::timestamptz = t",
                                    "f8::int = 3 AND f8 BETWEEN 0 AND 9", "i4 IS DISTINCT FROM 5",
                                    "i4 IS NOT DISTINCT FROM NULL"])
        return self.comparison(parameters)

    def clause(self, parameters, depth=0):
        if depth < 2 and self.rng.random() < 0.45:
            n = self.rng.randrange(2, 4)
            parts = [self.clause(parameters, depth + 1) for _ in range(n)]
            inner = f" {self.rng.choice(['AND', 'OR'])} ".join(f"({part})" for part in parts)
            return f"NOT ({inner})" if self.rng.random() < 0.1 else inner
        return self.leaf(parameters)


def make_document(rng, k, pools, awkward, nested):
    document, raw = {}, []
    ids = [ObjectId(), f"id{k}"]
    document["_id"] = rng.choice(ids if pools is CLEAN else [*ids, k, Int64(k), {"k": k}])
    document["k"] = k
    names = list(pools) + ["x"]
    rng.shuffle(names)
    for name in names:
        if rng.random() < 0.12:
            continue
        if name == "x":
            value = rng.choice(nested)
        else:
            value = rng.choice(awkward if rng.random() < 0.35 else pools[name])
        if not isinstance(value, tuple):
            document[name] = value
        elif value[0] == "undefined":
            raw.append(undefined(name))
        elif value[0] == "symbol":
            raw.append(symbol(name, value[1]))
        else:
            raw.append(element(value[1], name, value[2]))
    if rng.random() < 0.05:
        raw.append(element(0x10, "i", struct.pack("<i", 5)))    # perhaps a second i
    return with_raw(document, *raw)


def load(mongo, rng, database, collection, pools, awkward, nested, **options):
    target = mongo[database].create_collection(collection, **options)
    documents = [make_document(rng, k, pools, awkward, nested) for k in range(DOCUMENTS)]
    # ids that text can find
    documents += [with_raw({"_id": i, "k": DOCUMENTS + n}) for n, i in enumerate([*OBJECT_IDS, "a", "z", "f" * 24, "\u00e9"])]
    target.insert_many(documents)
    return target


def create_table(pg, server, name, columns, database, collection, on_mismatch="error"):
    pg.execute(f"""CREATE FOREIGN TABLE {name} ({columns}) SERVER {server}
        OPTIONS (database '{database}', collection '{collection}', on_mismatch '{on_mismatch}')""")


def make_tables(pg, server, mongo, database, rng):
    """[(table, its columns' text)]: one whose values are of every kind, one that has no mismatch, one with a collation."""
    load(mongo, rng, database, "awkward", POOLS, AWKWARD, NESTED)
    load(mongo, rng, database, "clean", CLEAN, [None, ("undefined",)], CLEAN_NESTED)
    load(mongo, rng, database, "french", POOLS, AWKWARD, NESTED, collation={"locale": "fr", "strength": 1})
    pg.execute("""CREATE COLLATION IF NOT EXISTS mt_scan_ci
        (provider = icu, locale = 'und-u-ks-level2', deterministic = false)""")
    tables = []
    for name, columns, mismatch in (("awkward", COLUMNS, "null"), ("clean", CLEAN_COLUMNS, "error"),
                                    ("french", COLUMNS, "null")):
        create_table(pg, server, name, columns, database, name, mismatch)
        tables.append((name, columns))
    # an index changes how MongoDB answers, not what
    for field in ("i", "n", "s", "t", "x.y"):
        mongo[database].awkward.create_index(field)
    return tables


def rows_or_error(pg, query, parameters):
    try:
        return pg.execute(query, parameters, prepare=True).fetchall()
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        return error.sqlstate


def documents_of_exact(pg, query, parameters):
    """How many documents MongoDB sends under an exact filter, None if the query has none."""
    pg.execute("SET mongo_tail.exact_filters = on")
    try:
        text = "\n".join(r[0] for r in pg.execute(f"EXPLAIN (ANALYZE, VERBOSE, TIMING OFF, SUMMARY OFF) {query}", parameters))
    finally:
        pg.execute("RESET mongo_tail.exact_filters")
    if "MongoDB Filter Is Exact: true" not in text:
        return None
    found = re.search(r"MongoDB Documents: (\d+)", text)
    return int(found[1]) if found else 0


def explain(pg, query, parameters=None, options="VERBOSE, COSTS OFF"):
    """The plan; libbson 1 writes {  } what is { } since 2."""
    return "\n".join(r[0] for r in pg.execute(f"EXPLAIN ({options}) {query}", parameters)).replace("{  }", "{ }")
