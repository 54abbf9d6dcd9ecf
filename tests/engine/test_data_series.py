import numpy as np
import pytest

from recipes.engine import data
from recipes.engine.errors import UserError
from recipes.engine.records import Data

rng = np.random.default_rng(3)
UNIVARIATE = "#what it is\n@problemName Toy\n@timeStamps false\n@univariate true\n@equalLength true\n"
CLASSES = "@classLabel true up down\n@data\n"


def load(source, **fields):
    return data.load(Data(source=str(source), **fields), progress=False)


def line(series, label):
    """`(steps, channels)` as a line."""
    return ":".join([*(",".join(f"{value:.6g}" for value in channel) for channel in series.T), label])


def write(path, series, labels, head=UNIVARIATE + CLASSES):
    path.write_text(head + "\n".join(map(line, series, labels)) + "\n", encoding="utf-8")
    return path


def labels(count):
    return ["up" if row % 2 else "down" for row in range(count)]


def series(count, steps=5, channels=1):
    return [rng.normal(size=(steps, channels)).astype(np.float32) for _ in range(count)]


def values(examples):
    return {
        name: (row, examples.classes[label])
        for part in examples.splits().values()
        for row, label, name in zip(part.inputs, part.labels, part.names, strict=True)
    }


@pytest.fixture
def toy(tmp_path):
    train, test = series(20), series(8)
    write(tmp_path / "Toy_TRAIN.ts", train, labels(20))
    write(tmp_path / "Toy_TEST.ts", test, labels(8))
    return tmp_path, train, test


@pytest.mark.parametrize("name", ["Toy_TRAIN.ts", "Toy_TEST.ts", ""])
def test_a_pair_brings_both_splits_by_either_name_or_the_folders(toy, name):
    folder, train, test = toy
    examples = load(folder / name, validation=0.2)
    assert (examples.task, examples.modality, examples.shape) == ("classify", "series", (5, 1))
    assert [len(part) for part in examples.splits().values()] == [16, 4, 8]
    assert examples.classes == ("down", "up")
    found = values(examples)
    for kind, rows in (("TRAIN", train), ("TEST", test)):
        for row, one in enumerate(rows):
            got, label = found[f"Toy_{kind}.ts:{row + 8}"]
            np.testing.assert_allclose(got, one, rtol=1e-5)
            assert label == labels(20)[row]
    assert set(examples.validation.labels) == {0, 1}


def test_a_lone_file_is_split_by_chance(tmp_path):
    examples = load(write(tmp_path / "toy.ts", series(20), labels(20)))
    assert [len(part) for part in examples.splits().values()] == [12, 4, 4]


def test_shorter_series_of_several_channels_are_followed_by_nan(tmp_path):
    rows = [rng.normal(size=(3 + place % 4, 2)).astype(np.float32) for place in range(20)]
    head = "@univariate false\n@dimensions 2\n@equalLength false\n"
    examples = load(write(tmp_path / "a.ts", rows, labels(20), head + CLASSES))
    assert examples.shape == (6, 2)
    assert any("3 to 6 steps" in note for note in examples.notes)
    for name, (got, _) in values(examples).items():
        one = rows[int(name.split(":")[1]) - 6]
        np.testing.assert_allclose(got[: len(one)], one, rtol=1e-5)
        assert np.isnan(got[len(one) :]).all()


def test_what_is_missing_after_the_end_is_padding(tmp_path):
    path = tmp_path / "a.ts"
    text = "".join(f"{row},2,?,?:{label}\n" for row, label in enumerate(labels(10)))
    path.write_text(
        UNIVARIATE.replace("true\n@equal", "true\n@missing true\n@equal").replace("th true", "th false")
        + CLASSES
        + text
    )
    assert load(path).shape == (2, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2,?,4:up", r"a\.ts, line 13: the value at step 3 is missing \(NaN\)"),
        ("1,nan,3,4:up", "line 13: the value at step 2 is missing"),
        ("1,2,inf,4:up", "line 13: the value at step 3 is infinite"),
        ("1,2,1e39,4:up", "line 13: the value at step 3 is infinite"),
        ("1,2,3:up", "line 13 has 3 values a channel, where all series should have 4"),
        ("1,2,3,4:1,2,3,4:up", "line 13 has 2 channels before the class, where there should be 1"),
        ("1,2,3,4", "line 13 has 0 channels"),
        ("1,2,three,4:up", "line 13: 'three' in channel 1 is no number$"),
        ("1,2,3,4:left", "line 13: the class 'left' is none of @classLabel's: up, down"),
        ("?,?:up", "line 13: the series is empty"),
        ("(0,1.5),(1,2.5):up", r"line 13: '\(0' in channel 1 is no number; time stamps are not read"),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, words):
    rows = "".join(f"{row},2,3,4:{label}\n" for row, label in enumerate(labels(5)))
    path = tmp_path / "a.ts"
    path.write_text(UNIVARIATE + CLASSES + rows + text + "\n")
    with pytest.raises(UserError, match=words) as caught:
        load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a.ts has no line @data"),
        (UNIVARIATE + CLASSES, "has no series after @data"),
        ("1,2:up\n", "line 1: '1,2:up' stands before @data"),
        ("@timeStamps true\n" + CLASSES, "has time stamps"),
        ("@targetLabel true\n@data\n1,2:0.5\n", "a number to predict"),
        ("@classLabel false\n@data\n1,2\n", "has no classes"),
        ("@dimensions two\n" + CLASSES + "1:up\n", "@dimensions is 'two'"),
        ("@dimensions 2\n" + CLASSES + "1,2,3:1,2:up\n", "line 4: channel 2 has 2 values where channel 1 has 3"),
    ],
)
def test_a_bad_head_is_named(tmp_path, text, words):
    (tmp_path / "a.ts").write_text(text)
    with pytest.raises(UserError, match=words):
        load(tmp_path / "a.ts")


