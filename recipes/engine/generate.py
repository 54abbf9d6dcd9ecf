"""Text that a run goes on with, piece by piece."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import zoo
from recipes.engine import preprocess
from recipes.engine.errors import UserError
from recipes.engine.predict import keras_model, lite_predict
from recipes.engine.preprocess import Language
from recipes.engine.tokens import Tokenizer

STEP = "step"
"""What the signature of a `.tflite` file is called that reads a token and remembers those before it."""

NEIGHBOURS = 32
"""Tokens before a new one that it is decoded with."""

HALF = "\N{REPLACEMENT CHARACTER}"
"""What the bytes of half a character are decoded as."""


def told(
    run_or_file: Path,
    prompt: str,
    *,
    count: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int,
    lite: bool = False,
) -> Iterator[str]:
    """The prompt as the tokenizer sees it, then what the model adds; the pieces, joined, are the text.

    Characters come back as they are, and so do merged bytes. Words come in lower case with spaces between them, without
    those that the tokenizer does not know. Of a long prompt the model reads the end; see `zoo.generate`.

    Args:
        run_or_file: a run folder, a `.keras` or a `.tflite` file.
        prompt: the beginning of the text, or a `.txt` file of it.
        count: tokens to add.
        temperature: see `zoo.generate`; the others likewise.
        top_k: see there.
        top_p: see there.
        seed: of the draws.
        lite: of a run folder, take `model.tflite`.

    Raises:
        UserError: the run is no language model, or the prompt is empty or unknown to the tokenizer.
        ZooError: a setting has an impossible value.
    """
    path = run_or_file / ("model.tflite" if lite else "model.keras") if run_or_file.is_dir() else run_or_file
    in_a_file = path.suffix == ".tflite"
    prepared = lite_predict(path)[1] if in_a_file else preprocess.read(path)
    if not isinstance(prepared, Language):
        raise UserError(f"{path} does not go on with texts; ask `edgezoo predict {run_or_file}`")
    tokens = prepared.tokens
    beginning = tokens.ids(prepared.open(prompt))
    if all(token == tokens.unknown for token in beginning):
        raise UserError("the tokenizer of the run knows nothing of the prompt; begin with what it was trained on")
    model = step_in_file(path, prepared) if in_a_file else keras_model(path)[0]
    added = zoo.generate(model, beginning, count=count, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    return pieces(tokens, beginning, added)


def step_in_file(path: Path, prepared: Language) -> zoo.NextToken:
    """What reads a token and remembers those before it, of a `.tflite` file of a run.

    Raises:
        CompressError: the file has none.
    """
    import compress

    model = compress.LiteModel(path, signature=STEP)
    (memory,) = (port for port in model.inputs if port.name in ("cache", "states"))
    return zoo.NextToken(
        step=model.run,
        memory=memory.shape,
        vocabulary=prepared.tokens.size,
        steps=prepared.steps,
        cached=memory.name == "cache",
    )


def pieces(tokens: Tokenizer, beginning: list[int], added: Iterable[int]) -> Iterator[str]:
    """The text of tokens as they come; joined, the pieces are the text of all of them.

    A token alone may be half a character, and whether a space comes before it depends on its neighbours: so each is
    decoded together with those before it, and what is new is given once it ends in no half of a character.
    """
    yield tokens.decode(beginning)
    recent = beginning[-NEIGHBOURS:]
    text = tokens.decode(recent)
    for token in added:
        recent.append(token)
        longer = tokens.decode(recent)
        if len(longer) > len(text) and not longer.endswith(HALF):
            yield longer[len(text) :]
            recent = recent[-NEIGHBOURS:]
            text = tokens.decode(recent)
    yield tokens.decode(recent)[len(text) :]
