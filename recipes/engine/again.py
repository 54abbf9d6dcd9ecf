"""A finished run once more: judged anew, or exported in another number format."""

import dataclasses
from pathlib import Path

import keras
from rich.table import Table

import compress
from recipes.engine import data, feed, runs, shipping, smaller
from recipes.engine.errors import UserError
from recipes.engine.predict import keras_predict, lite_predict
from recipes.engine.preprocess import Images, Preprocess
from recipes.engine.progress import console
from recipes.engine.quiet import quiet
from recipes.engine.records import Quantize, Recipe
from recipes.engine.results import LABELS, MEASURES, Evaluation, Examples, Subset
from recipes.engine.tasks import TASKS


def evaluate_again(folder: Path, source: str | None) -> None:
    """Print the score, other figures and the loss of each model file of a run, on validation and test data.

    Args:
        folder: the run's folder.
        source: another data source with the same classes, of which all examples are judged; None is the run's own.

    Raises:
        UserError: the run is not finished, or the source has other classes.
    """
    recipe = runs.read_recipe(folder)
    models = {"model.keras": keras_predict(folder / "model.keras")}
    if (folder / "model.tflite").exists():
        models["model.tflite"] = lite_predict(folder / "model.tflite")
    prepared = models["model.keras"][1]
    splits = subsets(fitting(recipe, prepared, source), whole=source is not None)
    table = Table("model", "split", "examples")
    for name, (predict, normalise) in models.items():
        for split, subset in splits.items():
            result = TASKS[prepared.task].evaluate(predict, subset, normalise, split=split)
            for heading in figures(result) if len(table.columns) == 3 else ():
                table.add_column(heading)
            table.add_row(name, split, str(result.examples), *(f"{value:.4f}" for value in figures(result).values()))
    console.print(table)


def figures(result: Evaluation) -> dict[str, float]:
    """Heading → figure of an evaluation."""
    found = {LABELS.get(name, name): value for name, value in result.figures.items()} | {"loss": result.loss}
    if result.classes:
        found["macro F1"] = sum(score.f1 for score in result.classes) / len(result.classes)
    return found


def fitting(recipe: Recipe, prepared: Preprocess, source: str | None) -> Examples:
    """The run's data, or `source` brought to the size and channels that the model was trained with.

    Raises:
        UserError: its classes are not the model's.
    """
    record = recipe.data
    if source is not None:
        record = dataclasses.replace(record, source=source, limit=None)
        if isinstance(prepared, Images):
            square = prepared.height if prepared.height == prepared.width else record.size
            record = dataclasses.replace(record, size=square, color="grey" if prepared.channels == 1 else "rgb")
    examples = data.load(record)
    if (examples.task, examples.modality) != (prepared.task, prepared.modality):
        raise UserError(
            f"{record.source} does not hold what the model answers: it is {examples.modality} data to "
            f"{examples.task}, and the model was trained on {prepared.modality} data to {prepared.task}"
        )
    if examples.classes != prepared.classes:
        raise UserError(
            f"{record.source} has the classes {', '.join(examples.classes)}; the model was trained on "
            f"{', '.join(prepared.classes)}"
        )
    return examples


def subsets(examples: Examples, *, whole: bool) -> dict[str, Subset]:
    """What is judged: validation and test of the run's own data, every split of another source."""
    splits = examples.splits()
    return splits if whole else {name: splits[name] for name in ("validation", "test")}


def export_again(folder: Path, quantize: Quantize, path: Path) -> None:
    """Export the model of a run to `path` and verify it on the test split.

    Raises:
        UserError: the run is not finished.
        compress.CompressError: the model cannot be exported so.
    """
    recipe = runs.read_recipe(folder)
    trained = folder / (smaller.FILE if smaller.changes(recipe) else "model.keras")
    if recipe.compress.quantize_aware and quantize == recipe.export.quantize:
        trained = folder / "model_qat.keras"
    _, prepared = keras_predict(trained)
    model = keras.models.load_model(trained, compile=False)
    examples = fitting(recipe, prepared, None)
    with quiet():
        artifact = compress.export(
            model,
            path,
            quantize=quantize,
            calibration=feed.calibration(recipe, examples, prepared),
            metadata=shipping.metadata(recipe, prepared, summary=runs.read_manifest(folder)["summary"]),
            stream_steps=recipe.export.stream_steps,
            signatures=shipping.signatures(model, prepared.task),
            target=recipe.export.target if quantize == recipe.export.quantize else "cpu",
        )
        checked = compress.verify(
            artifact,
            model,
            feed.batches(examples.test, prepared),
            measure=TASKS[prepared.task].measure,
            classes=prepared.task != "forecast",
        )
    compared = "the pixels of " if prepared.task == "segment" else ""
    same = "" if checked.agreement is None else f"agrees with {trained.name} on {checked.agreement:.2%} of {compared}"
    console.print(
        f"{path}: {artifact.bytes / 1024:.1f} KiB, test {LABELS[MEASURES[prepared.task]]} {checked.lite_score:.2%}, "
        f"{same}{checked.samples} test examples, {checked.latency_ms:.3f} ms"
    )
