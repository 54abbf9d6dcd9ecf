"""Runs on texts and series, trained on small made data, and the commands that use them."""

import dataclasses
import itertools

import numpy as np
import pytest

from recipes.engine import Data, Gate, Model, Recipe, Train, cli, network, runs, stages
from recipes.engine import run as running
from recipes.engine.errors import UserError
from recipes.engine.generate import told
from recipes.engine.neighbours import near
from recipes.engine.predict import Answer, predict

rng = np.random.default_rng(0)
NUMBERS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf"}


def reviews():
    rows = ["text,label"]
    for place in range(160):
        words = [*rng.choice(["the", "film", "was", "a", "day"], rng.integers(3, 6)), ("good", "bad")[place % 2]]
        rows.append(f"{' '.join(rng.permutation(words))} {place},{('pos', 'neg')[place % 2]}")
    return "\n".join(rows)


def topics():
    rows = (" ".join(rng.permutation([f"{topic}{n}" for n in range(20)])) for _ in range(200) for topic in "ab")
    return "\n".join(["text", *rows])


def numbers():
    texts = [words for count in (1, 2, 3, 4) for words in itertools.product(NUMBERS, repeat=count)]
    rows = (f"{' '.join(words)},{' '.join(NUMBERS[word] for word in words)}" for words in texts)
    return "\n".join(["source,target", *rows])


def waves():
    time = np.arange(300)
    return "\n".join(["a,b", *(f"{100 + np.sin(t / 5):.5f},{t % 7}" for t in time)])


MADE = {
    "classify": (
        "reviews.csv",
        reviews,
        Data(steps=10, vocabulary=200),
        Model(name="fcn", spec={"filters": [16, 16], "kernels": [3, 3]}),
        Train(epochs=8, batch_size=16, lr=0.01),
    ),
    "generate": (
        "text.txt",
        lambda: "abcdefghij\n" * 300,
        Data(task="generate", steps=16),
        Model(name="char_lstm", width=24, spec={"depth": 1, "embedding": 8}),
        Train(epochs=8, batch_size=8, lr=0.03),
    ),
    "embed": (
        "topics.csv",
        topics,
        Data(task="embed", context=3, negatives=3, vocabulary=100),
        Model(name="word2vec_skipgram", width=8),
        Train(epochs=12, batch_size=64, lr=0.05),
    ),
    "translate": (
        "pairs.csv",
        numbers,
        Data(steps=6, tokenizer="word"),
        Model(name="translator_tiny", width=32, spec={"depth": 1, "heads": 2, "hidden": 32, "layer_dropout": 0.0}),
        Train(epochs=15, batch_size=32, lr=0.01),
    ),
    "forecast": (
        "waves.csv",
        waves,
        Data(task="forecast", window=12, horizon=2, target=("a",)),
        Model(name="lstm_small", width=8),
        Train(epochs=2, batch_size=32, lr=0.01),
    ),
}


