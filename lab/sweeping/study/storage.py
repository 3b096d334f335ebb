"""The storage of a study: a journal beside the runs, or a PostgreSQL database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage

from lab.errors import LabError
from lab.sweeping.study.journal import Journal, StorageLost

SCHEME, DRIVER = "postgresql://", "postgresql+psycopg://"


def open_storage(url: str | None, journal: Path) -> BaseStorage:
    """Open a storage.

    Args:
        url: `postgresql://...`; None for the journal.
        journal: The journal's file, which exists.

    Raises:
        LabError: If the URL names another kind of storage, the driver is not installed, the server does not answer, or the
            journal cannot be read or is damaged.
    """
    if url is None:
        with storage_calls(str(journal)):
            return JournalStorage(Journal(journal))
    check_url(url)
    with _unreachable(url):
        from sqlalchemy.pool import NullPool

        # Without a pool a worker holds no connection while it trains: a server's 100 are enough for a thousand workers.
        return optuna.storages.RDBStorage(DRIVER + url.removeprefix(SCHEME), engine_kwargs={"poolclass": NullPool})


def check_url(url: str) -> None:
    """Check that a URL names a kind of storage that exists.

    Raises:
        LabError: If it does not.
    """
    if not url.startswith(SCHEME):
        raise LabError(f"storage must be {SCHEME}..., not {hide_password(url)!r}")


def hide_password(url: str) -> str:
    """Return a URL without its password."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)


@contextmanager
def _unreachable(url: str) -> Iterator[None]:
    try:
        yield
    except LabError:
        raise
    except ImportError as error:
        raise LabError(f"storage {hide_password(url)} needs a driver: pip install 'mtp-lab[storage]'") from error
    except Exception as error:
        reason = _first_line(error) or type(error).__name__
        raise StorageLost(f"storage {hide_password(url)} cannot be reached: {reason}") from error


@contextmanager
def storage_calls(storage: str = "the storage") -> Iterator[None]:
    """Report any error inside as one of the storage, not of the run, and let Optuna log errors only.

    Args:
        storage: Its name in the message.

    Raises:
        StorageLost: For any error inside.
    """
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    except (LabError, optuna.TrialPruned):
        raise
    except Exception as error:
        reason = _first_line(error) or "no reason given"
        raise StorageLost(f"{storage} fails ({type(error).__name__}: {reason})") from error
    finally:
        optuna.logging.set_verbosity(level)


def _first_line(error: Exception) -> str:
    """Return the first line of an error, of the driver's own where SQLAlchemy wraps it."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
