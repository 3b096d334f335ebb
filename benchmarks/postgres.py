"""Run a temporary PostgreSQL server on a local socket, for tests and benchmarks of storages."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def programs() -> Path | None:
    """Return the folder with the programs of Debian's PostgreSQL server, or None if it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def server() -> Iterator[str]:
    """Start a server, and stop it and delete its data afterwards.

    It runs as the user `postgres` if this process is root, since PostgreSQL rejects root.

    Yields:
        The URL of its storage.
    """
    binaries = programs()
    assert binaries is not None, "apt-get install postgresql"
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="lab-postgres-") as folder:
        if as_user:
            shutil.chown(folder, "postgres", "postgres")

        def call(program: str, *arguments: str) -> None:
            subprocess.run([*as_user, binaries / program, *arguments], cwd=folder, capture_output=True, text=True, check=True)

        data = f"{folder}/data"
        call("initdb", "-D", data, "-U", "lab", "--auth=trust", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder}"
        call("pg_ctl", "-D", data, "-l", f"{folder}/log", "-w", "-o", options, "start")
        try:
            yield f"postgresql://lab@/postgres?host={folder}"
        finally:
            call("pg_ctl", "-D", data, "-m", "immediate", "stop")
