"""Time of an export beside that of the bare converter: ResNet50 at 224x224, from a built model to a file on disk.

Bare is `tf.lite.TFLiteConverter` on the traced function of the same model, with the same options; after training, on
the float function with ai-edge-quantizer's own calls behind it. Bare does not run the file nor describe it. Both go in
turns, the one that goes first changes from round to round; the ratio is of the same round, the median with the
quartiles, by the clock and by the processor's time, which other work on the machine moves less.

    python benchmarks/export_time.py [--rounds 7] [--forms none int8 aware]
"""

import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
import tyro
from ai_edge_quantizer import quantizer, recipe_manager

import compress
import zoo

Form = Literal["none", "int8", "aware"]


def main(rounds: int = 7, forms: tuple[Form, ...] = ("none", "int8", "aware")) -> None:
    """Measure each form."""
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).uniform(size=(8, 224, 224, 3)).astype(np.float32)
    model = zoo.build("resnet50", input_shape=(224, 224, 3), classes=1000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.tflite"
        for form in forms:
            if form == "none":
                calls = partial(compress.export, model, path, quantize="none"), partial(bare, model, path)
            elif form == "int8":
                calls = partial(compress.export, model, path, calibration=[images]), partial(post, model, path, images)
            else:
                aware = compress.quantize_aware(model, calibration=[images])
                calls = partial(compress.export, aware, path), partial(bare, aware, path, integer=True)
            compare(form, *calls, rounds)


def traced(model: keras.Model) -> tuple[Any, tf.Module]:
    function = tf.function(lambda images: model(images, training=False), autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec((1, *model.input_shape[1:]), name="images"))
    holder = tf.Module()
    holder.held = list(concrete.graph.variables)
    return concrete, holder


def converted(model: keras.Model, *, integer: bool = False) -> bytes:
    concrete, holder = traced(model)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], holder)
    if integer:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def bare(model: keras.Model, path: Path, *, integer: bool = False) -> None:
    path.write_bytes(converted(model, integer=integer))


def post(model: keras.Model, path: Path, images: np.ndarray) -> None:
    content = converted(model)
    manager = recipe_manager.RecipeManager()
    everything = quantizer.qtyping.TFLOperationName.ALL_SUPPORTED
    manager.add_static_config(".*", everything, activation_num_bits=8, weight_num_bits=8)
    rewriter = quantizer.Quantizer(bytearray(content), manager.get_quantization_recipe())
    ranges = rewriter.calibrate({"serving_default": [{"images": image[np.newaxis]} for image in images]}, num_threads=1)
    path.write_bytes(rewriter.quantize(ranges, enable_progress_report=False).quantized_model)


def compare(form: str, ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> None:
    """Time both in turns and print the ratios."""
    calls = {"edgezoo": ours, "bare": theirs}
    for call in calls.values():
        call()
    took: dict[str, list[tuple[float, float]]] = {who: [] for who in calls}
    for number in range(rounds):
        for who in sorted(calls, reverse=bool(number % 2)):
            gc.collect()
            before = time.perf_counter(), time.process_time()
            calls[who]()
            took[who].append((time.perf_counter() - before[0], time.process_time() - before[1]))
    for place, clock in enumerate(("clock", "processor")):
        columns = {who: [times[place] for times in some] for who, some in took.items()}
        ratios = [ours / theirs for ours, theirs in zip(columns["edgezoo"], columns["bare"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        seconds = "  ".join(f"{who} {statistics.median(some):5.2f} s" for who, some in columns.items())
        print(f"{form:6} {clock:10} {seconds}  ratio {middle:.2f} ({low:.2f}-{high:.2f})", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
