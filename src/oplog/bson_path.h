/*
 * bson_path.h
 *		Dotted paths of $v:1 modifiers and of updateDescription.
 *
 * "a.0.b" names the component "b" of the component "0" of the field "a".  The
 * text alone does not say whether "0" is a field or an array's element: in
 * $v:1 the parent's type decides, in an updateDescription a reader may need
 * disambiguatedPaths.
 *
 * Two notions of a number occur.  An array index as MongoDB writes it has no
 * leading zero and fits 31 bits; a path component of $v:1 may have leading
 * zeros ("01" is element 1 of an array, seen on 6.0.5).
 */
#ifndef MT_BSON_PATH_H
#define MT_BSON_PATH_H

#include "oplog/bson_walk.h"

/* Bytes that hold any array index as text, with its NUL. */
#define MT_INDEX_TEXT_BYTES 11

/*
 * The component of path that begins at offset, up to the next dot or the end.
 * The next one, if any, begins at offset + its length + 1.
 */
extern MtSlice mt_path_component(MtSlice path, uint32_t offset);

/*
 * The element that a path of fields leads to, through documents only; false:
 * there is none, or the document is damaged.
 */
extern bool mt_path_find(MtSlice document, MtSlice path, MtElement *element);

/* Does the path have no component that is empty? */
extern bool mt_path_is_valid(MtSlice path);

/*
 * Order two paths as $v:1 adds new fields: component by component, digits by
 * their value, all else by bytes.  A path sorts before what lies below it.
 */
extern int	mt_path_compare(MtSlice a, MtSlice b);

/* The same of two components. */
extern int	mt_path_compare_component(MtSlice a, MtSlice b);

/* The array index that a component of decimal digits stands for; false when it
 * is none or over INT32_MAX. */
extern bool mt_path_index(MtSlice component, uint32_t *index);

/* Digits only and no leading zero: could the component be an array index? */
extern bool mt_path_looks_like_index(MtSlice component);

/* The decimal text of an index, and its length. */
extern uint32_t mt_index_text(uint32_t index, char text[MT_INDEX_TEXT_BYTES]);

#endif							/* MT_BSON_PATH_H */
