import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.utils.class_weight import compute_class_weight

from recipes.engine import data
from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources import splits

rng = np.random.default_rng(11)


def save(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def pictures(count):
    return rng.integers(0, 256, (count, 6, 6), dtype=np.uint8)


def load(source, **fields):
    return data.load(Data(source=str(source), **fields), progress=False)


def keys(subset):
    return {image.tobytes() for image in subset.inputs}


def test_digits_are_scikit_learns_scaled_to_255():
    examples = load("digits")
    bunch = load_digits()
    assert examples.classes == tuple("0123456789")
    assert sum(len(subset) for subset in examples.splits().values()) == 1797
    for subset in examples.splits().values():
        rows = [int(name.split("#")[1]) for name in subset.names]
        np.testing.assert_array_equal(subset.labels, bunch.target[rows])
        np.testing.assert_array_equal(subset.inputs[..., 0], np.rint(bunch.images[rows] * 255 / 16))


def test_the_made_split_is_stratified_disjoint_and_complete():
    examples = load("digits", validation=0.2, test=0.1)
    totals = np.bincount(load_digits().target)
    for subset, share in ((examples.validation, 0.2), (examples.test, 0.1)):
        assert np.abs(np.bincount(subset.labels) - share * totals).max() <= 1
    names = [name for subset in examples.splits().values() for name in subset.names]
    assert len(names) == len(set(names)) == 1797


def test_the_split_is_a_fixed_function_of_the_seed():
    first, again, other = load("digits"), load("digits"), load("digits", seed=1)
    assert first.fingerprint == again.fingerprint
    assert first.test.names == again.test.names
    assert set(first.test.names) != set(other.test.names)
    # Recorded once: what the split is on this platform must be what it is on every other.
    assert [int(name.split("#")[1]) for name in first.test.names[:6]] == [5, 12, 14, 16, 17, 19]
    with pytest.raises(UserError, match=r"data\.seed is -1"):
        load("digits", seed=-1)


def test_the_fingerprint_changes_with_a_pixel_and_with_a_label(tmp_path):
    x, y = pictures(20), np.arange(20) % 2
    base = load(save(tmp_path / "a.npz", x=x, y=y)).fingerprint
    brighter = x.copy()
    brighter[0, 0, 0] ^= 1
    assert load(save(tmp_path / "b.npz", x=brighter, y=y)).fingerprint != base
    assert load(save(tmp_path / "c.npz", x=x, y=1 - y)).fingerprint != base


@pytest.mark.parametrize(("validation", "test"), [(0.15, 0.15), (0.49, 0.5), (0.9, 0.05), (0.01, 0.01)])
def test_every_class_is_in_every_split_whatever_the_shares(tmp_path, validation, test):
    for count in range(3, 9):
        x, y = pictures(2 * count), np.arange(2 * count) % 2
        examples = load(save(tmp_path / "a.npz", x=x, y=y), validation=validation, test=test)
        for subset in examples.splits().values():
            assert set(subset.labels) == {0, 1}


def test_copies_stay_on_one_side_of_a_made_split_and_are_told(tmp_path):
    base = pictures(30)
    x = np.concatenate([base, base[:20], base[:10]])
    y = np.concatenate([np.arange(30) % 2, np.arange(20) % 2, np.arange(10) % 2])
    for seed in range(5):
        examples = load(save(tmp_path / "a.npz", x=x, y=y), seed=seed)
        train, validation, test = (keys(subset) for subset in examples.splits().values())
        assert not train & validation
        assert not train & test
        assert not validation & test
        assert sum(len(subset) for subset in examples.splits().values()) == 60
        assert "pixel for pixel: 30 (such as a.npz:x#30 = a.npz:x#0); they were kept in one split" in examples.notes[0]


def test_a_class_of_copies_fills_every_split_or_is_refused(tmp_path):
    base = pictures(8)
    x = np.concatenate([np.repeat(base[:3], 4, axis=0), base[3:]])
    y = np.array(["a"] * 12 + ["b"] * 5)
    examples = load(save(tmp_path / "a.npz", x=x, y=y))
    assert all(set(subset.labels) == {0, 1} for subset in examples.splits().values())
    x[8:12] = x[0]
    with pytest.raises(UserError, match=r"class 'a' in .* has too few different images: 2 among its 12"):
        load(save(tmp_path / "a.npz", x=x, y=y))


def test_copies_across_given_splits_are_told_and_kept(tmp_path):
    x, test = pictures(20), pictures(6)
    test[2], test[5] = x[4], x[7]
    arrays = {"x_train": x, "y_train": np.arange(20) % 2, "x_test": test, "y_test": np.arange(6) % 2}
    examples = load(save(tmp_path / "a.npz", **arrays, x_val=pictures(4), y_val=np.arange(4) % 2))
    assert len(examples.test) == 6
    assert examples.notes == (
        "2 images of the test split are in train too, pixel for pixel (such as a.npz:test#2 = a.npz:train#4): the test "
        "score flatters",
    )


def test_a_class_that_a_given_split_lacks_is_told(tmp_path):
    arrays = {"x_train": pictures(20), "y_train": np.arange(20) % 2, "x_test": pictures(3), "y_test": [1, 1, 1]}
    assert load(save(tmp_path / "a.npz", **arrays)).notes == ("the test split has no example of 0",)


def test_one_picture_in_two_classes_is_told(tmp_path):
    x = pictures(20)
    x[11] = x[0]
    examples = load(save(tmp_path / "a.npz", x=x, y=np.arange(20) % 2))
    assert any("two classes" in note and "a.npz:x#11 as 1 and a.npz:x#0 as 0" in note for note in examples.notes)


def test_limit_takes_training_examples_only_and_is_seeded():
    everything, few = load("digits"), load("digits", limit=5)
    assert np.bincount(few.train.labels).tolist() == [5] * 10
    assert set(few.train.names) <= set(everything.train.names)
    assert few.test.names == everything.test.names
    assert few.validation.names == everything.validation.names
    assert few.train.names == load("digits", limit=5).train.names


def test_uneven_classes_are_told_with_what_to_do(tmp_path):
    x, y = pictures(40), np.array(["few"] * 10 + ["many"] * 30)
    source = save(tmp_path / "a.npz", x=x, y=y)
    (note,) = load(source, validation=0.2, test=0.2).notes
    assert "18 training examples of many, 6 of few (ratio 3.0); consider --data.balance weights" in note
    (balanced,) = load(source, balance="weights").notes
    assert "consider" not in balanced
    assert load("digits").notes == ()


def test_class_weights_are_scikit_learns():
    labels = rng.integers(0, 4, 200)
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    np.testing.assert_allclose(data.class_weights(labels, 4), expected)
    np.testing.assert_array_equal(data.class_weights(np.array([0, 0, 2]), 3), [0.5, 0, 1])


def test_fitting_takes_first_come_first_served():
    assert splits.fitting(np.array([3, 1, 2, 1]), 4) == [0, 1]
    assert splits.fitting(np.array([5, 1, 2]), 3) == [1, 2]
    assert splits.fitting(np.array([5, 4, 9]), 3) == [1]


def test_arrays_are_resized_as_pillow_does_it(tmp_path):
    x = rng.integers(0, 256, (8, 10, 14, 3), dtype=np.uint8)
    examples = load(save(tmp_path / "a.npz", x=x, y=np.arange(8) % 2), size=5)
    for name, image in zip(examples.train.names, examples.train.inputs, strict=True):
        original = Image.fromarray(x[int(name.split("#")[1])])
        np.testing.assert_array_equal(image, np.asarray(original.resize((5, 5), Image.Resampling.BILINEAR)))


def test_a_share_of_nothing_holds_nothing_out_and_says_so():
    made = data.load(Data(source="digits", validation=0.0, test=0.2))
    whole = data.load(Data(source="digits", validation=0.15, test=0.2))
    assert len(made.train) == len(whole.train) + len(whole.validation)
    assert made.validation is made.train
    assert set(made.test.names) == set(whole.test.names), "the test split stays what it is"
    assert any("nothing was held out to choose on" in note for note in made.notes)
