/*
 * oplog_operation.c
 *		One operation of the oplog, one change.
 *
 * The commands stand in a table.  What is not in it, and an op that is not
 * known, becomes a change "unknown" that carries the whole entry: a reader can
 * show it, and a mirror must stop at it, for nobody can say what it did.
 */
#include "oplog/oplog_operation.h"

#include <stdio.h>

/* How a command says what it is about */
typedef enum MtCommandTarget
{
	MT_TARGET_COLLECTION,		/* the value is a collection of the entry's database */
	MT_TARGET_NAMESPACE,		/* the value is "db.coll" */
	MT_TARGET_RENAME,			/* the value and "to" are "db.coll" */
	MT_TARGET_DATABASE,			/* the entry's database */
	MT_TARGET_IGNORED			/* nothing that a reader could see */
} MtCommandTarget;

typedef struct MtCommand
{
	const char *name;
	MtOperation operation;
	MtCommandTarget target;
} MtCommand;

static const MtCommand commands[] = {
	{"create", MT_OPERATION_CREATE, MT_TARGET_COLLECTION},
	{"drop", MT_OPERATION_DROP, MT_TARGET_COLLECTION},
	{"renameCollection", MT_OPERATION_RENAME, MT_TARGET_RENAME},
	{"dropDatabase", MT_OPERATION_DROP_DATABASE, MT_TARGET_DATABASE},
	{"createIndexes", MT_OPERATION_CREATE_INDEXES, MT_TARGET_COLLECTION},
	{"commitIndexBuild", MT_OPERATION_CREATE_INDEXES, MT_TARGET_COLLECTION},
	{"startIndexBuild", MT_OPERATION_START_INDEX_BUILD, MT_TARGET_COLLECTION},
	{"abortIndexBuild", MT_OPERATION_ABORT_INDEX_BUILD, MT_TARGET_COLLECTION},
	{"dropIndexes", MT_OPERATION_DROP_INDEXES, MT_TARGET_COLLECTION},
	{"dropIndex", MT_OPERATION_DROP_INDEXES, MT_TARGET_COLLECTION},
	{"deleteIndexes", MT_OPERATION_DROP_INDEXES, MT_TARGET_COLLECTION},
	{"deleteIndex", MT_OPERATION_DROP_INDEXES, MT_TARGET_COLLECTION},
	{"collMod", MT_OPERATION_MODIFY, MT_TARGET_COLLECTION},
	{"emptycapped", MT_OPERATION_EMPTY_CAPPED, MT_TARGET_COLLECTION},
	{"convertToCapped", MT_OPERATION_CONVERT_TO_CAPPED, MT_TARGET_COLLECTION},
	{"importCollection", MT_OPERATION_IMPORT_COLLECTION, MT_TARGET_NAMESPACE},
	{"truncateRange", MT_OPERATION_TRUNCATE_RANGE, MT_TARGET_NAMESPACE},
	{"dbCheck", MT_OPERATION_NONE, MT_TARGET_IGNORED},
	{"createDatabaseMetadata", MT_OPERATION_NONE, MT_TARGET_IGNORED},
	{"dropDatabaseMetadata", MT_OPERATION_NONE, MT_TARGET_IGNORED},
	{"modifyCollectionShardingIndexCatalog", MT_OPERATION_NONE, MT_TARGET_IGNORED},
	{"createGlobalIndex", MT_OPERATION_NONE, MT_TARGET_IGNORED},
	{"dropGlobalIndex", MT_OPERATION_NONE, MT_TARGET_IGNORED}
};

/* Ops that touch no collection of a user: global indexes, storage containers */
static const char ignored_ops[][3] = {"xi", "xd", "ci", "cu", "cd"};

static bool
mt_slice_is(MtSlice slice, const char *text)
{
	size_t		len = strlen(text);

	return slice.len == len && memcmp(slice.data, text, len) == 0;
}

/* The command of an entry is its o's first element. */
static bool
mt_command_element(const MtOplogEntry *entry, MtElement *command)
{
	MtWalk		walk;

	return mt_walk_begin(&walk, entry->o) && mt_walk_next(&walk, command) == MT_WALK_ELEMENT;
}

MtGroupCommand
mt_operation_group_command(const MtOplogEntry *entry)
{
	MtElement	command;

	if (entry->op.len != 1 || entry->op.data[0] != 'c' || !mt_command_element(entry, &command))
		return MT_GROUP_NONE;
	if (MT_ELEMENT_IS(&command, "applyOps"))
		return MT_GROUP_APPLY_OPS;
	if (MT_ELEMENT_IS(&command, "commitTransaction"))
		return MT_GROUP_COMMIT;
	if (MT_ELEMENT_IS(&command, "abortTransaction"))
		return MT_GROUP_ABORT;
	return MT_GROUP_NONE;
}

