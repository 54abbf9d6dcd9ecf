"""Run a `.tflite` file as a microcontroller does: in TFLite Micro's own interpreter (package tflite_micro)."""

import contextlib
import functools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress import flatbuffer
from compress.errors import CompressError
from compress.lite import LiteModel, dequantize, quantize

_KIB = 1024
_MOST = 64 * 1024 * _KIB
"""The arena in which a file runs here; no microcontroller has as much."""

# What is used in passing while it starts comes on top of what it uses then. In a process of its own, for some kernels
# (the LSTM's) end theirs where the arena is too small.
_SEARCH = """
import sys
from tflite_micro import runtime
content = sys.stdin.buffer.read()
for kib in range(*map(int, sys.argv[1:])):
    print(kib, flush=True)
    try:
        runtime.Interpreter.from_bytes(content, arena_size=kib * 1024)
    except RuntimeError:
        continue
    print("fits", flush=True)
    break
"""


@dataclass(frozen=True)
class MicroReport:
    """A file in TFLite Micro beside LiteRT, the same stored numbers in.

    Attributes:
        samples: examples compared.
        same: share of the numbers out that are exactly those of LiteRT's reference kernels, 0-1.
        max_steps: largest difference of any number out from those of `LiteModel`, in steps of the output's scale (of a
            float file in the output's unit). LiteRT's fast kernels round otherwise: by one step in most files, by a few
            where a softmax is steep.
        arena_bytes: as of `MicroModel`.
    """

    samples: int
    same: float
    max_steps: float
    arena_bytes: int


def runtime() -> Any:
    """TFLite Micro's Python interpreter.

    Raises:
        CompressError: it is not installed.
    """
    try:
        from tflite_micro import runtime
    except ImportError:
        raise CompressError('TFLite Micro is not installed; `pip install "edgezoo[micro]"` (Linux, x86-64)') from None
    return runtime


