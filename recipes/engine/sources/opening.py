"""Which reader opens a source: by its name, by what a folder holds, by a file's ending, and by the task."""

import difflib
from collections import Counter
from pathlib import Path
from typing import Literal

from recipes.engine import datasets
from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources import (
    arrays,
    audio,
    corpus,
    digits,
    folder,
    mask_arrays,
    masks,
    pairs,
    series_arrays,
    series_csv,
    series_ts,
    tables,
    text_file,
    texts,
)
from recipes.engine.sources.images import SUFFIXES
from recipes.engine.sources.raw import Raw

PLAIN = ("generate", "embed")
"""Tasks that learn from texts alone."""

Kind = Literal["image", "audio", "text"]


def read(data: Data, *, progress: bool) -> Raw:
    """Read the source, whatever kind it is.

    Raises:
        UserError: there is none of that name, it cannot be read, or it is not for the task asked for.
    """
    raw = opened(data, progress=progress)
    if data.task not in ("auto", raw.task):
        raise UserError(
            f"{data.source} is data for the task {raw.task}, and data.task is {data.task}; leave it at auto, or choose "
            "other data"
        )
    return raw


def opened(data: Data, *, progress: bool) -> Raw:
    """Read the source with its reader.

    Raises:
        UserError: there is none of that name, or it cannot be read.
    """
    name = data.source
    if name == "digits":
        return digits.read(data=data)
    if name in datasets.names():
        return datasets.load_named(name, data=data, progress=progress)
    path = Path(name).expanduser()
    if not path.exists() or not name:
        raise UserError(missing(path, name))
    return opened_folder(path, data, progress) if path.is_dir() else opened_file(path, data, progress)


def opened_folder(path: Path, data: Data, progress: bool) -> Raw:
    """Read a folder of images with masks, of `.ts` files, or of class folders of clips, texts or images."""
    if masks.is_folder(path):
        return masks.read(path, data=data, progress=progress)
    if data.task in PLAIN:
        return corpus.read(path, data=data)
    if any(path.glob("*.ts")):
        return series_ts.read(path)
    kind = inside(path)
    if kind == "audio":
        return audio.read(path, data=data, progress=progress)
    if kind == "text":
        return texts.folder(path, data=data)
    return folder.read(path, data=data, progress=progress)


def opened_file(path: Path, data: Data, progress: bool) -> Raw:
    """Read a file by its ending, and a table by the task and its first line.

    Raises:
        UserError: no reader is for files of that ending.
    """
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if ending == ".npz":
        if mask_arrays.has_masks(path):
            return mask_arrays.read(path, data=data)
        return series_arrays.read(path) if series_arrays.has_series(path) else arrays.read(path, data=data)
    if ending == ".ts":
        return series_ts.read(path)
    if ending == ".txt":
        if data.task in PLAIN:
            return corpus.read(path, data=data)
        raise UserError(f"{path} is plain text, without classes; say --data.task generate (or embed)")
    if ending in (".jsonl", ".ndjson", ".csv", ".tsv"):
        return opened_table(path, data, progress)
    raise UserError(
        f"{path} is no folder, .npz, .csv, .tsv, .jsonl, .ts or .txt file (a table or a text may end in .gz); "
        "data.source takes one of those"
    )


def opened_table(path: Path, data: Data, progress: bool) -> Raw:
    """Read a table, or lines of JSON, which hold texts."""
    if data.task == "forecast" and not texts.is_json(path):
        return series_csv.read(path, data=data)
    if data.task in PLAIN:
        return corpus.read(path, data=data)
    if data.task == "translate":
        return pairs.read(path, data=data)
    if texts.is_json(path):
        return texts.read(path, data=data)
    header = [cell.strip() for cell in next(text_file.table(path), (0, [""]))[1]]
    if data.task == "auto" and pairs.is_pairs(header):
        return pairs.read(path, data=data)
    if data.text in header and not any(cell.lower() in tables.PATHS for cell in header):
        return texts.read(path, data=data)
    return tables.read(path, data=data, progress=progress)


def inside(path: Path) -> Kind:
    """What the class folders hold: images where there is one at all, else the more common of clips and texts."""
    counts = Counter(file.suffix.lower() for file in folder.walk(path) if file.parent != path)
    if counts.keys() & SUFFIXES or not counts[".wav"] + counts[".txt"]:
        return "image"
    return "audio" if counts[".wav"] >= counts[".txt"] else "text"


def missing(path: Path, name: str) -> str:
    """The sentence for a source that does not exist, with the nearest name there is."""
    try:
        siblings = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        siblings = []
    near = difflib.get_close_matches(path.name, siblings, n=1)
    if near:
        return f"there is no {path}; did you mean {path.parent / near[0]}?"
    known = difflib.get_close_matches(name, datasets.names(), n=1)
    if known:
        return f"there is no {name!r}; did you mean the data set {known[0]}?"
    return f"there is no folder or file {name!r} and no data set of that name; the data sets are " + ", ".join(
        datasets.names()
    )
