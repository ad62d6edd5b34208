/*
 * update_description.h
 *		Turn an update of the oplog into the updateDescription of change
 *		events: {updatedFields, removedFields, truncatedArrays} and, when a
 *		path could be read in two ways, disambiguatedPaths.
 *
 * Source: mongodb.com/docs/manual/reference/change-events/update, and the
 * server's change_stream_event_transform / document_diff_calculator.
 */
#ifndef MT_UPDATE_DESCRIPTION_H
#define MT_UPDATE_DESCRIPTION_H

#include "oplog/document_diff.h"

/* Append the updateDescription of a $v:2 docdiff to out, as a BSON document. */
extern MtDiffStatus mt_update_description_from_diff(MtSlice diff, MtByteBuffer *out);

/* The same of $v:1 modifiers. */
extern MtDiffStatus mt_update_description_from_modifiers(MtSlice modifiers, MtByteBuffer *out);

/*
 * Call visit with the first component of every path that the update touches
 * (names may repeat); false from visit stops.  Nothing is allocated.
 */
typedef bool (*MtVisitField) (void *context, MtSlice name);
extern MtDiffStatus mt_update_touched_fields(MtSlice update, bool is_diff_v2,
											 MtVisitField visit, void *context);

#endif							/* MT_UPDATE_DESCRIPTION_H */
