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
from bson import Binary, Decimal128, Int64, ObjectId, json_util
from bson.codec_options import DatetimeConversion
from bson.raw_bson import RawBSONDocument
from psycopg import errors

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


def ill_formed(text):
    """A string that is no UTF-8."""
    return ("raw", 0x02, struct.pack("<i", len(text) + 1) + text + b"\0")


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
    "i": [n for n in NUMBERS if isinstance(n, int)] + [
        2.5, -0.5, 3.0, -0.0, 2.0 ** 31, 2.0 ** 53, 2.0 ** 63, -2.0 ** 63, 1e300, NAN, INF, Decimal128("3"), Decimal128("3.0"),
        Decimal128("3E+2"), Decimal128("3.7"), Decimal128("0.5"), Decimal128("-7.5"), Decimal128("9223372036854775807"),
        Decimal128("9223372036854775808"), Decimal128("-9223372036854775808"), Decimal128("NaN"), Decimal128("-Infinity"),
        Decimal128("1E-6000"), Decimal128("1E+6000"), Decimal128("2147483648")],
    "f": [n for n in NUMBERS if isinstance(n, float)] + [
        Int64(2 ** 53), Int64(2 ** 53 + 1), Int64(2 ** 63 - 1), Decimal128("0.1"), Decimal128("0.5"), Decimal128("NaN"),
        Decimal128("-Infinity"), Decimal128("1E+6000"), Decimal128("1E-6000"), Decimal128("-0"), Decimal128("3.0")],
    "n": NUMBERS,
    "s": STRINGS + OBJECT_IDS + [("symbol", "a"), ("symbol", "z"), ill_formed(b"a\xff"), ill_formed(b"\xed\xa0\x80"),
                                 ill_formed(b"z\xc3"), bson.Regex("^[^\\x00]*+\\z", "s")],
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
TAGS = [[], ["a"], ["a", "b"], ["b", None], [None], ["z", "a", "z"], [["a", "b"], ["b", "z"]], [["a"]], ["a", ["b"]], [[]],
        [["a"], ["b", "z"]], [[["a"]]], "a", OBJECT_IDS[1], [OBJECT_IDS[1]], ["65a1b2c3d4e5f60718293a4b"], [5], [5.0, Int64(7)],
        [0.5], [Decimal128("5"), NAN], [[5, 7], [1, 2]], [{"0": "a"}], [{"0": ["a"]}], ["a\0b"], ["abcd"], [Int64(2 ** 40)], {"0": ["a"]}]
BYTES = [*(Binary(b"a", subtype) for subtype in (0, 1, 3, 5, 8, 9, 100, 128, 129, 255)), Binary(b"a", 2), Binary(b"", 0), Binary(b"\0", 7),
         Binary(b"\0\0", 0), ObjectId(b"abcdefghijkl"), Binary(b"abcdefghijkl", 0), {}, {"a": 1}, Binary(bson.encode({"a": 1}), 0),
         Binary(b"x" * 300, 4)]
JSON = [5, 5.0, 5.5, 0.1, -0.0, Int64(5), Int64(2 ** 53 + 1), 2.0 ** 53, 2.0 ** 63, 1e22, 1e300, NAN, Decimal128("5"), True, False, None,
        "", "5", "5.0", "a", "true", "k", "j", "null", "v\n", "a\ufffd", "a\0", "{}", OBJECT_IDS[1], utc("1970-01-01"), {}, [],
        {"k": 5}, {"j": 5}, {"j": "a"}, {"k": {"j": 5}}, {"k": [5]}, {"k": [5, "a"]}, {"k": None}, [5], ["k"], [[5]], [{"k": 5}],
        [{"j": 5}, {"j": "a"}], {"j": [{"k": 5}]}, {"0": 5}, [[{"k": 5}]], {"k": {"k": "a"}}, {"j": True, "k": "j"}, {"k.j": 5}, {"": 5},
        [5, 7, "a"], {"j": [1, {"k": "a"}]}, [[5], 7], [[[5]]], [[{"k": 5}], "a"], [[[{"k": 5}]]], {"k": [[5]]}, {"k": [[{"j": 5}]]}, {"k": [[[{"j": 5}]]]},
        [{"k": [[5]]}], {"k": [{"j": [[5, "a"]]}]}, {"k": [{"j": 5}, {"j": 7}]}, [[{"k": 5}], {"k": 7}], {"k": {"j": None}}, {"k": [None]}, {"k": False}, {"-1": 5}, {"\u00e9": 5}, ["k", None], {"k": Int64(2 ** 53 + 1)}, {"k": "5"}, {"k": 5.0}]
