import keras
import numpy as np
import pytest

from compress.codebook import Codebook, nearest
from compress.wrapper import Compressed

layers = keras.layers


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 13, 16, 256])
def test_nearest_equals_every_distance_compared(count, rng):
    values = np.sort(rng.normal(size=(3, count)), axis=1).astype(np.float32)
    rows = rng.normal(size=(3, 500), scale=2).astype(np.float32)
    expected = np.abs(rows[:, :, None] - values[:, None, :]).argmin(-1)
    np.testing.assert_array_equal(nearest(values, rows), expected)


def test_halfway_goes_to_the_lower_as_do_equal_values():
    values = np.array([[-1.0, 1.0, 1.0, 3.0]], np.float32)
    rows = np.array([[-9.0, 0.0, 0.1, 1.0, 2.0, 2.1, 9.0]], np.float32)
    found = np.take_along_axis(values, np.array(nearest(values, rows)), axis=1)
    np.testing.assert_array_equal(found, [[-1, -1, 1, 1, 1, 3, 3]])


def wrapped(kernel, centroids, **options):
    """A Dense without bias behind a codebook."""
    kernel = np.asarray(kernel, np.float32)
    wrapper = Compressed(
        layers.Dense(kernel.shape[1], use_bias=False), [Codebook(len(centroids[0]) + options.get("zero", 0), **options)]
    )
    wrapper.build((None, kernel.shape[0]))
    wrapper.layer.set_weights([kernel])
    wrapper.transforms[0].centroids.assign(centroids)
    return wrapper


def test_weights_by_hand():
    kernel = [[0.1, 0.9], [2.0, -3.0]]
    # The centroids need no order.
    seen = wrapped(kernel, [[2.0, -1.0]]).seen()["kernel"]
    np.testing.assert_array_equal(seen, [[-1, 2], [2, -1]])
    seen = wrapped(kernel, [[2.0, -1.0]], zero=True).seen()["kernel"]
    np.testing.assert_array_equal(seen, [[0, 0], [2, -1]])
    seen = wrapped(kernel, [[0.0, 1.0], [5.0, -5.0]], channels=(-1,)).seen()["kernel"]
    np.testing.assert_array_equal(seen, [[0, 5], [1, -5]])


def test_channels_of_any_axis_are_put_back_where_they_were(rng):
    kernel = rng.normal(size=(3, 2, 4, 5)).astype(np.float32)
    book = Codebook(3, channels=(-3, -1))
    book.build({"kernel": kernel.shape})
    centroids = np.sort(rng.normal(size=(10, 3)), axis=1).astype(np.float32)
    book.centroids.assign(centroids)
    seen = np.array(book({"kernel": kernel})["kernel"])
    for i in range(2):
        for j in range(5):
            own = centroids[5 * i + j]
            expected = own[np.abs(kernel[:, i, :, j, None] - own).argmin(-1)]
            np.testing.assert_array_equal(seen[:, i, :, j], expected)


@pytest.mark.parametrize("zero", [False, True])
def test_centroids_get_the_sum_and_weights_their_own_gradient(zero):
    wrapper = wrapped([[0.1, 0.9], [2.0, -3.0], [3.0, 1.9]], [[2.0, -2.0]], zero=zero)
    model = keras.Sequential([keras.Input((3,)), wrapper])
    model.compile(keras.optimizers.SGD(1.0), lambda y, p: keras.ops.sum(p * y))
    before = np.array(wrapper.layer.kernel)
    x, y = np.array([[1.0, 2.0, 4.0]]), np.array([[1.0, 10.0]])
    model.train_on_batch(x, y)
    gradient = x.T * y  # [[1, 10], [2, 20], [4, 40]]
    np.testing.assert_allclose(wrapper.layer.kernel, before - gradient, rtol=1e-6)
    # At 2 lie 2.0, 3.0 and 1.9, without a zero 0.1 and 0.9 too; -3.0 is at -2.
    moved = 2 + 4 + 40 + (0 if zero else 1 + 10)
    np.testing.assert_allclose(wrapper.transforms[0].centroids, [[2.0 - moved, -2.0 - 20.0]], rtol=1e-6)
