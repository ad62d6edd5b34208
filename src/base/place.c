/*
 * place.c
 *		What a position that a user gives means on a server now.
 */
#include "postgres.h"

#include "base/place.h"
#include "base/remote.h"
#include "mongo/oplog_cursor.h"
#include "oplog/oplog_entry.h"

uint64
mt_place_resolve(MtConnection *connection, const char *server, const MtServerOptions *options,
				 const MtPosition *after)
{
	uint64		point;
	uint64		oldest = 0;
	uint64		wanted;
	MtMongoError error;
	MtByteBuffer entry = {NULL, 0, 0};
	MtSlice		first;
	bool		is_complete = false;

	if (!mt_oplog_majority_point(connection, &point, &error))
		mt_remote_error(&error, server, "find the place in the oplog");
	if (mt_position_is_now(after))
		return point;
	if (mt_oplog_first(connection, options->oplog_database, options->oplog_collection,
					   &entry, &error) == MT_OPLOG_LOOKUP_ERROR)
		mt_remote_error(&error, server, "read the oplog");
	first.data = entry.data;
	first.len = (uint32) entry.len;
	if (entry.len > 0)
	{
		oldest = mt_oplog_entry_ts(first);
		is_complete = mt_oplog_entry_is_initial(first);
	}
	mt_byte_buffer_free(&entry);

	/* 'oldest' begins with the first entry itself. */
	if (mt_position_is_oldest(after))
		return oldest > 0 ? oldest - 1 : 0;
	wanted = mt_position_cluster_time(after);
	if (wanted + 1 < oldest && !is_complete)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the oplog of server \"%s\" no longer holds %u.%u", server,
						(uint32) (wanted >> 32), (uint32) wanted),
				 errdetail("Its oldest entry is %u.%u.", (uint32) (oldest >> 32), (uint32) oldest),
				 errhint("Use 'oldest' to begin with that entry.")));
	if (wanted > point)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the position is later than anything on server \"%s\"", server),
				 errdetail("It stands at %u.%u.", (uint32) (point >> 32), (uint32) point),
				 errhint("Use 'now' to begin with what comes next.")));
	return wanted;
}
