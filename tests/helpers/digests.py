"""Digests of files: a failed comparison names the files that differ and does not print their bytes."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def digest(path: Path) -> str:
    """Return the first 16 hexadecimal digits of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def digest_files(paths: Iterable[Path]) -> dict[str, str]:
    """Return the digest of each file among these paths, by path."""
    return {str(path): digest(path) for path in paths if path.is_file()}
