"""Models that are written as a class: traced where their call() is a fixed graph, refused with a reason where not."""

import keras
import numpy as np
import pytest

import compress
from compress.functional import functional

layers = keras.layers


class Net(keras.Model):
    """Convolutions, normalisation, a shortcut, dropout; the mode is passed on."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.stem, self.norm = (
            layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem"),
            layers.BatchNormalization(momentum=0.9),
        )
        self.body = [layers.Conv2D(8, 3, padding="same", activation="relu", name=f"body{i}") for i in range(2)]
        self.pool, self.drop = layers.GlobalAveragePooling2D(), layers.Dropout(0.1)
        self.head = layers.Dense(10, name="head")

    def call(self, images, training=None):
        x = first = keras.ops.relu(self.norm(self.stem(images), training=training))
        for conv in self.body:
            x = conv(x)
        return self.head(self.drop(self.pool(x + first), training=training))


class Two(keras.Model):
    """Takes two arguments."""

    def __init__(self):
        super().__init__()
        self.one, self.other = layers.Dense(4, name="one"), layers.Dense(4, name="other")

    def call(self, left, right):
        return self.one(left) * self.other(right)


class Scaled(keras.Model):
    """Has a weight of its own."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(4,), initializer="ones", name="scale")

    def call(self, x):
        return x * self.scale


class Chosen(keras.Model):
    """Goes another way for other numbers."""

    def __init__(self):
        super().__init__()
        self.one, self.other = layers.Dense(4), layers.Dense(4)

    def call(self, x):
        return self.one(x) if keras.ops.mean(x) > 100.0 else self.other(x)


class Modal(Chosen):
    """Does otherwise in training."""

    def call(self, x, training=None):
        return self.one(x) if training else self.one(keras.ops.relu(x))


class Unheard(Chosen):
    """Drops nothing, whatever the mode."""

    drop = layers.Dropout(0.5)

    def call(self, x, training=None):
        return self.drop(self.one(x), training=False)


LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture(scope="module")
def net(digits):
    keras.utils.set_random_seed(0)
    model = Net(name="net")
    model.compile(keras.optimizers.Adam(1e-2), LOSS, metrics=["accuracy"])
    model.fit(digits[0], digits[1], batch_size=64, epochs=10, verbose=0)
    return model


def test_a_class_becomes_the_same_model(net, digits):
    same = functional(net)
    assert same.name == "net" and same.inputs[0].name == "images" and same.inputs[0].shape == (None, 8, 8, 1)
    np.testing.assert_allclose(same.predict(digits[2], verbose=0), net.predict(digits[2], verbose=0), atol=1e-5)
    assert same(digits[2][:64], training=True).numpy().tolist() != same(digits[2][:64]).numpy().tolist()


def test_a_class_trains_with_rounding_and_ships(net, digits, tmp_path):
    x, y, test, truth = digits
    small = compress.quantize_aware(net, calibration=[x[:256]])
    small.compile(keras.optimizers.Adam(1e-3), LOSS, metrics=["accuracy"])
    small.fit(x, y, batch_size=64, epochs=1, verbose=0)
    artifact = compress.export(small, tmp_path / "m.tflite")
    assert artifact.float_tensors == () and artifact.input.dtype == artifact.output.dtype == "int8"
    seen = compress.verify(artifact, small, [(test, truth)])
    assert seen.agreement > 0.99
    assert seen.lite_score > compress.verify(artifact, net, [(test, truth)]).keras_score - 0.03 > 0.8


def test_a_class_in_all_rooms(net, digits, tmp_path):
    x, _, test, truth = digits
    assert {layer.name: layer.share for layer in compress.sparsity(compress.prune(net, 0.5)).layers}["body1"] == 0.5
    few = compress.strip(compress.cluster(net, 4)).get_layer("body0").kernel
    assert len(np.unique(few)) <= 4
    plan = compress.plan_channels(net, 0.6, round_to=1)
    half = compress.cut_channels(net, plan)
    assert plan.macs[1] <= 0.6 * plan.macs[0] and half.count_params() < net.count_params()
    assert list(compress.sensitivity(net, calibration=[x[:64]], activations=False).options()) == [
        "stem",
        "body0",
        "body1",
        "head",
    ]
    assert compress.preflight(net, trial=False) == ()
    artifact = compress.export(net, tmp_path / "m.tflite", calibration=[x[:128]])
    assert compress.verify(artifact, net, [(test, truth)]).agreement > 0.97