def test_files_that_do_not_belong_together_are_refused(toy):
    folder, _, _ = toy
    write(folder / "Toy_TEST.ts", series(4, channels=2), labels(4), "@dimensions 2\n" + CLASSES)
    with pytest.raises(UserError, match=r"Toy_TEST\.ts has 2 channels where .*Toy_TRAIN\.ts has 1"):
        load(folder)
    (folder / "Toy_TRAIN.ts").rename(folder / "Other_TRAIN.ts")
    with pytest.raises(UserError, match=r"Toy_TEST\.ts has no Toy_TRAIN\.ts beside it"):
        load(folder / "Toy_TEST.ts")
    write(folder / "Toy_TRAIN.ts", series(4), labels(4))
    with pytest.raises(UserError, match=r"has 2 files NAME_TRAIN\.ts among .*; name the one to read"):
        load(folder)


def test_a_file_that_is_not_utf_8_names_line_and_byte(tmp_path):
    content = (UNIVARIATE + "#caf\xe9\n" + CLASSES).encode("latin-1")
    (tmp_path / "a.ts").write_bytes(content)
    with pytest.raises(
        UserError, match=rf"line 6: byte 5 of the line \(byte {content.index(0xE9) + 1} of the file\) is 0xE9"
    ):
        load(tmp_path / "a.ts")


def test_arrays_of_series_are_read_by_their_name(tmp_path):
    rows = rng.normal(size=(20, 6, 3))
    rows[4, 4:] = np.nan
    np.savez(tmp_path / "a.npz", series=rows, labels=labels(20))
    examples = load(tmp_path / "a.npz")
    assert (examples.modality, examples.shape) == ("series", (6, 3))
    for name, (got, label) in values(examples).items():
        row = int(name.split("#")[1])
        np.testing.assert_array_equal(got, rows[row].astype(np.float32))
        assert label == labels(20)[row]
    np.savez(
        tmp_path / "b.npz",
        train_series=rows[:, :4, 0],
        train_labels=labels(20),
        test_series=rows[:4, :4, 0],
        test_labels=labels(4),
    )
    split = load(tmp_path / "b.npz")
    assert (split.shape, len(split.test)) == ((4, 1), 4)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (
            {"series": np.where(np.eye(6, 5)[..., None], np.nan, 1), "labels": [0, 1] * 3},
            r"series\[0\] in .* step 1 is missing",
        ),
        ({"series": np.ones((4, 2, 3, 3)), "labels": [0, 1] * 2}, r"shape \(4, 2, 3, 3\); series are \(count, steps"),
        ({"series": np.ones((4, 2, 3)) > 0, "labels": [0, 1] * 2}, "values of type bool"),
        ({"series": np.ones((4, 2, 3)), "labels": [0, 1]}, "4 series in series and 2 labels"),
        ({"series": np.ones((4, 2, 3))}, "series and labels come together"),
        ({"test_series": np.ones((4, 2)), "test_labels": [0, 1] * 2}, "it needs series and labels, or train_series"),
    ],
)
def test_what_is_wrong_with_an_archive_is_one_sentence(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=words):
        load(tmp_path / "a.npz")


def test_equal_series_stay_on_one_side_and_are_called_series(tmp_path):
    rows = series(12)
    path = write(tmp_path / "a.ts", [*rows, *rows], [*labels(12), *labels(12)])
    examples = load(path, validation=0.2, test=0.2)
    sides = [{row.tobytes() for row in part.inputs} for part in examples.splits().values()]
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
    assert "copies of another series, value for value: 12" in examples.notes[0]


def test_data_for_another_task_is_refused(toy):
    with pytest.raises(UserError, match=r"is data for the task classify, and data\.task is translate"):
        load(toy[0], task="translate")
