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
 *								PostgreSQL reads from text
 *	ObjectId					text types, its 24 hex digits; bytea, its 12 bytes
 *	binary						bytea, of any subtype; uuid, 16 bytes of subtype 4, or of
 *								3, byte for byte
 *	date						timestamptz; timestamp, in UTC; date, if it is midnight UTC
 *	array						arrays of the above: see bson_to_array.c
 *	document					bytea, as BSON
 *	anything					json, jsonb, as relaxed Extended JSON
 *
 * Everything else is a mismatch: a number in text, a uuid kept as a string, a
 * date that PostgreSQL cannot hold, a string with a NUL or ill-formed UTF-8.
 * Types that PostgreSQL reads from text have the last word on what they
 * accept; before PostgreSQL 16 what they refuse is their own error, also under
 * on_mismatch 'null'.  A violated domain is an error always.
 */
#include "postgres.h"

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
#include "utils/uuid.h"

#include "base/bson_to_datum.h"
#include "base/datum_target.h"
#include "compat.h"

#define OBJECTID_BYTES	12
#define UUID_OLD		3
#define UUID_STANDARD	4
#define BINARY_OLD		2

/* Bytes of a text that needs no memory of its own, with its header. */
#define ROOM_BYTES		1024

/* Bytes of a value, or an _id, that an error shows. */
#define SHOWN_BYTES		200

struct MtColumnConverter
{
	MtColumnTarget target;
	MtValueTarget *value;
	MtMismatch	mismatch;
	bool		may_throw;		/* a domain or an input function has the last word */
	MtJsonbBuilder *errors;		/* of _id and values; NULL: none yet */
	MemoryContext context;
};

/* ---- text ---- */

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
		*text = palloc(OBJECTID_BYTES * 2 + 1);
		hex_encode((const char *) element->value, OBJECTID_BYTES, *text);
		(*text)[OBJECTID_BYTES * 2] = '\0';
		return MT_CONVERTED;
	}
	if (element->type != MT_BSON_STRING && element->type != MT_BSON_SYMBOL)
		return mt_mismatch(target, ERRCODE_INVALID_CHARACTER_VALUE_FOR_CAST, "which reads only strings");
	utf8 = mt_element_text(element);
	if (utf8.len > 0 && memchr(utf8.data, 0, utf8.len) != NULL)
		return mt_mismatch(target, ERRCODE_UNTRANSLATABLE_CHARACTER, "which holds no character NUL");
	if (pg_encoding_verifymbstr(PG_UTF8, (const char *) utf8.data, (int) utf8.len) != (int) utf8.len)
		return mt_mismatch(target, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "which holds only well-formed UTF-8");
	*text = pnstrdup((const char *) utf8.data, utf8.len);
	*text = pg_any_to_server(*text, (int) utf8.len, PG_UTF8);
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

