"""One series from a file: a table with a row a step, or an array."""

from pathlib import Path

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.sources import text_file
from recipes.engine.sources.tables import value

TABLES = (".csv", ".tsv", ".txt")
MISSING = ("", "?", "na", "nan")
"""What stands, in lower case, for a value that is missing."""


def read(path: Path) -> np.ndarray:
    """A series as float32 `(steps, channels)`, NaN where a value is missing.

    Args:
        path: a `.csv`, `.tsv` or `.txt`, plain or `.gz`, with a row of numbers a step and perhaps names in its first
            line; or an `.npy`, `(steps, channels)` or `(steps,)`.

    Raises:
        UserError: it is missing, is no such file, or something in it is no number; says on which line.
    """
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if path.is_dir() or (path.exists() and ending not in (*TABLES, ".npy")):
        raise UserError(f"{path} is no file of a series; give a .csv or .tsv with a row of numbers a step, or an .npy")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as that
        found = (array(path) if ending == ".npy" else table(path)).astype(np.float32)
    if not found.size:
        raise UserError(f"{path} holds no numbers")
    return found


def table(path: Path) -> np.ndarray:
    """The numbers of a table, `(steps, channels)`.

    Raises:
        UserError: a line has another number of them than the first, or a cell is no number.
    """
    lines = list(text_file.table(path, gaps=True))
    if lines and all(value(cell) is None for cell in lines[0][1]):
        lines = lines[1:]  # names of the channels
    rows = []
    for line, cells in lines:
        if len(cells) != len(lines[0][1]):
            raise UserError(f"{path}, line {line} has {len(cells)} values, line {lines[0][0]} has {len(lines[0][1])}")
        cells = ["nan" if cell.strip().lower() in MISSING else cell for cell in cells]
        wrong = next((place for place, cell in enumerate(cells) if value(cell) is None), None)
        if wrong is not None:
            raise UserError(
                f"{path}, line {line}: {cells[wrong].strip()[:40]!r} in column {wrong + 1} is no number; give the "
                "channels that the model reads, a row of numbers a step, without dates"
            )
        rows.append(cells)
    return np.array(rows, np.float64)


def array(path: Path) -> np.ndarray:
    """The numbers of an `.npy` file, `(steps, channels)`.

    Raises:
        UserError: it is none, or has another shape.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except PermissionError:
        raise UserError(f"no permission to read {path}") from None
    except (OSError, ValueError, EOFError):
        raise UserError(f"{path} is no .npy file of numbers that can be read; save it with numpy.save") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "uif":
        raise UserError(f"{path} has values of type {getattr(found, 'dtype', 'npz')}; a series is numbers")
    if found.ndim not in (1, 2):
        raise UserError(f"{path} has shape {found.shape}; a series is (steps, channels), or (steps,)")
    return found.reshape(len(found), -1) if found.size else found
