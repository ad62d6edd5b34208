/*
 * oplog_entry.c
 *		One pass over the envelope of an oplog entry.
 *
 * A field is found by the length of its name and then one comparison, so that
 * an entry costs a few nanoseconds a field.  What is not known is skipped by
 * its length.  A field that is known must have the type that the server's IDL
 * gives it and stand there once: an entry that breaks that was not written by
 * a server, and guessing what it means would lose data in silence.
 */
#include "oplog/oplog_entry.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "oplog/change.h"

/* Fields seen so far, to refuse a second one of the same name */
typedef enum MtEntryField
{
	MT_FIELD_TS,
	MT_FIELD_T,
	MT_FIELD_V,
	MT_FIELD_OP,
	MT_FIELD_NS,
	MT_FIELD_O,
	MT_FIELD_O2,
	MT_FIELD_UI,
	MT_FIELD_B,
	MT_FIELD_WALL,
	MT_FIELD_LSID,
	MT_FIELD_TXN_NUMBER,
	MT_FIELD_PREV_OP_TIME,
	MT_FIELD_MULTI_OP_TYPE,
	MT_FIELD_FROM_MIGRATE,
	MT_FIELD_OTHER
} MtEntryField;

MtOplogStatus
mt_oplog_fail(MtOplogError *error, MtOplogStatus status, const char *format, ...)
{
	va_list		args;

	va_start(args, format);
	vsnprintf(error->message, sizeof error->message, format, args);
	va_end(args);
	return status;
}

/* MALFORMED, with the entry's ts as far as it can be found. */
#define MT_ENTRY_MALFORMED(entry, error, ...) \
	((error)->cluster_time = (entry)->ts != 0 ? (entry)->ts : mt_oplog_entry_ts((entry)->whole), \
	 mt_oplog_fail((error), MT_OPLOG_MALFORMED, __VA_ARGS__))

static MtEntryField
mt_entry_field(const MtElement *e)
{
	switch (e->name_len)
	{
		case 1:
			switch (e->name[0])
			{
				case 'o':
					return MT_FIELD_O;
				case 't':
					return MT_FIELD_T;
				case 'v':
					return MT_FIELD_V;
				case 'b':
					return MT_FIELD_B;
			}
			break;
		case 2:
			if (memcmp(e->name, "ts", 2) == 0)
				return MT_FIELD_TS;
			if (memcmp(e->name, "op", 2) == 0)
				return MT_FIELD_OP;
			if (memcmp(e->name, "ns", 2) == 0)
				return MT_FIELD_NS;
			if (memcmp(e->name, "ui", 2) == 0)
				return MT_FIELD_UI;
			if (memcmp(e->name, "o2", 2) == 0)
				return MT_FIELD_O2;
			break;
		case 4:
			if (memcmp(e->name, "wall", 4) == 0)
				return MT_FIELD_WALL;
			if (memcmp(e->name, "lsid", 4) == 0)
				return MT_FIELD_LSID;
			break;
		case 9:
			if (memcmp(e->name, "txnNumber", 9) == 0)
				return MT_FIELD_TXN_NUMBER;
			break;
		case 10:
			if (memcmp(e->name, "prevOpTime", 10) == 0)
				return MT_FIELD_PREV_OP_TIME;
			break;
		case 11:
			if (memcmp(e->name, "multiOpType", 11) == 0)
				return MT_FIELD_MULTI_OP_TYPE;
			if (memcmp(e->name, "fromMigrate", 11) == 0)
				return MT_FIELD_FROM_MIGRATE;
			break;
	}
	return MT_FIELD_OTHER;
}

/* An int32 or int64, as IDL's "safe" integers are read. */
static bool
mt_entry_integer(const MtElement *e, int64_t *value)
{
	if (e->type == MT_BSON_INT32)
		*value = (int32_t) mt_le32(e->value);
	else if (e->type == MT_BSON_INT64)
		*value = (int64_t) mt_le64(e->value);
	else
		return false;
	return true;
}

static bool
mt_entry_bool(const MtElement *e, bool *value)
{
	if (e->type != MT_BSON_BOOL)
		return false;
	*value = e->value[0] != 0;
	return true;
}

static bool
mt_entry_text(const MtElement *e, MtSlice *text)
{
	if (e->type != MT_BSON_STRING)
		return false;
	*text = mt_element_text(e);
	return true;
}

