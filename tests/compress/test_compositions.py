"""Prune, cluster, quantize: what each promises holds in the integers of the file."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import compress
from compress import flatbuffer

layers = keras.layers


def net():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.SeparableConv2D(16, 3, activation="relu", name="separable")(x)
    x = layers.Reshape((-1, 16))(layers.MaxPooling2D(2)(x))
    x = layers.Conv1D(24, 3, activation="relu", name="series")(x)
    return keras.Model(inputs, layers.Dense(10, name="head")(layers.Flatten()(x)))


def fitted(model, x, y, rate, epochs):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    return model


@pytest.fixture(scope="module")
def dense(digits):
    keras.utils.set_random_seed(0)
    return fitted(net(), *digits[:2], 1e-2, 5)


def kernels(path):
    """The int8 kernels of convolutions and Dense layers in a file, output channels first, by name of the operator."""
    model = flatbuffer.unpack(path.read_bytes(), origin="the file")
    graph, found = model.subgraphs[0], []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        if code in (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED):
            tensor = graph.tensors[operator.inputs[1]]
            data = np.frombuffer(model.buffers[tensor.buffer].data.tobytes(), np.int8).reshape(tensor.shape)
            found.append(data.reshape(len(data), -1))
    return found


def test_sparsity_and_clusters_reach_the_integers_of_the_file(dense, digits, tmp_path):
    x, y, test_x, test_y = digits
    pruned = fitted(compress.prune(dense, 0.5), x, y, 2e-3, 2)
    clustered = fitted(compress.cluster(pruned, 16), x, y, 1e-3, 1)
    small = fitted(compress.quantize_aware(clustered, calibration=[x[:256]]), x, y, 3e-4, 2)
    assert compress.report(small).float_layers == ()
    artifact = compress.export(small, tmp_path / "m.tflite")
    assert artifact.float_tensors == ()
    found = kernels(artifact.path)
    assert [kernel.size for kernel in found] == [72, 128, 1152, 1680]
    for kernel in found:
        assert np.mean(kernel == 0) >= 0.5 - 1 / kernel.size
        assert max(len(np.unique(channel)) for channel in kernel) <= 16
    seen = compress.verify(artifact, small, [(test_x, test_y)])
    assert seen.agreement >= 0.99
    assert seen.lite_score > 0.85


def test_the_order_of_the_file_is_that_of_the_dense_model(dense, digits, tmp_path):
    """The control: without pruning the same kernels hold hardly a zero, and more than 16 values a channel."""
    small = compress.quantize_aware(dense, calibration=[digits[0][:256]])
    found = kernels(compress.export(small, tmp_path / "m.tflite").path)
    assert [kernel.size for kernel in found] == [72, 128, 1152, 1680]
    assert all(np.mean(kernel == 0) < 0.2 for kernel in found)
    assert max(len(np.unique(channel)) for channel in found[-1]) > 16


def test_a_pruned_model_saves_and_loads_behind_fake_quant(dense, digits, tmp_path):
    x = digits[2]
    small = compress.quantize_aware(compress.prune(dense, pattern="2:4"), calibration=[digits[0][:256]])
    small.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), small.predict(x, verbose=0))
    stripped = {layer.name: layer.share for layer in compress.sparsity(compress.strip(again)).layers}
    assert stripped["head"] == stripped["series"] == 0.5


def test_a_pruned_recurrent_model_streams(rng, tmp_path):
    inputs = keras.Input((6, 3))
    x = layers.Dense(4, name="steps")(layers.LSTM(5, return_sequences=True)(inputs))
    model = compress.prune(keras.Model(inputs, layers.LSTM(2)(x)), 0.5)
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none", stream_steps=1)
    series = rng.normal(size=(6, 3)).astype(np.float32)
    stream = compress.LiteStream(artifact.path)
    answers = [stream.feed(step[np.newaxis]) for step in series]
    np.testing.assert_allclose(answers[-1].ravel(), model.predict(series[np.newaxis], verbose=0).ravel(), atol=1e-5)
