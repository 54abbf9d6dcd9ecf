"""The stages between data and report, each a plain function from records to the next record."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

import compress
import zoo
from recipes.engine import feed, preprocess, train, transfer
from recipes.engine.files import whole, write_json
from recipes.engine.preprocess import Preprocess
from recipes.engine.quiet import quiet
from recipes.engine.records import Recipe
from recipes.engine.results import Evaluation, Examples, History, Shown
from recipes.engine.tasks import TASKS


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
    histories = []
    for step in phases:
        model, history = phase(
            model,
            recipe=recipe,
            step=step,
            examples=examples,
            prepared=prepared,
            path=folder / f".{step.name}.keras",
            start=bool(histories),
        )
        histories.append(history)
    for layer in model.layers:
        layer.trainable = True
    keep(model, path, prepared)
    for step in phases:
        (folder / f".{step.name}.keras").unlink()
    return model, tuple(histories)


def compressed(
    model: keras.Model,
    recipe: Recipe,
    examples: Examples,
    prepared: Preprocess,
    folder: Path,
    *,
    teacher: keras.Model,
) -> tuple[keras.Model, tuple[History, ...]]:
    """The model to export: fine-tuned with fake quantization where the recipe says so, kept as `model_qat.keras`.

    Where no epoch was better than the ranges of the calibration alone, these are kept. Of the `teacher`, the float
    model, it learns the share `compress.distill`.
    """
    if not recipe.compress.quantize_aware:
        return model, ()
    settings = train.fine_tuning(recipe.train, epochs=recipe.compress.epochs, lr=recipe.compress.lr)
    keras.utils.set_random_seed(settings.seed)
    examples_seen = list(feed.calibration(recipe, examples, prepared))
    small = compress.quantize_aware(
        model,
        calibration=examples_seen,
        bits=recipe.compress.bits,
        activations=recipe.compress.activations,
        ranges=recipe.compress.ranges,
        percentile=recipe.compress.percentile,
    )
    step = transfer.Phase("quantize", "", settings, rate="compress.lr")
    small, history = phase(
        small,
        recipe=recipe,
        step=step,
        examples=examples,
        prepared=prepared,
        path=folder / "model_qat.keras",
        start=True,
        teacher=teacher if recipe.compress.distill else None,
        callbacks=[compress.FreezeRanges(round(recipe.compress.freeze * recipe.compress.epochs))],
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
    start: bool,
    teacher: keras.Model | None = None,
    whole_from: int = 1,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[keras.Model, History]:
    """Train `model` into the file `path`, or read that file if the phase is already done.

    With `start` its weights stay where no epoch is better. Of a `teacher` it learns the share `compress.distill`; where
    that is all, the best epoch is the one whose answers are the most alike, not the one that knows the most labels.
    Epochs before `whole_from` are none of those.
    """
    told = story(path.parent, step)
    if path.exists() and told.exists():
        return keras.models.load_model(path, compile=False), read_history(told)
    transfer.open_up(model, step)
    learner = compress.distill(teacher, model, labels=1.0 - recipe.compress.distill) if teacher else model
    history = train.fit(
        learner,
        examples,
        prepared,
        train=transfer.with_rate(step, model, recipe, examples, prepared, path.parent),
        augmentation=recipe.augment,
        weights=class_weights(recipe, examples),
        macs=zoo.macs(model),
        folder=path.parent,
        phase=step.name,
        layer_decay=step.decay,
        start=start,
        by_loss=teacher is not None and recipe.compress.distill == 1.0,
        first=whole_from,
        rate=step.rate,
        callbacks=callbacks,
    )
    unmoved = "no epoch was better than before" if history.best_epoch == 0 else ""
    history = dataclasses.replace(history, note="; ".join(filter(None, (step.note, unmoved))))
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


def tested(model: keras.Model, examples: Examples, prepared: Preprocess) -> Evaluation:
    """The evaluation on test data."""
    return _judged(model, examples, prepared, "test")


def judge(model: keras.Model, examples: Examples, prepared: Preprocess) -> tuple[Evaluation, Evaluation]:
    """The evaluations on validation and on test data."""
    return _judged(model, examples, prepared, "validation"), tested(model, examples, prepared)


def _judged(model: keras.Model, examples: Examples, prepared: Preprocess, split: str) -> Evaluation:
    def predict(x: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict(x, batch_size=128, verbose=0))

    with quiet():  # of several models TensorFlow warns that it traces each
        return TASKS[examples.task].evaluate(predict, examples.splits()[split], prepared, split=split)


def drawn(model: keras.Model, examples: Examples, prepared: Preprocess, test: Evaluation) -> tuple[Shown, ...]:
    """Test images with the model's masks, for the report; none where an answer is a name."""

    def predict(x: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict_on_batch(x))

    return TASKS[examples.task].shown(predict, examples.test, prepared, test)
