--
-- Partitioned tables whose partitions are collections: what each is asked for
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mongo_tail;
RESET client_min_messages;
\getenv directory PG_ABS_SRCDIR
\set plans :directory '/sql/include/plans.psql'
\i :plans
\getenv uri MT_URI
CREATE SERVER cp FOREIGN DATA WRAPPER mongo_tail OPTIONS (uri :'uri');
CREATE USER MAPPING FOR CURRENT_USER SERVER cp;
CREATE TABLE sales (_id int, region text COLLATE "C" NOT NULL, n int, at timestamptz) PARTITION BY LIST (region);
CREATE FOREIGN TABLE north PARTITION OF sales FOR VALUES IN ('no', 'se')
	SERVER cp OPTIONS (database 'regress_none', collection 'north');
CREATE FOREIGN TABLE south PARTITION OF sales FOR VALUES IN ('it', 'es')
	SERVER cp OPTIONS (database 'regress_none', collection 'south');
-- with its columns in another order, and under other names in MongoDB
CREATE FOREIGN TABLE east (at timestamptz, n int OPTIONS (field 'count'), region text COLLATE "C" NOT NULL, _id int)
	SERVER cp OPTIONS (database 'regress_none', collection 'east');
ALTER TABLE sales ATTACH PARTITION east FOR VALUES IN ('pl');

SET mongo_tail.enable_projection = off;
-- work is dear here, so that whatever can be is left to MongoDB
SET cpu_operator_cost = 1000;
SET enable_partitionwise_aggregate = on;
SET max_parallel_workers_per_gather = 0;
SELECT pg_temp.plan($$SELECT region, sum(n) FROM sales GROUP BY region HAVING count(*) > 5$$);
-- of the others nothing is read
SELECT pg_temp.plan($$SELECT region, n, count(*) FROM sales WHERE region IN ('pl', 'it') GROUP BY n, region$$);
SELECT pg_temp.plan($$SELECT count(*) FROM sales WHERE region = 'pl'$$);
-- what is to be put together is PostgreSQL's to aggregate
SELECT pg_temp.plan($$SELECT n, count(*) FROM sales GROUP BY n$$);
-- one partition is one table
SELECT pg_temp.plan($$SELECT n FROM sales WHERE region = 'pl' AND n > 5 ORDER BY n LIMIT 3$$);

DROP TABLE sales;
DROP SERVER cp CASCADE;
