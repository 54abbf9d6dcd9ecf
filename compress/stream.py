"""A recurrent model that reads a series piece by piece and hands its states on from call to call."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from compress.errors import CompressError
from compress.functional import functional, with_graph
from compress.graph import cloned, float32_layers, set_weights
from compress.lite import LiteModel
from compress.recurrent import Plain, is_recurrent
from compress.trace import float32

STREAM = "stream"
"""What a file's signature for pieces of a series is called."""

_EACH_STEP = {
    "Dense", "Embedding", "Masking", "Identity", "Rescaling", "Normalization",
    "Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise",
    "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax",
    "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate",
    "Relu", "Relu6", "Silu", "Gelu", "Tanh", "Sigmoid", "Divide", "Cast",
    "NotEqual", "Any", "LogicalAnd",  # how Keras makes masks
    "BatchNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization",
}  # fmt: skip


@float32_layers()
def streaming(model: keras.Model, *, steps: int = 1) -> keras.Model:
    """The model of one piece of a series: it takes the states of all recurrent layers and gives the new ones.

    Fed piece by piece, its states passed on, it answers as `model` does for the whole series so far. It has copies of
    the weights of `model`.

    Args:
        model: a Functional or Sequential model of one series `(steps, …)`, or tokens `(steps,)`. Before its last
            recurrent layer that answers once, all layers must see one step at a time.
        steps: how many steps a piece has.

    Returns:
        A model with dictionaries for inputs and outputs. Inputs: the series, under its name, `(batch, steps, …)`, and
        of each recurrent layer `NAME_state0` (and `NAME_state1`: an LSTM's cell), float32 `(batch, units)`, zeros at
        the start. Outputs: `output`, and the states under the names that they have as inputs.

    Raises:
        CompressError: the model has no graph, reads several inputs, or has a layer that needs more than the piece; it
            is named.
    """
    if steps < 1:
        raise CompressError(f"steps={steps}; a piece of a series has at least one step")
    model = with_graph(model)
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(model.inputs[0].shape) < 2:
        raise CompressError(f"model {model.name!r} cannot stream: it must read one series and have one output")
    source = float32(model)
    copy = keras.models.clone_model(functional(source), clone_function=cloned)
    set_weights(copy, source.get_weights())
    entry = copy.inputs[0]
    dtype = "float32" if keras.backend.is_float_dtype(entry.dtype) else entry.dtype
    piece = keras.Input((steps, *entry.shape[2:]), dtype=dtype, name=entry.name)
    walk = _Walk(piece)
    output = keras.tree.flatten(walk.run(copy, [piece]))[0]
    if not walk.states:
        raise CompressError(f"model {model.name!r} has no recurrent layer, so there is no state to carry")
    return keras.Model({piece.name: piece, **walk.states}, {"output": output, **walk.new_states}, name=model.name)


