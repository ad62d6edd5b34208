-- The type cluster_time: what it reads and prints, its unsigned order, indexes, casts.
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

-- The plan of a query as one text, where it differs between versions of PostgreSQL.
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	plan text = '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		plan := plan || line || E'\n';
	END LOOP;
	RETURN plan;
END $$;

--
-- Text
--

SELECT input, input::mongo_tail.cluster_time::text AS output
FROM unnest(ARRAY[
	'1700000000.5', ' 1700000000.5	', '0.0', '4294967295.4294967295', '01.02',
	'Timestamp(1700000000, 5)', 'Timestamp(1700000000,5)', ' Timestamp ( 1700000000 , 5 ) ',
	'Timestamp({t: 1700000000, i: 5})', 'Timestamp({ t: 1700000000, i: 5 })', 'Timestamp({"t":1700000000,"i":5})',
	'{"$timestamp":{"t":1700000000,"i":5}}', '{ "$timestamp" : { "i" : 5, "t" : 1700000000 } }'
]) WITH ORDINALITY AS i(input, n) ORDER BY n;

SELECT input, pg_temp.error_of(format('SELECT %L::mongo_tail.cluster_time', input)) AS error
FROM unnest(ARRAY['', 'now']) WITH ORDINALITY AS i(input, n) ORDER BY n;

-- All the others likewise.
SELECT input, left(pg_temp.error_of(format('SELECT %L::mongo_tail.cluster_time', input)), 5) AS sqlstate
FROM unnest(ARRAY[
	'1700000000', '1700000000.', '.5', '1700000000.5.', '1700000000.5/0', '1700000000 .5', '-1.0', '1.-1', '+1.0', '0x1.0',
	'4294967296.0', '0.4294967296', '99999999999999999999999.0', '2026-01-01 00:00+00',
	'Timestamp', 'Timestamp(', 'Timestamp()', 'Timestamp(1)', 'Timestamp(1,)', 'Timestamp(1,2', 'Timestamp(1,2))',
	'Timestamp(1,2,3)', 'Timestamp(4294967296,0)', 'Timestamp({t: 1})', 'Timestamp({t: 1, t: 2})', 'Timestamp({i: 1, i: 2})',
	'Timestamp({t: 1, i: 2}', 'Timestamp({t: 1, i: 2, x: 3})', 'Timestamp({t: -1, i: 2})', 'timestamp(1,2)',
	'{', '{}', '{"$timestamp"', '{"$timestamp":', '{"$timestamp":{"t":1,"i":2}', '{"$timestamp":{"t":1,"i":2}}}',
	'{"$timestamp":{"t":1}}', '{"$timestamp":[1,2]}', '{"$date":{"t":1,"i":2}}'
]) WITH ORDINALITY AS i(input, n) ORDER BY n;

--
-- Bytes
--

-- 2000 of random bits, and the edges.
CREATE TABLE cluster_time_bytes AS
SELECT n, decode(hex, 'hex') AS big_endian,
	mongo_tail.cluster_time(('x' || left(hex, 8))::bit(32)::bigint, ('x' || right(hex, 8))::bit(32)::bigint) AS c
FROM (
	SELECT n, left(md5(n::text), 16) AS hex FROM generate_series(1, 2000) n
	UNION ALL
	VALUES (-1, repeat('00', 8)), (-2, repeat('ff', 8)), (-3, '8000000000000000'), (-4, '7fffffffffffffff'),
		(-5, '0000000100000000'), (-6, '00000000ffffffff'), (-7, '0000000080000000'), (-8, '000000007fffffff')
) h;

SELECT count(*), count(DISTINCT c) AS distinct_times,
	count(*) FILTER (WHERE mongo_tail.cluster_time_send(c) <> big_endian) AS bad_send,
	count(*) FILTER (WHERE c::text::mongo_tail.cluster_time <> c) AS bad_text,
	count(*) FILTER (WHERE c::bigint::mongo_tail.cluster_time <> c) AS bad_bigint,
	count(*) FILTER (WHERE int8send(c::bigint) <> big_endian) AS bad_bits,
	count(*) FILTER (WHERE c::text <> mongo_tail.seconds(c) || '.' || mongo_tail.increment(c)) AS bad_parts,
	count(*) FILTER (WHERE format('Timestamp(%s, %s)', mongo_tail.seconds(c), mongo_tail.increment(c))::mongo_tail.cluster_time <> c) AS bad_shell,
	min(c), max(c)
