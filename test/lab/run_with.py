"""run_with.py [--postgres] [--mongod] COMMAND...: run COMMAND beside servers of its own.

--postgres  a private copy of PostgreSQL with the extension installed
            (MT_PG_BINDIR, MT_PG_PKGLIBDIR); it is not started
--mongod    a one-node replica set, running (MT_URI)

What is in the environment already is used as it is.  Everything is ended and
removed when COMMAND ends, also by a failure or a signal.
"""

import contextlib
import os
import shutil
import sys
import tempfile

from harness import MongoServer, interrupt_on_sigterm, private_postgres, run_in_group


@contextlib.contextmanager
def one_node_set():
    if os.environ.get("MT_URI"):
        yield {}
        return
    directory = tempfile.mkdtemp(prefix="mongo_tail_mongod.", dir="/var/tmp")
    server = MongoServer(directory)
    try:
        server.start().initiate()
        yield {"MT_URI": server.uri}
    finally:
        server.kill9()
        shutil.rmtree(directory, ignore_errors=True)


def main():
    arguments = sys.argv[1:]
    wanted = set()
    while arguments and arguments[0].startswith("--"):
        wanted.add(arguments.pop(0))
    if not arguments or wanted - {"--postgres", "--mongod"}:
        sys.exit(__doc__)
    interrupt_on_sigterm()
    with contextlib.ExitStack() as stack:
        environment = dict(os.environ)
        if "--postgres" in wanted:
            environment.update(stack.enter_context(private_postgres()))
        if "--mongod" in wanted:
            environment.update(stack.enter_context(one_node_set()))
        return run_in_group(arguments, env=environment)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
