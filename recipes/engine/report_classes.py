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
        "interval": wilson(test.score, test.examples),
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
                **shown(examples, [examples.train.inputs[k] for k in chosen]),
            }
        )
    return rows


def mistakes(test: Evaluation, examples: Examples, *, most: int = 24) -> list[dict[str, Any]]:
    """The worst mistakes on test data with their pictures."""
    found = [examples.test.inputs[mistake.index] for mistake in test.worst[:most]]
    if examples.modality == "text":
        return [
            dataclasses.asdict(mistake) | {"text": clipped(text, 280)}
            for mistake, text in zip(test.worst, found, strict=False)
        ]
    return [
        dataclasses.asdict(mistake) | {"text": "", "picture": pictures.data_uri(example, longest=112)}
        for mistake, example in zip(test.worst, found, strict=False)
    ]


def shown(examples: Examples, chosen: list[Any]) -> dict[str, list[str]]:
    """Some examples of a class: small pictures, or two texts."""
    if examples.modality == "text":
        return {"texts": [clipped(text, 80) for text in chosen[:2]], "pictures": []}
    return {"texts": [], "pictures": [pictures.data_uri(example, longest=40) for example in chosen]}


def clipped(text: str, most: int) -> str:
    """At most `most` characters of a text."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def counts(examples: Examples) -> dict[str, list[int]]:
    """Of each split, how many labels each class has: images, or pixels of masks without what is ignored."""
    classes = len(examples.classes)
    counted = {name: np.bincount(s.labels.ravel(), minlength=classes) for name, s in examples.splits().items()}
    return {name: found[:classes].tolist() for name, found in counted.items()}