FROM cluster_time_bytes;

-- Through the binary format, so through recv.
SELECT current_setting('data_directory') || '/mongo_tail_cluster_time.copy' AS file \gset
\set remove 'rm -f ' :file
CREATE TABLE cluster_time_received (n integer, big_endian bytea, c mongo_tail.cluster_time);
COPY cluster_time_bytes TO :'file' (FORMAT binary);
COPY cluster_time_received FROM :'file' (FORMAT binary);
SELECT count(*), count(*) FILTER (WHERE mongo_tail.cluster_time_send(c) <> big_endian) AS bad FROM cluster_time_received;
COPY (SELECT 1, ''::bytea, '\x00010203040506'::bytea) TO :'file' (FORMAT binary);
COPY cluster_time_received FROM :'file' (FORMAT binary);
COPY (SELECT) TO PROGRAM :'remove';

-- Through the text format, as pg_dump has it.
COPY (SELECT c FROM cluster_time_bytes WHERE n < 0 ORDER BY n) TO stdout;
TRUNCATE cluster_time_received;
COPY cluster_time_received (c) FROM stdin;
1700000000.5
{"$timestamp":{"t":1700000000,"i":4}}
\.
SELECT c FROM cluster_time_received ORDER BY c;

--
-- Order: unsigned, so that 2038 comes after 2037
--

SELECT count(*) FILTER (WHERE by_time <> by_bytes) AS disordered
FROM (SELECT row_number() OVER (ORDER BY c) AS by_time, row_number() OVER (ORDER BY big_endian) AS by_bytes
	FROM cluster_time_bytes) o;

SELECT count(*),
	count(*) FILTER (WHERE (a.c < b.c) <> (a.big_endian < b.big_endian)) AS lt,
	count(*) FILTER (WHERE (a.c <= b.c) <> (a.big_endian <= b.big_endian)) AS le,
	count(*) FILTER (WHERE (a.c = b.c) <> (a.big_endian = b.big_endian)) AS eq,
	count(*) FILTER (WHERE (a.c <> b.c) <> (a.big_endian <> b.big_endian)) AS ne,
	count(*) FILTER (WHERE (a.c >= b.c) <> (a.big_endian >= b.big_endian)) AS ge,
	count(*) FILTER (WHERE (a.c > b.c) <> (a.big_endian > b.big_endian)) AS gt,
	count(*) FILTER (WHERE mongo_tail.cluster_time_cmp(a.c, b.c) <>
		CASE WHEN a.big_endian < b.big_endian THEN -1 WHEN a.big_endian > b.big_endian THEN 1 ELSE 0 END) AS cmp
FROM cluster_time_bytes a, cluster_time_bytes b WHERE a.n < 100 AND b.n < 100;

-- Operators and aggregates are found whatever search_path says.
BEGIN;
SET LOCAL search_path = '';
SELECT count(*), min(c), max(c) FROM public.cluster_time_bytes WHERE c > '1700000000.5' AND c <= '4294967295.0' AND c <> '1.1';
COMMIT;

--
-- Indexes, joins, aggregates
--

SELECT amname, opcname, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
WHERE opcintype = 'mongo_tail.cluster_time'::regtype ORDER BY 1;

CREATE INDEX cluster_time_btree ON cluster_time_bytes USING btree (c);
ANALYZE cluster_time_bytes;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT n FROM cluster_time_bytes WHERE c > '2000000000.0' AND c < '2200000000.0' ORDER BY c;
SELECT pg_temp.plan_of('SELECT min(c) FROM cluster_time_bytes') ~ 'Index Only Scan using cluster_time_btree' AS min_by_index;
SELECT count(*), count(*) = (SELECT count(*) FROM cluster_time_bytes
	WHERE big_endian BETWEEN '\x77359400' AND '\x83215600') AS right_count
