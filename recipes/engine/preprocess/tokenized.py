"""What all texts share: the tokenizer, and how a text that is given is read."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from recipes.engine import tokens
from recipes.engine.errors import UserError
from recipes.engine.progress import console
from recipes.engine.records import Data
from recipes.engine.results import Examples, Task
from recipes.engine.sources import text_file
from recipes.engine.sources.texts import unusable

AUTO: dict[Task, tokens.Kind] = {"classify": "word", "generate": "char", "translate": "bpe", "embed": "word"}
"""The tokenizer that each task takes where the recipe says `auto`."""


@dataclass(frozen=True)
class Tokenized:
    """A tokenizer; what is made of the tokens is the task's.

    Attributes:
        tokenizer: as JSON, as the `tokenizers` library writes it.
    """

    tokenizer: str

    @cached_property
    def tokens(self) -> tokens.Tokenizer:
        """The tokenizer."""
        return tokens.parse(self.tokenizer)

    @property
    def changes(self) -> dict[str, Any]:
        """Fields of the spec that the data decides."""
        return {"vocabulary": self.tokens.size}

    def open(self, what: str) -> str:
        """A text: `what` itself, or what is in it where it names a `.txt` file.

        Raises:
            UserError: it is empty, very long, or not UTF-8.
        """
        return opened(what)


def opened(what: str) -> str:
    """A text, or the content of the `.txt` file that it names.

    Raises:
        UserError: it is empty, longer than `text_file.LARGEST`, not UTF-8, or names a file of another kind.
    """
    text, name = what, "the text"
    if what.lower().endswith(".txt") and "\n" not in what:
        text, name = text_file.read(Path(what)), what
    elif os.path.isfile(what):
        raise UserError(f"{what} is a file, but no .txt file; give a text, or a .txt file of it")
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # what the shell hands over as bytes
        raise UserError("the text is not UTF-8; put it into a .txt file saved as UTF-8")
    reason = unusable(text)
    if reason:
        raise UserError(f"{name} {reason}")
    return text


def tokenizer(data: Data, examples: Examples, texts: list[str]) -> tokens.Tokenizer:
    """The tokenizer that a recipe asks for; says what of the test split it does not know.

    Args:
        data: the record.
        examples: the task, and the test split.
        texts: of the training split.

    Raises:
        UserError: there is none, or it cannot be made.
    """
    kind = AUTO[examples.task] if data.tokenizer == "auto" else data.tokenizer
    if kind in ("word", "char", "wordpiece", "bpe"):
        made = tokens.fit(texts, kind=kind, size=data.vocabulary)  # type: ignore[arg-type]  # one of the four
    else:
        made = tokens.load(Path(kind).expanduser())
    for note in tokens.notes(made, examples.test.inputs.tolist(), split="test"):
        console.print(f"note: {note}")
    return made
