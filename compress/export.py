"""From a Keras model to a `.tflite` file that has been seen to run."""

import functools
import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from compress import by_layer, convert, flatbuffer, lite, micro, tfmot
from compress.batches import singly
from compress.errors import CompressError
from compress.files import check_folder, whole
from compress.flatbuffer import Port
from compress.forms import FORMS, STATIC, Example, Quantize
from compress.forms import SIGNATURE as MAIN
from compress.functional import with_graph
from compress.merge import merge
from compress.metadata import Metadata, attach
from compress.quantize import activation_bits, is_quantize_aware
from compress.rules import INTEGER, Target
from compress.stream import STREAM, streaming
from compress.strip import has_recurrent, strip, with_float_loops
from compress.targets import FORMATS, limits, mismatch
from compress.trace import float32, with_float_pixels, without_classes
from compress.wrapper import Compressed


@dataclass(frozen=True)
class Artifact:
    """An exported file.

    Attributes:
        path: where it lies.
        quantize: how it was exported: `int8`, `none` and so on; layer by layer, as `head: none, *: int8`.
        bytes: its size.
        sha256: of its bytes, hexadecimal.
        ops: how many of each LiteRT operator, from the flatbuffer.
        float_tensors: names of the tensors computed or fed in floating point; empty for full int8.
        input: dtype, shape, scale and zero point of the (first) input.
        output: the same of the (first) output.
        target: what it was exported for.
        arena_bytes: of a file for a microcontroller, the memory beside it: see `MicroModel.arena_bytes`; otherwise 0.
    """

    path: Path
    quantize: str
    bytes: int
    sha256: str
    ops: dict[str, int]
    float_tensors: tuple[str, ...]
    input: Port
    output: Port
    target: Target = "cpu"
    arena_bytes: int = 0

    @functools.cached_property
    def gzip_bytes(self) -> int:
        """Its size compressed (level 9), as an app store or a download would ship it.

        Raises:
            CompressError: the file is gone, or another one.
        """
        content = flatbuffer.load(self.path)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise CompressError(f"{self.path} is no longer the file that was exported")
        return len(gzip.compress(content, 9, mtime=0))


