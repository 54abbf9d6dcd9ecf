"""Series: their length, and the scale of each channel."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.results import Examples, Modality, Subset, Task
from recipes.engine.sources import series_file
from recipes.engine.sources.series import trimmed
from recipes.engine.wording import many

FLAT = 1e-6
"""A channel that varies less than this is left at its scale."""


@dataclass(frozen=True)
class Series:
    """Length and normalisation of the input; names of the outputs, or the scale of the forecast.

    Attributes:
        steps: length that the model reads.
        channels: numbers at each step.
        mean: one value a channel, in the unit of the data, of the training split.
        std: likewise; the model reads `(value - mean) / std`.
        classes: names of the outputs, in order; of a forecast, of what is forecast.
        task: `classify` or `forecast`.
        padded: whether a series may be shorter: steps of zeros follow it, which the model masks.
        horizon: steps of a forecast.
        target_mean: one value for each thing forecast, of the training split.
        target_std: likewise; the model answers with `(value - target_mean) / target_std`.
        cycle: how many of the last values that are seen, repeated over the whole input and the forecast, all are
            counted from; 0: none. With 1, the last one (NLinear; Zeng et al. 2023, arXiv:2205.13504), a trend goes on
            where it would leave the range of the training data; with a season, so does what it repeats, and an
            answer of nothing is that it repeats itself.
        logarithm: whether the logarithm is taken of all values before anything else.
        season: steps after which a series repeats itself, for the baseline that the forecast is judged beside; 0: none.
    """

    steps: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    task: Task = "classify"
    padded: bool = False
    horizon: int = 0
    target_mean: tuple[float, ...] = ()
    target_std: tuple[float, ...] = ()
    cycle: int = 0
    logarithm: bool = False
    season: int = 0
    modality: Modality = "series"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example, as the model reads it."""
        return self.steps, self.channels

    @property
    def outputs(self) -> int | None:
        """How many numbers the model answers with."""
        return self.horizon * len(self.target_mean) if self.task == "forecast" else len(self.classes)

    @property
    def changes(self) -> dict[str, Any]:
        """Fields of the spec that the data decides."""
        return {"mask": True} if self.padded else {}

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Normalise `(batch, steps, channels)` to float32 of the same shape; padding, rows of NaN, becomes zeros."""
        values = self.plain(inputs)
        anchor = self.anchor(values, first=-self.steps, count=self.steps)
        scaled = (values - anchor - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.nan_to_num(scaled, nan=0.0).astype(np.float32)

    def plain(self, values: np.ndarray) -> np.ndarray:
        """Values as the normalisation takes them: their logarithms, where that is asked.

        Raises:
            UserError: there is a value that has none.
        """
        return logarithms(values) if self.logarithm else values

    def anchor(self, values: np.ndarray, *, first: int, count: int) -> np.ndarray:
        """What is taken off `count` steps of examples whose `plain` inputs are `values`: see `repeated`; or zeros."""
        return repeated(values, self.cycle, first=first, count=count)

    def targets(self, labels: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """A forecast as the model gives it: `(batch, horizon, targets)` to float32 `(batch, horizon * targets)`."""
        anchor = self.anchor(self.plain(inputs), first=0, count=self.horizon)
        scaled = (self.plain(labels) - anchor - np.array(self.target_mean, np.float32)) / np.array(
            self.target_std, np.float32
        )
        return scaled.reshape(len(labels), -1).astype(np.float32)

    def rows(self, subset: Subset) -> tuple[np.ndarray, np.ndarray]:
        """What the model reads of a split, and what it should answer."""
        forecast = self.task == "forecast"
        return self(subset.inputs), self.targets(subset.labels, subset.inputs) if forecast else subset.labels

    def forecast(self, outputs: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """The inverse of `targets`: in the unit of the data."""
        shaped = outputs.reshape(len(outputs), self.horizon, len(self.target_mean))
        told = shaped * np.array(self.target_std, np.float32) + np.array(self.target_mean, np.float32)
        told = told + self.anchor(self.plain(inputs), first=0, count=self.horizon)
        return np.exp(told) if self.logarithm else told

    def open(self, what: str) -> np.ndarray:
        """Read a series as float32 `(steps, channels)`: see `series_file.read`.

        Raises:
            UserError: the file is missing, is no series of numbers, or not one that the model reads; a value is missing
                before the end.
        """
        path = Path(what)
        found = series_file.read(path)
        if found.shape[1] != self.channels:
            raise UserError(f"{path} has {many(found.shape[1], 'channel')}, where the model reads {self.channels}")
        found = trimmed(found, str(path))
        fits = len(found) <= self.steps if self.padded else len(found) == self.steps
        if not fits:
            wants = f"{'at most ' if self.padded else ''}{many(self.steps, 'step')}"
            raise UserError(f"{path} has {many(len(found), 'step')}, where the model reads {wants}")
        return np.pad(found, ((0, self.steps - len(found)), (0, 0)), constant_values=np.nan)


def repeated(values: np.ndarray, cycle: int, *, first: int, count: int) -> np.ndarray:
    """The last `cycle` steps of `(batch, steps, channels)` over and over; a zero where `cycle` is 0.

    Args:
        values: what is seen.
        cycle: how many of its last steps.
        first: which step is wanted first: 0 is the one after all that are seen, -1 the last of them.
        count: how many are wanted.

    Returns:
        `(batch, count, channels)`, or `(1, 1, 1)`.
    """
    if not cycle:
        return np.zeros((1, 1, 1), values.dtype)
    last = values[:, values.shape[1] - cycle :]
    return last[:, np.arange(first, first + count) % cycle]


def cycle_of(data: Data, examples: Examples) -> int:
    """How many of the last values a forecast is counted from.

    Raises:
        UserError: `data.anchor` is `season`, and there is none, not a whole one is seen, or what is seen is not what is
            forecast.
    """
    steps, channels = examples.shape
    whole = examples.task == "forecast" and examples.train.labels.shape[2] == channels
    if data.anchor != "season":
        return int(data.anchor == "last" and whole)
    if not whole:
        raise UserError("data.anchor is 'season', which is for forecasts of all columns; leave data.target empty")
    if not 0 < data.season <= steps:
        raise UserError(
            f"data.anchor is 'season', which needs data.season from 1 to data.window = {steps} steps; it "
            f"is {data.season}"
        )
    return data.season


def fit(data: Data, examples: Examples) -> Series:
    """Length and scale from the training split alone.

    Raises:
        UserError: the recipe wants of the values what they do not have.
    """
    train = examples.train
    steps, channels = examples.shape
    forecast = examples.task == "forecast"
    cycle = cycle_of(data, examples)
    logarithm = forecast and data.logarithm
    inputs = logarithms(train.inputs) if logarithm else train.inputs
    anchor = repeated(inputs, cycle, first=-steps, count=steps)
    mean, std = scale((inputs - anchor).reshape(-1, channels))
    target_mean: tuple[float, ...] = ()
    target_std: tuple[float, ...] = ()
    if forecast:
        labels = logarithms(train.labels) if logarithm else train.labels
        anchor = repeated(inputs, cycle, first=0, count=labels.shape[1])
        target_mean, target_std = scale((labels - anchor).reshape(-1, labels.shape[2]))
    return Series(
        steps=steps,
        channels=channels,
        mean=mean,
        std=std,
        classes=examples.classes,
        task=examples.task,
        padded=any(bool(np.isnan(part.inputs).any()) for part in examples.splits().values()),
        horizon=train.labels.shape[1] if forecast else 0,
        target_mean=target_mean,
        target_std=target_std,
        cycle=cycle,
        logarithm=logarithm,
        season=data.season if forecast else 0,
    )


def logarithms(values: np.ndarray) -> np.ndarray:
    """Natural logarithms of values above 0; NaN stays.

    Raises:
        UserError: a value is 0 or less.
    """
    if (values <= 0).any():
        raise UserError(f"data.logarithm needs values above 0, and there is {values[values <= 0].min():g}; turn it off")
    return np.log(values)


def scale(values: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each column of `(rows, columns)`, without the NaNs of padding."""
    mean = np.asarray(np.nanmean(values, axis=0, dtype=np.float64))
    std = np.asarray(np.nanstd(values, axis=0, dtype=np.float64))
    return tuple(mean.tolist()), tuple(value if value > FLAT else 1.0 for value in std.tolist())
