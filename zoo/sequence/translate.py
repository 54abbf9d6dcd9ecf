"""Translate: beam search for the likeliest text."""

from collections.abc import Sequence

import keras
import numpy as np

from zoo import check
from zoo.errors import ZooError
from zoo.sequence.decode import stepped
from zoo.sequence.generate import known


def translate(
    model: keras.Model,
    source_tokens: Sequence[int] | np.ndarray,
    *,
    start: int,
    end: int,
    beams: int = 4,
    length_penalty: float = 0.6,
) -> list[int]:
    """The translation that a beam search finds, without `start` and `end`.

    A translation's score is the logarithm of its probability over `((5 + length) / 6) ** length_penalty`, Wu et al.
    2016, arXiv:1609.08144, equation 14, without the coverage; `end` counts into its length. The source is read once,
    and what was told is remembered. The search stops at the model's target steps: a translation of that
    length may lack its end.

    Args:
        model: of the task `translate`, built or loaded.
        source_tokens: the text, without padding; of a longer one than the model's source steps, the first are read.
        start: the token that a translation begins with.
        end: the token that ends one.
        beams: translations that are followed at a time; 1 is a greedy search.
        length_penalty: 0 compares the probabilities themselves, and so favours short ones.

    Raises:
        ZooError: the model is none for this, the source is empty or has a token that the model has not, or an argument
            has an impossible value.
    """
    parts = stepped(model)
    if parts.encode is None:
        raise ZooError(f"{model.name} does not translate; give it to zoo.generate")
    vocabulary = model.outputs[0].shape[-1]
    (source_steps, target_steps), width = (port.shape[1] for port in model.inputs), check.whole(beams, "beams")
    check.real(length_penalty, "length_penalty", least=0.0)
    known([start, end], vocabulary, "start or end")
    tokens = known(source_tokens, vocabulary, "the source")[:source_steps]
    source = np.zeros((1, source_steps), "int32")
    source[0, : len(tokens)] = tokens
    memory = np.asarray(parts.encode.predict_on_batch(source))
    # Every call has the same number of rows, so that it is compiled once.
    source, memory = np.repeat(source, width, axis=0), np.repeat(memory, width, axis=0)
    cache = np.zeros((width, *parts.step.input["cache"].shape[1:]), "float32")
    alive, told = np.full(width, -np.inf), np.full((width, 1), start, "int32")
    alive[0] = 0.0
    finished: list[tuple[float, list[int]]] = []

    def score(chance: float, length: int) -> float:
        return chance / ((5 + length) / 6) ** length_penalty

    for length in range(1, target_steps + 1):
        position = np.full(width, length - 1, "int32")
        fed = {"token": told[:, -1:], "position": position, "cache": cache, "source": source, "memory": memory}
        answer = parts.step.predict_on_batch(fed)
        chances = alive[:, np.newaxis] + _log_softmax(np.asarray(answer["logits"], np.float64))
        # Twice as many as are followed: should all beams end here, as many go on.
        best = np.argsort(-chances, axis=None, kind="stable")[: 2 * width]
        rows, nexts = np.unravel_index(best, chances.shape)
        values = chances[rows, nexts]
        finished += [
            (score(value, length), told[row, 1:].tolist())
            for row, token, value in zip(rows, nexts, values, strict=True)
            if token == end and np.isfinite(value)
        ]
        finished = sorted(finished, key=lambda pair: -pair[0])[:width]
        going = np.flatnonzero(nexts != end)[:width]
        rows, nexts, alive = rows[going], nexts[going], values[going]
        if len(going) < width or not np.isfinite(alive).any():  # a vocabulary of a few tokens
            missing = width - len(going)
            rows, nexts = np.pad(rows, (0, missing)), np.pad(nexts, (0, missing))
            alive = np.pad(alive, (0, missing), constant_values=-np.inf)
        told = np.concatenate([told[rows], nexts[:, np.newaxis].astype("int32")], axis=1)
        cache = np.asarray(answer["cache"])[rows]
        # A chance only falls, and the longest text has the mildest penalty.
        if len(finished) == width and finished[-1][0] >= score(alive.max(), target_steps):
            break
    if finished:
        return finished[0][1]
    return told[int(alive.argmax()), 1:].tolist()


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    if not np.isfinite(logits).all():
        raise ZooError("the model's answer holds values that are no finite numbers; was its training stable?")
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