POOLS.update(g=TAGS, h=BYTES, m=JSON)
# What every column of its field converts: the table of on_mismatch 'error' can read all of it.
CLEAN = {
    "i": [0, 1, -1, 5, 7, 32767, -32768, Int64(5), 5.0, Decimal128("7"), -0.0],
    "f": [0.5, -0.0, 3, 1.5, NAN, INF, -INF, Decimal128("0.5"), 2.0 ** 53],
    "n": NUMBERS,
    "s": [s for s in STRINGS if "\0" not in s and len(s) < 100] + OBJECT_IDS + [("symbol", "a")],
    "b": [True, False],
    "t": [utc(text) for text in DATES if " " not in text],
    "u": [Binary.from_uuid(u) for u in UUIDS] + [Binary(u.bytes, 3) for u in UUIDS],
    "g": [[], ["a"], ["a", "b"], ["b", None], [["a", "b"], ["b", "z"]], [["a"]], ["z", "a", "z"]],
    "h": BYTES,
    "m": JSON,
}
CLEAN_NESTED = [v for v in NESTED if v not in ({"y": "a"}, {"y": [5]}, {"y": [None]}, {"y": {"z": 5}}, {"y": 7.5},
                                               {"y": {"z": None}}, {"y": [{"z": 5}]}, [["a"]], [[5], {"0": None}],
                                               [1], [{"y": 5}], [{"y": 5}, {"y": None}], [{"0": "a"}])]

COLUMNS = """k integer NOT NULL, id text OPTIONS (field '_id') COLLATE "C",
    i2 smallint OPTIONS (field 'i'), i4 integer OPTIONS (field 'i'), i8 bigint OPTIONS (field 'i'),
    f4 real OPTIONS (field 'f'), f8 double precision OPTIONS (field 'f'), n numeric, n2 numeric(20, 2) OPTIONS (field 'n'),
    s text, c text OPTIONS (field 's') COLLATE "C", v varchar OPTIONS (field 's') COLLATE "C",
    e text OPTIONS (field 's') COLLATE "en-x-icu", ci text OPTIONS (field 's') COLLATE mt_scan_ci,
    v3 varchar(3) OPTIONS (field 's'), v25 varchar(25) OPTIONS (field 's') COLLATE "C", bp char(3) OPTIONS (field 's'),
    bp30 char(30) OPTIONS (field 's'), en mt_judge_mood OPTIONS (field 's'), o mongo_tail.objectid OPTIONS (field 's'),
    dom mt_judge_text OPTIONS (field 's'), t1 timestamptz(1) OPTIONS (field 't'),
    g text[], gv varchar(3)[] OPTIONS (field 'g'), gi integer[] OPTIONS (field 'g'), gn numeric[] OPTIONS (field 'g'),
    h bytea, jh jsonb OPTIONS (field 'h'), m jsonb, mj json OPTIONS (field 'm'), mk jsonb OPTIONS (field 'm.k'),
    ji jsonb OPTIONS (field 'i'), jf jsonb OPTIONS (field 'f'), jn jsonb OPTIONS (field 'n'), js jsonb OPTIONS (field 's'),
    jb jsonb OPTIONS (field 'b'), jt jsonb OPTIONS (field 't'), ju jsonb OPTIONS (field 'u'),
    jid jsonb OPTIONS (field '_id'), jxy jsonb OPTIONS (field 'x.y'), jxz jsonb OPTIONS (field 'x.y.z'),
    jx0 jsonb OPTIONS (field 'x.0'),
    b boolean, t timestamptz, ts timestamp OPTIONS (field 't'), d date OPTIONS (field 't'), u uuid,
    x jsonb, xy integer OPTIONS (field 'x.y'), xz integer OPTIONS (field 'x.y.z'), x0 text OPTIONS (field 'x.0'),
    doc jsonb OPTIONS (field '$')"""
# The other columns of the same fields, where these do not convert, would be errors.
MISMATCHED = ["f4", "n2", "v3", "v25", "bp", "bp30", "en", "o", "t1", "gv", "gi", "gn"]

LABELS = ["b", "a", "f" * 24, "ab", "A", "5", "65a1b2c3d4e5f60718293a4b", "a ", ""]

INTEGERS = ["0", "1", "-1", "5", "7", "32767", "-32768"]
LARGE = ["2147483647", "-2147483648", "2147483648", "9007199254740993", "9223372036854775807", "-9223372036854775808"]
FLOATS = ["0", "-0", "0.5", "1.5", "3", "0.1", "0.3", "0.30000000000000004", "1e300", "5e-324", "NaN", "Infinity",
          "-Infinity", "9007199254740992", "1e22"]
