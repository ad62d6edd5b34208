/*
 * bson_to_datum.c
 *		One BSON value as a value of a column's type.
 *
 * What converts, exactly:
 *
 *	missing, null, undefined	NULL, of any type
 *	boolean						bool
 *	int32, int64, double,		smallint, integer, bigint, real, double precision,
 *	Decimal128					numeric: see bson_to_number.c
 *	string, symbol				text, varchar(n), char(n): not if it is longer than n;
 *								enums, by label; citext, inet and other types that
 *								PostgreSQL reads from text; name and "char", if it fits
 *	ObjectId					mongo_tail.objectid; text types, its 24 hex digits;
 *								bytea, its 12 bytes
 *	Timestamp					mongo_tail.cluster_time
 *	binary						bytea, of any subtype; uuid, 16 bytes of subtype 4, or of
 *								3, byte for byte
 *	date						timestamptz; timestamp, in UTC; date, if it is midnight UTC
 *	array						arrays of any of these: see bson_to_array.c
 *	document					composite types: see bson_to_composite.c; bytea, as BSON
 *	anything					json, jsonb, as relaxed Extended JSON
 *
 * Everything else is a mismatch: a number in text, a uuid kept as a string, a
 * date that PostgreSQL cannot hold, a string with a NUL, ill-formed UTF-8 or a
 * character that the database's encoding lacks, and what only json and jsonb
 * tell: regular expressions, code, dbPointers, minKey and maxKey.  A mismatch
 * in an array or a document is one of the whole.
 *
 * Types that PostgreSQL reads from text have the last word on what they
 * accept; before PostgreSQL 16 what those of other extensions refuse is their
 * own error, also under on_mismatch 'null'.  A violated domain is an error
 * always.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "mb/pg_wchar.h"
#include "utils/ascii.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "compat.h"
#include "convert/bson_to_datum.h"
#include "convert/datum_target.h"
#include "convert/objectid.h"

#define UUID_OLD		3
#define UUID_STANDARD	4
#define BINARY_OLD		2

/* Bytes of a text that needs no memory of its own, with its header. */
#define ROOM_BYTES		1024

/* ---- text ---- */

bool
mt_utf8_to_server(MtSlice utf8, char **text)
{
	int			encoding = GetDatabaseEncoding();
	int			size = (int) utf8.len * MAX_CONVERSION_GROWTH + 1;
	Oid			conversion;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
	{
		*text = pnstrdup((const char *) utf8.data, utf8.len);
		return true;
	}
	conversion = FindDefaultConversionProc(PG_UTF8, encoding);
	*text = palloc(size);
	return OidIsValid(conversion) &&
		pg_do_encoding_conversion_buf(conversion, PG_UTF8, encoding, (unsigned char *) utf8.data, (int) utf8.len,
									  (unsigned char *) *text, size, true) == (int) utf8.len;
}

/*
 * The text of a string as the database's encoding writes it, in *text.  An
 * ObjectId is read by its digits.
 */
static MtConvertResult
server_text(MtValueTarget *target, const MtElement *element, char **text)
{
	MtSlice		utf8;

	if (element->type == MT_BSON_OBJECTID)
	{
		*text = mt_objectid_text((const MtObjectId *) element->value, palloc(MT_OBJECTID_DIGITS + 1));
		return MT_CONVERTED;
	}
	if (element->type != MT_BSON_STRING && element->type != MT_BSON_SYMBOL)
		return mt_mismatch(target, ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST, "which reads only strings");
	utf8 = mt_element_text(element);
	if (utf8.len > 0 && memchr(utf8.data, 0, utf8.len) != NULL)
		return mt_mismatch(target, ERRCODE_UNTRANSLATABLE_CHARACTER, "which holds no character NUL");
	if (pg_encoding_verifymbstr(PG_UTF8, (const char *) utf8.data, (int) utf8.len) != (int) utf8.len)
		return mt_mismatch(target, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "which holds only well-formed UTF-8");
	if (!mt_utf8_to_server(utf8, text))
		return mt_mismatch(target, ERRCODE_UNTRANSLATABLE_CHARACTER, "whose encoding lacks a character of it");
	return MT_CONVERTED;
}

