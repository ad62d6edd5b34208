--
-- Joins of collections: which are MongoDB's, and what they look like
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mongo_tail;
RESET client_min_messages;
\getenv directory PG_ABS_SRCDIR
\set plans :directory '/sql/include/plans.psql'
\i :plans
\getenv uri MT_URI
CREATE SERVER cj FOREIGN DATA WRAPPER mongo_tail OPTIONS (uri :'uri');
CREATE USER MAPPING FOR CURRENT_USER SERVER cj;
-- a collection that every server has, with an index on _id
CREATE FOREIGN TABLE log (id int OPTIONS (field '_id'), i2 smallint OPTIONS (field 'i'), i int, l bigint OPTIONS (field 'i'), f float8 OPTIONS (field 'i'),
	n numeric OPTIONS (field 'i'), r real OPTIONS (field 'i'), s text, d date, t timestamptz OPTIONS (field 'd'), u uuid, o mongo_tail.objectid,
	x int OPTIONS (field 'a.b'), y int OPTIONS (field 'a.0'), doc jsonb OPTIONS (field '$'))
	SERVER cj OPTIONS (database 'local', collection 'startup_log');
CREATE FOREIGN TABLE texts (id text OPTIONS (field '_id') COLLATE "C", short varchar(5) OPTIONS (field '_id'), o mongo_tail.objectid OPTIONS (field '_id'),
	d date OPTIONS (field '_id'), t timestamptz OPTIONS (field '_id'), f float8 OPTIONS (field '_id'), n numeric OPTIONS (field '_id'),
	i2 smallint OPTIONS (field '_id'), u uuid OPTIONS (field '_id'), j jsonb OPTIONS (field '_id'))
	SERVER cj OPTIONS (database 'local', collection 'startup_log');
-- so that what can be left to MongoDB is
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_nestloop = off;

SELECT pg_temp.plan($$SELECT a.id, b.s FROM log a JOIN log b ON b.id = a.i$$);
SELECT pg_temp.plan($$SELECT a.doc, b.x FROM log a JOIN log b ON b.id = a.x AND a.s < b.s WHERE a.i > 5 AND b.s = 'x'$$);
SELECT pg_temp.plan($$SELECT a.l, b.id FROM log a JOIN texts b ON b.i2 = a.l$$);
SELECT pg_temp.plan($$SELECT count(*) FROM log a JOIN texts b ON b.id = a.s COLLATE "C"$$);
SELECT pg_temp.plan($$SELECT a.i, c.i FROM log a JOIN log b ON b.id = a.i JOIN log c ON c.id = b.l ORDER BY 1 LIMIT 5$$);
SELECT pg_temp.plan($$SELECT a.id FROM log a JOIN log b ON b.id = a.i WHERE a.s = NULL$$);
SELECT a.id, b.s FROM log a JOIN log b ON b.id = a.i;
SELECT count(*), max(c.i) FROM log a JOIN log b ON b.id = a.i JOIN log c ON c.id = b.l;

-- whose columns are equal where their fields are
CREATE FUNCTION looks_up(query text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN SELECT pg_temp.plan(query) LOOP
		IF line ~ '\$lookup' THEN
			RETURN true;
		END IF;
	END LOOP;
	RETURN false;
END $$;
SELECT what, looks_up('SELECT 1 FROM log a JOIN texts b ON ' || what) FROM unnest(ARRAY['b.i2 = a.i2', 'b.i2 = a.i', 'b.i2 = a.l', 'b.i2 = a.f',
	'b.f = a.i', 'b.f = a.f', 'b.f = a.r', 'b.n = a.i', 'b.n = a.n', 'b.id = a.s', 'b.short = a.s', 'b.o = a.o', 'b.d = a.d', 'b.t = a.t', 'b.d = a.t',
	'b.u = a.u', 'b.i2 = a.x', 'b.i2 = a.y', 'b.j = a.doc', 'b.i2 + 1 = a.i', 'b.i2 < a.i', 'a.i = b.i2 AND a.l = b.i2 AND a.s > b.short',
	'a.i = b.i2 AND random() < 1', 'a.i = b.i2 AND (SELECT a.i > 5)', 'b.id = a.o::text', 'b.i2::int = a.i::int8']) what;
SELECT what, looks_up('SELECT ' || what) FROM unnest(ARRAY['1 FROM log a LEFT JOIN log b ON b.id = a.i', 'a FROM log a JOIN log b ON b.id = a.i',
	'a.tableoid FROM log a JOIN log b ON b.id = a.i', '1 FROM log a JOIN log b ON b.id = a.i FOR UPDATE OF a', '1 FROM log a JOIN log b ON b.id = a.i WHERE a.s LIKE ''a%'' AND b.d = ''2024-02-29''',
	'1 FROM log a JOIN log b ON b.id = a.i WHERE length(b.s) = 1', '1 FROM log a JOIN log b ON b.i = a.i', '1 FROM log a WHERE EXISTS (SELECT FROM log b WHERE b.id = a.i)',
	'1 FROM log a JOIN log b ON b.id = a.i LEFT JOIN log c ON c.id = a.id']) what;

-- switched off
SET mongo_tail.enable_join = off;
SELECT looks_up('SELECT 1 FROM log a JOIN log b ON b.id = a.i');
RESET mongo_tail.enable_join;
ALTER FOREIGN TABLE log OPTIONS (ADD enable_join 'off');
SELECT looks_up('SELECT 1 FROM log a JOIN log b ON b.id = a.i');
ALTER FOREIGN TABLE log OPTIONS (DROP enable_join);

DROP FUNCTION looks_up(text);
DROP SERVER cj CASCADE;
