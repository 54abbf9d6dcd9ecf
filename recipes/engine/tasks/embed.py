"""Vectors of words (Word2Vec): which candidate was really near, judged by how often it is ranked first."""

from collections.abc import Collection
from typing import Any

import keras
import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.evaluate import Predict
from recipes.engine.preprocess import Preprocess, Words
from recipes.engine.records import Recipe, Train
from recipes.engine.results import Evaluation, Sample, Shown, Subset
from recipes.engine.tasks.generate import weights

__all__ = ["check", "evaluate", "loss", "measure", "metrics", "nearest", "samples", "shown", "vectors_of", "weights"]

CHUNK = 8192
"""Pairs predicted at a time."""


def check(recipe: Recipe) -> None:
    """Refuse what only classes have.

    Raises:
        UserError: a loss, a balance or a rule of the gate is one for classes.
    """
    if recipe.train.loss != "auto" or recipe.train.label_smoothing or recipe.data.balance != "none":
        raise UserError("vectors of words take train.loss 'auto', train.label_smoothing 0 and data.balance 'none'")
    if recipe.gate.min_miou is not None:
        raise UserError("gate.min_miou judges masks; set gate.min_accuracy, the share of true words ranked first")
    if recipe.compress.distill:
        raise UserError("compress.distill compares classes, and vectors of words have none; leave it at 0")


def loss(train: Train, weights: np.ndarray | None) -> keras.losses.Loss:
    """Negative sampling: binary cross-entropy of each candidate (Mikolov et al. 2013, arXiv:1310.4546, equation 4)."""
    return keras.losses.BinaryCrossentropy(from_logits=True)


def metrics(classes: int) -> list[keras.metrics.Metric]:
    """The share of true words ranked first."""
    return [keras.metrics.MeanMetricWrapper(ranked_first, name="accuracy")]


def ranked_first(truth: Any, logits: Any) -> Any:
    """For each row of `(pairs, candidates)` whether its first candidate, the true one, is ranked above the others.

    One that shares the first place shares the point: a model that says nothing is right by chance only.
    """
    best = keras.ops.cast(keras.ops.equal(logits, keras.ops.max(logits, axis=1, keepdims=True)), "float32")
    return best[:, 0] / keras.ops.sum(best, axis=1)


def measure(outputs: np.ndarray, labels: np.ndarray) -> float:
    """The share of true words, the first candidates, ranked above those drawn by chance; see `ranked_first`."""
    best = outputs == outputs.max(axis=1, keepdims=True)
    return float((best[:, 0] / best.sum(axis=1)).mean())


def evaluate(predict: Predict, subset: Subset, preprocess: Preprocess, *, split: str) -> Evaluation:
    """Accuracy, and binary cross-entropy in nats a candidate.

    Args:
        predict: words and candidates → logits `(pairs, candidates)`.
        subset: the split.
        preprocess: the tokenizer and how contexts are cut.
        split: its name, for the record.
    """
    assert isinstance(preprocess, Words)
    (words, candidates), truth = preprocess.rows(subset)
    starts = range(0, len(truth), CHUNK)
    logits = np.concatenate([predict((words[s : s + CHUNK], candidates[s : s + CHUNK])) for s in starts])
    surprise = np.logaddexp(0.0, np.where(truth > 0, -logits, logits)).mean()
    figures = {"accuracy": measure(logits, truth), "pairs": float(len(truth))}
    return Evaluation(split, len(subset), "embed", float(surprise), figures)


def shown(predict: Predict, subset: Subset, preprocess: Preprocess, evaluation: Evaluation) -> tuple[Shown, ...]:
    """None: what is shown are words."""
    return ()


def nearest(vectors: np.ndarray, token: int, *, count: int, special: Collection[int] = ()) -> list[tuple[int, float]]:
    """The tokens whose vectors are nearest to that of `token`, and their cosines, best first.

    Args:
        vectors: `(vocabulary, width)`.
        token: whose neighbours.
        count: at most how many.
        special: tokens that are left out.
    """
    length = np.linalg.norm(vectors, axis=1)
    cosines = vectors @ vectors[token] / np.maximum(length * length[token], 1e-12)
    left_out = {token, *special}
    order = [row for row in np.argsort(-cosines, kind="stable").tolist() if row not in left_out]
    return [(row, float(cosines[row])) for row in order[:count]]


def vectors_of(model: keras.Model) -> np.ndarray:
    """The vectors of the words, float32 `(vocabulary, width)`."""
    return np.asarray(keras.ops.convert_to_numpy(model.get_layer("vectors").embeddings))


def samples(model: keras.Model, subset: Subset, preprocess: Preprocess, *, count: int = 12) -> tuple[Sample, ...]:
    """Words of the vocabulary, from frequent to less frequent, and their neighbours."""
    assert isinstance(preprocess, Words)
    names, vectors = preprocess.tokens.words, vectors_of(model)
    words = [token for token in range(len(names)) if token not in preprocess.special]
    first = max(min(30, len(words) // 4), 1)  # the most frequent ones stand beside all others
    places = np.unique(np.geomspace(first, max(len(words) // 2, first + 1), count).astype(int))
    made = []
    for token in (words[place] for place in places if place < len(words)):
        found = nearest(vectors, token, count=8, special=preprocess.special)
        made.append(Sample(((names[token], ", ".join(f"{names[near]} {cosine:.2f}" for near, cosine in found)),)))
    return tuple(made)
