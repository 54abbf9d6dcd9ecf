import keras
import numpy as np
import pytest

import compress
from compress import Constant, Polynomial
from compress.fold import Fold
from compress.mask import Mask
from compress.wrapper import Compressed

layers = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def net():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, use_bias=False, name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2D(16, 3, activation="relu", name="second")(x)
    return keras.Model(inputs, layers.Dense(10, name="head")(layers.Flatten()(x)))


def shares(model):
    return {layer.name: layer.share for layer in compress.sparsity(model).layers}


def masks(model):
    return [np.array(layer.transforms[0].mask) for layer in model.layers if isinstance(layer, Compressed)]


def test_at_once_the_smallest_weights_go():
    model = net()
    pruned = compress.prune(model, 0.75)
    for name in ("first", "second", "head"):
        kernel = model.get_layer(name).get_weights()[0]
        border = np.sort(np.abs(kernel).ravel())[-kernel.size // 4]
        expected = np.where(np.abs(kernel) >= border, kernel, 0)
        np.testing.assert_array_equal(pruned.get_layer(name).seen()["kernel"], expected)
    assert shares(pruned) == {"first": 0.75, "depthwise": 0.0, "second": 0.75, "head": 0.75}
    found = compress.sparsity(pruned)
    assert (found.zeros, found.total) == (54 + 864 + 480, 72 + 72 + 1152 + 640)
    assert compress.sparsity(model).share == 0


def test_with_nothing_pruned_yet_it_answers_as_before(digits):
    model = net()
    pruned = compress.prune(model, schedule=Polynomial(0.0, 0.8, end=10))
    x = digits[0][:32]
    np.testing.assert_array_equal(pruned.predict(x, verbose=0), model.predict(x, verbose=0))


def test_training_reaches_the_sparsity_and_holds_it(digits):
    x, y, _, _ = digits
    keras.utils.set_random_seed(0)
    model = compress.prune(net(), schedule=Polynomial(0.0, 0.75, end=16, every=4))
    model.compile(keras.optimizers.Adam(1e-2), LOSS)
    model.fit(x[:512], y[:512], batch_size=64, epochs=2, verbose=0)  # 16 steps
    reached = masks(model)
    assert [mask.mean() for mask in reached] == [0.25] * 3
    model.fit(x[:512], y[:512], batch_size=64, epochs=2, verbose=0)
    for before, after in zip(reached, masks(model), strict=True):
        np.testing.assert_array_equal(before, after)
    assert shares(model) == {"first": 0.75, "depthwise": 0.0, "second": 0.75, "head": 0.75}
    plain = compress.strip(model)
    assert all(type(layer).__module__.startswith("keras.") for layer in plain.layers)
    assert compress.sparsity(plain).zeros == compress.sparsity(model).zeros
    expected = model.predict(x[:32], verbose=0)
    np.testing.assert_allclose(plain.predict(x[:32], verbose=0), expected, rtol=1e-4, atol=1e-5)


def test_a_saved_model_goes_on_with_the_same_masks(digits, tmp_path):
    x, y, _, _ = digits
    keras.utils.set_random_seed(0)
    model = compress.prune(net(), schedule=Polynomial(0.0, 0.8, end=24, every=4))
    model.compile(keras.optimizers.Adam(1e-3), LOSS)
    model.fit(x[:512], y[:512], batch_size=64, epochs=1, shuffle=False, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(x[:32], verbose=0), model.predict(x[:32], verbose=0))
    assert int(again.get_layer("head").transforms[0].step) == 8
    for each in (model, again):
        each.fit(x[:512], y[:512], batch_size=64, epochs=2, shuffle=False, verbose=0)
    for one, other in zip(masks(model), masks(again), strict=True):
        np.testing.assert_array_equal(one, other)
        assert abs(one.mean() - 0.2) < 0.01


def test_compiled_by_xla_it_prunes_the_same(digits):
    x, y, _, _ = digits
    found = []
    for jit in (False, True):
        keras.utils.set_random_seed(0)
        model = compress.prune(net(), schedule=Constant(0.5, 2), layers=["second"])
        model.compile("sgd", LOSS, jit_compile=jit)
        for _ in range(3):
            model.train_on_batch(x[:16], y[:16])
        found.append(masks(model)[0])
    assert found[0].mean() == 0.5
    assert (found[0] == found[1]).mean() > 0.99


@pytest.mark.parametrize(("pattern", "share"), [("2:4", 0.5), ("1:4", 0.75), ("4x1", 0.75), ("4x4", 0.75)])
def test_patterns_hold_in_a_layer(pattern, share):
    pruned = compress.prune(net(), 0.75, pattern=pattern, layers=["second"])
    assert shares(pruned)["second"] == share
    matrix = np.array(pruned.get_layer("second").seen()["kernel"]).reshape(-1, 16) != 0
    kept = matrix.reshape(-1, 4, 16).sum(1)
    if ":" in pattern:
        assert (kept == int(pattern[0])).all()
    else:
        assert set(np.unique(kept)) == {0, 4}


def test_layers_and_shares_go_by_name():
    assert shares(compress.prune(net(), 0.5, layers=["!first", "!head"])) == {
        "first": 0,
        "depthwise": 0,
        "second": 0.5,
        "head": 0,
    }
    found = shares(compress.prune(net(), {"head": 0, "f*": 0.25, "*": 0.75}, depthwise=True))
    assert found == {"first": 0.25, "depthwise": 0.75, "second": 0.75, "head": 0}
    steps = Polynomial(0.5, 0.8, end=100)
    pruned = compress.prune(net(), {"f*": 0.25, "*": 0.75}, schedule=steps)
    assert pruned.get_layer("first").transforms[0].schedule == Polynomial(0.25, 0.25, end=100)
    assert pruned.get_layer("head").transforms[0].schedule == Polynomial(0.5, 0.75, end=100)


def test_pruned_again_the_zeros_stay(digits):
    x, y, _, _ = digits
    once = compress.prune(net(), 0.5)
    again = compress.prune(once, schedule=Polynomial(0.0, 0.75, end=4, every=1))
    assert all(len(layer.transforms) == 1 for layer in again.layers if isinstance(layer, Compressed))
    again.compile(keras.optimizers.Adam(1e-2), LOSS)
    for _ in range(4):
        again.train_on_batch(x[:64], y[:64])
        for before, after in zip(masks(once), masks(again), strict=True):
            assert not (after & ~before).any()
    assert shares(again)["second"] == 0.75
    stripped = compress.strip(once)
    for before, after in zip(masks(once), masks(compress.prune(stripped, 0.5)), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_mask_goes_before_what_a_layer_has_already(digits):
    small = compress.quantize_aware(net(), calibration=[digits[0][:64]])
    pruned = compress.prune(small, 0.75)
    kinds = [type(each).__name__ for each in pruned.get_layer("first").transforms]
    assert kinds == ["Mask", "Fold", "FakeQuantWeights"]
    assert shares(pruned)["first"] >= 0.75
    for name in ("gamma", "beta", "mean", "variance"):
        ours, theirs = (
            next(each for each in model.get_layer("first").transforms if isinstance(each, Fold))
            for model in (pruned, small)
        )
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    with pytest.raises(compress.CompressError, match="prune, then cluster"):
        compress.prune(compress.cluster(net()), 0.5)


def test_nested_shared_and_several_inputs_stay_so(rng):
    tower = keras.Sequential([keras.Input((6,)), layers.Dense(8, name="inner"), layers.BatchNormalization()], name="t")
    left, right = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    shared = layers.Dense(8, activation="relu", name="shared")
    x = layers.Concatenate()([shared(tower(left)), shared(tower(right))])
    model = keras.Model({"a": left, "b": right}, layers.Dense(2, name="out")(keras.ops.tanh(x)))
    for variable in model.variables:
        if variable.name.startswith("moving"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    pruned = compress.prune(model, schedule=Constant(0.5, 2, every=5))
    batch = {name: rng.normal(size=(4, 6)).astype(np.float32) for name in ("a", "b")}
    np.testing.assert_allclose(pruned.predict(batch, verbose=0), model.predict(batch, verbose=0), rtol=1e-5)
    pruned.compile("sgd", "mse")
    for expected in (0, 0.5):
        pruned.train_on_batch(batch, np.zeros((4, 2)))
        assert shares(pruned) == {"t/inner": expected, "shared": expected, "out": expected}
    assert shares(compress.strip(pruned)) == {"inner": 0.5, "shared": 0.5, "out": 0.5}
    assert compress.sparsity(model).zeros == 0


class Filled(layers.Layer):
    """Gives the mean of the steps that a mask lets through."""

    supports_masking = True

    def call(self, inputs, mask=None):
        weights = keras.ops.cast(mask, inputs.dtype)[..., None]
        return keras.ops.sum(inputs * weights, axis=1) / keras.ops.sum(weights, axis=1)


def test_every_kind_of_layer_comes_back_from_strip(rng):
    tokens = keras.Input((12,), dtype="int32")
    x = layers.Embedding(20, 8, name="table")(tokens)
    x = layers.EinsumDense("abc,cde->abde", (None, 2, 4), bias_axes="de", name="einsum")(x)
    x = layers.Reshape((12, 8))(x)
    x = layers.SeparableConv1D(8, 3, activation="relu", name="separable")(x)
    x = layers.Conv1DTranspose(8, 3, name="transposed")(x)
    x = layers.Conv1D(8, 3, name="conv", trainable=False)(x)
    model = keras.Model(tokens, layers.Dense(3, name="out")(layers.Flatten()(x)))
    ids = rng.integers(0, 20, (4, 12))
    for make in (lambda: compress.prune(model, 0.5), lambda: compress.cluster(model, 4, per_channel=True)):
        changed = make()
        wrapped = [layer.name for layer in changed.layers if isinstance(layer, Compressed)]
        assert wrapped == ["table", "einsum", "separable", "transposed", "conv", "out"]
        assert not changed.get_layer("conv").trainable_variables
        plain = compress.strip(changed)
        np.testing.assert_allclose(plain.predict(ids, verbose=0), changed.predict(ids, verbose=0), rtol=1e-4, atol=1e-6)
        for name in wrapped:
            seen = changed.get_layer(name).seen()
            for variable in plain.get_layer(name).weights:
                np.testing.assert_array_equal(variable, seen[variable.name])


@pytest.mark.parametrize("tied", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_table_read_in_both_directions_is_pruned_and_clustered(tied, rng, tmp_path):
    keras.utils.set_random_seed(1)
    tokens = keras.Input((6,), dtype="int32")
    table = layers.ReversibleEmbedding(20, 8, tie_weights=tied, embeddings_initializer="normal", name="table")
    model = keras.Model(tokens, table(layers.Dense(8, name="middle")(table(tokens)), reverse=True))
    ids = rng.integers(0, 20, (48, 6)).astype(np.int32)
    pruned = compress.prune(model, 0.5, layers=["table"])
    left = np.array(pruned.get_layer("table").seen()["embeddings"])
    changed = compress.cluster(pruned, 4, layers=["table"])
    rows = np.array(changed.get_layer("table").seen()["embeddings"])
    assert np.mean(left == 0) == 0.5 and (rows[left == 0] == 0).all() and len(np.unique(rows)) == 4
    middle = np.array(changed.get_layer("middle")(rows[ids]))
    back = rows.T if tied else model.get_layer("table").reverse_embeddings
    np.testing.assert_allclose(changed.predict(ids, verbose=0), middle @ np.array(back), rtol=1e-4, atol=1e-6)
    plain = compress.strip(changed)
    np.testing.assert_allclose(plain.predict(ids, verbose=0), changed.predict(ids, verbose=0), rtol=1e-4, atol=1e-6)
    small = compress.quantize_aware(changed, calibration=[ids])
    few = np.array(small.get_layer("table").seen()["embeddings"])
    assert (few[rows == 0] == 0).all() and len(np.unique(few)) == 4
    artifact = compress.export(small, tmp_path / "m.tflite")
    apart = np.abs(compress.LiteModel(artifact.path).predict(ids) - small.predict(ids, verbose=0))
    assert artifact.float_tensors == () and apart.max() <= 3.01 * artifact.output.scale


def test_a_mask_of_steps_passes_a_pruned_table_and_layer(rng):
    tokens = keras.Input((5,), dtype="int32")
    x = layers.Dense(4)(layers.Embedding(9, 4, mask_zero=True)(tokens))
    model = keras.Model(tokens, Filled()(x))
    ids = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 0]])
    pruned = compress.prune(model, schedule=Constant(0.5, 1))
    np.testing.assert_allclose(pruned.predict(ids, verbose=0), model.predict(ids, verbose=0), rtol=1e-5, atol=1e-6)


def test_two_of_four_follow_the_inputs_of_each_kind():
    inputs = keras.Input((12, 8))
    x = layers.EinsumDense("abc,cde->abde", (None, 2, 4), name="einsum")(inputs)
    x = layers.Conv1DTranspose(6, 3, name="transposed")(layers.Reshape((12, 8))(x))
    model = compress.prune(keras.Model(inputs, layers.DepthwiseConv1D(3, name="d")(x)), pattern="2:4", depthwise=True)
    einsum, transposed = (np.array(model.get_layer(name).seen()["kernel"]) != 0 for name in ("einsum", "transposed"))
    assert (einsum.reshape(2, 4, 8).sum(1) == 2).all()
    assert (transposed.reshape(3, 6, 2, 4).sum(-1) == 2).all()
    assert not isinstance(model.get_layer("d"), Compressed)


def test_half_precision_stays_and_normalization_keeps_what_it_learnt(rng):
    x = rng.normal(3.0, 2.0, (64, 6)).astype(np.float32)
    normalization = layers.Normalization()
    normalization.adapt(x)
    model = keras.Sequential(
        [keras.Input((6,)), normalization, layers.Dense(8, dtype="mixed_float16"), layers.Dense(2)]
    )
    pruned = compress.prune(model, schedule=Constant(0.5, 1))
    assert pruned.layers[2].compute_dtype == "float16"
    np.testing.assert_allclose(pruned.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-2, atol=1e-2)
    pruned.compile("sgd", "mse")
    pruned.train_on_batch(x, np.zeros((64, 2)))
    assert pruned.layers[2].seen()["kernel"].dtype == "float32"
    assert set(shares(pruned).values()) == {0.5}


def test_mistakes_are_refused():
    for wrong in (
        {"sparsity": 1.0},
        {"sparsity": {"head": -0.1}},
        {"sparsity": {"nothing": 0.5}},
        {"layers": ["nothing"]},
        {"layers": ["depthwise"]},
        {"layers": ["*", "!*"]},
        {"pattern": "4:2"},
        {"pooling": "median"},
        {"sparsity": 0.8, "schedule": Polynomial(0.0, 0.5, end=9)},
    ):
        with pytest.raises(compress.CompressError):
            compress.prune(net(), **wrong)
    with pytest.raises(compress.CompressError, match="graph"):
        compress.prune(keras.Sequential([layers.Dense(2)]), 0.5)


def test_the_model_handed_in_is_not_changed():
    model = net()
    before = model.get_weights()
    compress.cluster(compress.prune(model, 0.5), 4)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not any(isinstance(layer, (Compressed, Mask)) for layer in model.layers)
