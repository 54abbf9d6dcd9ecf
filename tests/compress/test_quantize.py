import keras
import numpy as np
import pytest

import compress
from compress.ranges import Range
from compress.wrapper import Compressed

layers = keras.layers


def small_net():
    inputs = keras.Input((6, 6, 3))
    x = layers.ReLU()(layers.Conv2D(4, 3, padding="same", name="plain")(inputs))
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization(name="norm")(x))
    return keras.Model(inputs, layers.Dense(5, name="dense")(layers.Flatten()(x)))


@pytest.fixture
def batch(rng):
    return rng.normal(size=(32, 6, 6, 3)).astype(np.float32)


def on_grid(kernel, axes):
    """Whether a kernel lies on 127 steps either side, per channel over all but `axes`."""
    high = np.abs(kernel).max(axis=axes, keepdims=True)
    steps = kernel / np.maximum(high, 1e-9) * 127
    return np.allclose(steps, np.rint(steps), atol=1e-2)


def test_every_kernel_is_rounded_the_one_before_a_separate_relu_too(batch):
    model = small_net()
    small = compress.quantize_aware(model, calibration=[batch])
    assert not on_grid(model.get_layer("plain").get_weights()[0], (0, 1, 2))
    for name, axes in (("plain", (0, 1, 2)), ("depthwise", (0, 1)), ("dense", (0, 1))):
        assert on_grid(np.array(small.get_layer(name).seen()["kernel"]), axes), name
    assert compress.report(small) == compress.Report(("plain", "depthwise", "dense"), ())


def test_ranges_start_from_calibration_whatever_its_batches(batch):
    one = compress.quantize_aware(small_net(), calibration=[batch])
    first = next(layer for layer in one.layers if isinstance(layer, Range))
    np.testing.assert_allclose([first.low, first.high], [batch.min(), batch.max()], rtol=1e-6)
    model = small_net()
    whole, parts = (
        compress.quantize_aware(model, calibration=batches)
        for batches in ([batch], (batch[i : i + 5] for i in range(0, 32, 5)))
    )
    for a, b in zip(whole.non_trainable_variables, parts.non_trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_predicts_like_the_float_model_up_to_rounding(batch):
    model = small_net()
    small = compress.quantize_aware(model, calibration=[batch])
    expected, got = model.predict(batch, verbose=0), small.predict(batch, verbose=0)
    assert 0 < np.abs(expected - got).max() < 0.03 * np.ptp(expected)


def test_inference_changes_nothing(batch):
    small = compress.quantize_aware(small_net(), calibration=[batch])
    before = small.get_weights()
    small.compile("sgd", "mse")
    small.evaluate(100 * batch, np.zeros((32, 5)), verbose=0)
    for old, new in zip(before, small.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_training_moves_the_ranges_but_not_a_frozen_layer(batch):
    model = small_net()
    model.get_layer("plain").trainable = False
    small = compress.quantize_aware(model, calibration=[batch])
    ends = [np.array(layer.high) for layer in small.layers if isinstance(layer, Range)]
    frozen, free = (small.get_layer(name).layer.get_weights()[0] for name in ("plain", "dense"))
    small.compile("adam", "mse")
    small.fit(3 * batch, np.ones((32, 5)), verbose=0)
    moved = [np.array(layer.high) for layer in small.layers if isinstance(layer, Range)]
    assert all(a != b for a, b in zip(ends, moved, strict=True))
    np.testing.assert_array_equal(frozen, small.get_layer("plain").layer.get_weights()[0])
    assert np.any(free != small.get_layer("dense").layer.get_weights()[0])


def test_saves_and_loads_with_zero_difference_and_trains_on(batch, tmp_path):
    small = compress.quantize_aware(small_net(), calibration=[batch])
    small.compile("adam", "mse")
    small.fit(batch, np.ones((32, 5)), verbose=0)
    small.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(batch, verbose=0), small.predict(batch, verbose=0))
    for model in (small, again):
        model.fit(batch, np.ones((32, 5)), shuffle=False, verbose=0)
    np.testing.assert_allclose(again.predict(batch, verbose=0), small.predict(batch, verbose=0), rtol=1e-5, atol=1e-6)


def test_strip_gives_a_plain_model_with_norms_folded(batch, tmp_path):
    model = small_net()
    model.get_layer("norm").set_weights([np.linspace(0.5, 1.5, 4) for _ in range(4)])
    small = compress.quantize_aware(model, calibration=[batch])
    plain = compress.strip(small)
    assert all(type(layer).__module__.startswith("keras.") for layer in plain.layers)
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in plain.layers)
    assert plain.get_layer("depthwise").use_bias
    np.testing.assert_array_equal(
        plain.get_layer("depthwise").get_weights()[0], np.array(small.get_layer("depthwise").seen()["kernel"])
    )
    expected = small.predict(batch, verbose=0)
    np.testing.assert_allclose(plain.predict(batch, verbose=0), expected, atol=0.02 * np.ptp(expected))
    np.testing.assert_allclose(
        plain.predict(batch, verbose=0), model.predict(batch, verbose=0), atol=0.02 * np.ptp(expected)
    )


