"""What a built model costs, read from its graph: multiply-accumulates, activation memory, weight sizes.

Every layer must have a known input size, as in every model of the zoo. One that is called several times, as the table
of a language model that reads and tells tokens, counts at each call.
"""

import math
from collections import Counter
from dataclasses import dataclass

import keras

from zoo.errors import ZooError
from zoo.sequence.attention import DotProductAttention, PositionEmbedding

CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)
RECURRENT = (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)
DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
NORMALISATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
)
IN_PLACE = (
    keras.layers.BatchNormalization,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.Dropout,
    keras.layers.Masking,
)


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a layer.

    Attributes:
        layer: which.
        inputs: what it reads, but for masks; nothing for an input layer.
        output: what it gives.
    """

    layer: keras.layers.Layer
    inputs: tuple[keras.KerasTensor, ...]
    output: keras.KerasTensor


def calls(model: keras.Model) -> list[Call]:
    """The calls of a model's layers, in its own order.

    Keras's operations without a layer, which compute masks, are left out.
    """
    places = {id(layer): place for place, layer in enumerate(model.layers)}
    nodes = (getattr(model, "_functional", None) or model)._nodes_by_depth
    found = []
    for depth in sorted(nodes, reverse=True):
        here = [node for node in nodes[depth] if id(node.operation) in places]
        for node in sorted(here, key=lambda node: places[id(node.operation)]):
            found.append(Call(node.operation, _without_masks(node.input_tensors), node.outputs[0]))
    return found


def macs(model: keras.Model) -> int:
    """Multiply-accumulates of one example in convolutions, Dense and recurrent layers, attention, Dot and tied heads.

    Every kernel weight is used once for each output position; in a transposed convolution, for each input position; in
    a recurrent layer, kernel and recurrent kernel, once for each step, of padding too. Attention multiplies each query
    with each key, and each weight with each value, those that it may not see too. Wrapped layers count as what they
    wrap, in both directions where there are two. Other layers count nothing.

    Raises:
        ZooError: the model leaves an input size open.
    """
    return sum(_macs(call) for call in calls(model))


def peak_activations(model: keras.Model) -> int:
    """Most activation memory that one example needs at any time, in bytes of float32.

    The layers run one by one in the model's own order. A tensor, the model's input too, lives from the layer
    that makes it to the last layer that reads it, each of several inputs from the start; while a layer runs, all its
    inputs and outputs are alive. Normalisation, activation, dropout and masking write into their input where nothing
    else reads it, as runtimes fuse them. Tokens have four bytes each, as float32 has. Weights, masks and a runtime's
    scratch memory, with the state of a recurrent layer, are not in it.

    Raises:
        ZooError: the model leaves an input size open.
    """
    made_by = calls(model)
    reads = [[id(tensor) for tensor in call.inputs] for call in made_by]
    readers = _readers(model)
    owner: dict[int, int] = {}
    size: dict[int, int] = {}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for step, call in enumerate(made_by):
        layer = call.layer
        for tensor in reads[step]:
            last[owner[tensor]] = step
        made = id(call.output)
        if isinstance(layer, IN_PLACE) and readers[reads[step][0]] == 1:
            owner[made] = owner[reads[step][0]]
            continue
        owner[made] = made
        first[made] = 0 if isinstance(layer, keras.layers.InputLayer) else step
        last[made] = step
        size[made] = 4 * math.prod(_known(call))
    return max(
        sum(size[buffer] for buffer in size if first[buffer] <= step <= last[buffer]) for step in range(len(made_by))
    )


def weight_bytes(model: keras.Model) -> tuple[int, int]:
    """Bytes of the weights that a device needs, as float32 and as int8.

    A normalisation that alone reads a convolution or a Dense layer is folded into it; any other leaves a scale and
    a shift, as layer normalisation does. Convolutions and Dense layers have a bias each, which a LiteRT file stores
    even where it is zero; recurrent layers have those they have. int8 has one byte a weight, those of embeddings and
    positions too, and four (an int32) a bias; the scales that go with them, a few bytes a channel, and the graph itself
    are not in it.
    """
    weights = biases = 0
    makers = {id(layer.output): layer for layer in model.layers}
    readers = _readers(model)
    for layer in model.layers:
        if _has_kernel(layer):
            weights += math.prod(layer.kernel.shape)
            biases += _channels(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            read = id(inputs(layer)[0])
            if not (_has_kernel(makers[read]) and readers[read] == 1):
                weights += 2 * layer.output.shape[-1]
        elif isinstance(layer, keras.layers.LayerNormalization):
            weights += sum(math.prod(weight.shape) for weight in layer.weights)
        elif isinstance(layer, (keras.layers.Embedding, PositionEmbedding)):
            weights += math.prod(layer.embeddings.shape)
        for cell in _cells(layer):
            weights += math.prod(cell.kernel.shape) + math.prod(cell.recurrent_kernel.shape)
            biases += math.prod(cell.bias.shape) if cell.use_bias else 0
    return 4 * (weights + biases), weights + 4 * biases


def _has_kernel(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, (*CONVOLUTIONS, keras.layers.Dense))


def _cells(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The cells of a recurrent layer: two where it reads in both directions, none where it is no such layer."""
    if isinstance(layer, keras.layers.Bidirectional):
        return [layer.forward_layer.cell, layer.backward_layer.cell]
    return [layer.cell] if isinstance(layer, RECURRENT) else []


