"""Text from a file, in UTF-8, with the place of what is not."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

from recipes.engine.errors import UserError
from recipes.engine.sources.memory import require

LARGEST = 10_000_000
"""Bytes of the longest text that is taken as one example: more is a corpus, or a mistake."""

SEPARATORS = {".tsv": "\t"}

Line = tuple[int, list[str]]
"""A line number, from 1, and its cells."""


def read(path: Path) -> str:
    """The text of a file, plain or `.gz`; a mark of byte order is dropped, and lines end in one line feed.

    Raises:
        UserError: there is no such file, it cannot be read, or is not UTF-8: names line and byte.
    """
    try:
        require(path.stat().st_size * (12 if path.suffix == ".gz" else 4), what=str(path), advice="take a part of it")
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except PermissionError:
        raise UserError(f"no permission to read {path}") from None
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    return decoded(content, str(path)).replace("\r\n", "\n").replace("\r", "\n")


def decoded(content: bytes, name: str) -> str:
    """UTF-8 as text.

    Raises:
        UserError: it is none; names line and byte.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        whole = error.object  # without the mark of byte order, where there is one
        place = error.start + len(content) - len(whole)
        line = content.count(b"\n", 0, place) + 1
        column = place - content.rfind(b"\n", 0, place)
        raise UserError(
            f"{name}, line {line}: byte {column} of the line (byte {place + 1:,} of the file) is "
            f"0x{content[place]:02X}, which is no text in UTF-8; save the file as UTF-8"
        ) from None


def table(path: Path, *, gaps: bool = False) -> Iterator[Line]:
    """The lines of a table that are not blank; tabs separate in `.tsv`, else commas, semicolons or tabs.

    Cells are as they stand, with quotes undone.

    Args:
        path: the file, plain or `.gz`.
        gaps: whether a line of nothing but separators, before the last that has more, is a line too: a step of a series
            without its values.

    Raises:
        UserError: it cannot be read, is not UTF-8, or has a cell of more than `LARGEST` bytes.
    """
    text = read(path)
    first = text[: text.find("\n")] if "\n" in text else text
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    delimiter = SEPARATORS.get(plain.suffix.lower()) or max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    before = csv.field_size_limit(LARGEST)  # of the whole process: put back before anything else runs
    try:
        rows = [(reader.line_num, row) for row in reader if any(row) or (gaps and row)]
    except csv.Error as error:
        if "field limit" in str(error):
            raise UserError(
                f"{path}, line {reader.line_num}: a cell has more than {LARGEST // 10**6} MB, the most that a text may "
                "have; is a quote missing?"
            ) from None
        raise UserError(f"{path}, line {reader.line_num}: {error}") from None
    finally:
        csv.field_size_limit(before)
    while rows and not any(rows[-1][1]):
        rows.pop()
    yield from rows
