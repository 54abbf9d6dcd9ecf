import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

import augment

COUNT = 64


def batch(height=9, width=12, channels=3):
    """Images that are all of one value, their index, each a class of its own."""
    images = np.ones((COUNT, height, width, channels), np.float32)
    images *= np.arange(COUNT, dtype=np.float32)[:, None, None, None]
    return images, np.eye(COUNT, dtype=np.float32)


def run(ops, images, labels, seed=(1, 2)):
    images, labels = augment.compile_mix(ops)(images, labels, seed)
    assert images.dtype == labels.dtype == tf.float32
    return images.numpy(), labels.numpy()


def weights(labels):
    """The weight of each example's own label; the rest is its partner's."""
    own = np.diag(labels)
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    assert np.all(labels >= 0)
    assert np.all((labels > 0).sum(axis=1) <= 2)
    return own


@pytest.mark.parametrize("size", [(9, 12, 3), (8, 8, 1)])
def test_mixup_blends_images_as_it_blends_labels(size):
    images, labels = run((augment.MixUp(1.0),), *batch(*size))
    own = weights(labels)
    assert 0.3 < own.mean() < 0.8
    values = labels @ np.arange(COUNT)
    np.testing.assert_allclose(images, np.broadcast_to(values[:, None, None, None], images.shape), atol=1e-3)


def test_mixup_stays_between_the_two_images():
    rng = np.random.default_rng(0)
    source = rng.integers(0, 256, (COUNT, 8, 8, 1), np.uint8)
    images, labels = run((augment.MixUp(0.5),), source, np.eye(COUNT))
    for i in range(COUNT):
        partner = int(np.argmax(np.where(np.arange(COUNT) == i, -1, labels[i])))
        low, high = np.minimum(source[i], source[partner]), np.maximum(source[i], source[partner])
        assert np.all(images[i] >= low - 1e-3)
        assert np.all(images[i] <= high + 1e-3)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_the_weight_follows_the_beta_distribution(alpha):
    drawn = []
    for step in range(20):
        _, labels = run((augment.MixUp(alpha),), *batch(1, 1, 1), seed=(3, step))
        own = weights(labels)
        drawn.append(own[(labels > 0).sum(axis=1) == 2])
    drawn = np.concatenate(drawn).astype(np.float64)
    assert len(drawn) > 1000
    assert scipy.stats.kstest(drawn, scipy.stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_a_tiny_alpha_gives_no_nan():
    images, labels = run((augment.MixUp(0.01),), *batch())
    assert np.all(np.isfinite(images))
    weights(labels)


@pytest.mark.parametrize("size", [(9, 12, 3), (8, 8, 1), (1, 1, 1)])
def test_cutmix_weighs_labels_by_the_pasted_area(size):
    images, labels = run((augment.CutMix(1.0),), *batch(*size))
    own = weights(labels)
    for i in range(COUNT):
        pasted = images[i, ..., 0] != i
        assert np.all(images[i] == images[i, ..., :1])
        if not pasted.any():
            assert own[i] == 1
            continue
        rows, columns = np.flatnonzero(pasted.any(axis=1)), np.flatnonzero(pasted.any(axis=0))
        box = pasted[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert box.all()
        partner = np.unique(images[i][pasted])
        assert len(partner) == 1
        np.testing.assert_allclose(labels[i, int(partner[0])], pasted.mean(), atol=1e-6)
        np.testing.assert_allclose(own[i], 1 - pasted.mean(), atol=1e-6)


def test_the_box_has_the_proportions_of_the_image_and_the_drawn_area():
    # So large an alpha draws a half each time: a box that no edge cuts has sides of sqrt(1/2) of the image's.
    images, _ = run((augment.CutMix(1000),), *batch(100, 200, 1))
    pasted = images[..., 0] != np.arange(COUNT)[:, None, None]
    for side, size in ((pasted.any(axis=2), 100), (pasted.any(axis=1), 200)):
        whole = side[side.any(axis=1) & ~side[:, 0] & ~side[:, -1]]
        assert len(whole) > 5
        np.testing.assert_allclose(whole.sum(axis=1) / size, np.sqrt(0.5), atol=0.04)


def test_boxes_reach_every_pixel():
    touched = np.zeros((8, 8), bool)
    for step in range(4):
        images, _ = run((augment.CutMix(1.0),), *batch(8, 8, 1), seed=(7, step))
        touched |= (images[..., 0] != np.arange(COUNT)[:, None, None]).any(axis=0)
    assert touched.all()


def test_with_both_each_batch_draws_one():
    kinds = []
    for step in range(40):
        images, labels = run((augment.MixUp(1.0), augment.CutMix(1.0)), *batch(8, 8, 1), seed=(0, step))
        weights(labels)
        flat = images.reshape(COUNT, -1)
        kinds.append(bool(np.all(flat == flat[:, :1])))
        if not kinds[-1]:
            assert np.all(flat == np.round(flat))
    assert 10 < sum(kinds) < 30


def test_same_seed_same_result_whoever_asks():
    fn = augment.compile_mix((augment.MixUp(0.3), augment.CutMix(1.0)))
    images, labels = batch()
    for seed in ((4, 5), (4, 6), (4, 6, 1)):
        expected = fn(images, labels, seed)
        data = tf.data.Dataset.from_tensors((images, labels)).repeat(2)
        for got in data.map(lambda x, y, seed=seed: fn(x, y, seed), num_parallel_calls=2):
            np.testing.assert_array_equal(expected[0], got[0])
            np.testing.assert_array_equal(expected[1], got[1])
    assert np.any(fn(images, labels, (4, 5))[0] != fn(images, labels, (4, 7))[0])


def test_nothing_to_mix_only_casts():
    source = np.full((2, 4, 4, 1), 7, np.uint8)
    images, labels = run((), source, np.eye(2, dtype=np.int32))
    np.testing.assert_array_equal(images, source)
    np.testing.assert_array_equal(labels, np.eye(2))


def test_bad_input_is_refused_in_one_sentence():
    images, labels = batch()
    with pytest.raises(augment.AugmentError, match="a tuple of MixUp and CutMix records"):
        augment.compile_mix(augment.MixUp(0.2))
    with pytest.raises(augment.AugmentError, match="a tuple of MixUp and CutMix records"):
        augment.compile_mix((augment.Flip(),))
    with pytest.raises(augment.AugmentError, match=r"labels must be one-hot, of shape \(batch, classes\)"):
        augment.compile_mix((augment.MixUp(0.2),))(images, labels[:, 0], (1, 2))
