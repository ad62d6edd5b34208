--
-- ORDER BY, LIMIT and OFFSET of collections: what is asked for
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mongo_tail;
RESET client_min_messages;
\getenv uri MT_URI
CREATE SERVER cs FOREIGN DATA WRAPPER mongo_tail OPTIONS (uri :'uri');
-- work is dear here, so that whatever can be is left to MongoDB
SET cpu_operator_cost = 1000;
CREATE USER MAPPING FOR CURRENT_USER SERVER cs;
CREATE FOREIGN TABLE items (_id int, i int, f float8, n numeric, s text COLLATE "C", b bool, t timestamptz,
	v varchar(9) COLLATE "C", u uuid, e text COLLATE "en-x-icu", p char(5) COLLATE "C")
	SERVER cs OPTIONS (database 'regress_none', collection 'items');

-- values, then NULL; or NULL first
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM items ORDER BY i LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT b FROM items ORDER BY b DESC LIMIT 10;
-- NaN is the greatest number
EXPLAIN (VERBOSE, COSTS OFF) SELECT f FROM items ORDER BY f NULLS FIRST LIMIT 10;
-- no NULL can be there: one find, which also skips
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM items WHERE i > 5 ORDER BY i LIMIT 10 OFFSET 20;
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM items WHERE i > 5 AND t > 'epoch' ORDER BY t DESC, i, _id LIMIT 10;
-- no order
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM items WHERE b LIMIT 10 OFFSET 20;
-- several finds: what is skipped is skipped here
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM items ORDER BY i LIMIT 10 OFFSET 20;
-- strings and ObjectIds are merged; a varchar that is too short for their digits has none
EXPLAIN (VERBOSE, COSTS OFF) SELECT s FROM items ORDER BY s DESC, _id LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT s FROM items WHERE s > 'a' ORDER BY s LIMIT 10 OFFSET 20;
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM items WHERE v > 'a' ORDER BY v, _id LIMIT 10 OFFSET 20;
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM items WHERE e <> 'a' ORDER BY e COLLATE "C" LIMIT 10;
-- and so are the two subtypes of uuids
EXPLAIN (VERBOSE, COSTS OFF) SELECT u FROM items WHERE u IS NOT NULL ORDER BY u LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT u FROM items WHERE u < '65a1b2c3-d4e5-4607-8829-3a4b5c6d7e8f' ORDER BY u DESC LIMIT 10;
-- parameters
PREPARE page(int, bigint, bigint) AS SELECT i FROM items WHERE i > $1 ORDER BY i LIMIT $2 OFFSET $3;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE page(1, 2, 3);

-- what is PostgreSQL's
EXPLAIN (VERBOSE, COSTS OFF) SELECT n FROM items ORDER BY n LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT e FROM items ORDER BY e LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT p FROM items ORDER BY p LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM items WHERE s > '' ORDER BY i, s LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM items ORDER BY i, b LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM items ORDER BY i + 1 LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM items WHERE length(s) > 1 ORDER BY i LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM items ORDER BY i FETCH FIRST 10 ROWS WITH TIES;
SET mongo_tail.enable_sort = off;
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM items ORDER BY i LIMIT 10;
RESET mongo_tail.enable_sort;
SET mongo_tail.enable_limit = off;
EXPLAIN (VERBOSE, COSTS OFF) SELECT i FROM items LIMIT 10;
RESET mongo_tail.enable_limit;

DROP SERVER cs CASCADE;
