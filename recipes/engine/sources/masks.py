"""Images with masks in two folders, with equal stems; and what the values of a mask mean."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.results import IGNORE
from recipes.engine.sources import images
from recipes.engine.sources.decode import decode
from recipes.engine.sources.folder import folders
from recipes.engine.sources.images import SUFFIXES, BadImage
from recipes.engine.sources.raw import SPLIT_NAMES, Raw, Split, listing, natural

MASK_SUFFIXES = frozenset({".png", ".bmp"})
"""Formats that keep every value; JPEG does not."""

MOST_UNNAMED = 32
"""More classes than this need names: the values are probably no class indices."""


def is_folder(folder: Path) -> bool:
    """Whether `folder`, or its folder for training, has the folders `images` and `masks`."""
    return any((root / "images").is_dir() and (root / "masks").is_dir() for root in roots(folder).values())


def roots(folder: Path) -> dict[Split | None, Path]:
    """The folders of the splits that have masks, or the folder itself."""
    found: dict[Split | None, Path] = {}
    for path in folders(folder):
        if path.name.lower() in SPLIT_NAMES and (path / "masks").is_dir():
            found[SPLIT_NAMES[path.name.lower()]] = path
    return found or {None: folder}


def read(folder: Path, *, data: Data, progress: bool) -> Raw:
    """Read `images/NAME.jpg` with `masks/NAME.png`, directly in `folder` or in its `train`, `validation`, `test`.

    A mask holds class indices as grey values or as a palette, `IGNORE` where nothing is known; or 0 and 255 alone, for
    background and foreground. `classes.txt`, a name a line, names the classes.

    Raises:
        UserError: a mask is missing or left over, has another size than its image or a value that is no class, or a
            file cannot be read.
    """
    splits: list[Split] = []
    pairs: list[tuple[Path, Path]] = []
    for split, root in roots(folder).items():
        found = paired(root)
        pairs += found
        splits += [split] * len(found) if split else []
    if splits and "train" not in splits:
        raise UserError(f"{folder} has {listing(sorted(set(splits)))} but no train folder; add one")
    names = [image.relative_to(folder).as_posix() for image, _ in pairs]
    decoded = decode([image for image, _ in pairs], names, data=data, progress=progress)
    size = decoded.images.shape[1:3]
    masks = np.stack([read_mask(*pairs[place], size=size) for place in decoded.kept])
    kept = tuple(names[place] for place in decoded.kept)
    masks, classes = indexed(masks, kept, given=class_file(folder), source=str(folder))
    return Raw(
        inputs=decoded.images,
        labels=masks,
        names=kept,
        splits=tuple(splits[place] for place in decoded.kept) if splits else None,
        classes=classes,
        source=str(folder),
        notes=decoded.notes,
        task="segment",
    )


def paired(root: Path) -> list[tuple[Path, Path]]:
    """Images with their masks, by equal stems, in natural order.

    Raises:
        UserError: there is none, one is alone, or two have one stem.
    """
    files = {}
    for name, suffixes in (("images", SUFFIXES), ("masks", MASK_SUFFIXES)):
        try:
            found = sorted((root / name).iterdir(), key=lambda path: natural(path.name))
        except FileNotFoundError:
            raise UserError(
                f"{root} has no folder {name}; images and masks lie in two folders, images and masks"
            ) from None
        except OSError as error:
            raise UserError(f"{root / name} cannot be opened: {error.strerror}") from None
        files[name] = [path for path in found if path.suffix.lower() in suffixes and not path.name.startswith(".")]
        stems = [path.stem for path in files[name]]
        twice = next((stem for place, stem in enumerate(stems) if stem in set(stems[:place])), None)
        if twice is not None:
            raise UserError(f"{root / name} has two files named {twice}; keep one")
    images, masks = ({path.stem: path for path in files[name]} for name in ("images", "masks"))
    for one, other, kind in ((images, masks, "mask"), (masks, images, "image")):
        alone = [stem for stem in one if stem not in other]
        if alone:
            kinds = ", ".join(sorted(MASK_SUFFIXES if kind == "mask" else SUFFIXES))
            shown = listing([one[stem].name for stem in alone], 3)
            raise UserError(
                f"{len(alone)} of {len(one)} files in {one[alone[0]].parent} have no {kind} of the same name "
                f"({kinds}): {shown}"
            )
    if not images:
        raise UserError(f"{root / 'images'} has no image ({', '.join(sorted(SUFFIXES))})")
    return [(images[stem], masks[stem]) for stem in images]


def read_mask(image: Path, mask: Path, *, size: tuple[int, int]) -> np.ndarray:
    """The values of a mask, uint8 `(height, width)`, brought to `size` by the nearest pixel.

    Raises:
        UserError: it cannot be read, has colours instead of indices, or another size than its image.
    """
    try:
        with images.opened(mask) as picture:
            mode = picture.mode
            if mode not in ("1", "L", "P", "I;16", "I"):
                raise UserError(
                    f"{mask} is a picture in colours ({mode}); a mask holds class indices, as grey values or a palette"
                )
            values = np.asarray(picture)
        head = images.header(image)
    except BadImage as error:
        raise UserError(f"{mask} cannot be read: {error}") from None
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{mask} cannot be read: it is damaged ({error})") from None
    if values.shape != (head.height, head.width):
        raise UserError(
            f"{mask} has {values.shape[1]}×{values.shape[0]} pixels and its image {head.width}×{head.height}; they "
            "must have the same size"
        )
    if values.max() > IGNORE:
        raise UserError(f"{mask} has the value {values.max()}; class indices are 0 to 254, and {IGNORE} is ignored")
    return resized(values.astype(np.uint8), size)


def resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A uint8 mask at height and width `size`: of each place the nearest pixel, so that no class is made up."""
    if mask.shape == size:
        return mask
    return np.asarray(Image.fromarray(mask).resize((size[1], size[0]), Image.Resampling.NEAREST))


