"""An `.npz` archive with images and masks."""

import zipfile
from pathlib import Path

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.results import IGNORE
from recipes.engine.sources.arrays import opened, shaped, to_uint8
from recipes.engine.sources.masks import fitted, indexed
from recipes.engine.sources.raw import Raw, Split, listing

ARRAYS: dict[Split | None, tuple[str, str]] = {
    None: ("images", "masks"),
    "train": ("train_images", "train_masks"),
    "validation": ("val_images", "val_masks"),
    "test": ("test_images", "test_masks"),
}
"""Names of images and masks in an archive."""


def has_masks(path: Path) -> bool:
    """Whether an archive has an array of masks."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.lower().removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile):
        return False  # `arrays.read` says what is wrong with it
    return bool(names & {masks for _, masks in ARRAYS.values()})


def read(path: Path, *, data: Data) -> Raw:
    """Read `images` and `masks` of an `.npz` archive, or `train_images`, `train_masks`, `val_…`, `test_…`.

    Masks are whole numbers `(count, height, width)`, with values as in `masks.read`; `classes` names them.

    Raises:
        UserError: the archive is damaged, lacks arrays, or they do not fit together.
    """
    arrays = opened(path)
    pictures, masks, splits, names = [], [], [], []
    for split, (one, other) in ARRAYS.items():
        if one not in arrays and other not in arrays:
            continue
        if one not in arrays or other not in arrays:
            raise UserError(f"{path} has {listing(sorted(arrays), 12)}; {one} and {other} come together")
        images_, masks_ = to_uint8(arrays[one], f"{one} in {path}"), arrays[other]
        if masks_.ndim == 4 and masks_.shape[-1] == 1:
            masks_ = masks_[..., 0]
        if masks_.shape != images_.shape[:3]:
            raise UserError(f"{other} in {path} has shape {masks_.shape}; {one} need masks of {images_.shape[:3]}")
        if masks_.dtype.kind not in "uib" or masks_.min() < 0 or masks_.max() > IGNORE:
            raise UserError(
                f"{other} in {path} has {masks_.dtype} values from {masks_.min()} to {masks_.max()}; class indices are "
                f"whole numbers from 0, and {IGNORE} is ignored"
            )
        pictures.append(images_)
        masks.append(masks_.astype(np.uint8))
        splits += [split] * len(images_) if split else []
        names += [f"{path.name}:{one}#{row}" for row in range(len(images_))]
    if (splits and (len(splits) < len(names) or "train" not in splits)) or not names:
        raise UserError(
            f"{path} has {listing(sorted(arrays), 12)}; it needs images and masks, or train_images and train_masks "
            "with val_ and test_ where there are such splits"
        )
    if len({part.shape[1:] for part in pictures}) > 1:
        raise UserError(f"{path} has images of different shapes: {listing([str(part.shape) for part in pictures])}")
    given = [str(name) for name in arrays["classes"].tolist()] if "classes" in arrays else None
    labels, classes = indexed(np.concatenate(masks), names, given=given, source=str(path))
    ready = shaped(np.concatenate(pictures), data)
    return Raw(
        inputs=ready,
        labels=fitted(labels, ready.shape[1:3]),
        names=tuple(names),
        splits=tuple(splits) or None,
        classes=classes,
        source=str(path),
        task="segment",
    )
