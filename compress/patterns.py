"""Settings for layers by patterns of their names."""

import difflib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TypeVar

from compress.errors import CompressError

Setting = TypeVar("Setting")


def first_match(settings: Mapping[str, Setting], names: Iterable[str]) -> Setting | None:
    """What the first shell pattern (`conv*`) that matches one of the names stands for; None where none does."""
    names = tuple(names)
    for pattern, setting in settings.items():
        if any(fnmatchcase(name, pattern) for name in names):
            return setting
    return None


def check_patterns(patterns: Iterable[str], names: Iterable[str], *, what: str, layers: str = "layer") -> None:
    """Refuse a pattern, `*` aside, that matches none of the names.

    Args:
        patterns: shell patterns.
        names: of all that can be meant.
        what: the argument, for the message.
        layers: what the names are of, for the message.

    Raises:
        CompressError: one matches nothing; names that are spelt nearly so are told.
    """
    names = sorted(set(names))
    for pattern in patterns:
        if pattern != "*" and not any(fnmatchcase(name, pattern) for name in names):
            close = difflib.get_close_matches(pattern, names, n=3)
            hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"there are {', '.join(names)}"
            raise CompressError(f"{what}: {pattern!r} matches no {layers}; {hint}")
