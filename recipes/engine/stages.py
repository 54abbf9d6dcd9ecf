"""The stages between data and report, each a plain function from records to the next record."""

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

import compress
import zoo
from recipes.engine import feed, generate, preprocess, train, transfer
from recipes.engine.errors import UserError
from recipes.engine.files import whole, write_json
from recipes.engine.preprocess import Images, Preprocess, Series, Sounds
from recipes.engine.progress import console
from recipes.engine.quiet import quiet
from recipes.engine.records import Recipe
from recipes.engine.results import Evaluation, Examples, History, Shown, Subset, Task
from recipes.engine.tasks import TASKS

OUTPUTS: dict[Task, str] = {"forecast": "deviations from the mean of the training data"}
"""What the numbers that come out are, where they are no logits."""


@dataclasses.dataclass(frozen=True)
class Shipped:
    """The file for the device and its float32 twin, both run on the test split beside their Keras models."""

    artifact: compress.Artifact
    verification: compress.Verification
    float_artifact: compress.Artifact
    float_verification: compress.Verification


def preflight(model: keras.Model, recipe: Recipe) -> None:
    """Say, before anything is trained, what of the model will not export as the recipe asks.

    Raises:
        UserError: there would be no file, or none that the gate lets pass.
    """
    for finding in compress.preflight(model, quantize=recipe.export.quantize, trial=recipe.export.trial):
        said = f"{finding.layer}: {finding.problem}; {finding.advice}"
        if finding.severity == "refused":
            raise UserError(f"the trained model would not export: {said}")
        if finding.severity == "float" and recipe.gate.full_integer:
            raise UserError(f"gate.full_integer would refuse the file: {said}")
        console.print(f"note: {said}")


def class_weights(recipe: Recipe, examples: Examples) -> np.ndarray | None:
    """One weight a class where the recipe balances by weights."""
    if recipe.data.balance == "none":
        return None
    return TASKS[examples.task].weights(examples.train.labels, len(examples.classes))


def trained(
    model: keras.Model, recipe: Recipe, examples: Examples, prepared: Preprocess, folder: Path
) -> tuple[keras.Model, tuple[History, ...]]:
    """The trained float model, kept as `model.keras`, and the curves of each phase.

    Each phase starts from the best weights so far: where none of its epochs was better, it leaves nothing behind.
    """
    path, phases = folder / "model.keras", transfer.plan(recipe)
    if path.exists():
        histories = [read_history(story(folder, step)) for step in phases]
        return keras.models.load_model(path, compile=False), tuple(histories)
    histories, best = [], -math.inf
    for step in phases:
        before = model.get_weights()
        model, history = phase(
            model, recipe=recipe, step=step, examples=examples, prepared=prepared, path=folder / f".{step.name}.keras"
        )
        reached = history.best
        if reached < best:
            model.set_weights(before)
            history = dataclasses.replace(history, note=f"{step.note}; no epoch was better than before")
            write_json(story(folder, step), dataclasses.asdict(history))
        best = max(best, reached)
        histories.append(history)
    for layer in model.layers:
        layer.trainable = True
    keep(model, path, prepared)
    for step in phases:
        (folder / f".{step.name}.keras").unlink()
    return model, tuple(histories)


def compressed(
    model: keras.Model, recipe: Recipe, examples: Examples, prepared: Preprocess, folder: Path
) -> tuple[keras.Model, tuple[History, ...]]:
    """The model to export: fine-tuned with fake quantization where the recipe says so, kept as `model_qat.keras`."""
    if not recipe.compress.quantize_aware:
        return model, ()
    settings = train.fine_tuning(recipe.train, epochs=recipe.compress.epochs, lr=recipe.compress.lr)
    keras.utils.set_random_seed(settings.seed)
    small = compress.quantize_aware(model, calibration=list(calibration(recipe, examples, prepared)))
    step = transfer.Phase("quantize", "", settings)
    small, history = phase(
        small, recipe=recipe, step=step, examples=examples, prepared=prepared, path=folder / "model_qat.keras"
    )
    return small, (history,)


def phase(
    model: keras.Model,
    *,
    recipe: Recipe,
    step: transfer.Phase,
    examples: Examples,
    prepared: Preprocess,
    path: Path,
) -> tuple[keras.Model, History]:
    """Train `model` into the file `path`, or read that file if the phase is already done."""
    told = story(path.parent, step)
    if path.exists() and told.exists():
        return keras.models.load_model(path, compile=False), read_history(told)
    transfer.open_up(model, step)
    history = train.fit(
        model,
        examples,
        prepared,
        train=transfer.with_rate(step, model, recipe, examples, prepared, path.parent),
        augmentation=recipe.augment,
        weights=class_weights(recipe, examples),
        macs=zoo.macs(model),
        folder=path.parent,
        phase=step.name,
        layer_decay=step.decay,
    )
    history = dataclasses.replace(history, note=step.note)
    write_json(told, dataclasses.asdict(history))
    keep(model, path, prepared)
    (path.parent / f"{step.name}.checkpoint.npz").unlink()
    return model, history


