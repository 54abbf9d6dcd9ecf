"""What the stages hand on: frozen records between data, training, evaluation, export and report."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Subset:
    """One split.

    Attributes:
        images: uint8, `(count, height, width, channels)`, 0-255.
        labels: int64, `(count,)`, indices into `Examples.classes`.
        names: where each example came from (a path, or `source#row`), for messages and the report.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Examples:
    """A loaded data set, split.

    Attributes:
        classes: class names, in the order of the label indices (sorted).
        train: what is learnt from.
        validation: what is chosen on.
        test: what is reported on.
        fingerprint: SHA-256 over images and labels of all splits, in order.
        source: what was loaded, as the report shows it (name or path, licence where known).
        notes: what the user should know: skipped files, duplicates across splits, imbalance.
    """

    classes: tuple[str, ...]
    train: Subset
    validation: Subset
    test: Subset
    fingerprint: str
    source: str
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels of one image."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    def splits(self) -> dict[str, Subset]:
        """The three subsets by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one class, each 0-1, and its number of examples."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Mistake:
    """One wrong answer: `index` into the split, class names, and the confidence (softmax) in the wrong answer."""

    index: int
    name: str
    truth: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Evaluation:
    """How a model did on one split.

    Attributes:
        split: `validation` or `test`.
        examples: how many.
        accuracy: share right, 0-1.
        loss: mean cross-entropy in nats.
        classes: one score a class.
        confusion: counts, row is the truth, column the answer.
        worst: the most confident mistakes, worst first.
    """

    split: str
    examples: int
    accuracy: float
    loss: float
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    worst: tuple[Mistake, ...]


@dataclass(frozen=True)
class History:
    """Curves of one training phase (`train`, `quantize`), one value an epoch.

    `curves` has `loss`, `accuracy`, `val_loss`, `val_accuracy`, `learning_rate`, `seconds`; `best_epoch` counts from 1.
    `note` says what the phase was for.
    """

    phase: str
    curves: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0
    stopped: str = ""
    note: str = ""