/* Is it of characters that every encoding of a database has, and spells the same? */
static inline bool
is_plain_ascii(MtSlice text)
{
	uint32		words = text.len & ~7u;

	if (!is_valid_ascii(text.data, (int) words))
		return false;
	for (uint32 i = words; i < text.len; i++)
		if (text.data[i] == 0 || IS_HIGHBIT_SET(text.data[i]))
			return false;
	return true;
}

/* A text datum; in the target's own room if it fits there. */
static Datum
text_datum(MtValueTarget *target, const void *bytes, size_t len)
{
	text	   *result = target->room != NULL && len + VARHDRSZ <= ROOM_BYTES ?
		(text *) target->room : palloc(len + VARHDRSZ);

	SET_VARSIZE(result, len + VARHDRSZ);
	memcpy(VARDATA(result), bytes, len);
	return PointerGetDatum(result);
}

/* Can it be copied as it is?  A NUL is not well-formed here. */
static inline bool
is_plain(MtSlice text, bool any_length)
{
	return is_plain_ascii(text) ||
		(any_length && GetDatabaseEncoding() == PG_UTF8 &&
		 pg_encoding_verifymbstr(PG_UTF8, (const char *) text.data, (int) text.len) == (int) text.len);
}

/* What most values are: strings no longer than allowed, and ObjectIds. */
static bool
convert_plain_text(MtValueTarget *target, const MtElement *element, Datum *value)
{
	bool		any_length = target->type == TEXTOID || target->typmod < VARHDRSZ;
	char		digits[MT_OBJECTID_DIGITS + 1];
	MtSlice		text;

	if (element->type == MT_BSON_OBJECTID && any_length)
	{
		*value = text_datum(target, mt_objectid_text((const MtObjectId *) element->value, digits), MT_OBJECTID_DIGITS);
		return true;
	}
	if (element->type != MT_BSON_STRING || (target->type == BPCHAROID && !any_length))
		return false;
	text = mt_element_text(element);
	if ((!any_length && text.len > (uint32) (target->typmod - VARHDRSZ)) || !is_plain(text, any_length))
		return false;
	*value = text_datum(target, text.data, text.len);
	return true;
}

static MtConvertResult
convert_text(MtValueTarget *target, const MtElement *element, Datum *value)
{
	char	   *text;
	int			limit = target->typmod - VARHDRSZ;	/* in characters */
	int			length;
	size_t		bytes;
	MtConvertResult result;

	if (convert_plain_text(target, element, value))
		return MT_CONVERTED;
	result = server_text(target, element, &text);
	if (result != MT_CONVERTED)
		return result;
	bytes = strlen(text);
	if (target->type == TEXTOID || target->typmod < VARHDRSZ)
	{
		*value = text_datum(target, text, bytes);
		return MT_CONVERTED;
	}
	length = pg_mbstrlen_with_len(text, (int) bytes);
	if (length > limit)
		return mt_mismatch(target, ERRCODE_STRING_DATA_RIGHT_TRUNCATION, "for which it is too long");
	if (target->type == BPCHAROID && length < limit)
	{
		size_t		pad = (size_t) (limit - length);

		text = repalloc(text, bytes + pad + 1);
		memset(text + bytes, ' ', pad);
		bytes += pad;
	}
	*value = text_datum(target, text, bytes);
	return MT_CONVERTED;
}

