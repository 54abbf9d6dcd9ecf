"""The cache of fetched files: where it is, what is sound in it, and filling it."""

import json
import os
import sys
from pathlib import Path

from zoo.fetch import download, packages
from zoo.fetch.files import Copy, File, digest, mismatch

PINS = "pins.json"
"""In a folder of the cache, beside the files: SHA-256 of those whose hash nobody published, as first seen."""


def folder() -> Path:
    """`$EDGEZOO_CACHE`, or `edgezoo` in the platform's folder for caches."""
    if given := os.environ.get("EDGEZOO_CACHE"):
        return Path(given).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "edgezoo"


def is_offline() -> bool:
    """Whether the environment variable `EDGEZOO_OFFLINE` forbids fetching."""
    return os.environ.get("EDGEZOO_OFFLINE", "0") not in ("", "0")


def sound(folder: Path, file: File) -> bool:
    """Whether the file lies in `folder` and is the published one, or the one that was first fetched."""
    expected = _expected(folder, file)
    path = folder / file.name
    return path.is_file() and expected is not None and not mismatch(path, file.name, expected)


def fetch(copy: Copy, folder: Path, *, progress: bool) -> None:
    """Put the files of `copy` into `folder`, unless they are there.

    Raises:
        FetchError: they cannot be had, or are not what was expected; nothing is left behind then.
    """
    missing = tuple(file for file in copy.files if not sound(folder, file))
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    if copy.via == "home":
        for file in missing:
            expected = _expected(folder, file)
            download.fetch(file.where, folder / file.name, expected=expected, size=file.bytes, progress=progress)
            pin(folder, file)
    else:
        packages.fetch(copy, folder)


def pin(folder: Path, file: File) -> None:
    """Remember the hash of a file that lies in `folder`, where none is known yet."""
    if _expected(folder, file) is None:
        seen = digest(folder / file.name, packed=file.name.endswith(".gz"))
        pins = folder / PINS
        part = pins.with_suffix(".part")
        part.write_text(json.dumps(_pins(folder) | {file.name: seen}, indent=2) + "\n", encoding="utf-8")
        os.replace(part, pins)


def _pins(folder: Path) -> dict[str, str]:
    try:
        values = json.loads((folder / PINS).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {str(name): str(value) for name, value in values.items()} if isinstance(values, dict) else {}


def _expected(folder: Path, file: File) -> str | None:
    return file.digest or _pins(folder).get(file.name)
