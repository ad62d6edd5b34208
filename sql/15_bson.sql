-- BSON in a bytea.

CREATE FUNCTION mongo_tail.bson_to_jsonb(bson bytea) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'mongo_tail_bson_to_jsonb'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mongo_tail.bson_to_jsonb(bytea) IS
	'a BSON document as MongoDB''s relaxed Extended JSON';
REVOKE ALL ON FUNCTION mongo_tail.bson_to_jsonb(bytea) FROM PUBLIC;
