/*
 * catalog.h
 *		SQL on the extension's own tables.
 *
 * The tables belong to the extension's owner; functions here switch to that
 * role, with a search_path of pg_catalog alone, for as long as they run SQL.
 */
#ifndef MT_CATALOG_H
#define MT_CATALOG_H

/* A stretch of SQL as the extension's owner; SPI is connected inside. */
typedef struct MtCatalogScope
{
	Oid			saved_user;
	int			saved_context;
	int			guc_nest_level;
} MtCatalogScope;

extern void mt_catalog_enter(MtCatalogScope *scope);
extern void mt_catalog_leave(MtCatalogScope *scope);

/*
 * Inside such a stretch: run one statement with arguments, and see that it
 * did what it is for (expected is SPI's code).  Unless read_only it sees what
 * this command has changed and what others have committed by now.
 */
extern void mt_catalog_run(const char *sql, int n, Oid *types, Datum *values, const char *nulls,
						   bool read_only, int expected);

/* A stretch of one statement, which may write; returns how many rows it found or changed. */
extern uint64 mt_catalog_execute(const char *sql, int n, Oid *types, Datum *values, const char *nulls, int expected);

/* Arguments of and values from such statements. */
extern Datum mt_catalog_name_datum(const char *name);
extern char **mt_catalog_text_array(Datum datum, int *n);
extern Datum mt_catalog_text_array_datum(char **texts, int n);

/*
 * Namespaces stand in tables in the database's encoding; in C they are UTF-8,
 * as MongoDB's are.
 */
extern char **mt_catalog_namespaces(Datum datum, int *n);
extern Datum mt_catalog_namespaces_datum(char **namespaces, int n);

/* The OID of table mongo_tail.<name>, InvalidOid when the extension is not
 * in this database. */
extern Oid	mt_catalog_relation(const char *name);

/* This cluster's system identifier. */
extern uint64 mt_catalog_system_identifier(void);

/*
 * Let the rows of this database's tails and slots follow their servers: those
 * of dropped ones go, those of renamed ones learn the name.
 */
extern void mt_catalog_follow_servers(void);

#endif							/* MT_CATALOG_H */
