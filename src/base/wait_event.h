/*
 * wait_event.h
 *		What processes of mongo_tail wait for, as pg_stat_activity shows it.
 *
 * PostgreSQL names an extension's own wait events since 17; before, all are
 * "Extension".
 */
#ifndef MT_WAIT_EVENT_H
#define MT_WAIT_EVENT_H

typedef enum MtWaitEvent
{
	MT_WAIT_LAUNCHER_MAIN,		/* the launcher, until something is asked of it */
	MT_WAIT_LAUNCHER_SCAN,		/* the launcher, for the end of a scan */
	MT_WAIT_TAILER_IDLE,		/* a tailer that is paused, has failed or backs off */
	MT_WAIT_MONGODB,			/* anyone, for MongoDB's answer */
	MT_WAIT_CHANGES,			/* a reader, for news */
	MT_WAIT_RING,				/* a reader, for a ring that is on its way */
	MT_WAIT_HOLD,				/* DDL, for the workers of a database to end */
	MT_WAIT_EVENTS
} MtWaitEvent;

/*
 * The number that waits are reported by.  The first call for an event may
 * throw: whoever waits where nothing may be thrown calls it before.
 */
extern uint32 mt_wait_event(MtWaitEvent event);

#endif							/* MT_WAIT_EVENT_H */
