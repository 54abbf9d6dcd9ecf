"""What the report of a classifier shows beside the figures: the classes with pictures, and the worst mistakes."""

import dataclasses
from typing import Any

import numpy as np

from recipes.engine import pictures
from recipes.engine.results import Evaluation, Examples
from recipes.engine.wording import wilson


def view(test: Evaluation, examples: Examples) -> dict[str, Any]:
    """What `report.html.j2` needs: `interval`, `majority`, `card` and `mistakes`."""
    return {
        "interval": wilson(test.accuracy, test.examples),
        "majority": max(map(sum, test.confusion)) / test.examples,
        "card": card(examples),
        "mistakes": mistakes(test, examples),
    }


def card(examples: Examples) -> list[dict[str, Any]]:
    """One row a class: its name, counts by split, and a few training pictures (of the first hundred classes)."""
    columns = counts(examples).values()
    each = min(max(80 // len(examples.classes), 1), 6)
    rows = []
    for i, name in enumerate(examples.classes):
        found = np.flatnonzero(examples.train.labels == i)
        chosen = found[np.linspace(0, len(found) - 1, min(each, len(found))).astype(int)] if i < 100 else []
        rows.append(
            {
                "name": name,
                "counts": [column[i] for column in columns],
                "total": sum(column[i] for column in columns),
                "pictures": [pictures.data_uri(examples.train.inputs[k], longest=40) for k in chosen],
            }
        )
    return rows


def mistakes(test: Evaluation, examples: Examples, *, most: int = 24) -> list[dict[str, Any]]:
    """The worst mistakes on test data with their pictures."""
    images = examples.test.inputs
    return [
        dataclasses.asdict(mistake) | {"picture": pictures.data_uri(images[mistake.index], longest=112)}
        for mistake in test.worst[:most]
    ]


def counts(examples: Examples) -> dict[str, list[int]]:
    """Of each split, how many labels each class has: images, or pixels of masks without what is ignored."""
    classes = len(examples.classes)
    counted = {name: np.bincount(s.labels.ravel(), minlength=classes) for name, s in examples.splits().items()}
    return {name: found[:classes].tolist() for name, found in counted.items()}
