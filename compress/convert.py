"""Keras model → bytes of a `.tflite` file. The only module that imports TensorFlow, and only when it runs."""

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from compress import by_layer, flatbuffer
from compress.errors import CompressError, first_line
from compress.forms import SIGNATURE, STATIC, Example, Quantize, quantized
from compress.islands import entered
from compress.lookup import look_up
from compress.nibbles import has_nibbles, packed
from compress.recurrent import LSTM, Forms
from compress.rescale import mend, unbound
from compress.serve import answer
from compress.wide import left_float, trained_ranges, without_ranges

_FORMS = Forms()
_NO_SCOPES: Mapping[int, str] = {}


def to_float(model: keras.Model, forms: Forms = _FORMS) -> bytes:
    """The float32 file."""
    return _convert(model, lambda converter: None, forms)


def quantization_aware(model: keras.Model) -> bytes:
    """The int8 file of a `quantize_aware` model, from its trained ranges; int8 in and out.

    Its recurrent layers, which have no trained ranges, are loops: on this path the converter fails at the fused LSTM.
    """
    content = entered(mend(_convert(model, _integers, Forms(fuse=False))))
    return packed(content) if has_nibbles(model) else content


def wide_quantization_aware(model: keras.Model) -> bytes:
    """The int16x8 file of a `quantize_aware` model with activations of 16 bits; int16 in and out.

    Not through fake-quants: see `compress.wide`. Recurrent layers are loops of int8 weights.
    """
    plain, ends = without_ranges(model)
    content = _convert(plain, lambda converter: None, Forms(fuse=False), by_layer.scopes(plain))
    ranges, left = trained_ranges(plain, content, ends), left_float(plain, content)
    return quantized(content, "int16x8", ranges=ranges, left=left)


def quantization_aware_twin(twin: Any) -> bytes:
    """The int8 file of a tf_keras model that TFMOT made; int8 in and out."""

    def serve(*inputs: Any) -> Any:
        return twin(inputs[0] if len(inputs) == 1 else list(inputs), training=False)

    return _converted(serve, twin, _integers)


def _integers(converter: Any, *, form: Quantize = "int8") -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8 if form == "int8" else tf.int16


def post_training(
    model: keras.Model, *, examples: list[Example], integer_only: bool = False, form: Quantize = "int8"
) -> bytes:
    """The int8 or int16x8 file of a float model, its ranges the extremes over `examples`; integers in and out.

    ai-edge-quantizer does it. It leaves float the operators that it has no rule for (version 0.10: LEAKY_RELU, PRELU,
    MINIMUM, REDUCE_MAX, TILE and more); where some are left, the TensorFlow converter's own post-training path is
    tried as well, and the file with fewer float tensors wins. The fused LSTM is the converter's alone. A loop, which
    ends the converter's process, is the quantizer's alone: its weights become int8, what it computes stays float. So
    a model with both is written with loops only, and with `integer_only` there are none. LiteRT's LSTM has no
    activations of 16 bits: with `int16x8` it is written as the others are.
    """
    forms = Forms(fuse=form == "int8", unroll=integer_only)
    content = to_float(model, forms)
    ops = flatbuffer.operators(content)
    if LSTM in ops and "WHILE" not in ops:
        return _converter_post_training(model, examples, forms, form)
    if "WHILE" in ops:
        content = to_float(model, Forms(fuse=False)) if LSTM in ops else content
        return quantized(content, form, examples)
    candidates = []
    with contextlib.suppress(ValueError, RuntimeError, KeyError, NotImplementedError):
        candidates.append(quantized(content, form, examples))
    if not candidates or flatbuffer.inspect(candidates[0]).float_tensors:
        try:
            candidates.append(_converter_post_training(model, examples, forms, form))
        except CompressError:  # of 16 bits the converter has fewer operators
            if not candidates or form == "int8":
                raise
    return min(candidates, key=lambda content: len(flatbuffer.inspect(content).float_tensors))


