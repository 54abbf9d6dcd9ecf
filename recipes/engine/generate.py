"""Text that a run goes on with, piece by piece."""

from collections.abc import Iterator
from pathlib import Path

import keras

import zoo
from recipes.engine import preprocess
from recipes.engine.errors import UserError
from recipes.engine.preprocess import Language
from recipes.engine.tokens import Tokenizer


def told(
    run_or_file: Path,
    prompt: str,
    *,
    count: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int,
) -> Iterator[str]:
    """The prompt, then what the model adds; the pieces, joined, are the text.

    Args:
        run_or_file: a run folder or a `.keras` file.
        prompt: the beginning of the text, or a `.txt` file of it.
        count: tokens to add.
        temperature: see `zoo.generate`; the others likewise.
        top_k: see there.
        top_p: see there.
        seed: of the draws.

    Raises:
        UserError: the run is no language model, or the prompt is empty.
        ZooError: a setting has an impossible value.
    """
    path = run_or_file / "model.keras" if run_or_file.is_dir() else run_or_file
    prepared = preprocess.read(path)
    if not isinstance(prepared, Language):
        raise UserError(f"{path} does not go on with texts; ask `edgezoo predict {run_or_file}`")
    tokens = prepared.tokens
    beginning = tokens.ids(prepared.open(prompt))
    model = keras.models.load_model(path, compile=False)
    added = zoo.generate(model, beginning, count=count, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    return pieces(tokens, beginning, added)


def pieces(tokens: Tokenizer, beginning: list[int], added: Iterator[int]) -> Iterator[str]:
    """The text of tokens as they come.

    A token alone may be half a character, and whether a space comes before it depends on its neighbours: so all are
    decoded together, and what is new is given once it ends in no half of a character.
    """
    ids, text = list(beginning), tokens.decode(beginning)
    yield text
    for token in added:
        ids.append(token)
        longer = tokens.decode(ids)
        if longer.startswith(text) and not longer.endswith("\N{REPLACEMENT CHARACTER}"):
            yield longer[len(text) :]
            text = longer
