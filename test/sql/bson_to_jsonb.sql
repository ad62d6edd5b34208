--
-- BSON to jsonb: every type, and what jsonb cannot hold
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mongo_tail;
RESET client_min_messages;

-- the empty document
SELECT mongo_tail.bson_to_jsonb('\x0500000000');

-- doubles: integral, short, full precision, tiny, huge, negative zero
SELECT mongo_tail.bson_to_jsonb('\x52000000016100000000000000f03f016200000000000000f8bf016300343333333333d33f016400010000000000000001650092d54d06cff080440166000000000000000080016700000000000000404300');

-- NaN and the infinities
SELECT mongo_tail.bson_to_jsonb('\x26000000016100000000000000f87f016200000000000000f07f016300000000000000f0ff00');

-- int32 and int64
SELECT mongo_tail.bson_to_jsonb('\x300000001061000000000010620000000080126300ffffffffffffff7f12640000000000000000801065001027000000');

-- Decimal128: zeros at the end, exponent, negative zero, NaN
SELECT mongo_tail.bson_to_jsonb('\x5100000013610096000000000000000000000000003c301362000100000000000000000000000000fe5f136300000000000000000000000000000040b01364000000000000000000000000000000007c00');

-- strings, documents, arrays, booleans, null
SELECT mongo_tail.bson_to_jsonb('\x59000000027300130000004772c3b6c39f6520e69db1e4baac20227822000364002c0000000462001c00000010300001000000043100050000000003320005000000000003610005000000000008740001086600000a6e0000');

-- dates: 1970, milliseconds, before 1970, the last of 9999, after it
SELECT mongo_tail.bson_to_jsonb('\x3c00000009610000000000000000000962007be8665e6f010000096300ffffffffffffffff096400ffdb1fd277e6000009650000dc1fd277e6000000');

-- ObjectId, Timestamp, minKey, maxKey, undefined
SELECT mongo_tail.bson_to_jsonb('\x2c000000076f000102030405060708090a0b0c11740007000000ffffffffff6d696e007f6d61780006750000');

-- binary: none, generic, old with its inner length, UUID
SELECT mongo_tail.bson_to_jsonb('\x3f00000005610000000000000562000400000000ff000102056300060000000202000000fffe0564001000000004000102030405060708090a0b0c0d0e0f00');

-- regular expression (its options sorted), symbol, dbPointer
SELECT mongo_tail.bson_to_jsonb('\x330000000b7200612f620078696d000e73000400000073796d000c70000500000064622e63000102030405060708090a0b0c00');

-- code, and code with scope
SELECT mongo_tail.bson_to_jsonb('\x2b0000000d610004000000662829000f62001800000004000000672829000c000000107800010000000000');

-- names: jsonb's order, the last duplicate, names of array elements
SELECT mongo_tail.bson_to_jsonb('\x37000000106262000100000010610002000000100003000000106100040000000478001300000010370000000000103700010000000000');

-- NUL and invalid UTF-8 become U+FFFD, in names too
SELECT mongo_tail.bson_to_jsonb('\x28000000026100040000007800790002620009000000ff7ce69d7ceda080001063c3000100000000');

-- not a document: an error
SELECT mongo_tail.bson_to_jsonb('\x');
SELECT mongo_tail.bson_to_jsonb('\x0500000001');
SELECT mongo_tail.bson_to_jsonb('\x0600000000');

-- an unknown type, a name without end, a string that claims too much: an error
SELECT mongo_tail.bson_to_jsonb('\x0f0000001061000100000042620000');
SELECT mongo_tail.bson_to_jsonb('\x0800000010616200');
SELECT mongo_tail.bson_to_jsonb('\x0f000000027300ffffff7f61620000');

-- a code with scope whose parts do not fill it: an error
SELECT mongo_tail.bson_to_jsonb('\x180000000f63001000000002000000610000000000000000');

-- as deep as MongoDB allows, and deeper; a level is length, type, empty name and end
CREATE FUNCTION pg_temp.nested(levels int) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
	document bytea := '\x0500000000';
	length bytea;
BEGIN
	FOR level IN 1 .. levels LOOP
		length := int4send(octet_length(document) + 7);
		document := substr(length, 4, 1) || substr(length, 3, 1) || substr(length, 2, 1) || substr(length, 1, 1)
			|| '\x0300' || document || '\x00';
	END LOOP;
	RETURN document;
END $$;
SELECT length(mongo_tail.bson_to_jsonb(pg_temp.nested(200))::text);
SELECT mongo_tail.bson_to_jsonb(pg_temp.nested(201));

-- one call site converts document after document
SELECT n, mongo_tail.bson_to_jsonb(d) FROM (VALUES (1, '\x080000000a610000'::bytea), (2, '\x0500000000')) AS v(n, d) ORDER BY n;

-- strict, and nobody's without a grant
SELECT mongo_tail.bson_to_jsonb(NULL) IS NULL AS is_null;
SELECT has_function_privilege('public', 'mongo_tail.bson_to_jsonb(bytea)', 'EXECUTE') AS public_may;
