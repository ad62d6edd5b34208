-- The type position: what it reads and prints, its order, indexes, casts.
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

SELECT input, input::mongo_tail.position::text AS output
FROM unnest(ARRAY[
	'1700000000.5/3f2a9c01/0',
	'  1700000000.5/3F2A9C01/7	',
	'0.0/1/1',
	'0000000001.02/a/03',
	'4294967295.4294967295/ffffffff/4294967294',
	'0.0/00000000/0', 'oldest', ' Oldest ', '-infinity', 'epoch',
	'4294967295.4294967295/ffffffff/4294967295', 'now', 'NOW', 'infinity',
	'2026-01-01 00:00+00', '2026-01-01 01:00:00.999999+01', '2026-01-01T00:00:00Z',
	'2106-02-07 06:28:15.999999+00'
]) WITH ORDINALITY AS i(input, n) ORDER BY n;

-- 'now' is not the wall clock, words for a day are.
SELECT 'yesterday'::mongo_tail.position = (current_date - 1)::timestamptz AS yesterday;

-- Without a time zone a timestamp is read in the session's.
SET TimeZone = 'Europe/Berlin';
SELECT '2026-01-01'::mongo_tail.position;
SET TimeZone = 'UTC';

SELECT input, pg_temp.error_of(format('SELECT %L::mongo_tail.position', input)) AS error
FROM unnest(ARRAY[
	'', '/', 'then', '1700000000.5', '1700000000.5/', '1700000000.5/3f2a9c01', '1700000000.5/3f2a9c01/',
	'1700000000.5/3f2a9c01/0/0', '1700000000.5/3f2a9c01/0x', '1700000000.5/3f2a9c01 /0',
	'1700000000.5/3f2a9c0g/0', '1700000000.5/13f2a9c01/0', '4294967296.0/0/0', '0.4294967296/0/0',
	'0.0/0/4294967296', '99999999999999999999999.0/0/0', '-1.0/0/0', '1700000000.-5/0/0', 'oldest/0'
]) WITH ORDINALITY AS i(input, n) ORDER BY n;

SELECT input, pg_temp.error_of(format('SELECT %L::mongo_tail.position', input)) AS error
FROM unnest(ARRAY[
	'1700000000', '2026-13-01', '1969-12-31 23:59:59.999999+00', '2106-02-07 06:28:16+00', '4000-01-01 BC',
	'294276-12-31 23:59:59+00', '2026-01-01 00:00 Nowhere/City'
]) WITH ORDINALITY AS i(input, n) ORDER BY n;

--
-- Bytes
--

-- 2000 of random bytes, and the edges.  big_endian is what a position must be.
CREATE TABLE position_bytes AS
SELECT n, decode(hex, 'hex') AS big_endian, format('%s.%s/%s/%s',
	('x' || substr(hex, 1, 8))::bit(32)::bigint, ('x' || substr(hex, 9, 8))::bit(32)::bigint,
	substr(hex, 17, 8), ('x' || substr(hex, 25, 8))::bit(32)::bigint)::mongo_tail.position AS p
FROM (
	SELECT n, md5(n::text) AS hex FROM generate_series(1, 2000) n
	UNION ALL
	SELECT -1000 - n, overlay(repeat(b, 16) PLACING c FROM n * 2 + 1 FOR 2)
	FROM generate_series(0, 15) n, (VALUES ('00', '01'), ('00', '80'), ('ff', 'fe'), ('ff', '7f'), ('7f', '80')) e(b, c)
	UNION ALL
	VALUES (-1, repeat('00', 16)), (-2, repeat('ff', 16))
) h;

SELECT count(*), count(DISTINCT p) AS distinct_positions,
	count(*) FILTER (WHERE mongo_tail.position_send(p) <> big_endian) AS bad_send,
	count(*) FILTER (WHERE p::text::mongo_tail.position <> p) AS bad_text,
	count(*) FILTER (WHERE mongo_tail.position_send(p::text::mongo_tail.position) <> big_endian) AS bad_bytes,
	min(p), max(p)
FROM position_bytes;

-- Through the binary format, so through recv.
SELECT current_setting('data_directory') || '/mongo_tail_position.copy' AS file \gset
\set remove 'rm -f ' :file
CREATE TABLE position_received (n integer, big_endian bytea, p mongo_tail.position);
COPY position_bytes TO :'file' (FORMAT binary);
COPY position_received FROM :'file' (FORMAT binary);
SELECT count(*), count(*) FILTER (WHERE mongo_tail.position_send(p) <> big_endian) AS bad FROM position_received;
-- 15 and 17 bytes are no position.
COPY (SELECT 1, ''::bytea, '\x000102030405060708090a0b0c0d0e'::bytea) TO :'file' (FORMAT binary);
COPY position_received FROM :'file' (FORMAT binary);
COPY (SELECT 1, ''::bytea, '\x000102030405060708090a0b0c0d0e0f10'::bytea) TO :'file' (FORMAT binary);
COPY position_received FROM :'file' (FORMAT binary);
COPY (SELECT) TO PROGRAM :'remove';

