/*
 * slot_catalog.h
 *		The table mongo_tail.slot, as a C struct.
 *
 * A slot is a row: the position of one consumer of one server's changes.  Who
 * moves it holds the row's lock until the transaction ends, so that the move
 * commits or rolls back with what the consumer made of the changes.  Nobody
 * ever waits for that lock: a second one is told at once.
 */
#ifndef MT_SLOT_CATALOG_H
#define MT_SLOT_CATALOG_H

#include "datatype/timestamp.h"

#include "base/position.h"

typedef struct MtSlot
{
	NameData	slot;
	NameData	server;
	Oid			serverid;
	Oid			owner;
	char	  **namespaces;		/* NULL: all of the tail's */
	int			n_namespaces;
	MtPosition	position;		/* everything up to here has been consumed */
	char	  **shards;			/* names of those that the position is a place in */
	int			n_shards;
	TimestampTz advanced_at;
	bool		adopted;		/* belongs to this cluster, database and server */
} MtSlot;

/*
 * Load a slot for the current user, in the current memory context.  ERROR
 * 42704 when there is none, 42501 when the user is neither its owner, a member
 * of that role, nor a superuser.
 */
extern MtSlot *mt_slot_catalog_load(const char *slot);

/*
 * The same, and lock it until the transaction ends.  Sees what this command
 * has made of it.  ERROR 55006 when another transaction uses it.
 */
extern MtSlot *mt_slot_catalog_lock(const char *slot);

/* A new slot of this cluster and database; ERROR 42710 when the name is taken. */
extern void mt_slot_catalog_insert(const MtSlot *slot);

/* These are for who has locked the slot. */
extern void mt_slot_catalog_delete(const char *slot);
extern void mt_slot_catalog_adopt(const char *slot, Oid serverid);
/* wall_time: of the last change consumed; NULL keeps what is there. */
extern void mt_slot_catalog_advance(const char *slot, const MtPosition *position,
									const TimestampTz *wall_time);

#endif							/* MT_SLOT_CATALOG_H */
