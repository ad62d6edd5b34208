-- Types: position (a place in the merged stream of changes) and cluster_time
-- (MongoDB's Timestamp).
--
-- Their operators and their min and max live in pg_catalog, not in mongo_tail:
-- an operator is found by name through search_path, so that
-- "WHERE position > '...'" and "max(position)" would work only for those who
-- have mongo_tail in theirs.  In pg_catalog they are found always, also by
-- functions that pin their search_path.  Nothing there can collide: every one
-- takes our types.
--
-- Privileges: the types' input and output, comparison, hashing, aggregates and
-- casts stay executable by PUBLIC, and the types usable by PUBLIC, as those of
-- any type are.  They reveal nothing but what they are given, and without
-- them nobody could read the rows of a tail that was granted to them.  All the
-- rest is revoked.

--
-- position
--

CREATE TYPE mongo_tail.position;
COMMENT ON TYPE mongo_tail.position IS
	'a place in the merged stream of a server''s changes: cluster time, shard, index; it reads seconds.increment/shard/index, oldest, now, or a timestamp';

-- STABLE: it reads timestamps, which depend on TimeZone and may say yesterday.
CREATE FUNCTION mongo_tail.position_in(cstring) RETURNS mongo_tail.position
	AS 'MODULE_PATHNAME', 'mongo_tail_position_in' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_in(cstring) IS
	'I/O';

CREATE FUNCTION mongo_tail.position_out(mongo_tail.position) RETURNS cstring
	AS 'MODULE_PATHNAME', 'mongo_tail_position_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_out(mongo_tail.position) IS
	'I/O';

CREATE FUNCTION mongo_tail.position_recv(internal) RETURNS mongo_tail.position
	AS 'MODULE_PATHNAME', 'mongo_tail_position_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_recv(internal) IS
	'I/O';

CREATE FUNCTION mongo_tail.position_send(mongo_tail.position) RETURNS bytea
	AS 'MODULE_PATHNAME', 'mongo_tail_position_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_send(mongo_tail.position) IS
	'I/O';

CREATE TYPE mongo_tail.position (
	INPUT = mongo_tail.position_in,
	OUTPUT = mongo_tail.position_out,
	RECEIVE = mongo_tail.position_recv,
	SEND = mongo_tail.position_send,
	INTERNALLENGTH = 16,
	ALIGNMENT = char,
	STORAGE = plain
);

CREATE FUNCTION mongo_tail.position_lt(mongo_tail.position, mongo_tail.position) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_position_lt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_lt(mongo_tail.position, mongo_tail.position) IS
	'implementation of < operator';

CREATE FUNCTION mongo_tail.position_le(mongo_tail.position, mongo_tail.position) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_position_le' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_le(mongo_tail.position, mongo_tail.position) IS
	'implementation of <= operator';

CREATE FUNCTION mongo_tail.position_eq(mongo_tail.position, mongo_tail.position) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_position_eq' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_eq(mongo_tail.position, mongo_tail.position) IS
	'implementation of = operator';

CREATE FUNCTION mongo_tail.position_ne(mongo_tail.position, mongo_tail.position) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_position_ne' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_ne(mongo_tail.position, mongo_tail.position) IS
	'implementation of <> operator';

CREATE FUNCTION mongo_tail.position_ge(mongo_tail.position, mongo_tail.position) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_position_ge' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_ge(mongo_tail.position, mongo_tail.position) IS
	'implementation of >= operator';

CREATE FUNCTION mongo_tail.position_gt(mongo_tail.position, mongo_tail.position) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_position_gt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_gt(mongo_tail.position, mongo_tail.position) IS
	'implementation of > operator';

CREATE OPERATOR pg_catalog.< (
	FUNCTION = mongo_tail.position_lt, LEFTARG = mongo_tail.position, RIGHTARG = mongo_tail.position,
	COMMUTATOR = OPERATOR(pg_catalog.>), NEGATOR = OPERATOR(pg_catalog.>=),
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR pg_catalog.< (mongo_tail.position, mongo_tail.position) IS
	'less than';

CREATE OPERATOR pg_catalog.<= (
	FUNCTION = mongo_tail.position_le, LEFTARG = mongo_tail.position, RIGHTARG = mongo_tail.position,
	COMMUTATOR = OPERATOR(pg_catalog.>=), NEGATOR = OPERATOR(pg_catalog.>),
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR pg_catalog.<= (mongo_tail.position, mongo_tail.position) IS
	'less than or equal';

CREATE OPERATOR pg_catalog.= (
	FUNCTION = mongo_tail.position_eq, LEFTARG = mongo_tail.position, RIGHTARG = mongo_tail.position,
	COMMUTATOR = OPERATOR(pg_catalog.=), NEGATOR = OPERATOR(pg_catalog.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel,
	HASHES, MERGES
);
COMMENT ON OPERATOR pg_catalog.= (mongo_tail.position, mongo_tail.position) IS
	'equal';

CREATE OPERATOR pg_catalog.<> (
	FUNCTION = mongo_tail.position_ne, LEFTARG = mongo_tail.position, RIGHTARG = mongo_tail.position,
	COMMUTATOR = OPERATOR(pg_catalog.<>), NEGATOR = OPERATOR(pg_catalog.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR pg_catalog.<> (mongo_tail.position, mongo_tail.position) IS
	'not equal';

CREATE OPERATOR pg_catalog.>= (
	FUNCTION = mongo_tail.position_ge, LEFTARG = mongo_tail.position, RIGHTARG = mongo_tail.position,
	COMMUTATOR = OPERATOR(pg_catalog.<=), NEGATOR = OPERATOR(pg_catalog.<),
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR pg_catalog.>= (mongo_tail.position, mongo_tail.position) IS
	'greater than or equal';

CREATE OPERATOR pg_catalog.> (
	FUNCTION = mongo_tail.position_gt, LEFTARG = mongo_tail.position, RIGHTARG = mongo_tail.position,
	COMMUTATOR = OPERATOR(pg_catalog.<), NEGATOR = OPERATOR(pg_catalog.<=),
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR pg_catalog.> (mongo_tail.position, mongo_tail.position) IS
	'greater than';

CREATE FUNCTION mongo_tail.position_cmp(mongo_tail.position, mongo_tail.position) RETURNS integer
	AS 'MODULE_PATHNAME', 'mongo_tail_position_cmp' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_cmp(mongo_tail.position, mongo_tail.position) IS
	'less-equal-greater';

CREATE FUNCTION mongo_tail.position_sortsupport(internal) RETURNS void
	AS 'MODULE_PATHNAME', 'mongo_tail_position_sortsupport' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_sortsupport(internal) IS
	'sort support';

CREATE FUNCTION mongo_tail.position_hash(mongo_tail.position) RETURNS integer
	AS 'MODULE_PATHNAME', 'mongo_tail_position_hash' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_hash(mongo_tail.position) IS
	'hash';

CREATE FUNCTION mongo_tail.position_hash_extended(mongo_tail.position, bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'mongo_tail_position_hash_extended' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_hash_extended(mongo_tail.position, bigint) IS
	'hash';

CREATE OPERATOR CLASS mongo_tail.position_ops DEFAULT FOR TYPE mongo_tail.position USING btree AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 mongo_tail.position_cmp(mongo_tail.position, mongo_tail.position),
	FUNCTION 2 mongo_tail.position_sortsupport(internal),
	FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS mongo_tail.position_ops USING btree IS
	'order of positions: by cluster time, shard, index';
COMMENT ON OPERATOR FAMILY mongo_tail.position_ops USING btree IS
	'order of positions: by cluster time, shard, index';

CREATE OPERATOR CLASS mongo_tail.position_ops DEFAULT FOR TYPE mongo_tail.position USING hash AS
	OPERATOR 1 pg_catalog.=,
	FUNCTION 1 mongo_tail.position_hash(mongo_tail.position),
	FUNCTION 2 mongo_tail.position_hash_extended(mongo_tail.position, bigint);
COMMENT ON OPERATOR CLASS mongo_tail.position_ops USING hash IS
	'equality of positions';
COMMENT ON OPERATOR FAMILY mongo_tail.position_ops USING hash IS
	'equality of positions';

CREATE FUNCTION mongo_tail.position_smaller(mongo_tail.position, mongo_tail.position) RETURNS mongo_tail.position
	AS 'MODULE_PATHNAME', 'mongo_tail_position_smaller' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_smaller(mongo_tail.position, mongo_tail.position) IS
	'smaller of two';

CREATE FUNCTION mongo_tail.position_larger(mongo_tail.position, mongo_tail.position) RETURNS mongo_tail.position
	AS 'MODULE_PATHNAME', 'mongo_tail_position_larger' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_larger(mongo_tail.position, mongo_tail.position) IS
	'larger of two';

CREATE AGGREGATE pg_catalog.min(mongo_tail.position) (
	SFUNC = mongo_tail.position_smaller, STYPE = mongo_tail.position, COMBINEFUNC = mongo_tail.position_smaller,
	SORTOP = OPERATOR(pg_catalog.<), PARALLEL = SAFE
);
COMMENT ON AGGREGATE pg_catalog.min(mongo_tail.position) IS
	'minimum value of all position input values';

CREATE AGGREGATE pg_catalog.max(mongo_tail.position) (
	SFUNC = mongo_tail.position_larger, STYPE = mongo_tail.position, COMBINEFUNC = mongo_tail.position_larger,
	SORTOP = OPERATOR(pg_catalog.>), PARALLEL = SAFE
);
COMMENT ON AGGREGATE pg_catalog.max(mongo_tail.position) IS
	'maximum value of all position input values';

--
-- cluster_time
--

CREATE TYPE mongo_tail.cluster_time;
COMMENT ON TYPE mongo_tail.cluster_time IS
	'MongoDB''s Timestamp: seconds since 1970 and an increment within the second; it reads seconds.increment, Timestamp(seconds, increment) and {"$timestamp": {"t": seconds, "i": increment}}';

CREATE FUNCTION mongo_tail.cluster_time_in(cstring) RETURNS mongo_tail.cluster_time
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_in(cstring) IS
	'I/O';

CREATE FUNCTION mongo_tail.cluster_time_out(mongo_tail.cluster_time) RETURNS cstring
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_out(mongo_tail.cluster_time) IS
	'I/O';

CREATE FUNCTION mongo_tail.cluster_time_recv(internal) RETURNS mongo_tail.cluster_time
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_recv(internal) IS
	'I/O';

CREATE FUNCTION mongo_tail.cluster_time_send(mongo_tail.cluster_time) RETURNS bytea
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_send(mongo_tail.cluster_time) IS
	'I/O';

CREATE TYPE mongo_tail.cluster_time (
	INPUT = mongo_tail.cluster_time_in,
	OUTPUT = mongo_tail.cluster_time_out,
	RECEIVE = mongo_tail.cluster_time_recv,
	SEND = mongo_tail.cluster_time_send,
	INTERNALLENGTH = 8,
	PASSEDBYVALUE,
	ALIGNMENT = double,
	STORAGE = plain
);

CREATE FUNCTION mongo_tail.cluster_time_lt(mongo_tail.cluster_time, mongo_tail.cluster_time) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_lt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_lt(mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'implementation of < operator';

CREATE FUNCTION mongo_tail.cluster_time_le(mongo_tail.cluster_time, mongo_tail.cluster_time) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_le' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_le(mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'implementation of <= operator';

CREATE FUNCTION mongo_tail.cluster_time_eq(mongo_tail.cluster_time, mongo_tail.cluster_time) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_eq' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_eq(mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'implementation of = operator';

CREATE FUNCTION mongo_tail.cluster_time_ne(mongo_tail.cluster_time, mongo_tail.cluster_time) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_ne' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_ne(mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'implementation of <> operator';

CREATE FUNCTION mongo_tail.cluster_time_ge(mongo_tail.cluster_time, mongo_tail.cluster_time) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_ge' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_ge(mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'implementation of >= operator';

CREATE FUNCTION mongo_tail.cluster_time_gt(mongo_tail.cluster_time, mongo_tail.cluster_time) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_gt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_gt(mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'implementation of > operator';

CREATE OPERATOR pg_catalog.< (
	FUNCTION = mongo_tail.cluster_time_lt, LEFTARG = mongo_tail.cluster_time, RIGHTARG = mongo_tail.cluster_time,
	COMMUTATOR = OPERATOR(pg_catalog.>), NEGATOR = OPERATOR(pg_catalog.>=),
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR pg_catalog.< (mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'less than';

CREATE OPERATOR pg_catalog.<= (
	FUNCTION = mongo_tail.cluster_time_le, LEFTARG = mongo_tail.cluster_time, RIGHTARG = mongo_tail.cluster_time,
	COMMUTATOR = OPERATOR(pg_catalog.>=), NEGATOR = OPERATOR(pg_catalog.>),
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR pg_catalog.<= (mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'less than or equal';

CREATE OPERATOR pg_catalog.= (
	FUNCTION = mongo_tail.cluster_time_eq, LEFTARG = mongo_tail.cluster_time, RIGHTARG = mongo_tail.cluster_time,
	COMMUTATOR = OPERATOR(pg_catalog.=), NEGATOR = OPERATOR(pg_catalog.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel,
	HASHES, MERGES
);
COMMENT ON OPERATOR pg_catalog.= (mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'equal';

CREATE OPERATOR pg_catalog.<> (
	FUNCTION = mongo_tail.cluster_time_ne, LEFTARG = mongo_tail.cluster_time, RIGHTARG = mongo_tail.cluster_time,
	COMMUTATOR = OPERATOR(pg_catalog.<>), NEGATOR = OPERATOR(pg_catalog.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR pg_catalog.<> (mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'not equal';

CREATE OPERATOR pg_catalog.>= (
	FUNCTION = mongo_tail.cluster_time_ge, LEFTARG = mongo_tail.cluster_time, RIGHTARG = mongo_tail.cluster_time,
	COMMUTATOR = OPERATOR(pg_catalog.<=), NEGATOR = OPERATOR(pg_catalog.<),
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR pg_catalog.>= (mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'greater than or equal';

CREATE OPERATOR pg_catalog.> (
	FUNCTION = mongo_tail.cluster_time_gt, LEFTARG = mongo_tail.cluster_time, RIGHTARG = mongo_tail.cluster_time,
	COMMUTATOR = OPERATOR(pg_catalog.<), NEGATOR = OPERATOR(pg_catalog.<=),
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR pg_catalog.> (mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'greater than';

CREATE FUNCTION mongo_tail.cluster_time_cmp(mongo_tail.cluster_time, mongo_tail.cluster_time) RETURNS integer
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_cmp' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_cmp(mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'less-equal-greater';

CREATE FUNCTION mongo_tail.cluster_time_sortsupport(internal) RETURNS void
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_sortsupport' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_sortsupport(internal) IS
	'sort support';

CREATE FUNCTION mongo_tail.cluster_time_hash(mongo_tail.cluster_time) RETURNS integer
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_hash' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_hash(mongo_tail.cluster_time) IS
	'hash';

CREATE FUNCTION mongo_tail.cluster_time_hash_extended(mongo_tail.cluster_time, bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_hash_extended' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_hash_extended(mongo_tail.cluster_time, bigint) IS
	'hash';

CREATE OPERATOR CLASS mongo_tail.cluster_time_ops DEFAULT FOR TYPE mongo_tail.cluster_time USING btree AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 mongo_tail.cluster_time_cmp(mongo_tail.cluster_time, mongo_tail.cluster_time),
	FUNCTION 2 mongo_tail.cluster_time_sortsupport(internal),
	FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS mongo_tail.cluster_time_ops USING btree IS
	'order of cluster times: by seconds, increment';
COMMENT ON OPERATOR FAMILY mongo_tail.cluster_time_ops USING btree IS
	'order of cluster times: by seconds, increment';

CREATE OPERATOR CLASS mongo_tail.cluster_time_ops DEFAULT FOR TYPE mongo_tail.cluster_time USING hash AS
	OPERATOR 1 pg_catalog.=,
	FUNCTION 1 mongo_tail.cluster_time_hash(mongo_tail.cluster_time),
	FUNCTION 2 mongo_tail.cluster_time_hash_extended(mongo_tail.cluster_time, bigint);
COMMENT ON OPERATOR CLASS mongo_tail.cluster_time_ops USING hash IS
	'equality of cluster times';
COMMENT ON OPERATOR FAMILY mongo_tail.cluster_time_ops USING hash IS
	'equality of cluster times';

CREATE FUNCTION mongo_tail.cluster_time_smaller(mongo_tail.cluster_time, mongo_tail.cluster_time)
RETURNS mongo_tail.cluster_time
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_smaller' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_smaller(mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'smaller of two';

CREATE FUNCTION mongo_tail.cluster_time_larger(mongo_tail.cluster_time, mongo_tail.cluster_time)
RETURNS mongo_tail.cluster_time
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_larger' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_larger(mongo_tail.cluster_time, mongo_tail.cluster_time) IS
	'larger of two';

CREATE AGGREGATE pg_catalog.min(mongo_tail.cluster_time) (
	SFUNC = mongo_tail.cluster_time_smaller, STYPE = mongo_tail.cluster_time,
    COMBINEFUNC = mongo_tail.cluster_time_smaller,
	SORTOP = OPERATOR(pg_catalog.<), PARALLEL = SAFE
);
COMMENT ON AGGREGATE pg_catalog.min(mongo_tail.cluster_time) IS
	'minimum value of all cluster time input values';

CREATE AGGREGATE pg_catalog.max(mongo_tail.cluster_time) (
	SFUNC = mongo_tail.cluster_time_larger, STYPE = mongo_tail.cluster_time,
	COMBINEFUNC = mongo_tail.cluster_time_larger,
	SORTOP = OPERATOR(pg_catalog.>), PARALLEL = SAFE
);
COMMENT ON AGGREGATE pg_catalog.max(mongo_tail.cluster_time) IS
	'maximum value of all cluster time input values';

--
-- Casts
--
-- timestamptz casts implicitly to both types, so that a function's argument
-- may be now() - interval '1 hour', and so that both types compare with
-- timestamps: "x >= now() - interval '1 hour'" converts the timestamp, never the
-- column, which keeps indexes and push-down usable.  Were only the cast to
-- position implicit, "cluster_time = timestamptz" would be found too, but as
-- a comparison of positions, the end of the one with the beginning of the
-- other, which are never equal.  The way back is not implicit: a comparison
-- would have two meanings.  No operator or function of PostgreSQL becomes
-- ambiguous, for none takes our types.

CREATE FUNCTION mongo_tail.position_from_timestamptz(timestamptz) RETURNS mongo_tail.position
	AS 'MODULE_PATHNAME', 'mongo_tail_position_from_timestamptz' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_from_timestamptz(timestamptz) IS
	'before everything of that second; infinity is now, -infinity is oldest';

CREATE CAST (timestamptz AS mongo_tail.position)
	WITH FUNCTION mongo_tail.position_from_timestamptz(timestamptz) AS IMPLICIT;
COMMENT ON CAST (timestamptz AS mongo_tail.position) IS
	'before everything of that second; infinity is now, -infinity is oldest';

CREATE FUNCTION mongo_tail.position_to_timestamptz(mongo_tail.position) RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'mongo_tail_position_to_timestamptz' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_to_timestamptz(mongo_tail.position) IS
	'the second of the position''s cluster time; now is infinity, oldest is -infinity';

CREATE CAST (mongo_tail.position AS timestamptz)
	WITH FUNCTION mongo_tail.position_to_timestamptz(mongo_tail.position);
COMMENT ON CAST (mongo_tail.position AS timestamptz) IS
	'the second of the position''s cluster time; now is infinity, oldest is -infinity';

CREATE FUNCTION mongo_tail.position_from_cluster_time(mongo_tail.cluster_time) RETURNS mongo_tail.position
	AS 'MODULE_PATHNAME', 'mongo_tail_position_from_cluster_time' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_from_cluster_time(mongo_tail.cluster_time) IS
	'after everything at that cluster time, so that "after T" means later than T (a timestamp is before everything of its second)';

CREATE CAST (mongo_tail.cluster_time AS mongo_tail.position)
	WITH FUNCTION mongo_tail.position_from_cluster_time(mongo_tail.cluster_time) AS IMPLICIT;
COMMENT ON CAST (mongo_tail.cluster_time AS mongo_tail.position) IS
	'after everything at that cluster time, so that "after T" means later than T (a timestamp is before everything of its second)';

CREATE FUNCTION mongo_tail.position_to_cluster_time(mongo_tail.position) RETURNS mongo_tail.cluster_time
	AS 'MODULE_PATHNAME', 'mongo_tail_position_to_cluster_time' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.position_to_cluster_time(mongo_tail.position) IS
	'the position''s cluster time';

CREATE CAST (mongo_tail.position AS mongo_tail.cluster_time)
	WITH FUNCTION mongo_tail.position_to_cluster_time(mongo_tail.position) AS ASSIGNMENT;
COMMENT ON CAST (mongo_tail.position AS mongo_tail.cluster_time) IS
	'the position''s cluster time';

CREATE FUNCTION mongo_tail.cluster_time_from_timestamptz(timestamptz) RETURNS mongo_tail.cluster_time
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_from_timestamptz' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_from_timestamptz(timestamptz) IS
	'the beginning of that second: increment 0; the infinities are the least and the greatest cluster time';

CREATE CAST (timestamptz AS mongo_tail.cluster_time)
	WITH FUNCTION mongo_tail.cluster_time_from_timestamptz(timestamptz) AS IMPLICIT;
COMMENT ON CAST (timestamptz AS mongo_tail.cluster_time) IS
	'the beginning of that second: increment 0; the infinities are the least and the greatest cluster time';

CREATE FUNCTION mongo_tail.cluster_time_to_timestamptz(mongo_tail.cluster_time) RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_to_timestamptz' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.cluster_time_to_timestamptz(mongo_tail.cluster_time) IS
	'the cluster time''s seconds';

CREATE CAST (mongo_tail.cluster_time AS timestamptz)
	WITH FUNCTION mongo_tail.cluster_time_to_timestamptz(mongo_tail.cluster_time) AS ASSIGNMENT;
COMMENT ON CAST (mongo_tail.cluster_time AS timestamptz) IS
	'the cluster time''s seconds';

-- Eight bytes by value on both sides.
CREATE CAST (mongo_tail.cluster_time AS bigint)
	WITHOUT FUNCTION;
COMMENT ON CAST (mongo_tail.cluster_time AS bigint) IS
	'the 64 bits, seconds << 32 | increment (negative from 2038 on, when the seconds need their highest bit)';

CREATE CAST (bigint AS mongo_tail.cluster_time)
	WITHOUT FUNCTION;
COMMENT ON CAST (bigint AS mongo_tail.cluster_time) IS
	'the 64 bits, seconds << 32 | increment';

--
-- Parts
--

CREATE FUNCTION mongo_tail.cluster_time(seconds bigint, increment bigint) RETURNS mongo_tail.cluster_time
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_make' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION mongo_tail.cluster_time(bigint, bigint) FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.cluster_time(bigint, bigint) IS
	'a cluster time from seconds since 1970 and the increment, each 0 to 4294967295';

CREATE FUNCTION mongo_tail.seconds(mongo_tail.cluster_time) RETURNS bigint
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_seconds' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION mongo_tail.seconds(mongo_tail.cluster_time) FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.seconds(mongo_tail.cluster_time) IS
	'a cluster time''s seconds since 1970';

CREATE FUNCTION mongo_tail.increment(mongo_tail.cluster_time) RETURNS bigint
	AS 'MODULE_PATHNAME', 'mongo_tail_cluster_time_increment' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION mongo_tail.increment(mongo_tail.cluster_time) FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.increment(mongo_tail.cluster_time) IS
	'a cluster time''s increment within its second';

CREATE FUNCTION mongo_tail.shard_id(shard text) RETURNS text
	AS 'MODULE_PATHNAME', 'mongo_tail_shard_id' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION mongo_tail.shard_id(text) FROM PUBLIC;
COMMENT ON FUNCTION mongo_tail.shard_id(text) IS
	'the shard part of positions of a shard (or, not sharded, replica set) of that name: FNV-1a in 8 hexadecimal digits, never 0';
