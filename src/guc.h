/*
 * guc.h
 *		The configuration parameters of mongo_tail, all defined in guc.c.
 */
#ifndef MT_GUC_H
#define MT_GUC_H

extern int	mt_guc_max_tails;	/* slots for tailers in shared memory */
extern int	mt_guc_ring_size_kb;	/* default size of a ring's data, kB */
extern int	mt_guc_position_store_ms;	/* how often a tailer stores its resume time */
extern bool mt_guc_enable_pushdown; /* leave anything to MongoDB: off switches all of these off */
extern bool mt_guc_enable_filter;
extern bool mt_guc_enable_sort;
extern bool mt_guc_enable_limit;
extern bool mt_guc_enable_aggregate;
extern bool mt_guc_enable_join;
extern bool mt_guc_enable_projection;
extern bool mt_guc_enable_parallel;
extern bool mt_guc_exact_filters;	/* for tests: the exact form of conditions wherever there is one */

/* What reads share a time, whatever the options say. */
typedef enum MtGucConsistency
{
	MT_GUC_CONSISTENCY_OPTIONS, /* as the options say */
	MT_GUC_CONSISTENCY_CURSOR,
	MT_GUC_CONSISTENCY_STATEMENT,
	MT_GUC_CONSISTENCY_TRANSACTION
} MtGucConsistency;
extern int	mt_guc_read_consistency;	/* a MtGucConsistency */

extern void mt_guc_define(void);

#endif							/* MT_GUC_H */
