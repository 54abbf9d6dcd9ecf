import numpy as np
import pytest

from recipes.engine import data
from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources import memory

rng = np.random.default_rng(5)
X = rng.integers(0, 256, (20, 6, 6), dtype=np.uint8)
Y = np.arange(20) % 2


def load(path, *, fields=None, **arrays):
    np.savez_compressed(path, **arrays)
    return data.load(Data(source=str(path), **(fields or {})), progress=False)


def by_row(examples):
    return {
        int(name.split("#")[1]): (image, examples.classes[label])
        for subset in examples.splits().values()
        for image, label, name in zip(subset.inputs, subset.labels, subset.names, strict=True)
    }


@pytest.mark.parametrize("keys", [("x", "y"), ("images", "labels"), ("X", "Y")])
def test_images_and_labels_come_back(tmp_path, keys):
    found = by_row(load(tmp_path / "a.npz", **dict(zip(keys, (X, Y), strict=True))))
    assert len(found) == 20
    for row, (image, label) in found.items():
        np.testing.assert_array_equal(image[..., 0], X[row])
        assert label == str(Y[row])


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (X / 255, X),
        ((X / 255).astype(np.float16), X),
        (X.astype(np.int64), X),
        (X > 127, (X > 127) * np.uint8(255)),
    ],
    ids=["float64", "float16", "int64", "bool"],
)
def test_other_number_types(tmp_path, x, expected):
    found = by_row(load(tmp_path / "a.npz", x=x, y=Y))
    for row, (image, _) in found.items():
        np.testing.assert_array_equal(image[..., 0], expected[row])


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last(tmp_path, channels):
    x = rng.integers(0, 256, (20, 4, 5, channels), dtype=np.uint8)
    assert load(tmp_path / "a.npz", x=x, y=Y).shape == (4, 5, channels)


def test_rgb_that_holds_no_colour_is_grey_and_grey_becomes_rgb(tmp_path):
    x = np.repeat(X[..., None], 3, axis=-1)
    assert load(tmp_path / "a.npz", x=x, y=Y).shape == (6, 6, 1)
    assert load(tmp_path / "a.npz", x=x, y=Y, fields={"color": "rgb"}).shape == (6, 6, 3)
    np.testing.assert_array_equal(by_row(load(tmp_path / "a.npz", x=X, y=Y, fields={"color": "rgb"}))[3][0], x[3])


@pytest.mark.parametrize("form", ["{kind}_{split}", "{split}_{long}"])
def test_given_splits(tmp_path, form):
    arrays = {}
    for split, count in (("train", 20), ("val", 4), ("test", 6)):
        images = rng.integers(0, 256, (count, 6, 6), dtype=np.uint8)
        arrays[form.format(split=split, kind="x", long="images")] = images
        arrays[form.format(split=split, kind="y", long="labels")] = (np.arange(count) % 2)[:, None]
    examples = load(tmp_path / "a.npz", **arrays)
    assert [len(subset) for subset in examples.splits().values()] == [20, 4, 6]


def test_validation_is_taken_from_train_where_only_test_is_given(tmp_path):
    examples = load(
        tmp_path / "a.npz", x_train=X, y_train=Y, x_test=X[:4] ^ 1, y_test=Y[:4], fields={"validation": 0.2}
    )
    assert [len(subset) for subset in examples.splits().values()] == [16, 4, 4]
    assert all(":train#" in name for name in examples.validation.names)


