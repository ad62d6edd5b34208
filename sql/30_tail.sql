-- Tails: what is tailed, and from where.

CREATE TABLE mongo_tail.tail (
    server             name NOT NULL PRIMARY KEY,
    serverid           oid NOT NULL,
    owner              regrole NOT NULL,
    namespaces         text[] NOT NULL,
    exclude_namespaces text[] NOT NULL,
    full_document      text NOT NULL CHECK (full_document IN ('none', 'lookup')),
    ring_bytes         bigint NOT NULL,
    notify_channel     text,
    notify_ms          integer NOT NULL,
    start_time         mongo_tail.cluster_time NOT NULL,
    paused_at          mongo_tail.cluster_time,
    version            bigint NOT NULL,
    system_identifier  bigint NOT NULL,
    database           oid NOT NULL
);
REVOKE ALL ON mongo_tail.tail FROM PUBLIC;
COMMENT ON TABLE mongo_tail.tail IS
    'one row a tail; change it by start_tail, pause_tail, resume_tail, seek_tail and stop_tail only';
COMMENT ON COLUMN mongo_tail.tail.start_time IS
    'the cluster time after which the tail began, or was last sought to';
COMMENT ON COLUMN mongo_tail.tail.paused_at IS
    'the cluster time that readers see nothing after, while paused; NULL while running';
COMMENT ON COLUMN mongo_tail.tail.version IS
    'counts start, seek, filter and size changes: a ring of another version is not this tail''s';
COMMENT ON COLUMN mongo_tail.tail.system_identifier IS
    'the cluster and database that the tail runs in: elsewhere the row is a restored copy, and runs only after adopt_tail';

CREATE TABLE mongo_tail.tail_shard (
    server      name NOT NULL REFERENCES mongo_tail.tail ON UPDATE CASCADE ON DELETE CASCADE,
    shard       text NOT NULL,
    resume_time mongo_tail.cluster_time NOT NULL,
    PRIMARY KEY (server, shard)
);
REVOKE ALL ON mongo_tail.tail_shard FROM PUBLIC;
COMMENT ON TABLE mongo_tail.tail_shard IS
    'the shards of each tail''s server (one, the replica set, when it is not sharded)';
COMMENT ON COLUMN mongo_tail.tail_shard.resume_time IS
    'where a tailer without a ring goes on after a restart; stored every 10 s';

CREATE TABLE mongo_tail.tail_grant (
    server  name NOT NULL REFERENCES mongo_tail.tail ON UPDATE CASCADE ON DELETE CASCADE,
    grantee regrole NOT NULL,
    PRIMARY KEY (server, grantee)
);
REVOKE ALL ON mongo_tail.tail_grant FROM PUBLIC;
COMMENT ON TABLE mongo_tail.tail_grant IS 'roles that may read a tail besides its owner; see grant_tail';

SELECT pg_catalog.pg_extension_config_dump('mongo_tail.tail', '');
SELECT pg_catalog.pg_extension_config_dump('mongo_tail.tail_shard', '');
SELECT pg_catalog.pg_extension_config_dump('mongo_tail.tail_grant', '');

CREATE FUNCTION mongo_tail.start_tail(
    server name,
    namespaces text[] DEFAULT '{}',
    exclude_namespaces text[] DEFAULT '{}',
    after mongo_tail.position DEFAULT 'now',
    full_document text DEFAULT 'none',
    ring_size text DEFAULT NULL,
    notify text DEFAULT NULL,
    notify_ms integer DEFAULT 100)
RETURNS mongo_tail.position
AS 'MODULE_PATHNAME', 'mongo_tail_start_tail'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION mongo_tail.start_tail FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.start_tail IS
    'tail the changes of a foreign server from now on, through restarts; returns the place it starts after. '
    'namespaces and exclude_namespaces hold db.coll, db.*, *.coll or /regex/; ring_size reads like 64MB';

CREATE FUNCTION mongo_tail.stop_tail(server name) RETURNS void
AS 'MODULE_PATHNAME', 'mongo_tail_stop_tail'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION mongo_tail.stop_tail FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.stop_tail IS 'end the tail of a server and forget it; its slots stay';

CREATE FUNCTION mongo_tail.pause_tail(server name) RETURNS void
AS 'MODULE_PATHNAME', 'mongo_tail_pause_tail'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION mongo_tail.pause_tail FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.pause_tail IS 'hold the tail: readers see nothing newer until resume_tail';

CREATE FUNCTION mongo_tail.resume_tail(server name) RETURNS void
AS 'MODULE_PATHNAME', 'mongo_tail_resume_tail'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION mongo_tail.resume_tail FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.resume_tail IS 'let a paused tail go on where it stopped';

CREATE FUNCTION mongo_tail.seek_tail(server name, after mongo_tail.position) RETURNS mongo_tail.position
AS 'MODULE_PATHNAME', 'mongo_tail_seek_tail'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION mongo_tail.seek_tail FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.seek_tail IS
    'begin the tail''s window anew after a position, a timestamptz, ''now'' or ''oldest''; slots keep their places';

CREATE FUNCTION mongo_tail.adopt_tail(server name) RETURNS void
AS 'MODULE_PATHNAME', 'mongo_tail_adopt_tail'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION mongo_tail.adopt_tail FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.adopt_tail IS
    'let a tail that came with a dump or a copied database run here';

CREATE FUNCTION mongo_tail.grant_tail(server name, role regrole) RETURNS void
AS 'MODULE_PATHNAME', 'mongo_tail_grant_tail'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION mongo_tail.grant_tail FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.grant_tail IS
    'let a role read the changes of a tail: USAGE on the schema, EXECUTE on the reading functions, and this tail';

CREATE FUNCTION mongo_tail.revoke_tail(server name, role regrole) RETURNS void
AS 'MODULE_PATHNAME', 'mongo_tail_revoke_tail'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION mongo_tail.revoke_tail FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.revoke_tail IS 'take back what grant_tail gave for this tail';
