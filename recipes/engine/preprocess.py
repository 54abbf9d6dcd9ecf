"""From a picture to what the model reads; stored inside `model.keras` so that the file is enough to predict."""

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

import zoo
from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.results import Examples, Task
from recipes.engine.sources.images import to_array

MEMBER = "edgezoo.json"


@dataclass(frozen=True)
class Preprocess:
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

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Normalise images 0-255 `(batch, height, width, channels)` to float32 of the same shape."""
        return (images.astype(np.float32) - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)

    def open(self, path: str | Path) -> np.ndarray:
        """Read a picture as uint8 `(height, width, channels)`, resized as the training pictures were.

        Raises:
            UserError: the file is missing or is no picture.
        """
        return to_array(Path(path), size=(self.height, self.width), channels=self.channels)


def fit(data: Data, examples: Examples, *, belongs: zoo.weights.Loaded | None = None) -> Preprocess:
    """The preprocessing of a recipe.

    Published weights bring their own, since they mean nothing on other numbers. Otherwise `unit` is pixel / 255 and
    `standard` has mean and deviation of the training split.
    """
    height, width, channels = examples.shape
    mean, std = np.zeros(channels), np.full(channels, 255.0)
    if data.normalize == "standard":
        pixels = examples.train.inputs.reshape(-1, channels)
        mean, std = pixels.mean(axis=0), np.maximum(pixels.std(axis=0), 1.0)
    if belongs is not None and belongs.mean is not None and belongs.std is not None:
        mean, std = np.array(belongs.mean), np.array(belongs.std)
    return Preprocess(
        height=height,
        width=width,
        channels=channels,
        mean=tuple(float(v) for v in mean),
        std=tuple(float(v) for v in std),
        classes=examples.classes,
        task=examples.task,
    )


def attach(preprocess: Preprocess, model_file: Path) -> None:
    """Put the preprocessing into a `.keras` file (a zip archive; Keras reads only its own members)."""
    with zipfile.ZipFile(model_file, "a") as archive:
        archive.writestr(MEMBER, json.dumps(asdict(preprocess)))


def read(model_file: Path) -> Preprocess:
    """The preprocessing inside a `.keras` file.

    Raises:
        UserError: the file is missing, is no `.keras` file, or was not written by edgezoo.
    """
    try:
        with zipfile.ZipFile(model_file) as archive:
            values = json.loads(archive.read(MEMBER))
    except FileNotFoundError:
        raise UserError(f"{model_file} does not exist; is the run finished? `edgezoo list runs` shows") from None
    except zipfile.BadZipFile:
        raise UserError(f"{model_file} is not a .keras file") from None
    except KeyError:
        raise UserError(f"{model_file} holds no preprocessing, so it was not written by an edgezoo run") from None
    return TypeAdapter(Preprocess).validate_python(values)
