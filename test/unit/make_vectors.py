#!/usr/bin/env python3
"""Record vectors for run_vectors from a real MongoDB replica set.

usage: make_vectors.py PORT OUTPUT_FOLDER [SEED]

Writes own_v2diff.jsonl, own_v1.jsonl and own_update_description.jsonl: what the
server's oplog, its collections and its change stream said of the same updates.
Needs pymongo.  Raw BSON is kept as the server sent it.
"""
import base64
import json
import random
import sys

import bson
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
import datetime
import pymongo

RAW = CodecOptions(document_class=RawBSONDocument)
NAMES = ['a', 'b', 'c', 'd', 'i', 'u', 's', 'l', 'o', 'sa', 'su', 'aa', '0', '1', '10', '9', '01', 'é', 'x y', '-1', '$x']


def b64(raw):
    return base64.b64encode(bytes(raw)).decode()


class Lab:
    def __init__(self, port):
        self.client = pymongo.MongoClient('127.0.0.1', port, directConnection=True)
        self.db = self.client['vectors']
        self.client.drop_database('vectors')
        self.db.create_collection('c')
        self.raw = self.db.get_collection('c', codec_options=RAW)
        self.oplog = self.client['local'].get_collection('oplog.rs', codec_options=RAW)
        self.stream = self.db.get_collection('c', codec_options=RAW).watch(max_await_time_ms=500)
        self.next_id = 0
        self.diffs, self.modifiers, self.descriptions = [], [], []

    def image(self, key):
        return self.raw.find_one({'_id': key}).raw

    def insert(self, document):
        self.next_id += 1
        self.db.c.insert_one({'_id': self.next_id, **document})
        return self.next_id

    def description(self):
        """The next update event's updateDescription."""
        while True:
            event = self.stream.try_next()
            assert event is not None, 'no event'
            if event['operationType'] in ('update', 'replace'):
                return event['updateDescription'].raw if event['operationType'] == 'update' else None

    def last_entry(self):
        return next(self.oplog.find({'ns': 'vectors.c'}).sort('$natural', -1).limit(1))

    def update(self, key, update, **options):
        """Run an update; keep what came of it when it was logged as a diff."""
        pre, before = self.image(key), self.last_entry()['ts']
        try:
            self.db.c.update_one({'_id': key}, update, **options)
        except pymongo.errors.PyMongoError as error:
            return str(error)
        entry, post = self.last_entry(), self.image(key)
        if entry['ts'] == before:
            return 'no entry'
        description = self.description()
        if 'diff' not in entry['o']:
            return 'no diff'
        diff = entry['o']['diff'].raw
        self.diffs.append({'pre': b64(pre), 'diff': b64(diff), 'post': b64(post)})
        self.descriptions.append({'diff': b64(diff), 'update_description': b64(description)})
        return None

    def apply_modifiers(self, key, modifiers):
        """A $v:1 entry by atomic applyOps.  Its change event is an error on 6.0, and is not read."""
        modifiers = {'$v': 1, **modifiers}
        pre = self.image(key)
        try:
            self.client.admin.command({'applyOps': [{'op': 'u', 'ns': 'vectors.c', 'o2': {'_id': key}, 'o': modifiers}]})
        except pymongo.errors.PyMongoError as error:
            return str(error)
        self.modifiers.append({'pre': b64(pre), 'modifiers': b64(bson.encode(modifiers)), 'post': b64(self.image(key))})
        return None


def scalar(rng):
    return rng.choice([
        lambda: rng.randrange(-5, 5), lambda: Int64(rng.randrange(1 << 40)), lambda: rng.random(), lambda: -0.0, lambda: 0.0,
        lambda: float('nan'), lambda: float('-inf'), lambda: None, lambda: True, lambda: False, lambda: '', lambda: 'té\0xt',
        lambda: 's' * rng.randrange(40), lambda: ObjectId(bytes(rng.randrange(256) for _ in range(12))), lambda: Binary(b'\0\1\2', rng.choice([0, 2, 5, 128])),
        lambda: Decimal128('1.50'), lambda: Regex('a.b', 'i'), lambda: Code('f()'), lambda: Code('g()', {'x': 1}), lambda: MinKey(), lambda: MaxKey(),
        lambda: Timestamp(7, 8), lambda: datetime.datetime(2020, 1, 1), lambda: DBRef('c', 1)])()


