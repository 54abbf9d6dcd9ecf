"""Layers that are looked into, and those that must not be."""

import keras
import numpy as np
import pytest

import compress

layers = keras.layers
register = keras.saving.register_keras_serializable(package="edgezoo_tests")


@register
class Tied(layers.Layer):
    """Reads the table of a layer inside, outside of that layer's call."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table = layers.Dense(5, use_bias=False, name="table")

    def call(self, inputs):
        return keras.ops.matmul(self.table(inputs), keras.ops.transpose(self.table.kernel))


@register
class DropPath(layers.Layer):
    """Does nothing in training."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.Dense(4, name="inner")

    def call(self, inputs, training=None):
        return inputs if training else inputs + self.inner(inputs)


@register
class Noise(layers.Layer):
    """Draws numbers where it has a graph alone."""

    def call(self, inputs):
        return inputs + keras.random.normal((1, 4))


@register
class Block(layers.Layer):
    """Composed of two layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.one, self.two = layers.Dense(4, name="one"), layers.Dense(4, name="two")

    def call(self, inputs):
        return self.two(keras.ops.relu(self.one(inputs)))


def net(make, shape=(4,)):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    return keras.Model(inputs, layers.Dense(2, name="last")(make(inputs)))


@pytest.fixture
def x(rng):
    return rng.normal(size=(16, 4)).astype(np.float32)


@pytest.mark.parametrize("kind", [Tied, DropPath, Noise])
def test_what_a_graph_does_not_tell_stays_float(kind, x):
    model = net(kind(name="own"))
    assert [name for name, _ in compress.report(model).float_layers] == ["own"]
    small = compress.quantize_aware(model, calibration=[x])
    assert len(small.trainable_variables) == len(model.trainable_variables)


def test_a_frozen_block_stays_frozen(x):
    model = net(Block(name="block"))
    assert len(compress.quantize_aware(model, calibration=[x]).trainable_variables) == 6
    model.get_layer("block").trainable = False
    assert len(compress.quantize_aware(model, calibration=[x]).trainable_variables) == 2


@pytest.mark.parametrize("shape", [(6, 6), (1, 6, 6), (1, 1, 6, 6)])
def test_attention_takes_masks_of_every_rank(shape, rng):
    mask = np.tril(np.ones(shape, bool))
    model = net(lambda x: layers.MultiHeadAttention(6, 2)(query=x, value=x, attention_mask=mask), (6, 4))
    x = rng.normal(size=(8, 6, 4)).astype(np.float32)
    small = compress.quantize_aware(model, calibration=[x])
    expected = model.predict(x, verbose=0)
    assert np.abs(small.predict(x, verbose=0) - expected).max() < 0.1 * np.ptp(expected)


def test_both_directions_are_rounded_whatever_the_names(rng):
    model = net(lambda x: layers.Bidirectional(layers.LSTM(3, name="lstm"), name="lstm")(x), (5, 4))
    small = compress.quantize_aware(model, calibration=[rng.normal(size=(8, 5, 4)).astype(np.float32)])
    wrapper = small.get_layer("lstm")
    assert len(wrapper.transforms) == 4
    assert len(wrapper.seen()) == len(wrapper.layer.variables)


def test_padding_with_a_number_has_a_range_of_its_own(x, tmp_path):
    model = net(lambda x: keras.ops.pad(layers.Dense(4)(x), ((0, 0), (1, 1)), constant_values=50.0))
    small = compress.quantize_aware(model, calibration=[x])
    artifact = compress.export(small, tmp_path / "m.tflite")
    expected = model.predict(x, verbose=0)
    assert np.abs(compress.LiteModel(artifact.path).predict(x) - expected).max() < 0.05 * np.abs(expected).max()


def test_stripping_a_pruned_model_leaves_the_others_alone():
    model = net(lambda x: layers.Conv1D(3, 2)(layers.LayerNormalization()(x)), (6, 4))
    plain = compress.strip(compress.prune(model, 0.5, layers=["last"]))
    assert [type(layer) for layer in plain.layers] == [type(layer) for layer in model.layers]


def test_a_quantization_aware_model_inside_another_is_known(x, tmp_path):
    inner = compress.quantize_aware(net(layers.Dense(4)), calibration=[x])
    inputs = keras.Input((4,))
    outer = keras.Model(inputs, layers.Softmax()(inner(inputs)))
    with pytest.raises(compress.CompressError, match="already"):
        compress.quantize_aware(outer, calibration=[x])
    artifact = compress.export(outer, tmp_path / "m.tflite")
    assert np.abs(compress.LiteModel(artifact.path).predict(x) - outer.predict(x, verbose=0)).max() < 0.02


@register
class Sparing(Block):
    """Adds a loss: of what it answers, or of its weights."""

    def __init__(self, of="answer", **kwargs):
        super().__init__(**kwargs)
        self.of = of

    def call(self, inputs):
        answer = super().call(inputs)
        self.add_loss(keras.ops.sum(keras.ops.square(answer if self.of == "answer" else self.one.kernel)))
        return answer

    def get_config(self):
        return {**super().get_config(), "of": self.of}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sparing("answer", name="own"),
        lambda: Sparing("weights", name="own"),
        lambda: Block(activity_regularizer="l2", name="own"),
    ],
)
def test_a_layer_with_a_loss_of_its_own_stays_float_and_keeps_it(make, x):
    model = net(lambda inputs: make()(inputs))
    assert [name for name, _ in compress.report(model).float_layers] == ["own"]
    small = compress.quantize_aware(model, calibration=[x])
    model(x), small(x)
    assert len(small.losses) == 1
    np.testing.assert_allclose(small.losses[0], model.losses[0], rtol=0.02)
