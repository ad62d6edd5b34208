"""bson_to_jsonb against pymongo's Extended JSON and against jsonb's own parser.

Every result is checked twice: its value is what bson.json_util writes for the
document, and its bytes are those that PostgreSQL makes of the result's text.
MT_SEED repeats a run, MT_DOCUMENTS and MT_MUTATIONS make it longer.
"""

import datetime
import decimal
import json
import math
import os
import random
import struct
import time

import bson
import psycopg
import pytest
from bson import json_util
from bson.datetime_ms import DatetimeMS

INT64_END = 2**63
MAX_DATE_MS = 253402300799999
CORRUPT = "22P03"


def convert(pg, documents):
    """The results' texts; that their bytes are jsonb's own is checked here."""
    rows = pg.execute(
        """SELECT j::text, record_image_eq(ROW(j), ROW(j::text::jsonb))
           FROM (SELECT mongo_tail.bson_to_jsonb(b) AS j, n
                 FROM unnest(%s::bytea[]) WITH ORDINALITY AS d(b, n) OFFSET 0) AS s
           ORDER BY n""",
        (list(documents),),
    ).fetchall()
    for (text, same), document in zip(rows, documents, strict=True):
        assert same, f"not the bytes of {text[:500]}: {document[:2000].hex()}"
    return [text for text, _ in rows]


def convert_one(pg, document):
    return json.loads(convert(pg, [document])[0])


def error_of(pg, document):
    with pytest.raises(psycopg.Error) as raised:
        with pg.transaction():
            pg.execute("SELECT mongo_tail.bson_to_jsonb(%s)", (document,))
    return raised.value


def element(type_byte, name, value):
    return bytes([type_byte]) + name + b"\0" + value


def document_of(*elements):
    body = b"".join(elements)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def string_value(text):
    return struct.pack("<i", len(text) + 1) + text + b"\0"


# --- random documents of every type -----------------------------------------

LETTERS = "abcdefgzAZ09_$. /\\\"\n\tßéЖ東京😀\u2028\ufffd\x7f"


def random_text(rng, most=40):
    size = rng.choice([0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, rng.randint(0, most), rng.randint(0, 4 * most)])
    letters = rng.choice([LETTERS, LETTERS[:18]])
    return "".join(rng.choice(letters) for _ in range(size))


def random_double(rng):
    kind = rng.randrange(7)
    if kind == 0:
        return struct.unpack("<d", rng.randbytes(8))[0]
    if kind == 1:
        return rng.choice([0.0, -0.0, 1.0, -1.5, math.nan, math.inf, -math.inf, 1e308, 5e-324, 1e15, 1e16, 1e22, 2.0**63])
    if kind == 2:
        return round(rng.uniform(-1e6, 1e6), rng.randint(0, 9))
    if kind == 3:
        return float(rng.randint(-(2**62), 2**62))
    if kind == 4:
        return rng.random() * 10.0 ** rng.randint(-30, 30)
    if kind == 5:
        return rng.randint(-(10**6), 10**6) / 10.0 ** rng.randint(0, 12)
    return rng.uniform(-1, 1)


def random_int64(rng):
    kind = rng.randrange(4)
    if kind == 0:
        return bson.Int64(rng.choice([0, 1, -1, 9999, 10000, 2**31, -(2**31) - 1, 2**63 - 1, -(2**63)]))
    return bson.Int64(rng.randint(-(2**rng.randint(1, 63)), 2 ** rng.randint(1, 63) - 1))


def random_date(rng):
    kind = rng.randrange(5)
    if kind == 0:
        return DatetimeMS(rng.choice([0, -1, 999, 1000, MAX_DATE_MS, MAX_DATE_MS + 1, 2**63 - 1, -(2**63)]))
    if kind == 1:
        return DatetimeMS(rng.randint(-(2**63), 2**63 - 1))
    return DatetimeMS(rng.randint(-MAX_DATE_MS, MAX_DATE_MS) // 1000 * 1000 + rng.choice([0, 0, rng.randrange(1000)]))


def random_decimal(rng):
    if rng.randrange(4) == 0:
        return bson.Decimal128(rng.choice(["NaN", "Infinity", "-Infinity", "0", "-0", "0E-6176", "1E+6111", "1.50"]))
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 34)))
    return bson.Decimal128(f"{rng.choice(['', '-'])}{digits}E{rng.randint(-6176, 6111)}")


