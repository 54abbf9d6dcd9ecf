import csv
import gzip

import numpy as np
import pytest
from PIL import Image

from recipes.engine import data
from recipes.engine.errors import UserError
from recipes.engine.records import Data

rng = np.random.default_rng(9)
X = rng.integers(0, 256, (20, 4, 4), dtype=np.uint8)
Y = ["cat" if row % 2 else "owl" for row in range(20)]


def write(path, rows, *, header=None, delimiter=","):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerows(([header] if header else []) + rows)
    return path


def load(path, **fields):
    return data.load(Data(source=str(path), **fields), progress=False)


def by_line(examples):
    return {
        int(name.split(":")[1]): (image, examples.classes[label])
        for subset in examples.splits().values()
        for image, label, name in zip(subset.inputs, subset.labels, subset.names, strict=True)
    }


PIXELS = [f"p{number}" for number in range(16)]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_pixels_without_a_header_have_the_class_last(tmp_path, name, delimiter):
    rows = [[*image.ravel(), label] for image, label in zip(X, Y, strict=True)]
    examples = load(write(tmp_path / name, rows, delimiter=delimiter))
    assert examples.classes == ("cat", "owl")
    found = by_line(examples)
    assert len(found) == 20
    for line, (image, label) in found.items():
        np.testing.assert_array_equal(image[..., 0], X[line - 1])
        assert label == Y[line - 1]


def test_pixels_with_a_header_have_the_class_by_name(tmp_path):
    rows = [[label, *(image.ravel() / 255)] for image, label in zip(X, Y, strict=True)]
    examples = load(write(tmp_path / "a.csv", rows, header=["kind", *PIXELS]), label="kind")
    for line, (image, label) in by_line(examples).items():
        np.testing.assert_array_equal(image[..., 0], X[line - 2])
        assert label == Y[line - 2]


def test_a_header_of_numbers_is_known_by_its_label_column(tmp_path):
    rows = [[*image.ravel(), label] for image, label in zip(X, Y, strict=True)]
    assert len(by_line(load(write(tmp_path / "a.csv", rows, header=[*range(16), "label"])))) == 20


def test_colour_pixels(tmp_path):
    x = rng.integers(0, 256, (20, 3, 3, 3), dtype=np.uint8)
    examples = load(write(tmp_path / "a.csv", [[*image.ravel(), label] for image, label in zip(x, Y, strict=True)]))
    assert examples.shape == (3, 3, 3)
    for line, (image, _) in by_line(examples).items():
        np.testing.assert_array_equal(image, x[line - 1])


def test_numbers_as_classes_are_written_without_a_point(tmp_path):
    rows = [[*image.ravel(), f"{row % 2 + 9}.0"] for row, image in enumerate(X)]
    assert load(write(tmp_path / "a.csv", rows)).classes == ("9", "10")


def test_a_split_column_is_followed(tmp_path):
    split = ["train"] * 12 + ["Valid"] * 4 + ["test"] * 4
    rows = [[*image.ravel(), label, part] for image, label, part in zip(X, Y, split, strict=True)]
    examples = load(write(tmp_path / "a.csv", rows, header=[*PIXELS, "label", "split"]))
    assert [len(subset) for subset in examples.splits().values()] == [12, 4, 4]
    assert examples.test.names == ("a.csv:18", "a.csv:19", "a.csv:20", "a.csv:21")


def test_a_byte_order_mark_blank_lines_and_spaces_are_no_matter(tmp_path):
    text = "label, " + ", ".join(PIXELS) + "\n\n"
    text += "".join(f"{label}, {', '.join(map(str, image.ravel()))}\n\n" for image, label in zip(X, Y, strict=True))
    (tmp_path / "a.csv").write_text(text, encoding="utf-8-sig")
    assert len(by_line(load(tmp_path / "a.csv"))) == 20


def picture_table(root, *, column="path", count=20, **how):
    rows = []
    for row in range(count):
        path = root / "pictures" / f"{row}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(X[row]).save(path)
        rows.append([f"pictures/{row}.png", Y[row]])
    return write(root / "a.csv", rows, header=[column, "label"], **how)


