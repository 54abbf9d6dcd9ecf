"""Answers for pictures, from the Keras model or from the file for the device."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recipes.engine import preprocess
from recipes.engine.errors import UserError
from recipes.engine.evaluate import Predict, softmax
from recipes.engine.preprocess import Preprocess
from recipes.engine.quiet import quiet


@dataclass(frozen=True)
class Answer:
    """What the model says of one picture: class names with probabilities (softmax of the logits), best first."""

    path: Path
    ranking: tuple[tuple[str, float], ...]


def keras_predict(path: Path) -> tuple[Predict, Preprocess]:
    """A predict function and the preprocessing of a `.keras` file written by a run.

    Raises:
        UserError: the file is missing, damaged, or was not written by edgezoo.
    """
    prepared = preprocess.read(path)
    import keras

    import compress  # noqa: F401  its layers must be known before a quantization-aware model loads

    try:
        model = keras.models.load_model(path, compile=False)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise UserError(f"{path} cannot be loaded: {str(error).splitlines()[0]}") from None
    return lambda x: np.asarray(model.predict(x, verbose=0, batch_size=64)), prepared


def lite_predict(path: Path) -> tuple[Predict, Preprocess]:
    """The same for a `.tflite` file; size, normalisation and labels are read from the file itself.

    Raises:
        UserError: the file carries no metadata.
        compress.CompressError: it is missing or is no `.tflite` file.
    """
    import compress

    with quiet():
        model = compress.LiteModel(path)
    about = model.metadata
    if about is None or not about.labels:
        raise UserError(f"{path} carries no labels and normalisation; export it with `edgezoo export RUN`")
    _, height, width, channels = model.input_shape
    return model.predict, Preprocess(height, width, channels, about.mean, about.std, about.labels)


def predict(run_or_file: Path, pictures: list[Path], *, lite: bool = False, top: int = 3) -> list[Answer]:
    """Answer each picture.

    Args:
        run_or_file: a run folder, a `.keras` or a `.tflite` file.
        pictures: image files.
        lite: of a run folder, take `model.tflite`.
        top: how many classes to rank.

    Raises:
        UserError: a picture or the model cannot be read; names it.
    """
    path = run_or_file
    if path.is_dir():
        path = path / ("model.tflite" if lite else "model.keras")
    elif not path.exists():
        raise UserError(f"{path} does not exist; `edgezoo list runs` shows the runs there are")
    run, prepared = lite_predict(path) if path.suffix == ".tflite" else keras_predict(path)
    images = np.stack([prepared.open(picture) for picture in pictures])
    probabilities = softmax(run(prepared(images)))
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return [
        Answer(picture, tuple((prepared.classes[i], float(probabilities[row, i])) for i in order[row]))
        for row, picture in enumerate(pictures)
    ]
