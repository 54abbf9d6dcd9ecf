import keras
import numpy as np
import pytest

import compress
from compress.trace import float32, trace

layers = keras.layers


def as_model(graph):
    return keras.Model(graph.inputs, graph.outputs)


def block(channels, name=None):
    inputs = keras.Input((8, 8, channels))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(inputs)
    x = layers.Dropout(0.5, name="drop")(layers.BatchNormalization(name="bn")(x))
    return keras.Model(inputs, layers.ReLU(name="relu")(x), name=name)


def test_nested_and_shared_models_become_one_flat_graph(rng):
    first, second = block(3, "first"), block(4, "second")
    inputs = keras.Input((8, 8, 3))
    x = second(second(first(inputs), training=False))
    x = keras.Sequential([layers.Flatten(), layers.Dense(5, activation="tanh")])(x)
    model = keras.Model(inputs, x)
    graph = trace(model)
    assert not any(isinstance(node.operation, keras.Model) for node in graph.nodes)
    names = [layer.name for layer in as_model(graph).layers]
    assert len(names) == len(set(names)) and {"conv", "second_conv"} <= set(names)
    batch = rng.normal(size=(3, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(as_model(graph)(batch), model(batch), rtol=1e-5, atol=1e-6)


def test_the_users_model_is_left_alone(rng):
    model = block(3)
    weights, nodes = model.get_weights(), [len(layer._inbound_nodes) for layer in model.layers]
    small = compress.quantize_aware(model, calibration=[rng.normal(size=(8, 8, 8, 3))])
    small.compile("sgd", "mse")
    small.fit(rng.normal(size=(8, 8, 8, 3)), rng.normal(size=(8, 8, 8, 4)), verbose=0)
    compress.strip(small)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert nodes == [len(layer._inbound_nodes) for layer in model.layers]


def test_half_precision_becomes_float32(rng):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = block(3)
        copy = float32(model)
        small = compress.quantize_aware(model, calibration=[rng.normal(size=(8, 8, 8, 3))])
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy(before)
    for new in (copy, small):
        assert {layer.compute_dtype for layer in new._flatten_layers()} == {"float32"}
    batch = rng.normal(size=(3, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(copy(batch), model(batch), atol=0.01)
    assert float32(copy) is copy


EXPANDED = {
    "separable": ((8, 8, 3), layers.SeparableConv2D(5, 3, depth_multiplier=2, activation="relu")),
    "conv1d": ((12, 3), layers.Conv1D(5, 3, strides=2, padding="same", activation="relu")),
    "causal": ((12, 3), layers.Conv1D(5, 3, dilation_rate=2, padding="causal")),
    "depthwise1d": ((12, 3), layers.DepthwiseConv1D(3, depth_multiplier=2, use_bias=False)),
    "separable1d": ((12, 3), layers.SeparableConv1D(5, 3, activation="tanh")),
    "grouped1d": ((12, 4), layers.Conv1D(6, 3, groups=2)),
    "rescaling": ((8, 8, 3), layers.Rescaling([1.0, 2.0, 0.5], offset=-1.0)),
    "normalization": ((8, 8, 3), layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 0.25])),
    "dense": ((7,), layers.Dense(5, activation="sigmoid")),
}


@pytest.mark.parametrize("name", EXPANDED)
def test_simpler_equivalents_compute_the_same(name, rng):
    shape, layer = EXPANDED[name]
    inputs = keras.Input(shape)
    model = keras.Model(inputs, type(layer).from_config(layer.get_config())(inputs))
    if name != "normalization":
        model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    graph = trace(model)
    assert layer.name not in [type(node.operation).__name__ for node in graph.nodes] and len(graph.nodes) >= 1
    batch = rng.normal(size=(3, *shape)).astype(np.float32)
    np.testing.assert_allclose(as_model(graph)(batch), model(batch), rtol=1e-4, atol=1e-5)


def test_a_stack_over_series_stays_one_image_between(rng):
    inputs = keras.Input((12, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv1D(4, 3, padding="same")(inputs)))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv1D(4, 3, padding="same")(x)))
    model = keras.Model(inputs, x)
    graph = trace(model)
    assert [type(node.operation).__name__ for node in graph.nodes] == [
        *("Reshape", "Conv2D", "BatchNormalization", "ReLU"),
        *("Conv2D", "BatchNormalization", "ReLU", "Reshape"),
    ]
    batch = rng.normal(size=(3, 12, 3)).astype(np.float32)
    np.testing.assert_allclose(as_model(graph)(batch), model(batch), rtol=1e-5, atol=1e-6)


def test_a_sum_of_three_becomes_sums_of_two(rng):
    inputs = keras.Input((5,))
    terms = [layers.Dense(3)(inputs) for _ in range(3)]
    model = keras.Model(inputs, layers.Add(name="sum")(terms))
    graph = trace(model)
    assert [node.operation.name for node in graph.nodes if isinstance(node.operation, layers.Add)][-1] == "sum"
    assert all(len(node.inputs) <= 2 for node in graph.nodes)
    batch = rng.normal(size=(3, 5)).astype(np.float32)
    np.testing.assert_allclose(as_model(graph)(batch), model(batch), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axis", [-1, 1])
def test_what_a_normalization_was_adapted_to_is_kept_by_all(axis, rng):
    x = rng.normal(3, 5, size=(16, 6, 6, 2)).astype(np.float32)
    inputs = keras.Input((6, 6, 2))
    normalization = layers.Normalization(axis=axis)
    normalization.adapt(x)
    y = layers.Conv2D(8, 3, name="one")(normalization(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.ReLU()(y))))
    expected = model.predict(x, verbose=0)
    for copy, tolerance in (
        (compress.prune_channels(model, 1.0), 1e-5),
        (compress.strip(compress.prune(model, {"one": 0.01, "*": 0.0})), 0.02),
        (compress.quantize_aware(model, calibration=[x]), 0.05),
    ):
        assert np.abs(copy.predict(x, verbose=0) - expected).max() <= tolerance * np.ptp(expected)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, inputs):
        return self.dense(inputs)


@pytest.mark.parametrize("make", [Subclassed, lambda: keras.Sequential([layers.Dense(2)])])
def test_a_model_without_a_graph_is_refused(make):
    with pytest.raises(compress.CompressError, match="subclassed or not built"):
        trace(make())
