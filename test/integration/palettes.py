"""Small collections of which each field draws its values from a palette of its own, from plain to awkward.

What MongoDB does beyond filtering is believed only where the values are plain, so there must be collections
that are, but for one field, and not only those of judge.py, where everything is awkward.
"""

import decimal
import re

from bson import Decimal128, Int64, ObjectId

from judge import AWKWARD, COLUMNS, NAN, POOLS, create_table, create_types, undefined, utc, with_raw

COLLECTIONS = 10
DOCUMENTS = 60
NAMES = [part.split()[0] for part in re.split(r",\s+(?![^(]*\))", COLUMNS)]

MISSING = ("missing",)
UNDEFINED = ("undefined",)
PLAIN = {
    "i": [[1, 2, 3, 5, 5, 5], [Int64(5), 1, 2, Int64(2 ** 31)], [0, 0, 0], [2 ** 31 - 1, 5, -2 ** 31],
          [Int64(2 ** 62), 1], [Int64(2 ** 63 - 1), 1], [1, 1, -1], [5]],
    "f": [[0.5, 1.5, 2], [0.1, 0.2, 0.3, 1e10], [1, 2, 3], [0.0, -0.0, 0], [1e300, 5e-324], [-1.5, 1.5]],
    "n": [[1, 2, Int64(3)], [0.5, 1.5, 7], [0.1, 0.2], [5, 5.0]],
    "s": [["a", "b", "c", "A"], ["", "x" * 300, "\u00e9", "z"], [ObjectId("65a1b2c3d4e5f60718293a4b"), ObjectId("0" * 24)],
          ["a", "0", "f", "65", ObjectId("65a1b2c3d4e5f60718293a4b"), ObjectId("f" * 24)]],
    "b": [[True, False], [True], [False]],
    "t": [[utc("2024-02-29"), utc("1969-12-31 23:59:59.999"), utc("2024-02-29 12:00")], [utc("2024-02-29"), utc("1900-01-01")]],
    "u": [POOLS["u"][:3], POOLS["u"][:6]],
}
SPICE = [[], [], [], [None], [MISSING], [None, MISSING], [None] * 8, [UNDEFINED], [None, UNDEFINED], [MISSING, NAN], [5.5], [5.0],
         [Decimal128("5")], [Decimal128("5.10")], ["a"], [[5]], [[]], [{"y": 5}], [True], [utc("2024-02-29")], POOLS["u"][3:5],
         [ObjectId("65a1b2c3d4e5f60718293a4b")], ["65a1b2c3d4e5f60718293a4b"], ["a\0b"], [Int64(2 ** 53 + 1)], ["ab" * 20], AWKWARD]


def make_document(rng, k, palettes):
    document, raw = {"_id": f"id{k}", "k": k}, []
    for name, palette in palettes.items():
        value = rng.choice(palette)
        if value == MISSING:
            continue
        if value == UNDEFINED:
            raw.append(undefined(name))
        elif not isinstance(value, tuple):
            document[name] = value
    return with_raw(document, *raw)


def make_statistics(pg, collection, tables, document):
    """Let the planner believe that every row has all values of one document."""
    collection.insert_one(document)
    for table in tables:
        pg.execute(f"ANALYZE {table}")
    collection.delete_many({})


def make_palette_tables(pg, server, mongo, database, rng, analyzed=0.0):
    """Tables over small collections, each in both modes of on_mismatch.

    A part of them, "analyzed", has statistics that promise more than the documents keep.
    """
    create_types(pg)
    tables = []
    for n in range(COLLECTIONS):
        palettes = {}
        for name, pools in PLAIN.items():
            palette = list(rng.choice(pools)) * 4
            for _ in range(rng.choice([0, 1, 1, 2])):
                palette += [v for v in rng.choice(SPICE) if not isinstance(v, tuple) or v in (MISSING, UNDEFINED)][:8]
            palettes[name] = palette
        palettes["x"] = rng.choice([[{"y": 5}, {"y": 7}], [{"y": 5}, {}, MISSING], [{"y": 5}, [{"y": 5}]], [{"y": 5}, 3]])
        options = {"collation": {"locale": "fr", "strength": 1}} if rng.random() < 0.3 else {}
        mongo[database].create_collection(f"c{n}", **options)
        names = [f"p{n}_{mode}" for mode in ("null", "error")]
        for name in names:
            create_table(pg, server, name, COLUMNS, database, f"c{n}", name.split("_")[1])
        if rng.random() < analyzed:
            plain = {name: pools[0][:1] for name, pools in PLAIN.items()}
            make_statistics(pg, mongo[database][f"c{n}"], names, make_document(rng, 0, plain))
        documents = rng.choice([DOCUMENTS, DOCUMENTS, DOCUMENTS, 1, 0])
        if documents:
            mongo[database][f"c{n}"].insert_many(make_document(rng, k, palettes) for k in range(documents))
        if rng.random() < 0.5:
            mongo[database][f"c{n}"].create_index(rng.choice(list(palettes)))
        tables += names
    return tables


def comparable(rows):
    """Rows in an order of their own; floats to nine digits, since the order of additions is nobody's."""
    def value(v):
        if isinstance(v, float):
            return "nan" if v != v else f"{v + 0.0:.9g}".replace("-0", "0") if v == 0 else f"{v:.9g}"
        return str(v) if isinstance(v, decimal.Decimal) else v
    return sorted((tuple(value(v) for v in row) for row in rows), key=repr) if isinstance(rows, list) else rows


def columns_of(query):
    """The columns that a query names, to read these only: each one more could be one that does not convert."""
    return [c for c in NAMES if re.search(rf"\b{c}\b", query)] or ["k"]
