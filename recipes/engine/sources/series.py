"""What series from anywhere become: one array, with rows of NaN after a shorter one."""

from collections.abc import Sequence

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.sources.memory import require


def stack(series: Sequence[np.ndarray], *, what: str) -> np.ndarray:
    """Series `(steps, channels)`, of any lengths, as float32 `(count, most steps, channels)`.

    Raises:
        UserError: they would not fit in memory.
    """
    steps, channels = max(len(one) for one in series), series[0].shape[1]
    require(
        8 * len(series) * steps * channels,
        what=f"{what}: {len(series):,} series of {steps:,}×{channels}",
        advice="take fewer, or shorter ones",
    )
    stacked = np.full((len(series), steps, channels), np.nan, np.float32)
    for row, one in zip(stacked, series, strict=True):
        row[: len(one)] = one
    return stacked


def trimmed(values: np.ndarray, where: str) -> np.ndarray:
    """A series `(steps, channels)` without the rows of nothing but NaN after its end.

    Raises:
        UserError: it is empty, or a number inside it is missing or infinite; begins with `where`.
    """
    there = np.flatnonzero(~np.isnan(values).all(axis=1))
    if not len(there):
        raise UserError(f"{where}: the series is empty")
    values = values[: there[-1] + 1]
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        step, channel = bad[0].tolist()
        kind = "missing (NaN)" if np.isnan(values[step, channel]) else "infinite"
        place = f"step {step + 1}" + (f" of channel {channel + 1}" if values.shape[1] > 1 else "")
        raise UserError(
            f"{where}: the value at {place} is {kind}; fill it in, or leave the series out (only steps after the end "
            "of a shorter series may be missing)"
        )
    return values


def lengths(inputs: np.ndarray) -> np.ndarray:
    """Steps of each series of `(count, steps, channels)` without its padding, int64 `(count,)`."""
    return np.asarray((~np.isnan(inputs[..., 0])).sum(axis=1))


def uneven(inputs: np.ndarray) -> tuple[str, ...]:
    """A note where series have several lengths."""
    sizes = lengths(inputs)
    if sizes.min() == sizes.max():
        return ()
    return (f"the series have {sizes.min()} to {sizes.max()} steps; shorter ones are followed by padding",)
