"""Many pictures: check all headers, settle on one size, decode into one array."""

import os
import statistics
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image
from rich.progress import track

from recipes.engine.errors import UserError
from recipes.engine.progress import console
from recipes.engine.records import Data
from recipes.engine.sources import images
from recipes.engine.sources.images import BadImage, Header
from recipes.engine.sources.memory import require_images
from recipes.engine.sources.raw import listing

T = TypeVar("T")
R = TypeVar("R")

LONG = 500
"""From so many files on, progress is shown."""

LARGEST_MEDIAN = 224
"""Pictures of several sizes are not made larger than this unless `data.size` asks for it."""


@dataclass(frozen=True)
class Decoded:
    """Pictures in one array, with `kept`, the places of the readable ones among those asked for, and notes."""

    images: np.ndarray
    kept: tuple[int, ...]
    notes: tuple[str, ...]


def decode(paths: Sequence[Path], names: Sequence[str], *, data: Data, progress: bool) -> Decoded:
    """Decode pictures at the size and in the colours that `data` asks for.

    Args:
        paths: the files, not empty.
        names: how messages call them.
        data: `size`, `color` and `on_bad` are used.
        progress: show a bar where it takes long.

    Raises:
        UserError: some cannot be read (all of them are told at once) and `data.on_bad` is `fail`, none can be
            read, or they would not fit in memory.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `images` has its own limit
        headers = _each(images.header, paths, title="reading headers", progress=progress)
        bad = {place: reason for place, reason in enumerate(headers) if isinstance(reason, BadImage)}
        if len(bad) == len(paths):
            raise _complaint(bad, names, data.source)
        good = [head for head in headers if isinstance(head, Header)]
        size, notes = _size(good, data)
        channels = _channels(good, data)
        require_images(data.source, len(good), height=size[0], width=size[1], channels=channels)
        kept = [place for place in range(len(paths)) if place not in bad]
        pictures = np.empty((len(kept), *size, channels), np.uint8)

        def fill(row: int) -> None:
            pictures[row] = images.pixels(paths[kept[row]], size=size, channels=channels)

        results = _each(fill, range(len(kept)), title="reading images", progress=progress)
    broken = {kept[row]: reason for row, reason in enumerate(results) if isinstance(reason, BadImage)}
    bad |= broken
    if bad and (data.on_bad == "fail" or len(bad) == len(paths)):
        raise _complaint(bad, names, data.source)
    if broken:
        rows = [row for row, place in enumerate(kept) if place not in broken]
        pictures, kept = pictures[rows], [kept[row] for row in rows]
    if bad:
        notes += (f"left out {_reasons(bad, names, most=20)}: unreadable",)
    if data.color == "auto" and channels == 3 and grey(pictures):
        pictures = pictures[..., :1].copy()
    return Decoded(pictures, tuple(kept), notes)


def grey(pictures: np.ndarray) -> bool:
    """Whether all of `(count, height, width, 3)` have three equal channels."""
    return all(
        np.array_equal(one[..., 0], one[..., 1]) and np.array_equal(one[..., 0], one[..., 2]) for one in pictures
    )


def _each(call: Callable[[T], R], values: Sequence[T], *, title: str, progress: bool) -> list[R | BadImage]:
    def safely(value: T) -> R | BadImage:
        try:
            return call(value)
        except BadImage as error:
            return error

    quiet = not progress or len(values) < LONG or not console.is_terminal
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = pool.map(safely, values)
        bar = track(found, title, total=len(values), console=console, transient=True, disable=quiet)
        return list(bar)


def _size(headers: Sequence[Header], data: Data) -> tuple[tuple[int, int], tuple[str, ...]]:
    if data.size is not None:
        return (data.size, data.size), ()
    sizes = {(head.height, head.width) for head in headers}
    if len(sizes) == 1:
        return sizes.pop(), ()
    middle = statistics.median(min(head.height, head.width) for head in headers)
    side = min(LARGEST_MEDIAN, max(8, round(middle / 8) * 8))
    note = (
        f"the images have {len(sizes)} sizes, with a median shorter side of {middle:g} pixels; all were resized to "
        f"{side}×{side} (--data.size chooses another size)"
    )
    return (side, side), (note,)


def _channels(headers: Sequence[Header], data: Data) -> int:
    if data.color == "auto":
        return 1 if all(head.grey for head in headers) else 3
    return 1 if data.color == "grey" else 3


def _reasons(bad: dict[int, BadImage], names: Sequence[str], *, most: int) -> str:
    return listing([f"{names[place]} ({bad[place]})" for place in sorted(bad)], most)


def _complaint(bad: dict[int, BadImage], names: Sequence[str], source: str) -> UserError:
    if len(bad) == 1:
        ((place, reason),) = bad.items()
        return UserError(f"{names[place]} in {source} cannot be read: {reason}; mend it, or pass --data.on-bad skip")
    return UserError(
        f"{len(bad)} images in {source} cannot be read: {_reasons(bad, names, most=5)}; mend them, or pass "
        "--data.on-bad skip"
    )
