"""Recurrent layers in the forms that LiteRT runs: the fused LSTM operator, a loop, or steps written out.

Keras's LSTM becomes a WHILE loop of a dozen operators. LiteRT has one operator for the whole layer,
UNIDIRECTIONAL_SEQUENCE_LSTM, which the converter puts in place of a function that is marked as an LSTM of Keras 2
(TensorFlow, `prepare_composite_functions_tf.cc`): six arguments, five results, of which only the sequence may be read.
It knows neither masks nor a backward direction. Here both are a matter of order: the steps that count are gathered in
the order in which the layer reads them, the layer runs over them all, and its outputs are gathered back.
"""

import uuid
from dataclasses import dataclass
from typing import Any

import keras

from compress.errors import CompressError

LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
"""LiteRT's name of the fused operator."""


@dataclass(frozen=True)
class Forms:
    """How recurrent layers are written.

    Attributes:
        fuse: LSTM as the fused operator, where it has one.
        unroll: the other layers step by step instead of as a loop.
    """

    fuse: bool = True
    unroll: bool = False


def is_recurrent(operation: Any) -> bool:
    """Whether it reads a series `(steps, channels)`, in one direction; ConvLSTM reads images."""
    convolutions = (keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D)
    return isinstance(operation, keras.layers.RNN) and not isinstance(operation, convolutions)


def fusable(layer: Any) -> bool:
    """Whether LiteRT's fused operator computes what this layer computes."""
    return (
        type(layer) is keras.layers.LSTM
        and layer.activation is keras.activations.tanh
        and layer.recurrent_activation is keras.activations.sigmoid
        and not (layer.return_state or layer.stateful)
    )


def recur(layer: Any, forms: Forms, x: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
    """What a recurrent or bidirectional layer gives for `x`, one example of shape `(1, steps, channels)`."""
    mask = getattr(x, "_keras_mask", None) if mask is None else mask
    if layer.stateful:
        raise CompressError(
            f"layer {layer.name!r} is stateful, and a file keeps no state for it; build it with stateful=False and "
            "export with stream_steps= to carry the state from call to call"
        )
    bidirectional = isinstance(layer, keras.layers.Bidirectional)
    if layer.return_state or initial_state is not None:
        if not bidirectional:
            layer = _plain(layer, forms, return_state=layer.return_state, go_backwards=layer.go_backwards)
        return layer(x, initial_state=initial_state, mask=mask, training=False)
    if bidirectional:
        both = [_direction(each, x, mask, forms, in_time=True) for each in (layer.forward_layer, layer.backward_layer)]
        outputs = _merged(both, layer.merge_mode)
    else:
        outputs = _direction(layer, x, mask, forms, in_time=False)
    if mask is not None and layer.return_sequences:
        for tensor in keras.tree.flatten(outputs):
            tensor._keras_mask = mask
    return outputs


def _merged(both: list[Any], mode: str | None) -> Any:
    forward, backward = both
    if mode == "concat":
        return keras.ops.concatenate(both, axis=-1)
    if mode == "sum":
        return forward + backward
    if mode == "ave":
        return (forward + backward) / 2
    return forward * backward if mode == "mul" else tuple(both)


def _direction(layer: Any, x: Any, mask: Any, forms: Forms, *, in_time: bool) -> Any:
    """The outputs of one layer in one direction: the last, or all, in the order of time or as Keras has them."""
    import tensorflow as tf

    backwards, sequences = layer.go_backwards, layer.return_sequences
    if mask is None:
        outputs = _run(layer, _reversed(x) if backwards else x, forms, sequences=sequences)
        return _reversed(outputs) if sequences and backwards and in_time else outputs
    mask = mask[0]
    outputs = _run(layer, tf.gather(x, _order(mask, backwards), axis=1), forms, sequences=True)
    outputs = tf.pad(outputs, [[0, 0], [1, 0], [0, 0]])  # before the first step that counts, Keras gives zeros
    # For each step, how many that count were read by then: the place of its output, which stands until the next.
    place = tf.cumsum(tf.cast(mask, tf.int32), reverse=backwards)
    if layer.zero_output_for_mask:
        place *= tf.cast(mask, tf.int32)
    if not sequences:
        return tf.gather(outputs, place[0 if backwards else -1], axis=1)
    return tf.gather(outputs, place if in_time or not backwards else tf.reverse(place, [0]), axis=1)


def _reversed(x: Any) -> Any:
    """`(1, steps, channels)` from the end; by GATHER, for the converter gets the scales around REVERSE_V2 wrong."""
    import tensorflow as tf

    return tf.gather(x, tf.range(x.shape[1] - 1, -1, -1), axis=1)


def _order(mask: Any, backwards: bool) -> Any:
    """Indices of the steps that count, in the order in which they are read, and of the others behind them."""
    import tensorflow as tf

    steps = mask.shape[0]
    time = tf.range(steps)
    rank = time if backwards else steps - 1 - time
    return tf.math.top_k(tf.where(mask, steps + rank, -time), k=steps).indices


def _run(layer: Any, x: Any, forms: Forms, *, sequences: bool) -> Any:
    """All outputs `(1, steps, units)`, or the last one `(1, units)`, of the layer over `x`, forwards from zero."""
    if forms.fuse and fusable(layer):
        outputs = _fused(layer, x)
        return outputs if sequences else outputs[:, -1]
    return _plain(layer, forms, return_sequences=sequences)(x, training=False)


class Plain(keras.layers.RNN):
    """An RNN without the masks of dropout, which Keras draws from a generator even where it drops nothing."""

    def _maybe_config_dropout_masks(self, *args: Any) -> None:
        pass


def _plain(layer: Any, forms: Forms, **options: Any) -> Plain:
    """A layer for inference over the same cell."""
    options = {
        "return_sequences": layer.return_sequences,
        "zero_output_for_mask": layer.zero_output_for_mask,
        **options,
    }
    return Plain(layer.cell, unroll=forms.unroll, name=layer.name, **options)


def _fused(layer: Any, x: Any) -> Any:
    import tensorflow as tf

    def lstm(inputs: Any, h: Any, c: Any, kernel: Any, recurrent_kernel: Any, bias: Any) -> tuple[Any, ...]:
        """The converter reads the marks and the signature, and puts its operator in place of the rest."""
        steps = inputs.shape[1]

        def step(t: Any, h: Any, c: Any, outputs: Any) -> tuple[Any, ...]:
            gates = tf.gather(inputs, t, axis=1) @ kernel + h @ recurrent_kernel + bias
            i, f, g, o = tf.split(gates, 4, axis=1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            return t + 1, h, c, outputs.write(t, h)

        start = (0, h, c, tf.TensorArray(inputs.dtype, steps, element_shape=h.shape))
        _, h, c, outputs = tf.while_loop(lambda t, *_: t < steps, step, start)
        return h, tf.transpose(outputs.stack(), [1, 0, 2]), h, c, tf.constant(0.0)

    marks = {
        "api_implements": f"lstm_{uuid.uuid4()}",
        "api_preferred_device": "CPU",
        "time_major": False,
        "go_backwards": False,
    }
    # The operator's state begins at zero whatever is given. Zeros given, however, the converter takes for the zeros
    # that another layer begins with, and that one would begin with the state that the LSTM ends with.
    cell, start = layer.cell, tf.fill((1, layer.units), 1e-30)
    bias = tf.zeros(4 * layer.units) if cell.bias is None else cell.bias
    tensors = map(tf.convert_to_tensor, (x, start, start, cell.kernel, cell.recurrent_kernel, bias))
    return tf.function(lstm, autograph=False, experimental_attributes=marks)(*tensors)[1]
