"""Read texts and lists of names from files, reject unusable files, and hash their content."""

from __future__ import annotations

import codecs
import hashlib
import re
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from tasks.core.splits import SLOTS, SPLITS
from tasks.core.text import with_newlines
from tasks.errors import TaskError

SEPARATOR = "<|endoftext|>"
"""The separator of stories; blank lines separate them in a text without it."""
_FIRST_OTHER = SLOTS - 2
"""The slot of validation; that of test follows."""


def read_text(setting: str, path: str) -> str:
    """Read a text file.

    Args:
        setting: The setting that names the file, as `stories.corpus`.
        path: The file.

    Raises:
        TaskError: If the file is missing, a folder, empty, or not text in UTF-8.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise TaskError(f"{setting}: {path}: {error.strerror}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaskError(f"{setting}: {path}: not UTF-8 text (byte {error.start} is {raw[error.start]:#04x})") from error
    if "\0" in text:
        raise TaskError(f"{setting}: {path}: a binary file, not text (it has a zero byte)")
    if not text.strip():
        raise TaskError(f"{setting}: {path}: empty")
    return with_newlines(text)


def hash_file(setting: str, path: str) -> str:
    """Return the SHA-256 of a text file in hexadecimal, independent of the form of line ends and of a byte order mark.

    Args:
        setting: The setting that names the file, as `stories.corpus`.
        path: The file.

    Raises:
        TaskError: If the file cannot be read.
    """
    try:
        status = Path(path).stat()
        return _hash_of_file(path, status.st_mtime_ns, status.st_size, status.st_ino)
    except OSError as error:
        raise TaskError(f"{setting}: {path}: {error.strerror}") from error


@lru_cache(maxsize=64)
def _hash_of_file(path: str, _modified: int, _size: int, _inode: int) -> str:
    """Compute the hash, once for each time of change, size and inode of the file."""
    digest, left = hashlib.sha256(), b""
    with Path(path).open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        while block := file.read(1 << 20):
            block = left + block
            left = b"\r" if block.endswith(b"\r") else b""  # its \n may be in the next block
            digest.update(block.removesuffix(left).replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    digest.update(left.replace(b"\r", b"\n"))
    return digest.hexdigest()


def read_stories(path: str) -> list[str]:
    """Read the stories of a corpus, without surrounding whitespace.

    Raises:
        TaskError: As `read_text`, or if there is only one story.
    """
    text = read_text("stories.corpus", path)
    pieces = text.split(SEPARATOR) if SEPARATOR in text else re.split(r"\n\s*\n", text)
    stories = [piece.strip() for piece in pieces if piece.strip()]
    if len(stories) < 2:
        raise TaskError(f"stories.corpus: {path}: one story; they must be separated by {SEPARATOR} or blank lines")
    return stories


def split_of_story(story: str) -> str:
    """Return the split of a story by a hash of its text, so that duplicates are in the same split."""
    slot = hashlib.sha256(story.encode()).digest()[0] % SLOTS
    return SPLITS[max(0, slot - _FIRST_OTHER + 1)]


def read_names(path: str | None) -> tuple[str, ...]:
    """Read a list of names that are separated by whitespace, and return them sorted.

    Args:
        path: The file; None for the list of this package.

    Raises:
        TaskError: As `read_text`, or if a name is not a word of letters.
    """
    if path is None:
        return tuple(sorted(set((files("tasks.stories.corpus") / "names.txt").read_text(encoding="utf-8").split())))
    names = tuple(sorted(set(read_text("stories.names_file", path).split())))
    for name in names:
        if not name.isalpha():
            raise TaskError(f"stories.names_file: {path}: {name!r} is not a name, a word of letters")
    return names


def hash_names(path: str | None) -> str:
    """Return the SHA-256 of a list of names in hexadecimal.

    Args:
        path: The file; None for the list of this package.

    Raises:
        TaskError: As `read_names`.
    """
    return hashlib.sha256(" ".join(read_names(path)).encode()).hexdigest()
