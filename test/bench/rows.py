"""The rows of the table: each function measures and returns some of them."""

import subprocess
import time

from bench_lab import BATCH_SIZE, DATABASE, PROGRAMS, PeakRss, cpu_s, median, rss_anon_mib
from report import Row

MIB_BAR = 40
READERS = 32


def tail(lab):
    """Oplog to ring, against a libmongoc cursor over the same entries.

    A seek to the place before the load makes the tailer begin a session
    there.  Its clock runs from the session being "streaming", for which it has fetched a
    first batch, to the last entry's being in the ring; the entries of that
    first batch are not counted.  CPU is that of the whole
    seek, less that of a seek to the end, which does nothing but connect.  The
    drain is a process of its own for each run, with the find command that
    MongoDB says the tailer's cursor has.
    """
    lab.start_tail(lab.end)
    pid = lab.tailer_pid()
    rates, cpus, empty_cpus, drains = [], [], [], []
    for run in range(lab.runs + 1):
        marks = [cpu_s(pid)]
        for after in (lab.end, lab.middle):
            wall_s = lab.seek(after)
            time.sleep(0.1)
            marks.append(cpu_s(pid))
        drained = lab.drain(lab.find_json(lab.middle))
        if run == 0:
            continue            # the ring's pages are new to the process
        entries = drained["documents"]
        rates.append((entries - BATCH_SIZE) / wall_s)
        empty_cpus.append(marks[1] - marks[0])
        cpus.append(marks[2] - marks[1])
        drains.append(drained)
    drain_rate = median(d["documents"] / d["wall_s"] for d in drains)
    tail_cpu = (median(cpus) - median(empty_cpus)) / entries
    drain_cpu = median(d["cpu_s"] / d["documents"] for d in drains)
    return [
        Row("oplog to ring", median(rates), "events/s", "libmongoc cursor that copies bytes", drain_rate,
            ratio=median(rates) / drain_rate, bar=0.85,
            cpu_s=median(cpus), other_cpu_s=median(d["cpu_s"] for d in drains),
            rss_mib=rss_anon_mib(pid), other_rss_mib=median(d["peak_rss_kib"] for d in drains) / 1024),
        Row("CPU of the tailer", tail_cpu * 1e9, "ns/event", "libmongoc cursor that copies bytes",
            drain_cpu * 1e9, ratio=tail_cpu / drain_cpu, bar=1.5, at_most=True)]


def _changes(lab, name, bar, after, until, collection):
    """changes() in a fresh session, against libbson over the same documents in memory.

    count(*) materializes every row with all its columns.  libbson converts the
    documents that changes() converts: of an insert the document and its key, of
    an update the diff and the key; what it takes to read them is not counted.
    """
    ours, cpus, peaks, theirs = [], [], [], []
    with lab.converter(lab.find_json(after, until, collection)) as convert:
        for run in range(lab.runs + 1):
            with lab.pg_server.connect(DATABASE) as session:
                pid = session.info.backend_pid
                with PeakRss(pid) as peak:
                    cpu = cpu_s(pid)
                    started = time.monotonic()
                    count = session.execute(
                        "SELECT count(*) FROM mongo_tail.changes('bench', %s, after => %s, until => %s)",
                        ([f"{DATABASE}.{collection}"], lab.position(after), lab.position(until))
                        ).fetchone()[0]
                    wall_s = time.monotonic() - started
                    cpu = cpu_s(pid) - cpu
            converted = convert()
            if count != converted["documents"]:
                raise RuntimeError(f"{count} changes, but {converted['documents']} documents")
            if run == 0:
                continue
            ours.append(count / wall_s)
            cpus.append(cpu)
            peaks.append(peak.mib)
            theirs.append(converted)
    their_rate = median(t["documents"] / t["wall_s"] for t in theirs)
    return [Row(name, median(ours), "rows/s", "bson_as_relaxed_extended_json of document and key", their_rate,
                ratio=median(ours) / their_rate, bar=bar, cpu_s=median(cpus),
                other_cpu_s=median(t["cpu_s"] for t in theirs), rss_mib=median(peaks),
                other_rss_mib=None)]


def _wide_ring(lab):
    """A ring that holds all of the data, so that no reader needs the oplog."""
    lab.start_tail(lab.begin, ring_size="1GB")


def json(lab):
    """changes() as jsonb over all inserts and updates."""
    _wide_ring(lab)
    return _changes(lab, "changes() as jsonb", 4, lab.middle, lab.end, "flights")


