--
-- Aggregates of collections: which are MongoDB's, and what they look like
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mongo_tail;
RESET client_min_messages;
\getenv directory PG_ABS_SRCDIR
\set plans :directory '/sql/include/plans.psql'
\i :plans
\getenv uri MT_URI
-- work is dear here, so that whatever can be is left to MongoDB
CREATE SERVER ca FOREIGN DATA WRAPPER mongo_tail OPTIONS (uri :'uri');
SET cpu_operator_cost = 1000;
CREATE USER MAPPING FOR CURRENT_USER SERVER ca;
CREATE FOREIGN TABLE sales (i int, l bigint, f float8, r real, n numeric, s text, c text OPTIONS (field 's') COLLATE "C",
	b bool, t timestamptz, d date, u uuid, j jsonb, x int OPTIONS (field 'a.b'), y int OPTIONS (field 'a.0'))
	SERVER ca OPTIONS (database 'regress_none', collection 'sales');

-- one row, groups, conditions, what stands above
SELECT pg_temp.plan($$SELECT count(*) FROM sales$$);
SELECT pg_temp.plan($$SELECT s, count(*), sum(i), avg(l), min(t), max(f) FROM sales GROUP BY s$$);
SELECT pg_temp.plan($$SELECT s, b, sum(i) * 2 FROM sales WHERE i > 5 AND s = 'x' GROUP BY s, b HAVING count(*) > 1 ORDER BY s, b$$);
SELECT pg_temp.plan($$SELECT DISTINCT d FROM sales$$);
SELECT pg_temp.plan($$SELECT count(i), count(x), bool_and(b), max(c) FROM sales$$);
SELECT pg_temp.plan($$SELECT b, s, count(DISTINCT i), count(*) FROM sales GROUP BY b, s$$);

-- FILTER: the condition as an expression, once for what has the same
SELECT pg_temp.plan($$SELECT count(*) FILTER (WHERE s = '$x' OR b), sum(l) FILTER (WHERE b), avg(l) FILTER (WHERE b) FROM sales$$);
SELECT pg_temp.plan($$SELECT s, count(*) FILTER (WHERE f < 5), max(i) FILTER (WHERE x IS NULL) FROM sales GROUP BY s$$);

-- no documents are one row without GROUP BY, and none with it
SELECT count(*), count(i), sum(i), avg(l), min(t), bool_or(b) FROM sales;
SELECT s, count(*) FROM sales GROUP BY s;
SELECT count(*) FROM sales HAVING count(*) > 0;

-- what is PostgreSQL's: the plan shows a find
CREATE FUNCTION asks(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN SELECT pg_temp.plan(query) LOOP
		IF line ~ 'MongoDB Query' THEN
			RETURN substring(line from '"(find|aggregate)"');
		END IF;
	END LOOP;
END $$;
SELECT what, asks('SELECT ' || what || ' FROM sales') FROM unnest(ARRAY['sum(n)', 'sum(r)', 'max(n)', 'min(u::text)',
	'count(DISTINCT i), sum(i)', 'sum(DISTINCT i)', 'count(DISTINCT i)', 'sum(i) FILTER (WHERE b)', 'sum(i) FILTER (WHERE r < 5)', 'sum(i) FILTER (WHERE b AND i + 1 = 2)', 'sum(i) FILTER (WHERE y IS NULL)',
	'count(DISTINCT i) FILTER (WHERE b)', 'string_agg(s, $$,$$)', 'count(j)', 'count(y)', 'sum(i + 1)', 'stddev(i)',
	'sum(i)', 'count(n)', 'max(c)']) what;
SELECT what, asks('SELECT count(*) FROM sales ' || what) FROM unnest(ARRAY['WHERE length(s) > 1', 'WHERE r < 5', 'GROUP BY i + 1',
	'GROUP BY j', 'GROUP BY ROLLUP (i)', 'GROUP BY s COLLATE "C"', 'WHERE i < 5', 'GROUP BY u']) what;

-- switched off
SET mongo_tail.enable_aggregate = off;
SELECT asks('SELECT count(*) FROM sales');
RESET mongo_tail.enable_aggregate;
ALTER FOREIGN TABLE sales OPTIONS (ADD enable_aggregate 'off');
SELECT asks('SELECT count(*) FROM sales');
ALTER FOREIGN TABLE sales OPTIONS (DROP enable_aggregate);

-- a table's own filter and stages come first
ALTER FOREIGN TABLE sales OPTIONS (ADD filter '{"store": 1}', ADD pipeline '[{"$unwind": "$items"}]');
SELECT pg_temp.plan($$SELECT i, count(*) FROM sales WHERE i = 5 GROUP BY i$$);
SELECT pg_temp.plan($$SELECT i FROM sales WHERE i = 5 ORDER BY l LIMIT 5 OFFSET 2$$);

-- partitions are grouped one by one
CREATE TABLE parts (i int, s text) PARTITION BY LIST (i);
CREATE FOREIGN TABLE part1 PARTITION OF parts FOR VALUES IN (1) SERVER ca OPTIONS (database 'regress_none', collection 'one');
CREATE FOREIGN TABLE part2 PARTITION OF parts FOR VALUES IN (2) SERVER ca OPTIONS (database 'regress_none', collection 'two');
SET enable_partitionwise_aggregate = on;
SELECT pg_temp.plan($$SELECT i, count(*) FROM parts GROUP BY i$$);
SELECT pg_temp.plan($$SELECT i, count(*) FILTER (WHERE s = 'x') FROM parts GROUP BY i$$);
SELECT i, count(*) FROM parts GROUP BY i;

DROP TABLE parts;
DROP FUNCTION asks(text);
DROP SERVER ca CASCADE;
