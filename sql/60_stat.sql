-- What runs, and how it does.

CREATE FUNCTION mongo_tail.stat_tail_slots(
    OUT serverid oid,
    OUT shard text,
    OUT pid integer,
    OUT state text,
    OUT state_since timestamptz,
    OUT scanned_to mongo_tail.cluster_time,
    OUT ring_bytes bigint,
    OUT ring_used_bytes bigint,
    OUT covered_from mongo_tail.cluster_time,
    OUT epoch bigint,
    OUT events bigint,
    OUT entries bigint,
    OUT bytes bigint,
    OUT batches bigint,
    OUT reconnects bigint,
    OUT lookups bigint,
    OUT notifies bigint,
    OUT notify_failures bigint,
    OUT readers_lapped bigint,
    OUT oplog_reads bigint,
    OUT oplog_first mongo_tail.cluster_time,
    OUT last_error text,
    OUT last_error_at timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mongo_tail_stat_tail_slots'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION mongo_tail.stat_tail_slots FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.stat_tail_slots IS
    'the running tails of this database as shared memory has them; read stat_tail and stat_ring instead';

CREATE VIEW mongo_tail.stat_tail AS
SELECT t.server,
       s.shard,
       CASE WHEN t.system_identifier <> c.system_identifier OR t.database <> d.oid
                 OR NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_server f WHERE f.oid = t.serverid) THEN 'restored'
            ELSE coalesce(l.state, 'starting') END AS state,
       l.state_since,
       l.pid,
       coalesce(l.scanned_to, s.resume_time)::mongo_tail.position AS position,
       coalesce(l.scanned_to, s.resume_time) AS cluster_time,
       greatest(now() - coalesce(l.scanned_to, s.resume_time)::timestamptz, interval '0') AS lag,
       l.events, l.entries, l.bytes, l.batches, l.reconnects, l.lookups,
       l.notifies, l.notify_failures,
       l.last_error, l.last_error_at,
       l.oplog_first,
       extract(epoch FROM coalesce(l.scanned_to, s.resume_time)::timestamptz
                          - l.oplog_first::timestamptz)::bigint AS oplog_seconds_left
FROM mongo_tail.tail t
     JOIN mongo_tail.tail_shard s ON s.server = t.server
     CROSS JOIN pg_catalog.pg_control_system() c
     JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
     LEFT JOIN mongo_tail.stat_tail_slots() l ON l.serverid = t.serverid AND l.shard = s.shard;
REVOKE ALL ON mongo_tail.stat_tail FROM PUBLIC;
COMMENT ON VIEW mongo_tail.stat_tail IS 'one row a tailed shard: its state, place, lag, counts and last error';
COMMENT ON COLUMN mongo_tail.stat_tail.position IS 'everything up to here has been scanned';
COMMENT ON COLUMN mongo_tail.stat_tail.lag IS 'age of that place; grows up to 10 s while MongoDB is idle';

CREATE VIEW mongo_tail.stat_ring AS
SELECT t.server, l.shard, l.ring_bytes, l.ring_used_bytes, l.epoch,
       l.covered_from, l.scanned_to, l.events, l.readers_lapped, l.oplog_reads
FROM mongo_tail.tail t JOIN mongo_tail.stat_tail_slots() l ON l.serverid = t.serverid;
REVOKE ALL ON mongo_tail.stat_ring FROM PUBLIC;
COMMENT ON VIEW mongo_tail.stat_ring IS
    'one row a ring: its size and window, how many readers were lapped, and how many went through the oplog';
