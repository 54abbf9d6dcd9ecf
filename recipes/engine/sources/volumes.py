"""Data sets with masks that come as a volume or as one large picture: cut up, and split in space."""

import gzip
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from recipes.engine.sources.raw import Split

MaskParts = tuple[np.ndarray, np.ndarray, tuple[Split, ...], tuple[str, ...]]
"""Images, masks, splits, and what names each example within the set."""

NIFTI_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
"""`datatype` codes of the NIfTI-1 header."""

PERIOD: tuple[tuple[Split | None, int], ...] = (
    ("train", 17),
    (None, 4),
    ("validation", 4),
    (None, 4),
    ("test", 7),
    (None, 4),
)
"""Neighbouring slices of 1 mm are nearly equal: splits are blocks of slices, and those between are left out."""


def nifti(content: bytes) -> np.ndarray:
    """The values of a NIfTI-1 file (`.nii`), in the file's own order of axes, with its scaling applied.

    The header is 348 bytes (Cox et al. 2004, "A (sort of) new image data format standard: NIfTI-1"): `dim` at 40,
    `datatype` at 70, `vox_offset` at 108, `scl_slope` and `scl_inter` at 112, the magic at 344.

    Raises:
        ValueError: it is no such file, or has a type of values that is not read here.
    """
    if len(content) < 352 or content[344:348] != b"n+1\x00":
        raise ValueError("no NIfTI-1 file")
    order = "<" if struct.unpack_from("<i", content)[0] == 348 else ">"
    axes, *sizes = struct.unpack_from(f"{order}8h", content, 40)
    (kind,) = struct.unpack_from(f"{order}h", content, 70)
    start, slope, offset = struct.unpack_from(f"{order}3f", content, 108)
    if kind not in NIFTI_TYPES:
        raise ValueError(f"NIfTI-1 values of type {kind}")
    shape = tuple(sizes[:axes])
    count = int(np.prod(shape))
    values = np.frombuffer(content, order + NIFTI_TYPES[kind], count, int(start)).reshape(shape, order="F")
    return values if slope in (0.0, 1.0) and offset == 0.0 else values * slope + offset


def brain(paths: Sequence[Path]) -> MaskParts:
    """Axial slices of the T1, grey-matter and white-matter volumes of MNI152: 112x96 pixels of 2 mm, front up.

    A pixel is the class with the largest share of its 2x2 voxels; what is neither grey nor white matter is
    background. Slices with less than a hundredth of tissue are left out.
    """
    volumes = [nifti(gzip.decompress(path.read_bytes())) for path in paths]
    t1, grey, white = (_axial(volume) for volume in volumes)
    masks = np.stack([255 - np.minimum(grey + white, 255), grey, white]).argmax(axis=0).astype(np.uint8)
    kept = np.flatnonzero((masks > 0).mean(axis=(1, 2)) > 0.01)
    period = [split for split, count in PERIOD for _ in range(count)]
    rows = [(row, period[place % len(period)]) for place, row in enumerate(kept.tolist())]
    chosen = [(row, split) for row, split in rows if split is not None]
    images = np.rint(t1).astype(np.uint8)[..., None]
    places = [row for row, _ in chosen]
    return images[places], masks[places], tuple(split for _, split in chosen), tuple(f"z{row:03d}" for row in places)


def _axial(volume: np.ndarray) -> np.ndarray:
    """`(x, y, z)` → `(z, 112, 96)`, the middle of each slice, averaged over 2x2, front up; float64."""
    x, y = ((size - wanted) // 2 for size, wanted in zip(volume.shape, (192, 224), strict=False))
    middle = volume[x : x + 192, y : y + 224].astype(np.float64)
    small = middle.reshape(96, 2, 112, 2, -1).mean(axis=(1, 3))
    return np.ascontiguousarray(small.transpose(2, 1, 0)[:, ::-1])


def nuclei(paths: Sequence[Path]) -> MaskParts:
    """One picture of 512x512 with a number for each nucleus, in 64 tiles of 64x64 that do not overlap.

    Six rows of tiles train, the next one validates, the last one tests.
    """
    picture, numbers = (np.asarray(Image.open(path)) for path in paths)
    top = float(np.percentile(picture, 99.8))
    grey = np.rint(np.clip(picture / top, 0, 1) * 255).astype(np.uint8)

    def tiles(image: np.ndarray) -> np.ndarray:
        return image.reshape(8, 64, 8, 64).swapaxes(1, 2).reshape(64, 64, 64)

    splits: list[Split] = ["train"] * 48
    splits += ["validation"] * 8
    splits += ["test"] * 8
    names = tuple(f"row{row}-column{column}" for row in range(8) for column in range(8))
    return tiles(grey)[..., None], (tiles(numbers) > 0).astype(np.uint8), tuple(splits), names


VOLUMES: dict[str, Callable[[Sequence[Path]], MaskParts]] = {"brain": brain, "nuclei": nuclei}
"""Reader's name → function."""