def test_a_class_within_a_model(net, digits):
    inputs = keras.Input((8, 8, 1))
    outer = keras.Model(inputs, layers.Softmax()(net(inputs)))
    assert compress.report(outer).quantized == ("stem", "body0", "body1", "head")
    assert len(compress.sparsity(compress.prune(outer, 0.5)).layers) == 4
    small = compress.quantize_aware(outer, calibration=[digits[0][:64]])
    expected = outer.predict(digits[2], verbose=0)
    assert (small.predict(digits[2], verbose=0).argmax(-1) == expected.argmax(-1)).mean() > 0.95


def test_a_class_within_a_model_has_a_form_for_each_layer(net, digits, tmp_path):
    inputs = keras.Input((8, 8, 1))
    outer = keras.Model(inputs, layers.Softmax()(net(inputs)))
    forms = {"head": "none", "*": "int8"}
    artifact = compress.export(outer, tmp_path / "m.tflite", quantize=forms, calibration=[digits[0][:64]])
    assert artifact.input.dtype == artifact.output.dtype == "int8" and artifact.float_tensors  # the head alone
    assert compress.verify(artifact, outer, [(digits[2], digits[3])]).agreement > 0.95


def test_tokens_are_called_on_an_input(rng):
    class Words(keras.Model):
        def __init__(self):
            super().__init__()
            self.table, self.pool = layers.Embedding(9, 4), layers.GlobalAveragePooling1D()

        def call(self, tokens):
            return self.pool(self.table(tokens))

    model, x = Words(), rng.integers(0, 9, (8, 5))
    expected = model(x)
    with pytest.raises(compress.CompressError, match=r"reads tokens.*; give keras\.Model"):
        compress.quantize_aware(model, calibration=[x])
    tokens = keras.Input((5,), dtype="int32")
    small = compress.quantize_aware(keras.Model(tokens, model(tokens)), calibration=[x])
    assert small.inputs[0].dtype == "int32"
    np.testing.assert_allclose(small.predict(x, verbose=0), expected, atol=0.01)


def test_several_arguments_are_called_on_inputs(rng):
    x = [rng.normal(size=(8, 3)).astype(np.float32) for _ in range(2)]
    model = Two()
    model(*x)
    with pytest.raises(compress.CompressError, match=r"takes several arguments; give keras\.Model\(x, model\(x\)\)"):
        compress.quantize_aware(model, calibration=[x])
    inputs = [keras.Input((3,)), keras.Input((3,))]
    outer = keras.Model(inputs, model(*inputs))
    small = compress.quantize_aware(outer, calibration=[x])
    assert compress.report(outer).quantized == ("one", "other")
    np.testing.assert_allclose(small.predict(x, verbose=0), outer.predict(x, verbose=0), atol=0.1)


REFUSED = {
    Scaled: "'scaled' has no graph of layers: it has weights or a loss of its own.*write it as a Functional",
    Chosen: "looks at the numbers",
    Modal: "does otherwise in training",
    Unheard: "does otherwise in training",
}


@pytest.mark.filterwarnings("ignore:`build")  # Keras, too, cannot call them all on symbolic tensors
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_fixed_graph_is_refused_with_the_reason(kind, rng):
    x = rng.normal(size=(8, 4)).astype(np.float32)
    model = kind()
    for compress_it in (
        lambda model: compress.quantize_aware(model, calibration=[x]),
        compress.prune,
        compress.cluster,
        compress.prune_channels,
    ):
        with pytest.raises(compress.CompressError, match=r"subclassed or not built; give keras\.Model"):
            compress_it(model)
    model(x)
    for compress_it in (lambda model: compress.quantize_aware(model, calibration=[x]), compress.prune):
        with pytest.raises(compress.CompressError, match=REFUSED[kind]):
            compress_it(model)


@pytest.mark.filterwarnings("ignore:`build")
def test_one_that_is_only_said_to_be_built_is_refused():
    model = Net()
    model.build((None, 8, 8, 1))
    with pytest.raises(compress.CompressError, match="its layer 'stem' has no weights"):
        compress.prune(model)
