"""Answers for new examples, from the Keras model or from the file for the device: names, masks or forecasts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from recipes.engine import preprocess
from recipes.engine.errors import UserError
from recipes.engine.evaluate import Predict, softmax
from recipes.engine.files import whole
from recipes.engine.overlays import mask_picture
from recipes.engine.preprocess import Images, Language, Preprocess, Series
from recipes.engine.quiet import quiet
from recipes.engine.results import Task
from recipes.engine.sources.images import header


@dataclass(frozen=True)
class Answer:
    """What the model says of one example.

    Attributes:
        what: the file, or the text.
        ranking: class names, best first, with probabilities (softmax of the logits); of a mask, with their shares of
            the pixels.
        mask: the file that the mask was written to.
        forecast: name and values of what is forecast, in the unit of the data.
    """

    what: str
    ranking: tuple[tuple[str, float], ...] = ()
    mask: Path | None = None
    forecast: tuple[tuple[str, tuple[float, ...]], ...] = ()

    def __str__(self) -> str:
        shown = self.what if len(self.what) <= 60 else f"{self.what[:59]}…"
        said = ", ".join(f"{name} {share:.1%}" for name, share in self.ranking)
        said += "; ".join(f"{name} {' '.join(f'{value:.4g}' for value in values)}" for name, values in self.forecast)
        return f"{shown}: {said}" + (f"; mask in {self.mask}" if self.mask else "")


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
    if len(model.input_shape) == 3:
        _, steps, channels = model.input_shape
        return model.predict, Series(steps, channels, about.mean, about.std, about.labels)
    _, height, width, channels = model.input_shape
    task: Task = "segment" if len(model.output.shape) == 4 else "classify"
    return model.predict, Images(height, width, channels, about.mean, about.std, about.labels, task)


def predict(
    run_or_file: Path, examples: list[str], *, lite: bool = False, top: int = 3, output: Path = Path()
) -> list[Answer]:
    """Answer each example.

    Args:
        run_or_file: a run folder, a `.keras` or a `.tflite` file.
        examples: image files; `.csv` or `.npy` files of series; texts, or `.txt` files of them.
        lite: of a run folder, take `model.tflite`.
        top: how many classes to rank.
        output: folder that masks are written to, as `NAME_mask.png`: class indices with a palette of colours, in
            the size of the picture.

    Raises:
        UserError: an example or the model cannot be read, or a mask cannot be written; names it.
    """
    path = run_or_file
    if path.is_dir():
        path = path / ("model.tflite" if lite else "model.keras")
    elif not path.exists():
        raise UserError(f"{path} does not exist; `edgezoo list runs` shows the runs there are")
    run, prepared = lite_predict(path) if path.suffix == ".tflite" else keras_predict(path)
    if isinstance(prepared, Language):
        raise UserError(f"{path} goes on with a text; ask `edgezoo generate {run_or_file} {examples[0]!r}`")
    outputs = run(prepared(stacked([prepared.open(example) for example in examples])))
    if isinstance(prepared, Images) and prepared.task == "segment":
        masks = outputs.argmax(axis=-1).astype(np.uint8)
        pictures = [Path(example) for example in examples]
        return [
            masked(picture, mask, target, prepared, top=top)
            for picture, mask, target in zip(pictures, masks, mask_files(pictures, output), strict=True)
        ]
    if isinstance(prepared, Series) and prepared.task == "forecast":
        told = prepared.forecast(outputs)
        return [
            Answer(example, forecast=tuple(zip(prepared.classes, map(tuple, values.T.tolist()), strict=True)))
            for example, values in zip(examples, told, strict=True)
        ]
    probabilities = softmax(outputs)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return [
        Answer(example, tuple((prepared.classes[i], float(probabilities[row, i])) for i in order[row]))
        for row, example in enumerate(examples)
    ]


def stacked(opened: list[Any]) -> np.ndarray:
    """Examples as a batch; texts as an array of objects."""
    if not isinstance(opened[0], str):
        return np.stack(opened)
    batch = np.empty(len(opened), object)
    batch[:] = opened
    return batch


def mask_files(pictures: list[Path], output: Path) -> list[Path]:
    """Where the mask of each picture goes.

    Raises:
        UserError: `output` is no folder, or two pictures would share a file.
    """
    if not output.is_dir():
        raise UserError(f"there is no folder {output} to write masks to; make it, or choose another with --output")
    targets = [output / f"{picture.stem}_mask.png" for picture in pictures]
    twice = next((target for place, target in enumerate(targets) if target in targets[:place]), None)
    if twice is not None:
        raise UserError(f"two of the pictures would both write {twice}; ask for them one by one, with other --output")
    return targets


def masked(picture: Path, mask: np.ndarray, target: Path, prepared: Images, *, top: int) -> Answer:
    """Write a mask, brought to the size of its picture; give the classes by their share of the pixels.

    Raises:
        UserError: it cannot be written.
    """
    head = header(picture)
    image = mask_picture(mask, prepared.classes).resize((head.width, head.height), Image.Resampling.NEAREST)
    try:
        with whole(target) as temporary:
            image.save(temporary)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror}") from None
    shares = np.bincount(mask.ravel(), minlength=len(prepared.classes)) / mask.size
    order = np.argsort(-shares, kind="stable")[:top]
    return Answer(str(picture), tuple((prepared.classes[i], float(shares[i])) for i in order), target)
