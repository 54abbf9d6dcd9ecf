"""What of a model will not export as wished, told before it is trained."""

import contextlib
import importlib.util
import re
from collections.abc import Iterator

import keras
import numpy as np

from compress import convert, flatbuffer, lite
from compress.errors import CompressError
from compress.forms import STATIC, Quantize
from compress.functional import with_graph
from compress.rules import INTEGER, Finding, Target, check
from compress.targets import layer_of, limits, mismatch
from compress.trace import float32, with_float_pixels

_EXAMPLES = 4


def preflight(
    model: keras.Model, *, quantize: Quantize = "int8", target: Target = "cpu", trial: bool = True
) -> tuple[Finding, ...]:
    """Say, before training, which part of a model will not export, will stay float, or will be slow.

    Rules for layers are followed by a trial: the untrained model is converted, and with `int8` or `int16x8` quantized
    over random inputs. That takes seconds for a small model, as long as its export for a large one.

    Args:
        model: a built model; its weights do not matter.
        quantize: as for `export`, one for all layers.
        target: as for `export`.
        trial: whether to convert it; without, only the rules speak.

    Returns:
        What was found, the worst first; empty when the file will be as asked.
    """
    try:
        model = with_graph(model)
    except CompressError as error:
        return (Finding(model.name, str(error), "build it with keras.Model(inputs, outputs)", "refused"),)
    if problem := mismatch(quantize, target):
        return (Finding(model.name, *problem, "refused"),)
    if target == "microcontroller" and importlib.util.find_spec("tflite_micro") is None:
        return (Finding(model.name, "TFLite Micro is not installed", 'pip install "edgezoo[micro]"', "refused"),)
    found = list(check(model, quantize=quantize, target=target))
    if trial and not any(each.severity == "refused" for each in found):
        named = {each.layer for each in found}
        known = {
            layer.name
            for layer in model._flatten_layers(include_self=False)
            if not isinstance(layer, keras.Model) and named & {part.name for part in layer._flatten_layers()}
        }
        with _trained(model):
            ready = with_float_pixels(float32(model)) if quantize in STATIC else float32(model)
            found += [each for each in _try(ready, quantize, target) if each.layer not in known]
    order = ("refused", "float", "slow")
    return tuple(sorted(found, key=lambda each: order.index(each.severity)))


@contextlib.contextmanager
def _trained(model: keras.Model) -> Iterator[None]:
    """Inside, no weight is zero: what an untrained model computes of zeros has no range, and would stay float."""
    before = model.get_weights()
    rng = np.random.default_rng(0)
    model.set_weights([w + 0.01 * rng.random(w.shape) if np.issubdtype(w.dtype, np.floating) else w for w in before])
    try:
        yield
    finally:
        model.set_weights(before)


def _try(model: keras.Model, quantize: Quantize, target: Target) -> Iterator[Finding]:
    try:
        content = convert.to_float(model)
        lite.try_out(content, origin="the file")
        if quantize in STATIC:
            examples, integer_only = _random(model), target in INTEGER
            content = convert.post_training(model, examples=examples, integer_only=integer_only, form=quantize)
            lite.try_out(content, origin=f"the {quantize} file")
    except CompressError as error:
        yield from _refused(model, str(error.__cause__ or error))
        return
    inside = flatbuffer.inspect(content)
    if "CUSTOM" in inside.ops:
        yield Finding(model.name, "the file has an operator that LiteRT lacks", "use layers of Keras", "refused")
    yield from limits(content, model, target)
    if quantize not in STATIC or target == "edgetpu":  # whose limits name what is float
        return
    places: dict[str, set[str]] = {}
    for operator, tensor in flatbuffer.float_operators(content):
        places.setdefault(layer_of(model, tensor), set()).add(operator)
    for name, operators in places.items():
        problem = f"{', '.join(sorted(operators))} of it stays float, for it has no integer form"
        advice = "take another layer there, or accept the float part"
        yield Finding(name, problem, advice, "refused" if target == "integer" else "float")


def _refused(model: keras.Model, message: str) -> Iterator[Finding]:
    """The operators that the converter names, with the layers that they are of."""
    operators = set(re.findall(r"'tf\.(\w+)' op is neither", message))
    if not operators:
        reason = message.strip().splitlines()[0][:200]
        yield Finding(model.name, f"it does not convert: {reason}", "leave layers out until it does", "refused")
        return
    places = [line for line in message.splitlines() if "is neither" in line]
    names = {layer_of(model, place) for line in places for place in re.findall(r'"([^"]+)"', line)}
    problem = f"LiteRT has no operator for TensorFlow's {', '.join(sorted(operators))}"
    for name in names - {model.name} or {model.name}:
        yield Finding(name, problem, "compute it before the model, or by operations that LiteRT has", "refused")


def _random(model: keras.Model) -> list[convert.Example]:
    """Some random examples: normal numbers, and tokens that every table of embeddings has."""
    rng = np.random.default_rng(0)
    tables = [layer.input_dim for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
    examples = []
    for _ in range(_EXAMPLES):
        example = {}
        for tensor in model.inputs:
            shape = (1, *tensor.shape[1:])
            floats = keras.backend.is_float_dtype(tensor.dtype)
            draw = rng.normal(size=shape) if floats else rng.integers(0, min(tables, default=2), size=shape)
            example[tensor.name] = draw.astype("float32" if floats else tensor.dtype)
        examples.append(example)
    return examples
