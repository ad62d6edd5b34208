/*
 * bson_mismatch.c
 *		Saying what does not convert, and where it stands.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "convert/datum_target.h"

/* Bytes of a value, or an _id, that an error shows. */
#define SHOWN_BYTES		200

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

/*
 * Can the database's encoding write what is in the element?  Errors are made
 * of what could not be converted, and must not throw another one.
 */
static bool
is_showable(const MtElement *element)
{
	MtSlice		text = {(const uint8 *) element->name, element->name_len};
	MtWalk		walk;
	MtElement	inner;
	char	   *server;

	if (GetDatabaseEncoding() == PG_UTF8)
		return true;
	if (!mt_utf8_to_server(text, &server))
		return false;
	switch (element->type)
	{
		case MT_BSON_STRING:
		case MT_BSON_SYMBOL:
		case MT_BSON_CODE:
			return mt_utf8_to_server(mt_element_text(element), &server);
		case MT_BSON_DOCUMENT:
		case MT_BSON_ARRAY:
			if (!mt_walk_begin(&walk, mt_element_value(element)))
				return false;
			while (mt_walk_next(&walk, &inner) == MT_WALK_ELEMENT)
				if (!is_showable(&inner))
					return false;
			return true;
		case MT_BSON_REGEX:
		case MT_BSON_DBPOINTER:
		case MT_BSON_CODE_W_SCOPE:
			return false;
		default:
			return true;
	}
}

/* An element as relaxed Extended JSON, cut if it is long. */
static char *
shown_value(MtColumnConverter *converter, const MtElement *element)
{
	Jsonb	   *jsonb;
	char	   *text;
	int			bytes;

	if (!is_showable(element))
		return "?";
	if (converter->errors == NULL)
		converter->errors = mt_jsonb_builder_create(converter->context);
	jsonb = mt_element_jsonb(converter->errors, element);
	text = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
	bytes = (int) strlen(text);
	if (bytes <= SHOWN_BYTES)
		return text;
	return psprintf("%.*s...", pg_mbcliplen(text, bytes, SHOWN_BYTES), text);
}

char *
mt_shown_id(MtColumnConverter *converter, const MtDocumentOrigin *origin)
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

char *
mt_shown_namespace(const MtDocumentOrigin *origin)
{
	char	   *name;

	return mt_utf8_to_server(origin->namespace, &name) ? name : "?";
}

void
mt_mismatch_within(MtMismatch *mismatch, const MtValueTarget *target, const MtElement *element)
{
	if (!mismatch->is_told)
		return;
	if (mismatch->path == NULL)
	{
		mismatch->element = *element;
		mismatch->target = target;
		mismatch->path = pnstrdup(element->name, element->name_len);
	}
	else
		mismatch->path = psprintf("%.*s.%s", (int) element->name_len, element->name, mismatch->path);
}

/* The field that is to blame, in the database's encoding. */
static char *
shown_field(const MtColumnConverter *converter)
{
	const char *path = converter->mismatch.path;
	MtSlice		utf8 = {(const uint8 *) path, path != NULL ? (uint32) strlen(path) : 0};
	char	   *server;

	if (path == NULL)
		return pstrdup(converter->target.field);
	return psprintf("%s.%s", converter->target.field, mt_utf8_to_server(utf8, &server) ? server : "?");
}

void
mt_mismatch_report(MtColumnConverter *converter, const MtElement *element, const MtDocumentOrigin *origin)
{
	const MtColumnTarget *target = &converter->target;
	const MtMismatch *mismatch = &converter->mismatch;
	char	   *type = format_type_with_typemod(target->type, target->typmod);

	if (mismatch->path != NULL)
	{
		element = &mismatch->element;
		type = psprintf("%s, there %s", type,
						format_type_with_typemod(mismatch->target->type, mismatch->target->typmod));
	}
	ereport(ERROR,
			(errcode(mismatch->sqlstate),
			 errmsg("cannot convert field \"%s\" of a document of \"%s\" to column \"%s\"",
					shown_field(converter), mt_shown_namespace(origin), target->column),
			 errdetail("In the document%s it is the %s %s; the column has type %s, %s.",
					   mt_shown_id(converter, origin), type_name(element->type), shown_value(converter, element),
					   type, mismatch->reason),
			 errhint("Declare the column with a type that holds every value, as jsonb does, "
					 "or set option on_mismatch 'null' to read NULL instead.")));
}
