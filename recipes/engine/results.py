"""What the stages hand on: frozen records between data, training, evaluation, export and report."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Task = Literal["classify", "segment", "forecast", "generate", "translate", "embed"]

Modality = Literal["image", "series", "text", "audio"]

MEASURES: dict[Task, str] = {
    "classify": "accuracy",
    "segment": "miou",
    "forecast": "r2",
    "generate": "accuracy",
    "translate": "accuracy",
    "embed": "accuracy",
}
"""What each task is judged by, as curves and files call it; shares, the more the better."""

LABELS = {"accuracy": "accuracy", "miou": "mIoU", "r2": "R²"}
"""What people call it."""

THINGS: dict[Modality, str] = {"image": "image", "series": "series", "text": "text", "audio": "clip"}
"""What people call one example."""

IGNORE = 255
"""The mask value of a pixel that is neither learnt from nor judged."""


@dataclass(frozen=True)
class Subset:
    """One split.

    Attributes:
        inputs: by the modality: images, uint8 `(count, height, width, channels)`, 0-255, one or three channels; series,
            float32 `(count, steps, channels)`, a shorter one followed by rows of NaN; texts, object `(count,)` of
            `str`; audio, int16 `(count, samples)`, a shorter one followed by silence.
        labels: by the task: `classify`, int64 `(count,)`, indices into `Examples.classes`; `segment`, masks of such
            indices and `IGNORE`, uint8 `(count, height, width)`; `forecast`, what comes next, float32
            `(count, horizon, channels)`; `translate`, the other language, object `(count,)` of `str`; `generate` and
            `embed`, nothing: int64 zeros `(count,)`.
        names: where each example came from (a path, or `source#row`), for messages and the report.
    """

    inputs: np.ndarray
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
        task: what is learnt from them.
        modality: what the inputs are.
    """

    classes: tuple[str, ...]
    train: Subset
    validation: Subset
    test: Subset
    fingerprint: str
    source: str
    notes: tuple[str, ...] = ()
    task: Task = "classify"
    modality: Modality = "image"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example: of an image height, width, channels."""
        return self.train.inputs.shape[1:]

    def splits(self) -> dict[str, Subset]:
        """The three subsets by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one class, each 0-1, and its number of examples.

    In the task `segment` what is counted are pixels, F1 is the Dice coefficient, and `iou` is the intersection over
    the union, None for a class that is neither in the truth nor in the answers.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    iou: float | None = None


@dataclass(frozen=True)
class Mistake:
    """One wrong answer: `index` into the split, class names, and the confidence (softmax) in the wrong answer."""

    index: int
    name: str
    truth: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class PoorMask:
    """One image and the mean IoU of its classes: `index` into the split."""

    index: int
    name: str
    iou: float


@dataclass(frozen=True)
class Evaluation:
    """How a model did on one split.

    Attributes:
        split: `validation` or `test`.
        examples: how many.
        task: what was asked.
        loss: what training lowers: mean cross-entropy in nats, of a forecast the mean squared error in deviations.
        figures: name → value: the task's measure, of `MEASURES`, and others. `accuracy` is the share right, 0-1: of the
            examples, of the pixels of masks, of the tokens of texts.
        classes: one score a class, where the answers are classes.
        confusion: counts of what `accuracy` counts; row is the truth, column the answer.
        worst: the most confident mistakes, worst first.
        poor: the images with the lowest IoU, worst first, in the task `segment`.
    """

    split: str
    examples: int
    task: Task
    loss: float
    figures: dict[str, float]
    classes: tuple[ClassScore, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    worst: tuple[Mistake, ...] = ()
    poor: tuple[PoorMask, ...] = ()

    @property
    def measure(self) -> str:
        """Name of the score, of `MEASURES`."""
        return MEASURES[self.task]

    @property
    def score(self) -> float:
        """What the model is judged by; at most 1, the more the better."""
        return self.figures[self.measure]


@dataclass(frozen=True, eq=False)
class Shown:
    """A test image with its answer, to be drawn: uint8 image and masks of one size, and the IoU of the two."""

    name: str
    iou: float
    image: np.ndarray
    truth: np.ndarray
    answer: np.ndarray


@dataclass(frozen=True)
class Sample:
    """An answer to be read: named texts and, where there is one, a picture as a `data:` address, `width` wide."""

    parts: tuple[tuple[str, str], ...] = ()
    title: str = ""
    picture: str = ""
    width: int = 0


@dataclass(frozen=True)
class Smaller:
    """What became of the float model by `compress.macs`, `sparsity` and `clusters`, still in float.

    Attributes:
        test: how it does on test data.
        parameters: of it.
        macs: its multiply-accumulates for one example.
        zeros: share of its weights that are zero, 0-1; biases and normalisations are not counted.
    """

    test: Evaluation
    parameters: int
    macs: int
    zeros: float


@dataclass(frozen=True)
class History:
    """Curves of one training phase (`train`, `prune`, `quantize`, …), one value an epoch.

    `curves` has `loss` and the score (`accuracy`, …), both with `val_` too, `learning_rate`, `seconds`; `best_epoch`
    counts from 1; 0 is the start, where no epoch was better. `note` says what the phase was for.
    """

    phase: str
    curves: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0
    stopped: str = ""
    note: str = ""

    @property
    def measure(self) -> str:
        """Name of the score: of `MEASURES`."""
        return next(name for name in LABELS if f"val_{name}" in self.curves)

    @property
    def best(self) -> float:
        """The validation score of the best epoch, which is not the start."""
        return self.curves[f"val_{self.measure}"][self.best_epoch - 1]