def _channels(layer: keras.layers.Layer) -> int:
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return layer.filters
    shape = layer.kernel.shape
    return shape[-2] * shape[-1] if isinstance(layer, DEPTHWISE) else shape[-1]


def _macs(call: Call) -> int:
    layer = call.layer
    if cells := _cells(layer):
        steps = call.inputs[0].shape[1]
        if steps is None:
            raise ZooError(f"the number of steps of {layer.name} is open; build the model with a fixed input_shape")
        return steps * sum(math.prod(cell.kernel.shape) + math.prod(cell.recurrent_kernel.shape) for cell in cells)
    if isinstance(layer, keras.layers.Dot):
        axis = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
        return math.prod(_known(call)) * call.inputs[0].shape[axis]
    if isinstance(layer, DotProductAttention):
        return 2 * math.prod(_known(call)) * call.inputs[1].shape[1]
    if isinstance(layer, keras.layers.ReversibleEmbedding) and call.inputs[0].shape[-1] == layer.output_dim:
        return math.prod(_known(call)) * layer.output_dim
    inner = layer
    while isinstance(getattr(inner, "layer", None), keras.layers.Layer):
        inner = inner.layer
    if not _has_kernel(inner):
        return 0
    positions = math.prod(_known(call)) // _channels(inner)
    if isinstance(inner, keras.layers.Conv2DTranspose):
        positions = math.prod(call.inputs[0].shape[1:-1])
    return positions * math.prod(inner.kernel.shape)


def _known(call: Call) -> tuple[int, ...]:
    """The output shape of one example."""
    shape = call.output.shape[1:]
    if None in shape:
        raise ZooError(f"the output size of {call.layer.name} is open; build the model with a fixed input_shape")
    return shape


def _readers(model: keras.Model) -> Counter[int]:
    """How often each tensor, by its id, is read by a layer."""
    return Counter(id(tensor) for call in calls(model) for tensor in call.inputs)


def inputs(layer: keras.layers.Layer) -> list[keras.KerasTensor]:
    """What a layer reads when first called, but for masks; nothing for an input layer, which gives its own input."""
    if isinstance(layer, keras.layers.InputLayer):
        return []
    return list(_without_masks(keras.tree.flatten(layer.input)))


def _without_masks(tensors: list[keras.KerasTensor]) -> tuple[keras.KerasTensor, ...]:
    # Keras computes a mask by operations that are no layers, and hands it on beside what it belongs to.
    return tuple(tensor for tensor in tensors if tensor.dtype != "bool")
