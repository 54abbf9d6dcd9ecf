"""The warp against numpy, SciPy and Pillow."""

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from PIL import Image

import augment
from augment import geometry

SIZES = [(8, 8, 1), (9, 12, 3), (1, 5, 2)]


def pictures(height, width, channels, *, count=2, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), np.uint8)


def affine(a=1.0, b=0.0, x=0.0, c=0.0, d=1.0, y=0.0):
    return np.array([[a, b, x], [c, d, y], [0, 0, 1]], np.float32)


def turn(degrees):
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return affine(cos, sin, 0, -sin, cos, 0)


def warp(images, matrix, **options):
    matrices = tf.tile(tf.constant(matrix)[None], (len(images), 1, 1))
    return augment.warp(images, matrices, **options).numpy()


def of(op, first, second=0.5, *, height=8, width=8):
    """The matrix of one operation for given draws."""
    return geometry.matrices((op,), (tf.constant([[first, second]]),), height=height, width=width).numpy()[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fill", ["reflect", "nearest", "constant"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_the_identity_changes_no_bit(size, fill, interpolation):
    images = pictures(*size)
    np.testing.assert_array_equal(
        warp(images, np.eye(3, dtype=np.float32), fill=fill, interpolation=interpolation), images
    )


@pytest.mark.parametrize(("fill", "mode"), [("constant", "constant"), ("nearest", "edge"), ("reflect", "symmetric")])
@pytest.mark.parametrize(("x", "y"), [(3, 0), (0, -2), (-4, 5), (20, 1)])
def test_a_shift_by_whole_pixels_is_a_slice_of_the_padded_image(fill, mode, x, y):
    images = pictures(9, 12, 3)
    padded = np.pad(images, ((0, 0), (30, 30), (30, 30), (0, 0)), mode=mode)
    expected = padded[:, 30 - y : 39 - y, 30 - x : 42 - x]
    np.testing.assert_array_equal(warp(images, affine(x=x, y=y), fill=fill), expected)


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize(("degrees", "times"), [(90, 1), (-90, -1), (180, 2)])
def test_quarter_turns_are_rot90_counter_clockwise(side, degrees, times):
    images = pictures(side, side, 3)
    expected = np.rot90(images, times, axes=(1, 2))
    for fill in ("reflect", "nearest", "constant"):
        np.testing.assert_allclose(warp(images, turn(degrees), fill=fill), expected, atol=1e-3)
        np.testing.assert_array_equal(warp(images, turn(degrees), fill=fill, interpolation="nearest"), expected)


def test_a_mask_keeps_its_type_and_labels():
    masks = pictures(16, 16, 1).astype(np.int32) * 1000
    moved = warp(masks, turn(30), interpolation="nearest")
    assert moved.dtype == np.int32
    assert set(np.unique(moved)) <= set(np.unique(masks))


@pytest.mark.parametrize(
    ("fill", "mode"), [("reflect", "reflect"), ("nearest", "nearest"), ("constant", "grid-constant")]
)
@pytest.mark.parametrize("size", [(13, 17), (8, 8)])
def test_any_affine_map_agrees_with_scipy(fill, mode, size):
    height, width = size
    images = pictures(height, width, 1)
    matrix = affine(0.7, 0.4, 2.3, -0.5, 1.2, -1.6)
    # SciPy maps result indices (row, column) to source indices.
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    back = np.linalg.inv(matrix.astype(np.float64))[:2][::-1][:, [1, 0, 2]]
    offset = centre + back[:, 2] - back[:, :2] @ centre
    expected = [
        scipy.ndimage.affine_transform(image[..., 0].astype(np.float64), back[:, :2], offset, order=1, mode=mode)
        for image in images
    ]
    np.testing.assert_allclose(warp(images, matrix, fill=fill)[..., 0], expected, atol=2e-3)


@pytest.mark.parametrize("scale", [0.8, 1.25])
def test_zoom_agrees_with_pillow_inside_the_image(scale):
    height, width = 20, 26
    image = pictures(height, width, 1, count=1)
    # Pillow counts from the corner, half a pixel before the first centre, and maps result to source.
    data = (1 / scale, 0, width / 2 * (1 - 1 / scale), 0, 1 / scale, height / 2 * (1 - 1 / scale))
    pillow = Image.fromarray(image[0, ..., 0].astype(np.float32)).transform(
        (width, height), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR
    )
    ours = warp(image, affine(scale, d=scale), fill="nearest")[0, ..., 0]
    inner = slice(4, -4), slice(4, -4)
    np.testing.assert_allclose(ours[inner], np.asarray(pillow)[inner], atol=1e-2)


def test_draws_span_the_ranges():
    np.testing.assert_allclose(of(augment.Rotate(90), 1.0), turn(90), atol=1e-6)
    np.testing.assert_allclose(of(augment.Rotate(90), 0.0), turn(-90), atol=1e-6)
    np.testing.assert_allclose(of(augment.Zoom(0.25), 1.0), affine(1.25, d=1.25))
    np.testing.assert_allclose(of(augment.Zoom(0.25), 0.0), affine(0.75, d=0.75))
    np.testing.assert_allclose(of(augment.Translate(0.25), 1.0, 0.0, height=8, width=20), affine(x=5, y=-2), atol=1e-6)
    np.testing.assert_array_equal(of(augment.Flip(vertical=True), 0.4, 0.6), affine(-1))
    np.testing.assert_array_equal(of(augment.Flip(vertical=True), 0.6, 0.4), affine(d=-1))


def test_the_first_operation_is_applied_first():
    shift, quarter = augment.Translate(0.25), augment.Rotate(90)
    right, left_turn = tf.constant([[1.0, 0.5]]), tf.constant([[1.0, 0.5]])
    size = {"height": 8, "width": 8}
    images = pictures(8, 8, 3)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    shifted = padded[:, 2:-2, :-4]
    together = geometry.matrices((shift, quarter), (right, left_turn), **size).numpy()[0]
    np.testing.assert_allclose(together, turn(90) @ affine(x=2), atol=1e-6)
    np.testing.assert_allclose(warp(images, together, fill="constant"), np.rot90(shifted, axes=(1, 2)), atol=1e-3)
    turned = np.pad(np.rot90(images, axes=(1, 2)), ((0, 0), (2, 2), (2, 2), (0, 0)))[:, 2:-2, :-4]
    other = geometry.matrices((quarter, shift), (left_turn, right), **size).numpy()[0]
    np.testing.assert_allclose(warp(images, other, fill="constant"), turned, atol=1e-3)


def test_a_point_goes_where_its_pixel_goes():
    image = np.zeros((1, 31, 41, 1), np.float32)
    image[0, 5, 30] = 255
    matrix = affine(0.9, 0.3, 4, -0.2, 1.1, 3)
    x, y, _ = matrix @ [30 - 20, 5 - 15, 1]
    moved = warp(image, matrix, fill="constant")[0, ..., 0]
    row, column = scipy.ndimage.center_of_mass(moved)
    assert abs(column - (x + 20)) < 0.3
    assert abs(row - (y + 15)) < 0.3
