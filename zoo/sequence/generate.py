"""Go on with a text, token by token."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from zoo import check
from zoo.errors import ZooError
from zoo.sequence.decode import Stepped, stepped
from zoo.sequence.sample import Choose, sampler


def generate(
    model: keras.Model,
    prompt_tokens: Sequence[int] | np.ndarray,
    *,
    count: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
) -> Iterator[int]:
    """Go on with a text: `count` tokens, each as soon as it is there.

    What was read is remembered, so that a token costs one step, and the answer is that of the whole model. A network of
    attention sees `steps` tokens, those it was built for. Of a longer prompt it reads the last ones. Where a text grows
    longer, the older half of what it sees is dropped and the rest read anew, as if it began there. A recurrent network
    reads the last `steps` tokens of a prompt, and then goes on without an end.

    Args:
        model: of the task `generate`, built or loaded.
        prompt_tokens: the beginning, at least one token.
        count: tokens to add.
        temperature: logits are divided by it: below 1 the likely becomes likelier; 0 takes the likeliest always.
        top_k: choose among so many of the likeliest; None: among all.
        top_p: choose among the likeliest that together have this share, after `top_k`, at most 1; None: among all.
        seed: of the draws, which are numpy's: on one backend, the same seed gives the same text.

    Raises:
        ZooError: the model is none for this, the prompt is empty or has a token that the model has not, or an argument
            has an impossible value. Raised by the call, not by the first token.
    """
    check.whole(count, "count", least=0)
    choose = sampler(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    parts = stepped(model)
    if parts.encode is not None:
        raise ZooError(f"{model.name} translates; give it to zoo.translate")
    prompt = known(prompt_tokens, model.outputs[0].shape[-1], "the prompt")
    return _told(parts, prompt[-model.inputs[0].shape[1] :], model.inputs[0].shape[1], count, choose)


def _told(parts: Stepped, window: list[int], steps: int, count: int, choose: Choose) -> Iterator[int]:
    memory = _read(parts, window[:-1], steps)
    for _ in range(count):
        if parts.fill is not None and len(window) > steps:
            window = window[-max(1, steps // 2) :]
            memory = _read(parts, window[:-1], steps)
        logits, memory = _step(parts, window[-1], len(window) - 1, memory)
        token = choose(logits)
        yield token
        window.append(token)


def _read(parts: Stepped, tokens: list[int], steps: int) -> np.ndarray:
    """The memory of some tokens."""
    if parts.fill is not None:
        # What comes after the tokens is not looked at before it is overwritten.
        padded = np.zeros((1, steps), "int32")
        padded[0, : len(tokens)] = tokens
        return np.asarray(parts.fill.predict_on_batch(padded))
    states = np.zeros((1, parts.step.input["states"].shape[1]), "float32")
    for place, token in enumerate(tokens):
        _, states = _step(parts, token, place, states)
    return states


def _step(parts: Stepped, token: int, position: int, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits `(vocabulary,)`, and the memory with the token in it."""
    fed: dict[str, Any] = {"token": np.array([[token]], "int32")}
    if parts.fill is not None:
        fed |= {"position": np.array([position], "int32"), "cache": memory}
    else:
        fed["states"] = memory
    answer = parts.step.predict_on_batch(fed)
    return answer.pop("logits")[0], next(iter(answer.values()))


def known(tokens: Sequence[int] | np.ndarray, vocabulary: int, name: str) -> list[int]:
    """The tokens as whole numbers.

    Raises:
        ZooError: there are none, or one is none of the vocabulary.
    """
    array = np.asarray(tokens)
    if array.ndim != 1 or not len(array) or not np.issubdtype(array.dtype, np.integer):
        raise ZooError(f"{name} must be at least one token, in one row of whole numbers")
    wrong = array[(array < 0) | (array >= vocabulary)]
    if len(wrong):
        raise ZooError(f"{name} has the token {wrong[0]}; the model knows 0 to {vocabulary - 1}")
    return array.tolist()
