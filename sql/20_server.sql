-- The foreign-data wrapper: servers, user mappings and foreign tables.

CREATE FUNCTION mongo_tail.mongo_tail_fdw_validator(options text[], catalog oid)
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT;
REVOKE ALL ON FUNCTION mongo_tail.mongo_tail_fdw_validator(text[], oid) FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.mongo_tail_fdw_validator(text[], oid)
    IS 'checks the options of servers, user mappings, foreign tables and columns of mongo_tail';

CREATE FUNCTION mongo_tail.mongo_tail_fdw_handler()
RETURNS fdw_handler
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT;
REVOKE ALL ON FUNCTION mongo_tail.mongo_tail_fdw_handler() FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.mongo_tail_fdw_handler()
    IS 'reads foreign tables of mongo_tail';

CREATE FOREIGN DATA WRAPPER mongo_tail
    HANDLER mongo_tail.mongo_tail_fdw_handler
    VALIDATOR mongo_tail.mongo_tail_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER mongo_tail
    IS 'MongoDB: its collections and its changes';
