"""What both kinds of server need: ports, waiting, signals, owners of files."""

import ctypes
import fcntl
import os
import pathlib
import pwd
import random
import signal
import socket
import subprocess
import sys
import time

repository = pathlib.Path(__file__).resolve().parents[3]


class Interrupted(KeyboardInterrupt):
    """SIGTERM, as an exception, so that every `finally` stops its server."""


def log(text):
    print(text, file=sys.stderr, flush=True)


def wait_until(condition, timeout=10, interval=0.02, what=None):
    """Poll until condition() is true and return its value.

    An exception from condition counts as "not yet"; the last one is the cause
    of the TimeoutError.
    """
    deadline = time.monotonic() + timeout
    error = None
    while True:
        try:
            value = condition()
            if value:
                return value
            error = None
        except Exception as e:
            error = e
        if time.monotonic() >= deadline:
            break
        time.sleep(interval)
    what = what or getattr(condition, "__name__", "condition")
    raise TimeoutError(f"{what} did not hold within {timeout} s") from error


# Port -> the lock file that keeps it ours among all runs on this machine.
_ports_held = {}


def free_port():
    """A loopback port that nobody listens on and that was not given before.

    Below the ephemeral range, so that no client's outgoing connection takes it
    while its server is down.  MT_PORTS=first-last restricts the choice.
    """
    first, last = (int(p) for p in os.environ.get("MT_PORTS", "21000-31999").split("-"))
    candidates = list(range(first, last + 1))
    random.SystemRandom().shuffle(candidates)
    for port in candidates:
        if port not in _ports_held and port_is_free(port) and _hold_port(port):
            return port
    raise RuntimeError(f"no free port in {first}-{last}")


def _hold_port(port):
    """A server binds its port late, and not at all while it is down: hold it by a lock."""
    folder = f"/var/tmp/.mongo_tail_ports_{os.getuid()}"
    os.makedirs(folder, exist_ok=True)
    fd = os.open(f"{folder}/{port}", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return False
    _ports_held[port] = fd
    return True


def give_back_port(port):
    """For a server that is gone for good."""
    fd = _ports_held.pop(port, None)
    if fd is not None:
        os.close(fd)


def port_is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def die_with_parent(sig):
    """For preexec_fn: the kernel sends sig when our thread ends, even by SIGKILL.

    So servers must be started from the main thread.
    """
    return lambda: _libc.prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0)


def as_user(name):
    """Popen arguments to run as that user, when we are root."""
    if os.getuid() != 0:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid,
            "extra_groups": os.getgrouplist(name, entry.pw_gid)}


def process_alive(pid):
    """Whether pid runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid):
    try:
        tasks = pathlib.Path(f"/proc/{pid}/task")
        return [int(p) for t in tasks.iterdir() for p in (t / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def interrupt_on_sigterm():
    """Make SIGTERM and SIGHUP unwind Python as Ctrl-C does, and Ctrl-C work also
    where a shell started us with SIGINT ignored."""
    def raise_interrupted(signum, frame):
        raise Interrupted(f"signal {signum}")
    signal.signal(signal.SIGTERM, raise_interrupted)
    signal.signal(signal.SIGHUP, raise_interrupted)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def run_in_group(command, env=None, on_line=None, grace=60):
    """Run command in a process group of its own and return its exit status.

    An interruption of ours is passed on to the whole group, as a terminal
    would; what is still there after `grace` seconds is killed.  With on_line,
    every line of output goes there.
    """
    output = {} if on_line is None else {
        "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    child = subprocess.Popen(command, env=env, start_new_session=True, **output)
    try:
        if on_line is not None:
            for line in child.stdout:
                on_line(line)
        return child.wait()
    except KeyboardInterrupt as e:
        _signal_group(child, signal.SIGTERM if isinstance(e, Interrupted) else signal.SIGINT)
        try:
            if on_line is not None:
                for line in child.stdout:
                    on_line(line)
            child.wait(grace)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            pass
        raise
    finally:
        _signal_group(child, signal.SIGKILL)
        child.wait()


def _signal_group(child, sig):
    try:
        os.killpg(child.pid, sig)
    except ProcessLookupError:
        pass
