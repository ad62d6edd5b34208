"""The table, results.tsv and the drawing."""

import pathlib
import subprocess
from dataclasses import dataclass
from html import escape

from harness import mongod_version, repository


@dataclass
class Row:
    name: str
    value: float
    unit: str
    compared_with: str
    compared_value: float | None
    ratio: float | None = None      # or a difference, in ratio_unit
    ratio_unit: str = "times"
    bar: float | None = None        # None: told, not judged
    at_most: bool = False           # the bar is a limit, not a goal
    cpu_s: float | None = None
    other_cpu_s: float | None = None
    rss_mib: float | None = None
    other_rss_mib: float | None = None

    @property
    def verdict(self):
        if self.bar is None:
            return ""
        return "ok" if (self.ratio <= self.bar if self.at_most else self.ratio >= self.bar) else "short"


COLUMNS = ("name", "value", "unit", "compared_with", "compared_value", "ratio", "ratio_unit", "bar", "verdict",
           "cpu_s", "compared_cpu_s", "rss_mib", "compared_rss_mib")


def _number(value):
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.1f}"


def _cells(row):
    bar = "" if row.bar is None else ("<= " if row.at_most else ">= ") + _number(row.bar)
    return (row.name, _number(row.value), row.unit, row.compared_with, _number(row.compared_value),
            _number(row.ratio), row.ratio_unit if row.ratio is not None else "", bar, row.verdict,
            _number(row.cpu_s), _number(row.other_cpu_s), _number(row.rss_mib), _number(row.other_rss_mib))


def _output(*command):
    return subprocess.run(command, cwd=repository, capture_output=True, text=True).stdout.strip()


def header(lab):
    """Lines that say what was measured, where and with what."""
    cpu = next((line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), "unknown")
    load = pathlib.Path("/proc/loadavg").read_text().split()[0]
    processors = pathlib.Path("/proc/cpuinfo").read_text().count("processor\t")
    version = lab.pg.execute("SHOW server_version").fetchone()[0]
    dirty = " with changes" if _output("git", "status", "--porcelain", "src", "sql") else ""
    return [
        f"# commit {_output('git', 'rev-parse', '--short=12', 'HEAD')}{dirty}",
        f"# PostgreSQL {version}, MongoDB {'.'.join(str(n) for n in mongod_version())}, "
        f"libmongoc {_output('pkg-config', '--modversion', 'libmongoc-1.0') or _output('pkg-config', '--modversion', 'mongoc2')}",
        f"# {processors} CPUs {cpu}, load {load} at the start",
        f"# {lab.inserts} inserts, {lab.updates} updates, {lab.hard_documents} hard documents; "
        f"medians of {lab.runs} alternating runs"]


def table(results):
    lines = [COLUMNS[:9], *(_cells(row)[:9] for row in results)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]


def write_tsv(path, head, results):
    lines = [*head, "\t".join(COLUMNS), *("\t".join(_cells(row)) for row in results)]
    path.write_text("\n".join(lines) + "\n")


# ---- the drawing ----

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.small { font-size: 11px; fill: #59636e }
.ok { fill: #2da44e } .short { fill: #cf222e }
.bar { stroke: #1f2328; stroke-width: 2 } .track { fill: #d1d9e0; opacity: .5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 }
  .ok { fill: #3fb950 } .short { fill: #f85149 }
  .bar { stroke: #e6edf3 } .track { fill: #3d444d }
}"""
WIDTH, NAMES, TRACK, STEP = 860, 330, 330, 34


def _drawn(row, y):
    """One bar: its length is the ratio, its mark the bar; both on the row's own scale."""
    top = max(row.ratio, row.bar) * 1.15
    length = max(0.0, row.ratio) / top * TRACK
    mark = NAMES + row.bar / top * TRACK
    sign = "≤" if row.at_most else "≥"
    unit = "×" if row.ratio_unit == "times" else " " + row.ratio_unit
    return (f'<text x="{NAMES - 10}" y="{y + 14}" text-anchor="end">{escape(row.name)}</text>'
            f'<rect class="track" x="{NAMES}" y="{y + 2}" width="{TRACK}" height="16" rx="3"/>'
            f'<rect class="{row.verdict}" x="{NAMES}" y="{y + 2}" width="{length:.1f}" height="16" rx="3"/>'
            f'<line class="bar" x1="{mark:.1f}" x2="{mark:.1f}" y1="{y - 2}" y2="{y + 22}"/>'
            f'<text x="{NAMES + TRACK + 10}" y="{y + 14}">{_number(row.ratio)}{unit}'
            f' <tspan class="small">bar {sign} {_number(row.bar)}</tspan></text>')


def write_svg(path, head, results):
    drawn = [row for row in results if row.bar is not None and not row.name.startswith("growth")]
    height = 70 + STEP * len(drawn) + 24
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="mongo_tail, measured against its bars">',
             f"<style>{STYLE}</style>",
             '<text x="10" y="24" font-weight="600">mongo_tail against what it is compared with</text>',
             f'<text class="small" x="10" y="42">{escape(head[1][2:])}; {escape(head[3][2:])}</text>']
    parts += [_drawn(row, 60 + STEP * i) for i, row in enumerate(drawn)]
    parts.append(f'<text class="small" x="10" y="{height - 10}">The black line is the bar: to reach (≥) or to stay '
                 'below (≤). test/bench/results.tsv has the figures.</text></svg>')
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(parts) + "\n")