SCALARS = [
    random_double,
    random_double,
    random_text,
    random_text,
    random_int64,
    random_date,
    random_decimal,
    lambda rng: rng.randint(-(2**31), 2**31 - 1),
    lambda rng: rng.randint(-99, 99),
    lambda rng: rng.random() < 0.5,
    lambda rng: None,
    lambda rng: bson.ObjectId(rng.randbytes(12)),
    lambda rng: bson.Binary(rng.randbytes(rng.randint(0, rng.choice([50, 2000]))), rng.choice([0, 1, 2, 5, 6, 0x80, 0xFF])),
    lambda rng: bson.Binary(rng.randbytes(16), rng.choice([3, 4])),
    lambda rng: bson.Regex(random_text(rng), rng.choice(["", "i", "imx", "xsm"])),
    lambda rng: bson.Timestamp(rng.randrange(2**32), rng.randrange(2**32)),
    lambda rng: bson.Code(random_text(rng)),
    lambda rng: bson.Code(random_text(rng), random_document(rng, 3)),
    lambda rng: bson.MinKey(),
    lambda rng: bson.MaxKey(),
]


def random_value(rng, depth):
    kind = rng.randrange(12)
    if depth < 5 and kind == 0:
        return random_document(rng, depth + 1)
    if depth < 5 and kind == 1:
        return [random_value(rng, depth + 1) for _ in range(rng.choice([0, 1, 3, 31, 32, 33, 80]) >> depth)]
    return rng.choice(SCALARS)(rng)


def random_document(rng, depth=0):
    size = rng.choice([0, 1, 2, 5, 10, 16, 17, 24, 25, 26, 40, rng.randrange(100)]) >> depth
    return {random_text(rng, 20): random_value(rng, depth) for _ in range(size)}


def same(got, expected):
    """Equal as Extended JSON; a double is compared as one."""
    if isinstance(expected, float) and isinstance(got, (int, float)) and not isinstance(got, bool):
        return float(got) == expected
    if type(got) is not type(expected):
        return False
    if isinstance(expected, dict):
        return got.keys() == expected.keys() and all(same(got[k], expected[k]) for k in expected)
    if isinstance(expected, list):
        return len(got) == len(expected) and all(map(same, got, expected))
    return got == expected


def test_random_documents(pg, rng):
    left = int(os.environ.get("MT_DOCUMENTS", 400))
    while left > 0:
        documents = [random_document(rng) for _ in range(50)]
        left -= len(documents)
        texts = convert(pg, [bson.encode(d) for d in documents])
        for text, document in zip(texts, documents, strict=True):
            expected = json.loads(json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS))
            assert same(json.loads(text), expected), f"{text}\n{expected}"


def test_types_pymongo_cannot_write(pg):
    oid = bytes(range(12))
    document = document_of(
        element(0x06, b"undefined", b""),
        element(0x0E, b"symbol", string_value(b"sym")),
        element(0x0C, b"pointer", string_value(b"db.c") + oid),
        element(0x0B, b"regex", b"a+\0xim\0"),
        element(0x05, b"old", struct.pack("<iBi", 6, 2, 2) + b"\xff\xfe"),
        element(0x05, b"old wrong", struct.pack("<iBi", 6, 2, 3) + b"\xff\xfe"),
        element(0x08, b"bool", b"\x02"),
    )
    assert convert_one(pg, document) == {
        "undefined": {"$undefined": True},
        "symbol": {"$symbol": "sym"},
        "pointer": {"$dbPointer": {"$ref": "db.c", "$id": {"$oid": oid.hex()}}},
        "regex": {"$regularExpression": {"pattern": "a+", "options": "imx"}},
        "old": {"$binary": {"base64": "//4=", "subType": "02"}},
        "old wrong": {"$binary": {"base64": "AwAAAP/+", "subType": "02"}},
        "bool": True,
    }


# --- numbers -----------------------------------------------------------------


def double_text(value, digits):
    """The text of a double as the converter promises it, from float8out's."""
    if value == int(value) and -(2.0**63) <= value < 2.0**63:
        return f"{int(value)}.0"
    return format(decimal.Decimal(digits), "f")


def test_doubles(pg, rng):
    doubles = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 0.1, 1e-4, 1e-5, 12345.6789, 1e15, 1e17, 123456789012345680.0]
    doubles += [2.0**63, -(2.0**63), 2.0**53 + 2, 1e19, 1e22, 1e23, 1e308, -1.7976931348623157e308, 5e-324, 2.2250738585072014e-308]
    doubles += [99999.99999999, 9999999.99999999, 99999999999.9999, 0.00000001, 1e-64 * 3, 1e-63, 1.5e-200, 0.3, 2 / 3, 1e252, 1e256, 1.1e255]
    doubles += [s * 10.0**e for e in range(-323, 308) for s in (1, -7)]
    while len(doubles) < 20000:
        value = random_double(rng)
        if math.isfinite(value):
            doubles.append(value)
    texts = convert(pg, [bson.encode({"d": d}) for d in doubles])
    (shortest,) = pg.execute("SELECT %s::float8[]::text[]", (doubles,)).fetchone()
    for text, value, digits in zip(texts, doubles, shortest, strict=True):
        assert text == f'{{"d": {double_text(value, digits)}}}', repr(value)
        assert json.loads(text, parse_int=float)["d"] == value


