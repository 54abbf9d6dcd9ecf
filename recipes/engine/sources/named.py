"""Readers of the named data sets: from the files in the cache to examples, of images here."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.progress import track

from recipes.engine.errors import UserError
from recipes.engine.progress import console
from recipes.engine.records import Data
from recipes.engine.sources import images, sequences
from recipes.engine.sources.arrays import shaped
from recipes.engine.sources.masks import fitted
from recipes.engine.sources.memory import require_images
from recipes.engine.sources.raw import Raw, Split
from recipes.engine.sources.registry import Copy, DatasetCard
from recipes.engine.sources.sequences import SEQUENCES
from recipes.engine.sources.volumes import VOLUMES

Parts = tuple[np.ndarray, np.ndarray, tuple[Split, ...] | None, tuple[str, ...]]
"""Images, labels, splits where the set has them, and what names each example within the set."""


def read(card: DatasetCard, copy: Copy, folder: Path, *, data: Data, progress: bool) -> Raw:
    """Read a copy whose files, already checked, lie in `folder`.

    Raises:
        UserError: they hold something else than the data set.
    """
    paths, masked = [folder / file.name for file in copy.files], copy.reader in VOLUMES
    source = f"{card.name} ({card.licence}; {copy.package or card.source})"
    splits: tuple[Split, ...] | None
    try:
        if copy.reader in SEQUENCES:
            raw = sequences.read(card, copy.reader, paths, data)
            return replace(raw, source=source, notes=(*((copy.note,) if copy.note else ()), *raw.notes))
        if masked:
            pictures, labels, splits, names = VOLUMES[copy.reader](paths)
        else:
            pictures, labels, splits, names = READERS[copy.reader](paths, data, progress)
    except (OSError, ValueError, KeyError, StopIteration, EOFError, zipfile.BadZipFile, tarfile.TarError) as error:
        if isinstance(error, UserError):
            raise
        reason = str(error).split("\n")[0].rstrip(":")
        raise UserError(
            f"the files of {card.name} in {folder} are not what they should be ({reason}); remove them and run "
            f"`edgezoo data get {card.name}` again"
        ) from None
    pictures = shaped(pictures, data)
    return Raw(
        inputs=pictures,
        labels=fitted(labels, pictures.shape[1:3]) if masked else labels.astype(np.int64),
        names=tuple(f"{card.name}#{name}" for name in names),
        splits=splits,
        classes=card.classes,
        source=source,
        notes=(copy.note,) if copy.note else (),
        task="segment" if masked else "classify",
    )


def idx(paths: list[Path], data: Data, progress: bool) -> Parts:
    """Four IDX files: images and labels to train on, images and labels to test on."""
    arrays = [idx_array(gzip.decompress(path.read_bytes())) for path in paths]
    train, test = len(arrays[1]), len(arrays[3])
    names = (*(f"train-{row}" for row in range(train)), *(f"test-{row}" for row in range(test)))
    splits: list[Split] = ["train"] * train
    splits += ["test"] * test
    return (
        np.concatenate([arrays[0], arrays[2]])[..., None],
        np.concatenate([arrays[1], arrays[3]]),
        tuple(splits),
        names,
    )


def idx_array(content: bytes) -> np.ndarray:
    """An IDX file of bytes: two zero bytes, type 8, the number of axes, each length as a big-endian int32, values."""
    if content[:3] != b"\x00\x00\x08":
        raise ValueError("no IDX file of bytes")
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def mnist_json(paths: list[Path], data: Data, progress: bool) -> Parts:
    """A JSON file for each digit, pixels 0-1 rounded to three places: the 256 grey values come back exactly."""
    digits = [np.array(json.loads(path.read_text(encoding="ascii"))["data"]).reshape(-1, 28, 28, 1) for path in paths]
    labels = np.repeat(np.arange(len(digits)), [len(digit) for digit in digits])
    names = tuple(f"{label}-{row}" for label, digit in enumerate(digits) for row in range(len(digit)))
    return np.rint(np.concatenate(digits) * 255).astype(np.uint8), labels, None, names


def mnist_csv(paths: list[Path], data: Data, progress: bool) -> Parts:
    """A CSV file, label last; the last 1,000 of a fixed permutation of the 5,000 are the test split."""
    table = np.loadtxt(paths[0], dtype=np.uint8, delimiter=",")
    test = set(np.random.default_rng(0).permutation(5000)[4000:].tolist())
    splits: tuple[Split, ...] = tuple("test" if row in test else "train" for row in range(len(table)))
    return table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1], splits, tuple(str(row) for row in range(len(table)))


def elpv(paths: list[Path], data: Data, progress: bool) -> Parts:
    """An archive with `labels.csv` (path, defect probability, kind of cell) and, beside it, the images."""
    size, channels = (data.size or 300, data.size or 300), 3 if data.color == "rgb" else 1
    with zipfile.ZipFile(paths[0]) as archive:
        table = next(name for name in archive.namelist() if name.endswith("labels.csv"))
        rows = [line.split() for line in archive.read(table).decode("ascii").splitlines()]
        require_images("elpv", len(rows), height=size[0], width=size[1], channels=channels)
        pictures = np.empty((len(rows), *size, channels), np.uint8)
        quiet = not progress or not console.is_terminal
        for place, row in enumerate(track(rows, "reading images", console=console, transient=True, disable=quiet)):
            content = io.BytesIO(archive.read(table.removesuffix("labels.csv") + row[0]))
            pictures[place] = images.pixels(content, size=size, channels=channels)
    labels = np.array([0 if float(row[1]) > 0.5 else 1 for row in rows])
    return pictures, labels, None, tuple(Path(row[0]).name for row in rows)


READERS: dict[str, Callable[[list[Path], Data, bool], Parts]] = {
    "idx": idx,
    "mnist_json": mnist_json,
    "mnist_csv": mnist_csv,
    "elpv": elpv,
}
