import keras
import numpy as np
import pytest

from compress import CompressError, Constant, Polynomial
from compress.mask import Mask, keep, read_pattern
from compress.wrapper import Compressed

layers = keras.layers


def kept(weights, sparsity, pattern="unstructured", **options):
    return np.array(keep(np.abs(np.asarray(weights, np.float32)), np.float32(sparsity), pattern=pattern, **options))


def test_unstructured_by_hand():
    weights = [[-4.0, 1.0, 3.0], [0.5, -2.0, 5.0]]
    np.testing.assert_array_equal(kept(weights, 0.5), [[1, 0, 1], [0, 0, 1]])
    np.testing.assert_array_equal(kept(weights, 0.0), np.ones((2, 3)))
    np.testing.assert_array_equal(kept(weights, 0.99), [[0, 0, 0], [0, 0, 1]])  # one is always left


def test_equals_of_the_smallest_kept_are_kept_too():
    # round(5 * 0.5) = 2, half to even as in TFMOT: 3, and then all that are 2.
    np.testing.assert_array_equal(kept([2.0, -2.0, 3.0, 1.0, 2.0], 0.5), [1, 1, 1, 0, 1])


def test_two_of_four_inputs_by_hand():
    # Six inputs, two outputs: a group of four and one of two that nothing is cut from.
    weights = np.array([[1, 5], [4, 5], [-3, 5], [2, 5], [0, 1], [9, 0]], np.float32)
    expected = [[0, 1], [1, 1], [1, 0], [0, 0], [1, 1], [1, 1]]
    np.testing.assert_array_equal(kept(weights, 0.9, "2:4"), expected)
    np.testing.assert_array_equal(kept(weights.T, 0.9, "2:4", axis=-1), np.transpose(expected))


def test_groups_of_a_convolution_run_along_its_inputs(rng):
    weights = rng.normal(size=(3, 3, 8, 5))
    mask = kept(weights, 0.0, "1:4")
    groups = np.moveaxis(mask, 2, -1).reshape(-1, 4)
    assert (groups.sum(1) == 1).all()
    largest = np.abs(np.moveaxis(weights, 2, -1).reshape(-1, 4)).argmax(1)
    np.testing.assert_array_equal(groups.argmax(1), largest)


@pytest.mark.parametrize(("pooling", "expected"), [("mean", [[1, 1, 0, 0, 0]] * 2), ("max", [[0, 0, 1, 1, 0]] * 2)])
def test_blocks_by_hand(pooling, expected):
    # Three blocks of 2x2, the last cut to one column. Means 3, 2, 1; largest 3, 8, 1.
    weights = [[3, 3, 8, 0, 1], [3, 3, 0, 0, 1]]
    np.testing.assert_array_equal(kept(weights, 0.67, "2x2", pooling=pooling), expected)


def test_blocks_of_a_convolution_lie_in_its_matrix(rng):
    mask = kept(rng.normal(size=(3, 3, 8, 5)), 0.5, "4x1").reshape(18, 4, 5)
    np.testing.assert_array_equal(mask.min(1), mask.max(1))
    assert mask.sum() == 180


@pytest.mark.parametrize("sparsity", [0.0, 0.37, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(
    ("pattern", "options"),
    [
        ("unstructured", {}),
        ("2:4", {"sparsity_m_by_n": (2, 4)}),
        ("1:4", {"sparsity_m_by_n": (3, 4)}),
        ("4x1", {"block_size": (4, 1)}),
        ("4x4", {"block_size": (4, 4)}),
        ("1x4", {"block_size": (1, 4), "block_pooling_type": "MAX"}),
    ],
)
def test_equals_tfmot(pattern, options, sparsity, rng, toolkit):
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl, pruning_schedule

    shapes = [(16, 12)] if "x" in pattern else [(16, 12), (3, 3, 6, 5)]
    for shape in shapes:
        weights = rng.normal(size=shape)
        if "x" not in pattern:  # many are equal; the means of blocks would differ by the order of their sums
            weights = np.round(weights, 1)
        weights = tf.Variable(weights, dtype=tf.float32)
        options = {"block_size": (1, 1), "block_pooling_type": "AVG", **options}
        schedule = pruning_schedule.ConstantSparsity(sparsity, 0)
        theirs = pruning_impl.Pruning(lambda: 0, [(weights, None, None)], schedule, **options)
        _, expected = theirs._maybe_update_block_mask(weights)
        pooling = "max" if options["block_pooling_type"] == "MAX" else "mean"
        np.testing.assert_array_equal(kept(weights, sparsity, pattern, pooling=pooling), expected)


@pytest.mark.parametrize("pattern", ["n:m", "4:4", "0:4", "4x0", "channel", "2:4 ", None])
def test_unknown_patterns_are_refused(pattern):
    with pytest.raises(CompressError, match="pattern="):
        read_pattern(pattern)


def wrapped(schedule, **options):
    """A Dense of six weights, 1 to 6, behind a mask."""
    wrapper = Compressed(layers.Dense(1, use_bias=False), [Mask(schedule, **options)])
    wrapper.build((None, 6))
    wrapper.layer.set_weights([np.arange(1.0, 7.0)[:, None]])
    return wrapper, wrapper.transforms[0]


def test_the_mask_follows_the_schedule_in_training_only():
    wrapper, mask = wrapped(Polynomial(0.0, 0.5, begin=1, end=5, power=1, every=2))
    x = np.ones((1, 6), np.float32)
    wrapper(x)
    assert int(mask.step) == 0
    # Steps 1, 3 and 5 are due, at 0, 1/4 and 1/2: of six weights round(6), round(4.5) = 4 and 3 stay.
    sums = [float(wrapper(x, training=True)[0, 0]) for _ in range(7)]
    assert sums == [21, 21, 18, 18, 15, 15, 15]
    assert int(mask.step) == 7
    assert float(wrapper(x)[0, 0]) == 15


def test_a_pruned_weight_stays_pruned_and_gets_no_gradient():
    wrapper, mask = wrapped(Constant(0.5, 1, every=1))
    model = keras.Sequential([keras.Input((6,)), wrapper])
    model.compile("sgd", "mse")
    x, y = np.ones((1, 6), np.float32), np.zeros((1, 1), np.float32)
    model.train_on_batch(x, y)
    after = np.array(wrapper.layer.kernel)[:, 0]
    np.testing.assert_array_equal(after[:3], [1, 2, 3])
    assert (after[3:] < [4, 5, 6]).all()
    wrapper.layer.set_weights([np.array([[9, 9, 9, 1, 1, 1]]).T])
    model.train_on_batch(x, y)
    np.testing.assert_array_equal(np.array(mask.mask)[:, 0], [0, 0, 0, 1, 1, 1])


def test_zeros_are_positive_ones():
    wrapper, _ = wrapped(Constant(0.5, 1, every=1))
    wrapper.layer.set_weights([-np.arange(1.0, 7.0)[:, None]])
    wrapper(np.ones((1, 6), np.float32), training=True)
    zeros = np.array(wrapper.seen()["kernel"])[:3]
    assert not zeros.any()
    assert not np.signbit(zeros).any()


def test_calls_of_a_shared_layer_are_one_step():
    wrapper, mask = wrapped(Constant(0.5, 2, every=10), calls=2)
    x = np.ones((1, 6), np.float32)
    sums = [float(wrapper(x, training=True)[0, 0]) for _ in range(4)]
    assert sums == [21, 21, 15, 15]
    assert int(mask.step) == 2