def test_integers(pg, rng):
    integers = [s * (base**e + d) for base in (2, 10) for e in range(63) for d in (-1, 0, 1) for s in (1, -1)]
    integers = [i for i in integers if -INT64_END <= i < INT64_END] + [-INT64_END, INT64_END - 1]
    integers += [int(random_int64(rng)) for _ in range(5000)]
    texts = convert(pg, [bson.encode({"i": i}) for i in integers])
    assert texts == [f'{{"i": {i}}}' for i in integers]


def test_dates(pg):
    def date(ms):
        return convert_one(pg, document_of(element(0x09, b"d", struct.pack("<q", ms))))["d"]["$date"]

    day = 86400 * 1000
    for days in [*range(0, 3000), *range(10000, 2932896, 997), 2932896]:
        expected = (datetime.date(1970, 1, 1) + datetime.timedelta(days)).isoformat()
        if days % 100 == 0 or days > 2900000:
            assert date(days * day) == expected + "T00:00:00Z"
            assert date(days * day + day - 1) == expected + "T23:59:59.999Z"
    assert date(1001) == "1970-01-01T00:00:01.001Z"
    assert date(MAX_DATE_MS) == "9999-12-31T23:59:59.999Z"
    assert date(-1) == {"$numberLong": "-1"}
    assert date(MAX_DATE_MS + 1) == {"$numberLong": str(MAX_DATE_MS + 1)}
    assert date(-INT64_END) == {"$numberLong": str(-INT64_END)}


# --- text that PostgreSQL cannot hold ---------------------------------------


def substituted(raw):
    return raw.decode("utf-8", "replace").replace("\0", "\ufffd")


BAD_PARTS = [
    b"\0", b"a", b"\x80", b"\xc0\x80", b"\xc2", b"\xe0\x80", b"\xe0\xa0", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xf0\x80\x80\x80",
    b"\xf4\x90\x80\x80", b"\xf5", b"\xff", "é".encode(), "東".encode(), "😀".encode(), b"plain text", b"12345678",
]  # fmt: skip


def test_invalid_text(pg, rng):
    raws = [b"".join(rng.choice(BAD_PARTS) for _ in range(rng.choice([1, 2, 3, 8, 30]))) for _ in range(3000)]
    raws += [rng.randbytes(rng.randint(0, 100)) for _ in range(3000)]
    texts = convert(pg, [document_of(element(0x02, b"s", string_value(raw))) for raw in raws])
    for text, raw in zip(texts, raws, strict=True):
        assert json.loads(text) == {"s": substituted(raw)}, raw


def test_invalid_names(pg, rng):
    for size in (1, 5, 30, 200):
        names = [b"".join(rng.choice(BAD_PARTS[1:]) for _ in range(rng.randint(0, 3))) for _ in range(size)]
        document = document_of(*(element(0x10, name, struct.pack("<i", i)) for i, name in enumerate(names)))
        assert convert_one(pg, document) == {substituted(name): i for i, name in enumerate(names)}