NUMERICS = FLOATS + LARGE + ["0.10000000000000001", "0.1000000000000000055511151231257827021181583404541015625",
                             "1e400", "1e-400", "1234567890123456789012345678901234",
                             "12345678901234567890123456789012345", "3.7", "3.70", "1e23", "9007199254740992.5",
                             "1000000000000000.3", "100000000000000000000000", "99999999999999991611392",
                             "0.50000000000000000001", "2.99999999999999999999", "3.00000000000000000001"]
TIMES = DATES + ["1969-12-31 23:59:59.9985", "1970-01-01 00:00:00.0005", "2024-02-29 12:00:00.0005", "infinity",
                 "-infinity", "2024-02-28 23:59:59.999999"]
TEXTS = [s for s in STRINGS if "\0" not in s]
PATTERNS = ["%", "_", "a%", "%a", "%a%", "a", "", "a_", "_%", "%_", "a\n", "a%\n", "%b", "a%b", "%a%b%", "\\%", "a\\_%",
            "65%", "6_a%", "%b2c3%", "%4b", "f" * 24, "f" * 24 + "%", "f" * 25 + "%", "F%", "\u00e9%", "_\u0301", "%\U0001d11e",
            "x%x", "$%", "a.%", "a\\", "(%", "[a]%", "ab%ba", "a%a", "____", "%  ", "\\\\%", "^a%", "0%", "%0", "65a1%4b", "65a1%9"]
ALL_INTEGERS = (["int2", "int4", "int8"], INTEGERS)
SOME_NUMERICS = (["numeric"], INTEGERS + LARGE + ["0.5", "4.9", "5.1", "-0.5", "1e30", "-1e30", "NaN", "Infinity", "-Infinity",
                                                  "9223372036854775807.5", "-9223372036854775808.5", "32767.5"])
SOME_FLOATS = (["float4", "float8"], INTEGERS + ["0.5", "4.9", "5.1", "-0.5", "1e30", "-1e30", "NaN", "Infinity", "-Infinity",
                                                 "32767.5"])
TEXT = (["text"], TEXTS)
ALL_TIMES = (["timestamptz", "timestamptz", "timestamp", "date"], TIMES)
# near the dates, at the beginnings of units, at changes of the clocks, on the days that some zones never had
BEGINNINGS = ["1970-01-01", "1969-12-31", "1969-01-01", "2024-02-01", "2024-02-26", "2024-01-01", "2020-01-01", "2001-01-01", "1900-01-01",
              "1901-01-01", "9999-01-01", "0099-03-03", "0001-01-01", "2024-02-29", "2024-03-10 03:00", "2024-11-03", "2011-12-30",
              "2024-02-28 18:30", "2024-02-29 14:00", "infinity", "-infinity", "4713-01-01 BC", "294276-12-31"]
TIME_ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Asia/Kolkata", "Pacific/Apia", "Asia/Manila", "Africa/Monrovia",
              "FOO+100BAR-100", "<-15:59>+15:59"]
# an expression of one column: types of constants, constants
COMPARED = {
    "i2": ALL_INTEGERS,
    "i4": ALL_INTEGERS,
    "i8": (["int8"], INTEGERS + LARGE),
    "i2::numeric": SOME_NUMERICS,
    "i4::numeric": SOME_NUMERICS,
    "i8::numeric": SOME_NUMERICS,
    "i2::float8": SOME_FLOATS,
    "i4::float8": SOME_FLOATS,
    "f4": (["float4", "float8"], ["0", "0.5", "1.5", "3", "NaN", "Infinity", "-Infinity", "0.1"]),
    "f4::float8": (["float4", "float8"], ["0", "0.5", "1.5", "3", "NaN", "Infinity", "-Infinity", "0.1"]),
    "f8": (["float8"], FLOATS),
    "n": (["numeric"], NUMERICS),
    "n2": (["numeric"], NUMERICS),
    "id": TEXT,
    "s": TEXT,
    "c": TEXT,
    "v": TEXT,
    "e": TEXT,
    "ci": TEXT,
    "v3": TEXT,
    "v25": TEXT,
    "dom": TEXT,
    "bp": (["bpchar"], TEXTS),
    "bp30": (["bpchar"], TEXTS),
    "en": (["mt_judge_mood"], LABELS),
    "o": (["mongo_tail.objectid"], [str(i) for i in OBJECT_IDS] + ["65a1b2c3d4e5f60718293a4c"]),
    "b": (["bool"], ["true", "false"]),
    "t": ALL_TIMES,
    "t1": ALL_TIMES,
    "ts": (["timestamp", "date"], TIMES),
    "d": (["date", "timestamp"], [t for t in TIMES if " " not in t] + ["2024-02-29 12:00:00.001"]),
    "d::timestamp": (["timestamp"], TIMES),
    "u": (["uuid"], [str(u) for u in UUIDS]),
    "h": (["bytea"], ["a", "", "\\x00", "\\x0000", "abcdefghijkl", "\\x0500000000", "\\x" + bson.encode({"a": 1}).hex(), "x" * 300]),
    "xy": (["int4"], INTEGERS),
    "xz": (["int4"], INTEGERS),
    "x0": TEXT,
}
ARRAYS = {"g": ("text", ["a", "b", "z", "65a1b2c3d4e5f60718293a4b", ""]), "gv": ("varchar", ["a", "b", "abcd"]),
          "gi": ("int4", INTEGERS), "gn": ("numeric", INTEGERS + ["0.5", "NaN", "1099511627776"])}
