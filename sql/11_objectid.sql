-- The type objectid: MongoDB's ObjectId.  Operators and aggregates live in
-- pg_catalog and are PUBLIC's, as 10_types.sql says.

--
-- objectid
--

CREATE TYPE mongo_tail.objectid;
COMMENT ON TYPE mongo_tail.objectid IS
	'MongoDB''s ObjectId: 12 bytes, written as 24 hexadecimal digits';

CREATE FUNCTION mongo_tail.objectid_in(cstring) RETURNS mongo_tail.objectid
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_in(cstring) IS
	'I/O';

CREATE FUNCTION mongo_tail.objectid_out(mongo_tail.objectid) RETURNS cstring
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_out(mongo_tail.objectid) IS
	'I/O';

CREATE FUNCTION mongo_tail.objectid_recv(internal) RETURNS mongo_tail.objectid
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_recv(internal) IS
	'I/O';

CREATE FUNCTION mongo_tail.objectid_send(mongo_tail.objectid) RETURNS bytea
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_send(mongo_tail.objectid) IS
	'I/O';

CREATE TYPE mongo_tail.objectid (
	INPUT = mongo_tail.objectid_in,
	OUTPUT = mongo_tail.objectid_out,
	RECEIVE = mongo_tail.objectid_recv,
	SEND = mongo_tail.objectid_send,
	INTERNALLENGTH = 12,
	ALIGNMENT = char,
	STORAGE = plain
);

CREATE FUNCTION mongo_tail.objectid_lt(mongo_tail.objectid, mongo_tail.objectid) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_lt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_lt(mongo_tail.objectid, mongo_tail.objectid) IS
	'implementation of < operator';

CREATE FUNCTION mongo_tail.objectid_le(mongo_tail.objectid, mongo_tail.objectid) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_le' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_le(mongo_tail.objectid, mongo_tail.objectid) IS
	'implementation of <= operator';

CREATE FUNCTION mongo_tail.objectid_eq(mongo_tail.objectid, mongo_tail.objectid) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_eq' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_eq(mongo_tail.objectid, mongo_tail.objectid) IS
	'implementation of = operator';

CREATE FUNCTION mongo_tail.objectid_ne(mongo_tail.objectid, mongo_tail.objectid) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_ne' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_ne(mongo_tail.objectid, mongo_tail.objectid) IS
	'implementation of <> operator';

CREATE FUNCTION mongo_tail.objectid_ge(mongo_tail.objectid, mongo_tail.objectid) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_ge' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_ge(mongo_tail.objectid, mongo_tail.objectid) IS
	'implementation of >= operator';

CREATE FUNCTION mongo_tail.objectid_gt(mongo_tail.objectid, mongo_tail.objectid) RETURNS boolean
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_gt' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_gt(mongo_tail.objectid, mongo_tail.objectid) IS
	'implementation of > operator';

