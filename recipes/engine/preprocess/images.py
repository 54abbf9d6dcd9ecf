"""Pictures: their size, and the normalisation of their pixels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recipes.engine.records import Data
from recipes.engine.results import Examples, Modality, Task
from recipes.engine.sources.images import to_array


@dataclass(frozen=True)
class Images:
    """Size and normalisation of the input, names of the outputs.

    Attributes:
        height: pixels.
        width: pixels.
        channels: 1 (grey) or 3 (RGB).
        mean: one value a channel, on the 0-255 scale.
        std: likewise; the model reads `(pixel - mean) / std`.
        classes: names of the outputs, in order.
        task: what the outputs are.
    """

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    task: Task = "classify"
    modality: Modality = "image"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example, as the model reads it."""
        return self.height, self.width, self.channels

    @property
    def outputs(self) -> int | None:
        """How many numbers the model answers with, of an image or of each of its pixels."""
        return len(self.classes)

    @property
    def changes(self) -> dict[str, Any]:
        """Fields of the spec that the data decides: none."""
        return {}

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Normalise images 0-255 `(batch, height, width, channels)` to float32 of the same shape."""
        return (inputs.astype(np.float32) - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)

    def open(self, what: str) -> np.ndarray:
        """Read a picture as uint8 `(height, width, channels)`, resized as the training pictures were.

        Raises:
            UserError: the file is missing or is no picture.
        """
        return to_array(Path(what), size=(self.height, self.width), channels=self.channels)


def fit(data: Data, examples: Examples) -> Images:
    """The preprocessing of pictures: `unit` is pixel / 255, `standard` has mean and deviation of the training split."""
    height, width, channels = examples.shape
    mean, std = np.zeros(channels), np.full(channels, 255.0)
    if data.normalize == "standard":
        pixels = examples.train.inputs.reshape(-1, channels)
        mean, std = pixels.mean(axis=0), np.maximum(pixels.std(axis=0), 1.0)
    return Images(
        height=height,
        width=width,
        channels=channels,
        mean=tuple(float(v) for v in mean),
        std=tuple(float(v) for v in std),
        classes=examples.classes,
        task=examples.task,
    )
