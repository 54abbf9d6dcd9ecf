"""What a named data set is: where it lives, what it holds, and what its files must be."""

from dataclasses import dataclass
from typing import Literal

from zoo import fetch
from zoo.fetch import File

Reader = Literal[
    "idx",
    "mnist_json",
    "mnist_csv",
    "elpv",
    "brain",
    "nuclei",
    "ts",
    "ts_zip",
    "steps",
    "snippets",
    "plays",
    "phrases",
]
"""Functions of `named`, for masks of `volumes`, for series and texts of `sequences`."""

RAW = "https://raw.githubusercontent.com/"


@dataclass(frozen=True)
class Copy(fetch.Copy):
    """One way to get a data set.

    Attributes:
        reader: the function that reads its files.
        note: what differs from the other copies, shown with every run.
    """

    reader: Reader
    note: str = ""


@dataclass(frozen=True)
class DatasetCard:
    """A named data set.

    Attributes:
        name: for `data.source`.
        task: what is learnt.
        description: examples, sizes, classes.
        source: its home.
        licence: who may do what.
        copies: ways to get it, the home first; empty for what is embedded.
        classes: names, in the order of the label indices; of a forecast, of what is forecast; else empty.
        consent: the licence restricts use and must be accepted.
        checked: which hashes were checked against real files, and how.
    """

    name: str
    task: str
    description: str
    source: str
    licence: str
    copies: tuple[Copy, ...]
    classes: tuple[str, ...]
    consent: bool = False
    checked: str = ""

    @property
    def bytes(self) -> int:
        """Size of the download, from its home where that is known; 0 for what is embedded."""
        sizes = [[file.bytes for file in copy.files] for copy in self.copies]
        return next((sum(found) for found in sizes if all(found)), 0)

    @property
    def packaged(self) -> str:
        """The packaged copies: `pip, npm`."""
        return ", ".join(copy.via for copy in self.copies if copy.via != "home")


def files(rows: tuple[tuple[str, int, str], ...], base: str) -> tuple[File, ...]:
    """Files below one address, or one folder of a package: name, bytes and SHA-256 of each."""
    return tuple(File(name, size, sha256, base + name) for name, size, sha256 in rows)
