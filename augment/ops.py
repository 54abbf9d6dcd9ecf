"""Augmentation as data: frozen operation records with ranges, and nothing that needs TensorFlow.

Every image draws its own parameters, uniformly from the range that the record names. A range of 0 is allowed
and leaves the image as it is.
"""

from dataclasses import dataclass
from numbers import Real
from typing import Literal, get_args

from augment.errors import AugmentError

Fill = Literal["reflect", "nearest", "constant"]


def _check(op: object, field: str, *, least: float, most: float, open_end: bool = False) -> None:
    value = getattr(op, field)
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not (least <= value <= most) or (open_end and value == most):
        to = f"to below {most:g}" if open_end else f"to {most:g}"
        raise AugmentError(f"{type(op).__name__}: {field} must be a number from {least:g} {to}, not {value!r}.")


@dataclass(frozen=True)
class Flip:
    """Mirror the image.

    Attributes:
        horizontal: left and right change places.
        vertical: top and bottom change places, drawn on its own.
        probability: chance of each of the mirrorings that are on, 0-1.
    """

    horizontal: bool = True
    vertical: bool = False
    probability: float = 0.5

    def __post_init__(self) -> None:
        for field in ("horizontal", "vertical"):
            if not isinstance(getattr(self, field), bool):
                raise AugmentError(f"Flip: {field} must be True or False, not {getattr(self, field)!r}.")
        if not (self.horizontal or self.vertical):
            raise AugmentError("Flip: neither horizontal nor vertical is on; turn one on or leave Flip out.")
        _check(self, "probability", least=0, most=1)


@dataclass(frozen=True)
class Translate:
    """Shift the image; `amount` is the largest shift, as a share of height and of width, 0 to below 1."""

    amount: float

    def __post_init__(self) -> None:
        _check(self, "amount", least=0, most=1, open_end=True)


@dataclass(frozen=True)
class Rotate:
    """Turn the image about its centre; `degrees` is the largest angle to either side, 0-180."""

    degrees: float

    def __post_init__(self) -> None:
        _check(self, "degrees", least=0, most=180)


@dataclass(frozen=True)
class Zoom:
    """Scale the image about its centre, both axes alike.

    `amount` is the largest change of scale, 0 to below 1: 0.1 draws from 0.9 (smaller) to 1.1 (larger).
    """

    amount: float

    def __post_init__(self) -> None:
        _check(self, "amount", least=0, most=1, open_end=True)


@dataclass(frozen=True)
class Brightness:
    """Add one value to every pixel; `amount` is the largest, as a share of the range 0-255, 0-1."""

    amount: float

    def __post_init__(self) -> None:
        _check(self, "amount", least=0, most=1)


@dataclass(frozen=True)
class Contrast:
    """Scale every channel about its mean over the image (as `tf.image.adjust_contrast` does).

    `amount` is the largest change of the factor, 0-1: 0.2 draws from 0.8 to 1.2.
    """

    amount: float

    def __post_init__(self) -> None:
        _check(self, "amount", least=0, most=1)


GeometryOp = Flip | Translate | Rotate | Zoom
ColourOp = Brightness | Contrast
Op = GeometryOp | ColourOp


@dataclass(frozen=True)
class Policy:
    """What is done to every training image.

    Attributes:
        ops: the operations. Geometry comes first and colour after it, each in the order given.
        fill: what is seen beyond the edge. `reflect` mirrors the image about its edge, the edge pixel
            included (d c b a | a b c d | d c b a), and is the default because it brings in neither black
            wedges nor streaks; `nearest` repeats the edge pixel; `constant` is 0.
    """

    ops: tuple[Op, ...] = ()
    fill: Fill = "reflect"

    def __post_init__(self) -> None:
        if not isinstance(self.ops, tuple):
            raise AugmentError(f"Policy: ops must be a tuple of operations, such as (Flip(),), not {self.ops!r}.")
        for op in self.ops:
            if not isinstance(op, Op):
                names = ", ".join(kind.__name__ for kind in get_args(Op))
                raise AugmentError(f"Policy: {op!r} is not an operation; there are {names}.")
        if self.fill not in get_args(Fill):
            raise AugmentError(f"Policy: fill must be one of {', '.join(get_args(Fill))}, not {self.fill!r}.")


@dataclass(frozen=True)
class MixUp:
    """Blend each example with another (Zhang et al. 2018, "mixup", eq. 1).

    `alpha`, 0.01-1000, shapes the weight, which is drawn from Beta(alpha, alpha): near 0 it leaves most
    examples almost alone, 1 is uniform. The paper finds 0.1-0.4 to help on ImageNet (section 3.1) and uses 1
    on CIFAR (section 3.2).
    """

    alpha: float

    def __post_init__(self) -> None:
        _check_alpha(self)


@dataclass(frozen=True)
class CutMix:
    """Paste a box of another example into each (Yun et al. 2019, "CutMix", eq. 1 and 2).

    `alpha`, 0.01-1000, shapes the share that is kept, drawn from Beta(alpha, alpha). The paper uses 1.
    """

    alpha: float

    def __post_init__(self) -> None:
        _check_alpha(self)


Mix = MixUp | CutMix


def _check_alpha(op: Mix) -> None:
    # Below 0.01 both gamma draws behind the Beta can underflow; above 1000 the weight is always near 1/2.
    _check(op, "alpha", least=0.01, most=1000)
