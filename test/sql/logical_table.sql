--
-- Logical tables: options, columns and plans, as far as no MongoDB is needed
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mongo_tail;
RESET client_min_messages;
CREATE SERVER lt FOREIGN DATA WRAPPER mongo_tail OPTIONS (uri 'mongodb://127.0.0.1:1/');

-- options of tables and columns
CREATE FOREIGN TABLE lt_bad (a int) SERVER lt OPTIONS (relation 'change');
CREATE FOREIGN TABLE lt_bad (a int) SERVER lt OPTIONS (relation 'changes', tabel 'x');
CREATE FOREIGN TABLE lt_bad (a int) SERVER lt OPTIONS (relation 'changes', database 'a.b');
CREATE FOREIGN TABLE lt_bad (a int) SERVER lt OPTIONS (relation 'changes', database '/a/');
CREATE FOREIGN TABLE lt_bad (a int) SERVER lt OPTIONS (relation 'changes', collection '');
CREATE FOREIGN TABLE lt_bad (a int) SERVER lt OPTIONS (relation 'changes', on_mismatch 'ignore');
CREATE FOREIGN TABLE lt_bad (a int OPTIONS (feild 'x')) SERVER lt OPTIONS (relation 'changes');
CREATE FOREIGN TABLE lt_bad (a int OPTIONS (field '')) SERVER lt OPTIONS (relation 'changes');
CREATE FOREIGN TABLE lt_bad (a int OPTIONS (on_mismatch 'NULL')) SERVER lt OPTIONS (relation 'changes');
ALTER SERVER lt OPTIONS (ADD on_mismatch 'maybe');
ALTER SERVER lt OPTIONS (ADD on_mismatch 'null');

-- a collection is somewhere
CREATE FOREIGN TABLE lt_documents (a int) SERVER lt OPTIONS (collection 'flights');
SELECT * FROM lt_documents;
EXPLAIN SELECT * FROM lt_documents;

-- a column named as one of changes() has its type
CREATE FOREIGN TABLE lt_wrong ("position" text) SERVER lt OPTIONS (relation 'changes');
EXPLAIN SELECT * FROM lt_wrong;
DROP FOREIGN TABLE lt_wrong;
CREATE FOREIGN TABLE lt_wrong (other int, cluster_time timestamp) SERVER lt OPTIONS (relation 'changes');
EXPLAIN SELECT other FROM lt_wrong;
DROP FOREIGN TABLE lt_wrong;
CREATE FOREIGN TABLE lt_wrong (full_document json) SERVER lt OPTIONS (relation 'changes');
EXPLAIN SELECT * FROM lt_wrong;
DROP FOREIGN TABLE lt_wrong;
CREATE FOREIGN TABLE lt_wrong (changed_columns text) SERVER lt OPTIONS (relation 'changes');
EXPLAIN SELECT * FROM lt_wrong;
ALTER FOREIGN TABLE lt_wrong ALTER changed_columns OPTIONS (ADD field 'changed_columns');
EXPLAIN (COSTS OFF) SELECT * FROM lt_wrong;
DROP FOREIGN TABLE lt_wrong;

-- what is read
CREATE FOREIGN TABLE lt_changes ("position" mongo_tail.position, cluster_time mongo_tail.cluster_time,
    operation_type text, database text, collection text, dropped int, tailnum text)
    SERVER lt OPTIONS (relation 'changes', collection 'flights');
ALTER FOREIGN TABLE lt_changes DROP COLUMN dropped;
EXPLAIN (COSTS OFF) SELECT * FROM lt_changes;
EXPLAIN (VERBOSE, COSTS OFF) SELECT tailnum FROM lt_changes
    WHERE database IN ('shop', 'shop2') AND operation_type <> 'delete' AND operation_type = ANY ('{insert,delete}')
      AND "position" > '1700000000.5/3f2a9c01/0';
EXPLAIN (COSTS OFF) SELECT * FROM lt_changes
    WHERE '1700000000.5/3f2a9c01/7' <= "position" AND cluster_time < '1700000001.0';
EXPLAIN (COSTS OFF) SELECT * FROM lt_changes WHERE cluster_time = '1700000001.1' AND tailnum = 'N14228';
EXPLAIN (COSTS OFF) SELECT * FROM lt_changes WHERE "position" > 'oldest' AND database = 'shop' OR tailnum = 'x';
EXPLAIN (COSTS OFF) SELECT * FROM lt_changes WHERE collection = 'planes';
EXPLAIN (COSTS OFF) SELECT * FROM lt_changes WHERE database = '*' AND collection = 'f*';

-- values that are known when it runs
-- (what an InitPlan gives is $0 until PostgreSQL 16 and (InitPlan 1).col1 since)
CREATE FUNCTION pg_temp.explain(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        line := regexp_replace(line, '\$\d+|\(InitPlan \d+\)\.col1', '<InitPlan>', 'g');
        RETURN NEXT regexp_replace(line, ' \(returns <InitPlan>\)', '');
    END LOOP;
END $$;
SELECT * FROM pg_temp.explain($$SELECT * FROM lt_changes
    WHERE "position" > (SELECT max(p) FROM (VALUES ('5.1/a/0'::mongo_tail.position)) v(p))
      AND database = ANY (ARRAY(SELECT 'shop'::text)) AND operation_type = current_user::text$$);
PREPARE lt(text) AS SELECT * FROM lt_changes WHERE operation_type = $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE lt('insert');
SET plan_cache_mode = force_custom_plan;
EXPLAIN (COSTS OFF) EXECUTE lt('insert');
RESET plan_cache_mode;

-- changes come in order
EXPLAIN (COSTS OFF) SELECT * FROM lt_changes ORDER BY "position" LIMIT 5;
EXPLAIN (COSTS OFF) SELECT * FROM lt_changes ORDER BY cluster_time, "position", tailnum DESC;
EXPLAIN (COSTS OFF) SELECT cluster_time, count(*) FROM lt_changes GROUP BY cluster_time ORDER BY cluster_time;
EXPLAIN (COSTS OFF) SELECT * FROM lt_changes ORDER BY "position" DESC;
EXPLAIN (COSTS OFF) SELECT * FROM lt_changes ORDER BY tailnum, "position";

-- conditions that must not restrict: volatile, of the table itself
EXPLAIN (COSTS OFF) SELECT * FROM lt_changes WHERE operation_type = (ARRAY['insert'])[1 + (random() * 0)::int];
EXPLAIN (COSTS OFF) SELECT * FROM lt_changes WHERE collection = database;

-- without a tail nothing runs
SELECT * FROM lt_changes;

-- types that no BSON converts to
CREATE FOREIGN TABLE lt_interval (a interval) SERVER lt OPTIONS (relation 'changes');
SELECT * FROM lt_interval;
ALTER FOREIGN TABLE lt_interval ALTER a TYPE int2vector;
SELECT * FROM lt_interval;
ALTER FOREIGN TABLE lt_interval ALTER a TYPE int4range[];
SELECT * FROM lt_interval;
SELECT has_function_privilege('public', 'mongo_tail.mongo_tail_fdw_handler()', 'EXECUTE') AS public_may;
DROP FOREIGN TABLE lt_interval, lt_changes, lt_documents;
DROP SERVER lt;