def export(
    model: keras.Model,
    path: str | Path,
    *,
    quantize: Quantize | Mapping[str, Quantize] = "int8",
    calibration: Iterable[Any] | None = None,
    metadata: Metadata | None = None,
    stream_steps: int = 0,
    signatures: Mapping[str, keras.Model] | None = None,
    target: Target = "cpu",
) -> Artifact:
    """Write `model` as a `.tflite` file for one example a call, and run it once before it gets its name.

    A model from `quantize_aware` becomes full int8, input and output too, from its trained ranges (or `int16x8`, if it
    was made with `activations=16`); it needs no calibration and ignores one, but for recurrent layers in int8: with
    one, they are integer too, from the trained weights and the ranges of the calibration; without, they stay loops in
    float. The tf_keras model of TFMOT
    (`quantize_aware(engine="tfmot")`) becomes full int8 likewise. Any other model is quantized after training.
    Layers without an integer form stay float islands, named in the result's `float_tensors`: nothing is refused for
    them.

    Args:
        model: a built Keras model with fixed input sizes (the batch aside).
        path: the file to write.
        quantize: `int8`: weights and activations, input and output. `int16x8`: the same with activations of 16 bits,
            for what int8 is too coarse for; LiteRT's kernels for it are slow on a CPU. `float16`: weights stored in
            half precision. `dynamic`: int8 weights, activations rounded to int8 as they come; `dynamic4`: weights of 4
            bits. `weights8`, `weights4`: weights alone, what is computed stays float. `none`: float32. Where there is
            no kernel of 4 bits (depthwise and transposed convolutions) weights have 8.
            Or a form for each name pattern of layers, of which the first that matches counts, and `none` where none
            does (`{"head": "none", "*": "int8"}`), after training and for `target="cpu"`. Within a nested model both
            `conv` and `backbone/conv` are a layer's name. What is computed with a kernel (batch normalisation, ReLU)
            has the form of its layer; what the file takes and gives, that of the layers that take and give it.
            Recurrent layers are loops, of int8 weights where their form is `int8` or `int16x8`.
        calibration: for `int8` and `int16x8` after training: batches of inputs, `(batch, …)` as the model takes them,
            some hundred examples in all.
        metadata: labels and normalisation to write into the file.
        stream_steps: above 0, the file has a second signature, `stream`, that takes so many steps of the series and
            the states of all recurrent layers and gives the new states: see `streaming` and `LiteStream`.
        signatures: further models to write into the file, by name, such as one that reads a token and a cache. They
            and the stream take and give floats; with `int8` and `int16x8` their weights are int8 as with `dynamic`.
        target: what the file must run on.
            `cpu`: LiteRT. Recurrent layers without an operator of their own, GRU among them, are loops of int8 weights
            that compute in float.
            `integer`: what has integer operators only. With `int8` after training such layers are written out step by
            step, here and in the next two.
            `microcontroller`: TFLite Micro, `int8` or `none`. The file is run there (`pip install "edgezoo[micro]"`),
            and `verify` compares the answers.
            `edgetpu`: `int8`, from the inputs to the outputs, by the published table of the Edge TPU compiler's
            operators; the compiler itself is not run.
            `gpu`: `float16` or `none`, by the operators of LiteRT's GPU delegate; the delegate is not run.

    Raises:
        CompressError: something above is not met, the file that came out does not run, or the target does not run it:
            then operators are named, with the layers that they come from.
    """
    asked: tuple[Quantize, ...] = (quantize,) if isinstance(quantize, str) else tuple(quantize.values())
    for form in asked:
        if form not in FORMS:
            raise CompressError(f"quantize={form!r} is none of {', '.join(map(repr, FORMS))}")
    if target not in FORMATS:
        raise CompressError(f"target={target!r} is none of {', '.join(map(repr, FORMATS))}")
    if problem := next(filter(None, (mismatch(form, target) for form in asked)), None):
        raise CompressError("; ".join(problem))
    if not isinstance(quantize, str) and (target != "cpu" or signatures or stream_steps):
        raise CompressError(
            "a form for each layer is for one model a file and target='cpu'; give one form, or leave out signatures= "
            "and stream_steps="
        )
    path = Path(path)
    check_folder(path)
    if tfmot.is_tf_keras(model) and not (tfmot.is_quantize_aware(model) and quantize == "int8" and not stream_steps):
        raise CompressError(
            f"model {model.name!r} is of tf_keras: only what TFMOT made quantization-aware is exported, as int8 and "
            "without a stream; others go back to Keras first, by compress.tfmot.to_keras"
        )
    model = model if tfmot.is_tf_keras(model) else with_graph(model)
    more = dict(signatures or {})
    if stream_steps:
        wrapped = any(isinstance(layer, Compressed) for layer in model._flatten_layers())
        more[STREAM] = streaming(strip(model) if wrapped else model, steps=stream_steps)
    for each in (model, *more.values()):
        _check_numbers(each)
    if MAIN in more:
        raise CompressError(f"signature {MAIN!r} is the model's own; call the other one something else")
    if target in ("microcontroller", "edgetpu") and more:
        raise CompressError(f"target={target!r} runs one model a file; export {', '.join(map(repr, more))} by itself")
    if target == "microcontroller":
        micro.runtime()  # that it is missing had better be said before the conversion
    content = _converted(model, quantize, calibration, target)
    if found := limits(content, model, target):
        raise CompressError("; ".join(f"layer {each.layer!r}: {each.problem} ({each.advice})" for each in found))
    if isinstance(quantize, str):
        content = merge(content, {name: _floating(each, quantize) for name, each in more.items()})
        said = str(quantize)
    else:
        said = ", ".join(f"{pattern}: {form}" for pattern, form in quantize.items())
    if metadata is not None:
        content = attach(content, metadata)
    lite.try_out(content, origin=f"the file exported from {model.name!r}")
    arena = micro.MicroModel(content).arena_bytes if target == "microcontroller" else 0
    with whole(path) as temporary:
        temporary.write_bytes(content)
    return replace(describe(path, quantize=said), target=target, arena_bytes=arena)