static bool
mt_entry_document(const MtElement *e, MtSlice *document)
{
	if (e->type != MT_BSON_DOCUMENT)
		return false;
	*document = mt_element_value(e);
	return true;
}

/* {ts, t}; the null optime {Timestamp(0, 0), -1} gives 0. */
static bool
mt_entry_op_time(const MtElement *e, uint64_t *ts, int64_t *term)
{
	MtElement	field;

	if (e->type != MT_BSON_DOCUMENT ||
		mt_bson_find(mt_element_value(e), "ts", 2, &field) != MT_WALK_ELEMENT ||
		field.type != MT_BSON_TIMESTAMP)
		return false;
	*ts = mt_le64(field.value);
	*term = -1;
	switch (mt_bson_find(mt_element_value(e), "t", 1, &field))
	{
		case MT_WALK_ELEMENT:
			return mt_entry_integer(&field, term);
		case MT_WALK_END:
			return true;
		case MT_WALK_CORRUPT:
			break;
	}
	return false;
}

/* Take a field that top-level entries and inner operations share. */
static bool
mt_entry_take_operation(MtOplogEntry *entry, MtEntryField field, const MtElement *e)
{
	switch (field)
	{
		case MT_FIELD_OP:
			return mt_entry_text(e, &entry->op);
		case MT_FIELD_NS:
			return mt_entry_text(e, &entry->ns);
		case MT_FIELD_O:
			return mt_entry_document(e, &entry->o);
		case MT_FIELD_O2:
			return mt_entry_document(e, &entry->o2);
		case MT_FIELD_B:
			return mt_entry_bool(e, &entry->upsert);
		case MT_FIELD_FROM_MIGRATE:
			return mt_entry_bool(e, &entry->from_migrate);
		case MT_FIELD_UI:
			if (e->type != MT_BSON_BINARY || e->value_len != 5 + 16)
				return false;
			entry->ui.data = e->value + 5;
			entry->ui.len = 16;
			return true;
		default:
			return true;
	}
}

/* Take a field of a top-level entry. */
static bool
mt_entry_take(MtOplogEntry *entry, MtEntryField field, const MtElement *e)
{
	int64_t		value;

	switch (field)
	{
		case MT_FIELD_TS:
			if (e->type != MT_BSON_TIMESTAMP)
				return false;
			entry->ts = mt_le64(e->value);
			return true;
		case MT_FIELD_T:
			return mt_entry_integer(e, &entry->term);
		case MT_FIELD_V:
			return mt_entry_integer(e, &value) && value == 2;
		case MT_FIELD_WALL:
			if (e->type != MT_BSON_DATE)
				return false;
			entry->wall_ms = (int64_t) mt_le64(e->value);
			return true;
		case MT_FIELD_LSID:
			return mt_entry_document(e, &entry->lsid);
		case MT_FIELD_TXN_NUMBER:
			entry->has_txn_number = true;
			return mt_entry_integer(e, &entry->txn_number);
		case MT_FIELD_PREV_OP_TIME:
			return mt_entry_op_time(e, &entry->prev_ts, &entry->prev_term);
		case MT_FIELD_MULTI_OP_TYPE:
			if (!mt_entry_integer(e, &value) || value < 0 || value > INT32_MAX)
				return false;
			entry->multi_op_type = (int32_t) value;
			return true;
		default:
			return mt_entry_take_operation(entry, field, e);
	}
}

/* Field by field: a memset of this size becomes "rep stos", which costs more
 * than parsing two fields. */
static inline void
mt_entry_clear(MtOplogEntry *entry, MtSlice bson)
{
	static const MtSlice absent = {NULL, 0};

	entry->whole = bson;
	entry->ts = 0;
	entry->term = -1;
	entry->wall_ms = MT_NO_WALL_TIME;
	entry->op = absent;
	entry->ns = absent;
	entry->o = absent;
	entry->o2 = absent;
	entry->ui = absent;
	entry->lsid = absent;
	entry->txn_number = 0;
	entry->prev_ts = 0;
	entry->prev_term = -1;
	entry->multi_op_type = 0;
	entry->has_txn_number = false;
	entry->upsert = false;
	entry->from_migrate = false;
}

