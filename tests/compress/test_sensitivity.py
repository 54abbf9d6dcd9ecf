"""Sensitivity to rounding, against numpy, and the choice of widths, against trying them all."""

import itertools
import math

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import compress
from compress import flatbuffer
from compress.knapsack import least_cost, least_cost_in_time
from compress.probe import make_probe
from compress.sensitivity import Rounding

layers = keras.layers


def dense_net():
    """Two Dense layers of few weights: y = relu(x A + a) B."""
    inputs = keras.Input((3,), name="pixels")
    x = layers.Dense(2, activation="relu", name="first")(inputs)
    model = keras.Model(inputs, layers.Dense(2, use_bias=False, name="second")(x), name="tiny")
    model.get_layer("first").set_weights([A, a])
    model.get_layer("second").set_weights([B])
    return model


A = np.array([[0.7, 0.26], [-0.31, 0.04], [0.12, -0.58]], np.float32)
a = np.array([0.1, 0.05], np.float32)
B = np.array([[1.4, -0.5], [0.3, 0.93]], np.float32)


def rounded(kernel, bits):
    """To steps of the largest / 127, or / 7: one step for the matrix."""
    step = np.abs(kernel).max() / (2 ** (bits - 1) - 1)
    return np.rint(kernel / step) * step


def answer(x, first, second):
    return np.maximum(x @ first + a, 0) @ second


def spread(outputs):
    """Variance of each output over the examples, the mean of them."""
    return np.var(outputs, axis=0).mean()


@pytest.fixture
def batch(rng):
    return rng.normal(size=(40, 3)).astype(np.float32)


def test_by_hand(batch):
    """0.7 and 7 steps: 0.26 becomes 0.3, -0.31 -0.3, 0.04 0, 0.12 0.1, -0.58 -0.6."""
    np.testing.assert_allclose(rounded(A, 4), [[0.7, 0.3], [-0.3, 0.0], [0.1, -0.6]], atol=1e-6)
    found = compress.sensitivity(dense_net(), calibration=[batch[:7], batch[7:]])
    assert [(row.name, row.bits, row.bytes) for row in found.layers] == [
        ("first", 8, 6),
        ("first", 4, 3),
        ("second", 8, 4),
        ("second", 4, 2),
    ]
    noise = 0.04**2 + 0.01**2 + 0.04**2 + 0.02**2 + 0.02**2
    assert found.layers[1].sqnr == pytest.approx(10 * math.log10(np.sum(A**2) / noise), abs=1e-3)
    exact = answer(batch, A, B)
    for row in found.layers:
        kernel = {"first": A, "second": B}[row.name]
        q = rounded(kernel, row.bits)
        assert row.sqnr == pytest.approx(10 * math.log10(np.sum(kernel**2) / np.sum((kernel - q) ** 2)), abs=1e-2)
        changed = answer(batch, q, B) if row.name == "first" else answer(batch, A, q)
        assert row.drift == pytest.approx(np.mean((changed - exact) ** 2) / spread(exact), rel=1e-2)
    assert found.bytes() == (5, 10)


def test_activations_by_hand(batch):
    found = compress.sensitivity(dense_net(), calibration=[batch], bits=[8])
    names = [row.name for row in found.activations]
    assert len(names) == 3 and names[0] == "pixels" and names[2] == "second"
    exact, hidden = answer(batch, A, B), np.maximum(batch @ A + a, 0)

    def on_steps(values):
        step = (values.max() - min(values.min(), 0)) / 255
        return np.rint(values / step) * step

    changed = (answer(on_steps(batch), A, B), on_steps(hidden) @ B, on_steps(exact))
    for row, values, output in zip(found.activations, (batch, hidden, exact), changed, strict=True):
        sqnr = 10 * math.log10(np.sum(values**2) / np.sum((values - on_steps(values)) ** 2))
        assert row.sqnr == pytest.approx(sqnr, abs=0.2)
        assert row.drift == pytest.approx(np.mean((output - exact) ** 2) / spread(exact), rel=0.1)


