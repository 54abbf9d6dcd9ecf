"""Run a `.tflite` file."""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from compress import flatbuffer, metadata
from compress.errors import CompressError
from compress.flatbuffer import Port


class LiteModel:
    """A `.tflite` file in LiteRT's own interpreter (ai-edge-litert, not TensorFlow's), on one CPU thread.

    Args:
        path: the file.

    Attributes:
        path: the file.
        input: dtype, shape, scale and zero point of the input.
        output: the same of the output.
        metadata: what the file says of itself, or None.

    Raises:
        CompressError: it is missing, no `.tflite` file, damaged, has several inputs or outputs, or does not run here.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        content = flatbuffer.load(self.path)
        contents = flatbuffer.inspect(content, origin=str(self.path))
        if len(contents.inputs) != 1 or len(contents.outputs) != 1:
            count = f"{len(contents.inputs)} inputs and {len(contents.outputs)} outputs"
            raise CompressError(f"{self.path} has {count}; LiteModel runs files with one of each")
        (self.input,), (self.output,) = contents.inputs, contents.outputs
        self.metadata = metadata.read(content)
        self._interpreter, ins, outs = try_out(content, origin=str(self.path))
        self._in, self._out = ins[0]["index"], outs[0]["index"]
        if tuple(ins[0]["shape"]) != self.input.shape or tuple(outs[0]["shape"]) != self.output.shape:
            raise CompressError(f"{self.path} is damaged: its input or output has another size when it runs")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """`(1, …)`: files are exported for one example a call."""
        return self.input.shape

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the outputs; empty where the file has no labels."""
        return self.metadata.labels if self.metadata else ()

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Real-valued answers to real-valued inputs, whatever the file stores.

        Args:
            x: `(batch, …)` floats, normalised as in training.

        Returns:
            float32 `(batch, outputs)`.

        Raises:
            CompressError: the shape is not the file's.
        """
        return dequantize(self.predict_raw(quantize(np.asarray(x, np.float32), self.input)), self.output)

    def predict_raw(self, x: np.ndarray) -> np.ndarray:
        """The stored numbers in and out: for a full-integer file, int8 `(batch, …)` → int8 `(batch, outputs)`.

        Raises:
            CompressError: shape or dtype is not the file's.
        """
        x = np.asarray(x)
        if x.shape[1:] != self.input.shape[1:] or x.dtype != self.input.dtype:
            wants = f"{self.input.dtype} (batch, {', '.join(map(str, self.input.shape[1:]))})"
            raise CompressError(f"{self.path.name} takes {wants}; got {x.dtype} {x.shape}")
        out = np.empty((len(x), *self.output.shape[1:]), self.output.dtype)
        for row, example in enumerate(x):
            self._interpreter.set_tensor(self._in, example[np.newaxis])
            self._interpreter.invoke()
            out[row] = self._interpreter.get_tensor(self._out)[0]
        return out

    def invoke(self) -> None:
        """Run once on whatever is in the input, for timing."""
        self._interpreter.invoke()


def try_out(content: bytes, *, origin: str) -> tuple[Interpreter, list[dict], list[dict]]:
    """Load the file and run it once on zeros; the interpreter and its details of inputs and outputs.

    Raises:
        CompressError: it does not load or run.
    """
    try:
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        ins, outs = interpreter.get_input_details(), interpreter.get_output_details()
        for detail in ins:
            interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
        interpreter.invoke()
    except (ValueError, RuntimeError, IndexError) as error:
        raise CompressError(f"{origin} does not run: {str(error).splitlines()[0]}") from None
    return interpreter, ins, outs


def quantize(x: np.ndarray, port: Port) -> np.ndarray:
    """Real values as a port stores them: rounded to steps, clipped to the integer range; floats pass."""
    if port.dtype.startswith("float"):
        return x.astype(port.dtype)
    ends = np.iinfo(port.dtype)
    steps = np.rint(x / np.float32(port.scale)) + port.zero_point
    return np.clip(steps, ends.min, ends.max).astype(port.dtype)


def dequantize(x: np.ndarray, port: Port) -> np.ndarray:
    """Stored values as float32 real values."""
    if port.dtype.startswith("float"):
        return x.astype(np.float32)
    return (x.astype(np.float32) - port.zero_point) * np.float32(port.scale)