JSON_KEYS = ["k", "j", "k", "j", "0", "y", "z", "\u00e9", "k.j", "$oid", ""]
JSON_TEXTS = ["5", "5.0", "5.5", "0.1", "a", "true", "k", "", "9007199254740993", "9007199254740992.0", "10000000000000000000000",
              "v\n", "a\ufffd", "{}", "null", "65a1b2c3d4e5f60718293a4b", "0.0", "-0.0", "[5]", "9223372036854775808"]
JSON_VALUES = ['5', '5.0', '"a"', 'true', 'null', '"5"', '0.1', '9007199254740993', '9007199254740992', '{}', '[]', '{"k": 5}', '{"j": 5}',
               '{"k": {"j": 5}}', '{"k": [5]}', '{"k": null}', '[5]', '["k"]', '[{"k": 5}]', '{"j": [{"k": 5}]}', '{"j": "a", "k": 5}',
               '{"$oid": "65a1b2c3d4e5f60718293a4b"}', '{"k": {"k": "a"}}', '"a\ufffd"', '{"": 5}', '{"k.j": 5}', '[[5]]', '"k"', '-0', '1e22',
               '[5, "a"]', '{"j": [{"k": "a"}]}']
LIKED = ["id", "s", "c", "v", "e", "v3", "v25", "x0", "dom"]
# where the field itself can be read: a column that is NULL while it is not has a mismatch
FIELD_OF = {"i2": "ji", "i4": "ji", "i8": "ji", "f4": "jf", "f8": "jf", "n": "jn", "n2": "jn", "id": "jid", "b": "jb", "t": "jt",
            "t1": "jt", "ts": "jt", "d": "jt", "u": "ju", "h": "jh", "xy": "jxy", "xz": "jxz", "x0": "jx0",
            **dict.fromkeys(["s", "c", "v", "e", "ci", "v3", "v25", "dom", "bp", "bp30", "en", "o"], "js")}