/* Shorter than names of PostgreSQL may be, which are cut elsewhere. */
static MtConvertResult
convert_name(MtValueTarget *target, const MtElement *element, Datum *value)
{
	char	   *text;
	Name		name;
	MtConvertResult result = server_text(target, element, &text);

	if (result != MT_CONVERTED)
		return result;
	if (strlen(text) >= NAMEDATALEN)
		return mt_mismatch(target, ERRCODE_STRING_DATA_RIGHT_TRUNCATION, "for which it is too long");
	name = palloc0(sizeof *name);
	strcpy(NameStr(*name), text);
	*value = NameGetDatum(name);
	return MT_CONVERTED;
}

/* "char" is one byte, which prints as itself only if it is ASCII. */
static MtConvertResult
convert_char(MtValueTarget *target, const MtElement *element, Datum *value)
{
	char	   *text;
	MtConvertResult result = server_text(target, element, &text);

	if (result != MT_CONVERTED)
		return result;
	if (strlen(text) != 1 || IS_HIGHBIT_SET(text[0]))
		return mt_mismatch(target, ERRCODE_STRING_DATA_RIGHT_TRUNCATION, "which is one byte of ASCII");
	*value = CharGetDatum(text[0]);
	return MT_CONVERTED;
}

static MtConvertResult
convert_enum(MtValueTarget *target, const MtElement *element, Datum *value)
{
	char	   *text;
	HeapTuple	tuple = NULL;
	MtConvertResult result = server_text(target, element, &text);

	if (result != MT_CONVERTED)
		return result;
	if (strlen(text) < NAMEDATALEN)
		tuple = SearchSysCache2(ENUMTYPOIDNAME, ObjectIdGetDatum(target->type), CStringGetDatum(text));
	if (!HeapTupleIsValid(tuple))
		return mt_mismatch(target, ERRCODE_INVALID_TEXT_REPRESENTATION, "which has no such label");
	ReleaseSysCache(tuple);
	*value = DirectFunctionCall2(enum_in, CStringGetDatum(text), ObjectIdGetDatum(target->type));
	return MT_CONVERTED;
}

/* By the type's own input function. */
static MtConvertResult
convert_by_input(MtValueTarget *target, const MtElement *element, Datum *value)
{
	char	   *text;
	MtConvertResult result = server_text(target, element, &text);

	if (result != MT_CONVERTED)
		return result;
	if (!mt_compat_input(&target->input, text, target->input_parameter, target->typmod, value))
		return mt_mismatch(target, ERRCODE_INVALID_TEXT_REPRESENTATION, "which does not read it");
	return MT_CONVERTED;
}

/* ---- bytes ---- */

/* The bytes of a binary; the old subtype repeats their length in front. */
static bool
binary_bytes(const MtElement *element, MtSlice *bytes)
{
	bytes->data = element->value + 5;
	bytes->len = element->value_len - 5;
	if (element->value[4] != BINARY_OLD)
		return true;
	if (bytes->len < 4 || mt_le32(bytes->data) != bytes->len - 4)
		return false;
	bytes->data += 4;
	bytes->len -= 4;
	return true;
}

static MtConvertResult
convert_bytea(MtValueTarget *target, const MtElement *element, Datum *value)
{
	MtSlice		bytes = mt_element_value(element);
	bytea	   *result;

	if (element->type == MT_BSON_BINARY)
	{
		if (!binary_bytes(element, &bytes))
			return mt_mismatch(target, ERRCODE_DATA_CORRUPTED, "and its two lengths differ");
	}
	else if (element->type != MT_BSON_OBJECTID && element->type != MT_BSON_DOCUMENT)
		return mt_mismatch(target, ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST,
						   "which reads only binaries, ObjectIds and documents");
	result = palloc(bytes.len + VARHDRSZ);
	SET_VARSIZE(result, bytes.len + VARHDRSZ);
	memcpy(VARDATA(result), bytes.data, bytes.len);
	*value = PointerGetDatum(result);
	return MT_CONVERTED;
}