def value(rng, depth=0):
    kind = rng.random()
    if depth > 4 or kind < 0.5:
        return scalar(rng)
    if kind < 0.75:
        return [value(rng, depth + 1) for _ in range(rng.choice([0, 1, 2, 3, 5, 12]))]
    return {name: value(rng, depth + 1) for name in rng.sample(NAMES, rng.randrange(6))}


def pick_path(rng, document):
    """A dotted path to something that is there, or next to it."""
    path, here = [], document
    while True:
        if isinstance(here, dict) and here and (not path or rng.random() < 0.75):
            name = rng.choice([n for n in here if n != '_id' or path] or ['a'])
            if rng.random() < 0.2:
                name = rng.choice(NAMES)
            path.append(name)
            here = here.get(name)
        elif isinstance(here, list) and rng.random() < 0.8:
            index = rng.randrange(len(here) + 3)
            path.append(str(index))
            here = here[index] if index < len(here) else None
        else:
            break
    if rng.random() < 0.1:
        path.append(rng.choice(NAMES))
    return '.'.join(path) or 'a'


def classic(rng, document):
    update = {}
    taken = []
    for _ in range(rng.choice([1, 1, 2, 3, 5, 12, 25])):
        path = pick_path(rng, document)
        if '$' in path or any((path + '.').startswith(t + '.') or (t + '.').startswith(path + '.') for t in taken):
            continue
        taken.append(path)
        operator = rng.choice(['$set', '$set', '$set', '$unset', '$push', '$rename', '$inc'])
        if operator == '$push':
            update.setdefault('$push', {})[path] = {'$each': [value(rng, 3)], **rng.choice([{}, {'$position': 0}, {'$slice': 2}])}
        elif operator == '$rename':
            to = rng.choice(NAMES[:14])
            if to in taken or any((t + '.').startswith(to + '.') for t in taken) or any(c.isdigit() for c in path):
                continue
            taken.append(to)
            update.setdefault('$rename', {})[path] = to
        else:
            update.setdefault(operator, {})[path] = {'$set': value(rng, 2), '$unset': '', '$inc': 1}[operator]
    return update or {'$set': {'a': 1}}


def literal(v):
    return {'$literal': v}


def pipeline(rng, document):
    """Change a document anywhere by replacing it whole: the server finds the diff."""
    def mutate(here, depth):
        if isinstance(here, dict):
            out = {}
            for name, v in here.items():
                if name == '_id' and depth == 0:
                    out[name] = v
                    continue
                chance = rng.random()
                if chance < 0.12:
                    continue
                out[name] = scalar(rng) if chance < 0.25 else mutate(v, depth + 1)
            for _ in range(rng.choice([0, 0, 1, 3, 11])):
                out[rng.choice(NAMES + ['', 'p.q', '.', 'x.0', '$y'])] = value(rng, 3)
            return out
        if isinstance(here, list):
            out = [mutate(v, depth + 1) if rng.random() < 0.6 else v for v in here]
            chance = rng.random()
            if chance < 0.25:
                out = out[:rng.randrange(len(out) + 1)]
            elif chance < 0.5:
                out += [value(rng, 3) for _ in range(rng.randrange(3))]
            return out
        return scalar(rng) if rng.random() < 0.15 else here
    return [{'$replaceWith': literal(mutate(document, 0))}]


def big(rng):
    """A document in which diffs are smaller than replacements."""
    return {'pad': 'p' * 200, 'e': {'f': {'g': [{'h': [value(rng, 3) for _ in range(4)], 'w': 'q' * 60} for _ in range(5)]}, 'k': 'r' * 80},
            **{name: value(rng, 1) for name in rng.sample(NAMES, rng.randrange(3, 12))}}


