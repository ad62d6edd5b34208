/*
 * document_lookup.h
 *		Find documents by their _ids, several finds in flight.
 *
 * One find a connection is on its way at a time, so several connections keep
 * the server busy while one reply is taken in, without a thread.
 */
#ifndef MT_DOCUMENT_LOOKUP_H
#define MT_DOCUMENT_LOOKUP_H

#include "mongo/connection.h"

#define MT_LOOKUP_MAX_CONNECTIONS 16

typedef struct MtDocumentLookup MtDocumentLookup;

/*
 * The connections, at most MT_LOOKUP_MAX_CONNECTIONS, stay the caller's and
 * must be used for nothing else meanwhile.  Each connects when it is first
 * needed.  NULL when out of memory.
 */
extern MtDocumentLookup *mt_document_lookup_new(MtConnection *const *connections, int n_connections);
extern void mt_document_lookup_free(MtDocumentLookup *lookup);

/* Documents of one collection. */
typedef struct MtLookupRequest
{
	MtSlice		namespace;		/* "db.coll" */
	const MtElement *ids;		/* their names are not looked at */
	uint32_t	n_ids;
	bool		complete;		/* set: every document there is was handed out */
} MtLookupRequest;

typedef struct MtLookupOptions
{
	uint64_t	after_cluster_time;	/* what was written up to then is seen */
	bool		read_concern_local;	/* default is majority */
	void	   *context;
	/*
	 * Take a document, valid during the call; false: no more, of any request.
	 * Documents come in any order, each at most once a request.
	 */
	bool		(*take) (void *context, const MtLookupRequest *request, MtSlice document);
} MtLookupOptions;

/*
 * Run the requests.  True when all are complete or take said no more; after an
 * error it may be run again, with nothing kept.
 */
extern bool mt_document_lookup_run(MtDocumentLookup *lookup, const MtLookupOptions *options,
								   MtLookupRequest *requests, uint32_t n_requests,
								   MtMongoError *error);

/* Give back what large replies have left behind. */
extern void mt_document_lookup_shrink(MtDocumentLookup *lookup);

#endif							/* MT_DOCUMENT_LOOKUP_H */