def mixed_net():
    """A norm to fold and one that does not, odd sizes, and a kernel that the file does not pack."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(7, 3, use_bias=False, name="conv")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Conv2DTranspose(5, 2, name="transposed")(layers.ReLU()(x))
    x = layers.BatchNormalization(name="lone")(layers.ReLU()(x))
    x = layers.Conv2D(6, 3, name="last")(x)
    x = layers.Dense(4, name="head")(layers.Flatten()(x))
    model = keras.Model(inputs, x, name="mixed")
    rng = np.random.default_rng(0)
    model.get_layer("norm").set_weights([rng.uniform(0.5, 1.5, 7) for _ in range(4)])
    return model


def kernel_bytes(path):
    """What the kernels of a file take: constants of two axes and more, each counted once."""
    model = flatbuffer.unpack(path.read_bytes(), origin="the file")
    kernels = {}
    for tensor in model.subgraphs[0].tensors:
        if tensor.type in (schema.TensorType.INT8, schema.TensorType.INT4) and len(tensor.shape) > 1:
            data = model.buffers[tensor.buffer].data
            kernels[tensor.buffer] = 0 if data is None else len(data)
    return sum(kernels.values())


def test_the_file_keeps_to_the_budget(rng, tmp_path):
    x = rng.normal(size=(32, 8, 8, 3)).astype(np.float32)
    model = mixed_net()
    before = model.get_weights()
    found = compress.sensitivity(model, calibration=[x], activations=False)
    least, most = found.bytes()
    sizes = {(row.name, row.bits): row.bytes for row in found.layers}
    assert sizes["conv", 4] == -(-27 * 7 // 2) and sizes["transposed", 4] == sizes["transposed", 8] == 2 * 2 * 7 * 5
    assert {name for name, rows in found.options().items() if len(rows) == 1} == {"lone"}
    budget = least + 60
    widths = found.widths(budget)
    assert "lone" not in widths and set(widths.values()) == {8, 4}
    small = compress.quantize_aware(model, calibration=[x], bits=widths)
    artifact = compress.export(small, tmp_path / "m.tflite")
    planned = sizes["lone", 8] + sum(sizes[each] for each in widths.items())
    assert kernel_bytes(artifact.path) == planned <= budget
    assert set(found.widths(most).values()) == {8}
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_folded_weights_are_what_is_rounded(rng):
    x = rng.normal(size=(8, 8, 8, 3)).astype(np.float32)
    model = mixed_net()
    found = compress.sensitivity(model, calibration=[x], bits=[4], activations=False)
    gamma, _, _, variance = model.get_layer("norm").get_weights()
    kernel = model.get_layer("conv").get_weights()[0] * gamma / np.sqrt(variance + 1e-3)
    step = np.abs(kernel).max(axis=(0, 1, 2)) / 7
    noise = kernel - np.rint(kernel / step) * step
    row = next(row for row in found.layers if row.name == "conv")
    assert row.sqnr == pytest.approx(10 * math.log10(np.sum(kernel**2) / np.sum(noise**2)), abs=1e-2)


def test_mixed_precision_takes_the_layer_that_matters_less(batch):
    model = dense_net()
    found = compress.sensitivity(model, calibration=[batch], activations=False)
    drift = {(row.name, row.bits): row.drift for row in found.layers}
    sums = {
        (first, second): drift["first", first] + drift["second", second]
        for first, second in itertools.product((8, 4), repeat=2)
        if 6 * first // 8 + 4 * second // 8 <= 8
    }
    best = min(sums, key=sums.__getitem__)
    widths = compress.mixed_precision(model, calibration=iter([batch]), budget_bytes=8)
    assert (widths["first"], widths["second"]) == best and best not in ((8, 8), (4, 4))
    with pytest.raises(compress.CompressError, match=r"budget_bytes=4 is too little .*'tiny'.* from 5 to 10 bytes"):
        compress.mixed_precision(model, calibration=[batch], budget_bytes=4)


def test_scores_and_tolerance(batch):
    model = dense_net()
    truth = answer(batch, A, B)

    def closeness(outputs, labels):
        return -float(np.mean(np.abs(outputs - labels)))

    asked = {"calibration": [batch], "labels": truth, "measure": closeness}
    found = compress.sensitivity(model, activations=False, **asked)
    assert found.score == pytest.approx(0, abs=1e-6)
    row = found.layers[3]
    assert row.score == pytest.approx(closeness(answer(batch, A, rounded(B, 4)), truth), rel=1e-3)
    lost = -closeness(answer(batch, rounded(A, 4), rounded(B, 4)), truth)
    compress.mixed_precision(model, budget_bytes=5, tolerance=1.01 * lost, **asked)
    with pytest.raises(compress.CompressError, match=r"more than tolerance=.* is lost"):
        compress.mixed_precision(model, budget_bytes=5, tolerance=0.99 * lost, **asked)


def test_the_default_measure_is_accuracy(batch):
    labels = np.argmax(answer(batch, A, B), axis=-1)
    labels[:4] = 1 - labels[:4]
    found = compress.sensitivity(dense_net(), calibration=[batch], labels=labels, activations=False)
    assert found.score == pytest.approx(36 / 40)


def test_mistakes_are_refused(batch):
    model = dense_net()
    with pytest.raises(compress.CompressError, match=r"bits=.* are not 8, 4 or both"):
        compress.sensitivity(model, calibration=[batch], bits=[8, 6])
    with pytest.raises(compress.CompressError, match="there are 3, for 40 examples"):
        compress.sensitivity(model, calibration=[batch], labels=[0, 1, 0])
    with pytest.raises(compress.CompressError, match="same for the whole calibration"):
        compress.sensitivity(model, calibration=[np.full((2, 3), -9.0)])
    with pytest.raises(compress.CompressError, match=r"tolerance=0\.1 needs labels="):
        compress.mixed_precision(model, calibration=[batch], budget_bytes=9, tolerance=0.1)
    with pytest.raises(compress.CompressError, match="measure= needs labels="):
        compress.sensitivity(model, calibration=[batch], measure=compress.accuracy)


ROWS = (
    Rounding("stem", 8, 100, 41.25, 1.5e-5, 0.97),
    Rounding("stem", 4, 50, 16.0, 4e-3, 0.95),
    Rounding("head", 8, 40, math.inf, 0.0, 0.97),
    Rounding("head", 4, 20, 18.0, 9e-3, 0.9),
)


def test_table_and_plot(tmp_path):
    found = compress.Sensitivity("net", ROWS, (Rounding("relu", 8, 0, 40.0, 1e-5, 0.97),), 0.97)
    assert found.table().splitlines()[:4] == [
        "| layer | bits | bytes | SQNR, dB | drift | score (0.97) |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| stem | 8 | 100 | 41.2 | 1.50e-05 | 0.9700 |",
        "| stem | 4 | 50 | 16.0 | 4.00e-03 | 0.9500 |",
    ]
    assert found.table().splitlines()[-1] == "| relu | 8 |  | 40.0 | 1.00e-05 | 0.9700 |"
    path = compress.plot_sensitivity(found, tmp_path / "drift.png")
    assert path.read_bytes().startswith(b"\x89PNG") and [each.name for each in tmp_path.iterdir()] == ["drift.png"]
    with pytest.raises(compress.CompressError, match="is no folder"):
        compress.plot_sensitivity(found, tmp_path / "none" / "drift.png")
    with pytest.raises(compress.CompressError, match="no layer that is rounded"):
        compress.plot_sensitivity(compress.Sensitivity("net", ()), path)


def total(options, picks, part):
    return sum(each[i][part] for each, i in zip(options, picks, strict=True))


def test_the_knapsack_finds_the_best_of_all(rng):
    every = list(itertools.product((0, 1), repeat=7))
    for _ in range(30):
        options = rng.integers(1, 50, (7, 2, 2)).tolist()
        weights = [total(options, picks, 0) for picks in every]
        costs = [total(options, picks, 1) for picks in every]
        budget = int(rng.integers(min(weights), max(weights) + 1))
        picks = least_cost(options, budget)
        assert total(options, picks, 0) <= budget
        assert total(options, picks, 1) == min(c for c, w in zip(costs, weights, strict=True) if w <= budget)
    with pytest.raises(ValueError, match="no choice weighs"):
        least_cost(options, min(weights) - 1)


def test_a_knapsack_of_many_large_layers_stays_quick_and_near_the_best(rng):
    sizes, costs = rng.integers(10**3, 10**7, 200), rng.uniform(size=200) ** 4
    options = [[(int(size), 0.0), (int(size) // 2, float(cost))] for size, cost in zip(sizes, costs, strict=True)]
    budget = int(0.75 * sizes.sum())
    picks = least_cost(options, budget)
    assert total(options, picks, 0) <= budget
    # Greedy, but with parts of a layer allowed: nothing does better.
    need, bound = sizes.sum() - budget, 0.0
    for i in np.argsort(costs / (sizes - sizes // 2)):
        part = min(1.0, need / (sizes[i] - sizes[i] // 2))
        bound, need = bound + part * costs[i], need - part * (sizes[i] - sizes[i] // 2)
    assert total(options, picks, 1) <= 1.01 * bound


def test_the_knapsack_in_time_is_beaten_by_nothing_as_light_and_as_quick(rng):
    every = list(itertools.product((0, 1), repeat=7))
    chosen_otherwise = 0
    for _ in range(30):
        options = rng.integers(1, 50, (7, 2, 3)).astype(float)
        options[:, :, 0] = options[:, :, 0].astype(int)
        options[:, :, 2] -= 10
        weights, costs, times = (np.array([total(options, picks, part) for picks in every]) for part in range(3))
        budget = int(rng.integers(weights.min(), weights.max() + 1))
        quickest = times[weights <= budget].min()
        time = rng.uniform(quickest, times.max())
        picks, took = least_cost_in_time(options.tolist(), budget, time)
        assert total(options, picks, 0) <= budget and took == pytest.approx(total(options, picks, 2)) and took <= time
        within = (weights <= budget) & (times <= took + 1e-9)
        assert total(options, picks, 1) == pytest.approx(costs[within].min())
        chosen_otherwise += picks != least_cost(options[:, :, :2].tolist(), budget)
        assert least_cost_in_time(options.tolist(), budget, quickest - 1)[1] == pytest.approx(quickest)
    assert chosen_otherwise > 10


TIMED = (
    Rounding("conv", 8, 100, 40.0, 1e-4, ms=0.0),
    Rounding("conv", 4, 50, 20.0, 1e-2, ms=3.0),
    Rounding("dense", 8, 100, 40.0, 1e-4, ms=0.0),
    Rounding("dense", 4, 50, 20.0, 5e-2, ms=-0.5),
)


def test_a_budget_of_time_turns_from_the_layer_that_is_slow_at_four_bits():
    found = compress.Sensitivity("net", TIMED, ms=2.0)
    assert found.widths(150) == {"conv": 4, "dense": 8}
    assert found.widths(150, budget_ms=5.0) == {"conv": 4, "dense": 8}
    assert found.widths(150, budget_ms=4.9) == {"conv": 8, "dense": 4}
    assert found.widths(budget_ms=2.0) == {"conv": 8, "dense": 8}
    assert found.widths(budget_ms=1.9) == {"conv": 8, "dense": 4}
    with pytest.raises(
        compress.CompressError, match=r"budget_ms=1\.4 is too little for 'net': .* takes 1\.5 ms at least"
    ):
        found.widths(budget_ms=1.4)
    with pytest.raises(compress.CompressError, match=r"kernels of 100 bytes or less a run takes 4\.5 ms at least"):
        found.widths(100, budget_ms=4.4)
    with pytest.raises(compress.CompressError, match="nan is too little"):
        found.widths(budget_ms=math.nan)
    with pytest.raises(compress.CompressError, match="not timed"):
        compress.Sensitivity("net", TIMED).widths(budget_ms=5.0)
    assert found.table().splitlines()[:4] == [
        "| layer | bits | bytes | SQNR, dB | drift | ms (2) |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| conv | 8 | 100 | 40.0 | 1.00e-04 | +0 |",
        "| conv | 4 | 50 | 20.0 | 1.00e-02 | +3 |",
    ]


def test_a_table_of_embeddings_keeps_eight_bits(rng):
    tokens = rng.integers(0, 11, (16, 6)).astype("int32")
    steps = [layers.Embedding(11, 4, name="table"), layers.GlobalAveragePooling1D(), layers.Dense(3, name="head")]
    model = keras.Sequential([keras.Input((6,), dtype="int32"), *steps])
    found = compress.sensitivity(model, calibration=[tokens], activations=False)
    assert [(row.name, row.bits, row.bytes) for row in found.layers] == [
        ("table", 8, 44),
        ("head", 8, 12),
        ("head", 4, 6),
    ]
    assert found.widths(55) == {"head": 4}
    narrow = compress.sensitivity(model, calibration=[tokens], bits=[4], activations=False)
    assert narrow.widths(55) == {"head": 4}
    compress.quantize_aware(model, calibration=[tokens], bits=found.widths(55))


@pytest.mark.slow
def test_drifts_add_up(trained, digits):
    """All kernels rounded together, beside the sum of each alone."""
    batches = [digits[0][:256]]
    probe = make_probe(trained.float, batches)
    found = compress.sensitivity(trained.float, calibration=batches)
    exact = probe.outputs(batches)[0]

    def drift(widths, activations=()):
        with probe.rounded(widths, activations):
            return np.mean((probe.outputs(batches)[0] - exact) ** 2) / spread(exact)

    for bits in (8, 4):
        rows = [each[-1] if bits == 4 else each[0] for each in found.options().values()]
        together = drift({row.name: row.bits for row in rows})
        alone = sum(row.drift for row in rows)
        assert 0.5 <= together / alone <= 2, (bits, together, alone)
    together = drift({}, [row.name for row in found.activations])
    assert 0.5 <= together / sum(row.drift for row in found.activations) <= 2
    assert drift({}) == 0
