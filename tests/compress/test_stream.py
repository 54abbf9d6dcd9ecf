"""Streaming: a series in pieces, its states handed on, has the answer that it has whole."""

import keras
import numpy as np
import pytest

import compress
from compress import flatbuffer

layers = keras.layers
STEPS, CHANNELS = 12, 3


def model_of(*chain, tokens=False, mask=False):
    keras.utils.set_random_seed(2)
    inputs = keras.Input((STEPS,), dtype="int32", name="tokens") if tokens else keras.Input((STEPS, CHANNELS), name="x")
    x = layers.Masking()(inputs) if mask else inputs
    for layer in chain:
        x = layer(x)
    model = keras.Model(inputs, x)
    for weight in model.weights:
        if weight.name == "bias":
            weight.assign(np.random.default_rng(0).normal(size=weight.shape) * 0.5)
    return model


def series(count=5):
    return np.random.default_rng(1).normal(size=(count, STEPS, CHANNELS)).astype(np.float32)


def inner(units=8):
    return keras.Sequential([keras.Input((STEPS, CHANNELS)), layers.GRU(units, return_sequences=True, name="inner")])


CHAINS = {
    "stacked": (
        *(layers.Dense(6, activation="relu"), layers.LSTM(8, return_sequences=True, name="first")),
        *(layers.BatchNormalization(), layers.Dropout(0.2), layers.GRU(7, name="second"), layers.Dense(4)),
    ),
    "each step": (inner(), layers.LayerNormalization(), layers.LSTM(8, return_sequences=True), layers.Dense(3)),
    "cells": (layers.RNN([layers.LSTMCell(5), layers.GRUCell(6)]), layers.Dense(2)),
}


@pytest.mark.parametrize(("quantize", "tolerance"), [("none", 1e-5), ("int8", 0.03)])
@pytest.mark.parametrize("name", CHAINS)
def test_pieces_answer_as_the_whole(name, quantize, tolerance, tmp_path):
    model, x = model_of(*CHAINS[name]), series()
    artifact = compress.export(model, tmp_path / "m.tflite", quantize=quantize, calibration=[x], stream_steps=2)
    whole = model.predict(x, verbose=0)
    stream = compress.LiteStream(artifact.path)
    assert stream.steps == 2
    for example, expected in zip(x, whole, strict=True):
        stream.reset()
        pieces = [stream.feed(example[start:end]) for start, end in ((0, 2), (2, 8), (8, 12))]
        answer = np.concatenate(pieces) if expected.ndim == 2 else pieces[-1]
        np.testing.assert_allclose(answer, expected, atol=tolerance)
    # And the file's own model still answers for whole series.
    np.testing.assert_allclose(compress.LiteModel(artifact.path).predict(x), whole, atol=tolerance)


def test_tokens_one_by_one_and_the_answer_so_far(tmp_path):
    model = model_of(layers.Embedding(20, 8, mask_zero=True), layers.LSTM(8), layers.Dense(4), tokens=True)
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none", stream_steps=1)
    stream = compress.LiteStream(artifact.path)
    text = np.array([3, 7, 19, 2, 5], np.int32)
    for count in range(1, len(text) + 1):
        padded = np.zeros((1, STEPS), np.int32)
        padded[0, :count] = text[:count]
        expected = model.predict(padded, verbose=0)[0]
        np.testing.assert_allclose(stream.feed(text[count - 1 : count]), expected, atol=1e-5)
    # A step of padding changes nothing.
    np.testing.assert_allclose(stream.feed(np.zeros(1, np.int32)), expected, atol=1e-5)


def test_the_model_of_a_piece(tmp_path):
    model = model_of(*CHAINS["stacked"])
    piece = compress.streaming(model, steps=3)
    states = {"first_state0": 8, "first_state1": 8, "second_state0": 7}
    assert {name: tensor.shape[1:] for name, tensor in piece.input.items()} == {
        "x": (3, CHANNELS),
        **{name: (units,) for name, units in states.items()},
    }
    assert set(piece.output) == {"output", *states}
    x = series(2)
    after = {name: np.zeros((2, units), np.float32) for name, units in states.items()}
    for start in range(0, STEPS, 3):
        after = piece.predict_on_batch({"x": x[:, start : start + 3], **after})
        answer = after.pop("output")
    np.testing.assert_allclose(answer, model.predict(x, verbose=0), atol=1e-5)


def test_another_model_in_the_same_file(tmp_path):
    model = model_of(layers.Flatten(), layers.Dense(40, name="big"))
    other = keras.Model(model.inputs, {"floor": layers.ReLU()(model.outputs[0])})
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none", signatures={"other": other})
    alone = compress.export(model, tmp_path / "alone.tflite", quantize="none")
    assert artifact.bytes < 1.5 * alone.bytes  # the weights lie in it once
    x = series()
    main, floor = (compress.LiteModel(artifact.path, signature=name) for name in (None, "other"))
    np.testing.assert_allclose(floor.run({"x": x})["floor"], np.maximum(main.predict(x), 0), rtol=1e-5)
    np.testing.assert_array_equal(main.predict(x), compress.LiteModel(alone.path).predict(x))
    with pytest.raises(compress.CompressError, match="no signature 'third'; it has serve, other"):
        flatbuffer.inspect(artifact.path.read_bytes(), signature="third")
    with pytest.raises(compress.CompressError, match="'serve' is the model's own"):
        compress.export(model, tmp_path / "m.tflite", quantize="none", signatures={"serve": other})


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ((layers.Bidirectional(layers.LSTM(4), name="both"),), "'both' .* reads backwards"),
        ((layers.GRU(4, go_backwards=True, name="back"),), "'back' .* reads backwards"),
        ((layers.Conv1D(4, 3, name="conv"), layers.LSTM(4)), "'conv' .* sees several steps at once"),
        (
            (layers.LSTM(4, return_sequences=True), layers.GlobalAveragePooling1D(name="pool")),
            "'pool' .* several steps",
        ),
        ((layers.BatchNormalization(axis=1, name="norm"), layers.LSTM(4)), "'norm' .* several steps"),
        ((layers.Flatten(), layers.Dense(3)), "'flatten.*several steps"),
        ((layers.Dense(3),), "no recurrent layer"),
    ],
)
def test_what_cannot_stream_is_named(chain, message, tmp_path):
    with pytest.raises(compress.CompressError, match=message):
        compress.export(model_of(*chain), tmp_path / "m.tflite", quantize="none", stream_steps=1)
    assert not list(tmp_path.iterdir())


def test_other_mistakes(tmp_path):
    model = model_of(layers.LSTM(4))
    with pytest.raises(compress.CompressError, match="at least one step"):
        compress.streaming(model, steps=0)
    path = compress.export(model, tmp_path / "m.tflite", quantize="none", stream_steps=2).path
    with pytest.raises(compress.CompressError, match=r"a multiple of 2 steps of shape \(3,\); got \(3, 3\)"):
        compress.LiteStream(path).feed(series()[0, :3])
    path = compress.export(model, tmp_path / "m.tflite", quantize="none").path
    with pytest.raises(compress.CompressError, match="no signature 'stream'"):
        compress.LiteStream(path)
