/*
 * place.h
 *		What a position that a user gives means on a server now.
 */
#ifndef MT_PLACE_H
#define MT_PLACE_H

#include "base/options.h"
#include "base/position.h"
#include "mongo/connection.h"

/*
 * The cluster time after which whoever begins at a position begins, by
 * MongoDB's own word and not the tailer's, who may be behind: for 'now', a
 * write that is acknowledged after this returned is later.  'oldest' is just
 * before the oplog's first entry.  Throws 55000 when the oplog no longer holds
 * the place, 22023 when it is later than anything there.
 */
extern uint64 mt_place_resolve(MtConnection *connection, const char *server,
							   const MtServerOptions *options, const MtPosition *after);

#endif							/* MT_PLACE_H */
