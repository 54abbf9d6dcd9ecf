"""TFMOT's defects: each is shown on the tf_keras twin, and then that the same model of ours does not have it."""

import keras
import numpy as np
import pytest

import compress
from compress import flatbuffer, tfmot
from compress.ranges import Range

layers = keras.layers


@pytest.fixture(autouse=True)
def same_weights():
    keras.utils.set_random_seed(0)


def wrapper(twin, name):
    return twin.get_layer(f"quant_{name}")


def weight_ranges(twin, name):
    """The upper ends that TFMOT trains for the weights of a layer."""
    return [each for each in wrapper(twin, name).weights if each.name.endswith("kernel_max:0")]


def values_in_a_channel(kernel):
    """How many distinct values the channels of a kernel `(…, channels)` have, at most."""
    return max(len(np.unique(column)) for column in np.reshape(kernel, (-1, kernel.shape[-1])).T)


def conv_net(*, fused):
    inputs = keras.Input((4, 4, 64))
    x = layers.Conv2D(2, 3, activation="relu" if fused else None, name="conv")(inputs)
    x = x if fused else layers.ReLU()(x)
    return keras.Model(inputs, x)


def test_a_convolution_with_a_relu_of_its_own_has_rounded_weights(rng):
    x = rng.normal(size=(8, 4, 4, 64)).astype(np.float32)
    for fused in (True, False):
        model = conv_net(fused=fused)
        # Fused, TFMOT has a range for the weights; with a ReLU that is a layer, it has none.
        assert len(weight_ranges(tfmot.quantize_aware(model), "conv")) == fused
    ours = compress.quantize_aware(model, calibration=[x])
    assert "conv" in compress.report(ours).quantized
    seen = np.asarray(ours.get_layer("conv").seen()["kernel"])
    assert values_in_a_channel(seen) <= 255 < values_in_a_channel(model.get_layer("conv").get_weights()[0])


@pytest.mark.parametrize("normed", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_depthwise_has_all_its_integers_in_every_channel(normed, rng, tmp_path):
    inputs = keras.Input((6, 6, 4))
    x = layers.DepthwiseConv2D(3, use_bias=not normed, name="depthwise")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x)) if normed else x
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    kernel = model.get_layer("depthwise").kernel
    kernel.assign(np.asarray(kernel) * np.float32([0.02, 0.1, 1.0, 10.0])[:, None])
    x = rng.normal(size=(64, 6, 6, 4)).astype(np.float32)

    twin = tfmot.quantize_aware(model)
    twin(x, training=True)
    (high,) = weight_ranges(twin, "depthwise")
    assert np.size(high) == 1  # one range trains
    compress.export(twin, tmp_path / "theirs.tflite")
    integers, scales = depthwise_kernel(tmp_path / "theirs.tflite")
    assert scales.shape == (4,)  # a scale for each channel ships
    assert (np.abs(integers).max((0, 1))[:2] <= [1, 2]).all()  # of 127

    ours = compress.quantize_aware(model, calibration=[x])
    compress.export(ours, tmp_path / "ours.tflite")
    integers, scales = depthwise_kernel(tmp_path / "ours.tflite")
    assert np.abs(integers).max((0, 1)).tolist() == [127] * 4
    seen = np.asarray(ours.get_layer("depthwise").seen()["kernel"])[..., 0]
    np.testing.assert_allclose(integers * scales, seen, rtol=1e-5)  # what trains is what ships


def depthwise_kernel(path):
    """Of the depthwise kernel in a file: the integers `(height, width, channels)` and the scales."""
    model = flatbuffer.unpack(path.read_bytes(), origin=str(path))
    graph = model.subgraphs[0]
    (found,) = [each for each in graph.operators if flatbuffer.name_of(model, each) == "DEPTHWISE_CONV_2D"]
    kernel = graph.tensors[found.inputs[1]]
    integers = np.asarray(model.buffers[kernel.buffer].data).view(np.int8).astype(int)
    return integers.reshape(kernel.shape)[0], np.asarray(kernel.quantization.scale)