def keep(model: keras.Model, path: Path, prepared: Preprocess) -> None:
    """Write a model to `path`, with its preprocessing and without its optimizer."""
    with whole(path) as temporary:
        keras.Model(model.inputs, model.outputs, name=model.name).save(temporary)
        preprocess.attach(prepared, temporary)


def story(folder: Path, step: transfer.Phase) -> Path:
    """Where the curves of a phase are kept."""
    return folder / f"{step.name}.history.json"


def read_history(path: Path) -> History:
    """The curves of a finished phase."""
    return History(**json.loads(path.read_text(encoding="utf-8")))


def judge(model: keras.Model, examples: Examples, prepared: Preprocess) -> tuple[Evaluation, Evaluation]:
    """The evaluations on validation and on test data."""

    def predict(x: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict(x, batch_size=128, verbose=0))

    evaluate = TASKS[examples.task].evaluate
    validation = evaluate(predict, examples.validation, prepared, split="validation")
    return validation, evaluate(predict, examples.test, prepared, split="test")


def drawn(model: keras.Model, examples: Examples, prepared: Preprocess, test: Evaluation) -> tuple[Shown, ...]:
    """Test images with the model's masks, for the report; none where an answer is a name."""

    def predict(x: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict_on_batch(x))

    return TASKS[examples.task].shown(predict, examples.test, prepared, test)


def calibration(recipe: Recipe, examples: Examples, prepared: Preprocess) -> Iterator[np.ndarray]:
    """Batches of plain training examples, drawn with the recipe's seed."""
    inputs, targets = feed.rows(examples.train, prepared)
    count = min(recipe.export.calibration, len(targets))
    chosen = np.random.default_rng(recipe.train.seed).permutation(len(targets))[:count]
    for start in range(0, count, 32):
        yield feed.ready(feed.taken(inputs, chosen[start : start + 32]), prepared)


def batches(
    subset: Subset, prepared: Preprocess, *, numbers: int = 1, most: int = 2**27
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """A split as the model reads it, in batches, with what it should answer.

    Args:
        subset: the split.
        prepared: how it is read.
        numbers: how many the model answers with for one example.
        most: the examples end where the answers would be more numbers than this, which are half a gigabyte.
    """
    inputs, targets = feed.rows(subset, prepared)
    count = min(len(targets), max(most // numbers, 1))
    for start in range(0, count, 64):
        part = slice(start, min(start + 64, count))
        yield feed.ready(feed.taken(inputs, part), prepared), targets[part]


def ship(
    model: keras.Model,
    small: keras.Model,
    recipe: Recipe,
    examples: Examples,
    prepared: Preprocess,
    folder: Path,
    *,
    summary: str,
) -> Shipped:
    """Export the file for the device and its float32 twin; run both on the test split beside their Keras models."""
    console.print(f"export {recipe.export.quantize} and verify on {len(examples.test)} test examples …")
    about, classes = metadata(recipe, prepared, summary=summary), examples.task != "forecast"
    numbers = math.prod(model.output_shape[1:])
    tests, measure = list(batches(examples.test, prepared, numbers=numbers)), TASKS[examples.task].measure
    with quiet():
        artifact = compress.export(
            small,
            folder / "model.tflite",
            quantize=recipe.export.quantize,
            calibration=calibration(recipe, examples, prepared),
            metadata=about,
            stream_steps=recipe.export.stream_steps,
            signatures=signatures(small, examples.task),
        )
        float_artifact = compress.export(model, folder / "model_float32.tflite", quantize="none", metadata=about)
        if isinstance(
            prepared, Sounds
        ):  # from samples to the spectrogram, in float: the device runs one after the other
            compress.export(prepared.frontend, folder / "frontend.tflite", quantize="none")
        return Shipped(
            artifact=artifact,
            verification=compress.verify(artifact, small, tests, measure=measure, classes=classes),
            float_artifact=float_artifact,
            float_verification=compress.verify(float_artifact, model, tests, measure=measure, classes=classes),
        )


def signatures(model: keras.Model, task: Task) -> dict[str, keras.Model]:
    """Further models in the file: of one that goes on with texts, what reads a token and remembers those before it."""
    return {generate.STEP: zoo.stepped(compress.strip(model)).step} if task == "generate" else {}


def metadata(recipe: Recipe, prepared: Preprocess, *, summary: str) -> compress.Metadata:
    """What the file says of itself: labels in order, and the normalisation of its input."""
    scale = (prepared.mean, prepared.std) if isinstance(prepared, Images | Series) else ((0.0,), (1.0,))
    outputs = OUTPUTS.get(prepared.task, "logits")
    return compress.Metadata(
        name=recipe.name,
        description=f"{summary} {recipe.model.name} by edgezoo; the outputs are {outputs}.".strip(),
        labels=prepared.classes,
        mean=scale[0],
        std=scale[1],
        files=preprocess.files(prepared),
    )
