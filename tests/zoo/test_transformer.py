"""The encoder against one written with Keras's own MultiHeadAttention; sizes by hand."""

import dataclasses

import keras
import numpy as np
import pytest

import zoo
from zoo.sequence.attention import sinusoids


def by_hand(spec, steps, channels):
    """The same network of stock layers."""
    series = keras.Input((steps, channels))
    x = keras.layers.Dense(spec.width, name="stem_dense")(series) + sinusoids(steps, spec.width)
    seen = keras.ops.any(keras.ops.not_equal(series, 0), axis=-1)[:, None, :] if spec.mask else None

    def norm(name):
        return keras.layers.LayerNormalization(epsilon=1e-6, name=name)

    for stage in range(1, spec.depth + 1):
        label = f"stage{stage}"
        attend = keras.layers.MultiHeadAttention(spec.heads, spec.width // spec.heads, name=f"{label}_attention")
        inner = keras.layers.Dense(spec.hidden, activation="relu", name=f"{label}_hidden")
        outer = keras.layers.Dense(spec.width, name=f"{label}_project")
        if spec.norm_first:
            read = norm(f"{label}_attention_norm")(x)
            x = x + attend(read, read, attention_mask=seen)
            x = x + outer(inner(norm(f"{label}_hidden_norm")(x)))
        else:
            x = norm(f"{label}_attention_norm")(x + attend(x, x, attention_mask=seen))
            x = norm(label)(x + outer(inner(x)))
    if spec.norm_first:
        x = norm(f"stage{spec.depth}")(x)
    if spec.pooling == "first":
        x = x[:, 0]
    elif spec.mask:
        share = keras.ops.cast(seen[:, 0, :, None], "float32")
        x = keras.ops.sum(x * share, axis=1) / keras.ops.sum(share, axis=1)
    else:
        x = keras.ops.mean(x, axis=1)
    return keras.Model(series, keras.layers.Dense(3, name="head")(x))


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize(("pooling", "mask"), [("mean", False), ("mean", True), ("first", False)])
def test_against_multi_head_attention(norm_first, pooling, mask, scramble, run):
    spec = dataclasses.replace(
        zoo.spec("transformer_tiny"), width=12, heads=3, hidden=20, norm_first=norm_first, pooling=pooling, mask=mask
    )
    ours, theirs = zoo.build(spec, input_shape=(9, 2), classes=3), by_hand(spec, 9, 2)
    scramble(ours)
    for layer in theirs.layers:
        if isinstance(layer, keras.layers.MultiHeadAttention):
            label = layer.name.removesuffix("_attention")
            parts = [ours.get_layer(f"{label}_{part}").get_weights() for part in ("query", "key", "value", "output")]
            shapes = [variable.shape for variable in layer.weights]
            flat = [array for part in parts for array in part]
            layer.set_weights([array.reshape(shape) for array, shape in zip(flat, shapes, strict=True)])
        elif layer.weights:
            layer.set_weights(ours.get_layer(layer.name).get_weights())
    x = np.random.default_rng(0).standard_normal((4, 9, 2)).astype("float32")
    if mask:
        x[1, 5:] = 0
    expected = run(theirs, x)
    assert np.ptp(expected[0] - expected[1]) > 1e-2
    np.testing.assert_allclose(run(ours, x), expected, atol=1e-5)


def test_tokens_of_another_width_are_brought_to_that_of_the_network():
    spec = dataclasses.replace(zoo.spec("transformer_tiny"), vocabulary=50, embedding=10)
    model = zoo.build(spec, input_shape=(7,), classes=4)
    assert model.get_layer("stem_dense").kernel.shape == (10, 64)
    assert model.get_layer("stem_scale").scale == 8.0


def test_multiply_accumulates_by_hand():
    model = zoo.build("transformer_tiny", input_shape=(10, 3), classes=5)
    block = 10 * (4 * 64 * 64 + 2 * 64 * 128) + 2 * 10 * 10 * 64
    assert zoo.macs(model) == 10 * 3 * 64 + 2 * block + 64 * 5


def test_heads_must_divide_the_width():
    with pytest.raises(zoo.ZooError, match="width must be a multiple of heads: 64 cannot be cut into 5"):
        dataclasses.replace(zoo.spec("transformer_tiny"), heads=5)


def test_parts_of_the_network():
    model = zoo.build("transformer_tiny", input_shape=(10, 3), classes=5)
    zoo.train_from(model, "stage2")
    assert not model.get_layer("stage1_query").trainable
    assert model.get_layer("stage2_query").trainable and model.get_layer("head").trainable
