"""Pixels of uint8 in, int8 throughout; tokens stay whole numbers."""

import keras
import numpy as np
import pytest

import compress
from compress.pixels import numbers
from compress.trace import trace, with_float_pixels

layers = keras.layers


def pixel_net(begin):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1), dtype="uint8", name="image")
    x = layers.Conv2D(4, 3, use_bias=False)(begin(inputs))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


BEGINNINGS = {
    "rescaling": layers.Rescaling(1 / 255),
    "cast": lambda x: layers.Rescaling(1 / 127.5, -1.0)(keras.ops.cast(x, "float32")),
    "nested": keras.Sequential([keras.Input((8, 8, 1), dtype="uint8"), layers.Rescaling(1 / 255)]),
    "reshaped": lambda x: layers.Rescaling(1 / 255)(layers.Cropping2D(1)(x)),
}


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 256, (48, 8, 8, 1)).astype(np.uint8)


@pytest.mark.parametrize("name", BEGINNINGS)
def test_pixels_are_told_from_tokens(name, pixels):
    model = pixel_net(BEGINNINGS[name])
    assert numbers(trace(model, look_inside=True)) == {"image"} and not compress.report(model).float_layers
    copy = with_float_pixels(model)
    assert copy.inputs[0].dtype == "float32" and model.inputs[0].dtype == "uint8"
    np.testing.assert_allclose(copy(pixels.astype(np.float32)), model(pixels), atol=1e-6)


def test_pixels_are_int8_from_the_input_on(pixels, tmp_path):
    model = pixel_net(BEGINNINGS["reshaped"])
    expected = model.predict(pixels, verbose=0)
    small = compress.quantize_aware(model, calibration=[pixels])
    for source, calibration in ((small, None), (model, [pixels])):
        artifact = compress.export(source, tmp_path / "m.tflite", calibration=calibration)
        assert artifact.float_tensors == () and (artifact.input.dtype, artifact.input.name) == ("int8", "image")
        np.testing.assert_allclose([artifact.input.scale, artifact.input.zero_point], [1.0, -128], atol=0.01)
        seen = compress.verify(artifact, source, [(pixels, expected.argmax(-1))])
        assert seen.max_difference < 0.05 * np.ptp(expected)


def test_pixels_train(pixels):
    small = compress.quantize_aware(pixel_net(layers.Rescaling(1 / 255)), calibration=[pixels])
    small.compile("adam", "mse")
    assert np.isfinite(small.fit(pixels, np.zeros((48, 3)), verbose=0).history["loss"][0])


def test_preflight_finds_no_float_in_pixels():
    assert compress.preflight(pixel_net(layers.Rescaling(1 / 255))) == ()


def test_tokens_are_no_pixels():
    tokens = keras.Input((5,), dtype="uint8", name="tokens")
    x = layers.Flatten()(layers.Embedding(9, 4)(tokens))
    assert numbers(trace(keras.Model(tokens, x))) == set()
    both = layers.Concatenate()([x, layers.Rescaling(0.1, name="scale")(tokens)])
    with pytest.raises(compress.CompressError, match=r"'tokens' of uint8 is computed with by 'scale'.*'embedding"):
        numbers(trace(keras.Model(tokens, both)))
