--
-- ORDER BY, LIMIT and OFFSET of collections: what is asked for
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mongo_tail;
RESET client_min_messages;
\getenv directory PG_ABS_SRCDIR
\set plans :directory '/sql/include/plans.psql'
\i :plans
\getenv uri MT_URI
CREATE SERVER cs FOREIGN DATA WRAPPER mongo_tail OPTIONS (uri :'uri');
-- work is dear here, so that whatever can be is left to MongoDB
SET cpu_operator_cost = 1000;
CREATE USER MAPPING FOR CURRENT_USER SERVER cs;
CREATE FOREIGN TABLE items (_id int, i int, f float8, n numeric, s text COLLATE "C", b bool, t timestamptz,
	v varchar(9) COLLATE "C", u uuid, e text COLLATE "en-x-icu", p char(5) COLLATE "C")
	SERVER cs OPTIONS (database 'regress_none', collection 'items');

-- values, then NULL; or NULL first
SELECT pg_temp.plan($$SELECT i FROM items ORDER BY i LIMIT 10$$);
SELECT pg_temp.plan($$SELECT b FROM items ORDER BY b DESC LIMIT 10$$);
-- NaN is the greatest number
SELECT pg_temp.plan($$SELECT f FROM items ORDER BY f NULLS FIRST LIMIT 10$$);
-- no NULL can be there: one find, which also skips
SELECT pg_temp.plan($$SELECT i FROM items WHERE i > 5 ORDER BY i LIMIT 10 OFFSET 20$$);
SELECT pg_temp.plan($$SELECT i FROM items WHERE i > 5 AND t > 'epoch' ORDER BY t DESC, i, _id LIMIT 10$$);
-- no order
SELECT pg_temp.plan($$SELECT i FROM items WHERE b LIMIT 10 OFFSET 20$$);
-- several finds: what is skipped is skipped here
SELECT pg_temp.plan($$SELECT i FROM items ORDER BY i LIMIT 10 OFFSET 20$$);
-- strings and ObjectIds are merged; a varchar that is too short for their digits has none
SELECT pg_temp.plan($$SELECT s FROM items ORDER BY s DESC, _id LIMIT 10$$);
SELECT pg_temp.plan($$SELECT s FROM items WHERE s > 'a' ORDER BY s LIMIT 10 OFFSET 20$$);
SELECT pg_temp.plan($$SELECT i FROM items WHERE v > 'a' ORDER BY v, _id LIMIT 10 OFFSET 20$$);
SELECT pg_temp.plan($$SELECT i FROM items WHERE e <> 'a' ORDER BY e COLLATE "C" LIMIT 10$$);
-- and so are the two subtypes of uuids
SELECT pg_temp.plan($$SELECT u FROM items WHERE u IS NOT NULL ORDER BY u LIMIT 10$$);
SELECT pg_temp.plan($$SELECT u FROM items WHERE u < '65a1b2c3-d4e5-4607-8829-3a4b5c6d7e8f' ORDER BY u DESC LIMIT 10$$);
-- parameters
PREPARE page(int, bigint, bigint) AS SELECT i FROM items WHERE i > $1 ORDER BY i LIMIT $2 OFFSET $3;
SET plan_cache_mode = force_generic_plan;
SELECT pg_temp.plan($$EXECUTE page(1, 2, 3)$$);

-- what is PostgreSQL's
SELECT pg_temp.plan($$SELECT n FROM items ORDER BY n LIMIT 10$$);
SELECT pg_temp.plan($$SELECT e FROM items ORDER BY e LIMIT 10$$);
SELECT pg_temp.plan($$SELECT p FROM items ORDER BY p LIMIT 10$$);
SELECT pg_temp.plan($$SELECT i FROM items WHERE s > '' ORDER BY i, s LIMIT 10$$);
SELECT pg_temp.plan($$SELECT i FROM items ORDER BY i, b LIMIT 10$$);
SELECT pg_temp.plan($$SELECT i FROM items ORDER BY i + 1 LIMIT 10$$);
SELECT pg_temp.plan($$SELECT i FROM items WHERE length(s) > 1 ORDER BY i LIMIT 10$$);
SELECT pg_temp.plan($$SELECT i FROM items ORDER BY i FETCH FIRST 10 ROWS WITH TIES$$);
SET mongo_tail.enable_sort = off;
SELECT pg_temp.plan($$SELECT i FROM items ORDER BY i LIMIT 10$$);
RESET mongo_tail.enable_sort;
SET mongo_tail.enable_limit = off;
SELECT pg_temp.plan($$SELECT i FROM items LIMIT 10$$);
RESET mongo_tail.enable_limit;

DROP SERVER cs CASCADE;
