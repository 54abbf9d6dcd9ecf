"""Texts with a class: the tokenizer, and how many tokens the model reads."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recipes.engine import tokens
from recipes.engine.errors import UserError
from recipes.engine.progress import console
from recipes.engine.records import Data
from recipes.engine.results import Examples, Modality, Subset, Task
from recipes.engine.sources import text_file
from recipes.engine.sources.texts import unusable

AUTO: dict[Task, tokens.Kind] = {"classify": "word", "generate": "char", "translate": "bpe", "embed": "word"}
"""The tokenizer that each task takes where the recipe says `auto`."""


@dataclass(frozen=True)
class Texts:
    """A tokenizer, the length that the model reads, and names of the outputs.

    Attributes:
        tokenizer: as JSON, as the `tokenizers` library writes it.
        steps: tokens that the model reads; longer texts are cut, 0 follows shorter ones.
        classes: names of the outputs, in order.
        task: `classify`.
    """

    tokenizer: str
    steps: int
    classes: tuple[str, ...]
    task: Task = "classify"
    modality: Modality = "text"

    @cached_property
    def tokens(self) -> tokens.Tokenizer:
        """The tokenizer."""
        return tokens.parse(self.tokenizer)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example, as the model reads it."""
        return (self.steps,)

    @property
    def outputs(self) -> int | None:
        """How many numbers the model answers with."""
        return len(self.classes)

    @property
    def changes(self) -> dict[str, Any]:
        """Fields of the spec that the data decides."""
        return {"vocabulary": self.tokens.size}

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Texts, object `(batch,)`, as tokens, int32 `(batch, steps)`."""
        return self.tokens.encode(inputs.tolist(), steps=self.steps)

    def rows(self, subset: Subset) -> tuple[np.ndarray, np.ndarray]:
        """What the model reads of a split, and what it should answer."""
        return self(subset.inputs), subset.labels

    def open(self, what: str) -> str:
        """The text: `what` itself, or what is in it where it names a `.txt` file.

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


def fit(data: Data, examples: Examples) -> Texts:
    """The tokenizer from the training split, or from its file; the length is `data.steps`."""
    made = tokenizer(data, examples, examples.train.inputs.tolist())
    return Texts(made.to_json(), data.steps, examples.classes)


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
