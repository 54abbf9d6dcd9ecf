"""Recipes on texts, series and clips, from the data to the report, the files and the commands."""

import html
import json
import subprocess
import sys
import wave

import keras
import numpy as np
import pytest

import compress
from recipes.engine import Data, Export, Gate, Model, Recipe, Train, cli, run, runs
from recipes.engine.predict import keras_model, predict

rng = np.random.default_rng(0)


def reviews(path):
    rows = ["text,label"]
    for place in range(120):
        words = [*rng.choice(["the", "film", "was", "a", "day"], rng.integers(3, 6)), ("good", "bad")[place % 2]]
        rows.append(f"{' '.join(rng.permutation(words))} {place},{('pos', 'neg')[place % 2]}")
    path.write_text("\n".join(rows))


def letters(path):
    path.write_text("abcdefghij\n" * 200)


def topics(path):
    rows = (" ".join(rng.permutation([f"{topic}{n}" for n in range(20)])) for _ in range(60) for topic in "ab")
    path.write_text("\n".join(["text", *rows]))


def pairs(path):
    words = {"one": "eins", "two": "zwei", "three": "drei"}
    rows = (f"{a} {b} {c},{words[a]} {words[b]} {words[c]}" for a in words for b in words for c in words)
    path.write_text("\n".join(["source,target", *rows]))


def waves(path):
    path.write_text("\n".join(["a", *(f"{100 + np.sin(step / 5):.5f}" for step in range(200))]))


