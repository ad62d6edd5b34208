--
-- The type objectid: what it reads and prints, its order, indexes, casts
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mongo_tail;
RESET client_min_messages;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';

-- What a statement raises: SQLSTATE, message, hint.
CREATE FUNCTION pg_temp.error_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', SQLSTATE, SQLERRM, nullif(hint, ''));
END $$;

-- text
SELECT input, input::mongo_tail.objectid AS output
  FROM unnest(ARRAY['507f1f77bcf86cd799439011', '507F1F77BCF86CD799439011', '000000000000000000000000',
                    'ffffffffffffffffffffffff']) WITH ORDINALITY AS i(input, n) ORDER BY n;
SELECT input, pg_temp.error_of(format('SELECT %L::mongo_tail.objectid', input)) AS error
  FROM unnest(ARRAY['', '507f1f77bcf86cd79943901', '507f1f77bcf86cd7994390111', '507f1f77bcf86cd79943901g',
                    ' 507f1f77bcf86cd799439011', '507f1f77bcf86cd799439011 ', '\x507f1f77bcf86cd799439011',
                    'ObjectId("507f1f77bcf86cd799439011")', '507f1f77bcf86cd79943901é']) WITH ORDINALITY AS i(input, n)
 ORDER BY n;

-- 2000 of random bytes, in a fixed order, and the edges
CREATE TABLE objectids AS
SELECT n, decode(substr(hex, 1, 24), 'hex') AS bytes, substr(hex, 1, 24)::mongo_tail.objectid AS id
  FROM (SELECT n, md5(n::text) AS hex FROM generate_series(1, 2000) n
        UNION ALL SELECT 0, repeat('0', 24) UNION ALL SELECT 2001, repeat('f', 24)) h;

-- bytes: send, casts
SELECT count(*) FROM objectids WHERE mongo_tail.objectid_send(id) <> bytes OR id::bytea <> bytes
    OR bytes::mongo_tail.objectid <> id OR id::text <> encode(bytes, 'hex') OR id::text::mongo_tail.objectid <> id;
SELECT pg_temp.error_of(format('SELECT %L::bytea::mongo_tail.objectid', b)) FROM unnest(ARRAY['\x'::bytea, '\x0102', '\x01020304050607080910111213']) b;
SELECT typlen, typbyval, typalign, typstorage FROM pg_type WHERE oid = 'mongo_tail.objectid'::regtype;

-- order: that of the bytes
SELECT count(*) FROM objectids a JOIN objectids b ON a.n % 40 = b.n % 40
 WHERE (a.id < b.id) <> (a.bytes < b.bytes) OR (a.id <= b.id) <> (a.bytes <= b.bytes) OR (a.id = b.id) <> (a.bytes = b.bytes)
    OR (a.id <> b.id) <> (a.bytes <> b.bytes) OR (a.id >= b.id) <> (a.bytes >= b.bytes) OR (a.id > b.id) <> (a.bytes > b.bytes)
    OR sign(mongo_tail.objectid_cmp(a.id, b.id)) <> sign(byteacmp(a.bytes, b.bytes));
SELECT array_agg(n ORDER BY id) = array_agg(n ORDER BY bytes) AS ascending,
       array_agg(n ORDER BY id DESC) = array_agg(n ORDER BY bytes DESC) AS descending,
       min(id)::bytea = min(encode(bytes, 'hex'))::text::mongo_tail.objectid::bytea AS least, max(id) FROM objectids;

-- btree
CREATE UNIQUE INDEX objectids_id ON objectids (id);
ANALYZE objectids;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT n FROM objectids WHERE id = 'c81e728d9d4c2f636f067f89';
SELECT n FROM objectids WHERE id = 'c81e728d9d4c2f636f067f89';
EXPLAIN (COSTS OFF) SELECT n FROM objectids WHERE id > 'ff0000000000000000000000' ORDER BY id LIMIT 3;
SELECT n, id FROM objectids WHERE id > 'ff0000000000000000000000' ORDER BY id LIMIT 3;
RESET enable_seqscan;
RESET enable_bitmapscan;
INSERT INTO objectids SELECT n, bytes, id FROM objectids WHERE n = 7;

