"""Recurrent layers: the file answers as Keras does, by the fused operator where there is one."""

import itertools

import keras
import numpy as np
import pytest

import compress
from compress.recurrent import LSTM

layers = keras.layers
STEPS, CHANNELS, UNITS = 9, 3, 12


def series(count=24, *, padded=False, seed=0):
    """Random series; padded: of 1 to all steps, zeros behind, some with a step of zeros inside, the last one empty."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, STEPS, CHANNELS)).astype(np.float32)
    if padded:
        for row in range(count):
            x[row, rng.integers(1, STEPS + 1) :] = 0
            if row % 3 == 0:
                x[row, 1] = 0
        x[-1] = 0
    return x


def model_of(*chain, mask=False):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((STEPS, CHANNELS), name="series")
    x = layers.Masking()(inputs) if mask else inputs
    for layer in chain:
        x = layer(x)
    return keras.Model(inputs, x)


def exported(model, folder, **options):
    """The artifact, and what the file answers."""
    artifact = compress.export(model, folder / "m.tflite", **options)
    assert "CUSTOM" not in artifact.ops and not any(name.startswith("Flex") for name in artifact.ops)
    return artifact, compress.LiteModel(artifact.path)


def fan(heads, *, mask=False):
    """A model with an output, by name, for each of several layers that read the same series."""
    trunk = model_of(layers.Identity(), mask=mask)
    model = keras.Model(trunk.inputs[0], {name: layer(trunk.outputs[0]) for name, layer in heads.items()})
    rng = np.random.default_rng(4)
    for weight in model.weights:
        if weight.name == "bias":
            weight.assign(rng.normal(size=weight.shape) * 0.5)
    return model


def directions(kind):
    return {
        "last": kind(UNITS),
        "sequence": kind(UNITS, return_sequences=True),
        "backwards": kind(UNITS, go_backwards=True),
        "sequence_backwards": kind(UNITS, return_sequences=True, go_backwards=True),
        **{mode: layers.Bidirectional(kind(4, return_sequences=True), merge_mode=mode) for mode in ("concat", "ave")},
        **{f"{mode}_last": layers.Bidirectional(kind(4), merge_mode=mode) for mode in ("sum", "mul")},
        "zeros": kind(UNITS, return_sequences=True, zero_output_for_mask=True),
    }


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU], ids=["lstm", "gru"])
@pytest.mark.parametrize("mask", [False, True], ids=["", "masked"])
def test_float_is_exact(kind, mask, tmp_path):
    model = fan(directions(kind), mask=mask)
    artifact, lite = exported(model, tmp_path, quantize="none")
    assert artifact.ops[LSTM if kind is layers.LSTM else "WHILE"] == 5 + 4 * 2
    x = series(padded=mask)
    answers = lite.run({"series": x})
    for name, expected in model.predict(x, verbose=0).items():
        np.testing.assert_allclose(answers[name], expected, atol=1e-5, err_msg=name)


def test_other_layers_in_float_are_exact(tmp_path):
    fused = {
        "dropout": layers.LSTM(UNITS, dropout=0.3, recurrent_dropout=0.3),
        "no_bias": layers.LSTM(UNITS, use_bias=False, unroll=True),
    }
    others = {
        "reset_before": layers.GRU(UNITS, reset_after=False),
        "gru_dropout": layers.GRU(UNITS, dropout=0.3, recurrent_dropout=0.3),
        "relu": layers.LSTM(UNITS, activation="relu"),
        "simple": layers.SimpleRNN(UNITS),
        "cells": layers.RNN([layers.LSTMCell(5), layers.GRUCell(6)]),
    }
    model = fan({**fused, **others}, mask=True)
    artifact, lite = exported(model, tmp_path, quantize="none")
    assert artifact.ops[LSTM] == len(fused) and artifact.ops["WHILE"] == len(others)
    assert "VAR_HANDLE" not in artifact.ops  # Keras's generators of dropout masks
    x = series(padded=True)
    answers = lite.run({"series": x})
    for name, expected in model.predict(x, verbose=0).items():
        np.testing.assert_allclose(answers[name], expected, atol=1e-5, err_msg=name)


def test_a_state_given_and_a_state_returned(tmp_path):
    inputs = keras.Input((STEPS, CHANNELS), name="series")
    y, *states = layers.GRU(UNITS, return_state=True)(inputs)
    z = layers.LSTM(UNITS)(inputs, initial_state=[y, *states])
    model = keras.Model(inputs, z)
    _, lite = exported(model, tmp_path, quantize="none")
    x = series()
    np.testing.assert_allclose(lite.predict(x), model.predict(x, verbose=0), atol=1e-5)


def test_lstm_and_loop_beside_each_other_keep_their_states_apart(tmp_path):
    model = model_of(layers.LSTM(UNITS, return_sequences=True), layers.GRU(UNITS, return_sequences=True))
    nested = keras.Model(model.inputs[0], layers.LSTM(UNITS)(model(model.inputs[0])))
    x = series()
    artifact, lite = exported(nested, tmp_path, quantize="none")
    assert artifact.ops[LSTM] == 2 and artifact.ops["WHILE"] == 1
    np.testing.assert_allclose(lite.predict(x), nested.predict(x, verbose=0), atol=1e-5)
    artifact, lite = exported(nested, tmp_path, calibration=[x])
    assert artifact.ops["WHILE"] == 3 and artifact.input.dtype == artifact.output.dtype == "int8"
    np.testing.assert_allclose(lite.predict(x), nested.predict(x, verbose=0), atol=5 * artifact.output.scale)


@pytest.mark.parametrize(("quantize", "most"), [("none", 1e-5), ("int8", 0.05)])
def test_a_cell_state_may_grow_beyond_ten_and_fall_back(quantize, most, tmp_path):
    inputs = keras.Input((38, 1), name="series")
    model = keras.Model(inputs, layers.LSTM(2, return_sequences=True)(inputs))
    kernel, recurrent, bias = np.zeros((1, 8)), np.full((2, 8), 0.02), np.zeros(8)
    bias[:4] = 9.0  # both gates open
    kernel[0] = [0.1, -0.2, 0.2, 0.1, 0.6, -0.6, 0.3, -0.4]  # so each step adds to the state, or takes off
    model.set_weights([kernel, recurrent, bias])
    x = np.concatenate([np.ones((1, 20, 1)), -np.ones((1, 18, 1))], axis=1).astype(np.float32)
    artifact, lite = exported(model, tmp_path, quantize=quantize, calibration=[x])
    assert artifact.ops[LSTM] == 1
    np.testing.assert_allclose(lite.predict(x), model(x), atol=most)


def test_a_stateful_layer_is_refused(tmp_path):
    inputs = keras.Input(batch_shape=(1, STEPS, CHANNELS))
    model = keras.Model(inputs, layers.LSTM(UNITS, stateful=True, name="memory")(inputs))
    with pytest.raises(compress.CompressError, match="'memory' is stateful"):
        compress.export(model, tmp_path / "m.tflite", quantize="none")


def test_exporting_leaves_the_model_as_it_was(tmp_path):
    model = model_of(layers.Bidirectional(layers.LSTM(UNITS, dropout=0.5)), layers.Dense(2), mask=True)
    before = [(layer.name, len(layer._inbound_nodes)) for layer in model.layers]
    weights = model.get_weights()
    exported(model, tmp_path, quantize="none")
    assert before == [(layer.name, len(layer._inbound_nodes)) for layer in model.layers]
    assert all(itertools.starmap(np.array_equal, zip(weights, model.get_weights(), strict=True)))
