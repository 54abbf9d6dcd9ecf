"""What a built model costs, read from its graph: multiply-accumulates, activation memory, weight sizes.

Each layer must be called once and have a known input size, as in every model of the zoo.
"""

import math
from collections import Counter

import keras

from zoo.errors import ZooError

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


def macs(model: keras.Model) -> int:
    """Multiply-accumulates of one example in convolutions, Dense and recurrent layers and Dot; others count nothing.

    Every kernel weight is used once for each output position; in a transposed convolution, for each input position; in
    a recurrent layer, kernel and recurrent kernel, once for each step, of padding too. Wrapped layers count as what
    they wrap, in both directions where there are two.

    Raises:
        ZooError: the model leaves an input size open.
    """
    return sum(_layer_macs(layer) for layer in model.layers)


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
    layers = model.layers
    reads = [[id(tensor) for tensor in inputs(layer)] for layer in layers]
    readers = _readers(model)
    owner: dict[int, int] = {}
    size: dict[int, int] = {}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for step, layer in enumerate(layers):
        for tensor in reads[step]:
            last[owner[tensor]] = step
        made = id(layer.output)
        if isinstance(layer, IN_PLACE) and readers[reads[step][0]] == 1:
            owner[made] = owner[reads[step][0]]
            continue
        owner[made] = made
        first[made] = 0 if isinstance(layer, keras.layers.InputLayer) else step
        last[made] = step
        size[made] = 4 * math.prod(_known(layer))
    return max(
        sum(size[buffer] for buffer in size if first[buffer] <= step <= last[buffer]) for step in range(len(layers))
    )


def weight_bytes(model: keras.Model) -> tuple[int, int]:
    """Bytes of the weights that a device needs, as float32 and as int8.

    A normalisation that alone reads a convolution or a Dense layer is folded into it; any other leaves a scale and
    a shift. Convolutions and Dense layers have a bias each, which a LiteRT file stores even where it is zero; recurrent
    layers have those they have. int8 has one byte a weight, those of embeddings too, and four (an int32) a bias; the
    scales that go with them, a few bytes a channel, and the graph itself are not in it.
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
        elif isinstance(layer, keras.layers.Embedding):
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


def _layer_macs(layer: keras.layers.Layer) -> int:
    if cells := _cells(layer):
        steps = inputs(layer)[0].shape[1]
        if steps is None:
            raise ZooError(f"the number of steps of {layer.name} is open; build the model with a fixed input_shape")
        return steps * sum(math.prod(cell.kernel.shape) + math.prod(cell.recurrent_kernel.shape) for cell in cells)
    if isinstance(layer, keras.layers.Dot):
        first = layer.input[0].shape
        axis = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
        return math.prod(_known(layer)) * first[axis]
    inner = layer
    while isinstance(getattr(inner, "layer", None), keras.layers.Layer):
        inner = inner.layer
    if not _has_kernel(inner):
        return 0
    positions = math.prod(_known(layer)) // _channels(inner)
    if isinstance(inner, keras.layers.Conv2DTranspose):
        positions = math.prod(layer.input.shape[1:-1])
    return positions * math.prod(inner.kernel.shape)


def _known(layer: keras.layers.Layer) -> tuple[int, ...]:
    """The output shape of one example."""
    shape = layer.output.shape[1:]
    if None in shape:
        raise ZooError(f"the output size of {layer.name} is open; build the model with a fixed input_shape")
    return shape


def _readers(model: keras.Model) -> Counter[int]:
    """How often each tensor, by its id, is read by a layer."""
    return Counter(id(tensor) for layer in model.layers for tensor in inputs(layer))


def inputs(layer: keras.layers.Layer) -> list[keras.KerasTensor]:
    """What a layer reads, but for masks; nothing for an input layer, whose input is its own output."""
    if isinstance(layer, keras.layers.InputLayer):
        return []
    # Keras computes a mask by operations that are no layers, and hands it on beside what it belongs to.
    return [tensor for tensor in keras.tree.flatten(layer.input) if tensor.dtype != "bool"]
