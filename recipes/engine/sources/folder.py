"""A folder of class folders, with or without folders for the splits."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources.decode import decode
from recipes.engine.sources.images import SUFFIXES
from recipes.engine.sources.raw import SPLIT_NAMES, Raw, Split, indexed, listing, natural
from recipes.engine.sources.splits import check

LAYOUT = "put the images of each class in a folder of its own: FOLDER/CLASS/image.png"


def read(folder: Path, *, data: Data, progress: bool) -> Raw:
    """Read `FOLDER/CLASS/…` or `FOLDER/{train,validation,test}/CLASS/…`; class folders are searched to any depth.

    Raises:
        UserError: the folder is empty or laid out otherwise, a class has no image, or images cannot be read.
    """
    roots = split_roots(folder) or {None: folder}
    others: Counter[str] = Counter()
    found: list[tuple[Split | None, str, Path]] = []
    for split, root in roots.items():
        for directory in class_folders(root):
            files = list(walk(directory))
            pictures = [path for path in files if path.suffix.lower() in SUFFIXES]
            rest = Counter(path.suffix.lower() or path.name for path in files if path.suffix.lower() not in SUFFIXES)
            if not pictures:
                has = f"only {_kinds(rest)}" if rest else "nothing"
                kinds = ", ".join(sorted(SUFFIXES))
                raise UserError(f"class folder {directory} has no image ({kinds}), {has}; fill it or remove it")
            others += rest
            found += [(split, directory.name, path) for path in pictures]
    splits = tuple(split for split, _, _ in found if split)
    classes, labels = indexed([name for _, name, _ in found])
    check(labels, splits or None, classes, str(folder), data=data)
    paths = [path for _, _, path in found]
    names = [path.relative_to(folder).as_posix() for path in paths]
    decoded = decode(paths, names, data=data, progress=progress)
    kept = list(decoded.kept)
    notes = decoded.notes
    if others:
        notes += (f"files ignored since they are no images: {_kinds(others)}",)
    return Raw(
        inputs=decoded.images,
        labels=labels[kept],
        names=tuple(names[place] for place in kept),
        splits=tuple(splits[place] for place in kept) if splits else None,
        classes=classes,
        source=str(folder),
        notes=notes,
    )


def split_roots(folder: Path) -> dict[Split | None, Path] | None:
    """The folders of the splits, or None where the folders below are classes.

    They are splits when `train` is among them, itself has folders, and all of them have names of splits: `train`
    beside `bus` and `car` is a class.

    Raises:
        UserError: two folders stand for one split, or `train` is missing.
    """
    below = folders(folder)
    named = {path: SPLIT_NAMES[path.name.lower()] for path in below if path.name.lower() in SPLIT_NAMES}
    if not named or len(named) < len(below) or not any(folders(path) for path in below):
        return None
    roots: dict[Split | None, Path] = {}
    for path, split in named.items():
        if split in roots:
            raise UserError(f"{folder} has both {roots[split].name} and {path.name} for its {split} split; keep one")
        roots[split] = path
    if "train" not in roots:
        raise UserError(f"{folder} has {listing([path.name for path in named])} but no train folder; add one")
    return {split: roots[split] for split in ("train", "validation", "test") if split in roots}


def class_folders(root: Path) -> list[Path]:
    """The class folders of a split, in natural order.

    Raises:
        UserError: there is none.
    """
    below = folders(root)
    if below:
        return below
    loose = [path for path in walk(root) if path.suffix.lower() in SUFFIXES]
    if loose:
        raise UserError(f"{root} has images ({loose[0].name}) but no class folders; {LAYOUT}")
    raise UserError(f"{root} is empty; {LAYOUT}")


def folders(folder: Path) -> list[Path]:
    """Folders directly below, hidden ones left out, in natural order.

    Raises:
        UserError: the folder cannot be opened.
    """
    try:
        below = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except PermissionError:
        raise UserError(f"no permission to open the folder {folder}; change its mode or choose another") from None
    return sorted(below, key=lambda path: natural(path.name))


def walk(folder: Path) -> Iterator[Path]:
    """All files below, hidden files and folders left out, in natural order of their paths.

    Raises:
        UserError: a folder cannot be opened.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"no permission to open the folder {error.filename}; change its mode or choose another")

    for where, below, files in os.walk(folder, onerror=refuse):
        below[:] = sorted((name for name in below if not name.startswith(".")), key=natural)
        yield from (Path(where, name) for name in sorted(files, key=natural) if not name.startswith("."))


def _kinds(counts: Counter[str]) -> str:
    return listing([f"{count} {kind}" for kind, count in sorted(counts.items())])