def random_updates(lab, rng, count):
    while len(lab.diffs) < count:
        key = lab.insert(big(rng))
        for _ in range(6):
            document = bson.decode(lab.image(key))
            if len(lab.image(key)) > 2500:
                break
            lab.update(key, (classic if rng.random() < 0.5 else pipeline)(rng, document))


def nest(depth, inside, key='n'):
    for i in range(depth):
        inside = {key: inside} if i % 2 == 0 else [1, inside]
    return inside


def named_updates(lab):
    """What chance would seldom find."""
    def run(document, *updates, **options):
        key = lab.insert(document)
        for update in updates:
            problem = lab.update(key, update, **options)
            if problem:
                print('skipped', update if len(str(update)) < 200 else '...', problem, file=sys.stderr)

    pad = 'p' * 300
    # More than eight names in every section at once.
    many = {f'f{i}': i for i in range(40)}
    run({'pad': pad, **many}, {'$set': {f'f{i}': -i - 1 for i in range(0, 40, 3)}, '$unset': {f'f{i}': '' for i in range(1, 40, 3)},
                              **{'$setOnInsert': {}}}, {'$set': {f'g{i}': i for i in range(20)}})
    run({'pad': pad, **many}, [{'$replaceWith': {'$mergeObjects': [{'_id': '$_id', 'pad': pad}, literal({f'f{39 - i}': i for i in range(0, 40, 9)}), '$$ROOT']}}], [{'$replaceWith': {'$mergeObjects': [{'_id': '$_id'}, {'$unsetField': {'field': 'f3', 'input': '$$ROOT'}}, literal({'f3': 3, 'f7': 8})]}}])
    run({'pad': pad, 'o': {f'{i}': i for i in range(30)}}, {'$set': {f'o.{i}': 'x' for i in range(0, 40, 2)}, '$unset': {f'o.{i}': '' for i in range(1, 30, 4)}})
    # Moves: a field that is removed and set anew by a pipeline goes to the end.
    run({'a': 1, 'b': {'c': 1, 'd': 2, 'e': 3}, 'z': pad}, [{'$set': {'b': {'$unsetField': {'field': 'c', 'input': '$b'}}}}, {'$set': {'b.c': 1}}],
        [{'$unset': 'a'}, {'$set': {'a': 1}}])
    # Names: empty, dotted, $, digits.
    set_field = lambda name, v, on='$$ROOT': {'$setField': {'field': literal(name), 'input': on, 'value': literal(v)}}
    for name in ('', '.', 'a.b', '$q', '0', '00', '-0', 'a.', '.a', 'ü.0'):
        run({'pad': pad, 'o': {'x': pad}}, [{'$replaceWith': set_field(name, 1)}], [{'$replaceWith': set_field(name, 2)}],
            [{'$set': {'o': set_field(name, {'y': pad, 'z': 1}, '$o')}}], [{'$set': {'o': set_field(name, {'y': pad, 'z': 2}, '$o')}}],
            [{'$set': {'o': set_field(name, [pad, 1, {'0': 1, 'p': pad}], '$o')}}], [{'$set': {'o': set_field(name, [pad, 2, {'0': 2, 'p': pad}], '$o')}}],
            [{'$set': {'o': set_field(name, [pad, 2], '$o')}}],
            [{'$set': {'o': {'$unsetField': {'field': literal(name), 'input': '$o'}}}}], [{'$replaceWith': {'$unsetField': {'field': literal(name), 'input': '$$ROOT'}}}])
    # Arrays: holes, truncation, growth, both and nested; the decimal order of 9, 10, 100.
    run({'a': [pad] * 3 + list(range(105))}, {'$set': {'a.9': 'n', 'a.10': 't', 'a.100': 'h', 'a.99': 'i'}}, {'$set': {'a.115': 'hole'}},
        [{'$set': {'a': {'$slice': ['$a', 60]}}}], {'$unset': {'a.0': '', 'a.59': '', 'a.7': ''}}, [{'$set': {'a': {'$slice': ['$a', 1]}}}],
        [{'$set': {'a': []}}], {'$set': {'a.2': 1}}, {'$push': {'a': {'$each': [pad, pad]}}})
    run({'a': [[pad, [1, 2, [3, {'b': [pad, 4]}]]], pad]}, {'$set': {'a.0.1.2.1.b.1': 5}}, {'$set': {'a.0.1.2.1.b.4': 5}}, {'$unset': {'a.0.1.2.1.b.1': ''}},
        {'$push': {'a.0.1.2.1.b': pad}}, [{'$set': {'a': literal([[pad, [1, 2, [3, {'b': [pad, None, 4]}]]], pad])}}],
        [{'$set': {'a': literal([[pad, [1, 2, [3]]], pad])}}], [{'$set': {'a': literal([[pad, [1]], pad])}}])
    run({'a': [{'b': pad, 'c': i} for i in range(30)]}, {'$set': {'a.$[x].c': 'q'}}, array_filters=[{'x.c': {'$mod': [4, 1]}}])
    run({'a': [pad, 1]}, {'$set': {'a.400': 7}}, {'$set': {'a.399': 7}}, [{'$set': {'a': {'$slice': ['$a', 2]}}}])
    run({'a': [pad, {'x': 1, 'y': 2}], 'b': pad}, {'$set': {'a.1.0': 'digit'}}, {'$set': {'a.1.0': 'again'}}, {'$unset': {'a.1.x': ''}}, {'$unset': {'a.1.0': ''}})
    # Values: zeros, types that compare equal, kinds that change into others.
    run({'a': 0.0, 'b': 1, 'c': Int64(1), 'pad': pad}, {'$set': {'a': -0.0}}, {'$set': {'b': 1.0}}, {'$set': {'b': Decimal128('1.0')}}, {'$set': {'c': 1}}, {'$set': {'a': float('nan')}})
    run({'a': {'b': [1]}, 'pad': pad}, {'$set': {'a': [{'b': 1}]}}, {'$set': {'a': {'0': {'b': 1}}}}, {'$set': {'a.0.b': 2}}, {'$set': {'a': 5}}, {'$unset': {'a': ''}}, {'$set': {'a.0': 5}})
    # Depth.  The oplog entry nests deeper than the document.
    for depth in (60, 120, 150):
        run({'a': nest(depth, {'v': 1, 'pad': pad}), 'pad': pad}, {'$set': {'.'.join(['a'] + ['n' if i % 2 == 1 else '1' for i in range(depth % 2, depth + depth % 2)][::1]) + '.v': 2}})
    # Sections' own letters as names.
    letters = {name: {name: {name: 1, 'pad': pad}} for name in ('a', 'b', 'd', 'i', 'u', 's', 'l', 'sa', 'ss', 'u0')}
    run(letters, {'$set': {f'{n}.{n}.{n}': 2 for n in letters}}, {'$unset': {f'{n}.{n}.{n}': '' for n in letters}}, {'$set': {f'{n}.{n}.new': [1] for n in letters}},
        {'$push': {f'{n}.{n}.new': 2 for n in letters}}, {'$unset': {n: '' for n in list(letters)[::2]}}, {'$set': {n: 1 for n in letters}})


