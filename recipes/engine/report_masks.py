"""What the report of a run with masks shows beside the figures: masks over their images, and a legend."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recipes.engine import overlays, pictures
from recipes.engine.report_classes import counts
from recipes.engine.results import IGNORE, Examples, Shown

LONGEST = 256
"""Pixels on the longer side of a picture on the page."""


def view(shown: Sequence[Shown], examples: Examples) -> dict[str, Any]:
    """What `report_masks.html.j2` needs: `shown`, `legend`, `unjudged`, `card` and `samples`."""
    classes = examples.classes
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in overlays.colours(classes)[: len(classes)]]
    columns = counts(examples).values()
    train = examples.train
    chosen = np.linspace(0, len(train) - 1, min(len(train), 8)).astype(int)
    painted = [overlays.overlay(train.inputs[row], train.labels[row], classes) for row in chosen]
    return {
        "shown": [
            {
                "name": one.name,
                "iou": one.iou,
                "pictures": [pictures.data_uri(part, longest=LONGEST) for part in overlays.triptych(one, classes)],
            }
            for one in shown
        ],
        "legend": [
            {"name": name, "colour": colour, "painted": name != overlays.BACKGROUND}
            for name, colour in zip(classes, colours, strict=True)
        ],
        "unjudged": any((subset.labels == IGNORE).any() for subset in examples.splits().values()),
        "card": [
            {"name": name, "colour": colours[i], "shares": [column[i] / max(sum(column), 1) for column in columns]}
            for i, name in enumerate(classes)
        ],
        "samples": [pictures.data_uri(picture, longest=LONGEST) for picture in painted],
    }
