import keras
import numpy as np
import pytest

import compress
from compress.flatbuffer import Port
from compress.lite import dequantize, quantize

layers = keras.layers


def test_quantize_by_hand():
    port = Port("x", "int8", (1, 6), 0.5, -10)
    stored = quantize(np.array([0.0, 0.5, 0.74, -1.0, 1000.0, -1000.0], np.float32), port)
    assert stored.dtype == np.int8
    np.testing.assert_array_equal(stored, [-10, -9, -9, -12, 127, -128])
    np.testing.assert_array_equal(dequantize(stored, port), [0.0, 0.5, 0.5, -1.0, 68.5, -59.0])


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    model = keras.Sequential([keras.Input((4, 4, 2)), layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(5)])
    x = np.random.default_rng(0).normal(size=(16, 4, 4, 2)).astype(np.float32)
    small = compress.quantize_aware(model, calibration=[x])
    folder = tmp_path_factory.mktemp("files")
    compress.export(small, folder / "int8.tflite")
    compress.export(model, folder / "float.tflite", quantize="none")
    return folder, model, small, x


def test_predict_takes_and_gives_real_values_whatever_the_file_stores(pair):
    folder, model, small, x = pair
    exact = compress.LiteModel(folder / "float.tflite").predict(x)
    rounded = compress.LiteModel(folder / "int8.tflite").predict(x)
    assert exact.dtype == rounded.dtype == np.float32 and exact.shape == rounded.shape == (16, 5)
    np.testing.assert_allclose(exact, model.predict(x, verbose=0), atol=1e-5)
    lite = compress.LiteModel(folder / "int8.tflite")
    np.testing.assert_allclose(rounded, small.predict(x, verbose=0), atol=1.01 * lite.output.scale)


def test_predict_raw_is_what_predict_wraps(pair):
    folder, *_, x = pair
    lite = compress.LiteModel(folder / "int8.tflite")
    raw = lite.predict_raw(quantize(x, lite.input))
    assert raw.dtype == np.int8
    np.testing.assert_array_equal(dequantize(raw, lite.output), lite.predict(x))


def test_what_it_says_of_itself(pair):
    folder, *_ = pair
    lite = compress.LiteModel(str(folder / "int8.tflite"))
    assert lite.input_shape == (1, 4, 4, 2) and lite.classes == () and lite.metadata is None


def test_other_shapes_and_types_are_refused(pair):
    folder, *_, x = pair
    lite = compress.LiteModel(folder / "int8.tflite")
    with pytest.raises(compress.CompressError, match=r"int8 \(batch, 4, 4, 2\); got int8 \(16, 4, 4, 1\)"):
        lite.predict(x[..., :1])
    with pytest.raises(compress.CompressError, match="got float32"):
        lite.predict_raw(x)
    assert lite.predict(x[:0]).shape == (0, 5)
