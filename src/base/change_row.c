/*
 * change_row.c
 *		A change as the columns that SQL sees.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/change_row.h"
#include "base/remote.h"
#include "compat.h"
#include "convert/bson_to_jsonb.h"
#include "oplog/update_description.h"

struct MtRowBuilder
{
	MemoryContext context;
	MtJsonbBuilder *document_key;
	MtJsonbBuilder *full_document;
	MtJsonbBuilder *update_description;
	MtByteBuffer description;	/* BSON of the update description */
	MtPosition	position;
	Datum		source;
	Datum		operations[MT_OPERATION_COUNT];

	/* The last namespace and shard seen, as text: rows come in runs. */
	char	   *namespace;
	uint32		namespace_len;
	uint32		namespace_size;
	Datum		database;
	Datum		collection;
	bool		has_collection;
	const char *shard_name;
	Datum		shard;
	Datum		transaction_id;
};

static void
free_description(void *arg)
{
	MtRowBuilder *builder = arg;

	mt_byte_buffer_free(&builder->description);
}

MtRowBuilder *
mt_row_builder_create(void)
{
	MtRowBuilder *builder = palloc0(sizeof *builder);
	MemoryContextCallback *callback = palloc0(sizeof *callback);

	builder->context = CurrentMemoryContext;
	builder->document_key = mt_jsonb_builder_create(CurrentMemoryContext);
	builder->full_document = mt_jsonb_builder_create(CurrentMemoryContext);
	builder->update_description = mt_jsonb_builder_create(CurrentMemoryContext);
	builder->source = CStringGetTextDatum("oplog");
	for (int i = 0; i < MT_OPERATION_COUNT; i++)
		builder->operations[i] = CStringGetTextDatum(mt_operation_name(i));
	callback->func = free_description;
	callback->arg = builder;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return builder;
}

/*
 * MongoDB's names are bytes that are UTF-8 most of the time; what is not is
 * replaced, as in documents.
 */
static Datum
namespace_part_text(const uint8 *bytes, uint32 len)
{
	char	   *text = pnstrdup((const char *) bytes, len);
	char	   *converted;
	Datum		datum;

	for (uint32 done = 0; done < len;)
	{
		int			bad = pg_encoding_verifymbstr(PG_UTF8, text + done, len - done);

		done += bad;
		if (done < len)
			text[done++] = '?';
	}
	converted = pg_any_to_server(text, len, PG_UTF8);
	datum = CStringGetTextDatum(converted);
	if (converted != text)
		pfree(converted);
	pfree(text);
	return datum;
}

static void
remember_namespace(MtRowBuilder *builder, MtSlice namespace)
{
	MtSlice		database;
	MtSlice		collection;
	MemoryContext old;

	if (builder->namespace != NULL && builder->namespace_len == namespace.len &&
		memcmp(builder->namespace, namespace.data, namespace.len) == 0)
		return;
	old = MemoryContextSwitchTo(builder->context);
	if (builder->namespace != NULL)
	{
		pfree(builder->namespace);
		pfree(DatumGetPointer(builder->database));
		if (builder->has_collection)
			pfree(DatumGetPointer(builder->collection));
	}
	builder->namespace = palloc(namespace.len + 1);
	memcpy(builder->namespace, namespace.data, namespace.len);
	builder->namespace_len = namespace.len;
	mt_namespace_split(namespace, &database, &collection);
	builder->database = namespace_part_text(database.data, database.len);
	builder->has_collection = collection.len > 0;
	if (builder->has_collection)
		builder->collection = namespace_part_text(collection.data, collection.len);
	MemoryContextSwitchTo(old);
}

static Datum
shard_text(MtRowBuilder *builder, const char *name)
{
	if (builder->shard_name != name)
	{
		MemoryContext old = MemoryContextSwitchTo(builder->context);

		builder->shard = CStringGetTextDatum(name);
		builder->shard_name = name;
		MemoryContextSwitchTo(old);
	}
	return builder->shard;
}

/* "f81d4fae-7dec-11d0-a765-00a0c91e6bf6:12": the session's id and the
 * transaction's number in it, as MongoDB's logs print them. */
static Datum
transaction_text(MtRowBuilder *builder, MtSlice id)
{
	char		text[64];
	char	   *p = text;
	MemoryContext old;

	for (int i = 0; i < 16; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += sprintf(p, "%02x", id.data[i]);
	}
	sprintf(p, ":" INT64_FORMAT, (int64) mt_le64(id.data + 16));
	if (builder->transaction_id != (Datum) 0)
		pfree(DatumGetPointer(builder->transaction_id));
	old = MemoryContextSwitchTo(builder->context);
	builder->transaction_id = CStringGetTextDatum(text);
	MemoryContextSwitchTo(old);
	return builder->transaction_id;
}