/* Does the filter pass a write's namespace?  Most writes follow one to the
 * same collection, so that the last answer is kept. */
static inline bool
mt_write_passes(MtOperationReader *reader, MtSlice ns)
{
	if (ns.len == reader->memo_len && ns.len > 0 && memcmp(ns.data, reader->memo, ns.len) == 0)
		return reader->memo_passes;
	reader->memo_passes = mt_namespace_filter_match(reader->filter, ns);
	reader->memo_len = 0;
	if (ns.len > 0 && ns.len <= sizeof reader->memo)
	{
		memcpy(reader->memo, ns.data, ns.len);
		reader->memo_len = ns.len;
	}
	return reader->memo_passes;
}

/* ---- writes ---- */

static MtOplogStatus
mt_write_insert(const MtOplogEntry *entry, MtChange *change, MtOplogError *error)
{
	MtElement	id;

	change->operation = MT_OPERATION_INSERT;
	change->payload_kind = MT_PAYLOAD_DOCUMENT;
	change->payload = entry->o;
	change->document_key = entry->o2;
	if (entry->o2.len > 0)
		return MT_OPLOG_OK;
	switch (mt_bson_find(entry->o, "_id", 3, &id))
	{
		case MT_WALK_ELEMENT:
			change->document_key = mt_element_bytes(&id);
			change->flags |= MT_CHANGE_KEY_ELEMENT;
			return MT_OPLOG_OK;
		case MT_WALK_END:
			return MT_OPLOG_OK;
		case MT_WALK_CORRUPT:
			break;
	}
	return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "the inserted document is corrupt BSON");
}

/* What tells the forms of an update apart */
typedef struct MtUpdateShape
{
	bool		has_id;
	bool		has_version;
	bool		has_modifiers;	/* the first field begins with $ */
	int64_t		version;		/* $v, or -1 when it is no number */
	MtSlice		diff;
} MtUpdateShape;

static int64_t
mt_update_version(const MtElement *e)
{
	switch (e->type)
	{
		case MT_BSON_INT32:
			return (int32_t) mt_le32(e->value);
		case MT_BSON_INT64:
			return (int64_t) mt_le64(e->value);
		case MT_BSON_DOUBLE:
			return mt_le_double(e->value) == 1.0 ? 1 : mt_le_double(e->value) == 2.0 ? 2 : -1;
		default:
			return -1;
	}
}

/* False when o is corrupt.  An _id ends the search: only a replacement has it. */
static bool
mt_update_shape(MtSlice o, MtUpdateShape *shape)
{
	MtWalk		walk;
	MtElement	e;
	MtWalkResult result;
	bool		first = true;

	memset(shape, 0, sizeof *shape);
	if (!mt_walk_begin(&walk, o))
		return false;
	while ((result = mt_walk_next(&walk, &e)) == MT_WALK_ELEMENT)
	{
		if (MT_ELEMENT_IS(&e, "_id"))
		{
			shape->has_id = true;
			return true;
		}
		if (MT_ELEMENT_IS(&e, "$v"))
		{
			shape->has_version = true;
			shape->version = mt_update_version(&e);
		}
		else if (MT_ELEMENT_IS(&e, "diff") && e.type == MT_BSON_DOCUMENT)
			shape->diff = mt_element_value(&e);
		if (first)
			shape->has_modifiers = e.name[0] == '$';
		first = false;
	}
	return result == MT_WALK_END;
}

static MtOplogStatus
mt_write_update(const MtOplogEntry *entry, MtChange *change, MtOplogError *error)
{
	MtUpdateShape shape;

	if (entry->o2.len == 0)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "an update has no document key (o2)");
	if (!mt_update_shape(entry->o, &shape))
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "the update is corrupt BSON");
	change->document_key = entry->o2;
	change->operation = MT_OPERATION_UPDATE;
	change->payload = entry->o;
	if (entry->upsert)
		change->flags |= MT_CHANGE_UPSERT;
	if (shape.has_id)
	{
		change->operation = MT_OPERATION_REPLACE;
		change->payload_kind = MT_PAYLOAD_DOCUMENT;
	}
	else if (shape.has_version && shape.version == 2)
	{
		if (shape.diff.len == 0)
			return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "an update of $v 2 has no diff");
		change->payload_kind = MT_PAYLOAD_DIFF_V2;
		change->payload = shape.diff;
	}
	else if (shape.has_version ? shape.version == 1 : shape.has_modifiers)
		change->payload_kind = MT_PAYLOAD_MODIFIERS_V1;
	else
	{
		change->operation = MT_OPERATION_UNKNOWN;
		change->payload_kind = MT_PAYLOAD_ENTRY;
		change->payload = entry->whole;
	}
	return MT_OPLOG_OK;
}

