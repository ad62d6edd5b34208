#!/usr/bin/env bash
# check_layers.sh [SRC]: the rooms of the house, as a rule that can fail.
#
# Three kinds of rule, each a table below:
#   sees      which rooms' headers a room may include
#   outside   which headers of PostgreSQL and of libraries a room may include
#   words     which identifiers stand in one place only, or never on floor 0
# Comments and string literals do not count.  test/style/test_check_layers.sh
# shows that each kind of rule fails when it is broken.
set -euo pipefail
cd "${1:-$(dirname "$0")/../../src}"
found=$(mktemp)
trap 'rm -f "$found"' EXIT

rooms='oplog mongo ring convert base condition worker apply fdw func'
declare -A sees=(
	[oplog]='oplog'
	[mongo]='mongo oplog'
	[ring]='ring'
	[convert]='convert oplog'
	[base]='base convert ring mongo oplog'
	[condition]='condition base convert oplog'
	[worker]='worker base ring oplog'
	[apply]='apply base convert ring oplog'
	[fdw]='fdw condition base convert ring oplog'
	[func]='func fdw apply worker base convert ring oplog'
)
# ring_shmem is the ring's one file that knows PostgreSQL.
pure='^(oplog/|mongo/|ring/ring\.[ch]$|ring/ring_port\.h$)'
backend_header='^(postgres|postgres_ext|postgres_fe|c|fmgr|miscadmin|pgstat|pgtime|funcapi|varatt|pg_config.*)\.h$'
backend_header+='|^(access|catalog|commands|common|datatype|executor|foreign|jit|lib|libpq|mb|nodes|optimizer|parser)/'
backend_header+='|^(partitioning|port|portability|postmaster|regex|replication|rewrite|statistics|storage)/'
backend_header+='|^(tcop|tsearch|utils)/'
backend_word='palloc0?|palloc_extended|repalloc|pfree|pstrdup|psprintf|MemoryContext[A-Za-z]*'
backend_word+='|ereport|elog|errmsg|errcode|PG_TRY|PG_CATCH|PG_RE_THROW|CHECK_FOR_INTERRUPTS'
backend_word+='|Datum|StringInfo|StringInfoData|WaitLatch[A-Za-z]*|LWLock[A-Za-z]*'

# A sed script that prints each #include's line number and then its header.
include='/^#[[:space:]]*include[[:space:]]*[<"]/{=;s/^#[[:space:]]*include[[:space:]]*[<"]([^">]*)[">].*/\1/p}'

# without_comments FILE: same line numbers, but neither comments nor strings
without_comments() {
	awk '
	{
		out = ""
		for (i = 1; i <= length($0); i++) {
			c = substr($0, i, 1); two = substr($0, i, 2)
			if (comment) { if (two == "*/") { comment = 0; i++ } continue }
			if (quote != "") {
				if (c == "\\") i++
				else if (c == quote) { quote = ""; out = out c }
				continue
			}
			if (two == "/*") { comment = 1; i++; out = out " "; continue }
			if (two == "//") break
			if (c == "\"" || c == "\x27") quote = c
			out = out c
		}
		quote = ""
		print out
	}' "$1"
}

complain() { echo "$1" >> "$found"; }

# forbid FILE CODE REGEX REASON: every line of CODE with a whole word of REGEX
forbid() {
	grep -nwE "$3" <<< "$2" | while IFS=: read -r line text; do
		complain "$1:$line: $4:${text}"
	done || true
}

check_include() {
	local file=$1 line=$2 header=$3 room=${1%%/*} top=${3%%/*}
	[[ $file == */* ]] || room=stairs
	if [[ $header == */* && " $rooms " == *" $top "* && -e $header ]]; then
		if [ "$room" = stairs ]; then
			[ "$file" = mongo_tail.c ] || complain "$file:$line: the stairs include no room, but \"$header\""
		elif [[ " ${sees[$room]:-} " != *" $top "* ]]; then
			complain "$file:$line: $room/ must not see \"$header\""
		fi
		if [[ $header == *_private.h && $top != "$room" ]]; then
			complain "$file:$line: \"$header\" is private to $top/"
		fi
	elif [[ ( $header == guc.h || $header == compat.h ) && $file =~ $pure ]]; then
		complain "$file:$line: floor 0 and the ring must not see the stairs' \"$header\""
	elif [[ $header != */* && $room != stairs && -e $room/$header ]]; then
		complain "$file:$line: write \"$room/$header\""
	fi
	if [[ $file =~ $pure && $header =~ $backend_header && ! -e $header ]]; then
		complain "$file:$line: must compile without PostgreSQL, but includes $header"
	fi
	case $header in
		mongoc/* | mongoc.h)
			[[ $file =~ ^mongo/[a-z0-9_]+\.c$ || $file == mongo/mongo_private.h ]] ||
				complain "$file:$line: the driver's $header belongs only in mongo/" ;;
		utils/pg_locale.h)
			complain "$file:$line: $header needs ICU's headers, which no package of the server brings" ;;
		bson/* | bson.h)
			[[ $room != ring ]] || complain "$file:$line: the ring knows no BSON, but includes $header" ;;
	esac
}

for file in $(find . -name '*.[ch]' -printf '%P\n' | LC_ALL=C sort); do
	room=${file%%/*}
	if [[ $file == */* && " $rooms " != *" $room "* ]]; then
		complain "$file: $room/ is no room of the house"
	fi
	while IFS=: read -r line header; do
		[ -z "$line" ] || check_include "$file" "$line" "$header"
	done < <(sed -nE "$include" "$file" | paste -d: - -)

	code=$(without_comments "$file")
	[[ ! $file =~ $pure ]] || forbid "$file" "$code" "$backend_word" "a backend's word on floor 0"
	[ "$file" = compat.h ] ||
		forbid "$file" "$code" 'PG_VERSION_NUM|PG_MAJORVERSION_NUM' 'the version is asked for only in compat.h'
	[ "$file" = guc.c ] ||
		forbid "$file" "$code" 'DefineCustom[A-Z][a-z]*Variable' 'settings are defined only in guc.c'
	[[ $room == worker ]] ||
		forbid "$file" "$code" 'Register(Dynamic)?BackgroundWorker' 'workers are registered only in worker/'
	[[ $room == worker || $room == apply ]] ||
		forbid "$file" "$code" 'BackgroundWorkerInitializeConnection(ByOid)?' \
			'workers connect only in worker/ and apply/'
	[[ $room == mongo ]] || forbid "$file" "$code" 'mongoc_[a-z0-9_]*' 'the driver is called only in mongo/'
	[[ $room != ring ]] || forbid "$file" "$code" 'bson_[a-z0-9_]*' 'the ring knows no BSON'
	forbid "$file" "$code" 'bson_append_array_begin|BSON_APPEND_ARRAY_BEGIN' 'a warning since libbson 2'
done

if [ -s "$found" ]; then
	cat "$found"
	echo "layers: $(wc -l < "$found") violations"
	exit 1
fi
echo "layers: $(find . -name '*.[ch]' | wc -l) files, every include and word in its place"