class _Walk:
    """Calls the layers of a model on a piece in place of the series."""

    def __init__(self, piece: keras.KerasTensor):
        self.timed = {id(piece)}  # the tensors whose second axis is time
        self.states: dict[str, keras.KerasTensor] = {}
        self.new_states: dict[str, keras.KerasTensor] = {}

    def run(self, model: Any, inputs: list[Any]) -> Any:
        return functional(model)._run_through_graph(inputs, operation_fn=lambda operation: operation, call_fn=self.call)

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        read = [leaf for leaf in keras.tree.flatten((args, kwargs)) if id(leaf) in self.timed]
        if isinstance(operation, keras.Model):
            return self.run(operation, keras.tree.flatten(args))
        if not read:
            return operation(*args, **kwargs)
        if is_recurrent(operation):
            return self.recur(operation, args[0], **kwargs)
        if type(operation).__name__ not in _EACH_STEP or not _within_a_step(operation, read[0]):
            raise _refused(operation, "reads backwards" if _backwards(operation) else "sees several steps at once")
        outputs = operation(*args, **kwargs)
        self.timed.update(id(tensor) for tensor in keras.tree.flatten(outputs))
        return outputs

    def recur(self, layer: Any, x: Any, *, initial_state: Any = None, **kwargs: Any) -> Any:
        if _backwards(layer):
            raise _refused(layer, "reads backwards")
        if layer.stateful or layer.return_state or initial_state is not None:
            raise _refused(layer, "takes, gives or keeps a state of its own")
        sizes = keras.tree.flatten(layer.state_size)
        names = [f"{layer.name}_state{index}" for index in range(len(sizes))]
        if names[0] in self.states:
            raise _refused(layer, "is called twice")
        states = [keras.Input((size,), name=name) for name, size in zip(names, sizes, strict=True)]
        self.states.update(zip(names, states, strict=True))
        twin = Plain(
            layer.cell,
            return_sequences=layer.return_sequences,
            return_state=True,
            zero_output_for_mask=layer.zero_output_for_mask,
            unroll=True,
            name=layer.name,
        )
        output, *after = twin(x, initial_state=keras.tree.pack_sequence_as(layer.state_size, states))
        self.new_states.update(zip(names, keras.tree.flatten(after), strict=True))
        if layer.return_sequences:
            self.timed.add(id(output))
        elif isinstance(layer, (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)):
            output = after[0]  # the output of a piece of padding alone is that of the piece before it
        return output


def _refused(layer: Any, reason: str) -> CompressError:
    return CompressError(f"the model cannot stream: layer {layer.name!r} ({type(layer).__name__}) {reason}")


def _backwards(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Bidirectional) or bool(getattr(layer, "go_backwards", False))


def _within_a_step(layer: Any, x: keras.KerasTensor) -> bool:
    """Whether a layer that works along an axis leaves time alone, and has no weights for each step."""
    if isinstance(layer, keras.layers.PReLU):
        return 1 in (layer.shared_axes or ())
    axis = getattr(layer, "axis", None)
    axes = [] if axis is None else axis if isinstance(axis, (list, tuple)) else [axis]
    return all(value % len(x.shape) > 1 for value in axes)


class LiteStream:
    """A file exported with `stream_steps`, fed piece by piece.

    Args:
        path: the file.

    Attributes:
        path: the file.
        steps: how many steps one call of the file takes.

    Raises:
        CompressError: the file is missing, damaged, or has no signature `stream`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._model = LiteModel(path, signature=STREAM)
        kept = {port.name for port in self._model.outputs}
        (self._port,) = (port for port in self._model.inputs if port.name not in kept)
        (self._answer,) = kept - {port.name for port in self._model.inputs}
        self.steps = self._port.shape[1]
        self.reset()

    def reset(self) -> None:
        """Forget what came: the next piece begins a series."""
        ports = [port for port in self._model.inputs if port is not self._port]
        self._states = {port.name: np.zeros(port.shape, np.float32) for port in ports}

    def feed(self, x: np.ndarray) -> np.ndarray:
        """Take the next steps of the series.

        Args:
            x: `(steps, …)` floats, normalised as in training, or tokens `(steps,)`; as many steps as the file takes in
                one call, or a multiple.

        Returns:
            The answer so far, float32 `(outputs,)`; of a model that answers at each step `(steps, outputs)`, of which
            those for masked steps mean nothing.

        Raises:
            CompressError: the number of steps, or the shape of a step, is not the file's.
        """
        x = np.asarray(x)
        if x.shape[1:] != self._port.shape[2:] or not len(x) or len(x) % self.steps:
            wants = f"a multiple of {self.steps} steps of shape {self._port.shape[2:]}"
            raise CompressError(f"{self.path.name} takes {wants}; got {x.shape}")
        answers = []
        for start in range(0, len(x), self.steps):
            piece = x[np.newaxis, start : start + self.steps]
            after = self._model.run({self._port.name: piece, **self._states})
            answers.append(after.pop(self._answer)[0])
            self._states = after
        return np.concatenate(answers) if answers[0].ndim > 1 else answers[-1]