class MicroModel:
    """A `.tflite` file in TFLite Micro, with its reference kernels.

    Each example is answered by itself: the state that an LSTM keeps is reset before it.

    Args:
        file: its path, or its bytes.

    Attributes:
        inputs: name, dtype, shape, scale and zero point of each input.
        outputs: the same of each output.

    Raises:
        CompressError: it is missing or damaged, TFLite Micro is not installed, or does not run it.
    """

    def __init__(self, file: str | Path | bytes):
        self._origin = "the file" if isinstance(file, bytes) else str(file)
        self._content = file if isinstance(file, bytes) else flatbuffer.load(file)
        contents = flatbuffer.inspect(self._content, origin=self._origin)
        self.inputs, self.outputs = contents.inputs, contents.outputs
        self._keeps_state = contents.keeps_state
        micro = runtime()
        with _said() as said:
            try:
                self._interpreter = micro.Interpreter.from_bytes(self._content, arena_size=_MOST)
                for index, port in enumerate(self.inputs):
                    self._interpreter.set_input(np.zeros(port.shape, port.dtype), index)
                self._interpreter.invoke()
                self._interpreter.print_allocations()
            except (RuntimeError, ValueError) as error:
                reason = " ".join(said().split()) or str(error)
                raise CompressError(f"{self._origin} does not run in TFLite Micro: {reason}") from None
            used = re.search(r"Arena allocation total (\d+)", said())
        assert used is not None, "print_allocations says so first"
        self._used = int(used[1])

    @functools.cached_property
    def arena_bytes(self) -> int:
        """The least memory that it starts in, to a KiB: for its tensors and its own structures, beside the file.

        Pointers are 8 bytes here and mostly 4 on a microcontroller, where it takes less; kernels made for a processor,
        such as CMSIS-NN's, may take more.
        """
        kib = -(-self._used // _KIB)
        while kib < _MOST // _KIB:
            command = [sys.executable, "-c", _SEARCH, str(kib), str(_MOST // _KIB)]
            tried = subprocess.run(command, input=self._content, capture_output=True, check=False).stdout.split()
            if tried and tried[-1] == b"fits":
                return int(tried[-2]) * _KIB
            kib = int(tried[-1]) + 1 if tried else _MOST
        raise CompressError(f"{self._origin} starts in TFLite Micro, but no arena that holds it was found")

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Real-valued answers to real-valued inputs `(batch, …)`, or to tokens: float32 `(batch, outputs)`.

        Raises:
            CompressError: the shape is not the file's, or it has several inputs or outputs.
        """
        return dequantize(self.predict_raw(quantize(np.asarray(x), self.inputs[0])), self.outputs[0])

    def predict_raw(self, x: np.ndarray) -> np.ndarray:
        """The stored numbers in and out: for a full-integer file, int8 `(batch, …)` → int8 `(batch, outputs)`.

        Raises:
            CompressError: shape or dtype is not the file's, or it has several inputs or outputs.
        """
        if len(self.inputs) != 1 or len(self.outputs) != 1:
            raise CompressError(f"{self._origin} has several inputs or outputs; ask it with `run_raw`, by name")
        return self.run_raw({self.inputs[0].name: np.asarray(x)})[self.outputs[0].name]

    def run_raw(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As `predict_raw`, for a file of several inputs or outputs, by their names.

        Raises:
            CompressError: names, shapes or dtypes are not the file's.
        """
        for port in self.inputs:
            x = inputs.get(port.name)
            if x is None or x.shape[1:] != port.shape[1:] or x.dtype != port.dtype:
                got = "nothing" if x is None else f"{x.dtype} {x.shape}"
                raise CompressError(f"{self._origin} takes {port.dtype} {port.shape} as {port.name}; got {got}")
        count = len(inputs[self.inputs[0].name])
        if any(len(inputs[port.name]) != count for port in self.inputs):
            raise CompressError(f"the inputs of {self._origin} differ in length")
        outputs = {port.name: np.empty((count, *port.shape[1:]), port.dtype) for port in self.outputs}
        for row in range(count):
            if self._keeps_state:
                self._interpreter.reset()
            for index, port in enumerate(self.inputs):
                self._interpreter.set_input(inputs[port.name][row : row + 1], index)
            self._interpreter.invoke()
            for index, port in enumerate(self.outputs):
                outputs[port.name][row] = self._interpreter.get_output(index)[0]
        return outputs


def run_micro(file: str | Path | bytes, x: np.ndarray) -> np.ndarray:
    """What TFLite Micro answers, once: `MicroModel(file).predict(x)`."""
    return MicroModel(file).predict(x)


def compare(path: str | Path, examples: Mapping[str, np.ndarray]) -> MicroReport:
    """Run a file in TFLite Micro and in LiteRT on the same stored numbers.

    Args:
        path: the file.
        examples: for each input, by its name, real values or tokens `(batch, …)`.

    Raises:
        CompressError: one of them does not run it, or the examples do not fit it.
    """
    model = MicroModel(path)
    stored = {port.name: quantize(np.asarray(examples[port.name]), port) for port in model.inputs}
    ours = model.run_raw(stored)
    plain, fast = (LiteModel(path, reference=reference).run_raw(stored) for reference in (True, False))
    equal = np.concatenate([np.ravel(ours[name] == plain[name]) for name in ours])
    steps = max(float(np.abs(ours[name].astype(np.float64) - fast[name]).max()) for name in ours)
    return MicroReport(len(next(iter(ours.values()))), float(equal.mean()), steps, model.arena_bytes)


@contextlib.contextmanager
def _said() -> Iterator[Callable[[], str]]:
    """Hold back what goes to the process's standard error, the only place where TFLite Micro gives its reasons."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)

        def text() -> str:
            file.seek(0)
            return file.read().decode(errors="replace")

        try:
            yield text
        finally:
            os.dup2(before, 2)
            os.close(before)
