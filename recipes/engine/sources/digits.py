"""The data set that is always there: scikit-learn's 1,797 handwritten digits of 8×8 pixels."""

import numpy as np

from recipes.engine.records import Data
from recipes.engine.sources.arrays import shaped
from recipes.engine.sources.raw import Raw


def read(*, data: Data) -> Raw:
    """Read the digits; their 0-16 become 0-255."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * 255 / 16).astype(np.uint8)[..., None]
    return Raw(
        inputs=shaped(pixels, data),
        labels=bunch.target.astype(np.int64),
        names=tuple(f"digits#{row}" for row in range(len(pixels))),
        splits=None,
        classes=tuple(str(digit) for digit in range(10)),
        source="digits (scikit-learn, BSD-3-Clause)",
    )
