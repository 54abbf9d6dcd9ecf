"""Kernels of 4 bits, from training to the file."""

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema

import compress
from compress import flatbuffer
from compress.ranges import FakeQuantWeights

layers = keras.layers


def net():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((9, 9, 5))
    x = layers.Conv2D(7, 3, use_bias=False, name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Conv2D(9, 1, strides=2, activation="relu", name="second")(x)
    return keras.Model(inputs, layers.Dense(4, name="head")(layers.Flatten()(x)))


def kernels(path):
    """Type and stored bytes of each kernel in a file, in the order of its operators."""
    model = flatbuffer.unpack(path.read_bytes(), origin="the file")
    graph = model.subgraphs[0]
    tensors = [graph.tensors[operator.inputs[1]] for operator in graph.operators if operator.builtinOptions is not None]
    return [(tensor.type, tuple(tensor.shape), len(model.buffers[tensor.buffer].data)) for tensor in tensors]


def test_four_bits_by_hand():
    kernel = np.array([[0.7, 0.07], [-0.31, 0.031], [0.049, -0.05]], np.float32)
    seen = FakeQuantWeights(4)({"kernel": kernel})["kernel"]
    np.testing.assert_allclose(seen, [[0.7, 0.07], [-0.3, 0.03], [0.0, -0.05]], atol=1e-6)


def test_the_file_has_two_weights_a_byte_and_agrees(rng, tmp_path):
    x = rng.normal(size=(48, 9, 9, 5)).astype(np.float32)
    small = compress.quantize_aware(net(), calibration=[x], bits={"head": 8, "*": 4})
    artifact = compress.export(small, tmp_path / "m.tflite")
    assert artifact.float_tensors == ()
    int4, int8 = schema.TensorType.INT4, schema.TensorType.INT8
    assert [(kind, size) for kind, _, size in kernels(artifact.path) if size] == [
        (int4, -(-7 * 45 // 2)),  # odd: the last nibble is empty
        (int4, -(-7 * 9 // 2)),
        (int4, -(-7 * 9 // 2)),
        (int8, 4 * 9 * 16),
    ]
    answers = compress.LiteModel(artifact.path).predict(x)
    assert np.abs(answers - small.predict(x, verbose=0)).max() <= 3 * artifact.output.scale


def test_eight_bits_stay_bytes(rng, tmp_path):
    x = rng.normal(size=(8, 9, 9, 5)).astype(np.float32)
    artifact = compress.export(compress.quantize_aware(net(), calibration=[x]), tmp_path / "m.tflite")
    assert all(kind == schema.TensorType.INT8 for kind, _, size in kernels(artifact.path) if size)
