"""Language models that read one token at a time and remember: the keys and values of attention, or recurrent states.

The graph of a built model is rewritten; the weights are shared.
"""

import itertools
import weakref
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from zoo import check, graph
from zoo.errors import ZooError
from zoo.sequence.attention import DotProductAttention, PositionEmbedding, attend, joined, split

RECURRENT = (keras.layers.LSTM, keras.layers.GRU)


@dataclass(frozen=True)
class Stepped:
    """A model for `generate` or `translate`, and what goes with it, to be run token by token. All share its weights.

    All sizes are fixed, so that `compress.export` can write each of them.

    Attributes:
        step: reads a token and a memory of those before it. Inputs and outputs are dictionaries; an output other than
            `logits` is the input of the same name for the next token. The answers are those of the whole model at the
            same position. Inputs: `token`, int32 `(batch, 1)`; of a network of attention `position`, int32 `(batch,)`,
            how many tokens came before, and `cache`, float32 `(batch, layers, 2, steps, width)`, their keys and values;
            of a recurrent one `states`, float32 `(batch, units of all layers)`; for translation also `source`, int32
            `(batch, source steps)`, and `memory`, what `encode` gives. `cache` and `states` begin as zeros. Outputs:
            `logits`, float32 `(batch, vocabulary)`, and `cache` or `states`.
        fill: tokens, int32 `(batch, steps)` → the `cache` of all of them at once; None where there is none.
        encode: source, int32 `(batch, source steps)` → `memory`, its keys and values, float32 `(batch, layers, 2,
            source steps, width)`; None but for translation.
    """

    step: keras.Model
    fill: keras.Model | None
    encode: keras.Model | None


def stepped(model: keras.Model) -> Stepped:
    """A model of `zoo.build`, or one that was loaded, made to run token by token; the same each time for one model.

    Raises:
        ZooError: it does not tell the next token at each step, or looks at what comes later.
    """
    if model not in _MADE:
        _require(model)
        walk = _Walk(model)
        step = walk.model()
        fill = _memory(model, walk.cached, "fill") if walk.cached and not walk.crossed else None
        _MADE[model] = Stepped(step, fill, _memory(model, walk.crossed, "encode") if walk.crossed else None)
    return _MADE[model]


_MADE: weakref.WeakKeyDictionary[keras.Model, Stepped] = weakref.WeakKeyDictionary()
"""What was made, as long as its model is there: compiling takes longer than a short text."""


def _require(model: keras.Model) -> None:
    layers = model.layers
    tokens = model.inputs[-1]
    if len(tokens.shape) != 2 or tokens.dtype != "int32" or len(model.outputs[0].shape) != 3 or len(model.inputs) > 2:
        raise ZooError(f"{model.name} does not tell the next token; take a model for generate or translate")
    if any(isinstance(x, keras.layers.Bidirectional) or getattr(x, "go_backwards", False) for x in layers):
        raise ZooError(f"{model.name} reads backwards as well, so it cannot go on with a text")
    causal = [x for x in layers if isinstance(x, DotProductAttention) and x.causal]
    if bool(causal) == any(isinstance(x, RECURRENT) for x in layers):
        raise ZooError(f"{model.name} has to have causal attention or recurrent layers, and not both")


def _memory(model: keras.Model, layers: list[DotProductAttention], name: str) -> keras.Model:
    """The keys and values that layers read, `(batch, layers, 2, steps, width)`."""
    pairs = [keras.ops.stack(graph.inputs(layer)[1:3], axis=1) for layer in layers]
    return keras.Model(model.inputs[0], keras.ops.stack(pairs, axis=1), name=f"{model.name}_{name}")


