"""What comes next in a series: squared error, judged by the share of the variance that is told (R²)."""

import keras
import numpy as np

from recipes.engine import pictures
from recipes.engine.errors import UserError
from recipes.engine.evaluate import Predict, logits_of
from recipes.engine.preprocess import Preprocess, Series
from recipes.engine.preprocess.series import repeated
from recipes.engine.records import Recipe, Train
from recipes.engine.results import Evaluation, Sample, Shown, Subset


def check(recipe: Recipe) -> None:
    """Refuse what only classes have.

    Raises:
        UserError: a loss, a balance or a rule of the gate is one for classes.
    """
    if recipe.train.loss != "auto":
        raise UserError(f"train.loss is {recipe.train.loss!r}, which compares classes; a forecast takes 'auto'")
    if recipe.data.balance != "none" or recipe.train.label_smoothing:
        raise UserError("data.balance and train.label_smoothing are for classes, and a forecast has none; leave them")
    if recipe.gate.min_accuracy is not None or recipe.gate.min_miou is not None:
        raise UserError("gate.min_accuracy and gate.min_miou judge classes, and a forecast has none; leave them out")
    if recipe.compress.distill:
        raise UserError("compress.distill compares classes, and a forecast has none; leave it at 0")


def weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """None: there are no classes; `check` refuses to ask."""
    return np.ones(classes)


def loss(train: Train, weights: np.ndarray | None) -> keras.losses.Loss:
    """Mean squared error, in deviations of the training split."""
    return keras.losses.MeanSquaredError()


def metrics(classes: int) -> list[keras.metrics.Metric]:
    """The coefficient of determination, over all that is forecast."""
    return [keras.metrics.R2Score(class_aggregation="variance_weighted_average", name="r2")]


def measure(outputs: np.ndarray, labels: np.ndarray) -> float:
    """R² of forecasts against what came, both of the same number of values: 1 - squared error / variance.

    The variance is that of each step of the horizon over the examples.
    """
    truth = labels.reshape(len(labels), -1).astype(np.float64)
    error = np.square(outputs.reshape(len(outputs), -1) - truth).sum()
    spread = np.square(truth - truth.mean(axis=0)).sum()
    return float(1.0 - error / max(spread, 1e-12))


def evaluate(predict: Predict, subset: Subset, preprocess: Preprocess, *, split: str) -> Evaluation:
    """R² of what the model answers and, in the unit of the data, R², the mean absolute error and that of repeating.

    Where values are counted from an anchor, the former R² is of what is left to tell: it is below 0 where the anchor
    says nearly all, though the latter is near 1.

    Args:
        predict: what the model reads → `(batch, horizon * targets)`, in deviations.
        subset: the split.
        preprocess: the scales.
        split: its name, for the record.
    """
    assert isinstance(preprocess, Series)
    outputs = logits_of(predict, subset, preprocess)
    targets = preprocess.targets(subset.labels, subset.inputs)
    told = preprocess.forecast(outputs, subset.inputs)
    error = np.abs(told - subset.labels)
    figures = {
        "r2": measure(outputs, targets),
        "R² in the unit of the data": measure(told, subset.labels),
        "mean absolute error": float(error.mean()),
        "root mean square error": float(np.sqrt(np.square(error).mean())),
    }
    if preprocess.channels == subset.labels.shape[2]:
        figures["mean absolute error of repeating the last value"] = float(
            np.abs(subset.inputs[:, -1:, :] - subset.labels).mean()
        )
        if 0 < preprocess.season <= preprocess.steps:
            again = repeated(subset.inputs, preprocess.season, first=0, count=preprocess.horizon)
            figures["mean absolute error of repeating the last season"] = float(np.abs(again - subset.labels).mean())
    return Evaluation(split, len(subset), "forecast", float(np.square(outputs - targets).mean()), figures)


def shown(predict: Predict, subset: Subset, preprocess: Preprocess, evaluation: Evaluation) -> tuple[Shown, ...]:
    """None: forecasts are samples."""
    return ()


def samples(model: keras.Model, subset: Subset, preprocess: Preprocess, *, count: int = 6) -> tuple[Sample, ...]:
    """Windows spread evenly over the split: what was seen, what came, what was told."""
    assert isinstance(preprocess, Series)
    chosen = np.unique(np.linspace(0, len(subset) - 1, count).astype(int))
    outputs = np.asarray(model.predict_on_batch(preprocess(subset.inputs[chosen])))
    told = preprocess.forecast(outputs, subset.inputs[chosen])
    same = preprocess.channels == told.shape[2]
    return tuple(
        Sample(
            title=subset.names[row],
            picture=pictures.forecast(
                subset.inputs[row] if same else None, subset.labels[row], answer, preprocess.classes
            ),
            width=480,
        )
        for row, answer in zip(chosen.tolist(), told, strict=True)
    )