FROM cluster_time_bytes WHERE c >= '2000000000.0' AND c < '2200000000.0';
DROP INDEX cluster_time_btree;
CREATE INDEX cluster_time_hash ON cluster_time_bytes USING hash (c);
EXPLAIN (COSTS OFF) SELECT n FROM cluster_time_bytes WHERE c = '4294967295.4294967295';
SELECT n FROM cluster_time_bytes WHERE c = '4294967295.4294967295';
RESET enable_bitmapscan;
RESET enable_seqscan;
DROP INDEX cluster_time_hash;

SET enable_nestloop = off;
SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM cluster_time_bytes a JOIN cluster_time_bytes b USING (c);
SELECT count(*) FROM cluster_time_bytes a JOIN cluster_time_bytes b USING (c);
RESET enable_mergejoin;
RESET enable_nestloop;

SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT min(c), max(c) FROM cluster_time_bytes;
SELECT min(c), max(c) FROM cluster_time_bytes WHERE n > 0;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

SELECT count(*) FILTER (WHERE mongo_tail.cluster_time_hash(c)::bit(32) <> mongo_tail.cluster_time_hash_extended(c, 0)::bit(32)) AS seed_0,
	count(*) FILTER (WHERE mongo_tail.cluster_time_hash_extended(c, 1) = mongo_tail.cluster_time_hash_extended(c, 0)) AS seed_1
FROM cluster_time_bytes;

--
-- Casts and parts
--

SELECT c, c::timestamptz, c::bigint, mongo_tail.seconds(c), mongo_tail.increment(c)
FROM unnest(ARRAY['0.0', '1700000000.5', '2147483648.0', '4294967295.4294967295']::mongo_tail.cluster_time[]) c;
SELECT t, t::mongo_tail.cluster_time
FROM unnest(ARRAY['infinity', '-infinity', '1970-01-01', '2026-01-01 00:00:00.999999', '2106-02-07 06:28:15.5']::timestamptz[]) t;
SELECT pg_temp.error_of(format('SELECT %L::timestamptz::mongo_tail.cluster_time', t))
FROM unnest(ARRAY['1969-12-31 23:59:59.999999', '2106-02-07 06:28:16', '294276-12-31', '4000-01-01 BC']) t;

SELECT mongo_tail.cluster_time(1700000000, 5), mongo_tail.cluster_time(seconds => 0, increment => 4294967295);
SELECT pg_temp.error_of(format('SELECT mongo_tail.cluster_time(%s)', arguments))
FROM unnest(ARRAY['-1, 0', '4294967296, 0', '0, -1', '0, 4294967296']) arguments;

-- A comparison with a timestamp converts the timestamp and is one of cluster times.
EXPLAIN (COSTS OFF, VERBOSE) SELECT FROM cluster_time_bytes
WHERE c >= '2026-01-01'::timestamptz AND '2027-01-01'::timestamptz > c;
SELECT '1767225600.0'::mongo_tail.cluster_time = '2026-01-01'::timestamptz AS equal,
	'1767225600.1'::mongo_tail.cluster_time > '2026-01-01'::timestamptz AS greater,
	'1767225599.9'::mongo_tail.cluster_time < '2026-01-01'::timestamptz AS less,
	'4294967295.4294967294'::mongo_tail.cluster_time < 'infinity'::timestamptz AS before_infinity;

-- A column of timestamps takes a cluster time by assignment; bigint only by an explicit cast.
CREATE TABLE cluster_time_assigned (t timestamptz, b bigint);
INSERT INTO cluster_time_assigned (t) VALUES ('1700000000.5'::mongo_tail.cluster_time) RETURNING t;
INSERT INTO cluster_time_assigned (b) VALUES ('1700000000.5'::mongo_tail.cluster_time);

DROP TABLE cluster_time_bytes, cluster_time_received, cluster_time_assigned;
