"""Weights that somebody published: what they were trained on, how to feed them, where they are."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.contract import Spec
from zoo.errors import ZooError
from zoo.families import FAMILIES
from zoo.fetch import Copy

Shape = tuple[int, int, int]
Channels = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Published:
    """Weights with a name.

    Attributes:
        name: what `load` calls them.
        model: the variant of the zoo that they are for.
        classes: of their head.
        input_shape: `(height, width, channels)` of the images that they were trained or published for.
        mean: of each channel, red first, on the scale 0-255: the model reads `(pixel - mean) / std`.
        std: of each channel, likewise.
        changes: fields of the variant's spec that must have other values for these weights.
        files: ways to get them, in the order they are tried.
        headless: ways to get them without a head, for another number of classes; empty where there is no such file.
        bgr: their first kernel reads blue first; `load` turns it round.
        licence: who may do what.
        source: who published them.
    """

    name: str
    model: str
    classes: int = 1000
    input_shape: Shape = (224, 224, 3)
    mean: Channels
    std: Channels
    changes: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Copy, ...]
    headless: tuple[Copy, ...] = ()
    bgr: bool = False
    licence: str
    source: str


NEUTRAL = ("dropout", "drop_connect")
"""Fields of a spec that change training only."""

TOPS = {"vgg": ("top", "fc")}
"""Family → fields of what comes after the features."""


def find(name: str, family: str, spec: Spec, table: Mapping[str, tuple[Published, ...]]) -> Published:
    """The weights `name` of the model whose spec this is.

    Raises:
        ZooError: there are none of that name, or they need another spec; says what there is, or the changes.
    """
    neutral = {key for key in (*NEUTRAL, *TOPS.get(family, ())) if hasattr(spec, key)}
    bare = {key: getattr(spec, key) for key in neutral}
    near: list[Published] = []
    for variant, numbers in FAMILIES[family].VARIANTS.items():
        for entry in table.get(variant, ()):
            needed = dataclasses.replace(numbers, **bare, **{k: v for k, v in entry.changes.items() if k not in bare})
            if needed == spec and entry.name == name:
                return entry
            if _closest(needed, spec, entry):
                near.append(entry)
    for entry in near:
        if entry.name == name:
            changes = ", ".join(f"{field}={value!r}" for field, value in entry.changes.items())
            raise ZooError(
                f"the weights {name!r} of {entry.model} need {changes}: build "
                f"dataclasses.replace(zoo.spec({entry.model!r}), {changes})"
            )
    names = ", ".join(dict.fromkeys(entry.name for entry in near))
    there = f"there are {names}" if names else "none are published for this architecture"
    raise ZooError(f"there are no weights {name!r} and no file of that name; {there}")


def _closest(needed: Spec, spec: Spec, entry: Published) -> bool:
    """Whether the two differ in nothing but the changes that the weights need."""
    same = {key: getattr(spec, key) for key in entry.changes}
    return dataclasses.replace(needed, **same) == spec