CREATE TABLE received AS SELECT id FROM objectids;

-- hash: join, grouping, index, extended
SET enable_mergejoin = off;
SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM objectids a JOIN received b USING (id);
SELECT count(*) FROM objectids a JOIN received b USING (id);
RESET enable_mergejoin;
RESET enable_nestloop;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM objectids UNION ALL SELECT id FROM received) u;
CREATE INDEX received_id ON received USING hash (id);
SET enable_seqscan = off;
SELECT count(*) FROM received WHERE id = 'c81e728d9d4c2f636f067f89';
RESET enable_seqscan;
SELECT count(*) FROM objectids WHERE mongo_tail.objectid_hash_extended(id, 0)::bit(64)::bit(32) IS NULL
    OR (mongo_tail.objectid_hash_extended(id, 0) & x'ffffffff'::bigint)
       <> (mongo_tail.objectid_hash(id)::bigint & x'ffffffff'::bigint);
CREATE TABLE objectid_parts (id mongo_tail.objectid) PARTITION BY HASH (id);
CREATE TABLE objectid_part_0 PARTITION OF objectid_parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE objectid_part_1 PARTITION OF objectid_parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO objectid_parts SELECT id FROM objectids;
SELECT count(*) > 800 AS even FROM objectid_part_0;

-- casts: to text by assignment, from it explicitly
CREATE TABLE objectid_texts (t text, b bytea);
INSERT INTO objectid_texts SELECT id, id FROM objectids WHERE n = 1;
SELECT * FROM objectid_texts;
SELECT pg_temp.error_of('INSERT INTO received SELECT t FROM objectid_texts');
SELECT pg_temp.error_of('INSERT INTO received SELECT b FROM objectid_texts');
SELECT '507f1f77bcf86cd799439011'::varchar::mongo_tail.objectid, '507f1f77bcf86cd799439011'::mongo_tail.objectid::varchar(24);
SELECT array['507f1f77bcf86cd799439011', NULL]::mongo_tail.objectid[];

-- when it was made
SELECT id, mongo_tail.created_at(id), id::timestamptz = mongo_tail.created_at(id) AS cast
  FROM unnest(ARRAY['507f1f77bcf86cd799439011', '000000000000000000000000', '7fffffff0000000000000000',
                    '80000000ffffffffffffffff', 'ffffffffffffffffffffffff']::mongo_tail.objectid[]) id;
SELECT t, mongo_tail.first_objectid(t::timestamptz)
  FROM unnest(ARRAY['-infinity', '1969-12-31 23:59:59.5+00', '1970-01-01 00:00:00+00', '1970-01-01 00:00:00.000001+00',
                    '2012-10-17 21:13:27+00', '2012-10-17 21:13:26.2+00', '2106-02-07 06:28:15+00', '1950-01-01 00:00+00'])
       WITH ORDINALITY AS x(t, n) ORDER BY n;
SELECT pg_temp.error_of(format('SELECT mongo_tail.first_objectid(%L)', t))
  FROM unnest(ARRAY['infinity', '2106-02-07 06:28:15.1+00', '2106-02-07 06:28:16+00']) WITH ORDINALITY AS x(t, n) ORDER BY n;
-- id >= first_objectid(t) means made at t or later, whatever the id
SELECT count(*) FROM objectids, unnest(ARRAY['1970-01-01', '1990-05-05 00:00:00.3+00', '2030-01-01', '2079-12-31 23:59:59+00']::timestamptz[]) t
 WHERE (id >= mongo_tail.first_objectid(t)) <> (mongo_tail.created_at(id) >= t);

DROP TABLE objectids, received, objectid_parts, objectid_texts;