def light(model: keras.Model, *, form: Quantize) -> bytes:
    """A file that takes and gives floats, with smaller weights; no calibration.

    ai-edge-quantizer does it, but for the fused LSTM, which only the converter knows, in `float16` and `dynamic`; in
    other forms it is a loop. The converter leaves an LSTM of few input channels (fewer than 1,024 weights) in float;
    then a loop of int8 weights may be the smaller file, and wins.
    """
    import tensorflow as tf

    content = to_float(model)
    if LSTM not in flatbuffer.operators(content):
        return quantized(look_up(content), form)

    def settings(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if form == "float16":
            converter.target_spec.supported_types = [tf.float16]

    if form == "float16":
        return _convert(model, settings)
    loops = quantized(look_up(to_float(model, Forms(fuse=False))), form)
    return min(_convert(model, settings), loops, key=len) if form == "dynamic" else loops


def layer_by_layer(model: keras.Model, forms: Mapping[str, Quantize], *, examples: list[Example]) -> bytes:
    """The file of a float model whose layers have the number formats that `forms` gives their names.

    Its recurrent layers are loops, inside which a `STATIC` form is `dynamic`: there are no ranges.

    Args:
        model: with a graph of layers.
        forms: as `export(quantize=)` takes it, checked.
        examples: for the ranges, where one is `STATIC`.
    """
    content = look_up(_convert(model, lambda converter: None, Forms(fuse=False), by_layer.scopes(model)))
    chosen = by_layer.chosen(model, content, forms)
    if not chosen:
        return content
    return quantized(content, chosen, examples if set(chosen.values()) & set(STATIC) else [])


class _Fresh(str):
    """A signature's name that the converter's calibrator takes for a new one each time.

    It prepares the interpreter once a signature, and only that sets the state of an LSTM back to zero. Without, each
    example would begin with the state that the last one left.
    """

    def __eq__(self, other: object) -> bool:
        return self is other or (type(other) is str and str(self) == other)

    __hash__ = str.__hash__


def _converter_post_training(model: keras.Model, examples: list[Example], forms: Forms, form: Quantize) -> bytes:
    import tensorflow as tf

    def settings(converter: Any) -> None:
        _integers(converter, form=form)
        converter.representative_dataset = lambda: ((_Fresh(SIGNATURE), example) for example in examples)
        if form == "int16x8":
            wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            converter.target_spec.supported_ops = [wide]

    content = _convert(model, settings, forms)
    return mend(content) if form == "int8" else content


def _convert(model: keras.Model, settings: Any, forms: Forms = _FORMS, scopes: Mapping[int, str] = _NO_SCOPES) -> bytes:
    if keras.backend.backend() != "tensorflow":
        raise CompressError(
            f"Keras runs on {keras.backend.backend()}; export needs TensorFlow: save the model, set "
            "KERAS_BACKEND=tensorflow, load and export it there"
        )
    return _converted(lambda *inputs: answer(model, list(inputs), forms, scopes), model, settings)


def _converted(serve: Callable[..., Any], model: Any, settings: Any) -> bytes:
    """Convert what `serve` makes of a model's inputs through a SavedModel: it freezes variables, keeps the signature.

    Not one of Keras's ExportArchive, which holds the function three times; nor the converter's own, whose notes of
    source lines hide the names of layers from its errors. `TFLiteConverter.from_saved_model` makes this very converter,
    but reads the SavedModel once more for it.
    """
    import tensorflow as tf
    from tensorflow.lite.python.lite import TFLiteSavedModelConverterV2

    concrete = tf.function(serve, autograph=False).get_concrete_function(*(_spec(model, each) for each in model.inputs))
    holder = tf.Module()
    holder.held = list(concrete.graph.variables)  # no more than these: a model would have each layer traced as well
    with tempfile.TemporaryDirectory() as folder, _quiet():
        try:
            tf.saved_model.save(holder, folder, signatures={SIGNATURE: concrete})
        except AssertionError as error:
            if "untracked" not in str(error):
                raise
            raise CompressError(
                f"model {model.name!r} looks values up in a table of TensorFlow's (IntegerLookup, StringLookup, "
                "TextVectorization), which no file holds; do that before the model"
            ) from None
        converter = TFLiteSavedModelConverterV2(folder, {tf.saved_model.SERVING}, [SIGNATURE], holder)
        settings(converter)
        try:
            return unbound(bytes(converter.convert()))
        except Exception as error:  # the converter raises whatever its passes raise
            raise CompressError(
                f"the LiteRT converter cannot take model {model.name!r}: {first_line(error)}"
            ) from error


def _spec(model: Any, tensor: Any) -> Any:
    import tensorflow as tf

    if None in tensor.shape[1:]:
        raise CompressError(
            f"model {model.name!r} takes {tensor.name} of shape {tuple(tensor.shape)}; a file needs fixed sizes: "
            "build the model with them"
        )
    return tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype, name=tensor.name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converter's warning that statistics are missing (the fake-quants are the statistics) to itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs")
        yield
