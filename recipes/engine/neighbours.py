"""Which words are near a word: of a run that learnt vectors of words."""

import difflib
from pathlib import Path

from recipes.engine import preprocess
from recipes.engine.errors import UserError
from recipes.engine.predict import keras_model
from recipes.engine.preprocess import Words
from recipes.engine.sources.texts import HALF
from recipes.engine.tasks import embed

LONGEST = 200
"""Characters of a word that is asked for; more is a text."""


def near(run_or_file: Path, word: str, *, count: int) -> list[tuple[str, float]]:
    """The words whose vectors are nearest, and their cosines, best first.

    Args:
        run_or_file: a run folder or a `.keras` file.
        word: one that was learnt; see `known`.
        count: at most how many.

    Raises:
        UserError: the run has no vectors of words, does not know the word, or `count` is below 1.
    """
    if count < 1:
        raise UserError(f"--count is {count}; ask for one neighbour or more")
    path = run_or_file / "model.keras" if run_or_file.is_dir() else run_or_file
    if not isinstance(preprocess.read(path), Words):
        raise UserError(f"{path} has no vectors of words; ask `edgezoo predict {run_or_file}`")
    model, prepared = keras_model(path)
    assert isinstance(prepared, Words)
    token, names = known(prepared, word), prepared.tokens.words
    found = embed.nearest(embed.vectors_of(model), token, count=count, special=prepared.special)
    return [(names[row], cosine) for row, cosine in found]


def known(prepared: Words, word: str) -> int:
    """The token of a word, written as the tokenizer writes it, so mostly in lower case.

    Raises:
        UserError: it is none, is very long or not UTF-8; names words that are spelt nearly so.
    """
    if not word.strip():
        raise UserError("the word is empty")
    if len(word) > LONGEST:
        raise UserError(f"the word has {len(word):,} characters, where {LONGEST} are the most; ask for one word")
    if HALF.search(word):  # what the shell hands over as bytes
        raise UserError("the word is not UTF-8; write it as UTF-8")
    ids = prepared.tokens.ids(word)
    if len(ids) == 1 and ids[0] not in prepared.special:
        return ids[0]
    if len(ids) > 1 and not prepared.special.intersection(ids):
        parts = ", ".join(prepared.tokens.words[token] for token in ids)
        raise UserError(f"{word!r} is {len(ids)} words to the tokenizer: {parts}; ask for one of them")
    words = [name for token, name in enumerate(prepared.tokens.words) if token not in prepared.special]
    close = difflib.get_close_matches(word.lower(), words, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"it learnt {len(words):,} words"
    raise UserError(f"the run does not know the word {word!r}; {hint}")
