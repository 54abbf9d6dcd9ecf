"""Go on with a text, token by token."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from zoo import check
from zoo.errors import ZooError
from zoo.sequence.decode import stepped
from zoo.sequence.sample import Choose, sampler

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class NextToken:
    """A model that reads a token and remembers those before it: that of `Stepped`, or the same in a file.

    Attributes:
        step: from `token` and the memory (with a cache also `position`) to `logits` and the memory, see `Stepped.step`.
        memory: shape of the memory, `(1, …)`; it begins as zeros.
        vocabulary: how many tokens there are.
        steps: how many tokens of a prompt are read; with a cache, how many are seen at once.
        cached: whether the memory is the `cache` of attention, or else recurrent `states`.
        fill: tokens, int32 `(1, steps)` → the cache of all of them; without it they are read one by one.
    """

    step: Callable[[Arrays], Arrays]
    memory: tuple[int, ...]
    vocabulary: int
    steps: int
    cached: bool
    fill: Callable[[np.ndarray], np.ndarray] | None = None


def generate(
    model: keras.Model | NextToken,
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
        model: of the task `generate`, built or loaded; or the step of one.
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
    following = model if isinstance(model, NextToken) else _following(model)
    prompt = known(prompt_tokens, following.vocabulary, "the prompt")
    return _told(following, prompt[-following.steps :], count, choose)


def _following(model: keras.Model) -> NextToken:
    parts = stepped(model)
    if parts.encode is not None:
        raise ZooError(f"{model.name} translates; give it to zoo.translate")
    memory = parts.step.input["states" if parts.fill is None else "cache"]
    return NextToken(
        step=parts.step.predict_on_batch,
        memory=(1, *memory.shape[1:]),
        vocabulary=model.outputs[0].shape[-1],
        steps=model.inputs[0].shape[1],
        cached=parts.fill is not None,
        fill=parts.fill.predict_on_batch if parts.fill is not None else None,
    )


def _told(model: NextToken, window: list[int], count: int, choose: Choose) -> Iterator[int]:
    memory = _read(model, window[:-1])
    for _ in range(count):
        if model.cached and len(window) > model.steps:
            window = window[-max(1, model.steps // 2) :]
            memory = _read(model, window[:-1])
        logits, memory = _step(model, window[-1], len(window) - 1, memory)
        token = choose(logits)
        yield token
        window.append(token)


def _read(model: NextToken, tokens: list[int]) -> np.ndarray:
    """The memory of some tokens."""
    if model.fill is not None:
        # What comes after the tokens is not looked at before it is overwritten.
        padded = np.zeros((1, model.steps), "int32")
        padded[0, : len(tokens)] = tokens
        return np.asarray(model.fill(padded))
    memory = np.zeros(model.memory, "float32")
    for place, token in enumerate(tokens):
        _, memory = _step(model, token, place, memory)
    return memory


def _step(model: NextToken, token: int, position: int, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits `(vocabulary,)`, and the memory with the token in it."""
    fed = {"token": np.array([[token]], "int32"), "cache" if model.cached else "states": memory}
    if model.cached:
        fed["position"] = np.array([position], "int32")
    answer = model.step(fed)
    return answer["logits"][0], answer["cache" if model.cached else "states"]


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
