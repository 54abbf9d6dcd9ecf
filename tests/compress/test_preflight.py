"""What will not export is named before training, and what exports is not."""

import keras
import numpy as np
import pytest

import compress

layers = keras.layers


def model_of(*chain, shape=(12, 3), dtype="float32"):
    inputs = keras.Input(shape, dtype=dtype, name="x")
    x = inputs
    for layer in chain:
        x = layer(x)
    return keras.Model(inputs, x, name="network")


def told(model, **options):
    """`(severity, layer)` of each finding."""
    return [(each.severity, each.layer) for each in compress.preflight(model, **options)]


@keras.saving.register_keras_serializable(package="edgezoo_tests")
class Inverse(layers.Layer):
    """An operation that LiteRT has not."""

    def call(self, inputs):
        return keras.ops.erfinv(inputs * 0.01)


@keras.saving.register_keras_serializable(package="edgezoo_tests")
class Wave(layers.Layer):
    """An operation that LiteRT has in float alone."""

    def call(self, inputs):
        return keras.ops.cos(inputs)


def test_a_model_that_exports_whole_has_no_findings(tmp_path):
    model = model_of(layers.Conv1D(4, 3), layers.LSTM(8), layers.Dense(2))
    weights = model.get_weights()
    assert compress.preflight(model) == ()
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
    x = np.random.default_rng(0).normal(size=(8, 12, 3))
    assert compress.export(model, tmp_path / "m.tflite", calibration=[x]).float_tensors == ()


def test_an_operator_that_is_not_there_is_found_with_its_layer(tmp_path):
    model = model_of(layers.Dense(4), Inverse(name="inverse"), layers.Dense(2))
    (found,) = compress.preflight(model, quantize="none")
    assert (found.layer, found.severity) == ("inverse", "refused") and "Erfinv" in found.problem
    with pytest.raises(compress.CompressError, match="Erfinv"):
        compress.export(model, tmp_path / "m.tflite", quantize="none")


def test_a_float_island_is_found_with_its_layer(tmp_path):
    model = model_of(layers.Dense(4), Wave(name="wave"), layers.Dense(2))
    (found,) = compress.preflight(model)
    assert (found.layer, found.severity) == ("wave", "float") and "COS" in found.problem
    assert told(model, target="integer") == [("refused", "wave")]
    assert told(model, quantize="dynamic") == []
    assert told(model, trial=False) == []
    x = np.random.default_rng(0).normal(size=(8, 12, 3))
    assert compress.export(model, tmp_path / "m.tflite", calibration=[x]).float_tensors


def test_a_loop_is_found_and_written_out_it_is_integers(tmp_path):
    model = model_of(layers.Bidirectional(layers.GRU(4, name="gru"), name="both"), layers.Dense(2))
    assert sorted(told(model)) == [("float", "backward_gru"), ("float", "forward_gru")]
    assert told(model, target="integer") == []
    rng = np.random.default_rng(0)
    model.set_weights([w + 0.1 * rng.normal(size=w.shape) for w in model.get_weights()])
    x = rng.normal(size=(8, 12, 3))
    artifact = compress.export(model, tmp_path / "m.tflite", calibration=[x], target="integer")
    assert artifact.float_tensors == () and "WHILE" not in artifact.ops
    long = model_of(layers.GRU(4, name="long"), shape=(100, 3))
    assert told(long, target="integer", trial=False) == [("slow", "long")]


@pytest.mark.parametrize(
    ("model", "options", "expected", "words"),
    [
        (model_of(layers.LSTM(4), shape=(None, 3)), {}, ("refused", "x"), "fixed sizes"),
        (model_of(layers.LSTM(4, activation="relu", name="bent")), {}, ("float", "bent"), "no activation 'relu'"),
        (model_of(layers.RNN(layers.GRUCell(4), name="own")), {}, ("float", "own"), "RNN has no operator"),
        (model_of(layers.ConvLSTM1D(2, 3, name="video"), shape=(4, 8, 2)), {}, ("float", "video"), "all of it"),
        (model_of(layers.Masking(-1.0, name="mask"), layers.LSTM(4)), {}, ("refused", "mask"), "pad with zeros"),
    ],
    ids=lambda value: value.layers[-1].name if isinstance(value, keras.Model) else "",
)
def test_rules(model, options, expected, words):
    (found,) = compress.preflight(model, trial=False, **options)
    assert (found.severity, found.layer) == expected and words in f"{found.problem} {found.advice}"


def test_stateful_and_attention_and_no_graph():
    inputs = keras.Input(batch_shape=(1, 6, 3))
    assert told(keras.Model(inputs, layers.LSTM(2, stateful=True, name="memory")(inputs))) == [("refused", "memory")]
    inputs = keras.Input((6, 4))
    attention = layers.MultiHeadAttention(2, 2, name="look")
    model = keras.Model(inputs, attention(inputs, inputs))
    assert told(model) == [("slow", "look")] and told(model, quantize="dynamic") == []

    class Plain(keras.Model):
        def call(self, x):
            return x

    assert [severity for severity, _ in told(Plain())] == ["refused"]


def test_another_mask_than_zeros_is_refused_in_int8(tmp_path):
    model = model_of(layers.Masking(-1.0, name="mask"), layers.LSTM(4))
    x = np.random.default_rng(0).normal(size=(8, 12, 3))
    with pytest.raises(compress.CompressError, match="'mask' masks steps of"):
        compress.export(model, tmp_path / "m.tflite", calibration=[x])
    x[:, 5:] = -1.0
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none")
    np.testing.assert_allclose(compress.LiteModel(artifact.path).predict(x), model.predict(x, verbose=0), atol=1e-5)
    assert compress.preflight(model_of(layers.Masking(), layers.LSTM(4))) == ()


def test_tokens_are_tried_with_tokens_that_there_are():
    model = model_of(layers.Embedding(7, 4, mask_zero=True), layers.LSTM(4), layers.Dense(2), shape=(9,), dtype="int32")
    assert compress.preflight(model) == ()


def test_a_loop_over_masked_tokens_is_found():
    chain = layers.Embedding(7, 4, mask_zero=True), layers.GRU(4, name="loop"), layers.Dense(2)
    model = model_of(*chain, shape=(9,), dtype="int32")
    assert told(model, trial=False) == [("float", "loop")]
    assert told(model, trial=False, target="integer") == []
