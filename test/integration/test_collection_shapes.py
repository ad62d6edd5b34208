"""Documents of many shapes: what is made of one does not depend on what stood in those before."""

import random
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


class Fields(list):
    """A document whose names may come twice: pairs of name and value."""


def nested_fields_of(names, rng, depth=3):
    """The same with documents in documents, and in arrays, that are alike or not."""
    fields = Fields()
    for place, name in enumerate(names):
        value = rng.choice(VALUES[:-2]) if rng.random() < 0.3 else place
        if depth > 0 and rng.random() < 0.2:
            inner = alike(rng.choice((names[:4], names[-6:])), rng) or ["a"]
            value = nested_fields_of(inner, rng, depth - 1)
            if rng.random() < 0.3:
                value = [value, nested_fields_of(inner, rng, depth - 1)]
        fields.append((name, value))
    return fields


def element(name, value):
    if isinstance(value, Fields):
        return b"\x03" + name.encode() + b"\0" + body_of(value)
    if isinstance(value, list):
        return b"\x04" + name.encode() + b"\0" + body_of([(str(n), item) for n, item in enumerate(value)])
    return bson.encode({name: value})[4:-1]


def body_of(fields):
    body = b"".join(element(name, value) for name, value in fields)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def encoded(number, fields):
    return RawBSONDocument(body_of([("_id", number), *fields]))


def as_jsonb(value):
    """Of names that come twice a column keeps the first, as MongoDB does."""
    if isinstance(value, Fields):
        return {name: as_jsonb(inner) for name, inner in reversed(value)}
    return [as_jsonb(inner) for inner in value] if isinstance(value, list) else value


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
        # MongoDB's projection takes a field that comes twice for two of those it was asked for.
        pg.execute(sql.SQL("CREATE FOREIGN TABLE {} (_id int, {}) SERVER {} "
                           "OPTIONS (database {}, enable_projection 'false')").format(
            sql.Identifier(f"shapes{number}"), columns, sql.Identifier(server), sql.Literal(fresh_namespace)))
        wanted = rng.sample(range(len(NAMES)), rng.choice((1, 3, 10, len(NAMES))))
        rows = pg.execute(sql.SQL("SELECT _id, {} FROM {}").format(
            sql.SQL(", ").join(sql.Identifier(f"c{n}") for n in wanted), sql.Identifier(f"shapes{number}"))).fetchall()
        assert len(rows) == DOCUMENTS
        for row in rows:
            found = first_of_each(documents[row[0]])
            assert row[1:] == tuple(found.get(NAMES[n]) for n in wanted), documents[row[0]]


def test_documents_become_jsonb_whatever_came_before(pg, mongo, server, fresh_namespace, rng):
    for number in range(ROUNDS):
        base = shape(rng)
        seed = rng.randrange(2 ** 32) if rng.random() < 0.5 else None
        documents = []
        for _ in range(DOCUMENTS):
            # of one seed all are nested in one way
            inner = rng if seed is None or rng.random() < 0.3 else random.Random(seed)
            documents.append(nested_fields_of(alike(base, inner), inner))
        mongo[fresh_namespace][f"nested{number}"].insert_many(
            [encoded(n, fields) for n, fields in enumerate(documents)])
        pg.execute(sql.SQL("CREATE FOREIGN TABLE {} (_id int, document jsonb OPTIONS (field '$')) SERVER {} "
                           "OPTIONS (database {})").format(
            sql.Identifier(f"nested{number}"), sql.Identifier(server), sql.Literal(fresh_namespace)))
        # to the byte what PostgreSQL makes of its text
        rows = pg.execute(sql.SQL(
            "SELECT _id, document, record_image_eq(ROW(document), ROW(document::text::jsonb)) FROM {}").format(
            sql.Identifier(f"nested{number}"))).fetchall()
        assert len(rows) == DOCUMENTS
        for key, document, is_the_same in rows:
            assert is_the_same
            assert document == {"_id": key, **as_jsonb(documents[key])}
