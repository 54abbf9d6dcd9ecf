import numpy as np
import pytest

from recipes.engine import overlays
from recipes.engine.results import IGNORE, Shown

MASK = np.array([[0, 1], [2, IGNORE]], np.uint8)
CLASSES = ("background", "cat", "dog")


@pytest.mark.parametrize("count", [2, 7, 8, 40, 200])
def test_every_class_has_a_colour_of_its_own(count):
    table = overlays.colours(("background", *(f"c{n}" for n in range(count))))
    assert table.shape == (256, 3)
    assert table[0].tolist() == [0, 0, 0]
    assert len(np.unique(table[: count + 1], axis=0)) == count + 1
    assert table[IGNORE].tolist() == list(overlays.UNKNOWN)


def test_a_mask_picture_holds_the_indices(tmp_path):
    picture = overlays.mask_picture(MASK, CLASSES)
    assert picture.mode == "P"
    np.testing.assert_array_equal(np.asarray(picture), MASK)
    np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), overlays.colours(CLASSES)[MASK])


def test_background_and_unknown_pixels_show_the_image():
    image = np.full((2, 2, 1), 100, np.uint8)
    painted = overlays.overlay(image, MASK, CLASSES, opacity=0.5)
    assert painted[0, 0].tolist() == painted[1, 1].tolist() == [100, 100, 100]
    # Half the image, half the colour: (100 + 230) / 2, (100 + 159) / 2 rounded to even, (100 + 0) / 2.
    assert painted[0, 1].tolist() == [165, 130, 50]
    # Without a class of that name every class is painted.
    assert overlays.overlay(image, MASK, ("sky", "cat", "dog"))[0, 0].tolist() == [165, 130, 50]


def test_a_triptych_is_image_truth_and_answer():
    image = np.full((2, 2, 3), 100, np.uint8)
    shown = Shown("a", 0.5, image, MASK, np.zeros((2, 2), np.uint8))
    (picture,) = overlays.triptychs([shown], CLASSES)
    assert picture.shape == (2, 6, 3)
    np.testing.assert_array_equal(picture[:, :2], image)
    np.testing.assert_array_equal(picture[:, 2:4], overlays.overlay(image, MASK, CLASSES))
    np.testing.assert_array_equal(picture[:, 4:], image)
