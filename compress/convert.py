"""Keras model → bytes of a `.tflite` file. The only module that imports TensorFlow, and only when it runs."""

import contextlib
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from compress import flatbuffer
from compress.errors import CompressError

_SIGNATURE = "serve"


def to_float(model: keras.Model) -> bytes:
    """The float32 file."""
    return _convert(model, lambda converter: None)


def quantization_aware(model: keras.Model) -> bytes:
    """The int8 file of a `quantize_aware` model, from its trained ranges; int8 in and out."""
    import tensorflow as tf

    def settings(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = tf.int8

    return _convert(model, settings)


def post_training(model: keras.Model, *, calibration: Iterable[np.ndarray]) -> bytes:
    """The int8 file of a float model, its ranges the extremes over `calibration`; int8 in and out.

    ai-edge-quantizer does it. It leaves float the operators that it has no rule for (version 0.10: LEAKY_RELU, PRELU,
    MINIMUM, REDUCE_MAX, TILE and more); where some are left, the TensorFlow converter's own post-training path is
    tried as well, and the file with fewer float tensors wins.
    """
    examples = [example[np.newaxis] for batch in calibration for example in batch]
    content = to_float(model)
    candidates = []
    with contextlib.suppress(ValueError, RuntimeError, KeyError, NotImplementedError):
        candidates.append(_quantizer(content, "static", examples))
    if not candidates or flatbuffer.inspect(candidates[0]).float_tensors:
        candidates.append(_converter_post_training(model, examples))
    return min(candidates, key=lambda content: len(flatbuffer.inspect(content).float_tensors))


def light(model: keras.Model, *, recipe: str) -> bytes:
    """`float16`: weights in half precision; `dynamic`: int8 weights. No calibration; float in and out."""
    return _quantizer(to_float(model), recipe, [])


def _quantizer(content: bytes, recipe: str, examples: list[np.ndarray]) -> bytes:
    from ai_edge_quantizer import quantizer, recipe_manager

    manager = recipe_manager.RecipeManager()
    everything = quantizer.qtyping.TFLOperationName.ALL_SUPPORTED
    if recipe == "static":
        manager.add_static_config(".*", everything, activation_num_bits=8, weight_num_bits=8)
    elif recipe == "dynamic":
        manager.add_dynamic_config(".*", everything, num_bits=8)
    else:
        casting = quantizer.AlgorithmName.FLOAT_CASTING
        manager.add_weight_only_config(".*", everything, num_bits=16, algorithm_key=casting)
    rewriter = quantizer.Quantizer(bytearray(content), manager.get_quantization_recipe())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the interpreter, about keeping intermediate tensors
        ranges = _extremes(content, examples, manager) if examples else None
        return bytes(rewriter.quantize(ranges, enable_progress_report=False).quantized_model)


def _extremes(content: bytes, examples: list[np.ndarray], recipes: Any) -> Any:
    """Lowest and highest value of every tensor over all examples.

    The quantizer's own `calibrate` averages over single images, which clips the extremes of most.
    """
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    name = flatbuffer.input_names(content)[0]
    calibrator = Calibrator(content, num_threads=1, qsv_update_func=min_max_update)
    calibrator.calibrate({_SIGNATURE: [{name: example} for example in examples]}, recipes)
    return calibrator.get_model_qsvs()


def _converter_post_training(model: keras.Model, examples: list[np.ndarray]) -> bytes:
    import tensorflow as tf

    def settings(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([example] for example in examples)
        converter.inference_input_type = converter.inference_output_type = tf.int8

    return _convert(model, settings)


def _convert(model: keras.Model, settings: Any) -> bytes:
    """Convert through a SavedModel: it freezes the variables and keeps the signature."""
    if keras.backend.backend() != "tensorflow":
        raise CompressError(
            f"Keras runs on {keras.backend.backend()}; export needs TensorFlow: save the model, set "
            "KERAS_BACKEND=tensorflow, load and export it there"
        )
    import tensorflow as tf

    specs = [_spec(model, tensor) for tensor in model.inputs]
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(_SIGNATURE, lambda *inputs: _answer(model, inputs), input_signature=specs)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[_SIGNATURE])
        settings(converter)
        try:
            return bytes(converter.convert())
        except Exception as error:  # the converter raises whatever its passes raise
            reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
            raise CompressError(f"the LiteRT converter cannot take model {model.name!r}: {reason}") from error


def _answer(model: keras.Model, inputs: tuple) -> Any:
    return model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)


def _spec(model: keras.Model, tensor: keras.KerasTensor) -> keras.InputSpec:
    if None in tensor.shape[1:]:
        raise CompressError(
            f"model {model.name!r} takes {tensor.name} of shape {tuple(tensor.shape)}; a file needs fixed sizes: "
            "build the model with them"
        )
    return keras.InputSpec(shape=(1, *tensor.shape[1:]), dtype=tensor.dtype, name=tensor.name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converter's warning that statistics are missing (the fake-quants are the statistics) to itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs")
        yield