def hard(lab):
    """The same over full-precision doubles, UTF-8, ObjectIds and nested arrays."""
    _wide_ring(lab)
    return _changes(lab, "changes() of hard documents", 2.5, lab.begin, lab.middle, "readings")


def latency(lab):
    """From a w:majority write's acknowledgement to the waiting reader's having it."""
    lab.start_tail(lab.end)
    out = subprocess.run([PROGRAMS / "bench_wait", "latency", lab.uri, lab.conninfo, "bench", DATABASE, "300"],
                         check=True, capture_output=True, text=True).stdout
    samples = {"stream": [], "changes": []}
    for line in out.splitlines():
        name, us = line.split()
        samples[name].append(int(us) / 1000)
    ours, theirs = median(samples["changes"]), median(samples["stream"])
    return [Row("wake-up after a write, p50", ours, "ms", "libmongoc change stream", theirs,
                ratio=ours - theirs, ratio_unit="ms more", bar=0.5, at_most=True)]


def memory(lab):
    """RssAnon over an idle backend's, after half a million events and after a million."""
    _wide_ring(lab)
    half = min(500000, lab.inserts)
    with lab.pg_server.connect(DATABASE) as idle, lab.pg_server.connect(DATABASE) as reader:
        idle.execute("SELECT 1")
        base = rss_anon_mib(idle.info.backend_pid)
        at = {"tailer": [], "launcher": [], "reader": []}
        for _ in range(2):
            lab.seek(lab.middle)
            with PeakRss(reader.info.backend_pid) as peak:
                reader.execute("SELECT count(*) FROM mongo_tail.changes('bench', max_changes => %s)", (half,))
            at["reader"].append(peak.mib - base)
            at["tailer"].append(rss_anon_mib(lab.tailer_pid()) - base)
            at["launcher"].append(rss_anon_mib(lab.launcher_pid()) - base)
    rows = []
    for who, (first, second) in at.items():
        rows.append(Row(f"memory of the {who}", second, "MiB", "idle backend", base, ratio=second,
                        ratio_unit="MiB more", bar=MIB_BAR, at_most=True))
        rows.append(Row(f"growth of the {who}", second - first, "MiB", "after half of the events", first,
                        ratio=second - first, ratio_unit="MiB more", bar=1, at_most=True))
    return rows


def _tailer_cpu(lab, pid, batches, batch_events, pause_s):
    """The tailer's CPU seconds an event, over some inserts with pauses between."""
    collection = lab.mongo[DATABASE].wake
    before = cpu_s(pid)
    for _ in range(batches):
        stamp = time.monotonic_ns() // 1000
        collection.insert_many([{"stamp_us": stamp, "text": "x" * 200} for _ in range(batch_events)])
        time.sleep(pause_s)
    return (cpu_s(pid) - before) / (batches * batch_events)


def readers(lab):
    """CPU of the tailer per event while many sessions wait in changes(), against none."""
    lab.start_tail(lab.end)
    pid = lab.tailer_pid()
    shapes = {"batches": (10, 5000, 0.2), "single events": (100, 1, 0.02)}
    cpus = {(shape, count): [] for shape in shapes for count in (0, READERS)}
    latest = []
    for _ in range(lab.runs):
        for shape, arguments in shapes.items():
            for count in (0, READERS):
                with lab.waiting_readers(count) as samples:
                    cpus[shape, count].append(_tailer_cpu(lab, pid, *arguments))
                if shape == "single events" and count:
                    latest += _latest_of_each(samples)
    rows = []
    for shape in shapes:
        none, many = median(cpus[shape, 0]), median(cpus[shape, READERS])
        rows.append(Row(f"CPU of the tailer, {READERS} readers wait, {shape}", many * 1e9, "ns/event",
                        "no reader", none * 1e9, ratio=many / none, bar=1.2, at_most=True))
    rows.append(Row(f"last of {READERS} readers has an event, p50", median(latest), "ms", "its insertion", None))
    return rows


def _latest_of_each(samples):
    """For each event that all readers returned, the slowest one's milliseconds."""
    by_event = {}
    for stamp, us in samples:
        by_event.setdefault(stamp, []).append(us / 1000)
    return [max(times) for times in by_event.values() if len(times) == READERS] or [float("nan")]


ROWS = {"tail": tail, "json": json, "hard": hard, "latency": latency, "memory": memory, "readers": readers}
