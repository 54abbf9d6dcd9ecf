"""From the trained model to the files for the device, which are run beside it: what becomes of the model elsewhere."""

import dataclasses
import math
from pathlib import Path

import keras

import compress
import zoo
from recipes.engine import feed, generate, preprocess
from recipes.engine.errors import UserError
from recipes.engine.preprocess import Images, Preprocess, Series, Sounds
from recipes.engine.progress import console
from recipes.engine.quiet import quiet
from recipes.engine.records import Recipe
from recipes.engine.results import Examples, Task
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
    asked = recipe.export
    for finding in compress.preflight(model, quantize=asked.quantize, target=asked.target, trial=asked.trial):
        said = f"{finding.layer}: {finding.problem}; {finding.advice}"
        if finding.severity == "refused":
            raise UserError(f"the trained model would not export: {said}")
        if finding.severity == "float" and recipe.gate.full_integer:
            raise UserError(f"gate.full_integer would refuse the file: {said}")
        console.print(f"note: {said}")


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
    tests, measure = list(feed.batches(examples.test, prepared, numbers=numbers)), TASKS[examples.task].measure
    with quiet():
        artifact = compress.export(
            small,
            folder / "model.tflite",
            quantize=recipe.export.quantize,
            calibration=feed.calibration(recipe, examples, prepared),
            metadata=about,
            stream_steps=recipe.export.stream_steps,
            signatures=signatures(small, examples.task),
            target=recipe.export.target,
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
