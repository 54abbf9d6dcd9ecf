"""Refuse what would not fit, before anything is decoded."""

import os
from contextlib import suppress
from pathlib import Path

from recipes.engine.errors import UserError

MEMINFO = Path("/proc/meminfo")
GROUP_LIMIT, GROUP_USE = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


def available() -> int | None:
    """Bytes that can be had; None where the system does not say.

    Linux says what is free or can be freed, and what its container leaves; elsewhere it is all the memory there is.
    """
    found = []
    try:
        values = dict(line.split(":", 1) for line in MEMINFO.read_text(encoding="ascii").splitlines())
        found.append(int(values["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        try:
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        except (AttributeError, ValueError, OSError):
            return None
    with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        found.append(int(GROUP_LIMIT.read_text(encoding="ascii")) - int(GROUP_USE.read_text(encoding="ascii")))
    return max(0, min(found))


def require(needed: int, *, what: str, advice: str) -> None:
    """Check that `needed` bytes can be had.

    Raises:
        UserError: they cannot; says how much `what` needs, how much there is, and `advice`.
    """
    free = available()
    if free is not None and needed > free:
        raise UserError(
            f"{what} would take {needed / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} GiB is free; {advice}"
        )


def require_images(source: str, count: int, *, height: int, width: int, channels: int) -> None:
    """Check that `count` images fit twice: as read, and once more as the splits are taken from them."""
    require(
        2 * count * height * width * channels,
        what=f"{source}: {count:,} images of {height}×{width}×{channels}",
        advice="choose a smaller --data.size",
    )
