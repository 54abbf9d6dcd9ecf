import numpy as np
import pytest

from recipes.engine import data
from recipes.engine.errors import UserError
from recipes.engine.records import Data

rng = np.random.default_rng(4)
ROWS = 100
TABLE = rng.normal(size=(ROWS, 3)).round(4)
DATES = [str(np.datetime64("2001-01") + month) for month in range(ROWS)]


def write(path, rows, header="date,heat,rain,wind", delimiter=","):
    lines = [header] if header else []
    path.write_text("\n".join([*lines, *(delimiter.join(map(str, row)) for row in rows)]) + "\n")
    return path


def dated(table=TABLE, dates=DATES):
    return [[date, *row] for date, row in zip(dates, table.tolist(), strict=True)]


def load(source, **fields):
    return data.load(
        Data(source=str(source), **{"task": "forecast", "window": 8, "horizon": 3, **fields}), progress=False
    )


def first_row(name):
    """Row of the table in which a window's targets begin; the header is line 1."""
    return int(name.split(":")[1].split("-")[0]) - 2


def test_windows_and_what_follows_are_those_of_the_table(tmp_path):
    examples = load(write(tmp_path / "a.csv", dated()))
    assert (examples.task, examples.modality) == ("forecast", "series")
    assert examples.classes == ("heat", "rain", "wind")
    for part in examples.splits().values():
        assert part.inputs.dtype == part.labels.dtype == np.float32
        assert part.inputs.shape[1:] == (8, 3) and part.labels.shape[1:] == (3, 3)
        for seen, follows, name in zip(part.inputs, part.labels, part.names, strict=True):
            row = first_row(name)
            np.testing.assert_array_equal(seen, TABLE[row - 8 : row].astype(np.float32))
            np.testing.assert_array_equal(follows, TABLE[row : row + 3].astype(np.float32))


@pytest.mark.parametrize("stride", [1, 2, 5])
@pytest.mark.parametrize(("validation", "test"), [(0.15, 0.15), (0.3, 0.2), (0.05, 0.4)])
def test_no_row_is_forecast_in_two_splits_and_time_goes_on(tmp_path, stride, validation, test):
    examples = load(write(tmp_path / "a.csv", dated()), stride=stride, validation=validation, test=test)
    rows = [
        sorted({first_row(name) + step for name in part.names for step in range(3)})
        for part in examples.splits().values()
    ]
    assert rows[0][-1] < rows[1][0] and rows[1][-1] < rows[2][0]
    assert rows[0][0] == 8
    assert rows[1][0] == round(ROWS * (1 - validation - test))
    assert rows[2][0] == round(ROWS * (1 - test))


def test_columns_and_targets_are_chosen_by_name(tmp_path):
    examples = load(
        write(tmp_path / "a.tsv", dated(), "date\theat\train\twind", "\t"), columns=("wind", "heat"), target=("rain",)
    )
    assert examples.classes == ("rain",)
    row = first_row(examples.train.names[0])
    np.testing.assert_array_equal(examples.train.inputs[0], TABLE[row - 8 : row, [2, 0]].astype(np.float32))
    np.testing.assert_array_equal(examples.train.labels[0], TABLE[row : row + 3, [1]].astype(np.float32))


def test_a_table_without_names_numbers_its_columns(tmp_path):
    examples = load(write(tmp_path / "a.csv", TABLE.tolist(), ""), target=("2",))
    assert examples.classes == ("2",)
    assert examples.shape == (8, 3)


def test_rows_are_put_in_the_order_of_their_dates_and_text_is_left_out(tmp_path):
    forward = [[*row, "dry"] for row in dated()]
    header = "date,heat,rain,wind,word"
    first = load(write(tmp_path / "a.csv", forward, header))
    second = load(write(tmp_path / "b.csv", forward[::-1], header))
    np.testing.assert_array_equal(first.train.inputs, second.train.inputs)
    assert first.shape == (8, 3)
    assert "the rows were put in the order of date" in second.notes
    assert any(note.startswith("split in time; what is forecast: train 2001-09 to 2006-10") for note in first.notes)


def test_a_limit_takes_training_windows_only(tmp_path):
    path = write(tmp_path / "a.csv", dated())
    everything, few = load(path), load(path, limit=5)
    assert len(few.train) == 5
    assert few.test.names == everything.test.names
    assert set(few.train.names) <= set(everything.train.names)


def cell(row, column, text):
    rows = dated()
    rows[row][column] = text
    return rows


@pytest.mark.parametrize(
    ("rows", "fields", "words"),
    [
        (cell(4, 2, ""), {}, r"a\.csv, line 6: 'rain' is missing"),
        (cell(4, 2, "nan"), {}, "line 6: 'rain' is missing"),
        (cell(4, 0, ""), {}, "line 6: 'date' is missing"),
        (cell(4, 2, "inf"), {}, "line 6: 'rain' is 'inf', no finite number"),
        (cell(4, 2, "1e39"), {}, "line 6: 'rain' is '1e39', no finite number"),
        (cell(4, 2, "wet"), {}, "line 6: 'rain' is 'wet', no finite number"),
        (cell(4, 0, "2001-01"), {}, "line 6: 2001-01 is in line 2 too; the file should hold one series"),
        ([*dated()[:5], ["2003-01", 1, 2], *dated()[5:]], {}, "line 7 has 3 values, the first line 4"),
        (dated(), {"columns": ("rian",)}, r"no column 'rian', which data.columns names; did you mean 'rain'\?"),
        (dated(), {"target": ("snow",)}, "no column 'snow', which data.target names"),
        (dated()[:30], {"test": 0.05}, "30 rows, 2 of them for test, which are too few for a window of 8 and the 3"),
        (
            dated(),
            {"horizon": 20},
            "100 rows, 15 of them for validation, which are too few for a window of 8 and the 20",
        ),
        (dated(), {"window": 90}, "100 rows, 70 of them for train"),
        ([], {}, "has no column of numbers"),
        ([[date, "x", "y", "z"] for date in DATES], {}, "has no column of numbers among date, heat, rain, wind"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_sentence(tmp_path, rows, fields, words):
    path = write(tmp_path / "a.csv", rows)
    with pytest.raises(UserError, match=words) as caught:
        load(path, **fields)
    assert "\n" not in str(caught.value)


def test_two_columns_of_one_name_and_an_empty_file_are_refused(tmp_path):
    with pytest.raises(UserError, match="two columns named 'heat'"):
        load(write(tmp_path / "a.csv", dated(), "date,heat,heat,wind"))
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(UserError, match=r"b\.csv is empty; it needs a line for each step"):
        load(tmp_path / "b.csv")


def test_nothing_is_held_out_to_choose_on_where_that_is_asked_for(tmp_path):
    examples = load(write(tmp_path / "a.csv", dated()), validation=0, test=0.2)
    assert first_row(examples.test.names[0]) == 80
    assert first_row(examples.train.names[-1]) == 77
    assert examples.validation.names == examples.train.names


def test_a_line_of_separators_is_a_step_without_values_unless_it_ends_the_file(tmp_path):
    rows = TABLE[:, :2].tolist()
    path = write(tmp_path / "a.csv", [*rows, ["", ""], ["", ""]], header="heat,rain")
    assert load(path).shape == (8, 2)
    write(path, [*rows[:5], ["", ""], *rows[5:]], header="heat,rain")
    with pytest.raises(UserError, match="line 7: 'heat' is missing"):
        load(path)