def clips(path):
    for name, hertz in (("low", 300), ("high", 1500)):
        (path / name).mkdir(parents=True)
        for number in range(12):
            tone = np.sin(2 * np.pi * (hertz + 5 * number) * np.arange(4000) / 8000)
            with wave.open(str(path / name / f"{number}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes((9000 * tone + rng.normal(0, 200, 4000)).astype("<i2").tobytes())


SOUND = Data(rate=8000, seconds=0.5, mels=16, coefficients=0)
FCN = Model(name="fcn", spec={"filters": [8, 8], "kernels": [3, 3]})

RECIPES = {
    "classify": ("reviews.csv", reviews, Data(steps=10, vocabulary=100), FCN, Train(epochs=6, batch_size=16, lr=0.01)),
    "recurrent": (
        "more_reviews.csv",
        reviews,
        Data(steps=10, vocabulary=100),
        Model(name="lstm_small", width=8),
        Train(epochs=6, batch_size=16, lr=0.02),
    ),
    "generate": (
        "letters.txt",
        letters,
        Data(task="generate", steps=16),
        Model(name="char_lstm", width=16, spec={"depth": 1, "embedding": 8}),
        Train(epochs=4, batch_size=8, lr=0.03),
    ),
    "embed": (
        "topics.csv",
        topics,
        Data(task="embed", context=2, negatives=3, vocabulary=60),
        Model(name="word2vec_skipgram", width=8),
        Train(epochs=3, batch_size=64, lr=0.03),
    ),
    "translate": (
        "pairs.csv",
        pairs,
        Data(steps=5, tokenizer="word"),
        Model(name="translator_tiny", width=16, spec={"depth": 1, "heads": 2, "hidden": 16}),
        Train(epochs=2, batch_size=8, lr=0.01),
    ),
    "forecast": (
        "waves.csv",
        waves,
        Data(task="forecast", window=12, horizon=2),
        Model(name="lstm_small", width=8),
        Train(epochs=3, batch_size=16, lr=0.02),
    ),
    "audio": ("clips", clips, SOUND, Model(name="mlperf_ds_cnn", width=8), Train(epochs=4, batch_size=4)),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run's folder and facts, made at the first question for it."""
    root, made = tmp_path_factory.mktemp("runs"), {}

    def one(name):
        if name not in made:
            file, write, data, model, train = RECIPES[name]
            write(root / file)
            values = {field: getattr(data, field) for field in data.__dataclass_fields__} | {"source": str(root / file)}
            recipe = Recipe(
                name=name,
                data=Data(**values),
                model=model,
                train=train,
                export=Export(quantize="int8", calibration=32, stream_steps=int(name == "forecast")),
                gate=Gate(max_drop=None),
                output=str(root),
            )
            home = runs.create(recipe)
            made[name] = home, run.run(home)
        return made[name]

    return one


NAMES = [name if name not in ("translate", "audio") else pytest.param(name, marks=pytest.mark.slow) for name in RECIPES]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_ends_in_a_file_and_a_report(finished, name, capsys):
    home, facts = finished(name)
    figures = json.loads((home / "metrics.json").read_text())
    measure = facts.test.measure
    assert figures["test"][measure] == facts.test.score
    assert figures["lite"][measure] == pytest.approx(facts.test.score, abs=0.1)
    assert figures["lite"]["float_bytes"] == (home / "model_float32.tflite").stat().st_size
    assert not [op for op in figures["lite"]["ops"] if "Flex" in op or "CUSTOM" in op]
    page = html.unescape((home / "report.html").read_text())
    if facts.samples:
        assert "All figures" in page
        assert all(text in page for sample in facts.samples for _, text in sample.parts)
    assert (home / "frontend.tflite").exists() == (name == "audio")
    cli.dispatch(["evaluate", str(home)])
    said = capsys.readouterr().out
    assert f"{facts.test.score:.4f}" in said


@pytest.mark.parametrize("name", ["classify", "recurrent"])
def test_the_file_answers_texts_with_the_tokenizer_of_its_run(finished, name, tmp_path):
    home, _ = finished(name)
    texts = ["the film was good", "a bad day", "zebra"]
    ours, theirs = predict(home, texts), predict(home, texts, lite=True)
    for one, other in zip(ours, theirs, strict=True):
        assert one.note == other.note
        assert dict(one.ranking) == pytest.approx(dict(other.ranking), abs=0.1)
    (tmp_path / "alone.tflite").write_bytes((home / "model.tflite").read_bytes())
    assert predict(tmp_path / "alone.tflite", texts) == theirs


def test_a_fresh_process_knows_the_layers_of_the_zoo(finished):
    home, _ = finished("classify")
    asked = f"from recipes.engine import cli; cli.dispatch(['predict', {str(home)!r}, 'the film was good'])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(predict(home, ["the film was good"])[0])


def test_the_file_forecasts_in_the_unit_of_the_data(finished, tmp_path):
    home, facts = finished("forecast")
    (tmp_path / "seen.csv").write_text("\n".join(str(value) for value in facts.examples.test.inputs[2, :, 0]))
    ((_, ours),), ((_, theirs),) = (
        predict(home, [str(tmp_path / "seen.csv")], lite=lite)[0].forecast for lite in (False, True)
    )
    assert len(ours) == 2 and all(95 < value < 105 for value in ours)
    np.testing.assert_allclose(theirs, ours, atol=0.1)
    (tmp_path / "alone.tflite").write_bytes((home / "model.tflite").read_bytes())
    (alone,) = predict(tmp_path / "alone.tflite", [str(tmp_path / "seen.csv")])
    assert alone.forecast[0][1] == theirs


def test_the_file_reads_a_series_piece_by_piece(finished):
    home, facts = finished("forecast")
    model, prepared = keras_model(home / "model.keras")
    (seen,) = prepared(facts.examples.test.inputs[:1])
    stream = compress.LiteStream(home / "model.tflite")
    for step in seen:
        answer = stream.feed(step[np.newaxis])
    np.testing.assert_allclose(answer, model.predict(seen[np.newaxis], verbose=0)[0], atol=0.05)


def test_the_file_goes_on_with_a_text_as_the_model_does(finished, tmp_path, capsys):
    home, _ = finished("generate")
    cli.dispatch(["export", str(home), "--quantize", "none", "--output", str(tmp_path / "float.tflite")])
    capsys.readouterr()
    texts = []
    for asked in (str(home), str(tmp_path / "float.tflite"), str(home), str(home)):
        lite = ["--lite"] if len(texts) == 2 else []
        cli.dispatch(["generate", asked, "abcd", "--count", "30", "--temperature", "0.7", "--seed", "3", *lite])
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] == texts[3]
    assert texts[2].startswith("abcd") and len(texts[2]) == len(texts[0])


@pytest.mark.slow
@pytest.mark.parametrize("lite", [False, True])
def test_clips_are_answered_and_the_front_end_goes_before_the_file(finished, lite):
    home, facts = finished("audio")
    clip = str(home.parent / "clips" / "low" / "3.wav")
    (answer,) = predict(home, [clip], lite=lite)
    with wave.open(clip) as file:
        samples = np.frombuffer(file.readframes(4000), "<i2")[np.newaxis] / np.float32(32768)
    seen = compress.LiteModel(home / "frontend.tflite").predict(samples)
    if lite:
        logits = compress.LiteModel(home / "model.tflite").predict(seen)[0]
    else:
        logits = keras.models.load_model(home / "model.keras", compile=False).predict(seen, verbose=0)[0]
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    expected = dict(zip(facts.examples.classes, shares.tolist(), strict=True))
    assert dict(answer.ranking) == pytest.approx(expected, abs=0.02)


def test_other_number_formats_are_exported_too(finished, tmp_path, capsys):
    home, _ = finished("recurrent")
    cli.dispatch(["export", str(home), "--quantize", "none", "--output", str(tmp_path / "float.tflite")])
    assert "test accuracy" in capsys.readouterr().out
    assert compress.LiteModel(tmp_path / "float.tflite").input.dtype == "int32"