class Clauses:
    """Random clauses over the columns that a table has; values as constants or parameters.

    only_constants: neither parameters nor what is to be known only when it runs.
    unknown_mismatch: what they say of a column that does not convert is neither true nor false.
    """

    def __init__(self, rng, columns):
        self.rng = rng
        self.columns = columns
        self.expressions = [e for e in COMPARED if e.split("::")[0] in columns]
        self.liked = [c for c in LIKED if c in columns]
        self.nullable = [e for e in self.expressions if "::" not in e or e == "i4::numeric"] + ["x", "doc", "k"]
        self.only_constants = self.unknown_mismatch = False

    def literal(self, text, kind, parameters):
        how = self.rng.random()
        if parameters is not None and how < 0.6:
            parameters.append(text)
            return f"%s::text::{kind}"
        literal = "NULL" if text is None else "'" + text.replace("'", "''").replace("%", "%%") + "'"
        return f"(SELECT {literal}::{kind})" if how < 0.75 and not self.only_constants else f"{literal}::{kind}"

    def constant(self, expression, parameters):
        types, values = COMPARED[expression]
        kind = self.rng.choice(types)
        if self.only_constants and "timestamptz" in types:
            kind = "timestamptz"    # casts to it depend on the time zone, when the query runs
        text = None if self.rng.random() < 0.04 else self.rng.choice(values)
        return self.literal(text, kind, parameters), kind

    def array(self, values, kind, parameters):
        """These values as an array of that type, which may be one parameter, empty or NULL."""
        how = self.rng.random()
        if how < 0.9:
            return f"ARRAY[{', '.join(values(parameters))}]::{kind}[]"
        return f"'{{}}'::{kind}[]" if how < 0.95 else f"NULL::{kind}[]"

    def like(self, parameters):
        column = self.rng.choice(self.liked)
        operator = self.rng.choice(["LIKE", "LIKE", "LIKE", "NOT LIKE", "^@"])
        pattern = self.rng.choice(PATTERNS if operator != "^@" else TEXTS)
        if self.rng.random() < 0.1:
            operator = "NOT LIKE ALL" if "NOT" in operator else "LIKE ANY"
            return column, f"{column} {operator} (ARRAY[{self.literal(pattern, 'text', parameters)}, 'a%%'])"
        if self.rng.random() < 0.1 and operator != "^@":
            pattern = self.literal(pattern.replace("\\", "!"), "text", parameters) + " ESCAPE '!'"
        else:
            pattern = self.literal(pattern, "text", parameters)
        return column, f"{column} {operator} {pattern}"

    def comparison(self, parameters):
        column = self.rng.choice(self.expressions)
        value, kind = self.constant(column, parameters)
        shape = self.rng.random()
        if shape < 0.45:
            operator = self.rng.choice(["=", "=", "<", "<=", ">", ">=", "<>"])
            return column, f"{column} {operator} {value}" if self.rng.random() < 0.8 else f"{value} {operator} {column}"
        if shape < 0.53:
            return column, f"{column} BETWEEN {value} AND {self.constant(column, parameters)[0]}"
        if shape < 0.6:
            return column, f"NOT ({column} {self.rng.choice(['=', '<', '>=', '<>'])} {value})"
        if shape < 0.66:
            return column, f"{column} IS {self.rng.choice(['', 'NOT '])}DISTINCT FROM {value}"
        if shape < 0.84:
            values = [value] + [self.constant(column, parameters)[0] for _ in range(self.rng.randrange(4))]
            return column, f"{column} {self.rng.choice(['IN', 'IN', 'NOT IN'])} ({', '.join(values)})"
        array_kind = COMPARED[column][0][0] if len(set(COMPARED[column][0])) == 1 else kind
        if array_kind in ("int2", "int4", "float4") and not column.startswith(("i2", "f4")):
            array_kind = {"int2": "int4", "float4": "float8"}.get(array_kind, array_kind)
        unused = len(parameters or []) - value.startswith("%s")
        if parameters is not None:
            del parameters[unused:]
        texts = [t for t in COMPARED[column][1] if array_kind not in ("int2", "int4", "date") or " " not in t]

        def values(parameters):
            return [self.literal(None if self.rng.random() < 0.04 else self.rng.choice(texts), array_kind, parameters)
                    for _ in range(self.rng.randrange(1, 5))]

        operator = self.rng.choice(["= ANY", "= ANY", "<> ALL", "<> ALL", "< ANY", "= ALL", ">= ALL", "<> ANY"])
        if column in ("b", "bp", "bp30", "h") and operator[0] in "<>" and not operator.startswith("<>"):
            operator = "= ANY"
        return column, f"{column} {operator} ({self.array(values, array_kind, parameters)})"

    def time_function(self):
        """An expression of a column of times, and is it a year."""
        column = expression = self.rng.choice([c for c in ("t", "t", "ts", "d", "t1") if c in self.columns])
        kind = {"ts": "timestamp", "d": "date"}.get(column, "timestamptz")
        for _ in range(self.rng.choice([0, 1, 1, 1, 2])):
            unit = self.rng.choice(["second", "hour", "day", "day", "week", "month", "month", "quarter", "year", "Decade", "century", "millennium"])
            zone = self.rng.choice(TIME_ZONES)
            how = self.rng.random()
            if how < 0.4:
                expression = f"date_trunc('{unit}', {expression})"
                kind = "timestamp" if kind == "timestamp" else "timestamptz"
            elif how < 0.5 and kind != "timestamp":
                expression, kind = f"date_trunc('{unit}', {expression}, '{zone}')", "timestamptz"
            elif how < 0.6 and kind != "date":
                expression = f"({expression} AT TIME ZONE '{zone}')"
                kind = "timestamp" if kind == "timestamptz" else "timestamptz"
            else:
                kind = self.rng.choice(["date", "date", "timestamp", "timestamptz"])
                expression = f"{expression}::{kind}"
        return column, expression

    def in_time(self, parameters):
        """A comparison of a cast, date_trunc or a year of a column of times."""
        column, expression = self.time_function()
        if self.rng.random() < 0.3:
            function = self.rng.choice(["extract(year FROM {})", "extract(year FROM {})::int", "date_part('year', {})"])
            expression = function.format(expression)
            values = ["1969", "1970", "2024", "1900", "99", "9999", "-1", "0", "2023.5", "NaN", "-4713"]
            kind = "int4" if "::int" in function else "float8" if "part" in function else "numeric"
            values = [v for v in values if kind != "int4" or v.lstrip("-").isdigit()]
        else:
            kind = self.rng.choice(["timestamptz", "timestamp", "date"])
            values = BEGINNINGS + TIMES
        if self.only_constants:
            return self.comparison(None)    # as in constant()

        def value():
            text = None if self.rng.random() < 0.04 else self.rng.choice(values)
            return self.literal(text, kind, parameters)

        shape = self.rng.random()
        if shape < 0.65:
            operator = self.rng.choice(["=", "=", "=", "<", "<=", ">", ">=", "<>"])
            text = f"{expression} {operator} {value()}" if self.rng.random() < 0.8 else f"{value()} {operator} {expression}"
        elif shape < 0.75:
            text = f"{expression} BETWEEN {value()} AND {value()}"
        elif shape < 0.9:
            some = ", ".join(value() for _ in range(self.rng.randrange(1, 4)))
            text = f"{expression} {self.rng.choice(['IN', 'IN', 'NOT IN'])} ({some})"
        else:
            some = ", ".join(value() for _ in range(self.rng.randrange(1, 4)))
            text = f"{expression} {self.rng.choice(['< ANY', '= ALL', '>= ALL', '<> ANY'])} (ARRAY[{some}]::{kind}[])"
        return column, text

    def in_array(self, parameters):
        column = self.rng.choice([c for c in ARRAYS if c in self.columns])
        kind, values = ARRAYS[column]
        value = self.literal(self.rng.choice(values), kind, parameters)
        if self.rng.random() < 0.4:
            return f"{value} = ANY ({column})"
        values = [value] + [self.literal(self.rng.choice([*values, None]), kind, parameters) for _ in range(self.rng.randrange(2))]
        array = f"ARRAY[{', '.join(values)}]::{kind}[]"
        operator = self.rng.choice(["@>", "@>", "&&", "<@"])
        return f"{column} {operator} {array}" if self.rng.random() < 0.8 else f"{array} {operator} {column}"

    def chain(self):
        """(what stands somewhere in json, is it text)"""
        chain = self.rng.choice(["m", "m", "doc -> 'm'", "mk", "mj", "doc", "x"])
        for _ in range(self.rng.choice([0, 1, 1, 2])):
            key = self.rng.choice(JSON_KEYS)
            chain = self.rng.choice([f"{chain} -> '{key}'", f"{chain} -> '{key}'", f"{chain} -> {self.rng.choice([0, 1, -1])}",
                                     f"{chain} #> '{{{key or 'k'},{self.rng.choice(['j', '0', '-1', '01', 'k'])}}}'"])
            if chain.startswith("m -> 'k'") and self.rng.random() < 0.3:
                chain = chain.replace("m -> 'k'", "m['k']", 1)
        if self.rng.random() < 0.5:
            return f"({chain} ->> '{self.rng.choice(JSON_KEYS)}')", True
        return f"({chain})", False

    def in_json(self, parameters):
        chain, is_text = self.chain()
        how = self.rng.random()
        if how < 0.1:
            return f"{chain} IS NOT NULL"
        if is_text and how < 0.3:
            kind, values = self.rng.choice([("int4", INTEGERS), ("int8", INTEGERS + LARGE), ("numeric", SOME_NUMERICS[1]),
                                            ("float8", SOME_FLOATS[1])])
            # any other text could be an error of the cast
            guard = f"{chain} ~ '^-?[0-9]{{1,{4 if kind == 'int4' else 18}}}{'' if 'int' in kind else '([.][0-9]+)?'}$'"
            value = self.literal(self.rng.choice(values), kind, parameters)
            return f"{guard} AND {chain}::{kind} {self.rng.choice(['=', '<', '<=', '>', '>='])} {value}"
        if is_text:
            value = self.literal(self.rng.choice(JSON_TEXTS), "text", parameters)
            if how < 0.7:
                return f"{chain} = {value}"
            return f"{chain} IN ({value}, {self.literal(self.rng.choice(JSON_TEXTS), 'text', parameters)})"
        if "mj" in chain:
            return f"{chain} IS NOT NULL"
        if how < 0.25:
            return self.in_jsonpath()
        if how < 0.45:
            return f"{chain} = {self.literal(self.rng.choice(JSON_VALUES), 'jsonb', parameters)}"
        if how < 0.8:
            return f"{chain} @> {self.literal(self.rng.choice(JSON_VALUES), 'jsonb', parameters)}"
        key = self.literal(self.rng.choice(JSON_KEYS), "text", parameters)
        if how < 0.9:
            return f"{chain} ? {key}"
        return f"{chain} {self.rng.choice(['?|', '?&'])} ARRAY[{key}, 'j']"

    def jsonpath_steps(self, begin):
        rare = ['."0"', '."k.j"', '."$oid"', '.""', ".y", "[0]", ".*", ".size()", ".z", " ? (@ == 5)"]
        steps = [self.rng.choice([".k", ".k", ".j", "[*]"]) if self.rng.random() < 0.85 else self.rng.choice(rare)
                 for _ in range(self.rng.choice([0, 1, 1, 1, 2, 2]))]
        return begin + "".join(steps)

    def jsonpath_predicate(self, begin, depth=0):
        if depth < 2 and self.rng.random() < 0.15:
            return " && ".join(f"({self.jsonpath_predicate(begin, depth + 1)})" for _ in range(2))
        path, value = self.jsonpath_steps(begin), "5" if self.rng.random() < 0.5 else self.rng.choice(
            ["5", "5.0", "7", "-5", "0.1", "-0", "9007199254740993", "9007199254740992", "9223372036854775808", "1e22", "1e400",
             '"a"', '"a"', '"5"', '"k"', '""', '"a�"', "true", "false", "null", "null", "$", "@" if begin == "@" else "$.k"])
        operator = self.rng.choice(["==", "==", "==", "<", "<=", "<=", ">", ">=", ">=", "!="])
        text = f"{path} {operator} {value}" if self.rng.random() < 0.8 else f"{value} {operator} {path}"
        return text if self.rng.random() < 0.9 else f"!({text})" if self.rng.random() < 0.5 else f"({text}) || ({path} == 5)"

    def in_jsonpath(self):
        chain, is_text = self.chain()
        while is_text or "mj" in chain:
            chain, is_text = self.chain()
        if self.rng.random() < 0.9:
            chain = self.rng.choice(["m", "m", "m", "mk", "doc -> 'm'"])
        mode = "strict " if self.rng.random() < 0.1 else ""
        if self.rng.random() < 0.45:
            return f"{chain} @@ '{mode}{self.jsonpath_predicate('$')}'"
        path = self.jsonpath_steps("$")
        if self.rng.random() < 0.75:
            path += f" ? ({self.jsonpath_predicate('@')})" + self.rng.choice(["", "", "", ".k", ".size()"])
        return f"{chain} @? '{mode}{path}'"

    def column_leaf(self, parameters):
        shape = self.rng.random()
        if shape < 0.13:
            column = self.rng.choice(self.nullable)
            return column, f"{column} IS {self.rng.choice(['', 'NOT '])}NULL"
        if shape < 0.2:
            return "b", self.rng.choice(["b", "NOT b", "b IS TRUE", "b IS FALSE", "b IS NOT TRUE", "b IS UNKNOWN",
                                         "b IS NOT UNKNOWN", "b IS NOT FALSE", "NOT (b IS TRUE)", "(NOT b) IS FALSE"])
        if shape < 0.32:
            return self.like(parameters)
        if shape < 0.4:
            column, text = self.in_time(parameters)
            # at the ends of what a timestamp holds these are errors
            return column, f"{column} > '3000-01-01 BC' AND {column} <= '9999-12-31' AND ({text})"
        return self.comparison(parameters)

    def leaf(self, parameters):
        if self.rng.random() < 0.08:
            return self.in_array(parameters)
        if self.rng.random() < 0.12:
            return self.in_json(parameters)
        if self.rng.random() < 0.03:
            return self.rng.choice(["i8 + 1 > 5", "length(s) > 1", "s ILIKE 'A%%'", "i4 = i8", "s ~ '^a'", "(i4, i8) = (5, 5)",
                                    "x ->> 'y' = '5'", "coalesce(i4, 7) = 7", "c < s COLLATE \"C\"", "d::timestamptz = t",
                                    "f8::int = 3 AND f8 BETWEEN 0 AND 9", "(i4 > 5) IS NOT TRUE", "false", "n::float8 = 0.1"])
        column, text = self.column_leaf(parameters)
        column = column.split("::")[0]
        if not self.unknown_mismatch or column not in FIELD_OF or "('{}'" in text:
            return text
        return f"CASE WHEN {column} IS NULL AND {FIELD_OF[column]} IS NOT NULL THEN NULL ELSE ({text}) END"

    def clause(self, parameters, depth=0):
        if depth < 2 and self.rng.random() < 0.45:
            n = self.rng.randrange(2, 4)
            parts = [self.clause(parameters, depth + 1) for _ in range(n)]
            inner = f" {self.rng.choice(['AND', 'OR'])} ".join(f"({part})" for part in parts)
            return f"NOT ({inner})" if self.rng.random() < 0.15 else inner
        leaf = self.leaf(parameters)
        return f"NOT ({leaf})" if self.rng.random() < 0.1 else leaf