def test_text_labels_and_class_names(tmp_path):
    names = np.array(["owl", "cat"])
    assert load(tmp_path / "a.npz", x=X, y=names[Y]).classes == ("cat", "owl")
    given = load(tmp_path / "a.npz", x=X, y=Y, classes=names)
    assert given.classes == ("owl", "cat")
    assert by_row(given)[3][1] == "cat"
    assert by_row(load(tmp_path / "a.npz", x=X, y=names[Y], classes=names))[3][1] == "cat"
    assert load(tmp_path / "a.npz", x=X, y=Y.astype(np.float64)).classes == ("0", "1")
    assert load(tmp_path / "a.npz", x=X, y=names[Y].astype("S")).classes == ("cat", "owl")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X * 1.0, "y": Y}, r"x in .*a\.npz has float64 values from 0 to 25\d; scale them to 0-1"),
        ({"x": X / 255 - 0.5, "y": Y}, "from -0.5 to 0.5; scale them to 0-1"),
        ({"x": X.astype(np.int16) - 1, "y": Y}, "int16 values from -1 to 25"),
        ({"x": np.where(X[0, 0, 0] == X, np.nan, X / 255), "y": Y}, "x in .* has NaN"),
        ({"x": X, "y": np.where(Y == 0, np.nan, 1.0)}, "y in .* has float64 values that are no whole numbers"),
        ({"x": X, "y": Y + 0.5}, "no whole numbers"),
        ({"x": X, "y": Y[:-1]}, "20 images in x and 19 labels in y"),
        ({"x": X.reshape(20, 36), "y": Y}, r"x in .* has shape \(20, 36\)"),
        ({"x": X[:0], "y": Y[:0]}, r"has shape \(0, 6, 6, 1\)"),
        ({"x": np.zeros((20, 3, 6, 6), np.uint8), "y": Y}, r"has 6 channels \(its shape is \(20, 3, 6, 6\)\)"),
        ({"x": X, "y": np.eye(2)[Y]}, r"y in .* has shape \(20, 2\); labels are one number"),
        ({"x": X.astype("U"), "y": Y}, "has values of type <U"),
        ({"x": X}, "has the arrays x; it needs x and y"),
        ({"x_test": X, "y_test": Y}, "it needs x and y, or x_train and y_train"),
        ({"x": X, "y": Y, "x_train": X, "y_train": Y}, "it needs x and y, or"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :4], "y_test": Y}, "different shapes"),
        ({"x": X, "y": Y, "classes": np.array(["one"])}, "the label '1', but classes has 1 names"),
        ({"x": X, "y": Y - 1, "classes": np.array(["a", "b"])}, "the label '-1', but"),
        ({"x": X, "y": Y, "classes": np.array(["a", "a"])}, "names a class twice"),
        ({"x": X, "y": Y, "classes": np.array(["a", "b", "c"])}, "class 'c' in .* too few examples: 0"),
        ({"x": X, "y": Y * 0}, r"one class only \(0\)"),
        ({"x": X, "y": np.r_[Y[:19], 2]}, "class '2' in .* too few examples: 1"),
    ],
)
def test_arrays_that_do_not_fit_are_one_sentence(tmp_path, arrays, message):
    with pytest.raises(UserError, match=message) as error:
        load(tmp_path / "a.npz", **arrays)
    assert "a.npz" in str(error.value)
    assert "\n" not in str(error.value)


def test_python_objects_are_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    with pytest.raises(UserError, match="holds Python objects, which are not read"):
        load(tmp_path / "a.npz", x=np.array([Bomb()] * 4, dtype=object), y=Y)


def test_damaged_archives(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=X, y=Y)
    good = path.read_bytes()
    cases = {"cut": good[: len(good) // 2], "empty": b"", "text": b"hello", "array": b"\x93NUMPY\x01\x00"}
    cases["flipped"] = good[:200] + bytes(value ^ 255 for value in good[200:260]) + good[260:]
    for content in cases.values():
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.npz is not an \.npz archive, or it is damaged"):
            data.load(Data(source=str(path)), progress=False)


def test_an_archive_that_does_not_fit_in_memory_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1000)
    monkeypatch.setattr(np, "load", lambda *a, **k: pytest.fail("loaded"))
    with pytest.raises(UserError, match="GiB of memory"):
        load(tmp_path / "a.npz", x=X, y=Y)


def test_no_permission(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", x=X, y=Y)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("zipfile.ZipFile", refuse)
    with pytest.raises(UserError, match=r"no permission to read .*a\.npz"):
        data.load(Data(source=str(tmp_path / "a.npz")), progress=False)
