"""mongod: a node that can be stopped, killed and frozen, and a replica set of them."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import lru_cache

import pymongo
from pymongo.errors import ConnectionFailure, OperationFailure

from .util import die_with_parent, free_port, process_alive, repository, wait_until


def mongod_binary():
    return os.environ.get("MT_MONGOD") or str(repository / "build/mongod-6.0.5/mongod")


@lru_cache
def mongod_version(binary=None):
    """(major, minor, patch) of the binary."""
    out = subprocess.run([binary or mongod_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(n) for n in re.search(r"v(\d+)\.(\d+)\.(\d+)", out).groups())


@dataclass(frozen=True)
class TlsFiles:
    """A CA, a server's and a client's certificate with key, and a CA that signed neither."""
    ca: pathlib.Path
    server: pathlib.Path
    client: pathlib.Path
    foreign_ca: pathlib.Path
    client_subject: str = "CN=tailer,OU=clients,O=mongo_tail"


def make_tls_files(directory):
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=directory, check=True, capture_output=True)

    def authority(name):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                "-subj", f"/O=mongo_tail/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def certificate(name, subject, extensions):
        (directory / f"{name}.ext").write_text(extensions)
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", subject,
                "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "30", "-out", f"{name}.crt", "-extfile", f"{name}.ext")
        both = (directory / f"{name}.crt").read_text() + (directory / f"{name}.key").read_text()
        (directory / f"{name}.pem").write_text(both)

    authority("ca")
    authority("foreign_ca")
    certificate("server", "/O=mongo_tail/OU=servers/CN=localhost",
                "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    # Another OU than the server's: else mongod takes the client for a member.
    certificate("client", "/O=mongo_tail/OU=clients/CN=tailer", "extendedKeyUsage=clientAuth\n")
    # A PostgreSQL backend reads these too, and it is another user.
    for path in directory.iterdir():
        path.chmod(0o644)
    return TlsFiles(*(directory / f"{n}.pem" for n in ("ca", "server", "client", "foreign_ca")))


def write_to_majority(client, binary):
    """Acknowledge writes when a majority has them, as MongoDB does by itself since 5.0 and
    the tests count on: tails see nothing earlier."""
    if mongod_version(binary) < (5,):
        client.admin.command("setDefaultRWConcern", defaultWriteConcern={"w": "majority"},
                             writeConcern={"w": "majority"})


class MongoServer:
    """One mongod on 127.0.0.1.

    With replica_set it is a node of one (see initiate, or MongoReplicaSet);
    without, a standalone.  A small oplog that really rolls over is
    oplog_mb=1, sync_delay_s=1: nothing is cut before a checkpoint.
    """

    def __init__(self, directory, port=None, replica_set="rs0", oplog_mb=990, sync_delay_s=None,
                 cache_gb="0.5", auth=False, tls=None, extra=(), binary=None, outlive=False):
        self.directory = pathlib.Path(directory)
        self.port = port or free_port()
        self.replica_set = replica_set
        self.oplog_mb = oplog_mb
        self.sync_delay_s = sync_delay_s
        self.cache_gb = cache_gb
        self.auth = auth
        self.tls = tls
        self.extra = list(extra)
        self.binary = binary or mongod_binary()
        self.outlive = outlive
        self.process = None
        self._frozen = False

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def uri(self):
        return f"mongodb://{self.address}/" + (f"?replicaSet={self.replica_set}" if self.replica_set else "")

    @property
    def data(self):
        return self.directory / "data"

    @property
    def pid_file(self):
        return self.directory / "mongod.pid"

    @property
    def log_file(self):
        return self.directory / "mongod.log"

    def log_text(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def command(self):
        version = mongod_version(self.binary)
        command = [self.binary, "--dbpath", self.data, "--port", self.port, "--bind_ip", "127.0.0.1",
                   "--logpath", self.log_file, "--logappend", "--unixSocketPrefix", self.data,
                   "--pidfilepath", self.pid_file,
                   "--wiredTigerCacheSizeGB", self.cache_gb,
                   "--setParameter", "diagnosticDataCollectionEnabled=false",
                   "--setParameter", "enableTestCommands=1"]
        if version >= (5,):
            command += ["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"]
        if self.replica_set:
            command += ["--replSet", self.replica_set, "--oplogSize", self.oplog_mb]
        if self.sync_delay_s is not None:
            command += ["--syncdelay", self.sync_delay_s]
        if self.auth:
            command += ["--keyFile", self._key_file()]
            command += ["--setParameter", "authenticationMechanisms=SCRAM-SHA-256,SCRAM-SHA-1,MONGODB-X509"]
        if self.tls:
            command += ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", self.tls.server,
                        "--tlsCAFile", self.tls.ca, "--tlsAllowConnectionsWithoutCertificates"]
        return [str(word) for word in command + self.extra]

    def _key_file(self):
        # One key for every node below the same folder: members know each other by it.
        path = self.directory.parent / "keyfile"
        if not path.exists():
            path.write_text("bW9uZ29fdGFpbCB0ZXN0cywgbm90IGEgc2VjcmV0\n")
            path.chmod(0o400)
        return path

    def start(self, timeout=30):
        """Start and wait until it answers."""
        assert not self.alive
        self.data.mkdir(parents=True, exist_ok=True)
        with open(self.directory / "mongod.out", "ab") as out:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                preexec_fn=None if self.outlive else die_with_parent(signal.SIGKILL))
        self._frozen = False
        with self.client(direct=True, serverSelectionTimeoutMS=1000) as client:
            def answers():
                if not self.alive:
                    return True
                return client.admin.command("ping")
            wait_until(answers, timeout, what=f"mongod on {self.address}")
        if not self.alive:
            raise RuntimeError(f"mongod ended with {self.process.returncode}:\n{self.log_text()[-3000:]}"
                               f"{(self.directory / 'mongod.out').read_text()[-1000:]}")
        return self

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def _end(self, sig, timeout):
        if not self.alive:
            return
        self.sigcont()
        self.process.send_signal(sig)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self, timeout=20):
        self._end(signal.SIGTERM, timeout)

    def kill9(self):
        self._end(signal.SIGKILL, 10)

    def sigstop(self):
        """Freeze it: connections stay open and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)
        self._frozen = True

    def sigcont(self):
        if self._frozen:
            self.process.send_signal(signal.SIGCONT)
            self._frozen = False

    def restart(self, empty=False):
        """Stop and start on the same port, on the same data or on none.

        With empty, a replica set node must be initiated again: it is another
        replica set of the same name.
        """
        self.stop()
        if empty:
            shutil.rmtree(self.data)
        return self.start()

    def initiate(self):
        """Make a replica set of this node alone, and wait until it is primary."""
        with self.client(direct=True) as client:
            client.admin.command("replSetInitiate", {
                "_id": self.replica_set, "members": [{"_id": 0, "host": self.address}],
                "settings": {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500}})
            self.wait_primary(client)
            if not self.auth:
                write_to_majority(client, self.binary)
        return self

    def wait_primary(self, client=None, timeout=20):
        if client is None:
            with self.client(direct=True) as client:
                return self.wait_primary(client, timeout)
        return wait_until(lambda: client.admin.command("hello").get("isWritablePrimary"), timeout,
                          what=f"{self.address} as primary")

    def client(self, direct=False, **options):
        options.setdefault("serverSelectionTimeoutMS", 10000)
        if self.tls:
            options.setdefault("tls", True)
            options.setdefault("tlsCAFile", str(self.tls.ca))
        if self.replica_set and not direct:
            options.setdefault("replicaSet", self.replica_set)
        else:
            options["directConnection"] = True
        return pymongo.MongoClient("127.0.0.1", self.port, **options)

    def fail_point(self, name, mode, data=None):
        """Set one of mongod's own fail points: mode 'alwaysOn', 'off' or {'times': n}."""
        with self.client(direct=True) as client:
            client.admin.command({"configureFailPoint": name, "mode": mode, **({"data": data} if data else {})})

    def create_user(self, name, password, roles, source="admin", login=None):
        """Create a user as `login` (options of client); without it the first one, by the
        localhost exception.  Users of source '$external' have no password."""
        with self.client(**(login or {"direct": True})) as client:
            body = {"roles": roles} if password is None else {"roles": roles, "pwd": password}
            client[source].command("createUser", name, **body)