/* The first four bytes of an element, as they are read */
#define MT_TAG(type, a, b, c) \
	((uint32_t) (type) | (uint32_t) (a) << 8 | (uint32_t) (b) << 16 | (uint32_t) (c) << 24)

/* Step over an element whose type and name are known, and so constant below. */
static inline __attribute__((always_inline)) bool
mt_entry_step(MtWalk *walk, uint8_t type, uint32_t name_len, MtElement *e)
{
	const uint8_t *value = walk->p + 1 + name_len + 1;
	int64_t		value_len = mt_bson_value_length(type, value, (size_t) (walk->end - value));

	if (value_len < 0)
		return false;
	e->value = value;
	e->value_len = (uint32_t) value_len;
	walk->p = value + value_len;
	return true;
}

/*
 * Take the fields that every entry has, by one comparison of type and name
 * together.  Returns at the first element that is none of them, or is not as
 * it should be: that one is for the walk, which names what is wrong.
 */
static inline void
mt_entry_take_common(MtWalk *walk, MtOplogEntry *entry, unsigned *seen)
{
	MtElement	e;
	unsigned	taken;

#define MT_TAKE(field, type, name_len, statement) \
	if ((*seen & (1u << (field))) || !mt_entry_step(walk, (type), (name_len), &e)) \
		return; \
	taken = 1u << (field); \
	statement; \
	break
	/* what is looked at before a step: "wall" with its value */
	while (walk->end - walk->p >= 1 + 5 + 8)
	{
		uint32_t	tag = mt_le32(walk->p);

		switch (tag)
		{
			case MT_TAG(MT_BSON_STRING, 'o', 'p', 0):
				MT_TAKE(MT_FIELD_OP, MT_BSON_STRING, 2, entry->op = mt_element_text(&e));
			case MT_TAG(MT_BSON_STRING, 'n', 's', 0):
				MT_TAKE(MT_FIELD_NS, MT_BSON_STRING, 2, entry->ns = mt_element_text(&e));
			case MT_TAG(MT_BSON_DOCUMENT, 'o', '2', 0):
				MT_TAKE(MT_FIELD_O2, MT_BSON_DOCUMENT, 2, entry->o2 = mt_element_value(&e));
			case MT_TAG(MT_BSON_TIMESTAMP, 't', 's', 0):
				MT_TAKE(MT_FIELD_TS, MT_BSON_TIMESTAMP, 2, entry->ts = mt_le64(e.value));
			case MT_TAG(MT_BSON_BINARY, 'u', 'i', 0):
				if (mt_le32(walk->p + 4) != 16)
					return;
				MT_TAKE(MT_FIELD_UI, MT_BSON_BINARY, 2, entry->ui.data = e.value + 5; entry->ui.len = 16);
			case MT_TAG(MT_BSON_DATE, 'w', 'a', 'l'):
				if (walk->p[4] != 'l' || walk->p[5] != 0)
					return;
				MT_TAKE(MT_FIELD_WALL, MT_BSON_DATE, 4, entry->wall_ms = (int64_t) mt_le64(e.value));
			default:
				switch (tag & 0xffffff)
				{
					case MT_TAG(MT_BSON_DOCUMENT, 'o', 0, 0):
						MT_TAKE(MT_FIELD_O, MT_BSON_DOCUMENT, 1, entry->o = mt_element_value(&e));
					case MT_TAG(MT_BSON_INT64, 't', 0, 0):
						MT_TAKE(MT_FIELD_T, MT_BSON_INT64, 1, entry->term = (int64_t) mt_le64(e.value));
					case MT_TAG(MT_BSON_INT64, 'v', 0, 0):
						if (mt_le64(walk->p + 3) != 2)
							return;
						MT_TAKE(MT_FIELD_V, MT_BSON_INT64, 1, (void) 0);
					default:
						return;
				}
		}
		*seen |= taken;
	}
#undef MT_TAKE
}

/*
 * Walk bson and take every field that is known.  An inner operation may carry
 * whatever its author typed into applyOps (a ts of another server, an h), so
 * only the operation's own fields are looked at there.
 */
