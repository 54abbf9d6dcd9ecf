import numpy as np
import pytest
from PIL import Image

from recipes.engine import data
from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources import memory

rng = np.random.default_rng(3)


def draw(path, *, size=(10, 8), colour=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*size, 3) if colour else size
    Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return path


def fill(root, classes=("cat", "dog"), count=6, **how):
    for name in classes:
        for number in range(count):
            draw(root / name / f"{number}.png", **how)
    return root


def load(root, **fields):
    return data.load(Data(source=str(root), **fields), progress=False)


def everything(examples):
    return [name for subset in examples.splits().values() for name in subset.names]


def test_class_folders_are_split_and_images_keep_their_labels(tmp_path):
    examples = load(fill(tmp_path, count=20))
    assert examples.classes == ("cat", "dog")
    assert examples.shape == (10, 8, 3)
    assert {name: len(subset) for name, subset in examples.splits().items()} == {
        "train": 28,
        "validation": 6,
        "test": 6,
    }
    assert len(set(everything(examples))) == 40
    for subset in examples.splits().values():
        assert subset.inputs.dtype == np.uint8
        assert subset.labels.dtype == np.int64
        for image, label, name in zip(subset.inputs, subset.labels, subset.names, strict=True):
            assert examples.classes[label] == name.split("/")[0]
            np.testing.assert_array_equal(image, np.asarray(Image.open(tmp_path / name)))


def test_classes_and_files_are_in_natural_order(tmp_path):
    fill(tmp_path, classes=("10", "9", "1"), count=12)
    examples = load(tmp_path)
    assert examples.classes == ("1", "9", "10")
    numbers = [int(name.split("/")[1][:-4]) for name in examples.train.names if name.startswith("10/")]
    assert numbers == sorted(numbers)


def test_suffixes_in_capitals_hidden_files_and_folders_within_a_class(tmp_path):
    fill(tmp_path)
    draw(tmp_path / "cat" / "more" / "deep" / "x.PNG")
    draw(tmp_path / "cat" / "y.JPEG")
    (tmp_path / "cat" / "._0.png").write_bytes(b"resource fork")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / "dog" / "readme.txt").write_text("dogs")
    (tmp_path / "dog" / "LICENSE").write_text("dogs")
    examples = load(tmp_path)
    assert {"cat/more/deep/x.PNG", "cat/y.JPEG"} <= set(everything(examples))
    assert len(everything(examples)) == 14
    assert examples.notes == ("files ignored since they are no images: 1 .txt, 1 LICENSE",)


@pytest.mark.parametrize("validation", ["val", "valid", "Validation", None])
def test_given_splits_stay_and_a_missing_one_is_made_from_train(tmp_path, validation):
    fill(tmp_path / "train", count=10)
    fill(tmp_path / "test", count=3)
    if validation:
        fill(tmp_path / validation, count=2)
    examples = load(tmp_path, validation=0.2)
    assert {name.split("/")[0] for name in examples.test.names} == {"test"}
    assert len(examples.test) == 6
    assert {name.split("/")[0] for name in examples.validation.names} == {validation or "train"}
    assert len(examples.validation) == 4
    assert len(examples.train) == (20 if validation else 16)


def test_a_class_may_be_called_train(tmp_path):
    examples = load(fill(tmp_path, classes=("train", "bus", "car")))
    assert examples.classes == ("bus", "car", "train")


@pytest.mark.parametrize(("color", "channels"), [("auto", 1), ("grey", 1), ("rgb", 3)])
def test_colour_of_grey_images(tmp_path, color, channels):
    assert load(fill(tmp_path, colour=False), color=color).shape == (10, 8, channels)


def test_auto_is_grey_for_rgb_files_that_hold_no_colour(tmp_path):
    fill(tmp_path)
    for path in tmp_path.rglob("*.png"):
        Image.open(path).convert("L").convert("RGB").save(path)
    examples = load(tmp_path)
    assert examples.shape == (10, 8, 1)
    assert examples.train.inputs.flags.c_contiguous


def test_one_image_in_colour_makes_all_rgb(tmp_path):
    fill(tmp_path, colour=False)
    draw(tmp_path / "cat" / "colour.png")
    assert load(tmp_path).shape == (10, 8, 3)


def test_size_asked_for_is_square(tmp_path):
    assert load(fill(tmp_path), size=16).shape == (16, 16, 3)


def test_several_sizes_take_the_median_shorter_side_rounded_to_eight_and_say_so(tmp_path):
    fill(tmp_path, classes=("cat",), count=6, size=(61, 80))
    fill(tmp_path, classes=("dog",), count=5, size=(100, 30))
    examples = load(tmp_path)
    assert examples.shape == (64, 64, 3)
    assert "2 sizes" in examples.notes[0]
    assert "64×64" in examples.notes[0]