-- Through the text format, as pg_dump has it.
COPY (SELECT p FROM position_bytes WHERE n IN (-1, -2, 1, 2, 3) ORDER BY n) TO stdout;
TRUNCATE position_received;
COPY position_received (p) FROM stdin;
now
oldest
3301589560.2696487810/0dcc509a/1869972635
\.
SELECT p FROM position_received ORDER BY p DESC;

--
-- Order
--

SELECT count(*) FILTER (WHERE by_position <> by_bytes) AS disordered
FROM (SELECT row_number() OVER (ORDER BY p) AS by_position, row_number() OVER (ORDER BY big_endian) AS by_bytes
	FROM position_bytes) o;

SELECT count(*),
	count(*) FILTER (WHERE (a.p < b.p) <> (a.big_endian < b.big_endian)) AS lt,
	count(*) FILTER (WHERE (a.p <= b.p) <> (a.big_endian <= b.big_endian)) AS le,
	count(*) FILTER (WHERE (a.p = b.p) <> (a.big_endian = b.big_endian)) AS eq,
	count(*) FILTER (WHERE (a.p <> b.p) <> (a.big_endian <> b.big_endian)) AS ne,
	count(*) FILTER (WHERE (a.p >= b.p) <> (a.big_endian >= b.big_endian)) AS ge,
	count(*) FILTER (WHERE (a.p > b.p) <> (a.big_endian > b.big_endian)) AS gt,
	count(*) FILTER (WHERE sign(mongo_tail.position_cmp(a.p, b.p)) <>
		CASE WHEN a.big_endian < b.big_endian THEN -1 WHEN a.big_endian > b.big_endian THEN 1 ELSE 0 END) AS cmp
FROM position_bytes a, position_bytes b WHERE a.n < 100 AND b.n < 100;

-- Positions of one cluster time, where the abbreviated key of a sort ties.
SELECT count(*) FILTER (WHERE lag >= p) AS disordered
FROM (SELECT p, lag(p) OVER (ORDER BY p)
	FROM (SELECT format('1700000000.5/%s/%s', substr(md5(n::text), 1, 8), n)::mongo_tail.position AS p
		FROM generate_series(1, 1000) n) t) o;

-- Operators and aggregates are found whatever search_path says.
BEGIN;
SET LOCAL search_path = '';
SELECT count(*), min(p), max(p) FROM public.position_bytes
WHERE p > '1700000000.5/0/0' AND p <= 'now' AND p <> '2026-01-01' AND NOT p = 'oldest';
COMMIT;

--
-- Indexes, joins, aggregates
--

SELECT amname, opcname, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
WHERE opcintype = 'mongo_tail.position'::regtype ORDER BY 1;

CREATE INDEX position_btree ON position_bytes USING btree (p);
ANALYZE position_bytes;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT n FROM position_bytes WHERE p > '3300000000.0/0/0' AND p < '3400000000.0/0/0' ORDER BY p;
SELECT pg_temp.plan_of('SELECT max(p) FROM position_bytes') ~ 'Index Only Scan Backward using position_btree' AS max_by_index;
SELECT count(*), count(*) = (SELECT count(*) FROM position_bytes
	WHERE big_endian BETWEEN '\xc4b20100' AND '\xcaa7e200') AS right_count
FROM position_bytes WHERE p >= '3300000000.0/0/0' AND p < '3400000000.0/0/0';
DROP INDEX position_btree;
CREATE INDEX position_hash ON position_bytes USING hash (p);
EXPLAIN (COSTS OFF) SELECT n FROM position_bytes WHERE p = '3301589560.2696487810/0dcc509a/1869972635';
SELECT n FROM position_bytes WHERE p = '3301589560.2696487810/0dcc509a/1869972635';
RESET enable_bitmapscan;
RESET enable_seqscan;
DROP INDEX position_hash;

SET enable_nestloop = off;
SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM position_bytes a JOIN position_bytes b USING (p);
SELECT count(*) FROM position_bytes a JOIN position_bytes b USING (p);
RESET enable_mergejoin;
SET enable_hashjoin = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM position_bytes a JOIN position_bytes b USING (p);
SELECT count(*) FROM position_bytes a JOIN position_bytes b USING (p);
RESET enable_hashjoin;
RESET enable_nestloop;

SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT min(p), max(p) FROM position_bytes;
SELECT min(p), max(p) FROM position_bytes WHERE n > 0;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
SELECT min(p), max(p) FROM position_bytes WHERE false;

-- Equal values hash alike, in both functions; seed 0 agrees with the plain one.
SELECT count(*) FILTER (WHERE mongo_tail.position_hash(p) <> mongo_tail.position_hash(p::text::mongo_tail.position)) AS unequal,
	count(*) FILTER (WHERE mongo_tail.position_hash(p)::bit(32) <> mongo_tail.position_hash_extended(p, 0)::bit(32)) AS seed_0,
	count(*) FILTER (WHERE mongo_tail.position_hash_extended(p, 1) = mongo_tail.position_hash_extended(p, 0)) AS seed_1
