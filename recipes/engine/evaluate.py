"""How good a model is on one split, whatever runs it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from recipes.engine.preprocess import Preprocess
from recipes.engine.results import ClassScore, Evaluation, Mistake, Subset

Predict = Callable[[Any], np.ndarray]
"""From what a model reads, an array or a tuple of them, to what it answers."""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of `(batch, classes)` logits."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def logits_of(predict: Predict, subset: Subset, preprocess: Preprocess, *, chunk: int = 512) -> np.ndarray:
    """Outputs `(count, classes)` for a whole split, a chunk at a time so that memory stays small."""
    parts = [predict(preprocess(subset.inputs[start : start + chunk])) for start in range(0, len(subset), chunk)]
    return np.concatenate(parts).astype(np.float64)


def evaluate(predict: Predict, subset: Subset, preprocess: Preprocess, *, split: str, worst: int = 24) -> Evaluation:
    """Accuracy, loss, per-class precision, recall and F1, confusion matrix and the most confident mistakes.

    Args:
        predict: what the model reads, `(batch, …)` → logits `(batch, classes)`.
        subset: the split.
        preprocess: normalisation and class names.
        split: its name, for the record.
        worst: how many mistakes to keep.
    """
    probabilities = softmax(logits_of(predict, subset, preprocess))
    answers, truth = probabilities.argmax(axis=1), subset.labels
    indices = np.arange(len(preprocess.classes))
    precision, recall, f1, support = precision_recall_fscore_support(truth, answers, labels=indices, zero_division=0.0)
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(answers != truth)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:worst]
    return Evaluation(
        split=split,
        examples=len(subset),
        task="classify",
        figures={"accuracy": float((answers == truth).mean())},
        loss=float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).mean()),
        classes=tuple(
            ClassScore(name, float(precision[i]), float(recall[i]), float(f1[i]), int(support[i]))
            for i, name in enumerate(preprocess.classes)
        ),
        confusion=tuple(tuple(int(v) for v in row) for row in confusion_matrix(truth, answers, labels=indices)),
        worst=tuple(
            Mistake(
                index=int(i),
                name=subset.names[i],
                truth=preprocess.classes[truth[i]],
                predicted=preprocess.classes[answers[i]],
                confidence=float(confidence[i]),
            )
            for i in wrong
        ),
    )