SLOW = pytest.param("translate", marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run that was trained, made at the first question for its task."""
    root, made = tmp_path_factory.mktemp("sequences"), {}

    def one(task):
        if task not in made:
            name, content, data, model, train = MADE[task]
            (root / name).write_text(content(), encoding="utf-8")
            data = dataclasses.replace(data, source=str(root / name))
            recipe = Recipe(name=task, data=data, model=model, train=train, gate=Gate(max_drop=None), output=str(root))
            folder = runs.create(recipe)
            examples = running.load(recipe, folder)
            new, prepared = network.build(recipe, examples)
            fitted, histories = stages.trained(new, recipe, examples, prepared, folder)
            made[task] = folder, fitted, examples, prepared, histories
        return made[task]

    return one


@pytest.mark.parametrize("task", [task if task != "translate" else SLOW for task in MADE])
def test_a_run_keeps_its_best_epoch_and_judges_it(trained, task):
    _, model, examples, prepared, histories = trained(task)
    validation, test = stages.judge(model, examples, prepared)
    assert (validation.split, test.split, test.task) == ("validation", "test", task)
    assert histories[0].best == pytest.approx(validation.score, abs=2e-3), "what was measured in training"
    assert test.score > {"classify": 0.9, "generate": 0.85, "embed": 0.4, "translate": 0.95, "forecast": -5}[task]


@pytest.mark.parametrize("task", ["generate", SLOW, "embed", "forecast"])
def test_samples_of_the_answers_are_for_the_report(trained, task):
    from recipes.engine.tasks import TASKS

    _, model, examples, prepared, _ = trained(task)
    samples = TASKS[task].samples(model, examples.test, prepared)
    assert samples
    if task == "generate":
        (_, prompt), (_, told) = samples[0].parts
        assert examples.test.inputs[0].startswith(prompt)
        assert len(prompt) == 40 and len(told) == 300
    elif task == "translate":
        parts = [[part for _, part in sample.parts] for sample in samples]
        assert all(truth == " ".join(NUMBERS[word] for word in text.split()) for text, truth, _ in parts)
        assert np.mean([truth == answer for _, truth, answer in parts]) > 0.8
    elif task == "forecast":
        assert all(sample.picture.startswith("data:image/png") for sample in samples)


def command(capsys, *args):
    cli.dispatch([str(arg) for arg in args])
    return capsys.readouterr().out


def test_texts_are_answered(trained, capsys, tmp_path):
    folder, *_ = trained("classify")
    (tmp_path / "review.txt").write_text("a bad day\n")
    said = command(capsys, "predict", folder, "the film was good", tmp_path / "review.txt", "zebra good")
    first, second, third = said.splitlines()
    assert first.startswith("the film was good: pos ")
    assert second.startswith(f"{tmp_path / 'review.txt'}"[:50]) and ": neg " in second
    assert third.endswith("(1 of its 2 tokens unknown to the tokenizer)")
    (answer,) = predict(folder, ["the film was good"], top=2)
    assert sum(share for _, share in answer.ranking) == pytest.approx(1.0)
    long = predict(folder, ["good\n" + "film " * 5000])[0]
    assert len(str(long)) < 120 and "\n" not in str(long)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "the text is empty"), ("gone.txt", "there is no file gone.txt"), ("a" * 10_000_001, "10 MB are the most")],
)
def test_what_is_no_text_is_refused(trained, text, said):
    folder, *_ = trained("classify")
    with pytest.raises(UserError, match=said):
        predict(folder, ["good", text])


def test_a_text_is_gone_on_with(trained, capsys, tmp_path):
    folder, *_ = trained("generate")
    assert (
        command(capsys, "generate", folder, "abcd", "--count", 18, "--temperature", 0) == "abcdefghij\nabcdefghij\n\n"
    )
    (tmp_path / "beginning.txt").write_text("abcdefghij\n" * 50 + "abc")
    said = command(capsys, "generate", folder, tmp_path / "beginning.txt", "--count", 3, "--temperature", 0)
    assert said == "abcdefghij\n" * 50 + "abcdef\n", "a prompt longer than what the model reads at once"
    assert command(capsys, "generate", folder, "abZc", "--count", 0) == "abc\n", "what is unknown is left out"
    hot = {"count": 60, "temperature": 3.0, "top_k": None, "top_p": None}
    first, again, other = ("".join(told(folder, "abcd", seed=seed, **hot)) for seed in (1, 1, 2))
    assert first == again != other
    assert "".join(told(folder, "abcd", seed=1, **hot | {"top_k": 1})).startswith("abcdefghij\nabcdefghij\n")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("",), "the text is empty"),
        (("XYZ",), "knows nothing of the prompt"),
        (("abc", "--temperature", "-1"), "temperature"),
        (("abc", "--count", "-1"), "count"),
        (("abc", "--top-k", "0"), "top_k"),
        (("abc", "--top-p", "1.5"), "top_p"),
        (("none.txt",), "there is no file none.txt"),
    ],
)
def test_what_cannot_be_gone_on_with_is_one_sentence(trained, args, said):
    folder, *_ = trained("generate")
    with pytest.raises(ValueError, match=said) as raised:
        cli.dispatch(["generate", str(folder), *args])
    assert cli.users_mistake(raised.value)


def test_neighbours_are_words_of_the_same_topic(trained, capsys):
    folder, *_ = trained("embed")
    lines = command(capsys, "neighbours", folder, "A3", "--count", 5).splitlines()
    cosines, names = zip(*(line.split() for line in lines), strict=True)
    assert len(lines) == 5 and {name[0] for name in names} == {"a"} and "a3" not in names
    assert [float(cosine) for cosine in cosines] == sorted(map(float, cosines), reverse=True)
    assert near(folder, "b7", count=3) == near(folder / "model.keras", "b7", count=100)[:3]
    assert len(near(folder, "b7", count=100)) == 39


@pytest.mark.parametrize(
    ("word", "count", "said"),
    [
        ("a33", 5, "does not know the word 'a33'; did you mean a3"),
        ("zzzz", 5, "does not know the word 'zzzz'; it learnt 40 words"),
        ("", 5, "the word is empty"),
        ("a1 " * 100, 5, "the word has 300 characters, where 200 are the most; ask for one word"),
        ("caf\udce9", 5, "the word is not UTF-8"),
        ("[PAD]", 5, "does not know the word"),
        ("a1 a2", 5, "is 2 words to the tokenizer: a1, a2; ask for one of them"),
        ("a1", 0, "--count is 0"),
    ],
)
def test_what_has_no_neighbours_is_one_sentence(trained, word, count, said):
    folder, *_ = trained("embed")
    with pytest.raises(UserError) as raised:
        near(folder, word, count=count)
    assert said in str(raised.value)


@pytest.mark.slow
def test_texts_are_translated(trained, capsys):
    folder, *_ = trained("translate")
    said = command(capsys, "predict", folder, "five two one", "Three four two five", "one zebra")
    assert said.splitlines()[:2] == ["five two one: fünf zwei eins", "Three four two five: drei vier zwei fünf"]
    assert said.splitlines()[2].endswith("(1 of its 2 tokens unknown to the tokenizer)")


def test_series_are_forecast_from_a_table(trained, capsys, tmp_path):
    folder, model, examples, prepared, _ = trained("forecast")
    window = examples.test.inputs[3]
    (tmp_path / "seen.csv").write_text("a,b\n" + "\n".join(",".join(map(str, row)) for row in window.tolist()))
    (answer,) = predict(folder, [str(tmp_path / "seen.csv")])
    outputs = model.predict(prepared(window[None]), verbose=0)
    expected = prepared.forecast(outputs, window[None])[0, :, 0]
    ((name, values),) = answer.forecast
    assert name == "a"
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    assert f"a {values[0]:.4g} {values[1]:.4g}" in command(capsys, "predict", folder, tmp_path / "seen.csv")
    (tmp_path / "short.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"short\.csv has 1 step, where the model reads 12 steps"):
        predict(folder, [str(tmp_path / "short.csv")])


@pytest.mark.parametrize(
    ("task", "args", "said"),
    [
        ("generate", ("predict", "abc"), "goes on with a text; ask `edgezoo generate "),
        ("embed", ("predict", "a1"), "has vectors of words; ask `edgezoo neighbours "),
        ("classify", ("generate", "good"), "does not go on with texts; ask `edgezoo predict "),
        ("classify", ("neighbours", "one"), "has no vectors of words; ask `edgezoo predict "),
    ],
)
def test_the_command_that_answers_is_named(trained, task, args, said):
    folder, *_ = trained(task)
    with pytest.raises(UserError, match=said):
        cli.dispatch([args[0], str(folder), *args[1:]])


def test_a_path_is_shown_whole_and_a_text_in_one_short_line():
    path = "folder/" * 20 + "picture.png"
    assert str(Answer(path, (("dark", 1.0),))) == f"{path}: dark 100.0%"
    assert str(Answer("many words\nand more " * 9, (("good", 0.5),), is_text=True)).startswith(
        "many words and more many"
    )
    assert len(str(Answer("many words\nand more " * 9, (("good", 0.5),), is_text=True))) == 60 + len(": good 50.0%")
