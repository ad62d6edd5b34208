-- Reading changes.

CREATE FUNCTION mongo_tail.changes(
    server name,
    namespaces text[] DEFAULT NULL,
    after mongo_tail.position DEFAULT NULL,
    until mongo_tail.position DEFAULT NULL,
    max_changes bigint DEFAULT NULL,
    wait interval DEFAULT '0',
    OUT "position" mongo_tail.position,
    OUT cluster_time mongo_tail.cluster_time,
    OUT wall_time timestamptz,
    OUT shard text,
    OUT operation_type text,
    OUT database text,
    OUT collection text,
    OUT document_key jsonb,
    OUT full_document jsonb,
    OUT update_description jsonb,
    OUT transaction_id text,
    OUT entry_bytes integer,
    OUT source text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'mongo_tail_changes'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000;
REVOKE ALL ON FUNCTION mongo_tail.changes FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.changes IS
    'the changes of a tailed server after a position (NULL: all in the ring) up to another (NULL: the newest), '
    'in order; wait is how long to wait for a first one when there is none';

CREATE PROCEDURE mongo_tail.wait_for_changes(
    server name,
    after mongo_tail.position DEFAULT 'now',
    wait interval DEFAULT '1 min')
AS 'MODULE_PATHNAME', 'mongo_tail_wait_for_changes'
LANGUAGE C;
REVOKE ALL ON PROCEDURE mongo_tail.wait_for_changes FROM PUBLIC;
COMMENT ON PROCEDURE mongo_tail.wait_for_changes IS
    'wait, without holding a snapshot, until the tail has a change after the position or the time is over';
