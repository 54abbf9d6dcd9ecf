"""Running text, of which a model tells the next token."""

from dataclasses import dataclass

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.preprocess.tokenized import Tokenized, tokenizer
from recipes.engine.records import Data
from recipes.engine.results import Examples, Modality, Subset, Task


@dataclass(frozen=True)
class Language(Tokenized):
    """A tokenizer and the length that the model reads.

    Attributes:
        tokenizer: as JSON, as the `tokenizers` library writes it.
        steps: tokens that the model reads at once.
        classes: none.
        task: `generate`.
    """

    steps: int
    classes: tuple[str, ...] = ()
    task: Task = "generate"
    modality: Modality = "text"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example, as the model reads it."""
        return (self.steps,)

    @property
    def outputs(self) -> int | None:
        """None: the vocabulary says how many numbers come out at each step."""
        return None

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Texts, object `(batch,)`, as windows of tokens, int32 `(windows, steps)`; see `rows`."""
        return self.windows(inputs)[:, :-1]

    def rows(self, subset: Subset) -> tuple[np.ndarray, np.ndarray]:
        """Tokens, int32 `(windows, steps)`, and the token after each of them."""
        found = self.windows(subset.inputs)
        return found[:, :-1], found[:, 1:]

    def windows(self, texts: np.ndarray) -> np.ndarray:
        """Each text cut into windows that follow one another, int32 `(windows, steps + 1)`.

        A window begins with the token that the one before it ends with; the last one ends where its text ends, so it
        may begin earlier. Texts shorter than a window are left out.

        Raises:
            UserError: all are shorter.
        """
        found = []
        for text in texts.tolist():
            ids = np.array(self.tokens.ids(text), np.int32)
            if len(ids) <= self.steps:
                continue
            starts = [*range(0, len(ids) - self.steps, self.steps)]
            if starts[-1] + self.steps + 1 < len(ids):
                starts.append(len(ids) - self.steps - 1)
            found += [ids[start : start + self.steps + 1] for start in starts]
        if not found:
            raise UserError(f"no text of a split has more than data.steps = {self.steps} tokens; lower it")
        return np.stack(found)


def fit(data: Data, examples: Examples) -> Language:
    """The tokenizer from the training split, or from its file; the length is `data.steps`."""
    made = tokenizer(data, examples, examples.train.inputs.tolist())
    return Language(made.to_json(), data.steps)
