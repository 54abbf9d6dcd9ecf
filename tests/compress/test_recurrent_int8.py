"""Recurrent layers in int8, dynamic and float16: close to Keras, whatever came before."""

import keras
import numpy as np
import pytest

import compress
from compress import convert, flatbuffer
from compress.recurrent import LSTM, Forms

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


def texts(count=32):
    rng = np.random.default_rng(0)
    x = rng.integers(1, 20, size=(count, STEPS)).astype(np.int32)
    for row in range(count):
        x[row, rng.integers(1, STEPS + 1) :] = 0
    return x


def model_of(*chain, mask=False, tokens=False):
    keras.utils.set_random_seed(3)
    if tokens:
        inputs = keras.Input((STEPS,), dtype="int32", name="tokens")
        x = layers.Embedding(20, 8, mask_zero=True, embeddings_initializer="normal")(inputs)
    else:
        inputs = keras.Input((STEPS, CHANNELS), name="series")
        x = layers.Masking()(inputs) if mask else inputs
    for layer in chain:
        x = layer(x)
    model = keras.Model(inputs, x)
    rng = np.random.default_rng(4)
    for weight in model.weights:
        if weight.name == "bias":
            weight.assign(rng.normal(size=weight.shape) * 0.5)
        elif weight.name == "embeddings":
            weight.assign(rng.normal(size=weight.shape))
    return model


def exported(model, folder, **options):
    """The artifact, and what the file answers."""
    artifact = compress.export(model, folder / "m.tflite", **options)
    assert "CUSTOM" not in artifact.ops and not any(name.startswith("Flex") for name in artifact.ops)
    return artifact, compress.LiteModel(artifact.path)


BODIES = {
    "stacked": lambda kind: (kind(UNITS, return_sequences=True), layers.Dropout(0.1), kind(UNITS)),
    "both directions": lambda kind: (layers.Bidirectional(kind(UNITS, return_sequences=True)),),
}


@pytest.mark.parametrize(
    ("body", "kind", "tokens"),
    [
        ("stacked", layers.LSTM, True),
        ("stacked", layers.GRU, False),
        ("both directions", layers.LSTM, False),
        ("both directions", layers.GRU, True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_int8_is_close(body, kind, tokens, tmp_path):
    model = model_of(*BODIES[body](kind), layers.Dense(4), mask=not tokens, tokens=tokens)
    x = texts() if tokens else series(32, padded=True)
    artifact, lite = exported(model, tmp_path, calibration=[x[:20], x[20:]])
    assert (LSTM in artifact.ops) == (kind is layers.LSTM)
    assert artifact.input.dtype == ("int32" if tokens else "int8") and artifact.output.dtype == "int8"
    assert (artifact.float_tensors == ()) == (kind is layers.LSTM)
    difference = np.abs(lite.predict(x) - model.predict(x, verbose=0))
    assert difference.max() < 5 * artifact.output.scale and difference.mean() < artifact.output.scale


def test_int8_of_a_small_cell_state(tmp_path):
    """Below 1/2 the converter gives the cell state a scale that the runtime's tanh does not know."""
    model = model_of(layers.LSTM(UNITS))
    model.layers[-1].cell.bias.assign(np.zeros(4 * UNITS))
    x = series() * 0.1
    assert np.abs(model.predict(x, verbose=0)).max() < 0.2
    artifact, lite = exported(model, tmp_path, calibration=[x])
    np.testing.assert_allclose(lite.predict(x), model.predict(x, verbose=0), atol=4 * artifact.output.scale)


@pytest.mark.parametrize("quantize", ["int8", "none"])
def test_an_answer_does_not_hang_on_what_came_before(quantize, tmp_path):
    model = model_of(layers.LSTM(40, return_sequences=True))
    x = series(6)
    _, lite = exported(model, tmp_path, quantize=quantize, calibration=[x])
    whole = lite.predict(x)
    np.testing.assert_array_equal(lite.predict(x[::-1])[::-1], whole)
    np.testing.assert_array_equal(np.concatenate([lite.predict(x[row : row + 1]) for row in (3, 1)]), whole[[3, 1]])
    # The interpreter does keep the state: that is what the reset is for.
    lite._keeps_state = False
    assert np.abs(lite.predict(x) - whole).max() > 1e-3


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU], ids=["lstm", "gru"])
@pytest.mark.parametrize(("quantize", "tolerance", "size"), [("dynamic", 0.05, 0.6), ("float16", 5e-3, 0.65)])
def test_light(kind, quantize, tolerance, size, tmp_path):
    model = model_of(kind(64), layers.Dense(4), mask=True)
    x = series(padded=True)
    whole, _ = exported(model, tmp_path, quantize="none")
    artifact, lite = exported(model, tmp_path, quantize=quantize)
    assert artifact.bytes < size * whole.bytes
    assert (LSTM in artifact.ops) == (LSTM in whole.ops and quantize == "float16")
    np.testing.assert_allclose(lite.predict(x), model.predict(x, verbose=0), atol=tolerance)


def test_unrolled_gru_is_integers_throughout():
    model = model_of(layers.GRU(UNITS), layers.Dense(4))
    examples = [{"series": x[np.newaxis]} for x in series()]
    content = convert.post_training(model, examples=examples, integer_only=True)
    inside = flatbuffer.inspect(content)
    assert inside.float_tensors == () and "WHILE" not in inside.ops
    content = convert.to_float(model, Forms(unroll=True))
    assert "WHILE" not in flatbuffer.operators(content)


def test_a_quantization_aware_model_has_a_loop_of_floats(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((STEPS, CHANNELS), name="series")
    x = layers.ReLU()(layers.Conv1D(8, 3, padding="same")(inputs))
    model = keras.Model(inputs, layers.Dense(4)(layers.LSTM(UNITS)(x)))
    x = series()
    small = compress.quantize_aware(model, calibration=[x])
    artifact, lite = exported(small, tmp_path)
    assert (
        artifact.ops["WHILE"] == 1
        and artifact.float_tensors
        and artifact.input.dtype == artifact.output.dtype == "int8"
    )
    np.testing.assert_allclose(lite.predict(x), small.predict(x, verbose=0), atol=3 * artifact.output.scale)