def document_of(document_id, name, value):
    """{_id, name: value}, where the value may be one that Python has none for."""
    if not isinstance(value, tuple):
        return {"_id": document_id, name: value}
    return with_raw({"_id": document_id}, raw_element(name, value))


def raw_element(name, value):
    if value[0] == "undefined":
        return undefined(name)
    return symbol(name, value[1]) if value[0] == "symbol" else element(value[1], name, value[2])


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
        if isinstance(value, tuple):
            raw.append(raw_element(name, value))
        else:
            document[name] = value
    if rng.random() < 0.05:
        raw.append(element(0x10, "i", struct.pack("<i", 5)))    # perhaps a second i
    if rng.random() < 0.05:
        twice = bson.encode({"k": 5})[4:-1] + bson.encode({"k": "a"})[4:-1]
        raw.append(element(0x03, "m", struct.pack("<i", len(twice) + 5) + twice + b"\0"))
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


def columns_without(names):
    """COLUMNS without those, as text; each is one that ends with a comma."""
    parts = re.split(r",\s+(?![^(]*\))", COLUMNS)
    return ", ".join(part for part in parts if part.split()[0] not in names)


def create_types(pg):
    """What COLUMNS are of."""
    pg.execute("""CREATE COLLATION IF NOT EXISTS mt_scan_ci
        (provider = icu, locale = 'und-u-ks-level2', deterministic = false)""")
    if not pg.execute("SELECT to_regtype('mt_judge_mood')").fetchone()[0]:
        pg.execute(f"CREATE TYPE mt_judge_mood AS ENUM ({', '.join(repr(label) for label in LABELS)})")
        pg.execute("CREATE DOMAIN mt_judge_text AS text")


