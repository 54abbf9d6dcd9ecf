"""Texts and their translations."""

from dataclasses import dataclass

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.preprocess.tokenized import Tokenized, tokenizer
from recipes.engine.records import Data
from recipes.engine.results import Examples, Modality, Subset, Task


@dataclass(frozen=True)
class Pairs(Tokenized):
    """One tokenizer for both languages, and the length that the model reads of each.

    Attributes:
        tokenizer: as JSON, as the `tokenizers` library writes it.
        steps: tokens of the text, and of its translation; longer ones are cut, 0 follows shorter ones.
        classes: none.
        task: `translate`.
    """

    steps: int
    classes: tuple[str, ...] = ()
    task: Task = "translate"
    modality: Modality = "text"

    @property
    def ends(self) -> tuple[int, int]:
        """The tokens that a translation begins and ends with."""
        start, end = self.tokens.start, self.tokens.end
        assert start is not None and end is not None, "`fit` refuses others"
        return start, end

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example: steps of the text, and of its translation."""
        return self.steps, self.steps

    @property
    def outputs(self) -> int | None:
        """None: the vocabulary says how many numbers come out at each step."""
        return None

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Texts, object `(batch,)`, as tokens, int32 `(batch, steps)`."""
        return self.tokens.encode(inputs.tolist(), steps=self.steps)

    def rows(self, subset: Subset) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        """What the model reads of a split, text and translation, and the token after each of the translation."""
        told = self.tokens.encode(subset.labels.tolist(), steps=self.steps + 1)
        return (self(subset.inputs), told[:, :-1]), told[:, 1:]


def fit(data: Data, examples: Examples) -> Pairs:
    """The tokenizer from both sides of the training split, or from its file.

    Raises:
        UserError: it has no padding, or no tokens that say where a text starts and ends.
    """
    train = examples.train
    made = tokenizer(data, examples, [*train.inputs.tolist(), *train.labels.tolist()])
    if not made.padded or made.start is None or made.end is None:
        raise UserError("a translation needs a tokenizer with padding as token 0 and with [CLS] and [SEP]")
    return Pairs(made.to_json(), data.steps)
