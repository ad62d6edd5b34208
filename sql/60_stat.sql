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
       extract(epoch FROM least(coalesce(l.scanned_to, s.resume_time), k.cluster_time)::timestamptz
                          - l.oplog_first::timestamptz)::bigint AS oplog_seconds_left
FROM mongo_tail.tail t
     JOIN mongo_tail.tail_shard s ON s.server = t.server
     CROSS JOIN pg_catalog.pg_control_system() c
     JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
     LEFT JOIN mongo_tail.stat_tail_slots() l ON l.serverid = t.serverid AND l.shard = s.shard
     LEFT JOIN (SELECT o.serverid, o.system_identifier, o.database,
                       min(o.position)::mongo_tail.cluster_time AS cluster_time
                FROM mongo_tail.slot o GROUP BY 1, 2, 3) k
            ON k.serverid = t.serverid AND k.system_identifier = c.system_identifier AND k.database = d.oid;
REVOKE ALL ON mongo_tail.stat_tail FROM PUBLIC;
COMMENT ON VIEW mongo_tail.stat_tail IS 'one row a tailed shard: its state, place, lag, counts and last error';
COMMENT ON COLUMN mongo_tail.stat_tail.position IS 'everything up to here has been scanned';
COMMENT ON COLUMN mongo_tail.stat_tail.lag IS 'age of that place; grows up to 10 s while MongoDB is idle';
COMMENT ON COLUMN mongo_tail.stat_tail.oplog_seconds_left IS
    'how much of the oplog lies behind the oldest reader: the slot that is furthest back, or the tail itself';

CREATE VIEW mongo_tail.stat_ring AS
SELECT t.server, l.shard, l.ring_bytes, l.ring_used_bytes, l.epoch,
       l.covered_from, l.scanned_to, l.events, l.readers_lapped, l.oplog_reads
FROM mongo_tail.tail t JOIN mongo_tail.stat_tail_slots() l ON l.serverid = t.serverid;
REVOKE ALL ON mongo_tail.stat_ring FROM PUBLIC;
COMMENT ON VIEW mongo_tail.stat_ring IS
    'one row a ring: its size and window, how many readers were lapped, and how many went through the oplog';

CREATE VIEW mongo_tail.stat_slot AS
SELECT s.slot, s.server, s.owner, s.namespaces,
       CASE WHEN s.system_identifier <> c.system_identifier OR s.database <> d.oid
                 OR NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_server f WHERE f.oid = s.serverid) THEN 'restored'
            WHEN u.pid IS NOT NULL THEN 'active'
            ELSE 'ok' END AS state,
       u.pid,
       s.position,
       s.position::mongo_tail.cluster_time AS cluster_time,
       s.wall_time,
       CASE WHEN s.position >= l.scanned_to::mongo_tail.position THEN interval '0'
            ELSE greatest(now() - s.position::timestamptz, interval '0') END AS lag,
       extract(epoch FROM s.position::timestamptz - l.oplog_first::timestamptz)::bigint AS oplog_seconds_left,
       s.created_at, s.advanced_at
FROM mongo_tail.slot s
     CROSS JOIN pg_catalog.pg_control_system() c
     JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
     LEFT JOIN (SELECT serverid, min(scanned_to) AS scanned_to, max(oplog_first) AS oplog_first
                FROM mongo_tail.stat_tail_slots() GROUP BY 1) l ON l.serverid = s.serverid
     LEFT JOIN pg_catalog.pg_locks u
            ON u.locktype = 'transactionid' AND u.transactionid = s.xmax AND u.granted AND u.mode = 'ExclusiveLock';
REVOKE ALL ON mongo_tail.stat_slot FROM PUBLIC;
COMMENT ON VIEW mongo_tail.stat_slot IS 'one row a slot: who uses it, where it stands, and how far behind that is';
COMMENT ON COLUMN mongo_tail.stat_slot.state IS
    'active while a transaction that uses it is open (pid says whose), restored until adopt_slot, else ok';
COMMENT ON COLUMN mongo_tail.stat_slot.wall_time IS 'MongoDB''s wall clock at the last change that was consumed';
COMMENT ON COLUMN mongo_tail.stat_slot.lag IS 'age of its position; zero when everything scanned has been consumed';
COMMENT ON COLUMN mongo_tail.stat_slot.oplog_seconds_left IS
    'how much of the oplog lies behind it: history is lost to it when nothing does';