static MtConvertResult
convert_uuid(MtValueTarget *target, const MtElement *element, Datum *value)
{
	uint8		subtype = element->type == MT_BSON_BINARY ? element->value[4] : 0;
	pg_uuid_t  *uuid;

	if ((subtype != UUID_OLD && subtype != UUID_STANDARD) || element->value_len != 5 + UUID_LEN)
		return mt_mismatch(target, ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST,
						   "which reads only binaries of subtype 4 or 3 and 16 bytes");
	uuid = palloc(sizeof *uuid);
	memcpy(uuid->data, element->value + 5, UUID_LEN);
	*value = UUIDPGetDatum(uuid);
	return MT_CONVERTED;
}

static MtConvertResult
convert_objectid(MtValueTarget *target, const MtElement *element, Datum *value)
{
	MtObjectId *objectid;

	if (element->type != MT_BSON_OBJECTID)
		return mt_mismatch(target, ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST, "which reads only ObjectIds");
	objectid = palloc(sizeof *objectid);
	memcpy(objectid->bytes, element->value, MT_OBJECTID_BYTES);
	*value = MtObjectIdGetDatum(objectid);
	return MT_CONVERTED;
}

static MtConvertResult
convert_bool(MtValueTarget *target, const MtElement *element, Datum *value)
{
	if (element->type != MT_BSON_BOOL)
		return mt_mismatch(target, ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST, "which reads only booleans");
	*value = BoolGetDatum(element->value[0] != 0);
	return MT_CONVERTED;
}

/* ---- times ---- */

/* The microseconds of a BSON date since 2000. */
static MtConvertResult
element_timestamp(MtValueTarget *target, const MtElement *element, int64 *timestamp)
{
	const int64 epoch_ms = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (SECS_PER_DAY * 1000);
	int64		ms;

	if (element->type != MT_BSON_DATE)
		return mt_mismatch(target, ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST, "which reads only dates");
	if (pg_sub_s64_overflow((int64) mt_le64(element->value), epoch_ms, &ms) ||
		pg_mul_s64_overflow(ms, 1000, timestamp) || !IS_VALID_TIMESTAMP(*timestamp))
		return mt_mismatch(target, ERRCODE_DATETIME_FIELD_OVERFLOW, "whose range it exceeds");
	return MT_CONVERTED;
}

static MtConvertResult
convert_timestamp(MtValueTarget *target, const MtElement *element, Datum *value)
{
	static const int64 unit_of_precision[] = {USECS_PER_SEC, USECS_PER_SEC / 10, USECS_PER_SEC / 100};
	int64		timestamp = 0;
	MtConvertResult result = element_timestamp(target, element, &timestamp);

	if (result == MT_CONVERTED && target->typmod >= 0 && target->typmod < (int32) lengthof(unit_of_precision) &&
		timestamp % unit_of_precision[target->typmod] != 0)
		return mt_mismatch(target, ERRCODE_DATETIME_FIELD_OVERFLOW, "which cannot hold its milliseconds");
	*value = TimestampTzGetDatum(timestamp);
	return result;
}

static MtConvertResult
convert_cluster_time(MtValueTarget *target, const MtElement *element, Datum *value)
{
	if (element->type != MT_BSON_TIMESTAMP)
		return mt_mismatch(target, ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST, "which reads only Timestamps");
	*value = UInt64GetDatum(mt_le64(element->value));
	return MT_CONVERTED;
}

static MtConvertResult
convert_date(MtValueTarget *target, const MtElement *element, Datum *value)
{
	int64		timestamp = 0;
	MtConvertResult result = element_timestamp(target, element, &timestamp);

	if (result == MT_CONVERTED && timestamp % USECS_PER_DAY != 0)
		return mt_mismatch(target, ERRCODE_DATETIME_FIELD_OVERFLOW, "which cannot hold its time of day");
	*value = DateADTGetDatum((DateADT) (timestamp / USECS_PER_DAY));
	return result;
}

/* ---- json ---- */

