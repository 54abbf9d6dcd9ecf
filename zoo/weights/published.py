"""Weights that somebody published: what they were trained on, how to feed them, where they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.fetch import Copy

Shape = tuple[int, ...]
Channels = tuple[float, ...]

NEUTRAL = ("dropout", "drop_connect", "layer_dropout", "attention_dropout")
"""Fields of a spec that change training only."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """Weights with a name.

    Attributes:
        name: what `load` calls them.
        model: the variant of the zoo that they are for.
        classes: of their head; 0 where they have none.
        input_shape: `(height, width, channels)` of the images, or `(steps,)` of the texts, that they were trained or
            published for.
        mean: of each channel, red first, on the scale 0-255: the model reads `(pixel - mean) / std`; None for texts.
        std: of each channel, likewise.
        changes: fields of the variant's spec that must have other values for these weights.
        files: ways to get them, in the order they are tried.
        headless: ways to get them without a head, for another number of classes; empty where there is no such file.
        bgr: their first kernel reads blue first; `load` turns it round.
        tokenizer: which of their files is the tokenizer of the texts that they read; empty where they read none.
        licence: who may do what.
        source: who published them.
    """

    name: str
    model: str
    classes: int = 1000
    input_shape: Shape = (224, 224, 3)
    mean: Channels | None = None
    std: Channels | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Copy, ...]
    headless: tuple[Copy, ...] = ()
    bgr: bool = False
    tokenizer: str = ""
    licence: str
    source: str