CREATE OPERATOR pg_catalog.< (
	FUNCTION = mongo_tail.objectid_lt, LEFTARG = mongo_tail.objectid, RIGHTARG = mongo_tail.objectid,
	COMMUTATOR = OPERATOR(pg_catalog.>), NEGATOR = OPERATOR(pg_catalog.>=),
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR pg_catalog.< (mongo_tail.objectid, mongo_tail.objectid) IS
	'less than';

CREATE OPERATOR pg_catalog.<= (
	FUNCTION = mongo_tail.objectid_le, LEFTARG = mongo_tail.objectid, RIGHTARG = mongo_tail.objectid,
	COMMUTATOR = OPERATOR(pg_catalog.>=), NEGATOR = OPERATOR(pg_catalog.>),
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR pg_catalog.<= (mongo_tail.objectid, mongo_tail.objectid) IS
	'less than or equal';

CREATE OPERATOR pg_catalog.= (
	FUNCTION = mongo_tail.objectid_eq, LEFTARG = mongo_tail.objectid, RIGHTARG = mongo_tail.objectid,
	COMMUTATOR = OPERATOR(pg_catalog.=), NEGATOR = OPERATOR(pg_catalog.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel,
	HASHES, MERGES
);
COMMENT ON OPERATOR pg_catalog.= (mongo_tail.objectid, mongo_tail.objectid) IS
	'equal';

CREATE OPERATOR pg_catalog.<> (
	FUNCTION = mongo_tail.objectid_ne, LEFTARG = mongo_tail.objectid, RIGHTARG = mongo_tail.objectid,
	COMMUTATOR = OPERATOR(pg_catalog.<>), NEGATOR = OPERATOR(pg_catalog.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR pg_catalog.<> (mongo_tail.objectid, mongo_tail.objectid) IS
	'not equal';

CREATE OPERATOR pg_catalog.>= (
	FUNCTION = mongo_tail.objectid_ge, LEFTARG = mongo_tail.objectid, RIGHTARG = mongo_tail.objectid,
	COMMUTATOR = OPERATOR(pg_catalog.<=), NEGATOR = OPERATOR(pg_catalog.<),
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR pg_catalog.>= (mongo_tail.objectid, mongo_tail.objectid) IS
	'greater than or equal';

CREATE OPERATOR pg_catalog.> (
	FUNCTION = mongo_tail.objectid_gt, LEFTARG = mongo_tail.objectid, RIGHTARG = mongo_tail.objectid,
	COMMUTATOR = OPERATOR(pg_catalog.<), NEGATOR = OPERATOR(pg_catalog.<=),
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR pg_catalog.> (mongo_tail.objectid, mongo_tail.objectid) IS
	'greater than';

CREATE FUNCTION mongo_tail.objectid_cmp(mongo_tail.objectid, mongo_tail.objectid) RETURNS integer
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_cmp' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_cmp(mongo_tail.objectid, mongo_tail.objectid) IS
	'less-equal-greater';

CREATE FUNCTION mongo_tail.objectid_sortsupport(internal) RETURNS void
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_sortsupport' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_sortsupport(internal) IS
	'sort support';

CREATE FUNCTION mongo_tail.objectid_hash(mongo_tail.objectid) RETURNS integer
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_hash' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_hash(mongo_tail.objectid) IS
	'hash';

CREATE FUNCTION mongo_tail.objectid_hash_extended(mongo_tail.objectid, bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_hash_extended' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_hash_extended(mongo_tail.objectid, bigint) IS
	'hash';

CREATE OPERATOR CLASS mongo_tail.objectid_ops DEFAULT FOR TYPE mongo_tail.objectid USING btree AS
	OPERATOR 1 pg_catalog.<,
	OPERATOR 2 pg_catalog.<=,
	OPERATOR 3 pg_catalog.=,
	OPERATOR 4 pg_catalog.>=,
	OPERATOR 5 pg_catalog.>,
	FUNCTION 1 mongo_tail.objectid_cmp(mongo_tail.objectid, mongo_tail.objectid),
	FUNCTION 2 mongo_tail.objectid_sortsupport(internal),
	FUNCTION 4 pg_catalog.btequalimage(oid);
COMMENT ON OPERATOR CLASS mongo_tail.objectid_ops USING btree IS
	'order of ObjectIds: by their bytes, as MongoDB orders them';
COMMENT ON OPERATOR FAMILY mongo_tail.objectid_ops USING btree IS
	'order of ObjectIds: by their bytes, as MongoDB orders them';

CREATE OPERATOR CLASS mongo_tail.objectid_ops DEFAULT FOR TYPE mongo_tail.objectid USING hash AS
	OPERATOR 1 pg_catalog.=,
	FUNCTION 1 mongo_tail.objectid_hash(mongo_tail.objectid),
	FUNCTION 2 mongo_tail.objectid_hash_extended(mongo_tail.objectid, bigint);
COMMENT ON OPERATOR CLASS mongo_tail.objectid_ops USING hash IS
	'equality of ObjectIds';
COMMENT ON OPERATOR FAMILY mongo_tail.objectid_ops USING hash IS
	'equality of ObjectIds';

CREATE FUNCTION mongo_tail.objectid_smaller(mongo_tail.objectid, mongo_tail.objectid) RETURNS mongo_tail.objectid
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_smaller' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_smaller(mongo_tail.objectid, mongo_tail.objectid) IS
	'smaller of two';

CREATE FUNCTION mongo_tail.objectid_larger(mongo_tail.objectid, mongo_tail.objectid) RETURNS mongo_tail.objectid
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_larger' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_larger(mongo_tail.objectid, mongo_tail.objectid) IS
	'larger of two';

CREATE AGGREGATE pg_catalog.min(mongo_tail.objectid) (
	SFUNC = mongo_tail.objectid_smaller, STYPE = mongo_tail.objectid, COMBINEFUNC = mongo_tail.objectid_smaller,
	SORTOP = OPERATOR(pg_catalog.<), PARALLEL = SAFE
);
COMMENT ON AGGREGATE pg_catalog.min(mongo_tail.objectid) IS
	'minimum value of all objectid input values';

CREATE AGGREGATE pg_catalog.max(mongo_tail.objectid) (
	SFUNC = mongo_tail.objectid_larger, STYPE = mongo_tail.objectid, COMBINEFUNC = mongo_tail.objectid_larger,
	SORTOP = OPERATOR(pg_catalog.>), PARALLEL = SAFE
);
COMMENT ON AGGREGATE pg_catalog.max(mongo_tail.objectid) IS
	'maximum value of all objectid input values';

-- Text: by input and output, as an assignment to text and explicitly from it.

CREATE FUNCTION mongo_tail.objectid_to_bytea(mongo_tail.objectid) RETURNS bytea
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_to_bytea' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_to_bytea(mongo_tail.objectid) IS
	'convert objectid to bytea';
CREATE CAST (mongo_tail.objectid AS bytea)
	WITH FUNCTION mongo_tail.objectid_to_bytea(mongo_tail.objectid) AS ASSIGNMENT;
COMMENT ON CAST (mongo_tail.objectid AS bytea) IS
	'the ObjectId''s 12 bytes';

CREATE FUNCTION mongo_tail.objectid_from_bytea(bytea) RETURNS mongo_tail.objectid
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_from_bytea' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.objectid_from_bytea(bytea) IS
	'convert bytea to objectid';
CREATE CAST (bytea AS mongo_tail.objectid)
	WITH FUNCTION mongo_tail.objectid_from_bytea(bytea);
COMMENT ON CAST (bytea AS mongo_tail.objectid) IS
	'the ObjectId of 12 bytes';

CREATE FUNCTION mongo_tail.created_at(mongo_tail.objectid) RETURNS timestamptz
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_created_at' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.created_at(mongo_tail.objectid) IS
	'the second in which a driver made the ObjectId: its first four bytes';
CREATE CAST (mongo_tail.objectid AS timestamptz)
	WITH FUNCTION mongo_tail.created_at(mongo_tail.objectid);
COMMENT ON CAST (mongo_tail.objectid AS timestamptz) IS
	'the second in which a driver made the ObjectId';

CREATE FUNCTION mongo_tail.first_objectid(created_at timestamptz) RETURNS mongo_tail.objectid
	AS 'MODULE_PATHNAME', 'mongo_tail_objectid_first' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.first_objectid(timestamptz) IS
	'the least ObjectId that is created at that time or later: _id >= first_objectid(t) are those created from t on';
REVOKE ALL ON FUNCTION mongo_tail.first_objectid(timestamptz) FROM PUBLIC;
