"""How figures are written on the report's page."""

import math
from typing import Any

from recipes.engine import charts


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share `0-1` seen on `count` examples (Wilson 1927): honest at 0 %, at 100 %, on few."""
    z = 1.959963984540054
    centre = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max((centre - half) / scale, 0.0), min((centre + half) / scale, 1.0)


def percent(share: float) -> str:
    """A share as a percentage; never 100 % for less than all."""
    digits = next((d for d in (1, 2, 3) if share == 1.0 or round(100 * share, d) < 100.0), 4)
    return f"{100 * share:.{digits}f}\N{NARROW NO-BREAK SPACE}%"


def size(count: int) -> str:
    """Bytes in KiB or MiB."""
    return f"{count / 1024:.1f} KiB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.2f} MiB"


def shorten(name: str) -> str:
    """A name cut to what fits beside the confusion matrix; in its middle, since names often differ at their ends."""
    half = charts.LONGEST_NAME // 2
    return name if len(name) <= charts.LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"


def flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A nested dict as dotted names and texts."""
    found = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", str(value)))
    return found


def many(count: int, thing: str) -> str:
    """`1 image`, `1,797 images`."""
    return f"{count:,} {thing if count == 1 else plural(thing)}"


def article(thing: str) -> str:
    """`an image`, `a series`."""
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


def plural(thing: str) -> str:
    """More than one of it."""
    return thing if thing.endswith("s") else f"{thing}s"
