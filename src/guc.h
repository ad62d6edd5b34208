/*
 * guc.h
 *		The configuration parameters of mongo_tail, all defined in guc.c.
 */
#ifndef MT_GUC_H
#define MT_GUC_H

extern int	mt_guc_max_tails;	/* slots for tailers in shared memory */
extern int	mt_guc_ring_size_kb;	/* default size of a ring's data, kB */
extern int	mt_guc_position_store_ms;	/* how often a tailer stores its resume time */
extern bool mt_guc_enable_pushdown; /* send conditions to MongoDB */

extern void mt_guc_define(void);

#endif							/* MT_GUC_H */
