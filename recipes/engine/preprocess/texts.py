"""Texts with a class: the tokenizer, and how many tokens the model reads."""

from dataclasses import dataclass

import numpy as np

from recipes.engine.preprocess.tokenized import Tokenized, tokenizer
from recipes.engine.records import Data
from recipes.engine.results import Examples, Modality, Subset, Task


@dataclass(frozen=True)
class Texts(Tokenized):
    """A tokenizer, the length that the model reads, and names of the outputs.

    Attributes:
        tokenizer: as JSON, as the `tokenizers` library writes it.
        steps: tokens that the model reads; longer texts are cut, 0 follows shorter ones.
        classes: names of the outputs, in order.
        task: `classify`.
    """

    steps: int
    classes: tuple[str, ...]
    task: Task = "classify"
    modality: Modality = "text"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example, as the model reads it."""
        return (self.steps,)

    @property
    def outputs(self) -> int | None:
        """How many numbers the model answers with."""
        return len(self.classes)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Texts, object `(batch,)`, as tokens, int32 `(batch, steps)`."""
        return self.tokens.encode(inputs.tolist(), steps=self.steps)

    def rows(self, subset: Subset) -> tuple[np.ndarray, np.ndarray]:
        """What the model reads of a split, and what it should answer."""
        return self(subset.inputs), subset.labels


def fit(data: Data, examples: Examples) -> Texts:
    """The tokenizer from the training split, or from its file; the length is `data.steps`."""
    made = tokenizer(data, examples, examples.train.inputs.tolist())
    return Texts(made.to_json(), data.steps, examples.classes)
