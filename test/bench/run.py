"""run.py [ROW...]: measure mongo_tail against what it is compared with.

`make bench` calls it; ROW restricts it to some of: tail json hard latency
memory readers scan lookups group join scan_memory.  It prints one table, writes
that to test/bench/results.tsv and draws doc/benchmark.svg (neither when rows
were named).

Every value is the median of RUNS runs that alternate with runs of what it is
compared with, on the same servers and data.  No value makes it fail: the table
says "short".  BENCH_EVENTS (700000) shrinks the data, BENCH_RUNS (5) the runs.

How each row is measured stands at its function in rows.py (the oplog) or
reads.py (collections).  Two things hold for all: a comparison in C has malloc's
thresholds raised (bench_mongo.c), and CPU seconds are those of the process
alone (/proc/PID/schedstat), not of MongoDB.
"""

import os
import pathlib
import sys
import tempfile
import shutil

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))

import reads  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402
from bench_lab import Lab  # noqa: E402
from harness import interrupt_on_sigterm, log, repository  # noqa: E402

ROWS = {**rows.ROWS, **reads.ROWS}


def main():
    wanted = sys.argv[1:] or list(ROWS)
    if set(wanted) - set(ROWS):
        sys.exit(__doc__)
    events = int(os.environ.get("BENCH_EVENTS", 700000))
    runs = int(os.environ.get("BENCH_RUNS", 5))
    interrupt_on_sigterm()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="mongo_tail_bench.", dir="/var/tmp"))
    directory.chmod(0o755)
    results = []
    lab = Lab(directory, events, runs)
    try:
        lab.start()
        header = report.header(lab)
        for name in wanted:
            log(f"bench: {name}")
            results += ROWS[name](lab)
        for line in [*header, *report.table(results)]:
            print(line)
        if not sys.argv[1:]:
            report.write_tsv(repository / "test/bench/results.tsv", header, results)
            report.write_svg(repository / "doc/benchmark.svg", header, results)
    except BaseException:
        print(lab.log_tail(), file=sys.stderr)
        raise
    finally:
        lab.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