static MtOplogStatus
mt_write_read(MtOperationReader *reader, const MtOplogEntry *entry, MtChange *change,
			  bool *passes, MtOplogError *error)
{
	if (entry->from_migrate && reader->skip_migrated)
		return MT_OPLOG_OK;
	if (!mt_write_passes(reader, entry->ns))
		return MT_OPLOG_OK;
	if (memchr(entry->ns.data, '.', entry->ns.len) == NULL)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "a write names no collection (ns \"%.*s\")",
							 (int) (entry->ns.len < 64 ? entry->ns.len : 64),
							 (const char *) entry->ns.data);
	if (entry->o.len == 0)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "a write has no o");
	*passes = true;
	change->namespace = entry->ns;
	switch (entry->op.data[0])
	{
		case 'i':
			return mt_write_insert(entry, change, error);
		case 'u':
			return mt_write_update(entry, change, error);
		default:
			change->operation = MT_OPERATION_DELETE;
			change->payload_kind = MT_PAYLOAD_NONE;
			change->document_key = entry->o;
			return MT_OPLOG_OK;
	}
}

/* ---- what is not known ---- */

static void
mt_unknown_set(const MtOplogEntry *entry, MtSlice namespace, MtChange *change)
{
	change->operation = MT_OPERATION_UNKNOWN;
	change->payload_kind = MT_PAYLOAD_ENTRY;
	change->payload = entry->whole;
	change->namespace = namespace;
}

/* Might an entry that names no more than this ns concern what the filter
 * passes?  The admin database carries operations on others. */
static bool
mt_unknown_passes(const MtOperationReader *reader, MtSlice ns)
{
	MtSlice		database;
	MtSlice		collection;

	mt_namespace_split(ns, &database, &collection);
	if (collection.len == 0)
		return true;
	if (!mt_slice_is(collection, "$cmd"))
		return mt_namespace_filter_match(reader->filter, ns);
	return mt_slice_is(database, "admin") ||
		mt_namespace_filter_match_database(reader->filter, database);
}

/* ---- commands ---- */

static const MtCommand *
mt_command_find(const MtElement *command)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (mt_element_is(command, commands[i].name, (uint32_t) strlen(commands[i].name)))
			return &commands[i];
	return NULL;
}

/* Put "database.collection" together in the reader's memory. */
static MtOplogStatus
mt_command_namespace(MtOperationReader *reader, MtSlice database, MtSlice collection,
					 MtSlice *namespace, MtOplogError *error)
{
	MtByteBuffer *name = &reader->names[reader->name_turn];

	name->len = 0;
	if (!mt_byte_buffer_append(name, database.data, database.len) ||
		!mt_byte_buffer_append(name, ".", 1) ||
		!mt_byte_buffer_append(name, collection.data, collection.len))
		return mt_oplog_fail(error, MT_OPLOG_OUT_OF_MEMORY, "out of memory");
	namespace->data = name->data;
	namespace->len = (uint32_t) name->len;
	return MT_OPLOG_OK;
}

static bool
mt_slice_begins_with_database(MtSlice text, MtSlice database)
{
	return text.len > database.len + 1 && text.data[database.len] == '.' &&
		memcmp(text.data, database.data, database.len) == 0;
}

static MtOplogStatus
mt_command_rename(MtOperationReader *reader, const MtOplogEntry *entry, MtSlice source,
				  MtChange *change, bool *passes, MtOplogError *error)
{
	MtElement	to;

	if (mt_bson_find(entry->o, "to", 2, &to) != MT_WALK_ELEMENT || to.type != MT_BSON_STRING)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "renameCollection does not say to what");
	change->namespace = source;
	*passes = mt_namespace_filter_match(reader->filter, source) ||
		mt_namespace_filter_match(reader->filter, mt_element_text(&to));
	return MT_OPLOG_OK;
}

/* A command that is about the whole namespace that it names */
static void
mt_command_full_namespace(MtOperationReader *reader, MtSlice namespace, MtChange *change,
						  bool *passes)
{
	change->namespace = namespace;
	*passes = mt_namespace_filter_match(reader->filter, namespace);
}