# --- names and sizes ---------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 15, 16, 23, 24, 25, 26, 31, 32, 33, 100, 5000])
def test_names(pg, rng, size):
    """Order and duplicates, with few different names and with many."""
    for different in (size // 3 + 1, size * 10):
        for order in ("random", "ascending", "descending"):
            names = [b"%d" % rng.randrange(different) for _ in range(size)]
            if order != "random":
                names.sort(reverse=order == "descending")
            document = document_of(*(element(0x10, name, struct.pack("<i", i)) for i, name in enumerate(names)))
            assert convert_one(pg, document) == {name.decode(): i for i, name in enumerate(names)}


def test_array_names_are_ignored(pg):
    elements = (element(0x10, name, struct.pack("<i", i)) for i, name in enumerate([b"9", b"", b"x", b"9"]))
    assert convert_one(pg, document_of(element(0x04, b"a", document_of(*elements)))) == {"a": [0, 1, 2, 3]}


def timed(pg, document, check):
    begin = time.monotonic()
    row = pg.execute(f"SELECT {check} FROM (SELECT mongo_tail.bson_to_jsonb(%s) AS j OFFSET 0) AS s", (document,)).fetchone()
    assert time.monotonic() - begin < 20, "not linear"
    return row


def test_large(pg, rng):
    text = bson.encode({"s": "x" * (16 * 2**20 - 100)})
    assert timed(pg, text, "length(j->>'s')") == (16 * 2**20 - 100,)
    bad = document_of(element(0x02, b"s", string_value(b"\xff" * (16 * 2**20))))
    assert timed(pg, bad, "length(j->>'s')") == (16 * 2**20,)
    array = bson.encode({"a": list(range(200_000))})
    assert timed(pg, array, "jsonb_array_length(j->'a'), j->'a'->199999") == (200_000, 199_999)
    names = [b"%07d" % i for i in range(1_000_000)]
    rng.shuffle(names)
    keys = document_of(*(element(0x0A, name, b"") for name in names))
    check = "(SELECT count(*) FROM jsonb_object_keys(j)), j ? '0000000', j ? '0999999', j ? '1000000'"
    assert timed(pg, keys, check) == (1_000_000, True, True, False)
    assert pg.execute("SELECT record_image_eq(ROW(j), ROW(j::text::jsonb)) FROM (SELECT mongo_tail.bson_to_jsonb(%s) AS j OFFSET 0) s", (keys,)).fetchone() == (True,)


def nested(depth, kind=0x03):
    document = document_of()
    for _ in range(depth):
        document = document_of(element(kind, b"a", document))
    return document


def test_depth(pg):
    for kind in (0x03, 0x04):
        value = convert_one(pg, nested(200, kind))
        for _ in range(200):
            value = value["a"] if isinstance(value, dict) else value[0]
        assert error_of(pg, nested(201, kind)).sqlstate == CORRUPT
    scope = document_of()
    for _ in range(201):
        code = string_value(b"") + scope
        scope = document_of(element(0x0F, b"c", struct.pack("<i", len(code) + 4) + code))
    error = error_of(pg, scope)
    assert error.sqlstate == CORRUPT
    assert "nested deeper" in error.diag.message_detail
    assert error_of(pg, nested(20_000)).sqlstate == CORRUPT


# --- corrupt documents -------------------------------------------------------


def test_corrupt(pg):
    for document in (b"", b"\0", b"\5\0\0\0", b"\5\0\0\0\1", b"\6\0\0\0\0", b"\5\0\0\0\0\0", b"\xff\xff\xff\xff\0"):
        assert error_of(pg, document).sqlstate == CORRUPT
    error = error_of(pg, document_of(element(0x10, b"ok", b"\1\0\0\0"), element(0x42, b"bad", b"")))
    assert error.sqlstate == CORRUPT
    assert "unknown type at byte 12 of" in error.diag.message_detail
    # a length that claims all but the string's NUL
    assert error_of(pg, document_of(element(0x02, b"s", b"\xff\xff\xff\x7fabc\0"))).sqlstate == CORRUPT
    # a code with scope whose parts are longer, then shorter than it says
    for size, parts in ((14, string_value(b"abcde")), (16, string_value(b"a") + document_of() + b"\0")):
        assert error_of(pg, document_of(element(0x0F, b"c", struct.pack("<i", size) + parts))).sqlstate == CORRUPT


def mutate(rng, document):
    document = bytearray(document)
    for _ in range(rng.choice([1, 1, 2, 5])):
        kind = rng.randrange(5)
        if not document:
            break
        place = rng.randrange(len(document))
        if kind == 0:
            document[place] = rng.randrange(256)
        elif kind == 1:
            document[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del document[place : place + rng.randint(1, 8)]
        elif kind == 3:
            document[place:place] = rng.randbytes(rng.randint(1, 8))
        else:
            document[place : place + 4] = struct.pack("<i", rng.choice([0, 1, 4, 5, -1, 2**31 - 1, len(document)]))
    if rng.random() < 0.9:
        document[:4] = struct.pack("<i", max(len(document), 5))
        document[-1:] = b"\0"
    return bytes(document)


def test_mutations(pg, rng):
    """Garbage is converted or refused, and nothing else."""
    pg.execute(
        """CREATE OR REPLACE FUNCTION pg_temp.attempt(documents bytea[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
           DECLARE document bytea;
           BEGIN
             FOREACH document IN ARRAY documents LOOP
               BEGIN
                 RETURN NEXT CASE WHEN record_image_eq(ROW(mongo_tail.bson_to_jsonb(document)), ROW(mongo_tail.bson_to_jsonb(document)::text::jsonb))
                   THEN 'converted' ELSE 'other bytes' END;
               EXCEPTION WHEN OTHERS THEN
                 RETURN NEXT SQLSTATE;
               END;
             END LOOP;
           END $$"""
    )
    left = int(os.environ.get("MT_MUTATIONS", 10_000))
    seen = {}
    while left > 0:
        base = bson.encode(random_document(rng, 2))
        mutated = [mutate(rng, base) for _ in range(500)]
        for (outcome,) in pg.execute("SELECT pg_temp.attempt(%s)", (mutated,)):
            seen[outcome] = seen.get(outcome, 0) + 1
        left -= len(mutated)
    print(seen)
    assert set(seen) <= {"converted", CORRUPT}, seen
    assert min(seen["converted"], seen[CORRUPT]) > 100, seen
