import numpy as np
import pytest
import tensorflow as tf

import augment
from augment import colour


def recolour(images, ops, firsts):
    images = tf.cast(images, tf.float32)
    draws = [tf.fill((len(images), 2), first) for first in firsts]
    matrix, offset = colour.matrices(ops, draws, mean=tf.reduce_mean(images, axis=(1, 2)))
    return colour.recolour(images, matrix, offset).numpy()


@pytest.fixture(params=[(8, 8, 1), (9, 12, 3), (4, 4, 5)])
def images(request):
    return np.random.default_rng(1).integers(0, 256, (3, *request.param)).astype(np.float32)


def test_brightness_adds_a_share_of_the_range(images):
    # A draw of 0.75 is half way from the middle to the upper end: 0.2 * 0.5 * 255.
    np.testing.assert_allclose(
        recolour(images, (augment.Brightness(0.2),), (0.75,)), np.clip(images + 25.5, 0, 255), atol=1e-3
    )


def test_contrast_agrees_with_tensorflow(images):
    expected = np.clip(tf.image.adjust_contrast(images, 1.4), 0, 255)
    np.testing.assert_allclose(recolour(images, (augment.Contrast(0.4),), (1.0,)), expected, atol=1e-2)


def test_operations_compose_in_their_order(images):
    bright = images + 255 * 0.5
    expected = np.clip(tf.image.adjust_contrast(bright, 0.2), 0, 255)
    both = recolour(images, (augment.Brightness(0.5), augment.Contrast(0.8)), (1.0, 0.0))
    np.testing.assert_allclose(both, expected, atol=1e-2)
    expected = np.clip(tf.image.adjust_contrast(images, 0.2) + 255 * 0.5, 0, 255)
    both = recolour(images, (augment.Contrast(0.8), augment.Brightness(0.5)), (0.0, 1.0))
    np.testing.assert_allclose(both, expected, atol=1e-2)


def test_a_matrix_may_mix_channels():
    images = np.random.default_rng(2).uniform(0, 255, (2, 5, 5, 3)).astype(np.float32)
    matrix = np.random.default_rng(3).uniform(0, 1 / 3, (2, 3, 3)).astype(np.float32)
    expected = np.einsum("bhwi,boi->bhwo", images, matrix)
    assert expected.max() < 255
    np.testing.assert_allclose(colour.recolour(images, matrix, np.zeros((2, 3), np.float32)), expected, rtol=1e-4)