MtSlice
mt_change_full_document(const MtChange *change)
{
	MtSlice		none = {NULL, 0};

	switch (change->payload_kind)
	{
		case MT_PAYLOAD_DOCUMENT:
		case MT_PAYLOAD_COMMAND:
		case MT_PAYLOAD_ENTRY:
			return change->payload;
		default:
			return change->full_document.len > 0 ? change->full_document : none;
	}
}

static Jsonb *
describe_update(MtRowBuilder *builder, const MtChange *change)
{
	MtDiffStatus status;
	MtSlice		description;

	builder->description.len = 0;
	if (change->payload_kind == MT_PAYLOAD_DIFF_V2)
		status = mt_update_description_from_diff(change->payload, &builder->description);
	else
		status = mt_update_description_from_modifiers(change->payload, &builder->description);
	if (status != MT_DIFF_OK)
		ereport(ERROR,
				(errcode(status == MT_DIFF_OUT_OF_MEMORY ? ERRCODE_OUT_OF_MEMORY : ERRCODE_DATA_CORRUPTED),
				 errmsg("cannot describe the update at %u.%u of \"%s\"",
						(uint32) (change->cluster_time >> 32), (uint32) change->cluster_time,
						pnstrdup((const char *) change->namespace.data, change->namespace.len)),
				 errdetail_internal("%s", mt_diff_status_text(status))));
	description.data = builder->description.data;
	description.len = (uint32) builder->description.len;
	return mt_bson_to_jsonb(builder->update_description, description);
}

static inline void
set(Datum *values, bool *nulls, MtChangeColumn column, Datum value)
{
	values[column] = value;
	nulls[column] = false;
}

/* The columns that are documents. */
static void
fill_documents(MtRowBuilder *builder, const MtChange *change, uint32 mask, Datum *values, bool *nulls)
{
	MtSlice		full_document = mt_change_full_document(change);

	if ((mask & (1u << MT_COLUMN_DOCUMENT_KEY)) && change->document_key.len > 0)
		set(values, nulls, MT_COLUMN_DOCUMENT_KEY,
			JsonbPGetDatum(change->flags & MT_CHANGE_KEY_ELEMENT ?
						   mt_bson_element_to_jsonb(builder->document_key, change->document_key) :
						   mt_bson_to_jsonb(builder->document_key, change->document_key)));
	if ((mask & (1u << MT_COLUMN_FULL_DOCUMENT)) && full_document.len > 0)
		set(values, nulls, MT_COLUMN_FULL_DOCUMENT,
			JsonbPGetDatum(mt_bson_to_jsonb(builder->full_document, full_document)));
	if ((mask & (1u << MT_COLUMN_UPDATE_DESCRIPTION)) &&
		(change->payload_kind == MT_PAYLOAD_DIFF_V2 || change->payload_kind == MT_PAYLOAD_MODIFIERS_V1))
		set(values, nulls, MT_COLUMN_UPDATE_DESCRIPTION,
			JsonbPGetDatum(describe_update(builder, change)));
}

void
mt_row_builder_fill(MtRowBuilder *builder, const MtChangeRow *row, uint32 mask,
					Datum *values, bool *nulls)
{
	const MtChange *change = &row->change;

	memset(nulls, true, sizeof(bool) * MT_CHANGE_COLUMNS);
	builder->position = row->position;
	set(values, nulls, MT_COLUMN_POSITION, MtPositionGetDatum(&builder->position));
	set(values, nulls, MT_COLUMN_CLUSTER_TIME, UInt64GetDatum(change->cluster_time));
	if (change->wall_ms != MT_NO_WALL_TIME &&
		change->wall_ms > INT64CONST(-62135596800000) && change->wall_ms < INT64CONST(253402300800000))
		set(values, nulls, MT_COLUMN_WALL_TIME,
			TimestampTzGetDatum(change->wall_ms * 1000 -
								(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY));
	set(values, nulls, MT_COLUMN_OPERATION_TYPE, builder->operations[change->operation]);
	set(values, nulls, MT_COLUMN_ENTRY_BYTES, Int32GetDatum((int32) change->entry_bytes));
	set(values, nulls, MT_COLUMN_SOURCE, builder->source);
	if (mask & (1u << MT_COLUMN_SHARD))
		set(values, nulls, MT_COLUMN_SHARD, shard_text(builder, row->shard));
	if (mask & ((1u << MT_COLUMN_DATABASE) | (1u << MT_COLUMN_COLLECTION)))
	{
		remember_namespace(builder, change->namespace);
		set(values, nulls, MT_COLUMN_DATABASE, builder->database);
		if (builder->has_collection)
			set(values, nulls, MT_COLUMN_COLLECTION, builder->collection);
	}
	if ((mask & (1u << MT_COLUMN_TRANSACTION_ID)) && change->transaction_id.len == MT_TRANSACTION_ID_BYTES)
		set(values, nulls, MT_COLUMN_TRANSACTION_ID, transaction_text(builder, change->transaction_id));
	fill_documents(builder, change, mask, values, nulls);
}