def make_tables(pg, server, mongo, database, rng):
    """{table: its columns' names}.

    awkward  values of every kind, NULL where they do not convert
    clean    none that does not convert
    french   awkward ones, in a collection with that collation
    strict   awkward again, where what does not convert is an error
    """
    load(mongo, rng, database, "awkward", POOLS, AWKWARD, NESTED)
    load(mongo, rng, database, "clean", CLEAN, [None, ("undefined",)], CLEAN_NESTED)
    load(mongo, rng, database, "french", POOLS, AWKWARD, NESTED, collation={"locale": "fr", "strength": 1})
    create_types(pg)
    tables = {}
    for name, without, collection, mismatch in (
            ("awkward", [], "awkward", "null"), ("clean", MISMATCHED, "clean", "error"), ("french", [], "french", "null"),
            ("strict", [], "awkward", "error")):
        create_table(pg, server, name, columns_without(without), database, collection, mismatch)
        tables[name] = [part.split()[0] for part in re.split(r",\s+(?![^(]*\))", columns_without(without))]
    # an index changes how MongoDB answers, not what
    for field in ("i", "n", "s", "t", "x.y"):
        mongo[database].awkward.create_index(field)
    return tables


def rows_or_error(pg, query, parameters=()):
    try:
        return pg.execute(query, parameters, prepare=True).fetchall()
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        return error.sqlstate