def test_a_lone_norm_becomes_one_scale_and_offset(batch, rng):
    inputs = keras.Input((6, 6, 3))
    norm = layers.BatchNormalization(name="norm")
    x = norm(layers.Add()([inputs, inputs]))
    model = keras.Model(inputs, layers.ReLU()(x))
    norm.set_weights([rng.uniform(0.5, 1.5, 3) for _ in range(4)])
    small = compress.quantize_aware(model, calibration=[batch])
    wrapper = small.get_layer("norm")
    assert isinstance(wrapper, Compressed)
    gamma, beta, mean, variance = norm.get_weights()
    scale = gamma / np.sqrt(variance + norm.epsilon)
    seen = wrapper.seen()
    np.testing.assert_allclose(np.ravel(seen["kernel"]), scale, rtol=1e-5)
    np.testing.assert_allclose(seen["bias"], beta - mean * scale, rtol=1e-4, atol=1e-6)
    assert {v.name for v in small.trainable_variables} == {"gamma", "beta"}
    assert np.abs(model.predict(batch, verbose=0) - small.predict(batch, verbose=0)).max() < 0.1


@keras.saving.register_keras_serializable(package="edgezoo_tests")
class Sine(layers.Layer):
    """A layer that no quantizer knows: it has a weight of its own."""

    def build(self, input_shape):
        self.frequency = self.add_weight(shape=(), initializer="ones", name="frequency")

    def call(self, inputs):
        return keras.ops.sin(inputs * self.frequency)


@keras.saving.register_keras_serializable(package="edgezoo_tests")
class Gated(layers.Layer):
    """A layer composed of others, one of them called twice."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.project = layers.Conv2D(4, 1, padding="same", name="project")

    def call(self, inputs):
        x = self.project(inputs)
        return self.project(x * keras.ops.sigmoid(x))


def test_a_layer_composed_of_others_is_quantized_as_those(batch, tmp_path):
    inputs = keras.Input((6, 6, 3))
    x = Gated(name="gated")(layers.Conv2D(4, 3, name="first")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="last")(layers.Flatten()(x)))
    small = compress.quantize_aware(model, calibration=[batch])
    assert compress.report(small) == compress.Report(("first", "gated_project", "last"), ())
    assert len(small.trainable_variables) == len(model.trainable_variables)
    artifact = compress.export(small, tmp_path / "m.tflite")
    assert artifact.float_tensors == ()
    ours, theirs = small.predict(batch, verbose=0), compress.LiteModel(artifact.path).predict(batch)
    assert np.abs(ours - theirs).max() <= 2 * artifact.output.scale
    assert np.abs(ours - model.predict(batch, verbose=0)).max() < 0.1 * np.ptp(ours)


def test_an_unknown_layer_stays_float_and_is_named(batch):
    inputs = keras.Input((6, 6, 3))
    x = Sine(name="sine")(layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, layers.Conv2D(2, 3, name="last")(x))
    small = compress.quantize_aware(model, calibration=[batch])
    for each in (model, small):
        assert compress.report(each).float_layers == (("sine", "Sine has no known integer form"),)
        assert "last" in compress.report(each).quantized
    outer = keras.Sequential([keras.Input((6, 6, 3)), model])
    assert compress.report(outer) == compress.report(model)


REFUSED = {
    "no batches": ([], "calibration is empty"),
    "labels": ([(np.zeros((2, 6, 6, 3)), np.zeros(2))], "without labels"),
    "another size": ([np.zeros((2, 5, 6, 3))], r"got \(2, 5, 6, 3\)"),
    "no batch axis": ([np.zeros((6, 6, 3))], r"got \(6, 6, 3\); the first axis counts"),
    "nan": ([np.full((2, 6, 6, 3), np.nan)], "NaN or infinite"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_calibration_is_refused(name):
    batches, message = REFUSED[name]
    with pytest.raises(compress.CompressError, match=message):
        compress.quantize_aware(small_net(), calibration=batches)


def test_other_mistakes_are_refused(batch):
    with pytest.raises(compress.CompressError, match="bits=5 is neither 8 nor 4"):
        compress.quantize_aware(small_net(), calibration=[batch], bits=5)
    with pytest.raises(compress.CompressError, match="'hed' matches no layer of weights; there are dense, depthwise"):
        compress.quantize_aware(small_net(), calibration=[batch], bits={"hed": 4})
    small = compress.quantize_aware(small_net(), calibration=[batch])
    with pytest.raises(compress.CompressError, match="already"):
        compress.quantize_aware(small, calibration=[batch])


def test_all_zero_calibration_still_gives_finite_answers():
    small = compress.quantize_aware(small_net(), calibration=[np.zeros((2, 6, 6, 3))])
    assert np.isfinite(small.predict(np.ones((2, 6, 6, 3)), verbose=0)).all()


def test_a_frozen_model_stays_frozen_and_opens_again(batch):
    """As a teacher is after `distill`: its copy must not have layers that nobody can reach."""
    model = small_net()
    model.trainable = False
    small = compress.quantize_aware(model, calibration=[batch])
    pruned = compress.prune(model, 0.5)
    assert not small.trainable_variables + pruned.trainable_variables
    for opened in (model, small, pruned):
        opened.trainable = True
    assert len(small.trainable_variables) == len(pruned.trainable_variables) == len(model.trainable_variables) == 8


def test_a_frozen_layer_opens_with_its_wrapper(batch):
    model = small_net()
    model.get_layer("dense").trainable = False
    for small in (compress.quantize_aware(model, calibration=[batch]), compress.prune(model, 0.5)):
        assert len(small.trainable_variables) == 6
        small.get_layer("dense").trainable = True
        assert len(small.trainable_variables) == 8


def test_a_percentile_reaches_the_ranges(batch):
    def high(**options):
        return float(compress.quantize_aware(small_net(), calibration=[batch], **options).layers[1].high)

    assert high(ranges="percentile", percentile=50.0) == pytest.approx(np.quantile(batch, 0.75), abs=0.02)
    for options, message in (({"percentile": 50.0}, "goes with ranges"), ({"percentile": 100.0}, "between 0 and 100")):
        with pytest.raises(compress.CompressError, match=message):
            high(**options)
