"""Series: their preprocessing against hand-worked numbers, and forecasts against scikit-learn."""

import io
import json
import zipfile

import keras
import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score

import zoo
from recipes.engine import preprocess, shipping
from recipes.engine.errors import UserError
from recipes.engine.preprocess import Series
from recipes.engine.records import Data, Export, Gate, Recipe, Train
from recipes.engine.results import Examples, Subset
from recipes.engine.tasks import forecast


def examples(task="classify", padded=True):
    rng = np.random.default_rng(0)

    def part(count):
        inputs = rng.normal([3.0, -50.0], [2.0, 10.0], (count, 7, 2)).astype(np.float32)
        if padded:
            inputs[0, 5:] = np.nan
        labels = np.arange(count) % 2 if task == "classify" else rng.normal(100, 5, (count, 3, 1)).astype(np.float32)
        return Subset(inputs, labels, tuple(map(str, range(count))))

    names = ("a", "b") if task == "classify" else ("price",)
    return Examples(names, part(20), part(6), part(6), "f" * 64, "made", task=task, modality="series")


def test_the_scale_is_that_of_the_training_split_and_padding_becomes_zeros():
    made = examples()
    prepared = preprocess.fit(Data(), made)
    assert isinstance(prepared, Series)
    assert prepared.padded and prepared.changes == {"mask": True}
    assert (prepared.shape, prepared.outputs) == ((7, 2), 2)
    known = made.train.inputs[~np.isnan(made.train.inputs).any(axis=2)]
    np.testing.assert_allclose(prepared.mean, known.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(prepared.std, known.std(axis=0), rtol=1e-5)
    ready = prepared(made.test.inputs)
    assert ready.dtype == np.float32
    assert not ready[0, 5:].any()
    np.testing.assert_allclose(
        ready[1, 3, 1] * prepared.std[1] + prepared.mean[1], made.test.inputs[1, 3, 1], rtol=1e-5
    )


def test_a_constant_channel_is_not_divided_by_nothing():
    made = examples(padded=False)
    made.train.inputs[..., 1] = 4.0
    prepared = preprocess.fit(Data(), made)
    assert prepared.std[1] == 1.0
    assert not prepared(made.train.inputs)[..., 1].any()
    assert prepared.changes == {}


def test_forecasts_are_scaled_there_and_back():
    made = examples("forecast", padded=False)
    prepared = preprocess.fit(Data(), made)
    assert (prepared.horizon, prepared.outputs) == (3, 3)
    targets = prepared.targets(made.test.labels, made.test.inputs)
    assert targets.shape == (6, 3)
    np.testing.assert_allclose(prepared.targets(made.train.labels, made.train.inputs).mean(), 0.0, atol=1e-5)
    np.testing.assert_allclose(prepared.forecast(targets, made.test.inputs), made.test.labels, rtol=1e-5)


def test_forecasts_are_judged_in_the_unit_of_the_data():
    made = examples("forecast", padded=False)
    prepared = preprocess.fit(Data(), made)
    answers = np.random.default_rng(1).normal(0, 1, (6, 3)).astype(np.float32)
    result = forecast.evaluate(lambda x: answers[: len(x)], made.test, prepared, split="test")
    inverse, truth = prepared.forecast(answers, made.test.inputs).reshape(6, 3), made.test.labels.reshape(6, 3)
    assert result.figures["mean absolute error"] == pytest.approx(mean_absolute_error(truth, inverse), rel=1e-5)
    expected = r2_score(truth, inverse, multioutput="variance_weighted")
    assert result.score == result.figures["r2"] == pytest.approx(expected, rel=1e-4)
    assert result.figures["R² in the unit of the data"] == pytest.approx(expected, rel=1e-4), "nothing is anchored"
    assert "mean absolute error of repeating the last value" not in result.figures, (
        "two channels come in, one is forecast"
    )

    right = forecast.evaluate(
        lambda x: prepared.targets(made.test.labels, made.test.inputs), made.test, prepared, split="test"
    )
    assert right.score == pytest.approx(1.0) and right.figures["root mean square error"] == pytest.approx(0.0, abs=1e-4)


def test_an_anchored_forecast_follows_a_trend():
    """A series that rises by 1 a step: counted from its last value, windows and what comes next are all alike."""
    time = np.arange(40, dtype=np.float32)
    inputs = np.stack([time[start : start + 6, np.newaxis] for start in range(30)])
    labels = np.stack([time[start + 6 : start + 8, np.newaxis] for start in range(30)])
    part = Subset(inputs, labels, tuple(map(str, range(30))))
    made = Examples(("x",), part, part, part, "f" * 64, "made", task="forecast", modality="series")
    prepared = preprocess.fit(Data(), made)
    assert (prepared.cycle, preprocess.fit(Data(anchor="none"), made).cycle) == (1, 0)
    targets = prepared.targets(labels, inputs)
    np.testing.assert_allclose(targets, np.broadcast_to(targets[:1], targets.shape), atol=1e-5)
    np.testing.assert_allclose(prepared(inputs), np.broadcast_to(prepared(inputs[:1]), inputs.shape), atol=1e-5)
    np.testing.assert_allclose(prepared.forecast(targets, inputs), labels, atol=1e-4)


def test_growth_by_a_share_of_itself_is_a_trend_of_logarithms():
    time = np.arange(40)
    grown = (100 * 1.05**time).astype(np.float32)
    inputs = np.stack([grown[start : start + 6, np.newaxis] for start in range(30)])
    labels = np.stack([grown[start + 6 : start + 8, np.newaxis] for start in range(30)])
    part = Subset(inputs, labels, tuple(map(str, range(30))))
    made = Examples(("x",), part, part, part, "f" * 64, "made", task="forecast", modality="series")
    prepared = preprocess.fit(Data(logarithm=True, season=3), made)
    ready, targets = prepared.rows(part)
    np.testing.assert_allclose(ready, np.broadcast_to(ready[:1], ready.shape), atol=1e-3)
    np.testing.assert_allclose(prepared.forecast(targets, inputs), labels, rtol=1e-4)
    result = forecast.evaluate(lambda x: targets[: len(x)], part, prepared, split="test")
    told = prepared.forecast(targets + 0.1, inputs)[..., 0]
    other = forecast.evaluate(lambda x: targets[: len(x)] + 0.1, part, prepared, split="test")
    expected = r2_score(labels[..., 0], told, multioutput="variance_weighted")
    assert other.figures["R² in the unit of the data"] == pytest.approx(expected, rel=1e-4)
    assert other.figures["R² in the unit of the data"] > 0.9 > other.score
    repeated = np.abs(inputs[:, [3, 4]] - labels).mean()
    assert result.figures["mean absolute error of repeating the last season"] == pytest.approx(repeated, rel=1e-5)

    part.inputs[0, 0, 0] = 0.0
    with pytest.raises(UserError, match="needs values above 0, and there is 0"):
        preprocess.fit(Data(logarithm=True), made)


def test_a_forecast_anchored_at_its_season_follows_what_repeats_itself_and_grows():
    """A year of 4 steps, each year 10 more than the last: of all windows nothing but that growth is left."""
    series = (np.tile([5.0, 80.0, 20.0, 1.0], 12) + 10 * (np.arange(48) // 4)).astype(np.float32)
    inputs = np.stack([series[start : start + 8, np.newaxis] for start in range(34)])
    labels = np.stack([series[start + 8 : start + 14, np.newaxis] for start in range(34)])
    part = Subset(inputs, labels, tuple(map(str, range(34))))
    made = Examples(("x",), part, part, part, "f" * 64, "made", task="forecast", modality="series")
    prepared = preprocess.fit(Data(anchor="season", season=4, window=8, horizon=6), made)
    ready, targets = prepared.rows(part)
    plain = ready * prepared.std[0] + prepared.mean[0]
    np.testing.assert_allclose(plain[..., 0], np.tile([-10.0] * 4 + [0.0] * 4, (34, 1)), atol=1e-4)
    told = targets * prepared.target_std[0] + prepared.target_mean[0]
    np.testing.assert_allclose(told, np.tile([10.0] * 4 + [20.0] * 2, (34, 1)), atol=1e-4)
    np.testing.assert_allclose(prepared.forecast(targets, inputs), labels, atol=1e-4)

    with pytest.raises(UserError, match=r"needs data\.season from 1 to data\.window = 8 steps; it is 9"):
        preprocess.fit(Data(anchor="season", season=9), made)
    two = examples("forecast", padded=False)
    with pytest.raises(UserError, match="for forecasts of all columns"):
        preprocess.fit(Data(anchor="season", season=3), two)


def test_what_is_stored_with_the_model_is_read_back(tmp_path):
    prepared = preprocess.fit(Data(), examples())
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    preprocess.attach(prepared, tmp_path / "model.keras")
    assert preprocess.read(tmp_path / "model.keras") == prepared


def test_pictures_of_earlier_runs_are_still_read(tmp_path):
    old = {"height": 8, "width": 8, "channels": 1, "mean": [0.0], "std": [255.0], "classes": ["a", "b"]}
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("edgezoo.json", json.dumps(old))
    assert preprocess.read(tmp_path / "model.keras").shape == (8, 8, 1)


def npy(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def test_a_series_is_opened_from_csv_and_npy(tmp_path):
    prepared = preprocess.fit(Data(), examples())
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    (tmp_path / "plain.csv").write_text("\n".join(f"{a},{b}" for a, b in rows))
    (tmp_path / "named.csv").write_text("left,right\n" + "\n".join(f"{a},{b}" for a, b in rows))
    np.save(tmp_path / "a.npy", rows)
    (tmp_path / "mark.csv").write_text("\n".join(f"{a};{b}" for a, b in rows), encoding="utf-8-sig")
    (tmp_path / "tabs.tsv").write_text("\n".join(f"{a}\t{b}" for a, b in rows) + "\n\t\n\t\n")
    np.save(tmp_path / "ended.npy", np.pad(rows, ((0, 3), (0, 0)), constant_values=np.nan))
    for name in ("plain.csv", "named.csv", "mark.csv", "tabs.tsv", "a.npy", "ended.npy"):
        found = prepared.open(str(tmp_path / name))
        np.testing.assert_array_equal(found[:5], rows)
        assert np.isnan(found[5:]).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2,3\n4,5,6", "has 3 channels, where the model reads 2"),
        ("1\n4\n5", "has 1 channel, where the model reads 2"),
        ("1,2\n3,nan\n5,6", r"bad\.csv: the value at step 2 of channel 2 is missing \(NaN\); fill it in"),
        ("1,2\n,\n5,6", r"bad\.csv: the value at step 2 of channel 1 is missing"),
        ("1,2\n3,inf", r"bad\.csv: the value at step 2 of channel 2 is infinite"),
        ("1,2\n3,1e39", r"bad\.csv: the value at step 2 of channel 2 is infinite"),
        ("1,2\n" * 8, "has 8 steps, where the model reads at most 7 steps"),
        ("1,2\n3", r"bad\.csv, line 2 has 1 values, line 1 has 2"),
        ("a,b\nc,d", r"bad\.csv, line 2: 'c' in column 1 is no number; give the channels that the model reads"),
        ("when,a,b\n2020-01-01,1,2", r"line 2: '2020-01-01' in column 1 is no number; .* without dates"),
        ("a,b\n", "holds no numbers"),
        ("", "holds no numbers"),
    ],
)
def test_what_is_no_such_series_is_refused(tmp_path, text, said):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        preprocess.fit(Data(), examples()).open(str(tmp_path / "bad.csv"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.csv",
            "größe,b\n1,2\n".encode("latin-1"),
            r"a\.csv, line 1: byte 3 of the line .* is 0xF6, which is no text",
        ),
        ("a.png", b"\x89PNG", r"a\.png is no file of a series; give a \.csv or \.tsv .*, or an \.npy"),
        ("a.npy", b"junk", r"a\.npy is no \.npy file of numbers that can be read"),
        ("a.npy", npy(np.zeros((1, 5, 2))), r"a\.npy has shape \(1, 5, 2\); a series is \(steps, channels\)"),
        ("a.npy", npy(np.float32(1)), r"a\.npy has shape \(\); a series is"),
        ("a.npy", npy(np.zeros((5, 2), complex)), r"a\.npy has values of type complex128; a series is numbers"),
        ("a.npy", npy(np.full((5, 2), "x")), r"a\.npy has values of type <U1; a series is numbers"),
        ("a.npy", npy(np.full((5, 2), np.nan)), r"a\.npy: the series is empty"),
    ],
)
def test_a_file_that_holds_no_series_is_one_sentence(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        preprocess.fit(Data(), examples()).open(str(tmp_path / name))


def test_a_folder_is_no_series(tmp_path):
    with pytest.raises(UserError, match="is no file of a series"):
        preprocess.fit(Data(), examples()).open(str(tmp_path))


def test_a_series_without_padding_must_have_the_length(tmp_path):
    prepared = preprocess.fit(Data(), examples(padded=False))
    (tmp_path / "short.csv").write_text("1,2\n3,4")
    with pytest.raises(UserError, match="has 2 steps, where the model reads 7 steps"):
        prepared.open(str(tmp_path / "short.csv"))
    with pytest.raises(UserError, match="there is no file"):
        prepared.open(str(tmp_path / "none.csv"))


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (Recipe(train=Train(loss="dice")), "train.loss is 'dice'"),
        (Recipe(data=Data(balance="weights")), "data.balance"),
        (Recipe(gate=Gate(min_accuracy=0.5)), "gate.min_accuracy"),
    ],
)
def test_a_forecast_refuses_what_is_for_classes(recipe, said):
    with pytest.raises(UserError, match=said):
        forecast.check(recipe)


def test_what_will_not_export_is_told_before_training(capsys):
    loop = zoo.build("gru_small", input_shape=(7, 2), classes=2)
    shipping.preflight(loop, Recipe())
    assert "stage1: GRU has no operator of its own" in capsys.readouterr().out
    with pytest.raises(UserError, match="full_integer would refuse the file: stage1: GRU"):
        shipping.preflight(loop, Recipe(gate=Gate(full_integer=True)))
    fused = zoo.build("lstm_small", input_shape=(7, 2), classes=2)
    shipping.preflight(fused, Recipe(gate=Gate(full_integer=True)))
    with pytest.raises(UserError, match="the GPU delegate runs neither loops nor the LSTM operator"):
        shipping.preflight(fused, Recipe(export=Export(quantize="float16", target="gpu")))


def test_a_model_that_would_give_no_file_is_refused_before_training():
    inputs = keras.Input((None, 2))
    open_size = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(inputs))
    with pytest.raises(UserError, match=r"the trained model would not export: .* open size"):
        shipping.preflight(open_size, Recipe(export=Export(quantize="none")))
