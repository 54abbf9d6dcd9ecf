"""Keras model → bytes of a `.tflite` file. The only module that imports TensorFlow, and only when it runs."""

import contextlib
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from compress import flatbuffer
from compress.errors import CompressError
from compress.lookup import look_up
from compress.nibbles import has_nibbles, packed
from compress.recurrent import LSTM, Forms
from compress.rescale import mend, unbound
from compress.serve import answer

SIGNATURE = "serve"
_FORMS = Forms()


Example = dict[str, np.ndarray]
"""One example: for each input, by name, an array whose first axis is 1."""


def to_float(model: keras.Model, forms: Forms = _FORMS) -> bytes:
    """The float32 file."""
    return _convert(model, lambda converter: None, forms)


def quantization_aware(model: keras.Model) -> bytes:
    """The int8 file of a `quantize_aware` model, from its trained ranges; int8 in and out.

    Its recurrent layers, which have no trained ranges, are loops: on this path the converter fails at the fused LSTM.
    """
    content = mend(_convert(model, _from_fake_quants, Forms(fuse=False)))
    return packed(content) if has_nibbles(model) else content


def quantization_aware_twin(twin: Any) -> bytes:
    """The int8 file of a tf_keras model that TFMOT made; int8 in and out."""

    def serve(*inputs: Any) -> Any:
        return twin(inputs[0] if len(inputs) == 1 else list(inputs), training=False)

    return _converted(serve, twin, _from_fake_quants)


def _from_fake_quants(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8


def post_training(model: keras.Model, *, examples: list[Example], integer_only: bool = False) -> bytes:
    """The int8 file of a float model, its ranges the extremes over `examples`; int8 in and out.

    ai-edge-quantizer does it. It leaves float the operators that it has no rule for (version 0.10: LEAKY_RELU, PRELU,
    MINIMUM, REDUCE_MAX, TILE and more); where some are left, the TensorFlow converter's own post-training path is
    tried as well, and the file with fewer float tensors wins. The fused LSTM is the converter's alone. A loop, which
    ends the converter's process, is the quantizer's alone: its weights become int8, what it computes stays float. So
    a model with both is written with loops only, and with `integer_only` there are none.
    """
    content = to_float(model, Forms(unroll=integer_only))
    ops = flatbuffer.operators(content)
    if LSTM in ops and "WHILE" not in ops:
        return _converter_post_training(model, examples, Forms(unroll=integer_only))
    if "WHILE" in ops:
        content = to_float(model, Forms(fuse=False)) if LSTM in ops else content
        return quantized(content, "static", examples)
    candidates = []
    with contextlib.suppress(ValueError, RuntimeError, KeyError, NotImplementedError):
        candidates.append(quantized(content, "static", examples))
    if not candidates or flatbuffer.inspect(candidates[0]).float_tensors:
        candidates.append(_converter_post_training(model, examples, Forms(unroll=integer_only)))
    return min(candidates, key=lambda content: len(flatbuffer.inspect(content).float_tensors))


def light(model: keras.Model, *, recipe: str) -> bytes:
    """`float16`: weights in half precision; `dynamic`: int8 weights. No calibration; float in and out.

    ai-edge-quantizer does it, but for the fused LSTM, which only the converter knows. That leaves an LSTM of few input
    channels (fewer than 1,024 weights) in float; then a loop of int8 weights may be the smaller file, and wins.
    """
    import tensorflow as tf

    content = to_float(model)
    if LSTM not in flatbuffer.operators(content):
        return quantized(look_up(content), recipe, [])

    def settings(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if recipe == "float16":
            converter.target_spec.supported_types = [tf.float16]

    fused = _convert(model, settings)
    if recipe == "float16":
        return fused
    return min(fused, quantized(look_up(to_float(model, Forms(fuse=False))), recipe, []), key=len)


def quantized(content: bytes, recipe: str, examples: list[Example]) -> bytes:
    """A float file quantized by ai-edge-quantizer: `static` (int8, over `examples`), `dynamic` or `float16`."""
    from ai_edge_quantizer import quantizer, recipe_manager

    manager = recipe_manager.RecipeManager()
    names = quantizer.qtyping.TFLOperationName
    everything, algorithms = names.ALL_SUPPORTED, quantizer.AlgorithmName
    if recipe == "static":
        manager.add_static_config(".*", everything, activation_num_bits=8, weight_num_bits=8)
        if inside := "|".join(f"(^|;){re.escape(name)};" for name in flatbuffer.computed_in_loops(content)):
            manager.add_quantization_config(inside, everything, algorithm_key=algorithms.NO_QUANTIZE)
            manager.add_dynamic_config(inside, names.FULLY_CONNECTED, num_bits=8)
    elif recipe == "dynamic":
        manager.add_dynamic_config(".*", everything, num_bits=8)
    else:
        manager.add_weight_only_config(".*", everything, num_bits=16, algorithm_key=algorithms.FLOAT_CASTING)
    rewriter = quantizer.Quantizer(bytearray(content), manager.get_quantization_recipe())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the interpreter, about keeping intermediate tensors
        ranges = _extremes(content, examples, manager) if examples else None
        return bytes(rewriter.quantize(ranges, enable_progress_report=False).quantized_model)


def _extremes(content: bytes, examples: list[Example], recipes: Any) -> Any:
    """Lowest and highest value of every tensor over all examples.

    The quantizer's own `calibrate` averages over single images, which clips the extremes of most. Of a file with a
    loop only its calibration by profile can read the tensors.
    """
    from ai_edge_quantizer.calibrator import CalibrationMode, Calibrator
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    modes = CalibrationMode
    looped = "WHILE" in flatbuffer.operators(content)
    mode = modes.CALIBRATION_PROFILER_BASED if looped else modes.CALIBRATION_PRESERVE_ALL_TENSORS
    calibrator = Calibrator(content, num_threads=1, mode=mode, qsv_update_func=min_max_update)
    calibrator.calibrate({SIGNATURE: examples}, recipes)
    return calibrator.get_model_qsvs()


class _Fresh(str):
    """A signature's name that the converter's calibrator takes for a new one each time.

    It prepares the interpreter once a signature, and only that sets the state of an LSTM back to zero. Without, each
    example would begin with the state that the last one left.
    """

    def __eq__(self, other: object) -> bool:
        return self is other or (type(other) is str and str(self) == other)

    __hash__ = str.__hash__


def _converter_post_training(model: keras.Model, examples: list[Example], forms: Forms) -> bytes:
    import tensorflow as tf

    def settings(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ((_Fresh(SIGNATURE), example) for example in examples)
        converter.inference_input_type = converter.inference_output_type = tf.int8

    return mend(_convert(model, settings, forms))


def _convert(model: keras.Model, settings: Any, forms: Forms = _FORMS) -> bytes:
    if keras.backend.backend() != "tensorflow":
        raise CompressError(
            f"Keras runs on {keras.backend.backend()}; export needs TensorFlow: save the model, set "
            "KERAS_BACKEND=tensorflow, load and export it there"
        )
    return _converted(lambda *inputs: answer(model, list(inputs), forms), model, settings)


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
        tf.saved_model.save(holder, folder, signatures={SIGNATURE: concrete})
        converter = TFLiteSavedModelConverterV2(folder, {tf.saved_model.SERVING}, [SIGNATURE], holder)
        settings(converter)
        try:
            return unbound(bytes(converter.convert()))
        except Exception as error:  # the converter raises whatever its passes raise
            reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
            raise CompressError(f"the LiteRT converter cannot take model {model.name!r}: {reason}") from error


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
