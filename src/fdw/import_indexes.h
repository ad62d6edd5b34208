/*
 * import_indexes.h
 *		Fields of a collection that only its indexes show.
 */
#ifndef MT_IMPORT_INDEXES_H
#define MT_IMPORT_INDEXES_H

#include "postgres.h"

#include "base/collection_metadata.h"
#include "fdw/collection_census.h"

/*
 * Add to the census the fields that an index names and that it has not seen,
 * with the values of at most sample_size documents that the index finds.
 * flatten: also fields of sub-documents that become columns.
 */
extern void mt_import_indexes(MtMetadata *metadata, const char *database, const char *collection,
							  int sample_size, bool flatten, MtCensus *census);

#endif							/* MT_IMPORT_INDEXES_H */
