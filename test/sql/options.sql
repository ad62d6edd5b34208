--
-- Options: what they may be, and which of table, server and session has the last word
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mongo_tail;
RESET client_min_messages;
CREATE SERVER opt FOREIGN DATA WRAPPER mongo_tail OPTIONS (uri 'mongodb://127.0.0.1:1/');

-- what there is
ALTER SERVER opt OPTIONS (ADD colour 'red');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (colour 'red');
CREATE FOREIGN TABLE opt_bad (a int OPTIONS (colour 'red')) SERVER opt;
CREATE USER MAPPING FOR CURRENT_USER SERVER opt OPTIONS (colour 'red');

-- words
ALTER SERVER opt OPTIONS (ADD read_concern 'linearizable');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (read_concern 'snapshot');
ALTER SERVER opt OPTIONS (ADD read_preference 'secondarypreferred');
ALTER SERVER opt OPTIONS (ADD read_consistency 'snapshot');

-- numbers and booleans
ALTER SERVER opt OPTIONS (ADD fdw_startup_cost '-1');
ALTER SERVER opt OPTIONS (ADD fdw_startup_cost 'NaN');
ALTER SERVER opt OPTIONS (ADD fdw_tuple_cost 'Infinity');
ALTER SERVER opt OPTIONS (ADD fdw_tuple_cost 'cheap');
ALTER SERVER opt OPTIONS (ADD enable_sort 'maybe');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (batch_size '0');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (enable_join '');

-- filters and pipelines
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (filter '');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (filter '[]');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (filter '{"a": }');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (filter '{"a": 1} {}');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (filter '{"a": 1');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (filter '{"Köln": 99999999999999999999, "b": 1}');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (filter '{"a": {"$oid": "5f"}}');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (pipeline '{"$match": {}}');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (pipeline '[1]');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (pipeline '[{"$match": {}}, {"match": {}}]');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (pipeline '[{"$match": {}, "$sort": {"a": 1}}]');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (pipeline '[{"$match": {}}, {"$out": "b"}]');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (pipeline '[{"$merge": {"into": "b"}}]');

-- a table of changes has none of a collection's
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (relation 'changes', filter '{}');
CREATE FOREIGN TABLE opt_bad (a int) SERVER opt OPTIONS (enable_sort 'off', relation 'changes');

-- good ones
ALTER SERVER opt OPTIONS (ADD read_concern 'local', ADD read_preference 'secondaryPreferred',
    ADD read_consistency 'statement', ADD fdw_startup_cost '0', ADD fdw_tuple_cost '0.25',
    ADD no_cursor_timeout 'on', ADD allow_disk_use 'yes', ADD enable_filter 'off', ADD enable_sort '0',
    ADD enable_limit 'f', ADD enable_aggregate 'false', ADD enable_join 'no', ADD enable_projection 'off',
    ADD enable_parallel 'off');
CREATE FOREIGN TABLE opt_table (a int) SERVER opt OPTIONS (database 'shop', filter '{"a": {"$gt": 1}}',
    pipeline '[{"$unwind": "$items"}, {"$match": {"items.n": 1}}]', batch_size '10', read_concern 'linearizable',
    read_preference 'nearest', read_consistency 'cursor', no_cursor_timeout 'off', allow_disk_use 'off',
    enable_filter 'on', enable_sort 'true', enable_limit 'yes', enable_aggregate 't', enable_join '1',
    enable_projection 'on', enable_parallel 'on');
SELECT unnest(ftoptions) FROM pg_foreign_table WHERE ftrelid = 'opt_table'::regclass ORDER BY 1;

-- settings of a session
SELECT name, setting, context FROM pg_settings WHERE name LIKE 'mongo\_tail.enable\_%' ORDER BY 1;

DROP SERVER opt CASCADE;
