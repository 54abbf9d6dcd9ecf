"""A `.tflite` file against the Keras model it came from, on data."""

import gzip
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from compress import flatbuffer, runtime, tfmot
from compress.batches import arranged, labelled
from compress.errors import CompressError
from compress.export import Artifact
from compress.functional import with_graph
from compress.lite import LiteModel
from compress.micro import MicroReport, compare

_FEW = 64
"""Examples that run in TFLite Micro too: its plain kernels take a thousand times as long as LiteRT's."""

Measure = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Verification:
    """What was seen.

    Attributes:
        samples: examples compared.
        agreement: share of them (of each step or pixel, where each has an answer) with the same highest output, 0-1;
            None where the outputs are no classes.
        max_difference: largest difference of any output, in the output's own unit.
        mean_difference: mean of those differences.
        keras_score: `measure` of the Keras model's outputs.
        lite_score: the same of the file's.
        drop: `keras_score - lite_score`.
        latency_ms: median time of one example, one thread, on this machine's CPU.
        bytes: the file's size.
        gzip_bytes: its size compressed.
        ops: how many of each LiteRT operator.
        float_tensors: names of the tensors computed in floating point.
        densified: names of the sparse weights that a DENSIFY operator makes dense when the file runs.
        undelegated: how many of each operator XNNPACK, LiteRT's fast kernels, does not take, of the main graph.
        threads: how many cores this machine has.
        threads_latency_ms: as `latency_ms`, on that many threads.
        peak_bytes: what loading and running the file adds to the most memory that a process of its own held; None
            where the system is not Linux.
        micro: of a file for a microcontroller, its first examples in TFLite Micro; otherwise None.
    """

    samples: int
    agreement: float | None
    max_difference: float
    mean_difference: float
    keras_score: float
    lite_score: float
    drop: float
    latency_ms: float
    bytes: int
    gzip_bytes: int
    ops: dict[str, int]
    float_tensors: tuple[str, ...]
    densified: tuple[str, ...] = ()
    undelegated: dict[str, int] = field(default_factory=dict)
    threads: int = 1
    threads_latency_ms: float = 0.0
    peak_bytes: int | None = None
    micro: MicroReport | None = None


def accuracy(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Share of rows of `outputs` `(samples, classes)` whose highest value is at the label `(samples,)`, 0-1."""
    return float(np.mean(np.argmax(outputs, axis=-1) == labels))


def verify(
    file: Artifact | str | Path,
    model: keras.Model,
    batches: Iterable[tuple[Any, Any]],
    *,
    measure: Measure | None = None,
    classes: bool = True,
) -> Verification:
    """Run the file and the model on the same examples and compare.

    Args:
        file: an `Artifact`, or the path of a `.tflite` file. That of a microcontroller runs in TFLite Micro too.
        model: the Keras model that the file should equal, quantization-aware or float.
        batches: pairs `(x, y)`: inputs `(batch, …)`, of a model with several a list in their order or a dict by name,
            and labels `(batch, …)`.
        measure: score of outputs against labels, over all examples at once; accuracy unless given.
        classes: whether the last axis of the output is scores of classes (or tokens), of which the highest is the
            answer. Not so for a forecast: then `agreement` is None.

    Raises:
        CompressError: no example came, the file does not run, file and model do not fit each other or the examples,
            the model has several outputs, or an output is NaN.
    """
    path = file.path if isinstance(file, Artifact) else Path(file)
    lite = LiteModel(path)
    model = model if tfmot.is_tf_keras(model) else with_graph(model)
    names = [tensor.name for tensor in model.inputs]
    if len(names) == 1 and len(lite.inputs) == 1:
        names = [lite.input.name]
    if len(lite.outputs) != 1 or {port.name for port in lite.inputs} != set(names):
        raise CompressError(
            f"{path.name} reads {', '.join(port.name for port in lite.inputs)} and has {len(lite.outputs)} outputs, "
            f"model {model.name!r} reads {', '.join(names)}; they must be the same inputs, and one output"
        )
    ours, theirs, labels, first = [], [], [], None
    for arrays, y in labelled(model, batches, place="batch"):
        inputs = dict(zip(names, arrays.values(), strict=True))
        first = {name: array[:_FEW] for name, array in inputs.items()} if first is None else first
        theirs.append(lite.run(inputs)[lite.output.name])
        ours.append(np.asarray(model.predict_on_batch(arranged(model, arrays)), np.float32))
        labels.append(np.asarray(y))
        if len(labels[-1]) != len(ours[-1]):
            raise CompressError(f"a batch has {len(ours[-1])} inputs and {len(labels[-1])} labels")
        if ours[-1].shape != theirs[-1].shape:
            raise CompressError(
                f"{path.name} answers with shape {theirs[-1].shape}, model {model.name!r} with {ours[-1].shape}; "
                "the file is not of this model"
            )
    if first is None:
        raise CompressError(f"no example to verify {path.name} on; give at least one batch")
    a, b, truth = np.concatenate(ours), np.concatenate(theirs), np.concatenate(labels)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise CompressError(f"model {model.name!r} or {path.name} answers with NaN or infinity")
    difference = np.abs(a - b)
    score = measure or accuracy
    keras_score, lite_score = float(score(a, truth)), float(score(b, truth))
    content = flatbuffer.load(path)
    inside = flatbuffer.inspect(content, origin=str(path))
    example, threads = {name: array[:1] for name, array in first.items()}, os.cpu_count() or 1
    latency = _latency(lite, example)
    return Verification(
        samples=len(a),
        agreement=float(np.mean(np.argmax(a, axis=-1) == np.argmax(b, axis=-1))) if classes else None,
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        keras_score=keras_score,
        lite_score=lite_score,
        drop=keras_score - lite_score,
        latency_ms=latency,
        bytes=len(content),
        gzip_bytes=len(gzip.compress(content, 9, mtime=0)),
        ops=inside.ops,
        float_tensors=inside.float_tensors,
        densified=flatbuffer.made_by(content, "DENSIFY"),
        undelegated=lite.undelegated(),
        threads=threads,
        threads_latency_ms=latency if threads == 1 else _latency(LiteModel(path, threads=threads), example),
        peak_bytes=runtime.peak_bytes(path),
        micro=compare(path, first) if isinstance(file, Artifact) and file.target == "microcontroller" else None,
    )


def _latency(lite: LiteModel, example: dict[str, np.ndarray]) -> float:
    lite.run(example)
    return lite.median_ms()
