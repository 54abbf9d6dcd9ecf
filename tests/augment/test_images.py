import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

import augment

FULL = augment.Policy(
    ops=(
        augment.Flip(),
        augment.Translate(0.1),
        augment.Rotate(15),
        augment.Zoom(0.1),
        augment.Brightness(0.2),
        augment.Contrast(0.2),
    )
)
SEED = (5, 9)


def pictures(shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


def run(ops, images, seed=SEED, **policy):
    return augment.compile_images(augment.Policy(ops=ops, **policy))(images, seed).numpy()


def uniform(values, low, high):
    """The Kolmogorov-Smirnov p-value of a uniform distribution; the seeds are fixed, so it never varies."""
    return scipy.stats.kstest(values.astype(np.float64), scipy.stats.uniform(low, high - low).cdf).pvalue


@pytest.mark.parametrize("shape", [(6, 8, 8, 1), (6, 1, 1, 1), (3, 20, 31, 3), (2, 9, 9, 5), (0, 8, 8, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_any_shape_comes_back_in_range(shape, dtype):
    result = augment.compile_images(FULL)(pictures(shape, dtype), SEED)
    assert result.dtype == tf.float32
    assert result.shape == shape
    assert np.all((result >= 0) & (result <= 255))


def test_same_seed_same_result_whoever_asks():
    images = pictures((12, 8, 8, 1))
    first = run(FULL.ops, images)
    np.testing.assert_array_equal(first, run(FULL.ops, images))
    np.testing.assert_array_equal(first, run(FULL.ops, images, tf.constant(SEED, tf.int64)))
    fn = augment.compile_images(FULL)
    batches = tf.data.Dataset.from_tensors(images).repeat(3).map(lambda x: fn(x, SEED), num_parallel_calls=2)
    for batch in batches:
        np.testing.assert_array_equal(first, batch)
    np.testing.assert_allclose(first[:5], fn(images[:5], SEED), atol=1e-3)


def test_other_seeds_other_results():
    fn, images = augment.compile_images(FULL), pictures((4, 8, 8, 1))
    results = [fn(images, seed).numpy() for seed in ((5, 9), (5, 10), (6, 9), (5, 9, 0), (5, 9, 1), (5, 10, 0))]
    for i, one in enumerate(results):
        for other in results[:i]:
            assert np.abs(one - other).max() > 1


def test_every_image_of_the_batch_differs():
    images = np.repeat(pictures((1, 16, 16, 3)), 8, axis=0)
    result = run(FULL.ops, images)
    for i in range(8):
        for j in range(i):
            assert np.abs(result[i] - result[j]).max() > 1


def test_an_empty_policy_only_casts():
    images = pictures((2, 8, 8, 3))
    result = augment.compile_images(augment.Policy())(images, SEED)
    assert result.dtype == tf.float32
    np.testing.assert_array_equal(result, images)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_flips_are_exact_mirrors(dtype):
    images = pictures((5, 8, 11, 3), dtype)
    across = run((augment.Flip(probability=1),), images)
    np.testing.assert_array_equal(across, np.flip(images, 2))
    vertical = run((augment.Flip(horizontal=False, vertical=True, probability=1),), images)
    np.testing.assert_array_equal(vertical, np.flip(images, 1))
    both = run((augment.Flip(vertical=True, probability=1),), images)
    np.testing.assert_array_equal(both, np.flip(images, (1, 2)))
    np.testing.assert_array_equal(run((augment.Flip(probability=0),), images), images)


def test_a_flip_inside_a_warp_is_the_same_mirror():
    images = pictures((5, 8, 11, 3))
    result = run((augment.Flip(probability=1), augment.Rotate(0)), images)
    np.testing.assert_array_equal(result, np.flip(images, 2))


def test_flips_happen_as_often_as_asked():
    images = np.tile(np.array([0, 255], np.uint8).reshape(1, 1, 2, 1), (4000, 1, 1, 1))
    flipped = run((augment.Flip(probability=0.3),), images)[:, 0, 0, 0] == 255
    assert 0.27 < flipped.mean() < 0.33


def test_colour_alone_moves_no_pixel():
    images = pictures((4, 8, 8, 1))
    result = run((augment.Brightness(0.2),), images)
    shift = (result - images)[(result > 0) & (result < 255)]
    assert len(np.unique(np.round(shift, 2))) == 4


def test_geometry_comes_before_colour():
    images = np.full((64, 8, 8, 1), 100, np.uint8)
    result = run((augment.Brightness(0.2), augment.Translate(0.5)), images, fill="constant")
    low, high = result.min(axis=(1, 2, 3)), result.max(axis=(1, 2, 3))
    # What the shift brought in, 0, is brightened as the rest is; the other order would leave it at 0.
    assert np.sum((low > 1) & (np.abs(high - low - 100) < 1e-3)) > 10


def test_the_policy_says_what_is_seen_beyond_the_edge():
    images = np.tile(np.arange(50, 66, dtype=np.uint8)[None, None, :, None], (32, 16, 1, 1))
    rows = {
        fill: run((augment.Translate(0.5),), images, fill=fill)[:, 8, :, 0]
        for fill in ("constant", "nearest", "reflect")
    }
    assert rows["constant"].min() == 0
    assert rows["nearest"].min() == rows["reflect"].min() == 50
    assert np.all(np.diff(rows["nearest"]) >= -1e-3)
    assert np.diff(rows["reflect"]).min() < -0.9
    np.testing.assert_array_equal(run((augment.Translate(0.5),), images)[:, 8, :, 0], rows["reflect"])


def ramp(count, side=33):
    """Images whose value is 1 a pixel to the right and 3 a pixel down, 127 at the centre."""
    y, x = np.mgrid[:side, :side] - side // 2
    return np.tile((127 + x + 3 * y).astype(np.float32)[None, ..., None], (count, 1, 1, 1))


def slopes(images, at=16):
    right = (images[:, at, at + 2, 0] - images[:, at, at - 2, 0]) / 4
    down = (images[:, at + 2, at, 0] - images[:, at - 2, at, 0]) / 4
    return right, down


def test_translation_covers_its_range():
    columns = np.tile(np.arange(33, dtype=np.float32)[None, None, :, None], (2000, 33, 1, 1))
    shift = 16 - run((augment.Translate(0.2),), columns)[:, 16, 16, 0]
    assert uniform(shift, -6.6, 6.6) > 0.01
    rows = np.swapaxes(columns, 1, 2)
    other = 16 - run((augment.Translate(0.2),), rows)[:, 16, 16, 0]
    assert uniform(other, -6.6, 6.6) > 0.01
    assert abs(np.corrcoef(shift, other)[0, 1]) < 0.06


def test_rotation_covers_its_range():
    right, down = slopes(run((augment.Rotate(15),), ramp(2000)))
    # The gradient (1, 3) turns with the image; y points down, so counter-clockwise is a falling angle.
    angle = np.rad2deg(np.arctan2(3, 1) - np.arctan2(down, right))
    assert uniform(angle, -15, 15) > 0.01
    np.testing.assert_allclose(np.hypot(right, down), np.hypot(1, 3), rtol=1e-3)


def test_zoom_covers_its_range():
    right, down = slopes(run((augment.Zoom(0.25),), ramp(2000)))
    assert uniform(1 / right, 0.75, 1.25) > 0.01
    np.testing.assert_allclose(down, 3 * right, rtol=1e-3)


def test_brightness_and_contrast_cover_their_ranges():
    grey = np.full((2000, 1, 1, 1), 128, np.uint8)
    assert uniform(run((augment.Brightness(0.2),), grey)[:, 0, 0, 0] - 128, -51, 51) > 0.01
    pair = np.tile(np.array([100, 140], np.uint8).reshape(1, 1, 2, 1), (2000, 1, 1, 1))
    result = run((augment.Contrast(0.5),), pair)
    assert uniform((result[:, 0, 1, 0] - result[:, 0, 0, 0]) / 40, 0.5, 1.5) > 0.01
    np.testing.assert_allclose(result.mean(axis=(1, 2, 3)), 120, atol=1e-2)


@pytest.mark.parametrize(
    ("images", "seed", "says"),
    [
        (np.zeros((1, 8, 8, 1), np.int64), SEED, "uint8 or float32 in 0-255, not int64"),
        (np.zeros((8, 8, 1), np.uint8), SEED, r"\(batch, height, width, channels\)"),
        (np.zeros((1, 8, 8, 1), np.uint8), 3, r"seed must be .* not int32 of shape \(\)"),
        (np.zeros((1, 8, 8, 1), np.uint8), (1.0, 2.0), "seed must be .* not float32"),
        (np.zeros((1, 8, 8, 1), np.uint8), (1, 2, 3, 4), "seed must be"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(images, seed, says):
    for policy in (FULL, augment.Policy()):
        with pytest.raises(augment.AugmentError, match=says):
            augment.compile_images(policy)(images, seed)


def test_the_refusal_survives_tf_data():
    fn = augment.compile_images(FULL)
    with pytest.raises(augment.AugmentError, match=r"^images must be .* not int64\.$"):
        tf.data.Dataset.from_tensors(np.zeros((1, 8, 8, 1), np.int64)).map(lambda x: fn(x, SEED))
