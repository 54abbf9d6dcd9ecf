"""Images with masks: folders and archives, what is refused, how they are split."""

import numpy as np
import pytest
from PIL import Image

from recipes.engine import Data, data
from recipes.engine.errors import UserError
from recipes.engine.results import IGNORE
from recipes.engine.sources import splits
from recipes.engine.sources.raw import Raw

rng = np.random.default_rng(0)


def picture(size=(6, 8)):
    return rng.integers(0, 256, size, dtype=np.uint8)


def mask(size=(6, 8), classes=3):
    values = rng.integers(0, classes, size).astype(np.uint8)
    values.flat[:classes] = range(classes)
    return values


def write(root, count=6, *, make=mask, names=None):
    """`count` pairs in `root`; gives their masks by stem."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    made = {}
    for number in range(count):
        stem = names[number] if names else f"cell{number}"
        Image.fromarray(picture()).save(root / "images" / f"{stem}.png")
        made[stem] = make()
        Image.fromarray(made[stem]).save(root / "masks" / f"{stem}.png")
    return made


def load(root, **fields):
    return data.load(Data(source=str(root), **fields), progress=False)


def by_stem(examples):
    return {
        name.rpartition("/")[2].rpartition(".")[0]: label
        for part in examples.splits().values()
        for name, label in zip(part.names, part.labels, strict=True)
    }


def test_a_folder_of_images_and_masks(tmp_path):
    made = write(tmp_path, 12)
    examples = load(tmp_path)
    assert examples.task == "segment"
    assert examples.classes == ("0", "1", "2")
    assert examples.shape == (6, 8, 1)
    found = by_stem(examples)
    assert set(found) == set(made)
    for stem, values in made.items():
        np.testing.assert_array_equal(found[stem], values)
        assert found[stem].dtype == np.uint8
    assert [len(part) for part in examples.splits().values()] == [8, 2, 2]
    assert any("pixels of the train split: 0 3" in note for note in examples.notes)
    assert load(tmp_path).fingerprint == examples.fingerprint
    assert load(tmp_path, seed=1).fingerprint != examples.fingerprint


def test_folders_of_splits_and_names_of_classes(tmp_path):
    for split, count in (("train", 4), ("val", 2), ("test", 1)):
        write(tmp_path / split, count, names=[f"{split}{n}" for n in range(count)])
    (tmp_path / "classes.txt").write_text("sky\nsea\nland\nroad\n")
    examples = load(tmp_path)
    assert examples.classes == ("sky", "sea", "land", "road")
    assert [len(part) for part in examples.splits().values()] == [4, 2, 1]
    assert all(name.startswith("val/images/val") for name in examples.validation.names)
    assert any("has no pixel of road" in note for note in examples.notes)


def test_palette_masks_keep_their_indices_and_black_and_white_is_two_classes(tmp_path):
    made = write(tmp_path / "a", 4)
    for stem, values in made.items():
        image = Image.fromarray(values).convert("P")
        image.putdata(values.ravel().tolist())
        image.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
        image.save(tmp_path / "a" / "masks" / f"{stem}.png")
    found = by_stem(load(tmp_path / "a"))
    for stem, values in made.items():
        np.testing.assert_array_equal(found[stem], values)

    made = write(tmp_path / "b", 4, make=lambda: mask(classes=2) * np.uint8(255))
    examples = load(tmp_path / "b")
    assert examples.classes == ("background", "foreground")
    for stem, values in by_stem(examples).items():
        np.testing.assert_array_equal(values, made[stem] // 255)


def test_255_beside_classes_is_ignored_and_not_counted(tmp_path):
    def make():
        values = mask()
        values[-1, -1] = IGNORE
        return values

    write(tmp_path, 4, make=make)
    examples = load(tmp_path)
    assert examples.classes == ("0", "1", "2")
    assert (examples.train.labels[:, -1, -1] == IGNORE).all()
    assert any("2.1% of all pixels are ignored" in note for note in examples.notes)


def test_masks_follow_the_size_of_the_images_by_the_nearest_pixel(tmp_path):
    write(tmp_path, 4, make=lambda: np.repeat(np.repeat(mask((3, 4)), 2, 0), 2, 1))
    full = by_stem(load(tmp_path))
    small = by_stem(load(tmp_path, size=24))
    for stem, values in small.items():
        assert values.shape == (24, 24)
        np.testing.assert_array_equal(values, np.repeat(np.repeat(full[stem], 4, 0), 3, 1))


def break_missing(root):
    (root / "masks" / "cell1.png").unlink()


def break_left_over(root):
    (root / "images" / "cell1.png").unlink()


def break_size(root):
    Image.fromarray(mask((6, 7))).save(root / "masks" / "cell1.png")


def break_colours(root):
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(root / "masks" / "cell1.png")


def break_values(root):
    (root / "classes.txt").write_text("sky\nsea\n")


def break_grey(root):
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(root / "masks" / "cell1.png")


def break_bytes(root):
    (root / "masks" / "cell1.png").write_bytes(b"\x89PNG\r\n\x1a\n spoilt")


def break_one_class(root):
    for path in (root / "masks").iterdir():
        Image.fromarray(np.zeros((6, 8), np.uint8)).save(path)


def break_names(root):
    (root / "classes.txt").write_text("sky\nsky\n")


def break_twice(root):
    Image.fromarray(picture()).save(root / "images" / "cell1.jpg")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (break_missing, r"1 of 6 files in .*images have no mask of the same name \(.bmp, .png\): cell1.png"),
        (break_left_over, r"1 of 6 files in .*masks have no image of the same name"),
        (break_size, r"cell1.png has 7×6 pixels and its image 8×6"),
        (break_colours, r"cell1.png is a picture in colours \(RGB\); a mask holds class indices"),
        (break_values, r"cell0.png .* has the value 2, and there are 2 classes, 0 to 1"),
        (break_grey, r"have 48 values up to 47, which are probably no class indices"),
        (break_bytes, r"cell1.png cannot be read"),
        (break_one_class, r"hold class 0 only"),
        (break_names, r"must name at least two classes, each once"),
        (break_twice, r"has two files named cell1"),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_sentence(tmp_path, damage, words):
    write(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=words) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_of_class_folders_stays_one(tmp_path):
    for name in ("images", "maps"):
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.fromarray(picture()).save(tmp_path / name / f"{number}.png")
    assert load(tmp_path).task == "classify"


def archive(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_an_archive(tmp_path):
    images, masks = np.stack([picture() for _ in range(8)]), np.stack([mask() for _ in range(8)])
    examples = load(archive(tmp_path / "a.npz", images=images, masks=masks, classes=np.array(["a", "b", "c"])))
    assert (examples.task, examples.classes, examples.shape) == ("segment", ("a", "b", "c"), (6, 8, 1))
    for part in examples.splits().values():
        for image, label in zip(part.inputs, part.labels, strict=True):
            row = next(i for i in range(8) if np.array_equal(images[i], image[..., 0]))
            np.testing.assert_array_equal(label, masks[row])

    split = archive(
        tmp_path / "b.npz",
        train_images=images[:5],
        train_masks=masks[:5].astype(np.int64),
        val_images=images[5:6],
        val_masks=masks[5:6],
        test_images=images[6:],
        test_masks=masks[6:, ..., None],
    )
    assert [len(part) for part in load(split).splits().values()] == [5, 1, 2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"masks": np.zeros((4, 6, 7), np.uint8)},
            r"masks in .* has shape \(4, 6, 7\); images need masks of \(4, 6, 8\)",
        ),
        ({"masks": np.full((4, 6, 8), -1)}, "values from -1 to -1"),
        ({"masks": np.zeros((4, 6, 8))}, "float64 values"),
        ({"train_masks": np.zeros((4, 6, 8), np.uint8)}, "train_images and train_masks come together"),
    ],
)
def test_what_is_wrong_with_an_archive_is_one_sentence(tmp_path, changes, words):
    arrays = {"images": np.stack([picture() for _ in range(4)]), "masks": np.stack([mask() for _ in range(4)])}
    with pytest.raises(UserError, match=words) as caught:
        load(archive(tmp_path / "a.npz", **{**arrays, **changes}))
    assert "\n" not in str(caught.value)


def raw(count, same=()):
    images = rng.integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)
    for first, second in same:
        images[second] = images[first]
    return Raw(images, np.zeros((count, 4, 4), np.uint8), tuple(map(str, range(count))), None, ("a", "b"), "made")


def test_copies_stay_on_one_side_and_a_limit_takes_so_many_images():
    made = raw(20, same=[(0, 1), (0, 2), (5, 6)])
    same = np.arange(20)
    same[[1, 2, 6]] = 0, 0, 5
    for seed in range(10):
        split = splits.scatter(made, Data(validation=0.2, test=0.2, seed=seed), same)
        assert len(set(split[[0, 1, 2]])) == len(set(split[[5, 6]])) == 1
        assert {1, 2} < set(split.tolist())
        assert 2 <= (split == 1).sum() <= 5
    limited = splits.scatter(made, Data(limit=3), same)
    assert (limited == 0).sum() == 3
    with pytest.raises(UserError, match="too few different images to train on: 2, where it needs at least 3"):
        splits.scatter(raw(2), Data(), np.arange(2))
