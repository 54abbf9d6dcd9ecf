"""Texts with a class: the tokenizer, and how many tokens the model reads."""

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
from recipes.engine.sources.text_file import LARGEST

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
        UserError: it is empty, longer than `LARGEST`, or not UTF-8.
    """
    text, name = what, "the text"
    if what.lower().endswith(".txt") and "\n" not in what:
        path = Path(what)
        name = what
        try:
            if path.stat().st_size > LARGEST:
                raise UserError(f"{what} has more than {LARGEST // 10**6} MB; give a shorter text")
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(f"there is no file {what}") from None
        except UnicodeDecodeError as error:
            raise UserError(
                f"{what} is not UTF-8: byte {error.start + 1} is {error.object[error.start]:#04x}"
            ) from None
        except OSError as error:
            raise UserError(f"{what} cannot be read: {error.strerror}") from None
    if not text.strip():
        raise UserError(f"{name} is empty")
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
