"""Load weights into a model that is built: found, fetched, checked, placed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import safetensors

from zoo.contract import Spec
from zoo.errors import ZooError
from zoo.models import resolve
from zoo.weights import first_kernel, h5, place, pth, table, torch_names
from zoo.weights.first_kernel import Scale
from zoo.weights.place import Given
from zoo.weights.published import Channels, Published


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


def load(model: keras.Model, source: str | Path, *, spec: Spec, offline: bool = False, progress: bool = True) -> Loaded:
    """Load weights into a model of the zoo, in place; after an error it is as it was.

    A head for another number of classes stays new. Published weights read red, green and blue; for an image of
    another number of channels the first kernel is adapted. Any image size will do, except where features are
    flattened.

    Args:
        model: from `zoo.build`.
        source: a name from `published`, or the path of a file: `.h5` of `keras.applications`, `.weights.h5` or
            `.keras` of a model of the zoo, `.pth` or `.safetensors` with names known for the family.
        spec: what the model was built from.
        offline: fetch nothing; so does the environment variable `EDGEZOO_OFFLINE=1`.
        progress: show a bar for a download, in a terminal.

    Raises:
        ZooError: there are no such weights, they cannot be fetched, or they do not fit.
    """
    family, _, _ = resolve(spec)
    path = Path(source).expanduser()
    notes: list[str] = []
    if path.is_file():
        entry, notes = table.recognise(path, family, spec)
    elif path.suffix or len(path.parts) > 1:
        raise ZooError(f"there is no file {path}")
    else:
        entry = table.find(str(source), family, spec)
        headless = _headless(model, entry, spec)
        if not headless:
            _require_size(model, entry)
        path = table.obtain(entry, headless=headless, offline=offline, progress=progress)
    with _tensors(model, family, path) as (given, extra):
        new = place.new_layers(model, given)
        place.check(model, given, extra, file=path.name, but=new)
        arrays = place.values(model, given, but=new)
    if entry and entry.bgr:
        first_kernel.turn_round(model, arrays)
    scale, more = first_kernel.channels(model, arrays, _scale(entry))
    place.assign(model, arrays)
    return Loaded(
        published=entry,
        mean=scale.mean if scale else None,
        std=scale.std if scale else None,
        taken=tuple(arrays),
        new=tuple(new),
        notes=(*notes, *more),
    )


def _scale(entry: Published | None) -> Scale | None:
    return Scale(entry.mean, entry.std) if entry and entry.mean and entry.std else None


def _headless(model: keras.Model, entry: Published, spec: Spec) -> bool:
    """Whether there is a file without a head, and it has all that the model can use."""
    if not entry.headless:
        return False
    other_classes = model.get_layer("head").kernel.shape[1] != entry.classes
    return table.other_top(entry, spec) or (other_classes and place.tail(model) == ["head"])


def _require_size(model: keras.Model, entry: Published) -> None:
    """Before half a gigabyte is fetched: flattened features have the size of the weights' images."""
    sizes = model.input_shape[1:3], entry.input_shape[:2]
    if sizes[0] != sizes[1] and any(isinstance(layer, keras.layers.Flatten) for layer in model.layers):
        (height, width), (wanted_height, wanted_width) = sizes
        raise ZooError(
            f"{model.name} flattens its features, so the weights {entry.name!r} fit images of {wanted_height} x "
            f"{wanted_width} only, not {height} x {width}: build with that size, or with a top that pools"
        )


@contextmanager
def _tensors(model: keras.Model, family: str, path: Path) -> Iterator[tuple[Given, list[str]]]:
    """The tensors of a file for our layers, and the names of those that belong to none."""
    with path.open("rb") as stream:
        start = stream.read(8)
    if start == b"\x89HDF\r\n\x1a\n" or path.suffix == ".keras":
        with h5.opened(path) as file:
            yield h5.given(model, file, name=path.name)
    elif path.suffix == ".safetensors":
        try:
            with safetensors.safe_open(path, framework="np") as archive:
                # The archive has keys() and is no mapping.
                tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
        except safetensors.SafetensorError as error:
            raise ZooError(f"{path} is damaged or incomplete: {error}") from None
        yield torch_names.given(model, family, tensors, file=path.name)
    elif start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":
        yield torch_names.given(model, family, pth.read(path), file=path.name)
    else:
        raise ZooError(f"{path} is no file of weights that is known: .h5, .weights.h5, .keras, .pth or .safetensors")