@dataclass
class _Walk:
    """Calls the layers of a model on one token in place of all, and stand-ins for those that look back."""

    source: keras.Model
    cached: list[DotProductAttention] = field(default_factory=list)
    crossed: list[DotProductAttention] = field(default_factory=list)
    late: set[int] = field(default_factory=set)
    """The tensors that depend on the token, by id."""
    inputs: dict[str, keras.KerasTensor] = field(default_factory=dict)
    kept: list[keras.KerasTensor] = field(default_factory=list)
    """Memories with the token in them."""

    def model(self) -> keras.Model:
        layers = self.source.layers
        self.inputs["token"] = keras.Input((1,), dtype="int32", name="token")
        steps = self.source.inputs[-1].shape[1]
        causal = [layer for layer in layers if isinstance(layer, DotProductAttention) and layer.causal]
        recurrent = [layer for layer in layers if isinstance(layer, RECURRENT)]
        if causal:
            shape = (len(causal), 2, steps, causal[0].output.shape[-1])
            self.inputs["position"] = keras.Input((), dtype="int32", name="position")
            self.inputs["cache"] = keras.Input(shape, dtype="float32", name="cache")
        else:
            count = sum(sum(_sizes(layer.cell)) for layer in recurrent)
            self.inputs["states"] = keras.Input((count,), dtype="float32", name="states")
        entering = [self.inputs["token"]]
        if len(self.source.inputs) == 2:
            crossing = [x for x in layers if isinstance(x, DotProductAttention) and not x.causal]
            shape = self.source.inputs[0].shape
            self.inputs["source"] = keras.Input(shape[1:], dtype="int32", name="source")
            shape = (len(causal), 2, shape[1], crossing[0].output.shape[-1])
            self.inputs["memory"] = keras.Input(shape, dtype="float32", name="memory")
            entering.insert(0, self.inputs["source"])
        self.late.add(id(self.inputs["token"]))
        logits = self.source._run_through_graph(entering, operation_fn=lambda operation: operation, call_fn=self.call)
        (logits,) = keras.tree.flatten(logits)
        kept = keras.ops.stack(self.kept, axis=1) if causal else keras.ops.concatenate(self.kept, axis=-1)
        outputs = {
            "logits": keras.layers.Reshape(logits.shape[2:], dtype=logits.dtype, name="logits")(logits),
            "cache" if causal else "states": keras.ops.cast(kept, "float32"),
        }
        return keras.Model(self.inputs, outputs, name=f"{self.source.name}_step")

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        """One call of the model, on the new tensors."""
        outputs = self.answer(operation, *args, **kwargs)
        if any(id(tensor) in self.late for tensor in keras.tree.flatten((args, kwargs))):
            self.late.update(id(tensor) for tensor in keras.tree.flatten(outputs))
        return outputs

    def answer(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(operation, DotProductAttention) and operation.causal:
            return self.cache(operation, args[0])
        if isinstance(operation, DotProductAttention) and id(args[0][0]) in self.late:
            memory = self.inputs["memory"][:, len(self.crossed)]
            self.crossed.append(operation)
            return operation([args[0][0], memory[:, 0], memory[:, 1]], **kwargs)
        if isinstance(operation, PositionEmbedding) and id(args[0]) in self.late:
            return operation(args[0], start=self.inputs["position"])
        if isinstance(operation, RECURRENT):
            return self.recur(operation, args[0])
        return operation(*args, **kwargs)

    def cache(self, layer: DotProductAttention, inputs: list[keras.KerasTensor]) -> Any:
        memory = self.inputs["cache"][:, len(self.cached)]
        self.cached.append(layer)
        stand_in = CachedAttention(layer.heads, dtype=layer.dtype_policy, name=layer.name)
        output, memory = stand_in([*inputs, memory, self.inputs["position"]])
        self.kept.append(memory)
        return output

    def recur(self, layer: Any, x: keras.KerasTensor) -> Any:
        start = sum(tensor.shape[-1] for tensor in self.kept)
        states = self.inputs["states"][:, start : start + sum(_sizes(layer.cell))]
        output, states = CellStep(layer.cell, dtype=layer.dtype_policy, name=layer.name)([x, states])
        self.kept.append(states)
        return output


@keras.saving.register_keras_serializable(package="edgezoo")
class CachedAttention(keras.layers.Layer):
    """The attention of one query to the keys and values of its own position and all before it.

    Args:
        heads: parts that the width is cut into.
    """

    def __init__(self, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = check.whole(heads, "heads")

    def call(self, inputs: Any) -> Any:
        """What the query gathers, `(batch, 1, width)`, and the memory with the new key and value in it.

        Args:
            inputs: query, key and value, `(batch, 1, width)` each; the memory, `(batch, 2, steps, width)`: keys, then
                values; the position, int32 `(batch,)`.
        """
        query, key, value, memory, position = inputs
        steps = np.arange(memory.shape[2], dtype="int32")
        place = keras.ops.expand_dims(position, -1)
        # A choice over all steps, not an update of one: every backend and the converter have it, each text of a batch
        # may be at its own position, and it reads no more than the attention does that follows.
        here = keras.ops.reshape(keras.ops.equal(place, steps), (-1, 1, len(steps), 1))
        memory = keras.ops.where(here, keras.ops.stack([key, value], axis=1), memory)
        seen = keras.ops.reshape(keras.ops.less_equal(steps, place), (-1, 1, 1, len(steps)))
        weights = attend(query, memory[:, 0], self.heads, seen)
        return joined(keras.ops.matmul(weights, split(memory[:, 1], self.heads))), memory

    def compute_output_spec(self, inputs: Any) -> Any:
        """The shapes of the query and of the memory."""
        query, _, _, memory, _ = inputs
        return tuple(keras.KerasTensor(tensor.shape, dtype=self.compute_dtype) for tensor in (query, memory))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "heads": self.heads}


@keras.saving.register_keras_serializable(package="edgezoo")
class CellStep(keras.layers.Layer):
    """One step of a recurrent layer.

    Args:
        cell: the layer's `LSTMCell` or `GRUCell`; its weights are used, not copied.
    """

    def __init__(self, cell: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cell = keras.saving.deserialize_keras_object(cell) if isinstance(cell, dict) else cell
        self.sizes = _sizes(self.cell)

    def build(self, input_shape: Any) -> None:
        """Makes the cell's weights where it has none yet."""
        if not self.cell.built:
            step, _ = input_shape
            self.cell.build((step[0], step[-1]))

    def call(self, inputs: Any) -> Any:
        """The output, `(batch, 1, units)`, and the states, `(batch, all states)`, after a step from the old states."""
        step, states = inputs
        ends = np.cumsum([0, *self.sizes]).tolist()
        parts = [states[:, start:end] for start, end in itertools.pairwise(ends)]
        output, new = self.cell(step[:, 0], parts, training=False)
        return keras.ops.expand_dims(output, 1), keras.ops.concatenate(keras.tree.flatten(new), axis=-1)

    def compute_output_spec(self, inputs: Any) -> Any:
        """The shapes of output and states."""
        step, states = inputs
        shapes = (step.shape[0], 1, self.sizes[0]), states.shape
        return tuple(keras.KerasTensor(shape, dtype=self.compute_dtype) for shape in shapes)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "cell": keras.saving.serialize_keras_object(self.cell)}


def _sizes(cell: Any) -> list[int]:
    """Units of each state of a cell."""
    return [int(size) for size in keras.tree.flatten(cell.state_size)]
