"""A file that is there whole, or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from compress.errors import CompressError


def check_folder(path: Path) -> None:
    """That a file can have this path, before there is anything to write.

    Raises:
        CompressError: its folder is missing.
    """
    if not path.parent.is_dir():
        raise CompressError(f"{path.parent} is no folder, so {path.name} cannot be written there")


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to; what is there at the end gets the name `path`, unless the writing failed.

    Raises:
        CompressError: the folder is missing, or cannot be written to.
    """
    check_folder(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise CompressError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
