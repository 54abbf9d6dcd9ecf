"""All published weights: find them by name or by file, and get their files."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from zoo import fetch
from zoo.contract import Spec
from zoo.errors import ZooError
from zoo.families import FAMILIES
from zoo.fetch import FetchError
from zoo.models import resolve
from zoo.weights.keras_files import KERAS
from zoo.weights.published import NEUTRAL, Published
from zoo.weights.torch_files import TORCH

TABLE: Mapping[str, tuple[Published, ...]] = {
    model: tuple(entry for entry in (*KERAS, *TORCH) if entry.model == model)
    for model in dict.fromkeys(entry.model for entry in (*KERAS, *TORCH))
}
"""Model → its published weights."""

TOPS = {"bert": ("pool",), "vgg": ("top", "fc")}
"""Family → fields of what comes after the features."""

TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json")
"""What a tokenizer is called that lies beside a file of weights."""


def published(model: str) -> tuple[Published, ...]:
    """The weights that are known for a model of the zoo, by name; none for other names."""
    return TABLE.get(model, ())


def find(name: str, family: str, spec: Spec) -> Published:
    """The weights `name` of the model whose spec this is.

    Raises:
        ZooError: there are none of that name, or they need another spec; says what there is, or the changes.
    """
    there = _candidates(family, spec)
    for entry in there:
        if entry.name == name:
            _require(entry, family, spec)
            return entry
    names = ", ".join(dict.fromkeys(entry.name for entry in there))
    known = f"there are {names}" if names else "none are published for this architecture"
    raise ZooError(f"there are no weights {name!r} and no file of that name; {known}")


def recognise(path: Path, family: str, spec: Spec) -> tuple[Published | None, list[str]]:
    """The published weights that a file at hand is, or None; and notes.

    Raises:
        ZooError: it is one that needs another spec.
    """
    for entry in _candidates(family, spec):
        for file in (copy.files[0] for copy in (*entry.files, *entry.headless)):
            if file.name != path.name:
                continue
            if fetch.mismatch(path, path.name, file.digest):
                return None, [f"{path.name} is not the published file of that name: taken as it is"]
            _require(entry, family, spec)
            return entry, []
    return None, []


def tokenizer(model: str, source: str | Path, *, offline: bool = False, progress: bool = True) -> Path | None:
    """The tokenizer that the numbers in weights belong to, with which texts must be read; None where none is known.

    That of published weights comes with them; to a file of weights belongs what lies beside it.

    Args:
        model: a name from `list_models`.
        source: a name from `published`, or the path of a file.
        offline: fetch nothing; so does the environment variable `EDGEZOO_OFFLINE=1`.
        progress: show a bar for a download, in a terminal.

    Raises:
        ZooError: it cannot be fetched.
    """
    path = Path(source).expanduser()
    if path.is_file():
        beside = (path.with_name(name) for name in TOKENIZERS)
        return next((file for file in beside if file.is_file()), None)
    entry = next((entry for entry in published(model) if entry.name == str(source)), None)
    if entry is None or not entry.tokenizer:
        return None
    return obtain(entry, name=entry.tokenizer, offline=offline, progress=progress)


def obtain(
    entry: Published, *, name: str = "", headless: bool = False, offline: bool = False, progress: bool = True
) -> Path:
    """The file of published weights, or the one called `name` that comes with them: from the cache, or fetched.

    Raises:
        ZooError: it is not there and may not or cannot be fetched; says where to put it.
    """
    copies = entry.headless if headless else entry.files
    folder = fetch.folder() / "weights" / entry.model
    file = next(file for file in copies[0].files if name in ("", file.name))
    path = folder / file.name
    if path.is_file() and file.digest is None:
        fetch.pin(folder, file)
    if fetch.sound(folder, file):
        return path
    ways = " or ".join(copy.files[0].where if copy.via == "home" else f"{copy.package} ({copy.via})" for copy in copies)
    what = f"{entry.name!r} of {entry.model}"
    put = f"get {file.name} from {ways} and put it at {path}"
    if offline or fetch.is_offline():
        there = "the file in the cache is another" if path.is_file() else "they are not in the cache"
        raise ZooError(
            f"the weights {what} cannot be had: {there} and fetching is off (offline, or EDGEZOO_OFFLINE is set); {put}"
        )
    reasons = []
    for copy in copies:
        try:
            fetch.fetch(copy, folder, progress=progress)
            return path
        except FetchError as error:
            reasons.append(str(error))
    raise ZooError(f"the weights {what} cannot be fetched: {'; '.join(reasons)}; {put}")


def other_top(entry: Published, spec: Spec) -> bool:
    """Whether `spec` has other layers after the features than the weights."""
    family, _, _ = resolve(spec)
    variant = FAMILIES[family].VARIANTS[entry.model]
    return any(getattr(spec, key) != getattr(variant, key) for key in TOPS.get(family, ()))


def _candidates(family: str, spec: Spec) -> list[Published]:
    """The weights of the variants that differ from `spec` in nothing but what is neutral, or what weights change."""
    found = []
    for variant, numbers in FAMILIES[family].VARIANTS.items():
        for entry in published(variant):
            free = [key for key in (*NEUTRAL, *TOPS.get(family, ()), *entry.changes) if hasattr(spec, key)]
            if dataclasses.replace(numbers, **{key: getattr(spec, key) for key in free}) == spec:
                found.append(entry)
    return found


def _require(entry: Published, family: str, spec: Spec) -> None:
    """`spec` has the changes that the weights need, and otherwise the variant's own values."""
    needed = dataclasses.replace(FAMILIES[family].VARIANTS[entry.model], **entry.changes)
    wrong = {key: getattr(needed, key) for key in entry.changes if getattr(spec, key) != getattr(needed, key)}
    if wrong:
        changes = ", ".join(f"{key}={value!r}" for key, value in wrong.items())
        raise ZooError(
            f"the weights {entry.name!r} of {entry.model} need {changes}: build "
            f"dataclasses.replace(zoo.spec({entry.model!r}), {changes})"
        )
