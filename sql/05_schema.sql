-- mongo_tail: MongoDB, live, inside PostgreSQL
\echo Use "CREATE EXTENSION mongo_tail" to load this file. \quit

-- PUBLIC gets nothing: a role reaches a tail through grant_tail, or through
-- SELECT on a logical table that its owner made.
REVOKE ALL ON SCHEMA mongo_tail FROM PUBLIC;
COMMENT ON SCHEMA mongo_tail IS 'MongoDB''s changes as rows, its collections as tables';
