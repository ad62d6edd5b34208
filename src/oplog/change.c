/*
 * change.c
 *		The names of the operations, in one table.
 */
#include "oplog/change.h"

static const char *const operation_names[MT_OPERATION_COUNT] = {
	[MT_OPERATION_NONE] = "none",
	[MT_OPERATION_INSERT] = "insert",
	[MT_OPERATION_UPDATE] = "update",
	[MT_OPERATION_REPLACE] = "replace",
	[MT_OPERATION_DELETE] = "delete",
	[MT_OPERATION_DROP] = "drop",
	[MT_OPERATION_DROP_DATABASE] = "dropDatabase",
	[MT_OPERATION_RENAME] = "rename",
	[MT_OPERATION_CREATE] = "create",
	[MT_OPERATION_CREATE_INDEXES] = "createIndexes",
	[MT_OPERATION_START_INDEX_BUILD] = "startIndexBuild",
	[MT_OPERATION_ABORT_INDEX_BUILD] = "abortIndexBuild",
	[MT_OPERATION_DROP_INDEXES] = "dropIndexes",
	[MT_OPERATION_MODIFY] = "modify",
	[MT_OPERATION_EMPTY_CAPPED] = "emptyCapped",
	[MT_OPERATION_CONVERT_TO_CAPPED] = "convertToCapped",
	[MT_OPERATION_IMPORT_COLLECTION] = "importCollection",
	[MT_OPERATION_TRUNCATE_RANGE] = "truncateRange",
	[MT_OPERATION_UNKNOWN] = "unknown"
};

const char *
mt_operation_name(MtOperation operation)
{
	if ((unsigned) operation >= MT_OPERATION_COUNT)
		return operation_names[MT_OPERATION_UNKNOWN];
	return operation_names[operation];
}

MtOperation
mt_operation_from_name(const char *name)
{
	for (int i = MT_OPERATION_NONE + 1; i < MT_OPERATION_COUNT; i++)
		if (strcmp(operation_names[i], name) == 0)
			return (MtOperation) i;
	return MT_OPERATION_NONE;
}
