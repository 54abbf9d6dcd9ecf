"""Masks as pictures: in colours, and laid over their images."""

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image

from recipes.engine.results import IGNORE, Shown

BACKGROUND = "background"
"""The class that is not painted over its image."""

OKABE_ITO = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
"""Colours that colour-blind people tell apart (Okabe & Ito 2008), without black."""

UNKNOWN = (128, 128, 128)
"""Pixels that are not judged."""


def colours(classes: Sequence[str]) -> np.ndarray:
    """One colour a class, uint8 `(256, 3)`: black for the background, grey for what is not judged."""
    table = np.full((256, 3), UNKNOWN, np.uint8)
    painted = [index for index, name in enumerate(classes) if name != BACKGROUND]
    for place, index in enumerate(painted):
        if len(painted) <= len(OKABE_ITO):
            table[index] = OKABE_ITO[place]
        else:  # hues a golden angle apart, alternately light and dark
            shade = colorsys.hsv_to_rgb(place * 0.618034 % 1.0, 0.85, (0.95, 0.65)[place % 2])
            table[index] = [round(255 * part) for part in shade]
    for index, name in enumerate(classes):
        if name == BACKGROUND:
            table[index] = 0
    return table


def mask_picture(mask: np.ndarray, classes: Sequence[str]) -> Image.Image:
    """A palette picture of a uint8 mask `(height, width)`: the pixels are class indices, shown in the colours."""
    picture = Image.fromarray(mask, "L")
    picture.putpalette(colours(classes).ravel().tolist())
    return picture


def overlay(image: np.ndarray, mask: np.ndarray, classes: Sequence[str], *, opacity: float = 0.5) -> np.ndarray:
    """The image with its mask's colours over it, uint8 `(height, width, 3)`; the background shows through.

    Args:
        image: uint8 `(height, width, 1 or 3)`.
        mask: uint8 class indices `(height, width)`.
        classes: their names.
        opacity: of the colours, 0-1.
    """
    base = np.broadcast_to(image, (*image.shape[:2], 3)).astype(np.float32)
    clear = [index for index, name in enumerate(classes) if name == BACKGROUND]
    share = opacity * ~np.isin(mask, [*clear, IGNORE])[..., None]
    return np.rint(base * (1 - share) + colours(classes)[mask] * share).astype(np.uint8)


def triptych(shown: Shown, classes: Sequence[str]) -> list[np.ndarray]:
    """The image, with its true mask over it, and with the model's; uint8 `(height, width, 3)` each."""
    plain = np.broadcast_to(shown.image, (*shown.image.shape[:2], 3))
    return [plain, overlay(shown.image, shown.truth, classes), overlay(shown.image, shown.answer, classes)]


def triptychs(shown: Sequence[Shown], classes: Sequence[str]) -> np.ndarray:
    """The three pictures of each side by side: uint8 `(count, height, 3 * width, 3)`."""
    return np.stack([np.concatenate(triptych(one, classes), axis=1) for one in shown])
