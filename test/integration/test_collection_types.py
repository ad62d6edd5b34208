"""Every BSON type as every PostgreSQL type: the value, NULL, or an error, as a reference here has it.

The reference is written from the documentation (README, "Columns and types"),
in exact arithmetic, and knows nothing of how the extension does it.
"""

import datetime
import decimal
import fractions
import itertools
import json
import struct
import uuid

import bson
import psycopg
import pytest
from bson import Binary, Decimal128, Int64, ObjectId, json_util
from bson.raw_bson import RawBSONDocument

SERVER = "mongo"
NULL = None
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)


class Raw:
    """A value that pymongo does not write any more."""

    def __init__(self, kind, payload, shown):
        self.kind, self.payload, self.shown = kind, payload, shown


class Missing:
    pass


class Mismatch(Exception):
    """SQLSTATE of a value that does not convert."""

    def __init__(self, sqlstate):
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def string_payload(text):
    return struct.pack("<i", len(text.encode()) + 1) + text.encode() + b"\0"


OID = ObjectId("507f1f77bcf86cd799439011")
UUID = uuid.UUID("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
UNDEFINED = Raw(0x06, b"", None)
SYMBOL = Raw(0x0E, string_payload("sym"), {"$symbol": "sym"})
DBPOINTER = Raw(0x0C, string_payload("db.c") + OID.binary, {"$dbPointer": {"$ref": "db.c", "$id": {"$oid": str(OID)}}})


def date(ms):
    return bson.DatetimeMS(ms)


# Name of the BSON type in errors, value.
VALUES = [
    ("missing", Missing), ("null", None), ("undefined", UNDEFINED),
    ("double", 0.0), ("double", -0.0), ("double", 1.5), ("double", 3.0), ("double", 0.1), ("double", float("nan")),
    ("double", float("inf")), ("double", float("-inf")), ("double", 1e300), ("double", 5e-324), ("double", 2.0 ** 31),
    ("double", 2.0 ** 63), ("double", -2.0 ** 63), ("double", 32768.0), ("double", 1e10 + 0.5), ("double", 16777217.0),
    ("double", 3.4028235677973366e38), ("double", 1e-46),
    ("int32", 0), ("int32", 7), ("int32", -32769), ("int32", 2 ** 31 - 1), ("int32", -2 ** 31), ("int32", 16777217),
    ("int64", Int64(7)), ("int64", Int64(2 ** 53 + 1)), ("int64", Int64(2 ** 63 - 1)), ("int64", Int64(-2 ** 63)),
    ("Decimal128", Decimal128("7")), ("Decimal128", Decimal128("-7.50")), ("Decimal128", Decimal128("0.1")),
    ("Decimal128", Decimal128("NaN")), ("Decimal128", Decimal128("-Infinity")), ("Decimal128", Decimal128("1E+6144")),
    ("Decimal128", Decimal128("9223372036854775807")), ("Decimal128", Decimal128("9223372036854775808")),
    ("Decimal128", Decimal128("9.223372036854775808E+18")), ("Decimal128", Decimal128("0E+3")),
    ("Decimal128", Decimal128("-0")), ("Decimal128", Decimal128("1E-6176")),
    ("Decimal128", Decimal128("9999999999999999999999999999999999")), ("Decimal128", Decimal128("9007199254740993")),
    ("string", ""), ("string", "a"), ("string", "ab"), ("string", "abc "), ("string", "ä"), ("string", "Köln 東京 \U0001F600"),
    ("string", "5"), ("string", "true"), ("string", "ok"), ("string", "NULL"), ("string", "a\0b"), ("string", "x" * 63),
    ("string", "x" * 64), ("string", "é" * 32), ("string", str(UUID)), ("string", str(OID)), ("string", "2020-01-01"),
    ("string", "10.0.0.1"), ("string", 'q"\\{,} ('),
    ("boolean", True), ("boolean", False),
    ("ObjectId", OID),
    ("binary", Binary(b"", 0)), ("binary", Binary(b"\0\xff", 0)), ("binary", Binary(UUID.bytes, 4)),
    ("binary", Binary(UUID.bytes, 3)), ("binary", Binary(UUID.bytes, 0)), ("binary", Binary(UUID.bytes[:15], 4)),
    ("binary", Binary(b"old", 2)), ("binary", Binary(b"user", 128)),
    ("date", date(0)), ("date", date(-1)), ("date", date(1357017420123)), ("date", date(1357017420000)),
    ("date", date(1357017420100)), ("date", date(1356998400000)), ("date", date(-86400000)),
    ("date", date(9224318015999999)), ("date", date(9224318016000000)), ("date", date(-210866803200000)),
    ("date", date(-210866803200001)), ("date", date(2 ** 63 - 1)), ("date", date(-2 ** 63)),
    ("Timestamp", bson.Timestamp(5, 1)), ("Timestamp", bson.Timestamp(2 ** 32 - 1, 2 ** 32 - 1)),
    ("regular expression", bson.Regex("^a", "i")), ("code", bson.Code("f()")), ("code", bson.Code("f()", {"x": 1})),
    ("symbol", SYMBOL), ("dbPointer", DBPOINTER), ("minKey", bson.MinKey()), ("maxKey", bson.MaxKey()),
    ("document", {}), ("document", {"a": 1, "b": "x"}), ("document", {"b": "x", "a": 1.0, "a2": 3}),
    ("document", {"a": 1.5}), ("document", {"a": None}), ("document", {"A": 1}), ("document", {"a": 1, "b": [1]}),
    ("array", []), ("array", [1, 2]), ("array", [1, None]), ("array", [[1, 2], [3, 4]]), ("array", [[1], [2, 3]]),
    ("array", [[]]), ("array", [1, [2]]), ("array", ["a", "b"]), ("array", ["a", 1]), ("array", [{"a": 1}, {}, None]),
    ("array", [None]), ("array", [[[[[[[1]]]]]]]), ("array", [OID]), ("array", [date(0)]),
]

SCALARS = ["bool", "int2", "int4", "int8", "float4", "float8", "numeric", "numeric(4,1)", "numeric(3,-2)", "text",
           "varchar", "varchar(2)", "char(4)", '"char"', "name", "bytea", "uuid", "timestamptz", "timestamptz(1)",
           "timestamp", "timestamp(0)", "date", "json", "jsonb", "mongo_tail.objectid", "mongo_tail.cluster_time",
           "ct_mood", "inet", "citext", "bit(3)"]
# A type here is ("scalar", name), ("array", type), ("domain", name, type, check) or ("composite", name, [(attribute, type)]).
INT, TEXT, JSONB = ("scalar", "int4"), ("scalar", "text"), ("scalar", "jsonb")
POSITIVE = ("domain", "ct_positive", INT, lambda v: v is NULL or int(v) > 0)
PAIR = ("composite", "ct_pair", [("a", INT), ("b", TEXT)])
PAIR_DOMAIN = ("domain", "ct_pair_domain", PAIR, lambda v: True)
MATRIX = ("domain", "ct_matrix", ("array", INT), lambda v: True)
DEEP = ("composite", "ct_deep", [("pair", PAIR), ("pairs", ("array", PAIR)), ("n", POSITIVE), ("doc", JSONB),
                                 ("docs", ("array", JSONB)), ("id", ("scalar", "mongo_tail.objectid")), ("Odd.Näme", TEXT)])
TYPES = [("scalar", name) for name in SCALARS] + [
    ("array", INT), ("array", TEXT), ("array", JSONB), ("array", ("scalar", "mongo_tail.objectid")),
    ("array", ("scalar", "timestamptz")), POSITIVE, ("array", POSITIVE), PAIR, ("array", PAIR), PAIR_DOMAIN,
    ("array", PAIR_DOMAIN), MATRIX, ("array", MATRIX)]

CREATE = """
    DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citext') THEN CREATE EXTENSION citext; END IF;
    END $$;
    CREATE TYPE ct_mood AS ENUM ('ok', 'sad');
    CREATE DOMAIN ct_positive AS int4 CHECK (VALUE > 0);
    CREATE TYPE ct_pair AS (a int4, gone int, b text);
    ALTER TYPE ct_pair DROP ATTRIBUTE gone;
    CREATE DOMAIN ct_pair_domain AS ct_pair;
    CREATE DOMAIN ct_matrix AS int4[];
    CREATE TYPE ct_deep AS (pair ct_pair, pairs ct_pair[], n ct_positive, doc jsonb, docs jsonb[],
                            id mongo_tail.objectid, "Odd.Näme" text)"""


def sql_name(type_):
    return sql_name(type_[1]) + "[]" if type_[0] == "array" else type_[1]


# The reference


def exact(value):
    """A number as a Fraction, or 'nan', 'inf', '-inf'; a mismatch for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal128)):
        raise Mismatch("22018")
    if isinstance(value, Decimal128):
        value = value.to_decimal()
        if not value.is_finite():
            return "nan" if value.is_nan() else "-inf" if value < 0 else "inf"
    elif value != value:
        return "nan"
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    return fractions.Fraction(value)


def integer(bits):
    def convert(value):
        number = exact(value)
        if isinstance(number, str) or not -2 ** 63 <= number < 2 ** 63:
            raise Mismatch("22003")
        if number.denominator != 1:
            raise Mismatch("22018")
        if not -2 ** (bits - 1) <= number < 2 ** (bits - 1):
            raise Mismatch("22003")
        return str(number)
    return convert


SPECIAL = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def floating(code):
    def convert(value):
        number = exact(value)
        if isinstance(number, str):
            return SPECIAL[number]
        try:
            # of the value, not of the number: zero has a sign
            held = struct.unpack(code, struct.pack(code, value.to_decimal() if isinstance(value, Decimal128) else value))[0]
        except OverflowError:
            raise Mismatch("22003") from None
        if held in (float("inf"), float("-inf")) or fractions.Fraction(held) != number:
            raise Mismatch("22003")
        return ("float", code, held)
    return convert


def numeric(precision=None, scale=0):
    def convert(value):
        number = exact(value)
        if isinstance(number, str):
            if precision is not None and number != "nan":
                raise Mismatch("22003")
            return SPECIAL[number]
        if isinstance(value, Decimal128):
            digits = value.to_decimal()
        else:
            digits = decimal.Decimal(repr(value) if isinstance(value, float) else value)
        number = fractions.Fraction(digits)
        if precision is None:
            return ("numeric", number)
        if abs(number) >= fractions.Fraction(10) ** (precision - scale):
            raise Mismatch("22003")
        if (number * fractions.Fraction(10) ** scale).denominator != 1:
            raise Mismatch("22003")
        return ("numeric", number)
    return convert


def string(value):
    if isinstance(value, ObjectId):
        return str(value)
    if value is SYMBOL:
        return "sym"
    if not isinstance(value, str) or isinstance(value, bson.Code):
        raise Mismatch("22018")
    if "\0" in value:
        raise Mismatch("22P05")
    return value


def limited(limit, pad=False, in_bytes=False):
    def convert(value):
        text = string(value)
        if len(text.encode() if in_bytes else text) > limit:
            raise Mismatch("22001")
        return text
    return convert


def one_byte(value):
    text = string(value)
    if len(text.encode()) != 1:
        raise Mismatch("22001")
    return text


def mood(value):
    text = string(value)
    if text not in ("ok", "sad"):
        raise Mismatch("22P02")
    return text


def inet(value):
    text = string(value)
    if text != "10.0.0.1":
        raise Mismatch("22P02")
    return text + "/32"


def never(value):
    """A type that none of the strings here spells."""
    string(value)
    raise Mismatch("22P02")


def boolean(value):
    if not isinstance(value, bool):
        raise Mismatch("22018")
    return "true" if value else "false"


def bytea(value):
    if isinstance(value, ObjectId):
        return "\\x" + value.binary.hex()
    if isinstance(value, dict):
        return "\\x" + bson.encode(value).hex()
    if not isinstance(value, bytes):
        raise Mismatch("22018")
    return "\\x" + value.hex()


def as_uuid(value):
    # pymongo's Binary of subtype 0 is bytes
    if not isinstance(value, Binary) or value.subtype not in (3, 4) or len(value) != 16:
        raise Mismatch("22018")
    return str(uuid.UUID(bytes=bytes(value)))


def moment(suffix, unit_ms=1):
    # What Python's years do not reach
    edges = {9224318015999999: "294276-12-31 23:59:59.999{}", -210866803200000: "4714-11-24 00:00:00{} BC"}

    def convert(value):
        if not isinstance(value, bson.DatetimeMS):
            raise Mismatch("22018")
        ms = int(value)
        if not -210866803200000 <= ms <= 9224318015999999 or ms % unit_ms:
            raise Mismatch("22008")
        if ms in edges:
            return edges[ms].format(suffix)
        text = (EPOCH + datetime.timedelta(milliseconds=ms)).strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".")
        return text + suffix
    return convert


def day(value):
    text = moment("", 86400000)(value)
    return text.replace(" 00:00:00", "")


def objectid(value):
    if not isinstance(value, ObjectId):
        raise Mismatch("22018")
    return str(value)


def cluster_time(value):
    if not isinstance(value, bson.Timestamp):
        raise Mismatch("22018")
    return f"{value.time}.{value.inc}"


class Number:
    """A number of JSON by value: jsonb prints its own digits of them, of a double any that read back as it."""

    def __init__(self, digits):
        self.digits = digits

    def __eq__(self, other):
        a, b = (fractions.Fraction(decimal.Decimal(n.digits)) for n in (self, other))
        is_double = any(set(n.digits) & set(".e") for n in (self, other))
        return a == b or is_double and float(a) == float(b)


def from_json(text):
    return json.loads(text, parse_float=Number, parse_int=Number)


def extended(value):
    if isinstance(value, Raw):
        return value.shown
    if isinstance(value, list):
        return [extended(v) for v in value]
    if isinstance(value, dict):
        return {k: extended(v) for k, v in value.items()}
    if isinstance(value, str) and not isinstance(value, bson.Code):
        return value.replace("\0", "\ufffd")
    text = json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS)
    return from_json(text)


def as_json(value):
    return ("json", extended(value))


CONVERT = {
    "bool": boolean, "int2": integer(16), "int4": integer(32), "int8": integer(64), "float4": floating("<f"),
    "float8": floating("<d"), "numeric": numeric(), "numeric(4,1)": numeric(4, 1), "numeric(3,-2)": numeric(3, -2),
    "text": string, "varchar": string, "varchar(2)": limited(2), "char(4)": limited(4), '"char"': one_byte,
    "name": limited(63, in_bytes=True), "bytea": bytea, "uuid": as_uuid, "timestamptz": moment("+00"),
    "timestamptz(1)": moment("+00", 100), "timestamp": moment(""), "timestamp(0)": moment("", 1000), "date": day,
    "json": as_json, "jsonb": as_json, "mongo_tail.objectid": objectid, "mongo_tail.cluster_time": cluster_time,
    "ct_mood": mood, "inet": inet, "citext": string, "bit(3)": never,
}


def shape(values, type_, depth):
    """The lengths of a rectangular array and its leaves."""
    base = type_
    while base[0] == "domain":
        base = base[2]
    holds_arrays = base[0] == "array" or base[1] in ("json", "jsonb")
    nested = [isinstance(v, list) and not holds_arrays for v in values]
    if depth >= 6 or any(nested) and not all(nested):
        raise Mismatch("22018")
    if not any(nested):
        return [len(values)], [reference(v, type_) for v in values]
    parts = [shape(v, type_, depth + 1) for v in values]
    if any(lengths != parts[0][0] for lengths, _ in parts) or parts[0][0][0] == 0:
        raise Mismatch("22018")
    return [len(values)] + parts[0][0], [leaf for _, leaves in parts for leaf in leaves]


def array(value, type_):
    if not isinstance(value, list):
        raise Mismatch("22018")
    lengths, leaves = shape(value, type_, 0)
    return ("array", lengths if leaves else [], leaves)


def composite(value, attributes):
    if not isinstance(value, dict):
        raise Mismatch("22018")
    # In the order of the document, since the first mismatch is the one that is told.
    found = {name: reference(value[name], type_) for name in value for n, type_ in attributes if n == name}
    return ("composite", [found[n] if n in found else reference(Missing, t) for n, t in attributes])


class Violation(Exception):
    pass


def reference(value, type_):
    if type_[0] == "domain":
        result = reference(value, type_[2])
        if not type_[3](result):
            raise Violation
        return result
    if value is Missing or value is None or value is UNDEFINED:
        return NULL
    if type_[0] == "array":
        return array(value, type_[1])
    if type_[0] == "composite":
        return composite(value, type_[2])
    return CONVERT[type_[1]](value)


# What PostgreSQL prints, in the reference's terms


def split(text, opening, closing):
    """The elements of an array or record as text, None for NULL, or a nested list of an array's."""
    assert text[0] == opening and text[-1] == closing, text
    items, at = [], 1
    while at < len(text) - 1 or text[at - 1] == "," or text == "()":
        quoted, item, nested = False, [], None
        if text[at] == "{" and opening == "{":
            depth, start, in_quotes = 0, at, False
            while True:
                c = text[at]
                if c == "\\":
                    at += 1
                elif c == '"':
                    in_quotes = not in_quotes
                elif not in_quotes:
                    depth += (c == "{") - (c == "}")
                at += 1
                if depth == 0:
                    break
            nested = split(text[start:at], "{", "}")
        else:
            in_quotes = False
            while in_quotes or text[at] not in ("," + closing):
                c = text[at]
                if c == "\\":
                    at += 1
                    item.append(text[at])
                elif c == '"' and in_quotes and opening == "(" and text[at + 1] == '"':
                    at += 1
                    item.append('"')
                elif c == '"':
                    in_quotes, quoted = not in_quotes, True
                else:
                    item.append(c)
                at += 1
        word = "".join(item)
        null = not quoted and (word == "NULL" if opening == "{" else word == "")
        items.append(nested if nested is not None else None if null else word)
        at += 1
        if text[at - 1] == closing:
            break
    return items


def matches(text, expected, type_):
    """Is that text the expected value?"""
    if type_[0] == "domain":
        return matches(text, expected, type_[2])
    if text is None or expected is NULL:
        return text is None and expected is NULL
    if type_[0] == "array":
        _, lengths, leaves = expected
        items, got = ([] if text == "{}" else split(text, "{", "}")), []
        while items and isinstance(items[0], list):
            got.append(len(items))
            if len({len(item) for item in items}) != 1:
                return False
            items = [i for item in items for i in item]
        got.append(len(items))
        sizes, product = [], 1
        for length in lengths:
            product *= length
            sizes.append(product)
        return (got == sizes if leaves else items == []) and len(items) == len(leaves) and \
            all(matches(i, e, type_[1]) for i, e in zip(items, leaves))
    if type_[0] == "composite":
        items = split(text, "(", ")")
        return len(items) == len(type_[2]) and all(matches(i, e, t) for i, e, (_, t) in zip(items, expected[1], type_[2]))
    if type_[1] == "bool":
        return text in (expected, expected[0])
    if isinstance(expected, str):
        return text == (expected.ljust(4) if type_[1] == "char(4)" else expected)
    if expected[0] == "float":
        return struct.pack(expected[1], float(text)) == struct.pack(expected[1], expected[2])
    kind, value = expected
    if kind == "numeric":
        return fractions.Fraction(decimal.Decimal(text)) == value
    return from_json(text) == value


INNER_MISMATCHES = {"22018", "22003", "22008", "22001", "22P02", "22P05"}


# Documents


def raw_document(id_, value):
    """{_id: id_, v: value} with values that pymongo does not write."""
    body = bson.encode({"_id": id_})[4:-1]
    if isinstance(value, Raw):
        body += bytes([value.kind]) + b"v\0" + value.payload
    elif value is not Missing:
        body += bson.encode({"v": value})[4:-1]
    return RawBSONDocument(struct.pack("<i", len(body) + 5) + body + b"\0")


@pytest.fixture(scope="module")
def types(pg_server, database, server):
    with pg_server.connect(database) as connection:
        connection.execute(CREATE)


@pytest.fixture
def pg(pg, types):
    pg.execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET extra_float_digits = 1; SET bytea_output = 'hex'")
    return pg


def create_table(pg, name, columns, database, collection, **options):
    listed = ", ".join(f"{k} '{v}'" for k, v in {"database": database, "collection": collection, **options}.items())
    pg.execute(f"DROP FOREIGN TABLE IF EXISTS {name}; CREATE FOREIGN TABLE {name} ({columns}) SERVER {SERVER} OPTIONS ({listed})")


def judge(pg, name, documents, type_, namespace):
    """Compare a strict and a lenient table over documents [(kind, value)] with the reference; returns what is wrong."""
    database, collection = namespace
    wrong = []
    create_table(pg, name, f"_id int, v {sql_name(type_)}", database, collection)
    create_table(pg, name + "_lenient", f"_id int, v {sql_name(type_)}", database, collection, on_mismatch="null")
    text = "v" if sql_name(type_) == "char(4)" else "v::text"
    for i, (kind, value) in enumerate(documents):
        try:
            expected = reference(value, type_)
        except Mismatch as mismatch:
            expected = mismatch
        except Violation:
            expected = Mismatch("23514")
        error = None
        try:
            got = pg.execute(f"SELECT {text} FROM {name} WHERE _id = {i}").fetchone()[0]
        except psycopg.Error as caught:
            error = caught
        if isinstance(expected, Mismatch):
            # which of several inner mismatches is told, is the extension's choice
            told = {expected.sqlstate} if type_[0] == "scalar" or expected.sqlstate == "23514" else INNER_MISMATCHES
            if error is None or error.sqlstate not in told:
                wrong.append((type_, value, "is", error or got, "not", expected))
                continue
            said = " ".join(filter(None, (error.diag.message_primary, error.diag.message_detail, error.diag.context)))
            if not all(part in said for part in (f'"{database}.{collection}"', f"_id {i}", 'field "v', 'column "v"')):
                wrong.append((type_, value, "says", said))
            if expected.sqlstate == "23514":
                continue
            if kind is not None and type_[0] == "scalar" and f"it is the {kind} " not in said:
                wrong.append((type_, value, "says", said, "not", kind))
            expected = NULL
        elif error is not None or not matches(got, expected, type_):
            wrong.append((type_, value, "is", error or got, "not", expected))
        try:
            got = pg.execute(f"SELECT {text} FROM {name}_lenient WHERE _id = {i}").fetchone()[0]
        except psycopg.Error as caught:
            got = caught
        if isinstance(got, psycopg.Error) or not matches(got, expected, type_):
            wrong.append((type_, value, "on_mismatch null is", got, "not", expected))
    return wrong


@pytest.mark.parametrize("type_", TYPES, ids=sql_name)
def test_every_bson_type(pg, mongo, request, type_):
    if type_[1] == "citext" and pg.execute("SELECT to_regtype('citext')").fetchone()[0] is None:
        pytest.skip("this PostgreSQL comes without citext")
    collection = mongo.collection_types.every
    if collection.estimated_document_count() != len(VALUES):
        collection.drop()
        collection.insert_many([raw_document(i, value) for i, (_, value) in enumerate(VALUES)])
    wrong = judge(pg, "every", VALUES, type_, ("collection_types", "every"))
    assert not wrong, "\n".join(map(str, wrong))


# Random types and documents


def random_type(rng, depth, made):
    kind = rng.choice(["scalar"] * 3 + (["array", "composite", "composite", "domain"] if depth else []))
    if kind == "scalar":
        return ("scalar", rng.choice(["int4", "int8", "float8", "numeric", "text", "bool", "jsonb", "bytea", "timestamptz",
                                      "mongo_tail.objectid", "uuid", "varchar(2)", "ct_mood", '"char"']))
    if kind == "array":
        inner = random_type(rng, depth - 1, made)
        while inner[0] == "array":
            inner = random_type(rng, depth - 1, made)
        return ("array", inner)
    name = f"cr_{len(made)}"
    made.append(name)
    if kind == "domain":
        inner = random_type(rng, depth - 1, made)
        made.append(f"CREATE DOMAIN {name} AS {sql_name(inner)}")
        return ("domain", name, inner, lambda v: True)
    attributes = [(attribute, random_type(rng, depth - 1, made))
                  for attribute in rng.sample(["a", "b", "c", "_id", "Ä", "x y", "d.e", "0"], rng.randrange(1, 5))]
    listed = ", ".join(f'"{attribute}" {sql_name(type_)}' for attribute, type_ in attributes)
    made.append(f"CREATE TYPE {name} AS ({listed})")
    return ("composite", name, attributes)


GOOD = {"int4": [0, 1.0, Int64(-5), Decimal128("3")], "int8": [Int64(2 ** 60), 1], "float8": [0.1, 1, -1e300],
        "numeric": [Decimal128("1.50"), 0.1, 7], "text": ["", "NULL", 'a,"b"\\', "(x)", "{y}", "ä b", " ", OID],
        "bool": [True, False], "jsonb": [{"a": [1, None]}, [1, [2]], "x", 5, True, OID, {}, []],
        "bytea": [b"\0", b"", OID, {"a": 1}], "timestamptz": [date(0), date(1357017420123), date(-1)],
        "mongo_tail.objectid": [OID, ObjectId("0" * 24)], "uuid": [Binary(UUID.bytes, 4)], "varchar(2)": ["äb", ""],
        "ct_mood": ["ok", "sad"], '"char"': ["x", "(", '"', ","]}


def random_value(rng, type_, wrong):
    """A value for a type; with probability wrong, at each place, one that may not convert."""
    if rng.random() < wrong:
        value = rng.choice(VALUES)[1]
        return None if isinstance(value, Raw) or value is Missing else value
    if rng.random() < 0.1:
        return None
    if type_[0] == "scalar":
        return rng.choice(GOOD[type_[1]])
    if type_[0] == "domain":
        return random_value(rng, type_[2], wrong)
    if type_[0] == "composite":
        names = [(n, t) for n, t in type_[2] if rng.random() < 0.8]
        rng.shuffle(names)
        fields = {n: random_value(rng, t, wrong) for n, t in names}
        return {**({"extra": 1} if rng.random() < 0.3 else {}), **fields, **({"z": [1]} if rng.random() < 0.3 else {})}

    def level(lengths):
        if not lengths:
            return random_value(rng, type_[1], wrong)
        return [level(lengths[1:]) for _ in range(lengths[0])]
    value = level([rng.randrange(1, 4) for _ in range(rng.choice([1, 1, 1, 2, 3]))])
    return [] if rng.random() < 0.1 else value


def test_random_types(pg, mongo, fresh_namespace, rng):
    wrong = []
    for i in range(60):
        made = []
        type_ = random_type(rng, 3, made)
        for statement in made:
            if statement.startswith("CREATE"):
                pg.execute(statement)
        documents = [(None, random_value(rng, type_, rng.choice([0, 0.05, 0.3]))) for _ in range(12)]
        mongo[fresh_namespace][f"c{i}"].insert_many([raw_document(n, v) for n, (_, v) in enumerate(documents)])
        wrong += judge(pg, "random", documents, type_, (fresh_namespace, f"c{i}"))
        pg.execute("DROP FOREIGN TABLE random, random_lenient")
        for statement in reversed(made):
            if statement.startswith("CREATE"):
                pg.execute("DROP " + " ".join(statement.split()[1:3]))
    assert not wrong, "\n".join(map(str, wrong))


# What the tables above do not say


def test_a_mismatch_names_the_inner_field(pg, mongo, fresh_namespace):
    mongo[fresh_namespace].c.insert_one({"_id": OID, "d": {"v": {"pairs": [{"a": 1}, {"b": [5]}]}}})
    create_table(pg, "inner_field", "deep ct_deep OPTIONS (field 'd.v')", fresh_namespace, "c")
    with pytest.raises(psycopg.errors.InvalidCharacterValueForCast) as caught:
        pg.execute("SELECT * FROM inner_field")
    diag = caught.value.diag
    assert diag.message_primary == \
        f'cannot convert field "d.v.pairs.1.b" of a document of "{fresh_namespace}.c" to column "deep"'
    assert diag.message_detail == f'In the document with _id {{"$oid": "{OID}"}} it is the array [5]; ' \
        'the column has type ct_deep, there text, which reads only strings.'


def test_on_mismatch_of_server_table_and_column(pg, mongo, mongo_server, fresh_namespace, new_server):
    """The column has the last word, then the table, then the server."""
    mongo[fresh_namespace].c.insert_one({"_id": 1, "v": "x"})
    for server, table, column in itertools.product(["error", "null", None], repeat=3):
        name = f"mismatch_{server}_{table}_{column}".lower()
        new_server(pg, name, mongo_server.uri, **({"on_mismatch": server} if server else {}))
        pg.execute(f"""CREATE FOREIGN TABLE {name} (_id int, v int {f"OPTIONS (on_mismatch '{column}')" if column else ""})
            SERVER {name} OPTIONS (database '{fresh_namespace}', collection 'c' {f", on_mismatch '{table}'" if table else ""})""")
        if (column or table or server) == "null":
            assert pg.execute(f"SELECT * FROM {name}").fetchall() == [(1, None)], name
        else:
            with pytest.raises(psycopg.errors.InvalidCharacterValueForCast):
                pg.execute(f"SELECT * FROM {name}")
        pg.execute(f"DROP SERVER {name} CASCADE")


def test_whole_documents(pg, mongo, fresh_namespace):
    document = {"_id": 5, "pair": {"a": 1, "b": "x"}, "n": 7, "Odd.Näme": "y"}
    mongo[fresh_namespace].c.insert_one(document)
    create_table(pg, "whole", "a ct_deep OPTIONS (field '$'), b bytea OPTIONS (field '$'), c jsonb OPTIONS (field '$'), "
                              "pair ct_pair", fresh_namespace, "c")
    row = pg.execute("SELECT a::text, b, c, (pair).b, (a).pair.a FROM whole").fetchone()
    assert row == ('("(1,x)",,7,,,,y)', bson.encode(document), document, "x", 1)


def test_the_first_of_two_fields_counts(pg, mongo, fresh_namespace):
    inner = bson.encode({"a": 1})[4:-1] + bson.encode({"b": "x"})[4:-1] + bson.encode({"a": 2})[4:-1]
    inner = struct.pack("<i", len(inner) + 5) + inner + b"\0"
    mongo[fresh_namespace].c.insert_one(raw_document(1, Raw(0x03, inner, None)))
    create_table(pg, "twice", "v ct_pair", fresh_namespace, "c")
    assert pg.execute("SELECT v::text FROM twice").fetchone() == ("(1,x)",)


def test_domains_of_missing_attributes_hold(pg, mongo, fresh_namespace):
    pg.execute("CREATE DOMAIN ct_present AS text NOT NULL; CREATE TYPE ct_holds AS (a int, p ct_present)")
    mongo[fresh_namespace].c.insert_many([{"_id": 1, "v": {"a": 1, "p": "x"}}, {"_id": 2}, {"_id": 3, "v": {"a": 1}}])
    create_table(pg, "holds", "_id int, v ct_holds", fresh_namespace, "c")
    assert pg.execute("SELECT v::text FROM holds WHERE _id < 3").fetchall() == [("(1,x)",), (None,)]
    with pytest.raises(psycopg.errors.NotNullViolation) as caught:
        pg.execute("SELECT v FROM holds WHERE _id = 3")
    assert "_id 3" in caught.value.diag.context


@pytest.mark.parametrize("type_name, hint", [
    ("interval", "make the interval"), ("time", "timestamptz or text"), ("timetz", "timestamptz or text"),
    ("money", "numeric"), ("oid", "inside PostgreSQL"), ("regclass", "inside PostgreSQL"), ("pg_lsn", "inside PostgreSQL"),
    ("int4range", "jsonb or text"), ("interval[]", "make the interval"), ("oidvector", "inside PostgreSQL"),
    ("xid8", "inside PostgreSQL"), ("ct_refused", "make the interval"), ("ct_refused[]", "make the interval")])
def test_refused_types(pg, type_name, hint):
    pg.execute("DROP TYPE IF EXISTS ct_refused CASCADE; CREATE TYPE ct_refused AS (a int, i interval)")
    create_table(pg, "refused", f"v {type_name}, a int", "nowhere", "c")
    with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
        pg.execute("SELECT v FROM refused")
    assert 'column "v"' in caught.value.diag.message_primary and hint in caught.value.diag.message_hint
    if type_name.startswith("ct_refused"):
        assert 'attribute "i" has type interval' in caught.value.diag.message_primary
    # The other columns do not mind.
    assert pg.execute("SELECT a FROM refused").fetchall() == []


def test_objectid_conditions(pg, mongo, fresh_namespace):
    oids = sorted(ObjectId() for _ in range(50))
    strings = [{"_id": str(oid)} for oid in oids]
    mongo[fresh_namespace].c.insert_many([{"_id": oid, "ref": oids[i // 2]} for i, oid in enumerate(oids)] + strings)
    create_table(pg, "by_id", "_id mongo_tail.objectid, ref mongo_tail.objectid", fresh_namespace, "c", on_mismatch="null")

    def ids(clause, *parameters):
        return sorted(row[0] for row in pg.execute(f"SELECT _id::text FROM by_id WHERE {clause}", parameters))
    texts = [str(oid) for oid in oids]
    assert ids("_id = %s", texts[7]) == [texts[7]]
    assert ids("_id IN (%s, %s)", texts[7], texts[9]) == [texts[7], texts[9]]
    assert ids("_id = ANY (%s::mongo_tail.objectid[])", texts[3:6]) == texts[3:6]
    assert ids("_id > %s AND _id <= %s", texts[7], texts[9]) == texts[8:10]
    assert ids("_id < %s OR _id >= %s", texts[2], texts[48]) == texts[:2] + texts[48:]
    assert ids("_id <> %s", texts[7]) == texts[:7] + texts[8:]
    assert ids("ref = _id AND _id = %s", texts[0]) == [texts[0]]
    plan = "\n".join(row[0] for row in pg.execute(f"EXPLAIN (VERBOSE) SELECT FROM by_id WHERE _id = '{texts[7]}'"))
    assert f'{{ "$oid" : "{texts[7]}" }}' in plan
    got = pg.execute("SELECT count(*) FROM by_id a JOIN by_id b ON a._id = b.ref").fetchone()
    assert got == (50,)
    assert pg.execute("SELECT min(_id)::text, max(_id)::text FROM by_id").fetchone() == (texts[0], texts[-1])


def test_objectids_in_binary(pg):
    """What a client sends and receives in binary."""
    pg.execute("CREATE TABLE binary_ids (id mongo_tail.objectid)")
    with pg.cursor() as cursor:
        with cursor.copy("COPY binary_ids FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["bytea"])
            copy.write_row([OID.binary])
        assert cursor.execute("SELECT id::text FROM binary_ids").fetchall() == [(str(OID),)]
        cursor.execute("SELECT id FROM binary_ids", binary=True)
        assert cursor.pgresult.get_value(0, 0) == OID.binary
        with pytest.raises(psycopg.errors.ProtocolViolation):
            with cursor.copy("COPY binary_ids FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(["bytea"])
                copy.write_row([OID.binary[:11]])


def rss_anon_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def test_memory_is_constant(pg, mongo, fresh_namespace):
    """Composites, arrays, domains and text of a million rows leave nothing behind, nor do mismatches."""
    documents = [{"_id": i, "v": {"pair": {"a": i, "b": "x" * 50}, "pairs": [{"a": 1, "b": "y"}] * 3, "n": 1,
                                  "doc": {"k": [1, 2]}, "docs": [{"k": 1}, 2], "id": OID, "Odd.Näme": "z"},
                  "p": {"a": "no"}, "m": [[1, 2], [3, 4]], "i": "10.0.0.1", "d": Decimal128("1.5")} for i in range(5000)]
    mongo[fresh_namespace].c.insert_many(documents)
    create_table(pg, "flat", "_id int, v ct_deep, p ct_pair, m int[], ds ct_pair_domain[] OPTIONS (field 'v.pairs'), "
                             "i inet, d numeric, whole bytea OPTIONS (field '$'), j jsonb OPTIONS (field '$')",
                 fresh_namespace, "c", on_mismatch="null")
    pid = pg.info.backend_pid

    def scan(times):
        # A join without pushdown is one scan of the collection, again and again.
        return pg.execute(f"""SELECT count((f.v).pairs), count(f.p), sum(cardinality(f.m)), count(f.ds), count(f.i),
            count(f.d), count(f.whole), count(f.j) FROM generate_series(1, {times}) g, LATERAL
            (SELECT * FROM flat WHERE g > 0 OFFSET 0) f""").fetchone()
    assert scan(5) == (25000, 0, 100000, 25000, 25000, 25000, 25000, 25000)
    before = rss_anon_kb(pid)
    assert scan(200)[0] == 1000000
    assert rss_anon_kb(pid) - before < 2048


def test_another_encoding(pg_server, unused_name, mongo, mongo_server, fresh_namespace, new_server):
    """In a database of LATIN1 names and text are converted, and what it lacks is a mismatch like any other."""
    name = unused_name("latin1_types_")
    with pg_server.connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    mongo[fresh_namespace]["cöll"].insert_many([
        {"_id": 0, "n": 0, "v": {"ä": "ü", "e": "ß"}, "t": "é", "c": "x", "j": {"k": "é"}, "né": "x"},
        {"_id": "東", "n": 1, "v": {"ä": "東", "e": "ß"}, "t": "x東", "c": "東", "j": {"k": 1}},
        {"_id": 2, "n": 2, "v": {"e": "東"}, "t": "", "c": "é"}])
    try:
        with pg_server.connect(name) as pg:
            pg.execute("SET client_encoding = 'UTF8'; CREATE EXTENSION mongo_tail; CREATE TYPE en AS ENUM ('ß'); CREATE TYPE co AS (ä text, e en)")
            new_server(pg, SERVER, mongo_server.uri)
            columns = "n int, v co, t text, c \"char\", j jsonb, f int OPTIONS (field 'né')"
            create_table(pg, "lenient", columns, fresh_namespace, "cöll", on_mismatch="null")
            create_table(pg, "strict", columns, fresh_namespace, "cöll")
            assert pg.execute("SELECT v::text, t, c, j FROM lenient ORDER BY n").fetchall() == [
                ("(ü,ß)", "é", "x", {"k": "é"}), (None, None, None, {"k": 1}), (None, "", None, None)]
            for column, place, sqlstate in (("v", "v.ä", "22P05"), ("t", "t", "22P05"), ("c", "c", "22P05")):
                with pytest.raises(psycopg.Error) as caught:
                    pg.execute(f"SELECT {column} FROM strict WHERE n = 1")
                assert caught.value.sqlstate == sqlstate
                assert f'field "{place}" of a document of "{fresh_namespace}.cöll"' in caught.value.diag.message_primary
            with pytest.raises(psycopg.errors.InvalidCharacterValueForCast) as caught:
                pg.execute("SELECT f FROM strict WHERE n = 0")
            assert 'field "né" of a document' in caught.value.diag.message_primary
    finally:
        with pg_server.connect("postgres") as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
