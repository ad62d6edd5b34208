/*
 * full_document.c
 *		The full documents of updates, looked up in batches.
 *
 * A window is what was looked up at once: the distinct keys (namespace and
 * _id) of the updates from one record of the queue on, in finds of at most
 * lookup_batch ids of one namespace, lookup_connections of them in flight.  It
 * serves every change of these keys up to the cluster time that its finds were
 * made after; a newer change, or another key, makes a new window.
 *
 * Memory.  Keys and documents of a window have a budget.  A document over it
 * ends the look-up, keys that are not known then are asked again when their
 * turn comes, in a window of half as many keys.  A single document always
 * fits, so that ends.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "base/change_record.h"
#include "base/full_document.h"
#include "base/remote.h"
#include "mongo/document_lookup.h"
#include "oplog/id_key.h"
#include "ring/ring.h"

#define WINDOW_KEYS			20000
#define FIRST_KEYS			64		/* who reads a few changes shall not look up many */
#define WINDOW_KEY_BYTES	(2 * 1024 * 1024)
#define DOCUMENT_BYTES		(12 * 1024 * 1024)
#define KEEP_BYTES			(4 * 1024 * 1024)

typedef enum KeyState
{
	KEY_UNKNOWN,
	KEY_FOUND,
	KEY_MISSING
} KeyState;

typedef struct Key
{
	size_t		offset;			/* in key_bytes: namespace, NUL, id */
	uint32		len;
	uint32		hash;
	KeyState	state;
	size_t		document_offset;	/* in documents */
	uint32		document_len;
	/* in the queue, good while the window is made */
	MtSlice		namespace;
	MtElement	id;
} Key;

struct MtFullDocuments
{
	MtDocumentLookup *lookup;
	pg_atomic_uint64 *lookups;
	bool		read_concern_local;
	uint32		batch;			/* ids a find */
	uint32		max_keys;		/* of a window */
	uint32		wanted_keys;	/* of the next window: half or twice the last one */

	/* the window */
	uint64		covers;			/* cluster time; 0: there is none */
	uint32		n_keys;
	Key		   *keys;
	uint32	   *table;			/* open addressing: index into keys + 1 */
	uint32		table_mask;
	MtByteBuffer key_bytes;
	MtByteBuffer documents;
	bool		over_budget;
	bool		out_of_memory;

	/* while it is made */
	Key		  **order;			/* by namespace */
	MtElement  *ids;			/* in that order */
	MtLookupRequest *requests;
};

static void
free_buffers(void *arg)
{
	MtFullDocuments *documents = arg;

	mt_document_lookup_free(documents->lookup);
	mt_byte_buffer_free(&documents->key_bytes);
	mt_byte_buffer_free(&documents->documents);
}

