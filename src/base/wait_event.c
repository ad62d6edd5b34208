/*
 * wait_event.c
 *		What processes of mongo_tail wait for.
 */
#include "postgres.h"

#include "utils/wait_event.h"

#include "base/wait_event.h"
#include "compat.h"

static const char *const names[MT_WAIT_EVENTS] = {
	[MT_WAIT_LAUNCHER_MAIN] = "MongoTailLauncherMain",
	[MT_WAIT_LAUNCHER_SCAN] = "MongoTailLauncherScan",
	[MT_WAIT_TAILER_IDLE] = "MongoTailTailerIdle",
	[MT_WAIT_MONGODB] = "MongoTailMongoDB",
	[MT_WAIT_CHANGES] = "MongoTailChanges",
	[MT_WAIT_RING] = "MongoTailRing",
	[MT_WAIT_HOLD] = "MongoTailHold"
};

static uint32 numbers[MT_WAIT_EVENTS];

uint32
mt_wait_event(MtWaitEvent event)
{
	if (numbers[event] == 0)
		numbers[event] = mt_compat_wait_event_new(names[event]);
	return numbers[event];
}
