"""Answers for new examples, from the Keras model or from the file for the device: names, masks, forecasts, texts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import zoo
from recipes.engine import preprocess
from recipes.engine.errors import UserError
from recipes.engine.evaluate import Predict, softmax
from recipes.engine.files import whole
from recipes.engine.overlays import mask_picture
from recipes.engine.preprocess import Images, Language, Pairs, Preprocess, Series, Texts, Words
from recipes.engine.quiet import quiet
from recipes.engine.results import Task
from recipes.engine.sources.images import header
from recipes.engine.wording import many

INPUTS: dict[Task, tuple[str, str]] = {"embed": ("words", "candidates"), "translate": ("source", "target")}
"""What the models of two inputs call them."""


@dataclass(frozen=True)
class Answer:
    """What the model says of one example.

    Attributes:
        what: the file, or the text.
        ranking: class names, best first, with probabilities (softmax of the logits); of a mask, with their shares of
            the pixels.
        mask: the file that the mask was written to.
        forecast: name and values of what is forecast, in the unit of the data.
        text: the translation.
        note: what should be known of the example.
        is_text: whether `what` is a text, of which a line is shown.
    """

    what: str
    ranking: tuple[tuple[str, float], ...] = ()
    mask: Path | None = None
    forecast: tuple[tuple[str, tuple[float, ...]], ...] = ()
    text: str = ""
    note: str = ""
    is_text: bool = False

    def __str__(self) -> str:
        shown = self.what
        if self.is_text:
            shown = " ".join(shown.split())
            shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
        said = self.text + ", ".join(f"{name} {share:.1%}" for name, share in self.ranking)
        said += "; ".join(f"{name} {' '.join(f'{value:.4g}' for value in values)}" for name, values in self.forecast)
        said += f"; mask in {self.mask}" if self.mask else ""
        return f"{shown}: {said}" + (f" ({self.note})" if self.note else "")


def keras_model(path: Path) -> tuple[Any, Preprocess]:
    """The Keras model and the preprocessing of a `.keras` file written by a run.

    Raises:
        UserError: the file is missing, damaged, or was not written by edgezoo.
    """
    prepared = preprocess.read(path)
    import keras

    import compress  # noqa: F401  its layers must be known before a quantization-aware model loads
    import zoo.families  # noqa: F401  and those of the zoo, which is lazy

    try:
        return keras.models.load_model(path, compile=False), prepared
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise UserError(f"{path} cannot be loaded: {str(error).splitlines()[0]}") from None


def keras_predict(path: Path) -> tuple[Predict, Preprocess]:
    """A predict function and the preprocessing of a `.keras` file; raises as `keras_model` does."""
    model, prepared = keras_model(path)
    return lambda x: np.asarray(model.predict(x, verbose=0, batch_size=64)), prepared


def lite_predict(path: Path) -> tuple[Predict, Preprocess]:
    """The same for a `.tflite` file.

    Raises:
        UserError: the file does not say how it is fed.
        compress.CompressError: it is missing or is no `.tflite` file.
    """
    import compress

    with quiet():
        model = compress.LiteModel(path)
    about = model.metadata
    prepared = preprocess.from_files(about.files) if about else None
    if isinstance(prepared, Words | Pairs):
        names = INPUTS[prepared.task]
        return lambda x: model.run(dict(zip(names, x, strict=True)))[model.output.name], prepared
    if prepared is not None:
        return model.predict, prepared
    if about is None or not about.labels or len(model.input_shape) != 4:
        raise UserError(f"{path} does not say how it is fed and what it answers; export it with `edgezoo export RUN`")
    _, height, width, channels = model.input_shape
    task: Task = "segment" if len(model.output.shape) == 4 else "classify"
    return model.predict, Images(height, width, channels, about.mean, about.std, about.labels, task)


def predict(
    run_or_file: Path, examples: list[str], *, lite: bool = False, top: int = 3, output: Path = Path()
) -> list[Answer]:
    """Answer each example.

    Args:
        run_or_file: a run folder, a `.keras` or a `.tflite` file.
        examples: image files; `.csv` or `.npy` files of series; `.wav` files; texts, or `.txt` files of them.
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
    if path.suffix != ".tflite" and isinstance(preprocess.read(path), Pairs):
        return translated(path, examples)
    run, prepared = lite_predict(path) if path.suffix == ".tflite" else keras_predict(path)
    if isinstance(prepared, Language):
        raise UserError(f"{path} goes on with a text; ask `edgezoo generate {run_or_file} TEXT`")
    if isinstance(prepared, Words):
        raise UserError(f"{path} has vectors of words; ask `edgezoo neighbours {run_or_file} WORD`")
    if isinstance(prepared, Pairs):
        raise UserError(f"{path} tells one token at a time; ask for translations without --lite, of the run's folder")
    batch = stacked([prepared.open(example) for example in examples])
    outputs = run(prepared(batch))
    if isinstance(prepared, Images) and prepared.task == "segment":
        masks = outputs.argmax(axis=-1).astype(np.uint8)
        pictures = [Path(example) for example in examples]
        return [
            masked(picture, mask, target, prepared, top=top)
            for picture, mask, target in zip(pictures, masks, mask_files(pictures, output), strict=True)
        ]
    if isinstance(prepared, Series) and prepared.task == "forecast":
        told = prepared.forecast(outputs, batch)
        return [
            Answer(example, forecast=tuple(zip(prepared.classes, map(tuple, values.T.tolist()), strict=True)))
            for example, values in zip(examples, told, strict=True)
        ]
    probabilities = softmax(outputs)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    notes = [unknown(text, prepared) for text in batch] if isinstance(prepared, Texts) else [""] * len(examples)
    return [
        Answer(
            example,
            tuple((prepared.classes[i], float(probabilities[row, i])) for i in order[row]),
            note=note,
            is_text=isinstance(prepared, Texts),
        )
        for row, (example, note) in enumerate(zip(examples, notes, strict=True))
    ]


def translated(path: Path, examples: list[str]) -> list[Answer]:
    """The translation of each text, by beam search; raises as `predict` does."""
    model, prepared = keras_model(path)
    assert isinstance(prepared, Pairs)
    texts = stacked([prepared.open(example) for example in examples])
    (start, end), answers = prepared.ends, []
    for example, text, source in zip(examples, texts, prepared(texts), strict=True):
        told = zoo.translate(model, source, start=start, end=end)
        answers.append(Answer(example, is_text=True, text=prepared.tokens.decode(told), note=unknown(text, prepared)))
    return answers


def unknown(text: str, prepared: Texts | Pairs) -> str:
    """A note on how much of a text the tokenizer does not know; nothing where it knows all."""
    count, total = prepared.tokens.unknowns([text])
    return f"{count:,} of its {many(total, 'token')} unknown to the tokenizer" if count else ""


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