FROM position_bytes;

--
-- Casts
--

SELECT p, p::timestamptz, p::mongo_tail.cluster_time
FROM unnest(ARRAY['oldest', 'now', '1700000000.5/3f2a9c01/7', '2026-01-01', '4294967295.0/1/0']::mongo_tail.position[]) p;

SELECT t, t::mongo_tail.position, t::mongo_tail.position::timestamptz
FROM unnest(ARRAY['infinity', '-infinity', '1970-01-01', '2026-01-01 00:00:00.999999', '2106-02-07 06:28:15']::timestamptz[]) t;

SELECT pg_temp.error_of(format('SELECT %L::timestamptz::mongo_tail.position', t))
FROM unnest(ARRAY['1969-12-31 23:59:59.999999', '2106-02-07 06:28:16']) t;

-- A cluster time is its end, a timestamp the beginning of its second.
SELECT c, c::mongo_tail.position, c::mongo_tail.position::mongo_tail.cluster_time = c AS same
FROM unnest(ARRAY['0.0', '1700000000.5', '4294967295.4294967295']::mongo_tail.cluster_time[]) c;
SELECT c::mongo_tail.position > '1700000000.5/fffffffe/4294967295' AS after_everything_at,
	c::mongo_tail.position < '1700000000.6/0/0' AS before_the_next,
	c::mongo_tail.position < 'now' AS is_not_now
FROM (SELECT '1700000000.5'::mongo_tail.cluster_time AS c) t;

-- Arguments of functions take both without a cast.
CREATE FUNCTION pg_temp.after(place mongo_tail.position) RETURNS mongo_tail.position LANGUAGE sql AS 'SELECT place';
SELECT pg_temp.after('2026-01-01 00:00:05'::timestamptz - interval '5 s') AS timestamptz,
	pg_temp.after('1700000000.5'::mongo_tail.cluster_time) AS cluster_time,
	pg_temp.after('oldest') AS oldest;
SELECT pg_temp.after(now()) < 'now' AND pg_temp.after(now()) > now() - interval '1 hour' AS in_the_past;

-- Comparisons with a timestamp or a cluster time convert those.
EXPLAIN (COSTS OFF, VERBOSE) SELECT FROM position_bytes
WHERE p >= '2026-01-01'::timestamptz AND '2027-01-01'::timestamptz > p AND p > '1700000000.5'::mongo_tail.cluster_time;
-- A column of cluster times takes a position by assignment, one of timestamptz does not.
CREATE TABLE position_assigned (c mongo_tail.cluster_time, t timestamptz);
INSERT INTO position_assigned (c) SELECT p FROM position_bytes WHERE n = 1 RETURNING c;
INSERT INTO position_assigned (t) SELECT p FROM position_bytes WHERE n = 1;

-- PostgreSQL's own resolution of names is as it was.
SELECT max('x'), min(NULL), '10' < '9' AS as_text, date '2026-01-01' < timestamptz '2026-01-02' AS dates, max(date '2026-01-01');

--
-- Shard ids: FNV-1a, 32 bit, and never 0 (the hash of the last name is)
--

SELECT name, mongo_tail.shard_id(name)
FROM unnest(ARRAY['', 'a', 'foobar', 'rs0', '7met1an']) WITH ORDINALITY AS s(name, n) ORDER BY n;

--
-- Comments and privileges
--

-- Nothing of the types is without a comment.
SELECT pg_describe_object(d.classid, d.objid, 0) AS without_comment
FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
WHERE e.extname = 'mongo_tail' AND
	(d.classid IN ('pg_operator'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass, 'pg_cast'::regclass) OR
	 d.objid IN ('mongo_tail.position'::regtype, 'mongo_tail.cluster_time'::regtype) OR
	 p.proname ~ '^(position|cluster_time|shard_id|seconds|increment|min|max)') AND
	obj_description(d.objid, d.classid::regclass::name) IS NULL
ORDER BY 1;

CREATE ROLE regress_mongo_tail_types;
GRANT USAGE ON SCHEMA mongo_tail TO regress_mongo_tail_types;
SET ROLE regress_mongo_tail_types;
SELECT max(p), max(p)::mongo_tail.cluster_time FROM (VALUES ('oldest'::mongo_tail.position), ('1700000000.5/1/0')) v(p);
CREATE TEMPORARY TABLE kept (p mongo_tail.position PRIMARY KEY, c mongo_tail.cluster_time);
SELECT mongo_tail.shard_id('rs0');
SELECT mongo_tail.cluster_time(1, 2);
SELECT mongo_tail.seconds('1.2');
SELECT mongo_tail.increment('1.2');
DROP TABLE kept;
RESET ROLE;
REVOKE USAGE ON SCHEMA mongo_tail FROM regress_mongo_tail_types;
DROP ROLE regress_mongo_tail_types;

DROP TABLE position_bytes, position_received, position_assigned;
