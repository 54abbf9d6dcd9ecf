"""One picture: from a file to pixels.

Training and prediction read pictures through `to_array`, so that they see the same thing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from recipes.engine.errors import UserError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
"""What counts as an image file, in lower case."""

MOST_PIXELS = 100_000_000
"""A larger picture is refused from its header: 100 megapixels take 300 MB to decode."""

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"})
SIXTEEN_BITS = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation; from 5 on, height and width are swapped."""


class BadImage(ValueError):
    """An image that cannot be read; the text is the reason, without the name."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself before it is decoded: size as it will be shown, and whether it is grey."""

    height: int
    width: int
    grey: bool


def header(path: Path) -> Header:
    """Read a header only.

    Raises:
        BadImage: the file is missing, is no image, or has too many pixels.
    """
    with opened(path) as image:
        width, height = image.size
        if _orientation(image) >= 5:
            width, height = height, width
        return Header(height, width, image.mode in GREY_MODES)


def pixels(path: Path | BinaryIO, *, size: tuple[int, int], channels: int) -> np.ndarray:
    """Decode a picture.

    The EXIF orientation is applied, transparency is put on white, 16 bits become 8, and the picture is stretched to
    `size` with an antialiased bilinear filter. Of a large JPEG no more than twice the wanted resolution is decoded.

    Args:
        path: JPEG, PNG, BMP or WebP file, or a stream of one.
        size: height and width.
        channels: 1 (grey) or 3 (RGB).

    Returns:
        uint8 `(height, width, channels)`, 0-255.

    Raises:
        BadImage: the file is missing, is no image, is damaged or cut short, or has too many pixels.
    """
    with opened(path) as image:
        orientation = _orientation(image)
        height, width = size if orientation < 5 else size[::-1]
        try:
            image.draft(None, (2 * width, 2 * height))
            image.load()
            upright = image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image
            return resize(_plain(upright, channels), size)
        except MemoryError:
            raise
        except Exception as error:  # Pillow raises nearly anything on a damaged file
            raise BadImage(_reason(error)) from None


def to_array(path: Path, *, size: tuple[int, int], channels: int) -> np.ndarray:
    """`pixels`, for one picture of the user's.

    Raises:
        UserError: it cannot be read; names the file.
    """
    try:
        return pixels(path, size=size, channels=channels)
    except BadImage as error:
        raise UserError(f"{path} cannot be read: {error}") from None


def resize(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Stretch a picture of mode L or RGB to height and width: uint8 `(height, width, channels)`."""
    height, width = size
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    array = np.asarray(image)
    return array[..., None] if array.ndim == 2 else array


def opened(path: Path | BinaryIO) -> Image.Image:
    """A picture, its header read.

    Raises:
        BadImage: the file is missing, is no image, or has too many pixels.
    """
    try:
        image = Image.open(path)
    except FileNotFoundError:
        raise BadImage("there is no such file") from None
    except PermissionError:
        raise BadImage("no permission to read it") from None
    except IsADirectoryError:
        raise BadImage("it is a folder") from None
    except Image.DecompressionBombError:
        raise BadImage(f"it has more than {MOST_PIXELS // 10**6} megapixels") from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises nearly anything on a damaged header
        raise BadImage(_reason(error, path)) from None
    width, height = image.size
    if width * height > MOST_PIXELS:
        image.close()
        raise BadImage(f"it has {width}×{height} pixels, more than {MOST_PIXELS // 10**6} megapixels")
    return image


def _orientation(image: Image.Image) -> int:
    # A PNG without EXIF before its pixels would be decoded whole, to look for some after them.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # damaged EXIF is no reason to refuse a picture
        return 1


def _plain(image: Image.Image, channels: int) -> Image.Image:
    if image.mode in SIXTEEN_BITS:
        wide = np.clip(np.asarray(image).astype(np.float64), 0, 65535)
        image = Image.fromarray(np.rint(wide / 257).astype(np.uint8))
    elif image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    elif image.mode == "P":  # straight to grey, a palette would be read with less care
        image = image.convert("RGB")
    return image.convert("L" if channels == 1 else "RGB")


def _reason(error: Exception, path: Path | BinaryIO | None = None) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        empty = isinstance(path, Path) and path.stat().st_size == 0
        return "the file is empty" if empty else "it is no image, whatever its name says"
    text = str(error).split("\n")[0]
    if "truncated" in text.lower():
        return f"it is cut short ({text})"
    return f"it is damaged ({text or type(error).__name__})"
