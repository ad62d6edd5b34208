#!/bin/sh
# exports.sh FILE.c...: the linker's version script that lets out only what
# PostgreSQL looks up by name.
set -eu
echo '{'
echo '  global:'
echo '    _PG_init;'
echo '    Pg_magic_func;'
sed -n \
	-e 's/^PG_FUNCTION_INFO_V1(\([A-Za-z0-9_]*\)).*/    \1;\n    pg_finfo_\1;/p' \
	-e 's/^\(extern \)\{0,1\}PGDLLEXPORT .*[ *]\([A-Za-z0-9_]*\)(.*/    \2;/p' \
	"$@" | sort -u
echo '  local:'
echo '    *;'
echo '};'
