"""The next token of a running text: cross-entropy at each step, judged by the share told right, and by perplexity."""

import keras
import numpy as np

import zoo
from recipes.engine.errors import UserError
from recipes.engine.evaluate import Predict
from recipes.engine.preprocess import Language, Preprocess
from recipes.engine.records import Recipe, Train
from recipes.engine.results import Evaluation, Sample, Shown, Subset

CHUNK = 32
"""Windows predicted at a time: there are logits for each token of the vocabulary at each step."""

PROMPT, TOLD = 40, 300
"""Tokens of a sample: shown to the model, and told by it."""


def check(recipe: Recipe) -> None:
    """Refuse what only classes have.

    Raises:
        UserError: a loss, a balance or a rule of the gate is one for classes.
    """
    if recipe.train.loss not in ("auto", "cross_entropy") or recipe.train.label_smoothing:
        raise UserError("a language model takes train.loss 'auto' and train.label_smoothing 0")
    if recipe.data.balance != "none":
        raise UserError("data.balance is for classes, and running text has none; leave it at 'none'")
    if recipe.gate.min_miou is not None:
        raise UserError("gate.min_miou judges masks; set gate.min_accuracy, the share of tokens told right")


def weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """None: there are no classes; `check` refuses to ask."""
    return np.ones(classes)


def loss(train: Train, weights: np.ndarray | None) -> keras.losses.Loss:
    """Cross-entropy of each step, in nats."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def metrics(classes: int) -> list[keras.metrics.Metric]:
    """The share of tokens told right."""
    return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]


def measure(outputs: np.ndarray, labels: np.ndarray) -> float:
    """The share of tokens told right: logits `(windows, steps, vocabulary)` against tokens `(windows, steps)`."""
    return float((outputs.argmax(axis=-1) == labels).mean())


def evaluate(predict: Predict, subset: Subset, preprocess: Preprocess, *, split: str) -> Evaluation:
    """Accuracy, cross-entropy in nats a token, and perplexity, which is e to the power of that.

    Args:
        predict: tokens `(windows, steps)` → logits `(windows, steps, vocabulary)`.
        subset: the split.
        preprocess: the tokenizer.
        split: its name, for the record.
    """
    assert isinstance(preprocess, Language)
    windows, truth = preprocess.rows(subset)
    right = surprise = 0.0
    for start in range(0, len(windows), CHUNK):
        logits = predict(windows[start : start + CHUNK]).astype(np.float64)
        wanted = truth[start : start + CHUNK]
        logits -= logits.max(axis=-1, keepdims=True)
        told = np.take_along_axis(logits, wanted[..., np.newaxis], axis=-1)[..., 0]
        surprise += float((np.log(np.exp(logits).sum(axis=-1)) - told).sum())
        right += float((logits.argmax(axis=-1) == wanted).sum())
    mean = surprise / truth.size
    figures = {"accuracy": right / truth.size, "perplexity": float(np.exp(mean)), "tokens": float(truth.size)}
    return Evaluation(split, len(windows), "generate", mean, figures)


def shown(predict: Predict, subset: Subset, preprocess: Preprocess, evaluation: Evaluation) -> tuple[Shown, ...]:
    """None: what is shown are texts."""
    return ()


def samples(model: keras.Model, subset: Subset, preprocess: Preprocess) -> tuple[Sample, ...]:
    """Beginnings of three texts of the split, and how the model goes on."""
    assert isinstance(preprocess, Language)
    tokens, made = preprocess.tokens, []
    for place, row in enumerate(np.unique(np.linspace(0, len(subset) - 1, 3).astype(int)).tolist()):
        prompt = tokens.ids(subset.inputs[row])[:PROMPT]
        if not prompt:
            continue
        told = list(zoo.generate(model, prompt, count=TOLD, temperature=0.8, seed=place))
        parts = (("prompt", tokens.decode(prompt)), ("the model goes on", tokens.decode(told)))
        made.append(Sample(parts, title=f"{subset.names[row]}; temperature 0.8, seed {place}"))
    return tuple(made)