MtFullDocuments *
mt_full_documents_new(Oid serverid, Oid userid, const MtServerOptions *server,
					  pg_atomic_uint64 *lookups)
{
	MtFullDocuments *documents = palloc0(sizeof *documents);
	MemoryContextCallback *callback = palloc0(sizeof *callback);
	MtConnection *connections[MT_LOOKUP_MAX_CONNECTIONS];
	int			n_connections = Min(server->lookup_connections, MT_LOOKUP_MAX_CONNECTIONS);
	uint32		table_size = 64;

	documents->lookups = lookups;
	documents->read_concern_local = server->read_concern_local;
	documents->batch = server->lookup_batch;
	documents->max_keys = Min((uint32) server->lookup_batch * n_connections, WINDOW_KEYS);
	documents->wanted_keys = Min(documents->max_keys, FIRST_KEYS);
	while (table_size < documents->max_keys * 2)
		table_size *= 2;
	documents->table_mask = table_size - 1;
	documents->table = palloc0(sizeof(uint32) * table_size);
	documents->keys = palloc(sizeof(Key) * documents->max_keys);
	documents->order = palloc(sizeof(Key *) * documents->max_keys);
	documents->ids = palloc(sizeof(MtElement) * documents->max_keys);
	documents->requests = palloc(sizeof(MtLookupRequest) * documents->max_keys);
	for (int i = 0; i < n_connections; i++)
		connections[i] = mt_remote_open(serverid, userid, CurrentMemoryContext);
	callback->func = free_buffers;
	callback->arg = documents;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	documents->lookup = mt_document_lookup_new(connections, n_connections);
	if (documents->lookup == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	return documents;
}

static bool
out_of_memory(MtMongoError *error)
{
	memset(error, 0, sizeof *error);
	strlcpy(error->message, "out of memory while looking up full documents", sizeof error->message);
	return false;
}

/* ---- keys ---- */

/*
 * Append the bytes of a key, of len, to key_bytes, whose length stays as it
 * is.  MALFORMED is for an id that is none.
 */
static MtIdKeyStatus
write_key(MtFullDocuments *documents, MtSlice namespace, const MtElement *id, uint32 *len)
{
	MtByteBuffer *bytes = &documents->key_bytes;
	size_t		start = bytes->len;
	MtIdKeyStatus status = MT_ID_KEY_OUT_OF_MEMORY;

	if (mt_byte_buffer_append(bytes, namespace.data, namespace.len) &&
		mt_byte_buffer_append(bytes, "", 1))
		status = mt_id_key_append(bytes, id);
	*len = (uint32) (bytes->len - start);
	bytes->len = start;
	return status;
}

/* Where the key just written stands in the table, or could. */
static uint32 *
table_entry(MtFullDocuments *documents, uint32 len, uint32 hash)
{
	const uint8 *bytes = documents->key_bytes.data + documents->key_bytes.len;

	for (uint32 i = hash & documents->table_mask;; i = (i + 1) & documents->table_mask)
	{
		uint32	   *entry = &documents->table[i];
		const Key  *key = &documents->keys[*entry - 1];

		if (*entry == 0 ||
			(key->hash == hash && key->len == len &&
			 memcmp(documents->key_bytes.data + key->offset, bytes, len) == 0))
			return entry;
	}
}

static uint32
hash_key(const MtFullDocuments *documents, uint32 len)
{
	return hash_bytes(documents->key_bytes.data + documents->key_bytes.len, (int) len);
}

/* The window's key of a namespace and id, in *found; NULL when it has none. */
static MtIdKeyStatus
find_key(MtFullDocuments *documents, MtSlice namespace, const MtElement *id, Key **found)
{
	uint32		len;
	MtIdKeyStatus status = write_key(documents, namespace, id, &len);
	uint32		entry = 0;

	if (status == MT_ID_KEY_OK)
		entry = *table_entry(documents, len, hash_key(documents, len));
	*found = entry != 0 ? &documents->keys[entry - 1] : NULL;
	return status;
}

typedef enum AddResult
{
	KEY_ADDED,					/* or there already, or not to be looked up */
	KEY_HAS_NO_ROOM,
	KEY_OUT_OF_MEMORY
} AddResult;

/* Is this a change whose document is looked up?  Then *id is its id. */
static bool
wants_document(const MtChange *change, MtElement *id)
{
	return change->operation == MT_OPERATION_UPDATE &&
		mt_bson_find(change->document_key, "_id", 3, id) == MT_WALK_ELEMENT;
}

static AddResult
add_key(MtFullDocuments *documents, const MtChange *change, const MtElement *id)
{
	uint32		len;
	uint32		hash;
	uint32	   *entry;
	Key		   *key;

	switch (write_key(documents, change->namespace, id, &len))
	{
		case MT_ID_KEY_OK:
			break;
		case MT_ID_KEY_MALFORMED:
			return KEY_ADDED;
		case MT_ID_KEY_OUT_OF_MEMORY:
			return KEY_OUT_OF_MEMORY;
	}
	hash = hash_key(documents, len);
	entry = table_entry(documents, len, hash);
	if (*entry != 0)
		return KEY_ADDED;
	if (documents->n_keys > 0 &&
		(documents->n_keys >= documents->wanted_keys ||
		 documents->key_bytes.len + len > WINDOW_KEY_BYTES))
		return KEY_HAS_NO_ROOM;
	key = &documents->keys[documents->n_keys++];
	memset(key, 0, sizeof *key);
	key->offset = documents->key_bytes.len;
	key->len = len;
	key->hash = hash;
	key->state = KEY_UNKNOWN;
	key->namespace = change->namespace;
	key->id = *id;
	documents->key_bytes.len += len;
	*entry = documents->n_keys;
	return KEY_ADDED;
}

/* ---- making a window ---- */

static void
forget_window(MtFullDocuments *documents)
{
	documents->covers = 0;
	documents->n_keys = 0;
	documents->key_bytes.len = 0;
	documents->documents.len = 0;
	documents->over_budget = false;
	documents->out_of_memory = false;
	memset(documents->table, 0, sizeof(uint32) * (documents->table_mask + 1));
}

/*
 * The keys of the updates from offset of the queue on.  *after becomes the
 * cluster time of the last of them.
 */
static bool
collect_keys(MtFullDocuments *documents, const MtByteBuffer *queue, size_t offset, uint64 *after)
{
	MtRingHeader header;

	for (; offset < queue->len; offset += header.length)
	{
		const uint8 *record = queue->data + offset;
		MtChange	change;
		MtElement	id;

		memcpy(&header, record, sizeof header);
		if (header.operation != MT_OPERATION_UPDATE)
			continue;
		mt_change_record_read(record, &change);
		if (!wants_document(&change, &id))
			continue;
		switch (add_key(documents, &change, &id))
		{
			case KEY_ADDED:
				break;
			case KEY_HAS_NO_ROOM:
				return true;
			case KEY_OUT_OF_MEMORY:
				return false;
		}
		*after = change.cluster_time;
	}
	return true;
}

static int
compare_namespaces(const Key *a, const Key *b)
{
	int			order = memcmp(a->namespace.data, b->namespace.data,
							   Min(a->namespace.len, b->namespace.len));

	return order != 0 ? order : (int) a->namespace.len - (int) b->namespace.len;
}

/* qsort comparator: by namespace, then in order of the queue. */
static int
compare_keys(const void *a, const void *b)
{
	const Key  *x = *(Key *const *) a;
	const Key  *y = *(Key *const *) b;
	int			order = compare_namespaces(x, y);

	return order != 0 ? order : x < y ? -1 : x > y;
}

/* Cut the window's keys into requests; returns how many. */
static uint32
make_requests(MtFullDocuments *documents)
{
	uint32		n_requests = 0;

	for (uint32 i = 0; i < documents->n_keys; i++)
		documents->order[i] = &documents->keys[i];
	qsort(documents->order, documents->n_keys, sizeof(Key *), compare_keys);
	for (uint32 i = 0; i < documents->n_keys; i++)
	{
		const Key  *key = documents->order[i];
		MtLookupRequest *request = n_requests > 0 ? &documents->requests[n_requests - 1] : NULL;

		if (request == NULL || request->n_ids >= documents->batch ||
			compare_namespaces(documents->order[i - 1], key) != 0)
		{
			request = &documents->requests[n_requests++];
			memset(request, 0, sizeof *request);
			request->namespace = key->namespace;
			request->ids = &documents->ids[i];
		}
		documents->ids[i] = key->id;
		request->n_ids++;
	}
	return n_requests;
}

/* MtLookupOptions.take */
static bool
take_document(void *context, const MtLookupRequest *request, MtSlice document)
{
	MtFullDocuments *documents = context;
	MtByteBuffer *buffer = &documents->documents;
	MtElement	id;
	Key		   *key;

	if (mt_bson_find(document, "_id", 3, &id) != MT_WALK_ELEMENT)
		return true;
	if (find_key(documents, request->namespace, &id, &key) == MT_ID_KEY_OUT_OF_MEMORY)
	{
		documents->out_of_memory = true;
		return false;
	}
	/* A collation finds more than what was asked for. */
	if (key == NULL || key->state != KEY_UNKNOWN)
		return true;
	if (buffer->len > 0 && buffer->len + document.len > DOCUMENT_BYTES)
	{
		documents->over_budget = true;
		return false;
	}
	key->document_offset = buffer->len;
	key->document_len = document.len;
	if (!mt_byte_buffer_append(buffer, document.data, document.len))
	{
		documents->out_of_memory = true;
		return false;
	}
	key->state = KEY_FOUND;
	return true;
}

/* What a request that is complete did not find is not there. */
static void
mark_missing(MtFullDocuments *documents, uint32 n_requests)
{
	for (uint32 i = 0; i < n_requests; i++)
	{
		const MtLookupRequest *request = &documents->requests[i];
		size_t		first = request->ids - documents->ids;

		for (size_t j = first; request->complete && j < first + request->n_ids; j++)
			if (documents->order[j]->state == KEY_UNKNOWN)
				documents->order[j]->state = KEY_MISSING;
	}
}

/* A new window, from the record at offset of the queue on. */
static bool
look_up(MtFullDocuments *documents, const MtByteBuffer *queue, size_t offset, MtMongoError *error)
{
	MtLookupOptions options;
	uint32		n_requests;

	forget_window(documents);
	memset(&options, 0, sizeof options);
	options.read_concern_local = documents->read_concern_local;
	options.context = documents;
	options.take = take_document;
	if (!collect_keys(documents, queue, offset, &options.after_cluster_time))
		return out_of_memory(error);
	n_requests = make_requests(documents);
	if (!mt_document_lookup_run(documents->lookup, &options, documents->requests, n_requests, error))
		return false;
	if (documents->out_of_memory)
		return out_of_memory(error);
	mark_missing(documents, n_requests);
	if (documents->lookups != NULL)
		pg_atomic_fetch_add_u64(documents->lookups, documents->n_keys);
	if (documents->over_budget)
		documents->wanted_keys = Max(documents->n_keys / 2, 1);
	else if (documents->documents.len < DOCUMENT_BYTES / 4)
		documents->wanted_keys = Min(documents->wanted_keys * 2, documents->max_keys);
	documents->covers = options.after_cluster_time;
	return true;
}

bool
mt_full_documents_fill(MtFullDocuments *documents, const MtByteBuffer *queue, size_t offset,
					   MtChange *change, MtMongoError *error)
{
	MtElement	id;
	Key		   *key;
	MtIdKeyStatus status;

	if (!wants_document(change, &id))
		return true;
	for (;;)
	{
		status = find_key(documents, change->namespace, &id, &key);
		if (status == MT_ID_KEY_MALFORMED)
			return true;		/* nothing that could be asked for */
		if (status != MT_ID_KEY_OK)
			return out_of_memory(error);
		if (key != NULL && key->state != KEY_UNKNOWN && change->cluster_time <= documents->covers)
			break;
		if (!look_up(documents, queue, offset, error))
			return false;
	}
	change->flags |= MT_CHANGE_LOOKED_UP;
	if (key->state == KEY_FOUND)
	{
		change->full_document.data = documents->documents.data + key->document_offset;
		change->full_document.len = key->document_len;
	}
	return true;
}

void
mt_full_documents_shrink(MtFullDocuments *documents)
{
	mt_document_lookup_shrink(documents->lookup);
	if (documents->documents.capacity <= KEEP_BYTES && documents->key_bytes.capacity <= KEEP_BYTES)
		return;
	forget_window(documents);
	mt_byte_buffer_free(&documents->documents);
	mt_byte_buffer_free(&documents->key_bytes);
}
