"""What is known of layers before any conversion: which will not export, stay float or be slow."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import keras

from compress.forms import STATIC
from compress.recurrent import fusable, is_recurrent

Severity = Literal["refused", "float", "slow"]
Target = Literal["cpu", "integer", "microcontroller", "edgetpu", "gpu"]

INTEGER: tuple[Target, ...] = ("integer", "microcontroller", "edgetpu")
"""Targets for which recurrent layers without an operator of their own are written out step by step in int8."""

UNROLLED = 64
"""Steps that a recurrent layer may have to be written out; each is ten operators, about 5 KB of the file."""


@dataclass(frozen=True)
class Finding:
    """Something about a model that its file will not have as one might wish.

    Attributes:
        layer: name of the layer, or of the model.
        problem: what will be.
        advice: what to change.
        severity: `refused`: there will be no file. `float`: a part computes in floating point. `slow`: the file works,
            but is larger or slower than it could be.
    """

    layer: str
    problem: str
    advice: str
    severity: Severity


def check(model: keras.Model, *, quantize: str, target: Target) -> Iterator[Finding]:
    """What the rules say of the model and of each of its layers, however deep."""
    for tensor in model.inputs:
        if None in tensor.shape[1:]:
            yield Finding(
                tensor.name,
                f"its shape {tuple(tensor.shape[1:])} has an open size",
                "build the model with fixed sizes: pad series and texts to a number of steps",
                "refused",
            )
    inside = {id(part) for layer in _flat(model) for part in _parts(layer)}
    for layer in _flat(model):
        if id(layer) in inside:
            continue
        for rule in _RULES:
            found = rule(layer, quantize, target)
            if found is not None:
                yield Finding(layer.name, *found)
                break


def _flat(model: keras.Model) -> list[Any]:
    return [layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, keras.Model)]


def _parts(layer: Any) -> list[Any]:
    """The layers inside a layer, which its own rule speaks for."""
    return list(layer._flatten_layers(include_self=False)) if isinstance(layer, keras.layers.RNN) else []


Found = tuple[str, str, Severity] | None


def _stateful(layer: Any, quantize: str, target: Target) -> Found:
    if not getattr(layer, "stateful", False):
        return None
    advice = "build it with stateful=False and export with stream_steps= to carry the state from call to call"
    return "a file keeps no state for a stateful layer", advice, "refused"


def _recurrent(layer: Any, quantize: str, target: Target) -> Found:
    """Recurrent layers other than those of the fused operator."""
    if not isinstance(layer, keras.layers.RNN):
        return None
    if target == "gpu":
        return (
            "the GPU delegate runs neither loops nor the LSTM operator",
            "take convolutions over the steps",
            "refused",
        )
    if fusable(layer) and quantize != "int16x8":
        return None
    why = _why_not_fused(layer)
    # `layer.input` is a list where a mask comes in too.
    steps = layer._inbound_nodes[0].input_tensors[0].shape[1] if layer._inbound_nodes else None
    if target in INTEGER and quantize in STATIC:
        if not is_recurrent(layer) or layer.return_state:
            return f"{why}, and cannot be written out in integers", "take an LSTM with tanh and sigmoid", "refused"
        if steps is not None and steps > UNROLLED:
            advice = f"take an LSTM with tanh and sigmoid, or at most {UNROLLED} steps"
            return f"{why}, and is written out over {steps} steps: about {5 * steps:,} KB", advice, "slow"
        return None
    if quantize not in STATIC:
        return None
    problem = f"{why}, so it is a loop: its weights are int8, what it computes stays float"
    if not is_recurrent(layer):
        problem = f"{why}, so it is a loop, and all of it stays float"
    advice = "for integers throughout take an LSTM with tanh and sigmoid, or export with target='integer'"
    if fusable(layer):
        advice = "for integers throughout take quantize='int8', or export with target='integer'"
    return problem, advice, "float"


def _why_not_fused(layer: Any) -> str:
    if fusable(layer):
        return "the LSTM operator has no activations of 16 bits"
    if type(layer) is not keras.layers.LSTM:
        return f"{type(layer).__name__} has no operator of its own"
    for name, wanted in (("activation", keras.activations.tanh), ("recurrent_activation", keras.activations.sigmoid)):
        chosen = getattr(layer, name)
        if chosen is not wanted:
            return f"the LSTM operator has no {name} {getattr(chosen, '__name__', chosen)!r}"
    return "the LSTM operator gives no state"


def _masking(layer: Any, quantize: str, target: Target) -> Found:
    if not isinstance(layer, keras.layers.Masking) or quantize not in STATIC or layer.mask_value == 0:
        return None
    problem = f"in integers a step is not found to be padding by values of {layer.mask_value}"
    return problem, "pad with zeros, and leave mask_value as it is", "refused"


def _attention(layer: Any, quantize: str, target: Target) -> Found:
    """Also layers of others, told by their name: the products are the same operators."""
    if "Attention" not in type(layer).__name__ or quantize != "int8" or target != "cpu":
        return None
    problem = "on a CPU products of two activations are slower in int8 than in float"
    return problem, "compare quantize='dynamic': int8 weights, as small, and faster here", "slow"


_RULES: tuple[Callable[[Any, str, Target], Found], ...] = (_stateful, _recurrent, _masking, _attention)
