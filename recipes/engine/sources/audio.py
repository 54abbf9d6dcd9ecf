"""A folder of class folders of WAV files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.progress import track

from recipes.engine.errors import UserError
from recipes.engine.progress import console
from recipes.engine.records import Data
from recipes.engine.sources import text_file, wav
from recipes.engine.sources.folder import class_folders, split_roots, walk
from recipes.engine.sources.memory import require
from recipes.engine.sources.raw import Raw, Split, indexed, listing
from recipes.engine.sources.splits import check

LISTS: dict[Split, str] = {"validation": "validation_list.txt", "test": "testing_list.txt"}
"""Files that name the clips of a split, a path a line, as the Speech Commands data set has them (Warden 2018)."""

Found = tuple[Split | None, str, Path]
"""Split, class, and file."""


def read(path: Path, *, data: Data, progress: bool) -> Raw:
    """Read `FOLDER/CLASS/….wav` or `FOLDER/{train,validation,test}/CLASS/….wav`.

    Each clip becomes `data.seconds` long at `data.rate` samples a second, as `wav.read` says. Folders whose names begin
    with `_`, such as Speech Commands' `_background_noise_`, are no classes. `validation_list.txt` and
    `testing_list.txt` in the folder, where they are, name the clips of those splits.

    Raises:
        UserError: a class has no clip, or clips cannot be read and `data.on_bad` is `fail`.
    """
    found, notes = files(path)
    splits = listed(path, found) or tuple(split for split, _, _ in found if split)
    classes, labels = indexed([name for _, name, _ in found])
    check(labels, splits or None, classes, str(path), data=data)
    paths = [file for _, _, file in found]
    names = [file.relative_to(path).as_posix() for file in paths]
    samples = max(1, round(data.rate * data.seconds))
    require(
        4 * len(paths) * samples,
        what=f"{path}: {len(paths):,} clips of {samples:,} samples",
        advice="choose a smaller --data.rate or --data.seconds",
    )
    clips, kept, bad = decoded(paths, names, data=data, samples=samples, progress=progress)
    if bad and (data.on_bad == "fail" or not kept):
        some = f"{len(bad)} clips" if len(bad) > 1 else "a clip"
        raise UserError(f"{some} in {path} cannot be read: {listing(bad)}; mend them, or pass --data.on-bad skip")
    if bad:
        notes += (f"left out {listing(bad, 20)}: unreadable",)
    return Raw(
        inputs=np.stack([clip.samples for clip in clips]),
        labels=labels[kept],
        names=tuple(names[place] for place in kept),
        splits=tuple(splits[place] for place in kept) if splits else None,
        classes=classes,
        source=str(path),
        notes=(*notes, *changes(clips, data)),
        modality="audio",
    )


def files(path: Path) -> tuple[list[Found], tuple[str, ...]]:
    """All clips, and a note of what else there is.

    Raises:
        UserError: a class folder has none.
    """
    found: list[Found] = []
    others: Counter[str] = Counter()
    left: list[str] = []
    for split, root in (split_roots(path) or {None: path}).items():
        for directory in class_folders(root):
            if directory.name.startswith("_"):
                left.append(directory.name)
                continue
            inside = list(walk(directory))
            clips = [file for file in inside if file.suffix.lower() == ".wav"]
            others.update(file.suffix.lower() or file.name for file in inside if file.suffix.lower() != ".wav")
            if not clips:
                raise UserError(f"class folder {directory} has no .wav file; fill it or remove it")
            found += [(split, directory.name, file) for file in clips]
    notes = []
    if left:
        notes.append(f"folders left out since their names begin with _: {listing(sorted(set(left)))}")
    if others:
        notes.append(
            "files ignored since they are no .wav: "
            + listing([f"{count} {kind}" for kind, count in sorted(others.items())])
        )
    return found, tuple(notes)


def listed(path: Path, found: Sequence[Found]) -> tuple[Split, ...] | None:
    """The splits that the lists in the folder name; all others train. None where there is no list.

    Raises:
        UserError: a list names a clip that is not there, or one is in both.
    """
    where: dict[str, Split] = {}
    known = {file.relative_to(path).as_posix() for _, _, file in found}
    for split, name in LISTS.items():
        if not (path / name).is_file():
            continue
        for number, line in enumerate(text_file.read(path / name).split("\n"), 1):
            clip = line.strip()
            if clip and clip not in known:
                raise UserError(f"{path / name}, line {number}: there is no {clip}; mend the list or remove it")
            if clip and where.setdefault(clip, split) != split:
                raise UserError(f"{path / name}, line {number}: {clip} is in {LISTS[where[clip]]} too")
    if not where:
        return None
    return tuple(where.get(file.relative_to(path).as_posix(), "train") for _, _, file in found)


def decoded(
    paths: Sequence[Path], names: Sequence[str], *, data: Data, samples: int, progress: bool
) -> tuple[list[wav.Clip], list[int], list[str]]:
    """The clips that can be read, their places among `paths`, and what is wrong with the others."""
    clips, kept, bad = [], [], []
    quiet = not progress or len(paths) < 500 or not console.is_terminal
    for place, path in enumerate(track(paths, "reading clips", console=console, transient=True, disable=quiet)):
        try:
            clips.append(wav.read(path, rate=data.rate, samples=samples))
            kept.append(place)
        except wav.BadClip as error:
            bad.append(f"{names[place]} ({error})")
    return clips, kept, bad


def changes(clips: Sequence[wav.Clip], data: Data) -> tuple[str, ...]:
    """Notes of what was done to the clips."""
    notes = []
    rates = Counter(clip.rate for clip in clips if clip.rate != data.rate)
    if rates:
        shown = listing([f"{count:,} at {rate:,} Hz" for rate, count in rates.most_common()])
        notes.append(f"resampled to {data.rate:,} Hz: {shown}")
    mixed = sum(clip.channels > 1 for clip in clips)
    if mixed:
        notes.append(f"made mono by the mean of their channels: {mixed:,} of {len(clips):,} clips")
    long = sum(clip.seconds > data.seconds + 1e-9 for clip in clips)
    short = sum(clip.seconds < data.seconds - 1e-9 for clip in clips)
    if long:
        notes.append(f"longer than {data.seconds:g} s and cut there: {long:,} of {len(clips):,} clips (--data.seconds)")
    if short:
        notes.append(f"shorter than {data.seconds:g} s and followed by silence: {short:,} of {len(clips):,} clips")
    return tuple(notes)