def _check_numbers(model: keras.Model) -> None:
    """Refuse trained weights that are no numbers: converters make of them what no runtime reads."""
    for variable in model.trainable_variables:
        values = np.asarray(variable).astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            where = getattr(variable, "path", variable.name)  # of tf_keras, by name
            raise CompressError(
                f"model {model.name!r}: {where} holds NaN or infinity, so its training failed; train anew with a lower "
                "rate, or bound the gradient"
            )


def describe(path: str | Path, *, quantize: str) -> Artifact:
    """The record of a `.tflite` file on disk.

    Raises:
        CompressError: it is missing, no `.tflite` file, or damaged.
    """
    content = flatbuffer.load(path)
    inside = flatbuffer.inspect(content, origin=str(path))
    return Artifact(
        path=Path(path),
        quantize=quantize,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        ops=inside.ops,
        float_tensors=inside.float_tensors,
        input=inside.inputs[0],
        output=inside.outputs[0],
    )


def _floating(model: keras.Model, quantize: Quantize) -> bytes:
    """A further signature: floats in and out."""
    model = float32(model)
    if quantize == "none":
        return convert.to_float(model)
    return convert.light(model, form="dynamic" if quantize in STATIC else quantize)


def _converted(
    model: keras.Model,
    quantize: Quantize | Mapping[str, Quantize],
    calibration: Iterable[Any] | None,
    target: Target,
) -> bytes:
    if tfmot.is_tf_keras(model):
        return convert.quantization_aware_twin(model)
    if is_quantize_aware(model):
        recurrent = has_recurrent(model)
        trained: Quantize = "int8" if activation_bits(model) == 8 else "int16x8"
        if quantize in STATIC and quantize != trained:
            raise CompressError(
                f"model {model.name!r} was trained for quantize={trained!r}, not {quantize!r}; export it so, or "
                "compress.strip it first, to quantize it after training"
            )
        if quantize == trained and not (recurrent and calibration is not None and quantize == "int8"):
            if trained == "int16x8":
                return convert.wide_quantization_aware(model)
            return convert.quantization_aware(with_float_loops(model) if recurrent else model)
        model = strip(model)
    model = float32(model)
    if not isinstance(quantize, str):
        model = without_classes(model)
        by_layer.check(model, quantize)
        asked = [form for form in quantize.values() if form in STATIC]
        examples = _examples(model, calibration, asked[0]) if asked else []
        return convert.layer_by_layer(model, quantize, examples=examples)
    if quantize == "none":
        return convert.to_float(model)
    if quantize not in STATIC:
        return convert.light(model, form=quantize)
    model = with_float_pixels(model)
    examples = _examples(model, calibration, quantize)
    return convert.post_training(model, examples=examples, integer_only=target in INTEGER, form=quantize)


def _examples(model: keras.Model, calibration: Iterable[Any] | None, form: Quantize) -> list[Example]:
    """The calibration, one by one, for a form that needs it."""
    if calibration is None:
        raise CompressError(
            f"{form} after training needs calibration=: batches of inputs, some hundred examples in all "
            "(or train with quantize_aware, which needs none here)"
        )
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Masking) and layer.mask_value != 0:
            raise CompressError(
                f"layer {layer.name!r} masks steps of {layer.mask_value}, which {form} does not find; pad with zeros"
            )
    return list(singly(model, calibration))
