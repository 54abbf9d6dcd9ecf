"""What a model takes on this machine: time of a training step, time of an answer, memory. Each in its own process.

`python -m zoo.measure` reads a request as JSON from its input and prints `Measured` as JSON: a fresh process is the
only one whose peak of memory is that of one model.
"""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from zoo.contract import Spec
from zoo.errors import ZooError
from zoo.models import build, resolve

RUNS = 7
"""Timed runs after the first two, which compile; the median counts."""


@dataclass(frozen=True)
class Measured:
    """Figures of one model on this machine; they compare with others of the same run only.

    Attributes:
        train_ms: a training step of `batch` examples, milliseconds.
        inference_ms: an answer to one example by the compiled Keras model, milliseconds.
        memory: bytes by which training raised the peak of the process; None where the system does not tell.
        batch: examples of the training step.
    """

    train_ms: float
    inference_ms: float
    memory: int | None
    batch: int


def measure(name_or_spec: str | Spec, *, input_shape: tuple[int, ...], classes: int | None, batch: int = 8) -> Measured:
    """Build a model in a new process, train some steps of random data and run it.

    Args:
        name_or_spec: a name from `zoo.list_models`, or a spec.
        input_shape: shape of one example.
        classes: number of classes; None for a task without.
        batch: examples of the training step.

    Raises:
        ZooError: the process failed, as where memory does not suffice.
    """
    family, _, settings = resolve(name_or_spec)
    request = {
        "family": family,
        "spec": dataclasses.asdict(settings),
        "input_shape": input_shape,
        "classes": classes,
        "batch": batch,
    }
    done = subprocess.run(
        [sys.executable, "-m", "zoo.measure"], input=json.dumps(request), capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise ZooError(f"measuring {name_or_spec} failed ({said[-1] if said else f'exit code {done.returncode}'})")
    return Measured(**json.loads(done.stdout.strip().splitlines()[-1]))


def here(model: keras.Model, *, batch: int) -> Measured:
    """Measure a model in this process."""
    rng = np.random.default_rng(0)
    before = peak()
    fed = [_random(rng, (batch, *port.shape[1:]), port.dtype) for port in model.inputs]
    examples = fed if len(fed) > 1 else fed[0]
    if model.output_shape == model.input_shape:
        loss, targets = "mse", examples
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        targets = rng.integers(0, model.output_shape[-1], (batch, *model.output_shape[1:-1]))
    model.compile(keras.optimizers.SGD(1e-6), loss)
    train_ms = median(lambda: model.train_on_batch(examples, targets))
    after = peak()
    one = keras.tree.map_structure(lambda array: array[:1], examples)
    return Measured(
        train_ms=train_ms,
        inference_ms=median(lambda: model.predict_on_batch(one)),
        memory=None if before is None or after is None else after - before,
        batch=batch,
    )


def _random(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Numbers, or tokens: the first two, which every vocabulary has."""
    return rng.integers(0, 2, shape).astype("int32") if dtype == "int32" else rng.standard_normal(shape, "float32")


def median(call: Callable[[], Any]) -> float:
    """Milliseconds of a call, the median of `RUNS` after two that are not counted."""
    call(), call()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def peak() -> int | None:
    """Most memory that this process has had, in bytes; None on Windows."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux a process inherits the peak of the one that started it.
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return 1024 * int(fields["VmHWM"].removesuffix("kB"))
    try:
        import resource
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else 1024 * used


def _answer(request: dict[str, Any]) -> Measured:
    from zoo.families import FAMILIES

    settings = FAMILIES[request["family"]].SPEC(**_tuples(request["spec"]))
    model = build(settings, input_shape=tuple(request["input_shape"]), classes=request["classes"])
    return here(model, batch=request["batch"])


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(_answer(json.loads(sys.stdin.read())))))