/* What most strings are: no longer than allowed, and of plain characters. */
static bool
convert_plain_text(MtValueTarget *target, const MtElement *element, Datum *value)
{
	MtSlice		text;

	if (element->type != MT_BSON_STRING || target->type == BPCHAROID)
		return false;
	text = mt_element_text(element);
	if ((target->typmod >= VARHDRSZ && text.len > (uint32) (target->typmod - VARHDRSZ)) || !is_plain_ascii(text))
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
		*value = PointerGetDatum(cstring_to_text_with_len(text, (int) bytes));
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
	*value = PointerGetDatum(cstring_to_text_with_len(text, (int) bytes));
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

/* An element's value as jsonb, in the builder's buffer or the current context. */
static Jsonb *
element_jsonb(MtJsonbBuilder *builder, const MtElement *element)
{
	if (element->type == MT_BSON_DOCUMENT)
		return mt_bson_to_jsonb(builder, mt_element_value(element));
	return only_value(mt_bson_element_to_jsonb(builder, mt_element_bytes(element)));
}

static MtConvertResult
convert_jsonb(MtValueTarget *target, const MtElement *element, Datum *value)
{
	Jsonb	   *jsonb = element_jsonb(target->jsonb, element);

	if (target->is_element && element->type == MT_BSON_DOCUMENT)
		jsonb = (Jsonb *) memcpy(palloc(VARSIZE(jsonb)), jsonb, VARSIZE(jsonb));
	*value = JsonbPGetDatum(jsonb);
	return MT_CONVERTED;
}

static char *
jsonb_text(Jsonb *jsonb)
{
	return JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
}

static MtConvertResult
convert_json(MtValueTarget *target, const MtElement *element, Datum *value)
{
	*value = CStringGetTextDatum(jsonb_text(element_jsonb(target->jsonb, element)));
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
	{BYTEAOID, convert_bytea},
	{UUIDOID, convert_uuid},
	{TIMESTAMPTZOID, convert_timestamp},
	{TIMESTAMPOID, convert_timestamp},
	{DATEOID, convert_date},
	{JSONOID, convert_json},
	{JSONBOID, convert_jsonb},
};

/* Types whose input functions change what they read, or that mean something
 * only inside PostgreSQL. */
static const Oid refused_types[] = {
	NAMEOID, CHAROID, INTERVALOID, CASHOID, TIMEOID, TIMETZOID, OIDOID, TIDOID, XIDOID, CIDOID,
	INT2VECTOROID, OIDVECTOROID
};

/* What converts to a base type that is no array; NULL when nothing does. */
static MtConvertFunction
find_conversion(Oid type)
{
	for (size_t i = 0; i < lengthof(conversions); i++)
		if (conversions[i].type == type)
			return conversions[i].convert;
	for (size_t i = 0; i < lengthof(refused_types); i++)
		if (refused_types[i] == type)
			return NULL;
	switch (get_typtype(type))
	{
		case TYPTYPE_ENUM:
			return convert_enum;
		case TYPTYPE_BASE:
			return convert_by_input;
		default:
			return NULL;
	}
}

void
mt_column_target_check(const MtColumnTarget *target)
{
	Oid			type = getBaseType(target->type);
	Oid			element = get_base_element_type(type);

	if (OidIsValid(element) && type != INT2VECTOROID && type != OIDVECTOROID)
		type = getBaseType(element);
	if (find_conversion(type) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" has type %s, which no BSON value converts to", target->column,
						format_type_be(target->type)),
				 errhint("Declare it as jsonb or text, and cast it in the query.")));
}

static MtValueTarget *
prepare_target(MtColumnConverter *converter, Oid type, int32 typmod, bool is_element)
{
	MtValueTarget *target = palloc0(sizeof *target);
	Oid			element_type;

	target->typmod = typmod;
	target->type = getBaseTypeAndTypmod(type, &target->typmod);
	target->domain = target->type != type ? type : InvalidOid;
	target->context = CurrentMemoryContext;
	target->mismatch = &converter->mismatch;
	target->is_element = is_element;
	get_typlenbyvalalign(target->type, &target->typlen, &target->typbyval, &target->typalign);
	element_type = get_base_element_type(target->type);
	if (OidIsValid(element_type) && !is_element)
	{
		target->convert = mt_convert_array;
		target->element = prepare_target(converter, element_type, target->typmod, true);
		return target;
	}
	target->convert = find_conversion(target->type);
	if (target->convert == convert_text && !is_element)
		target->room = palloc(ROOM_BYTES);
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
	}
	if (target->type == NUMERICOID)
		mt_prepare_numeric(target);
	return target;
}

static bool
may_throw(const MtValueTarget *target)
{
	return OidIsValid(target->domain) || target->convert == convert_by_input;
}

MtColumnConverter *
mt_column_converter_create(const MtColumnTarget *target)
{
	MtColumnConverter *converter = palloc0(sizeof *converter);

	mt_column_target_check(target);
	converter->target = *target;
	converter->context = CurrentMemoryContext;
	converter->value = prepare_target(converter, target->type, target->typmod, false);
	converter->may_throw = may_throw(converter->value) ||
		(converter->value->element != NULL && may_throw(converter->value->element));
	return converter;
}