def named_modifiers(lab):
    def run(document, *modifiers):
        key = lab.insert(document)
        for modifier in modifiers:
            problem = lab.apply_modifiers(key, modifier)
            if problem:
                print('refused', modifier, problem[:120], file=sys.stderr)

    t = True
    run({'m': 1}, {'$set': {'z': 1, '10': 2, '9': 3, '1a': 3, 'b': 5, 'a': 5}}, {'$set': {'x.10': 2, 'x.9': 3, 'x.1a': 4, 'x.01': 3}}, {'$set': {'x.9.q': 1, 'y': 2}})
    run({'m': [1, 2]}, {'$set': {'m.10': 2, 'm.9': 3}}, {'$set': {'m.01': 7}}, {'$set': {'m.x': 7, 'n': 5}}, {'$set': {'m.-1': 7, 'n': 6}}, {'$unset': {'m.x': t, 'm.1': t, 'm.77': t}},
        {'$unset': {'m.20': t}, '$set': {'m.21': 2}}, {'$set': {'m.25.b': 2}}, {'$set': {'m.25.b': 3, 'm.25.0': 1}}, {'$set': {'m.0.b': 2, 'n': 9}}, {'$set': {'m.99999999999999': 2, 'n': 10}})
    run({'m': 1, 'n': None}, {'$set': {'m.x': 7, 'o': 5}}, {'$unset': {'m.x': t}}, {'$set': {'n.1.b': 2}}, {'$unset': {'m.0.y': t, 'b': t}, '$set': {'m.0.z': 3, 'p': 3}}, {'$set': {'$a': 1}})
    run({'m': {'b': 1}}, {'$set': {'m.c.d': 1, 'm.c.a': 2, 'm.a': 3, 'm.b': 4}, '$unset': {'m.q.r': t, 'm.c.z': t, 'k.j': t}}, {'$set': {}}, {'$unset': {}}, {}, {'$unset': {'m.c': t}}, {'$unset': {'m': t}, '$set': {'n': 1}})
    run({'m': 1}, {'$set': {'a!': 1, 'a.b': 2, 'a-': 3, 'a0': 4, 'A': 6, 'é': 7, 'a.!': 2}}, {'$set': {'a.b': -0.0}}, {'$set': {'a.b.c': 1}})
    run({'a': {'b': [1, {'c': 2}, [3, [4]]]}}, {'$set': {'a.b.1.c': 3, 'a.b.4.c': 4, 'a.b.1.0': 9, 'a.b.2.1.0': 7, 'a.b.2.1.3': 8}}, {'$unset': {'a.b.2.1': t, 'a.b.1.c': t, 'a.b.9.9': t}})
    run({'m': [1, 2]}, {'$set': {'m.1500003': 1, 'n': 1}}, {'$set': {'m.300': 1}})
    run({f'f{i}': i for i in range(30)}, {'$set': {f'f{i}': -i for i in range(0, 40, 3)}, '$unset': {f'f{i}': t for i in range(1, 40, 3)}}, {'$set': {f'd.{i}.{j}': i * j for i in range(12) for j in range(12)}})