def test_several_large_sizes_stop_at_224(tmp_path):
    fill(tmp_path, count=3, size=(300, 310))
    draw(tmp_path / "cat" / "x.png", size=(310, 300))
    assert load(tmp_path).shape == (224, 224, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "is empty; put the images of each class in a folder of its own"),
        (lambda root: draw(root / "a.png"), r"has images \(a\.png\) but no class folders"),
        (lambda root: [fill(root), (root / "owl").mkdir()], r"owl has no image \(.*\), nothing"),
        (lambda root: [fill(root), draw(root / "owl" / "a.png").rename(root / "owl" / "a.tiff")], "only 1 .tiff"),
        (lambda root: fill(root, classes=("cat",)), r"one class only \(cat\)"),
        (
            lambda root: [fill(root), draw(root / "owl" / "a.png")],
            "class 'owl' in .* too few examples: 1, where it needs at least 3 ",
        ),
        (lambda root: [fill(root / "val"), fill(root / "test")], "has test, val but no train folder"),
        (
            lambda root: [fill(root / "train"), fill(root / "test"), draw(root / "test" / "owl" / "a.png")],
            "'owl' in the train split of .* examples: 0",
        ),
        (lambda root: [fill(root / n) for n in ("train", "val", "valid")], "both val and valid"),
    ],
)
def test_a_folder_laid_out_wrongly_is_one_sentence(tmp_path, make, message):
    root = tmp_path / "photos"
    root.mkdir()
    make(root)
    with pytest.raises(UserError, match=message) as error:
        load(root)
    assert "photos" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_folder_names_its_near_sibling(tmp_path):
    fill(tmp_path / "photos")
    with pytest.raises(UserError, match=r"there is no .*photo; did you mean .*photos\?"):
        load(tmp_path / "photo")
    with pytest.raises(UserError, match="did you mean the data set fashion_mnist"):
        load("fashion-mnist")
    with pytest.raises(UserError, match="no data set of that name"):
        load("")
    (tmp_path / "notes.pdf").write_text("x")
    with pytest.raises(UserError, match=r"notes\.pdf is no folder, \.npz"):
        load(tmp_path / "notes.pdf")


def spoil(root, count):
    for path in sorted((root / "cat").iterdir())[:count]:
        path.write_bytes(path.read_bytes()[:-60])


def test_a_bad_image_stops_or_is_left_out_and_told(tmp_path):
    spoil(fill(tmp_path, count=8), 1)
    with pytest.raises(UserError, match=r"cat/0\.png in .* cannot be read: it is cut short.*--data\.on-bad skip"):
        load(tmp_path)
    examples = load(tmp_path, on_bad="skip")
    assert len(everything(examples)) == 15
    assert "cat/0.png" not in everything(examples)
    assert "left out cat/0.png (it is cut short" in examples.notes[0]


def test_all_bad_images_are_told_at_once(tmp_path):
    spoil(fill(tmp_path, count=12), 7)
    (tmp_path / "dog" / "0.png").write_text("no image")
    with pytest.raises(UserError, match=r"8 images in .* and 3 more") as error:
        load(tmp_path)
    assert str(error.value).count(".png (") == 5
    assert "no image" not in str(error.value).split("and 3 more")[1]


def test_only_bad_images_are_an_error_even_when_skipping(tmp_path):
    fill(tmp_path, count=3)
    for path in tmp_path.rglob("*.png"):
        path.write_text("text")
    with pytest.raises(UserError, match="6 images"):
        load(tmp_path, on_bad="skip")


def test_a_class_with_too_few_readable_images_is_an_error(tmp_path):
    spoil(fill(tmp_path, count=4), 2)
    with pytest.raises(UserError, match=r"'cat' in .* too few examples: 2"):
        load(tmp_path, on_bad="skip")


def test_what_does_not_fit_in_memory_is_refused_before_decoding(tmp_path, monkeypatch):
    fill(tmp_path)
    monkeypatch.setattr(memory, "available", lambda: 1000)
    monkeypatch.setattr("recipes.engine.sources.images.pixels", lambda *a, **k: pytest.fail("decoded"))
    with pytest.raises(UserError, match=r"12 images of 64×64×3 would take .* GiB of memory.*--data\.size"):
        load(tmp_path, size=64)


def test_available_memory_is_a_plausible_figure():
    free = memory.available()
    assert free is not None
    assert 2**20 < free < 2**50


def test_a_folder_that_cannot_be_opened(tmp_path, monkeypatch):
    fill(tmp_path)

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(UserError, match="no permission to open the folder"):
        load(tmp_path)