/* ---- mismatches ---- */

static const char *
type_name(uint8 type)
{
	switch (type)
	{
		case MT_BSON_DOUBLE:
			return "double";
		case MT_BSON_STRING:
			return "string";
		case MT_BSON_DOCUMENT:
			return "document";
		case MT_BSON_ARRAY:
			return "array";
		case MT_BSON_BINARY:
			return "binary";
		case MT_BSON_OBJECTID:
			return "ObjectId";
		case MT_BSON_BOOL:
			return "boolean";
		case MT_BSON_DATE:
			return "date";
		case MT_BSON_REGEX:
			return "regular expression";
		case MT_BSON_DBPOINTER:
			return "dbPointer";
		case MT_BSON_CODE:
		case MT_BSON_CODE_W_SCOPE:
			return "code";
		case MT_BSON_SYMBOL:
			return "symbol";
		case MT_BSON_INT32:
			return "int32";
		case MT_BSON_TIMESTAMP:
			return "Timestamp";
		case MT_BSON_INT64:
			return "int64";
		case MT_BSON_DECIMAL128:
			return "Decimal128";
		case MT_BSON_MINKEY:
			return "minKey";
		case MT_BSON_MAXKEY:
			return "maxKey";
		default:
			return "unknown BSON type";
	}
}

/* An element as relaxed Extended JSON, cut if it is long. */
static char *
shown_value(MtColumnConverter *converter, const MtElement *element)
{
	char	   *text;
	int			bytes;

	if (converter->errors == NULL)
		converter->errors = mt_jsonb_builder_create(converter->context);
	text = jsonb_text(element_jsonb(converter->errors, element));
	bytes = (int) strlen(text);
	if (bytes <= SHOWN_BYTES)
		return text;
	return psprintf("%.*s...", pg_mbcliplen(text, bytes, SHOWN_BYTES), text);
}

/* " with _id 1", or nothing when there is none. */
static char *
with_id(MtColumnConverter *converter, const MtDocumentOrigin *origin)
{
	MtElement	id;
	MtWalk		walk = {origin->key.data, origin->key.data + origin->key.len};

	if (origin->key.len == 0)
		return "";
	if (origin->key_is_element ? mt_walk_next(&walk, &id) != MT_WALK_ELEMENT :
		mt_bson_find(origin->key, "_id", 3, &id) != MT_WALK_ELEMENT)
		return "";
	return psprintf(" with _id %s", shown_value(converter, &id));
}

/* "shop.flights", in the database's encoding */
static char *
shown_namespace(const MtDocumentOrigin *origin)
{
	char	   *utf8 = pnstrdup((const char *) origin->namespace.data, origin->namespace.len);

	return pg_any_to_server(utf8, (int) origin->namespace.len, PG_UTF8);
}

static void
report_mismatch(MtColumnConverter *converter, const MtElement *element, const MtDocumentOrigin *origin)
{
	const MtColumnTarget *target = &converter->target;

	ereport(ERROR,
			(errcode(converter->mismatch.sqlstate),
			 errmsg("cannot convert field \"%s\" of a document of \"%s\" to column \"%s\"",
					target->field, shown_namespace(origin), target->column),
			 errdetail("In the document%s it is the %s %s; the column has type %s, %s.",
					   with_id(converter, origin), type_name(element->type), shown_value(converter, element),
					   format_type_with_typemod(target->type, target->typmod), converter->mismatch.reason),
			 errhint("Declare the column with a type that holds every value, as jsonb does, "
					 "or set option on_mismatch 'null' to read NULL instead.")));
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
			   conversion->converter->target.field, with_id(conversion->converter, conversion->origin),
			   shown_namespace(conversion->origin), conversion->converter->target.column);
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
				report_mismatch(converter, element, origin);
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
