import keras
import numpy as np
import pytest

import compress
from compress.cluster import starts

layers = keras.layers


def test_linear_by_hand():
    weights = np.array([-2.0, 0.0, 0.5, 4.0], np.float32)
    np.testing.assert_allclose(starts(weights, 4, init="linear", zero=False), [-2, 0, 2, 4])
    # Of five, zero is one; the others go 1 : 2 below and above, 4 * 1/3 rounds to 1.
    np.testing.assert_allclose(starts(weights, 5, init="linear", zero=True), [-2, 0.5, 2.25, 4])


def test_density_by_hand():
    # 1 … 100: the grid has 30 points from 0.99 to 100.01, 99.02 / 29 apart. Of 3 shares, 0.01 is first exceeded at the
    # second point (4 of 100 lie below), 0.505 at the sixteenth (52), and 1 nowhere: the last point stands in.
    weights = np.arange(1, 101, dtype=np.float32)
    step = 99.02 / 29
    expected = [0.99 + step, 0.99 + 15 * step, 100.01]
    np.testing.assert_allclose(starts(weights, 3, init="density", zero=False), expected, rtol=1e-5)


def test_kmeans_finds_separate_heaps_and_is_the_same_each_time(rng):
    centres = np.array([-3.0, -1.0, 0.5, 2.0])
    weights = (centres + rng.normal(size=(200, 4), scale=0.02)).astype(np.float32)
    found = starts(weights.ravel(), 4, init="kmeans++", zero=False)
    np.testing.assert_allclose(found, weights.mean(0), rtol=1e-5)
    np.testing.assert_array_equal(found, starts(weights.ravel(), 4, init="kmeans++", zero=False))


@pytest.mark.parametrize("init", ["kmeans++", "linear", "density"])
@pytest.mark.parametrize("zero", [False, True])
def test_any_weights_have_starts(init, zero):
    for weights in ([], [0.0, 0.0], [1.5], [-1.0, -2.0, 0.0], [0.25] * 9):
        found = starts(np.array(weights or [0.0], np.float32), 5, init=init, zero=zero)
        assert found.shape == (5 - zero,)
        assert found.dtype == np.float32
        assert np.isfinite(found).all()


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("init", ["linear", "density"])
def test_starts_equal_tfmot(init, zero, rng, toolkit):
    from tensorflow_model_optimization.python.core.clustering.keras import clustering_centroids as theirs

    name = "LinearCentroidsInitialisation" if init == "linear" else "DensityBasedCentroidsInitialisation"
    weights = rng.normal(size=400, scale=0.3).astype(np.float32)
    if zero:
        weights[np.abs(weights) < 0.2] = 0
    expected = np.sort(getattr(theirs, name)(weights, 16, preserve_sparsity=zero).get_cluster_centroids())
    found = starts(weights, 16, init=init, zero=zero)
    np.testing.assert_allclose(np.sort([*found, *[0.0] * zero]), expected, rtol=1e-4, atol=1e-6)


def net():
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, activation="relu", name="first")(inputs)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.Conv2D(16, 3, activation="relu", name="second")(x)
    return keras.Model(inputs, layers.Dense(10, name="head")(layers.Flatten()(x)))


def values(model, name):
    """The distinct values of a kernel as seen."""
    return np.unique(np.array(model.get_layer(name).seen()["kernel"]))


def test_training_moves_the_values_and_keeps_their_number(digits, tmp_path):
    x, y, _, _ = digits
    keras.utils.set_random_seed(0)
    model = compress.cluster(net(), 8)
    before = {name: values(model, name) for name in ("first", "second", "head")}
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x[:512], y[:512], batch_size=64, epochs=2, verbose=0)
    for name, old in before.items():
        assert len(values(model, name)) <= 8
        assert not np.isin(values(model, name), old).any()
    expected = model.predict(x[:32], verbose=0)
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.keras").predict(x[:32], verbose=0), expected)
    plain = compress.strip(model)
    assert all(type(layer).__module__.startswith("keras.") for layer in plain.layers)
    np.testing.assert_array_equal(
        plain.get_layer("second").get_weights()[0], model.get_layer("second").seen()["kernel"]
    )
    np.testing.assert_allclose(plain.predict(x[:32], verbose=0), expected, rtol=1e-5, atol=1e-5)


def test_pruned_then_clustered_keeps_zeros_and_counts(digits):
    x, y, _, _ = digits
    keras.utils.set_random_seed(0)
    pruned = compress.prune(net(), 0.75)
    model = compress.cluster(pruned, 8)
    masks = {name: np.array(pruned.get_layer(name).seen()["kernel"]) != 0 for name in ("first", "second", "head")}
    assert compress.sparsity(model).zeros == compress.sparsity(pruned).zeros
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x[:512], y[:512], batch_size=64, epochs=2, verbose=0)
    for name, mask in masks.items():
        kernel = np.array(model.get_layer(name).seen()["kernel"])
        assert not kernel[~mask].any()
        assert kernel[mask].any()
        assert len(np.unique(kernel)) <= 8
        assert [type(each).__name__ for each in model.get_layer(name).transforms] == ["Mask", "Codebook"]


def test_zeros_of_a_stripped_model_are_a_value_of_their_own():
    plain = compress.strip(compress.prune(net(), 0.75))
    model = compress.cluster(plain, 8)
    assert compress.sparsity(model).zeros == compress.sparsity(plain).zeros


def test_sixteen_values_a_channel_are_nearer_than_sixteen_in_all():
    model = net()
    kernel = np.array(model.get_layer("second").kernel)
    one, many = (
        np.array(compress.cluster(model, 16, per_channel=each).get_layer("second").seen()["kernel"])
        for each in (False, True)
    )
    assert np.square(many - kernel).sum() < 0.75 * np.square(one - kernel).sum()
    assert max(len(np.unique(many[..., channel])) for channel in range(16)) == 16


def test_depthwise_layers_and_those_left_out_are_as_they_were():
    model = compress.cluster(net(), 4, layers=["!head"])
    wrapped = [layer.name for layer in model.layers if type(layer).__name__ == "Compressed"]
    assert wrapped == ["first", "second"]
    model = compress.cluster(net(), 4, layers=["dep*"], depthwise=True)
    assert len(values(model, "depthwise")) == 4


def test_bad_arguments_are_refused():
    for wrong in ({"clusters": 1}, {"clusters": 2.5}, {"init": "random"}, {"layers": ["nothing*"]}):
        with pytest.raises(compress.CompressError):
            compress.cluster(net(), **wrong)
    with pytest.raises(compress.CompressError, match="3 clusters"):
        compress.cluster(compress.prune(net(), 0.5), 2)
