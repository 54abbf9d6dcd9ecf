import numpy as np
import pytest
import tensorflow as tf

import augment
from augment import Brightness, Contrast, Flip, Policy, Rotate, Translate, Zoom

EVERYTHING = Policy((Flip(vertical=True), Translate(0.2), Rotate(30), Zoom(0.3), Brightness(0.1), Contrast(0.3)))


def pair(policy, images, masks, seed=(1, 2)):
    moved, after = augment.compile_segmentation(policy)(images, masks, tf.constant(seed, tf.int64))
    return moved.numpy(), after.numpy()


def blobs(count=6, size=24):
    """A disc of value 200 on 40, and the mask that says where it is."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    centres = rng.uniform(0.35 * size, 0.65 * size, (count, 2))
    masks = np.stack([(y - a) ** 2 + (x - b) ** 2 < (0.2 * size) ** 2 for a, b in centres]).astype(np.uint8)
    return (40 + 160 * masks)[..., None].astype(np.uint8), masks


@pytest.mark.parametrize("fill", ["reflect", "nearest", "constant"])
def test_the_image_is_what_it_would_be_alone(fill):
    images, masks = blobs()
    policy = Policy(EVERYTHING.ops, fill=fill)
    alone = augment.compile_images(policy)(images, tf.constant((1, 2), tf.int64)).numpy()
    np.testing.assert_array_equal(pair(policy, images, masks)[0], alone)


def test_the_mask_lies_where_the_image_shows_the_disc():
    images, masks = blobs()
    geometry_only = Policy(EVERYTHING.ops[:4])
    moved, after = pair(geometry_only, images, masks)
    assert not np.array_equal(after, masks)
    known = after != augment.IGNORE
    bright = moved[..., 0] > 120
    # Bilinear image, nearest mask: only the rim of a disc may differ.
    assert (bright == (after == 1))[known].mean() > 0.99
    assert (after == 1).sum() > 0.5 * masks.sum()


def test_a_shift_by_whole_pixels_fills_with_ignore():
    """Against a shift by hand: what comes in from outside the mask is unknown, whatever the image shows there."""
    masks = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    images = masks[..., None]
    seed = next(seed for seed in range(200) if np.all(np.abs(np.abs(_shift(seed)) - 1) < 0.3))
    policy = Policy((Translate(0.5),))
    _, after = pair(policy, images, masks, (seed, 0))
    expected = np.full((1, 4, 4), 255, np.uint8)
    dx, dy = np.rint(_shift(seed)).astype(int)
    for row in range(4):
        for column in range(4):
            if 0 <= row - dy < 4 and 0 <= column - dx < 4:
                expected[0, row, column] = masks[0, row - dy, column - dx]
    np.testing.assert_array_equal(after, expected)
    assert (after == 255).any()


def _shift(seed):
    """The shift in pixels, x and y, that `Translate(0.5)` draws for one image of 4 pixels from this seed."""
    return (2 * tf.random.stateless_uniform((1, 1, 2), (seed, 0), alg="philox").numpy()[0, 0] - 1) * 0.5 * 4


def test_no_class_is_made_up():
    rng = np.random.default_rng(0)
    masks = rng.choice(np.array([0, 3, 7, 200], np.uint8), (5, 16, 16))
    _, after = pair(EVERYTHING, np.zeros((5, 16, 16, 1), np.uint8), masks)
    assert set(np.unique(after)) <= {0, 3, 7, 200, 255}
    assert after.dtype == np.uint8


def test_a_flip_alone_loses_nothing():
    images, masks = blobs()
    moved, after = pair(Policy((Flip(),)), images, masks)
    assert any(np.array_equal(a, b[:, ::-1]) and not np.array_equal(a, b) for a, b in zip(after, masks, strict=True))
    np.testing.assert_array_equal(moved[..., 0] > 120, after == 1)
    assert 255 not in after


@pytest.mark.parametrize("policy", [Policy(), Policy((Brightness(0.2), Contrast(0.2)))])
def test_without_geometry_masks_stay(policy):
    images, masks = blobs()
    moved, after = pair(policy, images, masks)
    np.testing.assert_array_equal(after, masks)
    assert moved.dtype == np.float32


def test_it_runs_inside_tf_data():
    images, masks = blobs()
    transform = augment.compile_segmentation(EVERYTHING)
    stream = tf.data.Dataset.from_tensors((images, masks)).map(lambda a, b: transform(a, b, tf.constant((1, 2))))
    moved, after = next(iter(stream))
    expected = pair(EVERYTHING, images, masks)
    np.testing.assert_array_equal(moved, expected[0])
    np.testing.assert_array_equal(after, expected[1])


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        (np.zeros((2, 4, 4, 1), np.uint8), r"\(2, 4, 4, 1\)"),
        (np.zeros((2, 4, 4), np.int64), "int64"),
    ],
)
def test_other_masks_are_refused(masks, words):
    with pytest.raises(augment.AugmentError, match=words):
        pair(EVERYTHING, np.zeros((2, 4, 4, 1), np.uint8), masks)
