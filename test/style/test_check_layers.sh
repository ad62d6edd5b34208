#!/usr/bin/env bash
# test_check_layers.sh: every kind of rule of check_layers.sh fails when broken.
set -euo pipefail
check=$(cd "$(dirname "$0")" && pwd)/check_layers.sh
house=$(mktemp -d)
trap 'rm -rf "$house"' EXIT
failed=0

fresh() {
	rm -rf "${house:?}"/*
	mkdir -p "$house"/{oplog,mongo,ring,convert,base,condition,worker,apply,fdw,func}
	local f
	for f in oplog/entry.h mongo/cursor.h mongo/mongo_private.h ring/ring.h ring/ring_shmem.c base/remote.h \
		worker/tailer.h fdw/scan.h func/f.c compat.h guc.c; do
		echo '/* fine: palloc, mongoc_client_new, PG_VERSION_NUM */' > "$house/$f"
	done
}

# breaks FILE TEXT: a line that must be refused
breaks() {
	fresh
	printf '%b\n' "$2" >> "$house/$1"
	if bash "$check" "$house" > "$house.out"; then
		echo "not refused: $1: $2"
		failed=1
	fi
	rm -f "$house.out"
}

# keeps FILE TEXT: a line that must be accepted
keeps() {
	fresh
	printf '%b\n' "$2" >> "$house/$1"
	bash "$check" "$house" > /dev/null || { echo "refused: $1: $2"; failed=1; }
}

keeps func/f.c '#include "postgres.h"\n#include "utils/builtins.h"\n#include "worker/tailer.h"'
keeps ring/ring_shmem.c '#include "postgres.h"\nvoid *p = palloc(1);'
keeps mongo/cursor.h 'const char *s = "ereport(ERROR)"; // palloc'
breaks oplog/entry.h '#include "mongo/cursor.h"'
breaks mongo/cursor.h '#include "base/remote.h"'
breaks base/remote.h '#include "worker/tailer.h"'
breaks worker/tailer.h '#include "fdw/scan.h"'
breaks worker/tailer.h '#include "mongo/cursor.h"'
breaks base/remote.h '#include "mongo/mongo_private.h"'
breaks guc.c '#include "base/remote.h"'
breaks oplog/entry.h '#include "postgres.h"'
breaks oplog/entry.h '#include "utils/jsonb.h"'
breaks oplog/entry.h '#include "compat.h"'
breaks ring/ring.h '#include "storage/lwlock.h"'
breaks ring/ring.h '#include <bson/bson.h>'
breaks base/remote.h '#include <mongoc/mongoc.h>'
breaks base/remote.h 'void f(void) { mongoc_cleanup(); }'
breaks oplog/entry.h 'void *p; void f(void) { p = palloc(1); }'
breaks oplog/entry.h "char c = '\"'; Datum d;"
breaks mongo/cursor.h '/* a */ ereport(ERROR, errmsg("x"));'
breaks base/remote.h '#if PG_VERSION_NUM >= 160000\n#endif'
breaks base/remote.h '#include "utils/pg_locale.h"'
breaks mongo/cursor.h 'void g(void) { BSON_APPEND_ARRAY_BEGIN(a, "b", c); }'
breaks base/remote.h 'void g(void) { DefineCustomIntVariable(); }'
breaks base/remote.h 'void g(void) { RegisterDynamicBackgroundWorker(); }'
breaks func/f.c 'void g(void) { BackgroundWorkerInitializeConnection(); }'
[ $failed -eq 0 ] && echo "check_layers: its own tests passed"
exit $failed
