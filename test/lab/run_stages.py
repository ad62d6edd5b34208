"""run_stages.py STAGE...: make every stage, also after one failed, then say how each went.

Each stage's output is kept in build/log/STAGE.log.  The last lines are the
closing lines of the stages' own runners.  Exits 1 if any stage failed.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

from harness import interrupt_on_sigterm, repository, run_in_group

LOGS = repository / "build/log"

# The line in which a stage's runner says what it counted; else its last line.
CLOSING = {
    "unit": r"unit: \d+ ",
    "fuzz": r"fuzz: \d+ ",
    "fuzz-short": r"fuzz: \d+ ",
    "test-regress": r"(# )?(All \d+|\d+ of \d+) tests (passed|failed)",
    "test-isolation": r"(# )?(All \d+|\d+ of \d+) tests (passed|failed)",
    "test-integration": r"=+ .*(passed|failed|error|no tests ran).* =+$",
}


class Stage:
    def __init__(self, name):
        self.name = name
        self.result = "not run"
        self.seconds = 0.0
        self.lines = []

    def run(self):
        print(f"\n=== {self.name}", flush=True)
        started = time.monotonic()
        try:
            with open(LOGS / f"{self.name}.log", "w") as log:
                def keep(line):
                    self.lines.append(line)
                    log.write(line)
                    print(line, end="", flush=True)
                self.result = "interrupted"
                status = run_in_group([os.environ.get("MAKE", "make"), "--no-print-directory", self.name], on_line=keep)
            self.result = "ok" if status == 0 else "FAILED"
            if self.name == "test-build" and any("warning:" in line for line in self.lines):
                self.result = "FAILED (compiler warnings)"
        finally:
            self.seconds = time.monotonic() - started

    def closing_line(self):
        lines = [line.strip() for line in self.lines if line.strip() and not line.startswith("make")]
        matching = [line for line in lines if re.match(CLOSING.get(self.name, ""), line)]
        return (matching or lines or [""])[-1]


def main():
    interrupt_on_sigterm()
    LOGS.mkdir(parents=True, exist_ok=True)
    stages = [Stage(name) for name in sys.argv[1:]]
    interrupted = False
    try:
        for stage in stages:
            stage.run()
    except KeyboardInterrupt:
        interrupted = True

    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=repository, capture_output=True, text=True)
    print(f"\n=== summary of {commit.stdout.strip() or 'this tree'}, {sum(s.seconds for s in stages):.0f} s")
    for stage in stages:
        print(f"{stage.name:<18} {stage.seconds:6.1f} s  {stage.result}")
    print()
    for stage in stages:
        if stage.result != "not run":
            print(stage.closing_line())
    if interrupted:
        return 130
    return 0 if all(s.result == "ok" for s in stages) else 1


if __name__ == "__main__":
    os.chdir(repository)
    sys.exit(main())
