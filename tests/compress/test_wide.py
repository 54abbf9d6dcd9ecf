"""Quantization-aware training with activations of 16 bits."""

import keras
import numpy as np
import pytest

import compress
from compress.ranges import Range

layers = keras.layers


def small_net():
    """A sigmoid, a concatenation and a product with a constant, of which the converter makes nothing of 16 bits."""
    inputs = keras.Input((6, 6, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)))
    y = layers.Conv2D(4, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Concatenate()([layers.Multiply()([x, y]), layers.AveragePooling2D(3, 1, padding="same")(x)])
    x = layers.DepthwiseConv2D(3, strides=2)(x * 0.5)
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(layers.Flatten()(x)))


@pytest.fixture
def batch(rng):
    return rng.normal(size=(32, 6, 6, 3)).astype(np.float32)


def test_ranges_are_symmetric_and_without_a_zero_point():
    rounded = Range(-0.5, 2.0, bits=16)(np.array([0.0, 1.0, 2.0, 9.0, -2.0, -9.0, 3e-5, 1e-4], np.float32))
    step = 2.0 / 32767
    expected = [0.0, round(1.0 / step) * step, 2.0, 2.0, -2.0, -2.0, 0.0, 2 * step]
    np.testing.assert_allclose(rounded, expected, atol=1e-7)


def test_the_file_has_the_trained_ranges_and_weights(batch, tmp_path):
    small = compress.quantize_aware(small_net(), calibration=[batch], activations=16)
    for layer in small.layers:
        if isinstance(layer, Range) and layer.momentum < 1:
            layer.high.assign(3.0 * layer.high)  # as training would: no calibration could find these again
    artifact = compress.export(small, tmp_path / "m.tflite", quantize="int16x8")
    first = next(layer for layer in small.layers if isinstance(layer, Range))
    np.testing.assert_allclose(artifact.input.scale, float(first.high) / 32767, rtol=1e-5)
    assert artifact.float_tensors == () and artifact.input.dtype == artifact.output.dtype == "int16"
    assert artifact.input.zero_point == 0 and artifact.output.scale == 1 / 32768
    difference = np.abs(compress.LiteModel(artifact.path).predict(batch) - small.predict(batch, verbose=0))
    assert difference.max() <= 4.01 / 32768  # so the rounded weights are the file's, too: theirs are 256 times coarser


@pytest.mark.slow
def test_finer_activations_answer_closer_to_the_float_model(batch):
    model = small_net()
    wanted = model.predict(batch, verbose=0)
    plain = {
        bits: compress.quantize_aware(model, calibration=[batch], activations=bits).predict(batch, verbose=0)
        for bits in (8, 16)
    }
    kernels_alone = compress.strip(compress.quantize_aware(model, calibration=[batch])).predict(batch, verbose=0)
    assert np.abs(plain[16] - kernels_alone).max() < np.abs(plain[8] - kernels_alone).max() / 10
    assert np.abs(plain[16] - wanted).max() > 0


@pytest.mark.slow
def test_trained_on_digits_the_file_agrees(trained, digits, tmp_path):
    x, y, test_x, test_y = digits
    small = compress.quantize_aware(trained.float, calibration=[x[:256]], activations=16)
    small.compile(keras.optimizers.Adam(1e-3), trained.float.loss)
    small.fit(x, y, batch_size=64, epochs=1, verbose=0)
    path = tmp_path / "m.keras"
    small.save(path)
    loaded = keras.models.load_model(path)
    artifact = compress.export(loaded, tmp_path / "m.tflite", quantize="int16x8")
    seen = compress.verify(artifact, small, [(test_x, test_y)])
    assert artifact.float_tensors == () and seen.agreement >= 0.998 and seen.lite_score > 0.9
    assert seen.max_difference < 0.01


def test_several_inputs_have_each_their_range(rng, tmp_path):
    left, right = keras.Input((4,), name="zebra"), keras.Input((4,), name="ant")
    model = keras.Model([left, right], layers.Dense(3)(layers.Add()([layers.Dense(4)(left), right])))
    x = [rng.uniform(-1, 1, (32, 4)).astype(np.float32), rng.uniform(-50, 50, (32, 4)).astype(np.float32)]
    small = compress.quantize_aware(model, calibration=[x], activations=16)
    lite = compress.LiteModel(compress.export(small, tmp_path / "m.tflite", quantize="int16x8").path)
    answers = lite.run({"zebra": x[0], "ant": x[1]})[lite.output.name]
    np.testing.assert_allclose(answers, small.predict(x, verbose=0), atol=3 * lite.output.scale)


@pytest.mark.slow
def test_recurrent_layers_stay_loops(rng, tmp_path):
    x = rng.normal(size=(16, 6, 5)).astype(np.float32)
    model = keras.Sequential([keras.Input((6, 5)), layers.GRU(8), layers.Dense(3)])
    small = compress.quantize_aware(model, calibration=[x], activations=16)
    artifact = compress.export(small, tmp_path / "m.tflite", quantize="int16x8")
    assert "WHILE" in artifact.ops and artifact.output.dtype == "int16"
    wanted = small.predict(x, verbose=0)
    assert np.abs(compress.LiteModel(artifact.path).predict(x) - wanted).max() < 0.01 * np.ptp(wanted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activations": 12}, "activations=12 is neither 8 nor 16"),
        ({"activations": 16, "bits": 4}, "kernels have 8 bits there"),
        ({"activations": 16, "ranges": "mse"}, "takes? another"),
        ({"activations": 16, "engine": "tfmot"}, "TFMOT has nothing for .*activations="),
    ],
)
def test_mistakes_are_refused(batch, options, message):
    with pytest.raises(compress.CompressError, match=message):
        compress.quantize_aware(small_net(), **{"calibration": [batch], **options})


@pytest.mark.parametrize(("activations", "trained", "asked"), [(16, "int16x8", "int8"), (8, "int8", "int16x8")])
def test_ranges_trained_for_other_integers_are_not_passed_over(batch, activations, trained, asked, tmp_path):
    small = compress.quantize_aware(small_net(), calibration=[batch], activations=activations)
    with pytest.raises(compress.CompressError, match=f"was trained for quantize='{trained}', not '{asked}'"):
        compress.export(small, tmp_path / "m.tflite", quantize=asked, calibration=[batch])
    artifact = compress.export(compress.strip(small), tmp_path / "m.tflite", quantize=asked, calibration=[batch])
    assert artifact.input.dtype == ("int8" if asked == "int8" else "int16")


def test_layers_that_change_images_in_training_do_nothing_in_the_file(rng, tmp_path):
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3)(layers.RandomRotation(0.2)(layers.RandomFlip()(inputs)))
    model = keras.Model(inputs, layers.Dense(3, name="head")(layers.Flatten()(x)))
    images = rng.normal(size=(32, 6, 6, 3)).astype(np.float32)
    small = compress.quantize_aware(model, calibration=[images], activations=16)
    wide = compress.export(small, tmp_path / "wide.tflite", quantize="int16x8")
    parts = compress.export(
        model, tmp_path / "parts.tflite", quantize={"head": "none", "*": "int8"}, calibration=[images]
    )
    for artifact, source, most in ((wide, small, 1e-3), (parts, model, 0.05)):
        assert artifact.ops["CONV_2D"] == artifact.ops["FULLY_CONNECTED"] == 1
        wanted = source.predict(images, verbose=0)
        apart = np.abs(compress.LiteModel(artifact.path).predict(images) - wanted).max()
        assert apart < most * np.ptp(wanted)
