"""The layers of attention against the equations in numpy; what a model looks at; the int8 file."""

import dataclasses

import keras
import numpy as np
import pytest

import compress
import zoo
from zoo.sequence.attention import DotProductAttention, PositionEmbedding, RealSteps, sinusoids

rng = np.random.default_rng(2)


def reference(query, key, value, heads, seen=None):
    """Equation 1 for each head, with minus infinity: what each gathers, and the weights."""
    size = query.shape[-1] // heads
    gathered, weights = [], []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        logits = np.einsum("bqd,bkd->bqk", query[..., part], key[..., part]) / np.sqrt(size)
        if seen is not None:
            logits = np.where(seen, logits, -np.inf)
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        weights.append(shares)
        gathered.append(shares @ value[..., part])
    return np.concatenate(gathered, axis=-1), np.stack(weights, axis=1)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_attention(masked, causal):
    query, key, value = (4 * rng.standard_normal((3, 7, 12)) for _ in range(3))
    real = np.arange(7) < np.array([[7], [4], [1]])
    seen = np.ones((3, 7, 7), bool)
    seen &= real[:, None] if masked else True
    seen &= np.tri(7, dtype=bool) if causal else True
    expected, weights = reference(query, key, value, 3, seen)
    layer = DotProductAttention(3, causal=causal)
    inputs = [x.astype("float32") for x in (query, key, value)]
    given = real if masked else None
    np.testing.assert_allclose(layer(inputs, real=given), expected, atol=1e-5)
    found = np.asarray(layer.attention(*inputs[:2], given))
    np.testing.assert_allclose(found, weights, atol=1e-6)
    assert found[~np.broadcast_to(seen[:, None], found.shape)].max(initial=0.0) < 2e-7


def test_more_keys_than_queries():
    query, key, value = (rng.standard_normal((2, steps, 8)).astype("float32") for steps in (3, 5, 5))
    expected, weights = reference(query, key, value, 2)
    layer = DotProductAttention(2)
    np.testing.assert_allclose(layer([query, key, value]), expected, atol=1e-6)
    assert layer.attention(query, key).shape == weights.shape == (2, 2, 3, 5)


def test_nothing_but_padding_gives_numbers():
    x = rng.standard_normal((1, 4, 8)).astype("float32")
    found = np.asarray(DotProductAttention(2)([x, x, x], real=np.zeros((1, 4), bool)))
    assert np.isfinite(found).all()


def test_dropout_acts_in_training_only():
    x = rng.standard_normal((1, 6, 8)).astype("float32")
    layer = DotProductAttention(2, dropout=0.5)
    plain = np.asarray(DotProductAttention(2)([x, x, x]))
    np.testing.assert_array_equal(layer([x, x, x]), plain)
    assert np.abs(np.asarray(layer([x, x, x], training=True)) - plain).max() > 0.01


def test_sinusoids_by_hand():
    table = sinusoids(60, 4)
    np.testing.assert_allclose(table[0], [0, 1, 0, 1])
    np.testing.assert_allclose(table[1], [0.841471, 0.540302, 0.0099998, 0.99995], atol=1e-6)
    np.testing.assert_allclose(table[50], [-0.262375, 0.964966, 0.479426, 0.877583], atol=1e-6)


@pytest.mark.parametrize("kind", ["learned", "sinusoidal"])
def test_positions_may_begin_anywhere(kind):
    layer = PositionEmbedding(9, kind=kind)
    whole = np.asarray(layer(np.zeros((1, 9, 6), "float32")))[0]
    assert np.abs(np.diff(whole, axis=0)).max() > 0.01
    short = np.asarray(layer(np.ones((2, 3, 6), "float32"), start=np.array([0, 5])))
    np.testing.assert_allclose(short, 1 + np.stack([whole[:3], whole[5:8]]), atol=1e-6)


def test_real_steps():
    np.testing.assert_array_equal(RealSteps()(np.array([[3, 0, 1, 0]])), [[True, False, True, False]])
    series = np.array([[[0.0, 1.0], [0.0, 0.0], [-1.0, 1.0]]])
    np.testing.assert_array_equal(RealSteps()(series), [[True, False, True]])


def test_what_a_model_looks_at(scramble):
    spec = dataclasses.replace(zoo.spec("translator_tiny"), vocabulary=30, width=16, heads=2, hidden=8)
    model = zoo.build(spec, input_shape=(6, 4))
    scramble(model)
    source = np.array([[3, 9, 4, 2, 0, 0]])
    found = zoo.attention(model, [source, np.array([[1, 5, 6, 7]])])
    assert list(found) == [
        "stage1_attention",
        "stage2_attention",
        "stage3_attention",
        "stage3_cross_attention",
        "stage4_attention",
        "stage4_cross_attention",
    ]
    assert found["stage1_attention"].shape == (1, 2, 6, 6)
    assert found["stage3_cross_attention"].shape == (1, 2, 4, 6)
    for name, weights in found.items():
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
        if weights.shape[-1] == 6:
            assert weights[..., 4:].max() < 1e-6, name
        else:
            assert np.triu(weights[0, 0], 1).max() < 1e-6, name


def test_a_model_without_attention_has_none_to_show():
    with pytest.raises(zoo.ZooError, match="gru_small has no layers of attention"):
        zoo.attention(zoo.build("gru_small", input_shape=(5, 2), classes=2), np.zeros((1, 5, 2)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DotProductAttention(0), "heads must be a whole number"),
        (lambda: DotProductAttention(2, dropout=1.0), "dropout must be a number"),
        (lambda: PositionEmbedding(3, kind="other"), "kind must be 'learned' or 'sinusoidal'"),
    ],
)
def test_bad_values(make, message):
    with pytest.raises(zoo.ZooError, match=message):
        make()


def test_padding_spoils_no_int8_file(tmp_path, run):
    """-1e9 for padding would be one end of the range, and all real logits one step."""
    series = keras.Input((8, 6), name="series")
    real = RealSteps()(series)
    parts = [keras.layers.Dense(8, name=part)(series) for part in ("query", "key", "value")]
    model = keras.Model(series, DotProductAttention(2)(parts, real=real))
    for variable in model.weights:
        variable.assign(rng.normal(0, 1, variable.shape))
    x = rng.standard_normal((40, 8, 6)).astype("float32")
    x[::2, 5:] = 0
    artifact = compress.export(model, tmp_path / "m.tflite", calibration=[x])
    assert artifact.float_tensors == ()
    expected, answers = run(model, x), compress.LiteModel(artifact.path).predict(x)
    assert np.corrcoef(answers.ravel(), expected.ravel())[0, 1] > 0.99