class MongoReplicaSet:
    """Several nodes with fast elections."""

    def __init__(self, directory, nodes=3, name="rs0", settings=None, **node_options):
        self.name = name
        self.settings = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500, **(settings or {})}
        self.nodes = [MongoServer(pathlib.Path(directory) / f"{name}-{i}", replica_set=name, **node_options)
                      for i in range(nodes)]

    @property
    def uri(self):
        return f"mongodb://{','.join(n.address for n in self.nodes)}/?replicaSet={self.name}"

    def start(self):
        for node in self.nodes:
            node.start()
        with self.nodes[0].client(direct=True) as client:
            client.admin.command("replSetInitiate", {
                "_id": self.name, "settings": self.settings,
                "members": [{"_id": i, "host": n.address} for i, n in enumerate(self.nodes)]})
        with self.primary().client(direct=True) as client:
            write_to_majority(client, self.nodes[0].binary)
        self.wait_secondaries()
        return self

    def stop(self):
        for node in self.nodes:
            node.sigcont()
        for node in self.nodes:
            if node.alive:
                node.process.send_signal(signal.SIGTERM)
        for node in self.nodes:
            node.stop()

    def client(self, **options):
        options.setdefault("serverSelectionTimeoutMS", 15000)
        first = self.nodes[0]
        if first.tls:
            options.setdefault("tls", True)
            options.setdefault("tlsCAFile", str(first.tls.ca))
        return pymongo.MongoClient([n.address for n in self.nodes], replicaSet=self.name, **options)

    def _hello(self, node):
        try:
            with node.client(direct=True, serverSelectionTimeoutMS=500) as client:
                return client.admin.command("hello")
        except ConnectionFailure:
            return {}

    def _running(self):
        return [n for n in self.nodes if n.alive and not n._frozen]

    def primary(self, timeout=20, other_than=None):
        """The node that is primary, waiting for one."""
        def find():
            return next((n for n in self._running()
                         if n is not other_than and self._hello(n).get("isWritablePrimary")), None)
        return wait_until(find, timeout, what="a primary")

    def secondaries(self):
        return [n for n in self._running() if self._hello(n).get("secondary")]

    def wait_secondaries(self, timeout=30):
        wait_until(lambda: len(self.secondaries()) == len(self._running()) - 1, timeout, what="secondaries")

    def step_down(self, seconds=10):
        """Make the primary step down; returns the new one."""
        old = self.primary()
        with old.client(direct=True) as client:
            try:
                client.admin.command("replSetStepDown", seconds, secondaryCatchUpPeriodSecs=5)
            except ConnectionFailure:
                pass
        return self.primary(other_than=old)

    def step_up(self, *nodes, timeout=20):
        """Make one of the nodes the primary; of those that do not replicate only
        the one that has the newest entry can win."""
        def try_it(node):
            with node.client(direct=True) as client:
                try:
                    return client.admin.command("replSetStepUp")["ok"]
                except (OperationFailure, ConnectionFailure):
                    return False
        wait_until(lambda: any(try_it(node) for node in nodes), timeout, interval=0.2,
                   what=" or ".join(node.address for node in nodes) + " to step up")
        return self.primary()

    def kill_primary(self):
        """SIGKILL the primary; returns it when another was elected."""
        old = self.primary()
        old.kill9()
        self.primary(other_than=old)
        return old


def stop_recorded(pid_file, name, timeout=30):
    """Stop the process whose pid was written there, if it still is what it was."""
    try:
        pid = int(pathlib.Path(pid_file).read_text().split()[0])
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError, ValueError, IndexError):
        return False
    if name not in command:
        return False
    for sig, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, 10)):
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            return True
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not process_alive(pid):
                return True
            time.sleep(0.05)
    return True
