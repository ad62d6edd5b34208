-- The connections that a session keeps to MongoDB.

CREATE FUNCTION mongo_tail.session_connections(
    OUT serverid oid,
    OUT mappingid oid,
    OUT in_use boolean,
    OUT valid boolean,
    OUT uses bigint,
    OUT made_at timestamptz,
    OUT used_at timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mongo_tail_session_connections'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION mongo_tail.session_connections FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.session_connections IS
    'the connections that this session keeps; read the view connections instead';

CREATE VIEW mongo_tail.connections AS
SELECT s.srvname AS server,
       m.usename AS user_name,
       c.in_use, c.valid, c.uses, c.made_at, c.used_at
FROM mongo_tail.session_connections() c
     LEFT JOIN pg_catalog.pg_foreign_server s ON s.oid = c.serverid
     LEFT JOIN pg_catalog.pg_user_mappings m ON m.umid = c.mappingid;
REVOKE ALL ON mongo_tail.connections FROM PUBLIC;
COMMENT ON VIEW mongo_tail.connections IS
    'the connections that this session keeps for reading collections: the server (NULL: dropped), whose user mapping '
    '(public: that of PUBLIC; NULL: none), whether a statement is using it, whether it may be used again, how often it was used, '
    'when it was made and when last lent or given back';

CREATE FUNCTION mongo_tail.disconnect(server name DEFAULT NULL)
RETURNS integer
AS 'MODULE_PATHNAME', 'mongo_tail_disconnect'
LANGUAGE C VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION mongo_tail.disconnect FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.disconnect IS
    'closes the connections that this session keeps to a server, or to all, and returns how many; '
    'what is in use is closed after its use';