def test_ranges_of_activations_start_where_the_data_is(rng):
    x = rng.uniform(0, 1, size=(32, 5)).astype(np.float32)
    inputs = keras.Input((5,))
    model = keras.Model(
        inputs, layers.Dense(3, kernel_initializer=keras.initializers.Constant(0.2), name="mean")(inputs)
    )
    answers = model.predict(x, verbose=0)

    twin = tfmot.quantize_aware(model)
    ends = [each for each in wrapper(twin, "mean").weights if "post_activation" in each.name]
    assert [float(end) for end in ends] == [-6, 6]
    for _ in range(300):
        twin(x, training=True)
    assert float(ends[1]) > 4.5  # still, of answers that end below 1

    ours = compress.quantize_aware(model, calibration=[x])
    last = [layer for layer in ours.layers if isinstance(layer, Range)][-1]
    assert float(last.high) == pytest.approx(answers.max(), rel=0.02)
    for _ in range(10):
        ours(x, training=True)
    assert float(last.high) == pytest.approx(answers.max(), rel=0.02)
    errors = [np.abs(np.asarray(each(x, training=False)) - answers).mean() for each in (twin, ours)]
    assert errors[0] > 4 * errors[1]  # what it costs


def test_batch_normalisation_is_folded_while_it_trains(rng):
    inputs = keras.Input((6, 6, 3))
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, use_bias=False, name="conv")(inputs))
    model = keras.Model(inputs, layers.ReLU()(x))
    norm = model.get_layer("norm")
    norm.gamma.assign([1.0, 2.0, 3.0, 4.0])
    norm.moving_mean.assign([0.5, 0.0, -0.5, 1.0])
    x = rng.normal(size=(16, 6, 6, 3)).astype(np.float32)

    twin = tfmot.quantize_aware(model)
    twin(x, training=True)
    assert any("BatchNormalization" in type(getattr(layer, "layer", layer)).__name__ for layer in twin.layers)
    # It trains on the statistics of the batch: not what the file computes.
    assert np.abs(twin(x, training=True) - twin(x, training=False)).max() > 0.5

    ours = compress.quantize_aware(model, calibration=[x])
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in ours._flatten_layers())
    np.testing.assert_allclose(ours(x, training=True), ours(x, training=False), atol=1e-5)
    factor = np.asarray(norm.gamma) / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    seen = np.asarray(ours.get_layer("conv").seen()["kernel"])
    folded = np.asarray(model.get_layer("conv").kernel) * factor
    np.testing.assert_allclose(seen, folded, atol=np.abs(folded).max() / 127 / 2 + 1e-6)
    assert values_in_a_channel(seen) <= 255


def nested(kit):
    inner = kit.Sequential([kit.Input((5,)), kit.layers.Dense(4, activation="relu", name="inner")])
    inputs = kit.Input((5,))
    return kit.Model(inputs, kit.layers.Dense(3, name="outer")(inner(inputs)))


def test_nested_models_are_taken(rng, toolkit):
    import tf_keras

    with pytest.raises(ValueError, match="inside another"):
        toolkit.quantization.keras.quantize_model(nested(tf_keras))
    x = rng.normal(size=(16, 5)).astype(np.float32)
    model = nested(keras)
    ours = compress.quantize_aware(model, calibration=[x])
    assert {name.split("_")[-1] for name in compress.report(ours).quantized} == {"inner", "outer"}
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, atol=0.03 * np.ptp(expected))


def with_a_layer_of_its_own(kit):
    class Own(kit.layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight(shape=(), initializer="ones", name="factor")

        def call(self, x):
            return x * self.factor

    inputs = kit.Input((5,))
    x = kit.layers.Dense(4, name="first")(inputs)
    return kit.Model(inputs, kit.layers.Dense(3, name="last")(Own(name="own")(x)))


def test_a_layer_that_nobody_knows_stays_float_and_is_named(rng, toolkit):
    import tf_keras

    twin = with_a_layer_of_its_own(tf_keras)
    scope = toolkit.quantization.keras.quantize_scope({"Own": type(twin.get_layer("own"))})
    with scope, pytest.raises(RuntimeError, match=r"Layer own:.*is not supported"):
        toolkit.quantization.keras.quantize_model(twin)
    x = rng.normal(size=(16, 5)).astype(np.float32)
    model = with_a_layer_of_its_own(keras)
    ours = compress.quantize_aware(model, calibration=[x])
    report = compress.report(ours)
    assert set(report.quantized) == {"first", "last"}
    assert [name for name, _ in report.float_layers] == ["own"]
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, atol=0.03 * np.ptp(expected))