def explain(pg, query, parameters=None, options="VERBOSE, COSTS OFF"):
    """The plan; libbson 1 writes {  } what is { } since 2."""
    return "\n".join(r[0] for r in pg.execute(f"EXPLAIN ({options}) {query}", parameters)).replace("{  }", "{ }")


def explain_exact(pg, query, parameters, options):
    """The plan if all of its conditions are sent in an exact form, else None."""
    pg.execute("SET mongo_tail.exact_filters = on")
    try:
        text = explain(pg, query, parameters, options)
    except errors.InvalidEscapeSequence:
        return None     # which PostgreSQL sees only where a match comes so far
    finally:
        pg.execute("RESET mongo_tail.exact_filters")
    return text if "MongoDB Filter Is Exact: true" in text else None


def documents_of_exact(pg, query, parameters=()):
    """How many documents MongoDB sends under an exact filter, None if the query has none."""
    text = explain_exact(pg, query, parameters, "ANALYZE, VERBOSE, TIMING OFF, SUMMARY OFF")
    found = text and re.search(r"MongoDB Documents: (\d+)", text)
    return None if text is None else int(found[1]) if found else 0


def mongo_query(plan):
    """The command that a plan shows."""
    options = json_util.JSONOptions(datetime_conversion=DatetimeConversion.DATETIME_MS, uuid_representation=0)
    # libbson writes the last date of a timestamp as a year of six digits, which is no Extended JSON
    text = re.search("MongoDB Query: (.*)", plan)[1].replace('"294276-12-31T23:59:59.999Z"', '{"$numberLong": "9224318015999999"}')
    return json_util.loads(text, json_options=options)


def filter_of_exact(pg, query):
    """The exact filter of a query without parameters, None if it has none; {"k": None} where nothing need be read."""
    text = explain_exact(pg, query, (), "VERBOSE, COSTS OFF")
    if text is None:
        return None
    return {"k": None} if "Reads Nothing: true" in text else mongo_query(text)["filter"]
