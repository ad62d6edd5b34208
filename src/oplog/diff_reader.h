/*
 * diff_reader.h
 *		Read the grammar of $v:2 diffs, one item at a time.
 *
 *	docdiff := { ["d": {f: false, ...}] ["u": {f: value, ...}]
 *				 ["i": {f: value, ...}] ["b": {f: {o: int, d: binary}, ...}]
 *				 ("s" f: docdiff | arrdiff)* }
 *	arrdiff := { "a": true ["l": int32]
 *				 ("u" index: value | "s" index: docdiff | arrdiff)* }
 *
 * Sections stand in this order, indexes grow, no diff is empty.  A sub-diff is
 * an arrdiff when its first field is "a"; no docdiff can begin so.  After the
 * "s" everything is the field's name, which may be empty, numeric or hold dots.
 * The readers check this and the types, and look no deeper: whoever descends
 * reads the sub-diff with a reader of its own.  That no field occurs twice is
 * left to who keeps the fields (document_diff.c).
 */
#ifndef MT_DIFF_READER_H
#define MT_DIFF_READER_H

#include "oplog/bson_walk.h"

typedef enum MtDiffKind
{
	MT_DIFF_DELETE,				/* d: element is not to be read */
	MT_DIFF_UPDATE,				/* u */
	MT_DIFF_INSERT,				/* i */
	MT_DIFF_BINARY,				/* b */
	MT_DIFF_SUB_DOCUMENT,		/* s with a docdiff, which is the element's value */
	MT_DIFF_SUB_ARRAY			/* s with an arrdiff, which is the element's value */
} MtDiffKind;

typedef struct MtDiffItem
{
	MtDiffKind	kind;
	uint32_t	index;			/* arrdiff: the array index */
	MtSlice		name;			/* docdiff: the field's name */
	MtElement	element;		/* as it stands in the diff; only type and value count */
} MtDiffItem;

typedef struct MtDocumentDiffReader
{
	MtWalk		diff;
	MtWalk		section;
	const char *sections_left;	/* of "duib" */
	MtDiffKind	kind;			/* of the section */
	bool		in_section;
	bool		in_sub_diffs;
} MtDocumentDiffReader;

typedef struct MtArrayDiffReader
{
	MtWalk		diff;
	bool		has_length;
	bool		has_previous;
	uint32_t	length;			/* of the array afterwards, if has_length */
	uint32_t	previous;		/* index of the item before */
} MtArrayDiffReader;

/* False when it is no docdiff; every MT_WALK_CORRUPT means the same. */
extern bool mt_document_diff_begin(MtDocumentDiffReader *reader, MtSlice diff);
extern MtWalkResult mt_document_diff_next(MtDocumentDiffReader *reader, MtDiffItem *item);

extern bool mt_array_diff_begin(MtArrayDiffReader *reader, MtSlice diff);
extern MtWalkResult mt_array_diff_next(MtArrayDiffReader *reader, MtDiffItem *item);

/* Offset and data of an MT_DIFF_BINARY item; false when it is malformed.  data
 * is the binary's value with its length word and subtype. */
extern bool mt_diff_binary(const MtDiffItem *item, uint64_t *offset, MtSlice *data);

#endif							/* MT_DIFF_READER_H */