static MtOplogStatus
mt_entry_walk(MtSlice bson, bool inner, MtOplogEntry *entry, unsigned *seen, MtOplogError *error)
{
	MtWalk		walk;
	MtElement	e;
	MtWalkResult result;

	mt_entry_clear(entry, bson);
	*seen = 0;
	if (!mt_walk_begin(&walk, bson))
		return MT_ENTRY_MALFORMED(entry, error, "%s is not a BSON document: its length or its end is wrong",
								  inner ? "an operation of applyOps" : "the oplog entry");
	for (;;)
	{
		MtEntryField field;

		if (!inner)
			mt_entry_take_common(&walk, entry, seen);
		result = mt_walk_next(&walk, &e);
		if (result != MT_WALK_ELEMENT)
			break;
		field = mt_entry_field(&e);
		if (field == MT_FIELD_OTHER)
			continue;
		if (*seen & (1u << field))
			return MT_ENTRY_MALFORMED(entry, error, "field \"%s\" stands twice", e.name);
		*seen |= 1u << field;
		if (!(inner ? mt_entry_take_operation(entry, field, &e) : mt_entry_take(entry, field, &e)))
			return MT_ENTRY_MALFORMED(entry, error, field == MT_FIELD_V ?
									  "field \"%s\" is not version 2 of the oplog (BSON type 0x%02x)" :
									  "field \"%s\" has a value that does not belong there (BSON type 0x%02x)",
									  e.name, e.type);
	}
	if (result == MT_WALK_CORRUPT)
		return MT_ENTRY_MALFORMED(entry, error, "%s is corrupt BSON at byte %zu of %" PRIu32,
								  inner ? "an operation of applyOps" : "the oplog entry",
								  (size_t) (walk.p - bson.data), bson.len);
	return MT_OPLOG_OK;
}

MtOplogStatus
mt_oplog_entry_parse(MtSlice bson, MtOplogEntry *entry, MtOplogError *error)
{
	unsigned	seen;
	MtOplogStatus status = mt_entry_walk(bson, false, entry, &seen, error);

	if (status != MT_OPLOG_OK)
		return status;
	if (!(seen & (1u << MT_FIELD_TS)) || entry->ts == 0)
		return MT_ENTRY_MALFORMED(entry, error, "the oplog entry has no ts");
	if (!(seen & (1u << MT_FIELD_OP)))
		return MT_ENTRY_MALFORMED(entry, error, "the oplog entry has no op");
	if (!(seen & (1u << MT_FIELD_NS)))
		return MT_ENTRY_MALFORMED(entry, error, "the oplog entry has no ns");
	return MT_OPLOG_OK;
}

MtOplogStatus
mt_oplog_entry_parse_inner(MtSlice bson, MtOplogEntry *entry, MtOplogError *error)
{
	unsigned	seen;
	MtOplogStatus status = mt_entry_walk(bson, true, entry, &seen, error);

	if (status != MT_OPLOG_OK)
		return status;
	if (!(seen & (1u << MT_FIELD_OP)))
		return MT_ENTRY_MALFORMED(entry, error, "an operation of applyOps has no op");
	if (!(seen & (1u << MT_FIELD_NS)))
		return MT_ENTRY_MALFORMED(entry, error, "an operation of applyOps has no ns");
	if (!(seen & (1u << MT_FIELD_O)))
		return MT_ENTRY_MALFORMED(entry, error, "an operation of applyOps has no o");
	return MT_OPLOG_OK;
}

uint64_t
mt_oplog_entry_ts(MtSlice bson)
{
	MtElement	e;

	if (mt_bson_find(bson, "ts", 2, &e) != MT_WALK_ELEMENT || e.type != MT_BSON_TIMESTAMP)
		return 0;
	return mt_le64(e.value);
}

bool
mt_oplog_entry_is_initial(MtSlice bson)
{
	static const char msg[] = "initiating set";
	MtOplogEntry entry;
	MtOplogError error;
	MtElement	element;
	MtSlice		text;

	if (mt_oplog_entry_parse(bson, &entry, &error) != MT_OPLOG_OK ||
		entry.op.len != 1 || entry.op.data[0] != 'n' || entry.o.len == 0 ||
		mt_bson_find(entry.o, "msg", 3, &element) != MT_WALK_ELEMENT ||
		element.type != MT_BSON_STRING)
		return false;
	text = mt_element_text(&element);
	return text.len == sizeof msg - 1 && memcmp(text.data, msg, text.len) == 0;
}