def random_modifiers(lab, rng, count):
    while len(lab.modifiers) < count:
        key = lab.insert({name: value(rng) for name in rng.sample(NAMES, rng.randrange(1, 10))})
        for _ in range(4):
            document = bson.decode(lab.image(key))
            update = classic(rng, document)
            # '01' and '1' of one array abort mongod 6.0.5 (an invariant of its diff builder).
            modifiers = {o: {p: v for p, v in update[o].items() if '01' not in p.split('.')} for o in ('$set', '$unset') if o in update}
            if modifiers:
                lab.apply_modifiers(key, modifiers)


def write(folder, name, lines):
    with open(f'{folder}/{name}', 'w') as f:
        for line in lines:
            f.write(json.dumps(line) + '\n')
    print(name, len(lines), 'lines')


def main():
    port, folder = int(sys.argv[1]), sys.argv[2]
    seed, count = int((sys.argv[3:] or ['1'])[0]), int((sys.argv[4:] or ['300'])[0])
    rng, lab = random.Random(seed), Lab(port)
    named_updates(lab)
    random_updates(lab, rng, count)
    named_modifiers(lab)
    random_modifiers(lab, rng, count // 2)
    write(folder, 'own_v2diff.jsonl', lab.diffs)
    write(folder, 'own_v1.jsonl', lab.modifiers)
    write(folder, 'own_update_description.jsonl', lab.descriptions)


if __name__ == '__main__':
    main()
