#!/bin/sh
# vectors_fail.sh RUN_VECTORS: does it say no?  A vector that does not hold is named by file and line, and
# that, a file of no format, an empty one and one that is not there are each an exit status of 1.
set -u
run_vectors=$1
vectors=$(cd "$(dirname "$0")/vectors" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# refused NAME WHAT: the file must fail, with that in what is printed
refused() {
	"$run_vectors" "$work/$1" > "$work/out" 2>&1
	status=$?
	if [ $status -ne 1 ] || ! grep -qF "$2" "$work/out"; then
		echo "$1: exit status $status, without '$2':"
		sed 's/^/    /' "$work/out"
		failed=1
	fi
}

# The third of five lines has the post of its neighbour.
for name in v2diff:post_bson_b64 v2diff_random:post own_v1:post own_update_description:update_description; do
	key=${name#*:} file=${name%%:*}.jsonl
	other=$(sed -n "4s/.*\(\"$key\": *\"[^\"]*\"\).*/\1/p" "$vectors/$file")
	head -n 5 "$vectors/$file" | sed "3s|\"$key\": *\"[^\"]*\"|$other|" > "$work/$file"
	refused "$file" "$file:3: "
	refused "$file" "4 passed, 1 failed"
done
# An owner who is not the key's; which of two rings a file is of, its other lines say.
head -n 40 "$vectors/consistent_hash_v1.tsv" | awk -F '\t' -v OFS='\t' 'NR == 3 { $3 = "Tom" } 1' > "$work/consistent_hash_v1.tsv"
refused consistent_hash_v1.tsv "consistent_hash_v1.tsv:3: "
# A line whose base64 is none.
head -n 2 "$vectors/v2diff_random.jsonl" | sed '2s/"diff": *"/&!/' > "$work/base64.jsonl"
refused base64.jsonl "base64.jsonl:2: "
echo '{"before": "AA==", "after": "AA=="}' > "$work/format.jsonl"
refused format.jsonl "1 failed"
: > "$work/empty.jsonl"
refused empty.jsonl "empty file"
refused absent.jsonl "1 failed"
[ $failed -eq 0 ] && echo "run_vectors refuses what it should"
exit $failed