/* The value of the only key of an object that holds one element. */
static Jsonb *
only_value(Jsonb *object)
{
	JsonbIterator *iterator = JsonbIteratorInit(&object->root);
	JsonbValue	value;

	(void) JsonbIteratorNext(&iterator, &value, false); /* the object begins */
	(void) JsonbIteratorNext(&iterator, &value, false); /* its key */
	(void) JsonbIteratorNext(&iterator, &value, true);
	return JsonbValueToJsonb(&value);
}

Jsonb *
mt_element_jsonb(MtJsonbBuilder *builder, const MtElement *element)
{
	if (element->type == MT_BSON_DOCUMENT)
		return mt_bson_to_jsonb(builder, mt_element_value(element));
	return only_value(mt_bson_element_to_jsonb(builder, mt_element_bytes(element)));
}

static MtConvertResult
convert_jsonb(MtValueTarget *target, const MtElement *element, Datum *value)
{
	Jsonb	   *jsonb = mt_element_jsonb(target->jsonb, element);

	if (target->is_element && element->type == MT_BSON_DOCUMENT)
		jsonb = (Jsonb *) memcpy(palloc(VARSIZE(jsonb)), jsonb, VARSIZE(jsonb));
	*value = JsonbPGetDatum(jsonb);
	return MT_CONVERTED;
}

static MtConvertResult
convert_json(MtValueTarget *target, const MtElement *element, Datum *value)
{
	Jsonb	   *jsonb = mt_element_jsonb(target->jsonb, element);

	*value = CStringGetTextDatum(JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb)));
	return MT_CONVERTED;
}

/* ---- any value ---- */

MtConvertResult
mt_convert_value(MtValueTarget *target, const MtElement *element, Datum *value)
{
	MtConvertResult result = MT_CONVERTED_NULL;

	if (element != NULL && element->type != MT_BSON_NULL && element->type != MT_BSON_UNDEFINED)
		result = target->convert(target, element, value);
	if (result != MT_CONVERT_MISMATCH && OidIsValid(target->domain))
		domain_check(result == MT_CONVERTED_NULL ? (Datum) 0 : *value, result == MT_CONVERTED_NULL,
					 target->domain, &target->domain_extra, target->context);
	return result;
}

/* ---- preparing ---- */

static const struct
{
	Oid			type;
	MtConvertFunction convert;
}			conversions[] =
{
	{BOOLOID, convert_bool},
	{INT2OID, mt_convert_int2},
	{INT4OID, mt_convert_int4},
	{INT8OID, mt_convert_int8},
	{FLOAT4OID, mt_convert_float4},
	{FLOAT8OID, mt_convert_float8},
	{NUMERICOID, mt_convert_numeric},
	{TEXTOID, convert_text},
	{VARCHAROID, convert_text},
	{BPCHAROID, convert_text},
	{NAMEOID, convert_name},
	{CHAROID, convert_char},
	{BYTEAOID, convert_bytea},
	{UUIDOID, convert_uuid},
	{TIMESTAMPTZOID, convert_timestamp},
	{TIMESTAMPOID, convert_timestamp},
	{DATEOID, convert_date},
	{JSONOID, convert_json},
	{JSONBOID, convert_jsonb},
};

#define HINT_INTERNAL	"It means something only inside PostgreSQL. Declare the column as bigint or text."
#define HINT_DEFAULT	"Declare it as jsonb or text, and cast it in the query."

/* Types whose input functions change what they read, that mean something only
 * inside PostgreSQL, or that nothing in BSON is like. */
