"""Transfer: what trains, at which rate, and the learning-rate range test."""

import keras
import numpy as np
import pytest

import zoo


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    return zoo.build("resnet8", input_shape=(16, 16, 3), classes=2)


def batch(count=8, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = rng.normal(0, 0.3, (count, 16, 16, 3)) + labels[:, None, None, None]
    return images.astype("float32"), labels


LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def test_every_layer_belongs_to_one_stage(model):
    parts = zoo.stages(model)
    assert list(parts) == ["stem", "stage1", "stage2", "stage3", "head"]
    names = [layer.name for layers in parts.values() for layer in layers]
    assert sorted(names) == sorted(layer.name for layer in model.layers)
    assert "stage2_block1_shortcut_pool" in [layer.name for layer in parts["stage2"]], "branches too"
    assert [layer.name for layer in parts["head"]] == ["pool", "head"]


@pytest.mark.parametrize(
    ("endpoint", "moved"), [("head", {"head"}), ("stage3", {"stage3", "head"}), ("stem", {"stem", "stage1", "head"})]
)
def test_a_fit_changes_what_trains_and_nothing_else(model, endpoint, moved):
    parts = zoo.stages(model)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    zoo.train_from(model, endpoint)
    model.compile(keras.optimizers.SGD(0.1), LOSS, run_eagerly=True)
    model.train_on_batch(*batch())

    def changed(layer):
        return any(not np.array_equal(a, b) for a, b in zip(before[layer.name], layer.get_weights(), strict=True))

    for name, layers in parts.items():
        assert any(map(changed, layers)) == (name in moved or endpoint == "stem")
        norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert not any(map(changed, norms)), "statistics and scales stay"


def test_normalisations_of_a_training_backbone_use_their_statistics(model):
    zoo.train_from(model, "stem")
    images, _ = batch()
    np.testing.assert_array_equal(np.asarray(model(images, training=True)), np.asarray(model(images, training=False)))


def test_the_flags_can_be_set_again(model):
    zoo.train_from(model, "head")
    assert len(model.trainable_variables) == 2
    zoo.train_from(model, "stem")
    kernels = [v for layer in model.layers for v in layer.variables if "norm" not in layer.name]
    assert len(model.trainable_variables) == len(kernels)


def test_an_unknown_endpoint_names_the_known_ones(model):
    with pytest.raises(zoo.ZooError, match="'stage9'; the model has stem, stage1, stage2, stage3, head"):
        zoo.train_from(model, "stage9")


@pytest.mark.parametrize("kind", [keras.optimizers.SGD, keras.optimizers.AdamW])
def test_rates_fall_with_the_distance_from_the_head(model, kind):
    """One update by each optimizer from the same weights: every variable moves `decay ** distance` as far."""
    weights = model.get_weights()

    def step(optimizer):
        model.set_weights(weights)
        model.compile(optimizer, LOSS, run_eagerly=True)
        zoo.train_from(model, "stem")
        model.compile(optimizer, LOSS, run_eagerly=True)
        model.train_on_batch(*batch())
        return {v.path: np.array(v) - w for v, w in zip(model.weights, weights, strict=True)}

    # In float32 a small step is lost in a large weight: compare where it is not.
    plain = step(kind(1e-2, weight_decay=0.0))
    scaled = step(zoo.layerwise(kind(1e-2, weight_decay=0.0), model, 0.5))
    distances = {"head": 0, "stage3": 1, "stage2": 2, "stage1": 3, "stem": 4}
    checked = set()
    for endpoint, layers in zoo.stages(model).items():
        for variable in (v for layer in layers for v in layer.trainable_variables):
            full = plain[variable.path]
            assert np.abs(full).max() > 0
            np.testing.assert_allclose(scaled[variable.path], full * 0.5 ** distances[endpoint], rtol=0.02, atol=1e-7)
            checked.add(endpoint)
    assert checked == set(distances)


def test_layerwise_keeps_the_settings_of_the_optimizer(model):
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, 10)
    adapted = zoo.layerwise(
        keras.optimizers.AdamW(schedule, weight_decay=0.01, global_clipnorm=1.0, beta_1=0.8), model, 0.7
    )
    assert (adapted.weight_decay, adapted.global_clipnorm, adapted.beta_1) == (0.01, 1.0, 0.8)
    assert isinstance(adapted, keras.optimizers.AdamW)
    assert float(adapted.learning_rate) == pytest.approx(1e-3)


@pytest.mark.parametrize("decay", [0.0, 1.5, "half", float("nan")])
def test_an_impossible_decay_is_refused(model, decay):
    with pytest.raises(zoo.ZooError, match="decay"):
        zoo.layerwise(keras.optimizers.SGD(0.1), model, decay)


def test_the_rate_test_finds_the_edge_of_a_noisy_quadratic():
    """Loss (w - y)^2, y = 1 ± 0.2, SGD: w moves by 2 * rate * (y - w), which diverges above a rate of 1."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    one = np.ones((1, 1), "float32")
    batches = [(one, one + 0.2 * (-1) ** step) for step in range(60)]
    found = zoo.find_rate(model, batches, optimizer=keras.optimizers.SGD, loss="mse", least=1e-4, most=10, steps=60)

    weight, expected = 0.0, []
    for rate, (_, target) in zip(found.rates, batches, strict=False):
        expected.append((weight - target.item()) ** 2)
        weight += 2 * rate * (target.item() - weight)
    smooth = [np.average(expected[: n + 1], weights=0.9 ** np.arange(n, -1, -1)) for n in range(len(expected))]
    np.testing.assert_allclose(found.losses, smooth, rtol=1e-4)
    assert found.rate == found.rates[int(np.argmin(smooth))] / 10
    assert 0.01 < found.rate < 0.1
    assert len(found.rates) < 60, "it stops where the loss explodes"
    assert model.get_weights()[0] == 0, "the weights are those of before"


def test_the_rate_test_refuses_too_few_batches_and_a_loss_of_nan(model):
    def sgd(rate):
        return keras.optimizers.SGD(rate)

    images, labels = batch()
    with pytest.raises(zoo.ZooError, match="needs 20 batches, and there were 3"):
        zoo.find_rate(model, [(images, labels)] * 3, optimizer=sgd, loss=LOSS, steps=20)
    with pytest.raises(zoo.ZooError, match="no number at the smallest"):
        zoo.find_rate(model, [(images * np.nan, labels)] * 20, optimizer=sgd, loss=LOSS, steps=20)
    with pytest.raises(zoo.ZooError, match="most"):
        zoo.find_rate(model, [], optimizer=sgd, loss=LOSS, least=1.0, most=0.1)
