"""Recurrent layers in a file: the fused LSTM beside the loop that a plain conversion makes, and the forms of a GRU.

Each form of a model is run in turns with the others, on one CPU thread, the order turned round by round; the latency
is the median of the rounds, the ratio that to the form named first in the same round. The error is the largest
difference from the Keras model over random series, its biases drawn from a normal distribution of deviation 0.3.

    python benchmarks/recurrent_export.py [--rounds 21]
"""

import statistics
import time
from collections.abc import Callable

import keras
import numpy as np
import tyro

from compress import convert, flatbuffer, lite
from compress.batches import singly
from compress.forms import quantized
from compress.recurrent import Forms

LOOP, UNROLLED = Forms(fuse=False), Forms(fuse=False, unroll=True)
SHAPES = {"29 steps of 12, 64 units": (29, 12, 64), "100 steps of 64, 128 units": (100, 64, 128)}


def main(rounds: int = 21) -> None:
    """Measure each layer at each size."""
    for label, (steps, channels, units) in SHAPES.items():
        for kind in (keras.layers.LSTM, keras.layers.GRU):
            print(f"\n{kind.__name__}, {label}")
            model, x = made(kind, steps, channels, units)
            examples = list(singly(model, [x[:64]]))
            measure(model, x, forms(kind, model, examples), rounds)


def made(kind: type, steps: int, channels: int, units: int) -> tuple[keras.Model, np.ndarray]:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((steps, channels), name="series")
    model = keras.Model(inputs, keras.layers.Dense(10)(kind(units)(inputs)))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name == "bias":
            weight.assign(0.3 * rng.normal(size=weight.shape))
    return model, rng.normal(size=(96, steps, channels)).astype(np.float32)


def forms(kind: type, model: keras.Model, examples: list[convert.Example]) -> dict[str, Callable[[], bytes]]:
    """The forms of a model, each by how it is made; that of a plain conversion first."""
    made: dict[str, Callable[[], bytes]] = {
        "loop, float": lambda: convert.to_float(model, LOOP),
        "loop, dynamic": lambda: quantized(convert.to_float(model, LOOP), "dynamic"),
        "loop, int8": lambda: quantized(convert.to_float(model, LOOP), "int8", examples),
    }
    if kind is keras.layers.LSTM:
        made["fused, float"] = lambda: convert.to_float(model)
        made["fused, int8"] = lambda: convert.post_training(model, examples=examples)
    else:
        made["written out, float"] = lambda: convert.to_float(model, UNROLLED)
        made["written out, int8"] = lambda: convert.post_training(model, examples=examples, integer_only=True)
    return made


def measure(model: keras.Model, x: np.ndarray, made: dict[str, Callable[[], bytes]], rounds: int) -> None:
    expected = model.predict(x, verbose=0)
    files = {name: make() for name, make in made.items()}
    running = {name: lite.try_out(content, origin=name)[0] for name, content in files.items()}
    repeats = {name: max(5, round(0.02 / timed(interpreter, 3))) for name, interpreter in running.items()}
    times: dict[str, list[float]] = {name: [] for name in files}
    for turn in range(rounds):
        names = list(files)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name].append(timed(running[name], repeats[name]))
    first = next(iter(files))
    for name, content in files.items():
        ratio = statistics.median(a / b for a, b in zip(times[name], times[first], strict=True))
        error = np.abs(answers(content, running[name], x) - expected).max()
        print(
            f"  {name:20} {len(content):9,} bytes  {1e3 * statistics.median(times[name]):7.3f} ms  x{ratio:4.2f}  "
            f"error {error:.1e}  {len(flatbuffer.inspect(content).float_tensors)} float tensors",
            flush=True,
        )


def timed(interpreter: lite.Interpreter, count: int) -> float:
    """Seconds of a run, the mean of `count`."""
    started = time.perf_counter()
    for _ in range(count):
        interpreter.invoke()
    return (time.perf_counter() - started) / count


def answers(content: bytes, interpreter: lite.Interpreter, x: np.ndarray) -> np.ndarray:
    inside = flatbuffer.inspect(content)
    (entry,), (leave,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for example in lite.quantize(x, inside.inputs[0]):
        interpreter.reset_all_variables()
        interpreter.set_tensor(entry["index"], example[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(leave["index"])[0])
    return lite.dequantize(np.stack(rows), inside.outputs[0])


if __name__ == "__main__":
    tyro.cli(main)
