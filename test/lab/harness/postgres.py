"""PostgreSQL: a private cluster that can be stopped, killed and restarted."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import psycopg
from psycopg import sql

from .util import (as_user, children_of, die_with_parent, free_port, process_alive, repository,
                   wait_until)

OWNER = "postgres"


def system_bindir():
    return pathlib.Path(_pg_config("--bindir"))


def _pg_config(what):
    return subprocess.run([os.environ.get("PG_CONFIG", "pg_config"), what],
                          capture_output=True, text=True, check=True).stdout.strip()


@contextlib.contextmanager
def private_postgres():
    """A copy of PostgreSQL with the built extension installed; yields its environment.

    PostgreSQL finds its files relative to its own binary, so a copied tree is
    an installation of its own.  The tests therefore neither change the
    system's nor see what is installed there, and two clones can be tested at
    once.  It lies in /var/tmp: user postgres may not be able to enter this clone.
    """
    if os.environ.get("MT_PG_BINDIR"):
        yield dict(os.environ)
        return
    copy = tempfile.mkdtemp(prefix="mongo_tail_pg.", dir="/var/tmp")
    try:
        os.chmod(copy, 0o755)
        for what in ("--bindir", "--pkglibdir", "--sharedir"):
            path = _pg_config(what)
            os.makedirs(copy + path, exist_ok=True)
            subprocess.run(["cp", "-a", f"{path}/.", copy + path], check=True)
        subprocess.run([os.environ.get("MAKE", "make"), "-s", "--no-print-directory", "install", f"DESTDIR={copy}"],
                       cwd=repository, check=True, stdout=subprocess.DEVNULL)
        yield {**os.environ, "MT_PG_BINDIR": copy + _pg_config("--bindir"),
               "MT_PG_PKGLIBDIR": copy + _pg_config("--pkglibdir")}
    finally:
        shutil.rmtree(copy, ignore_errors=True)


class PostgresServer:
    """A cluster below `directory`, on a Unix socket there and on 127.0.0.1.

    Runs as user postgres when we are root.  fsync is off unless asked for: an
    immediate shutdown or kill -9 loses nothing without it, only a crash of the
    machine would.
    """

    def __init__(self, directory, port=None, bindir=None, settings=None, fsync=False, outlive=False):
        self.directory = pathlib.Path(directory)
        self.port = port or free_port()
        self.bindir = pathlib.Path(bindir or os.environ.get("MT_PG_BINDIR") or system_bindir())
        self.settings = {
            "shared_preload_libraries": "mongo_tail",
            "max_worker_processes": 32,
            "max_connections": 100,
            "fsync": "on" if fsync else "off",
            "jit": "off",
            "log_min_messages": "info",
            "log_line_prefix": "%m [%p] %b %q%d ",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **(settings or {}),
        }
        self.outlive = outlive
        self.process = None

    @property
    def data(self):
        return self.directory / "data"

    @property
    def socket_directory(self):
        return self.directory

    @property
    def log_file(self):
        return self.directory / "postgresql.log"

    def log_text(self, offset=0):
        if not self.log_file.exists():
            return ""
        with open(self.log_file, errors="replace") as f:
            f.seek(offset)
            return f.read()

    @property
    def log_size(self):
        return self.log_file.stat().st_size if self.log_file.exists() else 0

    def initdb(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        if os.getuid() == 0:
            shutil.chown(self.directory, OWNER)
        subprocess.run([self.bindir / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync",
                        "-E", "UTF8", "--locale=C.UTF-8"],
                       check=True, capture_output=True, text=True, cwd="/", **as_user(OWNER))
        self.configure(port=self.port, listen_addresses="127.0.0.1",
                       unix_socket_directories=str(self.socket_directory), **self.settings)
        return self

    def configure(self, **settings):
        """Append settings to postgresql.conf; reload() or restart() makes them hold."""
        with open(self.data / "postgresql.conf", "a") as f:
            for name, value in settings.items():
                quoted = str(value).replace("'", "''")
                f.write(f"{name} = '{quoted}'\n")

    def start(self, timeout=60):
        """Start and wait until it accepts connections."""
        assert not self.alive
        offset = self.log_size
        with open(self.log_file, "ab") as out:
            self.process = subprocess.Popen(
                [self.bindir / "postgres", "-D", self.data], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                cwd="/", start_new_session=True, env=self._environment(),
                preexec_fn=None if self.outlive else die_with_parent(signal.SIGQUIT), **as_user(OWNER))

        def ready():
            if not self.alive:
                return True
            self.connect("postgres", connect_timeout=2).close()
            return True
        wait_until(ready, timeout, interval=0.05, what=f"PostgreSQL on port {self.port}")
        if not self.alive:
            raise RuntimeError(f"PostgreSQL ended with {self.process.returncode}:\n{self.log_text(offset)[-3000:]}")
        return self

    def _environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        env.update({"LC_ALL": "C.UTF-8", "TZ": "UTC"})
        # A sanitizer's runtime, say: it must come before the server, and only there.
        if os.environ.get("MT_PG_PRELOAD"):
            env["LD_PRELOAD"] = os.environ["MT_PG_PRELOAD"]
        return env

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    def stop(self, mode="fast", timeout=30):
        """Stop with mode smart, fast or immediate; returns the seconds it took to end,
        and raises TimeoutError (after killing it) when it does not."""
        if not self.alive:
            return
        self.process.send_signal({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise TimeoutError(f"PostgreSQL did not stop ({mode}) within {timeout} s:\n{self.log_text()[-3000:]}")

    def kill9(self, timeout=10):
        """SIGKILL the postmaster and wait until every process of it noticed."""
        if not self.alive:
            return
        children = children_of(self.pid)
        self.process.kill()
        self.process.wait()
        wait_until(lambda: not any(process_alive(p) for p in children), timeout, what="the end of all processes")

    def kill9_child(self, backend_type):
        """SIGKILL one process by its pg_stat_activity.backend_type (LIKE pattern); returns its pid."""
        with self.connect("postgres") as c:
            pid = c.execute("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE %s ORDER BY pid LIMIT 1",
                            (backend_type,)).fetchone()
        assert pid, f"no process of type {backend_type}"
        os.kill(pid[0], signal.SIGKILL)
        return pid[0]

    def restart(self, mode="fast"):
        self.stop(mode)
        return self.start()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def wait_ready(self, timeout=30):
        """Wait until connections work, as after a crash of a child."""
        def ready():
            self.connect("postgres", connect_timeout=2).close()
            return True
        wait_until(ready, timeout, what="PostgreSQL after recovery")

    def uri(self, dbname="postgres", user="postgres"):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{dbname}"

    def connect(self, dbname="postgres", user="postgres", autocommit=True, **options):
        options.setdefault("connect_timeout", 10)
        return psycopg.connect(host=str(self.socket_directory), port=self.port, dbname=dbname, user=user,
                               autocommit=autocommit, **options)

    def psql(self, text, dbname="postgres", user="postgres", check=True):
        """psql's output of a script that comes by standard input; stops at the first error."""
        done = subprocess.run([self.bindir / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                               "-h", self.socket_directory, "-p", str(self.port), "-U", user, "-d", dbname],
                              input=text, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise RuntimeError(f"psql ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def psql_command(self, dbname="postgres"):
        return f"psql -h {self.socket_directory} -p {self.port} -U postgres {dbname}"

    def create_database(self, name, template="template0"):
        with self.connect("postgres") as c:
            c.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop_database(self, name):
        with self.connect("postgres") as c:
            c.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
