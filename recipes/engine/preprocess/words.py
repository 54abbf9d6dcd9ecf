"""Words and what stands around them: which words are near a word, and which were drawn by chance?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.preprocess.tokenized import Tokenized, tokenizer
from recipes.engine.records import Data
from recipes.engine.results import Examples, Modality, Subset, Task

FREQUENT = 1e-3
"""Words more frequent than about this are thinned out (Mikolov et al. 2013, arXiv:1310.4546, section 2.3)."""

NOISE = 0.75
"""Words are drawn by chance as often as their frequency to this power (the same, section 2.2)."""


@dataclass(frozen=True)
class Words(Tokenized):
    """A tokenizer, and how contexts are cut from texts.

    Attributes:
        tokenizer: as JSON, as the `tokenizers` library writes it.
        context: most words on each side that count as near; each place draws 1 to so many.
        negatives: words drawn by chance that stand against each true one.
        method: `skipgram` reads a word and judges one near it; `cbow` reads those near it and judges the word.
        classes: none.
        task: `embed`.
    """

    context: int
    negatives: int
    method: Literal["skipgram", "cbow"] = "skipgram"
    classes: tuple[str, ...] = ()
    task: Task = "embed"
    modality: Modality = "text"

    @property
    def special(self) -> frozenset[int]:
        """Tokens that are no words: padding, what is unknown, starts and ends."""
        others = (self.tokens.unknown, self.tokens.start, self.tokens.end)
        return frozenset({0, *(token for token in others if token is not None)})

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example: words that are read, and candidates that are judged."""
        return (1 if self.method == "skipgram" else 2 * self.context), 1 + self.negatives

    @property
    def outputs(self) -> int | None:
        """None: a number for each candidate."""
        return None

    def rows(self, subset: Subset) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        """What the model reads of a split, int32 `(pairs, words)` and `(pairs, candidates)`, and what it should answer.

        The first candidate is the true one: float32 `(pairs, candidates)` of 1, 0, 0, … Words that the tokenizer does
        not know are left out, frequent ones thinned out, before it is seen what stands beside what.

        Raises:
            UserError: the texts have too few words.
        """
        generator = np.random.default_rng(0)
        texts = [np.array(self.tokens.ids(text), np.int32) for text in subset.inputs.tolist()]
        counts = np.bincount(np.concatenate(texts), minlength=self.tokens.size).astype(np.float64)
        counts[list(self.special)] = 0.0
        keep = kept(counts)
        found = [self.pairs(text[generator.random(len(text)) < keep[text]], generator) for text in texts]
        words, true = (np.concatenate(parts) for parts in zip(*found, strict=True))
        if not len(true):
            raise UserError("a split has no two words beside each other; give longer texts")
        noise = counts**NOISE
        drawn = generator.choice(len(noise), (len(true), self.negatives), p=noise / noise.sum())
        candidates = np.concatenate([true[:, np.newaxis], drawn.astype(np.int32)], axis=1)
        return (words, candidates), np.eye(1, candidates.shape[1], dtype=np.float32).repeat(len(true), axis=0)

    def pairs(self, ids: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """What is read, int32 `(pairs, words)`, and the true word, int32 `(pairs,)`."""
        reach = generator.integers(1, self.context + 1, len(ids))
        near = [shifted(ids, offset, reach >= abs(offset)) for offset in offsets(self.context)]
        around = np.stack(near, axis=1) if len(ids) else np.zeros((0, 2 * self.context), np.int32)
        if self.method == "cbow":
            some = around.any(axis=1)
            return around[some], ids[some]
        centre, place = np.nonzero(around)
        return ids[centre][:, np.newaxis], around[centre, place]

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """The first word of each text, int32 `(batch, 1)`."""
        return self.tokens.encode(inputs.tolist(), steps=1, marks=False)


def kept(counts: np.ndarray) -> np.ndarray:
    """The probability with which a word is kept, from the counts of all, float64 `(vocabulary,)`.

    It is √(t / f) + t / f, at most 1, for a share f of the words and t = `FREQUENT`, as the authors' program has it
    (the paper rounds it to √(t / f)); 0 for a word that does not occur.
    """
    share = np.divide(FREQUENT * max(counts.sum(), 1.0), counts, out=np.zeros_like(counts), where=counts > 0)
    return np.asarray(np.minimum(1.0, np.sqrt(share) + share))


def offsets(context: int) -> Iterator[int]:
    """-context … -1, 1 … context."""
    yield from range(-context, 0)
    yield from range(1, context + 1)


def shifted(ids: np.ndarray, offset: int, within: np.ndarray) -> np.ndarray:
    """The word `offset` places on, for each place; 0 where there is none, or `within` is False."""
    moved = np.zeros_like(ids)
    if abs(offset) < len(ids):
        if offset > 0:
            moved[:-offset] = ids[offset:]
        else:
            moved[-offset:] = ids[:offset]
    return np.where(within, moved, 0).astype(np.int32)


def fit(data: Data, examples: Examples) -> Words:
    """The tokenizer from the training split, or from its file.

    Raises:
        UserError: it has no padding, which stands where there is no word.
    """
    made = tokenizer(data, examples, examples.train.inputs.tolist())
    if not made.padded:
        raise UserError("vectors of words need a tokenizer with padding as token 0; choose another data.tokenizer")
    return Words(made.to_json(), data.context, data.negatives)
