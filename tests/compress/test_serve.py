"""Layers written otherwise in the file compute what Keras's do: layer normalisation, and attention around it."""

import keras
import numpy as np
import pytest

import compress

layers = keras.layers


def encoder(x, width=16):
    """A block of a Transformer, normalised before each part."""
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, width // 2)(y, y)])
    y = layers.Dense(2 * width, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(x))
    return layers.Add()([x, layers.Dense(width)(y)])


def varied(model):
    """Weights none of which is as it begins."""
    rng = np.random.default_rng(5)
    model.set_weights([w + 0.3 * rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def series(count=40):
    return np.random.default_rng(6).normal(size=(count, 10, 4)).astype(np.float32)


def transformer():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((10, 4), name="series")
    x = encoder(encoder(layers.Dense(16)(inputs)))
    return varied(keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x)))))


@pytest.mark.parametrize(
    "layer",
    [
        layers.LayerNormalization(),
        layers.LayerNormalization(axis=2, center=False, epsilon=0.1),
        layers.LayerNormalization(scale=False),
        layers.LayerNormalization(axis=1),
        layers.LayerNormalization(axis=(1, 2)),
    ],
    ids=["plain", "no offset", "no scale", "over steps", "over all"],
)
def test_normalisation_is_exact(layer, tmp_path):
    inputs = keras.Input((10, 4), name="series")
    model = varied(keras.Model(inputs, layers.LSTM(3)(layer(layers.Masking()(inputs)))))
    x = series()
    x[:, 7:] = 0
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none")
    np.testing.assert_allclose(compress.LiteModel(artifact.path).predict(x), model.predict(x, verbose=0), atol=1e-5)


def test_a_transformer_is_exact_in_float_and_integers_throughout_in_int8(tmp_path):
    model, x = transformer(), series(200)
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none")
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(compress.LiteModel(artifact.path).predict(x), expected, atol=1e-4)
    artifact = compress.export(model, tmp_path / "m.tflite", calibration=[x[:100]])
    assert artifact.float_tensors == () and "NEG" not in artifact.ops
    seen = compress.verify(artifact, model, [(x, expected.argmax(axis=1))])
    assert seen.agreement > 0.95 and seen.mean_difference < 0.05 * np.ptp(expected)


@pytest.mark.parametrize("causal", [True, False])
def test_attention_with_masks_is_exact_and_int8_sees_no_infinity(causal, tmp_path):
    """Keras gives logits that are not seen the lowest of all floats: the range of a tensor, if int8 has to hold it."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((10, 4), name="series")
    x = inputs if causal else layers.Masking()(inputs)
    y, weights = layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=causal, return_attention_scores=True)
    model = varied(keras.Model(inputs, layers.Concatenate()([layers.Flatten()(y), layers.Flatten()(weights)])))
    x = series(200)
    x[:, 7:] = 0
    expected = model.predict(x, verbose=0)
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none")
    np.testing.assert_allclose(compress.LiteModel(artifact.path).predict(x), expected, atol=1e-5)
    artifact = compress.export(model, tmp_path / "m.tflite", calibration=[x[:100]])
    assert artifact.float_tensors == ()
    difference = np.abs(compress.LiteModel(artifact.path).predict(x) - expected)
    assert difference.mean() < 0.01 * np.ptp(expected)


def test_a_mask_goes_on_behind_attention_as_keras_hands_it(tmp_path):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((10, 4), name="series")
    x = layers.Masking()(inputs)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(x, x)])
    model = varied(keras.Model(inputs, layers.LSTM(3)(x)))
    x = series()
    x[:, 7:] = 0
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none")
    np.testing.assert_allclose(compress.LiteModel(artifact.path).predict(x), model.predict(x, verbose=0), atol=1e-5)


def test_two_inputs_tokens_both(tmp_path):
    """As Word2Vec and a translator have them, in a list; and as a step of a language model has them, in a dict."""
    keras.utils.set_random_seed(0)
    words, near = keras.Input((1,), dtype="int32", name="words"), keras.Input((6,), dtype="int32", name="candidates")
    x = layers.Flatten()(layers.Embedding(20, 8)(words))
    answers = layers.Dot(axes=(2, 1))([layers.Embedding(20, 8)(near), x])
    rng = np.random.default_rng(0)
    pair = [rng.integers(0, 20, size=(40, 1)), rng.integers(0, 20, size=(40, 6))]
    named = {"words": pair[0], "candidates": pair[1]}
    for inputs, batch in (([words, near], pair), ({"words": words, "candidates": near}, named)):
        model = varied(keras.Model(inputs, answers))
        expected = model.predict(batch, verbose=0)
        for quantize, tolerance in (("none", 1e-5), ("int8", 0.1)):
            artifact = compress.export(model, tmp_path / "m.tflite", quantize=quantize, calibration=[batch])
            lite = compress.LiteModel(artifact.path)
            np.testing.assert_allclose(lite.run(named)[lite.output.name], expected, atol=tolerance)
            seen = compress.verify(artifact, model, [(batch, expected.argmax(axis=1))])
            assert seen.samples == 40 and seen.max_difference <= tolerance
    with pytest.raises(compress.CompressError, match="got words"):
        lite.run({"words": pair[0]})
    with pytest.raises(compress.CompressError, match="has the inputs"):
        compress.export(model, tmp_path / "m.tflite", calibration=[pair[0]])


def test_a_forecast_has_no_agreement(tmp_path):
    model = transformer()
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none")
    x = series(8)
    y = model.predict(x, verbose=0)
    seen = compress.verify(artifact, model, [(x, y)], measure=lambda a, b: -float(np.abs(a - b).mean()), classes=False)
    assert seen.agreement is None and seen.drop == pytest.approx(0, abs=1e-4)
