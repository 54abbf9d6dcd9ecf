"""Recurrent layers in quantization-aware training."""

import keras
import numpy as np
import pytest

import compress

layers = keras.layers
LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"

NETS = {
    "lstm": lambda x: layers.LSTM(6, name="recurrent")(x),
    "masked": lambda x: layers.LSTM(6, name="recurrent")(layers.Masking()(x)),
    "bidirectional": lambda x: layers.Bidirectional(layers.LSTM(6, name="recurrent"))(x),
    "gru": lambda x: layers.GRU(6)(x),
}


def series(rng):
    x = rng.normal(size=(32, 12, 4)).astype(np.float32)
    for example, length in zip(x, np.arange(32) % 8 + 5, strict=True):
        example[length:] = 0
    return x


def net(name):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 4))
    return keras.Model(inputs, layers.Dense(3)(NETS[name](inputs)))


@pytest.mark.parametrize("name", NETS)
def test_trains_saves_and_exports(name, rng, tmp_path):
    x, model = series(rng), net(name)
    small = compress.quantize_aware(model, calibration=[x])
    assert compress.report(small).float_layers == ()
    small.compile("adam", "mse")
    small.fit(x, model.predict(x, verbose=0), epochs=1, verbose=0)
    small.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    answers = small.predict(x, verbose=0)
    np.testing.assert_array_equal(again.predict(x, verbose=0), answers)
    artifact = compress.export(small, tmp_path / "m.tflite", calibration=[x])
    assert (LSTM in artifact.ops and artifact.float_tensors == ()) or "WHILE" in artifact.ops
    difference = np.abs(compress.LiteModel(artifact.path).predict(x) - answers)
    assert difference.max() <= 5 * artifact.output.scale


def test_without_calibration_the_loops_stay_float(rng, tmp_path):
    x = series(rng)
    small = compress.quantize_aware(net("lstm"), calibration=[x])
    artifact = compress.export(small, tmp_path / "m.tflite")
    assert "WHILE" in artifact.ops
    assert artifact.float_tensors
    difference = np.abs(compress.LiteModel(artifact.path).predict(x) - small.predict(x, verbose=0))
    assert difference.max() <= 1.01 * artifact.output.scale


def test_each_gate_has_a_step_of_its_own(rng):
    small = compress.quantize_aware(net("lstm"), calibration=[series(rng)])
    wrapper = small.get_layer("recurrent")
    kernel = np.array(wrapper.layer.cell.kernel).reshape(4, 4, 6)
    step = np.abs(kernel).max(axis=(0, 2), keepdims=True) / 127
    np.testing.assert_allclose(
        np.array(wrapper.seen()["kernel"]).reshape(4, 4, 6), np.rint(kernel / step) * step, atol=1e-6
    )


def test_a_layer_whose_state_is_given_is_left_as_it_is(rng):
    inputs, state = keras.Input((12, 4)), keras.Input((6,), name="state")
    x = layers.LSTM(6, name="recurrent")(inputs, initial_state=[state, state])
    model = keras.Model([inputs, state], layers.Dense(3)(x))
    batch = [series(rng), rng.normal(size=(32, 6)).astype(np.float32)]
    small = compress.quantize_aware(model, calibration=[batch])
    expected = model.predict(batch, verbose=0)
    assert np.abs(small.predict(batch, verbose=0) - expected).max() < 0.05 * np.ptp(expected)
