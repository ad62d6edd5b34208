"""Documents of many shapes: a row's columns are found whatever stood in the documents before."""

import struct

import bson
from bson.raw_bson import RawBSONDocument
from psycopg import sql

# Lengths around a word, two, and what is remembered of a name; names that are others' beginnings; more
# names than are remembered.
NAMES = (["a", "ab", "abc", "value1", "value12", "value123", "value1234", "\u00e9\u00e9\u00e9", "B" * 14, "B" * 15,
          "B" * 16, "B" * 17, "B" * 16 + "C", "n" * 46, "n" * 47, "n" * 48, "n" * 47 + "m", "m" * 60] +
         [f"f{n}" for n in range(64)])
VALUES = [None, True, 3.5, "text", "\u00fcber", "x" * 2000, [1], {"a": 1}]
ROUNDS = 40
DOCUMENTS = 30


def shape(rng):
    names = rng.sample(NAMES, rng.choice((0, 1, 5, 20, len(NAMES))))
    return sorted(names, key=NAMES.index) if rng.random() < 0.7 else names


def alike(names, rng):
    """The same names but a few, with others in between, which may be there already."""
    names = [name for name in names if rng.random() < 0.9]
    for _ in range(rng.choice((0, 0, 1, 2))):
        names.insert(rng.randrange(len(names) + 1), rng.choice(NAMES))
    return names


def fields_of(names, rng):
    """Pairs of name and value; most values say their place, so that none is taken for another."""
    return [(name, rng.choice(VALUES) if rng.random() < 0.3 else place) for place, name in enumerate(names)]


def encoded(number, fields):
    body = b"".join(bson.encode({name: value})[4:-1] for name, value in [("_id", number), *fields])
    return RawBSONDocument(struct.pack("<i", len(body) + 5) + body + b"\0")


def first_of_each(fields):
    found = {}
    for name, value in fields:
        found.setdefault(name, value)
    return found


def test_columns_are_found_in_documents_of_any_shape(pg, mongo, server, fresh_namespace, rng):
    columns = sql.SQL(", ").join(sql.SQL("{} jsonb OPTIONS (field {})").format(
        sql.Identifier(f"c{n}"), sql.Literal(name)) for n, name in enumerate(NAMES))
    for number in range(ROUNDS):
        base = shape(rng)
        documents = [fields_of(alike(base, rng) if rng.random() < 0.8 else shape(rng), rng) for _ in range(DOCUMENTS)]
        mongo[fresh_namespace][f"shapes{number}"].insert_many([encoded(n, fields) for n, fields in enumerate(documents)])
        pg.execute(sql.SQL("CREATE FOREIGN TABLE {} (_id int, {}) SERVER {} OPTIONS (database {})").format(
            sql.Identifier(f"shapes{number}"), columns, sql.Identifier(server), sql.Literal(fresh_namespace)))
        wanted = rng.sample(range(len(NAMES)), rng.choice((1, 3, 10, len(NAMES))))
        rows = pg.execute(sql.SQL("SELECT _id, {} FROM {}").format(
            sql.SQL(", ").join(sql.Identifier(f"c{n}") for n in wanted), sql.Identifier(f"shapes{number}"))).fetchall()
        assert len(rows) == DOCUMENTS
        for row in rows:
            found = first_of_each(documents[row[0]])
            assert row[1:] == tuple(found.get(NAMES[n]) for n in wanted), documents[row[0]]