static const struct
{
	Oid			type;
	const char *hint;
}			refused_types[] =
{
	{INTERVALOID, "Declare the column as the number or the text that the field holds, and make the interval of it in the query."},
	{TIMEOID, "Declare the column as timestamptz or text, whichever the field holds, and cast it in the query."},
	{TIMETZOID, "Declare the column as timestamptz or text, whichever the field holds, and cast it in the query."},
	{CASHOID, "Declare the column as numeric, and cast it in the query."},
	{OIDOID, HINT_INTERNAL},
	{TIDOID, HINT_INTERNAL},
	{XIDOID, HINT_INTERNAL},
	{XID8OID, HINT_INTERNAL},
	{CIDOID, HINT_INTERNAL},
	{INT2VECTOROID, HINT_INTERNAL},
	{OIDVECTOROID, HINT_INTERNAL},
	{REGPROCOID, HINT_INTERNAL},
	{REGPROCEDUREOID, HINT_INTERNAL},
	{REGOPEROID, HINT_INTERNAL},
	{REGOPERATOROID, HINT_INTERNAL},
	{REGCLASSOID, HINT_INTERNAL},
	{REGCOLLATIONOID, HINT_INTERNAL},
	{REGTYPEOID, HINT_INTERNAL},
	{REGROLEOID, HINT_INTERNAL},
	{REGNAMESPACEOID, HINT_INTERNAL},
	{REGCONFIGOID, HINT_INTERNAL},
	{REGDICTIONARYOID, HINT_INTERNAL},
	{ACLITEMOID, HINT_INTERNAL},
	{PG_LSNOID, HINT_INTERNAL},
	{PG_SNAPSHOTOID, HINT_INTERNAL},
};

static const char *
refusal_hint(Oid type)
{
	for (size_t i = 0; i < lengthof(refused_types); i++)
		if (refused_types[i].type == type)
			return refused_types[i].hint;
	return HINT_DEFAULT;
}

/* What converts to a base type; NULL when nothing does. */
static MtConvertFunction
find_conversion(Oid type)
{
	for (size_t i = 0; i < lengthof(conversions); i++)
		if (conversions[i].type == type)
			return conversions[i].convert;
	for (size_t i = 0; i < lengthof(refused_types); i++)
		if (refused_types[i].type == type)
			return NULL;
	if (OidIsValid(get_base_element_type(type)))
		return mt_convert_array;
	switch (get_typtype(type))
	{
		case TYPTYPE_COMPOSITE:
			return mt_convert_composite;
		case TYPTYPE_ENUM:
			return convert_enum;
		case TYPTYPE_BASE:
			if (type == mt_objectid_type())
				return convert_objectid;
			return type == mt_cluster_time_type() ? convert_cluster_time : convert_by_input;
		default:
			return NULL;
	}
}

static void
refuse(const MtColumnTarget *target, Oid type, const char *attribute)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 attribute == NULL ?
			 errmsg("column \"%s\" has type %s, which no BSON value converts to", target->column,
					format_type_be(target->type)) :
			 errmsg("column \"%s\" has type %s, whose attribute \"%s\" has type %s, which no BSON value converts to",
					target->column, format_type_be(target->type), attribute, format_type_be(type)),
			 errhint("%s", refusal_hint(type))));
}

/* Check a type and what it is made of; no composite type holds itself. */
static void
check_type(const MtColumnTarget *target, Oid type, const char *attribute)
{
	Oid			base = getBaseType(type);
	MtConvertFunction convert = find_conversion(base);
	TupleDesc	descriptor;

	if (convert == NULL)
		refuse(target, base, attribute);
	if (convert == mt_convert_array)
		check_type(target, get_base_element_type(base), attribute);
	if (convert != mt_convert_composite)
		return;
	descriptor = lookup_rowtype_tupdesc_copy(base, -1);
	for (int i = 0; i < descriptor->natts; i++)
		if (!TupleDescAttr(descriptor, i)->attisdropped)
			check_type(target, TupleDescAttr(descriptor, i)->atttypid, NameStr(TupleDescAttr(descriptor, i)->attname));
}

void
mt_column_target_check(const MtColumnTarget *target)
{
	check_type(target, target->type, NULL);
}

