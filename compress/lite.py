"""Run a `.tflite` file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from compress import flatbuffer, metadata, runtime
from compress.errors import CompressError, first_line
from compress.flatbuffer import Port


class LiteModel:
    """A `.tflite` file in LiteRT's own interpreter (ai-edge-litert, not TensorFlow's), on the CPU.

    Each example is answered by itself, whatever came before: the state that an LSTM leaves in the interpreter is
    reset before it.

    Args:
        path: the file.
        signature: which of the file's models to run, by the name that it was exported under; the main one unless given.
        reference: LiteRT's plain kernels, to which others are compared, in place of its fast ones: slower, and in int8
            some answers differ by a step.
        threads: how many to run on.

    Attributes:
        path: the file.
        inputs: name, dtype, shape, scale and zero point of each input.
        outputs: the same of each output.
        input: the first of the inputs.
        output: the first of the outputs.
        metadata: what the file says of itself, or None.

    Raises:
        CompressError: it is missing, no `.tflite` file, damaged, does not run here, or has no such signature.
    """

    def __init__(self, path: str | Path, *, signature: str | None = None, reference: bool = False, threads: int = 1):
        self.path = Path(path)
        content = flatbuffer.load(self.path)
        contents = flatbuffer.inspect(content, origin=str(self.path), signature=signature)
        self.inputs, self.outputs = contents.inputs, contents.outputs
        self.input, self.output = self.inputs[0], self.outputs[0]
        self.metadata = metadata.read(content)
        self._keeps_state = contents.keeps_state
        self._interpreter, ins, outs = try_out(content, origin=str(self.path), reference=reference, threads=threads)
        self._runner = self._interpreter.get_signature_runner(signature) if signature is not None else None
        if self._runner is not None:
            return
        for details, ports in ((ins, self.inputs), (outs, self.outputs)):
            if [tuple(detail["shape"]) for detail in details] != [port.shape for port in ports]:
                raise CompressError(f"{self.path} is damaged: its input or output has another size when it runs")
        self._ins = {port.name: detail["index"] for port, detail in zip(self.inputs, ins, strict=True)}
        self._outs = {port.name: detail["index"] for port, detail in zip(self.outputs, outs, strict=True)}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """`(1, …)`: files are exported for one example a call."""
        return self.input.shape

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the outputs; empty where the file has no labels."""
        return self.metadata.labels if self.metadata else ()

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Real-valued answers to real-valued inputs, or to tokens, whatever the file stores.

        Args:
            x: `(batch, …)` floats, normalised as in training; whole numbers where the input is of tokens.

        Returns:
            float32 `(batch, outputs)`.

        Raises:
            CompressError: the shape is not the file's, or it has several inputs or outputs.
        """
        return dequantize(self.predict_raw(quantize(np.asarray(x), self.input)), self.output)

    def predict_raw(self, x: np.ndarray) -> np.ndarray:
        """The stored numbers in and out: for a full-integer file, int8 `(batch, …)` → int8 `(batch, outputs)`.

        Raises:
            CompressError: shape or dtype is not the file's, or it has several inputs or outputs.
        """
        if len(self.inputs) != 1 or len(self.outputs) != 1:
            count = f"{len(self.inputs)} inputs and {len(self.outputs)} outputs"
            raise CompressError(f"{self.path} has {count}; ask it with `run`, by name")
        return self.run_raw({self.input.name: np.asarray(x)})[self.output.name]

    def run(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """As `predict`, for a file of several inputs or outputs.

        Args:
            inputs: for each input, by its name, an array `(batch, …)`.

        Returns:
            For each output, by its name, float32 `(batch, …)`.

        Raises:
            CompressError: names or shapes are not the file's.
        """
        ports = {port.name: port for port in self.inputs}
        if set(inputs) != set(ports):
            raise CompressError(
                f"{self.path.name} has the inputs {', '.join(ports)}; got {', '.join(inputs) or 'none'}"
            )
        answers = self.run_raw({name: quantize(np.asarray(x), ports[name]) for name, x in inputs.items()})
        return {port.name: dequantize(answers[port.name], port) for port in self.outputs}

    def run_raw(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As `run`, with the stored numbers in and out.

        Raises:
            CompressError: shapes or dtypes are not the file's.
        """
        for port in self.inputs:
            x = inputs[port.name]
            if x.shape[1:] != port.shape[1:] or x.dtype != port.dtype:
                wants = f"{port.dtype} ({', '.join(map(str, ('batch', *port.shape[1:])))})"
                raise CompressError(f"{self.path.name} takes {wants}; got {x.dtype} {x.shape}")
        count = min(map(len, inputs.values()))
        if any(len(x) != count for x in inputs.values()):
            raise CompressError(f"the inputs of {self.path.name} differ in length")
        outputs = {port.name: np.empty((count, *port.shape[1:]), port.dtype) for port in self.outputs}
        for row in range(count):
            if self._runner is not None:
                answers = self._runner(**{name: x[row : row + 1] for name, x in inputs.items()})
                for name, out in outputs.items():
                    out[row] = answers[name][0]
                continue
            if self._keeps_state:
                self._interpreter.reset_all_variables()
            for name, x in inputs.items():
                self._interpreter.set_tensor(self._ins[name], x[row : row + 1])
            self._interpreter.invoke()
            for name, out in outputs.items():
                out[row] = self._interpreter.get_tensor(self._outs[name])[0]
        return outputs

    def invoke(self) -> None:
        """Run once on whatever is in the input, for timing."""
        self._interpreter.invoke()

    def median_ms(self) -> float:
        """Median milliseconds of a run, on whatever is in the inputs."""
        return runtime.median_ms(self._interpreter)

    def undelegated(self) -> dict[str, int]:
        """How many of each operator XNNPACK does not take, of the main graph."""
        return runtime.undelegated(self._interpreter)


def try_out(
    content: bytes, *, origin: str, reference: bool = False, threads: int = 1
) -> tuple[Interpreter, list[dict], list[dict]]:
    """Load the file and run each of its signatures once on zeros; the interpreter, its details of inputs and outputs.

    `reference` takes LiteRT's plain kernels.

    Raises:
        CompressError: it does not load or run.
    """
    try:
        kernels = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
        interpreter = Interpreter(model_content=content, num_threads=threads, experimental_op_resolver_type=kernels)
        interpreter.allocate_tensors()
        ins, outs = interpreter.get_input_details(), interpreter.get_output_details()
        for detail in ins:
            interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
        interpreter.invoke()
        for name in list(interpreter.get_signature_list())[1:]:
            runner = interpreter.get_signature_runner(name)
            runner(**{key: np.zeros(each["shape"], each["dtype"]) for key, each in runner.get_input_details().items()})
    except (ValueError, RuntimeError, IndexError) as error:
        raise CompressError(f"{origin} does not run: {first_line(error)}") from None
    return interpreter, ins, outs


def quantize(x: np.ndarray, port: Port) -> np.ndarray:
    """Real values as a port stores them: rounded to steps, clipped to the integer range; floats and tokens pass."""
    if port.dtype.startswith("float") or not port.scale:
        return x.astype(port.dtype)
    ends = np.iinfo(port.dtype)
    steps = np.rint(x.astype(np.float32) / np.float32(port.scale)) + port.zero_point
    return np.clip(steps, ends.min, ends.max).astype(port.dtype)


def dequantize(x: np.ndarray, port: Port) -> np.ndarray:
    """Stored values as float32 real values."""
    if port.dtype.startswith("float") or not port.scale:
        return x.astype(np.float32)
    return (x.astype(np.float32) - port.zero_point) * np.float32(port.scale)
