"""Ranges from calibration, where a few values lie far out."""

import keras
import numpy as np
import pytest

from compress.calibrate import measure_ranges
from compress.trace import trace


def ranges(x, method, **options):
    inputs = keras.Input(x.shape[1:])
    graph = trace(keras.Model(inputs, keras.layers.Activation("linear")(inputs)))
    (found,) = measure_ranges(graph, [graph.inputs], np.array_split(x, 3), method=method, **options)
    return found


def rounding_error(x, low, high):
    """By the definition: 255 steps between the ends."""
    step = (high - low) / 255
    zero = np.rint(-low / step)
    return np.mean((x - (np.clip(np.rint(x / step) + zero, 0, 255) - zero) * step) ** 2)


@pytest.fixture
def outliers(rng):
    x = rng.normal(size=(20_000, 100)).astype(np.float32)
    x[0, 0], x[1, 1] = 60.0, -45.0
    return x


def test_minmax_has_the_extremes(outliers):
    assert ranges(outliers, "minmax") == (-45.0, 60.0)


@pytest.mark.parametrize(("options", "tail"), [({}, 0.0001), ({"percentile": 99.0}, 0.01)])
def test_percentile_leaves_out_a_ten_thousandth_or_what_is_asked(outliers, options, tail):
    low, high = ranges(outliers, "percentile", **options)
    expected = np.quantile(outliers, [tail / 2, 1 - tail / 2])
    np.testing.assert_allclose([low, high], expected, atol=2 * 105 / 2048)


def test_mse_is_about_the_best_of_all_shrunk_ranges(outliers):
    low, high = ranges(outliers, "mse")
    best = min(rounding_error(outliers, -45 * share, 60 * share) for share in np.linspace(0.02, 1, 50))
    assert rounding_error(outliers, low, high) < 1.1 * best < 0.5 * rounding_error(outliers, -45.0, 60.0)


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse"])
def test_every_range_holds_zero(method, rng):
    low, high = ranges((rng.uniform(3, 4, size=(300, 4))).astype(np.float32), method)
    assert low <= 0 < 3 < high