@pytest.mark.parametrize("column", ["path", "File", "filename", "image"])
def test_paths_start_at_the_csv_file(tmp_path, column):
    examples = load(picture_table(tmp_path, column=column))
    for subset in examples.splits().values():
        for image, label, name in zip(subset.inputs, subset.labels, subset.names, strict=True):
            row = int(name.split("/")[1][:-4])
            np.testing.assert_array_equal(image[..., 0], X[row])
            assert examples.classes[label] == Y[row]


def test_missing_and_bad_pictures_of_a_table(tmp_path):
    path = picture_table(tmp_path)
    (tmp_path / "pictures" / "3.png").unlink()
    (tmp_path / "pictures" / "4.png").write_text("no")
    with pytest.raises(UserError, match=r"2 images in .*pictures/3\.png \(there is no such file\), pictures/4\.png"):
        load(path)
    examples = load(path, on_bad="skip")
    assert sum(len(subset) for subset in examples.splits().values()) == 18


def test_a_split_column_with_paths_survives_skipped_pictures(tmp_path):
    picture_table(tmp_path)
    rows = [[f"pictures/{n}.png", Y[n], "train" if n < 12 else "val" if n < 16 else "test"] for n in range(20)]
    path = write(tmp_path / "a.csv", rows, header=["path", "label", "split"])
    (tmp_path / "pictures" / "3.png").unlink()
    examples = load(path, on_bad="skip")
    assert [len(subset) for subset in examples.splits().values()] == [11, 4, 4]


GOOD = [[*image.ravel(), label] for image, label in zip(X, Y, strict=True)]


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ([], None, "is empty"),
        ([["", ""]], None, "is empty"),
        ([], [*PIXELS, "label"], "a header and nothing below it"),
        ([], ["path", "label"], "a header and nothing below it"),
        ([*GOOD[:5], GOOD[5][1:], *GOOD[6:]], None, "line 6 has 16 values, the first line 17"),
        (GOOD, [*PIXELS, "labels"], r"no column 'label' for the class; did you mean 'labels'\?.*--data\.label"),
        ([row[1:] for row in GOOD], None, r"has 15 pixel columns; a square image has side×side"),
        ([[Y[0]]] * 4, None, "has 0 pixel columns"),
        ([*GOOD[:5], ["x", *GOOD[5][1:]], *GOOD[6:]], None, "line 6: 'x' is no pixel value"),
        ([*GOOD[:5], ["", *GOOD[5][1:]], *GOOD[6:]], None, "line 6: '' is no pixel value"),
        ([*GOOD[:5], ["nan", *GOOD[5][1:]], *GOOD[6:]], None, "line 6: .* without NaN"),
        ([*GOOD[:5], [256, *GOOD[5][1:]], *GOOD[6:]], None, r"line 6: pixel values go from \d+ to 256"),
        ([*GOOD[:5], [-1, *GOOD[5][1:]], *GOOD[6:]], None, "line 6: pixel values go from -1 to"),
        ([*GOOD[:5], [*GOOD[5][:-1], ""], *GOOD[6:]], None, "line 6 has no class in column 17"),
        ([[*row, "dev"] for row in GOOD], [*PIXELS, "label", "split"], "line 2: the split 'dev' is not train"),
        ([[*row, "test"] for row in GOOD], [*PIXELS, "label", "split"], "the train split of .* too few examples: 0"),
        ([[*row[:-1], "cat"] for row in GOOD], None, r"one class only \(cat\)"),
    ],
)
def test_tables_that_are_wrong_are_one_sentence(tmp_path, rows, header, message):
    with pytest.raises(UserError, match=message) as error:
        load(write(tmp_path / "a.csv", rows, header=header))
    assert "a.csv" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", "path,label\nü.png,ü\n".encode("latin-1"), "no text in UTF-8"),
        ("a.csv", b'"' + b"x" * 2_000_000, "is not a CSV file"),
        ("a.csv.gz", b"label,p\n", "cannot be read"),
        ("a.csv.gz", gzip.compress(bytes(rng.integers(48, 57, 9000, dtype=np.uint8)))[:900], "cannot be read"),
    ],
)
def test_files_that_are_no_tables(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load(tmp_path / name)
