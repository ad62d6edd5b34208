-- Slots: consuming changes exactly once, in the consumer's own transaction.

CREATE TABLE mongo_tail.slot (
    slot              name NOT NULL PRIMARY KEY,
    server            name NOT NULL,
    serverid          oid NOT NULL,
    owner             regrole NOT NULL,
    namespaces        text[],
    "position"        mongo_tail.position NOT NULL,
    shards            text[] NOT NULL,
    wall_time         timestamptz,
    created_at        timestamptz NOT NULL,
    advanced_at       timestamptz NOT NULL,
    system_identifier bigint NOT NULL,
    database          oid NOT NULL
);
REVOKE ALL ON mongo_tail.slot FROM PUBLIC;
COMMENT ON TABLE mongo_tail.slot IS
    'one row a slot; change it by create_slot, get_changes, advance_slot and drop_slot only';
COMMENT ON COLUMN mongo_tail.slot.namespaces IS 'what it reads of the tail; NULL: all';
COMMENT ON COLUMN mongo_tail.slot."position" IS 'everything up to here has been consumed';
COMMENT ON COLUMN mongo_tail.slot.shards IS
    'the replica sets whose oplogs the position is a place in: it means nothing in another''s';
COMMENT ON COLUMN mongo_tail.slot.wall_time IS 'MongoDB''s wall clock at the last change that was consumed';
COMMENT ON COLUMN mongo_tail.slot.advanced_at IS 'when the position was last stored';
COMMENT ON COLUMN mongo_tail.slot.system_identifier IS
    'the cluster and database that the slot is used in: elsewhere the row is a restored copy, usable after adopt_slot';

SELECT pg_catalog.pg_extension_config_dump('mongo_tail.slot', '');

CREATE FUNCTION mongo_tail.create_slot(
    slot name,
    server name,
    namespaces text[] DEFAULT NULL,
    after mongo_tail.position DEFAULT 'now')
RETURNS mongo_tail.position
AS 'MODULE_PATHNAME', 'mongo_tail_create_slot'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION mongo_tail.create_slot FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.create_slot IS
    'a new slot on a tailed server, which begins after a position (''now'': with what is written from now on) '
    'and reads all of the tail or the given namespaces; returns the position';

CREATE FUNCTION mongo_tail.drop_slot(slot name) RETURNS void
AS 'MODULE_PATHNAME', 'mongo_tail_drop_slot'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION mongo_tail.drop_slot FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.drop_slot IS 'forget a slot';

CREATE FUNCTION mongo_tail.get_changes(
    slot name,
    max_changes bigint DEFAULT NULL,
    until mongo_tail.position DEFAULT NULL,
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
AS 'MODULE_PATHNAME', 'mongo_tail_get_changes'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000;
REVOKE ALL ON FUNCTION mongo_tail.get_changes FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.get_changes IS
    'consume the next changes of a slot: the next call continues after them, unless this transaction rolls back; '
    'after max_changes or until, whole transactions of MongoDB are still finished; '
    'wait is how long to wait for a first change when there is none';

CREATE FUNCTION mongo_tail.peek_changes(
    slot name,
    max_changes bigint DEFAULT NULL,
    until mongo_tail.position DEFAULT NULL,
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
AS 'MODULE_PATHNAME', 'mongo_tail_peek_changes'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000;
REVOKE ALL ON FUNCTION mongo_tail.peek_changes FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.peek_changes IS
    'what get_changes would return, without consuming it; also in a read-only transaction and on a standby';

CREATE FUNCTION mongo_tail.advance_slot(slot name, "position" mongo_tail.position)
RETURNS mongo_tail.position
AS 'MODULE_PATHNAME', 'mongo_tail_advance_slot'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION mongo_tail.advance_slot FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.advance_slot IS
    'consume without reading, up to a position (''now'': everything scanned so far); never back; returns the position';

CREATE FUNCTION mongo_tail.adopt_slot(slot name) RETURNS void
AS 'MODULE_PATHNAME', 'mongo_tail_adopt_slot'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION mongo_tail.adopt_slot FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.adopt_slot IS
    'let a slot that came with a dump or a copied database be used here';
