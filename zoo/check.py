"""Checks of what a user passes in: each returns the value in its right type, or raises `ZooError`."""

import math
from collections.abc import Iterable
from numbers import Integral, Real

from zoo.errors import ZooError


def whole(value: object, name: str, *, least: int = 1) -> int:
    """`value` as an int of at least `least`; `name` is what the message calls it."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ZooError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return int(value)


def real(
    value: object,
    name: str,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
) -> float:
    """`value` as a finite float that is `> above`, `>= least` and `< below`."""
    good = not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)
    number = float(value) if good else math.nan  # type: ignore[arg-type]
    bounds = {
        f"above {above}": above is None or number > above,
        f"at least {least}": least is None or number >= least,
        f"below {below}": below is None or number < below,
    }
    if not (good and all(bounds.values())):
        wanted = " and ".join(text for text in bounds if not text.endswith("None"))
        raise ZooError(f"{name} must be a number {wanted}, not {value!r}")
    return number


def one_of(value: object, name: str, choices: Iterable[object]) -> None:
    """`value` is one of `choices`."""
    choices = tuple(choices)
    if isinstance(value, bool) or value not in choices:
        raise ZooError(f"{name} must be {' or '.join(map(repr, choices))}, not {value!r}")


def flag(value: object, name: str) -> None:
    """`value` is True or False."""
    if not isinstance(value, bool):
        raise ZooError(f"{name} must be True or False, not {value!r}")


def items(value: object, name: str) -> tuple[object, ...]:
    """`value` as a tuple that is not empty."""
    if not isinstance(value, (tuple, list)) or not value:
        raise ZooError(f"{name} must be a tuple with at least one item, not {value!r}")
    return tuple(value)


def wholes(value: object, name: str, *, count: int | None = None) -> tuple[int, ...]:
    """`value` as a tuple of ints of at least 1: `count` of them, or any number."""
    numbers = items(value, name)
    if count is not None and len(numbers) != count:
        raise ZooError(f"{name} must be {count} whole numbers, not {value!r}")
    return tuple(whole(number, f"each number of {name}") for number in numbers)
