"""Real servers for the tests, the demo and the lab."""

from .mongo import MongoReplicaSet, MongoServer, TlsFiles, make_tls_files, mongod_version
from .postgres import PostgresServer, private_postgres, system_bindir
from .util import (Interrupted, free_port, give_back_port, interrupt_on_sigterm, log, repository, run_in_group,
                   wait_until)

__all__ = [
    "Interrupted", "MongoReplicaSet", "MongoServer", "PostgresServer", "TlsFiles", "free_port", "give_back_port",
    "interrupt_on_sigterm", "log", "make_tls_files", "mongod_version", "private_postgres",
    "repository", "run_in_group", "system_bindir", "wait_until",
]
