"""A throw-away MariaDB server, which speaks MySQL, on a local socket."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb-admin")


def installed() -> bool:
    return all(shutil.which(program) for program in PROGRAMS)


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server's storage; the server is gone afterwards with all that was in it."""
    folder = Path(tempfile.mkdtemp(prefix="lab-mariadb-"))
    user = "mysql" if os.getuid() == 0 else ""
    if user:
        shutil.chown(folder, user, user)
    as_user = [f"--user={user}"] if user else []
    data, socket = folder / "data", folder / "socket"
    make = [
        "mariadb-install-db",
        "--no-defaults",
        f"--datadir={data}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]
    subprocess.run([*make, *as_user], capture_output=True, check=True)
    serve = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={socket}", "--skip-networking", *as_user]
    admin = ["mariadb-admin", "--no-defaults", f"--socket={socket}", "--user=root"]
    process = subprocess.Popen([*serve, f"--pid-file={folder / 'pid'}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while subprocess.run([*admin, "ping"], capture_output=True, check=False).returncode:
            assert process.poll() is None, "MariaDB has ended"
            assert time.monotonic() < until, "MariaDB does not answer"
            time.sleep(0.1)
        subprocess.run([*admin, "create", "lab"], check=True)
        yield f"mysql://root@localhost/lab?unix_socket={socket}"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)