def class_file(folder: Path) -> tuple[str, ...] | None:
    """The names in `classes.txt`, one a line; None without such a file.

    Raises:
        UserError: it names fewer than two classes, or one twice.
    """
    path = folder / "classes.txt"
    if not path.is_file():
        return None
    names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    if not 2 <= len(set(names)) == len(names):
        raise UserError(f"{path} must name at least two classes, each once, one a line; it has {listing(names)}")
    return names


def fitted(masks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """All masks at height and width `size`."""
    return masks if masks.shape[1:] == size else np.stack([resized(mask, size) for mask in masks])


def indexed(
    masks: np.ndarray, names: Sequence[str], *, given: Sequence[str] | None, source: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Masks as class indices and `IGNORE`, with the names of the classes.

    Masks of 0 and 255 alone are background and foreground: 255 becomes 1.

    Args:
        masks: uint8 `(count, height, width)`.
        names: what each is called, for messages.
        given: names of the classes, where they are known.
        source: where the masks came from.

    Raises:
        UserError: there is one class only, or a value that is no class.
    """
    values = np.unique(masks)
    if set(values.tolist()) <= {0, IGNORE} and IGNORE in values and (given is None or len(given) == 2):
        return (masks == IGNORE).astype(np.uint8), tuple(given or ("background", "foreground"))
    found = values[values != IGNORE]
    most = int(found[-1]) if len(found) else 0
    if given is not None and most >= len(given):
        row = int(np.flatnonzero((masks == most).any(axis=(1, 2)))[0])
        raise UserError(
            f"the mask of {names[row]} in {source} has the value {most}, and there are {len(given)} classes, 0 to "
            f"{len(given) - 1} ({IGNORE} is ignored)"
        )
    if given is None and most >= MOST_UNNAMED:
        raise UserError(
            f"the masks of {source} have {len(found)} values up to {most}, which are probably no class indices (0, 1, "
            f"2 …); if they are, name the classes in classes.txt"
        )
    if most < 1:
        raise UserError(f"the masks of {source} hold class {most} only; there must be two classes or more")
    return masks, tuple(given or (str(index) for index in range(most + 1)))