/* A command that is about a collection of its database */
static MtOplogStatus
mt_command_collection(MtOperationReader *reader, MtSlice database, MtSlice value,
					  MtChange *change, bool *passes, MtOplogError *error)
{
	MtOplogStatus status = mt_command_namespace(reader, database, value, &change->namespace, error);

	if (status != MT_OPLOG_OK)
		return status;
	*passes = mt_namespace_filter_match(reader->filter, change->namespace);
	if (*passes)
		reader->name_turn ^= 1;
	return MT_OPLOG_OK;
}

/* An unknown command's value, if it is a string, may be a collection or a
 * namespace of its database: it passes by either. */
static MtOplogStatus
mt_command_unknown(MtOperationReader *reader, const MtOplogEntry *entry, const MtElement *command,
				   MtSlice database, MtChange *change, bool *passes, MtOplogError *error)
{
	mt_unknown_set(entry, entry->ns, change);
	if (command->type == MT_BSON_STRING && command->value_len > 5)
	{
		MtSlice		value = mt_element_text(command);

		if (mt_slice_begins_with_database(value, database))
			mt_command_full_namespace(reader, value, change, passes);
		return *passes ? MT_OPLOG_OK :
			mt_command_collection(reader, database, value, change, passes, error);
	}
	*passes = mt_unknown_passes(reader, entry->ns);
	return MT_OPLOG_OK;
}

static MtOplogStatus
mt_command_read(MtOperationReader *reader, const MtOplogEntry *entry, MtChange *change,
				bool *passes, MtOplogError *error)
{
	MtElement	element;
	const MtCommand *command;
	MtSlice		database;
	MtSlice		collection;
	MtSlice		value = {NULL, 0};

	if (!mt_command_element(entry, &element))
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "a command entry has no command in o");
	mt_namespace_split(entry->ns, &database, &collection);
	if (database.len == 0)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "command %.64s has no database in ns", element.name);
	command = mt_command_find(&element);
	if (command == NULL)
		return mt_command_unknown(reader, entry, &element, database, change, passes, error);
	if (command->target == MT_TARGET_IGNORED || (entry->from_migrate && reader->skip_migrated))
		return MT_OPLOG_OK;
	change->operation = (uint8_t) command->operation;
	change->payload_kind = MT_PAYLOAD_COMMAND;
	change->payload = entry->o;
	if (command->target == MT_TARGET_DATABASE)
	{
		change->namespace = database;
		*passes = mt_namespace_filter_match_database(reader->filter, database);
		return MT_OPLOG_OK;
	}
	if (element.type == MT_BSON_STRING)
		value = mt_element_text(&element);
	if (value.len == 0)
		return mt_oplog_fail(error, MT_OPLOG_MALFORMED, "command %s names no collection", command->name);
	if (command->target == MT_TARGET_RENAME)
		return mt_command_rename(reader, entry, value, change, passes, error);
	if (command->target == MT_TARGET_NAMESPACE && mt_slice_begins_with_database(value, database))
	{
		mt_command_full_namespace(reader, value, change, passes);
		return MT_OPLOG_OK;
	}
	return mt_command_collection(reader, database, value, change, passes, error);
}

/* ---- any operation ---- */

static bool
mt_operation_is_ignored(MtSlice op)
{
	for (size_t i = 0; i < sizeof ignored_ops / sizeof ignored_ops[0]; i++)
		if (mt_slice_is(op, ignored_ops[i]))
			return true;
	return false;
}

MtOplogStatus
mt_operation_read(MtOperationReader *reader, const MtOplogEntry *entry, MtChange *change,
				  bool *passes, MtOplogError *error)
{
	*passes = false;
	change->entry_bytes = entry->whole.len;
	if (entry->from_migrate)
		change->flags |= MT_CHANGE_FROM_MIGRATE;
	if (entry->op.len == 1)
	{
		switch (entry->op.data[0])
		{
			case 'i':
			case 'u':
			case 'd':
				return mt_write_read(reader, entry, change, passes, error);
			case 'c':
				return mt_command_read(reader, entry, change, passes, error);
			case 'n':
				return MT_OPLOG_OK;
		}
	}
	if (mt_operation_is_ignored(entry->op))
		return MT_OPLOG_OK;
	*passes = mt_unknown_passes(reader, entry->ns);
	mt_unknown_set(entry, entry->ns, change);
	return MT_OPLOG_OK;
}

void
mt_operation_reader_free(MtOperationReader *reader)
{
	mt_byte_buffer_free(&reader->names[0]);
	mt_byte_buffer_free(&reader->names[1]);
}