MtValueTarget *
mt_target_prepare(MtMismatch *mismatch, Oid type, int32 typmod, bool is_element)
{
	MtValueTarget *target = palloc0(sizeof *target);

	target->typmod = typmod;
	target->type = getBaseTypeAndTypmod(type, &target->typmod);
	target->domain = target->type != type ? type : InvalidOid;
	target->context = CurrentMemoryContext;
	target->mismatch = mismatch;
	target->is_element = is_element;
	get_typlenbyvalalign(target->type, &target->typlen, &target->typbyval, &target->typalign);
	target->convert = find_conversion(target->type);
	if (target->convert == convert_text && !is_element)
		target->room = palloc(ROOM_BYTES);
	target->may_throw = OidIsValid(target->domain) || target->convert == convert_by_input ||
		(GetDatabaseEncoding() != PG_UTF8 && (target->type == JSONOID || target->type == JSONBOID));
	if (target->convert == mt_convert_array)
	{
		/* An array can be an element only as a domain, which is one value. */
		target->holds_arrays = true;
		target->element = mt_target_prepare(mismatch, get_base_element_type(target->type), target->typmod, true);
		target->may_throw |= target->element->may_throw;
	}
	if (target->convert == mt_convert_composite)
		mt_prepare_composite(target);
	if (target->convert == convert_by_input)
	{
		Oid			input;

		getTypeInputInfo(target->type, &input, &target->input_parameter);
		fmgr_info_cxt(input, &target->input, CurrentMemoryContext);
	}
	if (target->type == JSONOID || target->type == JSONBOID)
	{
		target->holds_arrays = true;
		target->jsonb = mt_jsonb_builder_create(CurrentMemoryContext);
		mt_jsonb_builder_keep_first(target->jsonb);
	}
	if (target->type == NUMERICOID)
		mt_prepare_numeric(target);
	return target;
}

MtColumnConverter *
mt_column_converter_create(const MtColumnTarget *target)
{
	MtColumnConverter *converter = palloc0(sizeof *converter);

	mt_column_target_check(target);
	converter->target = *target;
	converter->context = CurrentMemoryContext;
	converter->mismatch.is_told = !target->null_on_mismatch;
	converter->value = mt_target_prepare(&converter->mismatch, target->type, target->typmod, false);
	converter->may_throw = converter->value->may_throw;
	return converter;
}

/* ---- converting ---- */

/* What an error that others throw is about. */
typedef struct Conversion
{
	MtColumnConverter *converter;
	const MtDocumentOrigin *origin;
} Conversion;

static void
conversion_error_context(void *arg)
{
	Conversion *conversion = arg;

	errcontext("conversion of field \"%s\" of the document%s of \"%s\" to column \"%s\"",
			   conversion->converter->target.field, mt_shown_id(conversion->converter, conversion->origin),
			   mt_shown_namespace(conversion->origin), conversion->converter->target.column);
}

static bool
convert(MtColumnConverter *converter, const MtElement *element, const MtDocumentOrigin *origin, Datum *value)
{
	switch (mt_convert_value(converter->value, element, value))
	{
		case MT_CONVERTED:
			return true;
		case MT_CONVERT_MISMATCH:
			if (!converter->target.null_on_mismatch)
				mt_mismatch_report(converter, element, origin);
			/* A domain may refuse even that. */
			return mt_convert_value(converter->value, NULL, value) == MT_CONVERTED;
		default:
			return false;
	}
}

static bool
convert_with_context(MtColumnConverter *converter, const MtElement *element,
					 const MtDocumentOrigin *origin, Datum *value)
{
	Conversion	conversion = {converter, origin};
	ErrorContextCallback callback = {error_context_stack, conversion_error_context, &conversion};
	bool		result;

	error_context_stack = &callback;
	result = convert(converter, element, origin, value);
	error_context_stack = callback.previous;
	return result;
}

bool
mt_column_convert(MtColumnConverter *converter, const MtElement *element,
				  const MtDocumentOrigin *origin, Datum *value)
{
	if (converter->may_throw)
		return convert_with_context(converter, element, origin, value);
	return convert(converter, element, origin, value);
}
