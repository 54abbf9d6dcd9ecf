"""Language models: their figures against scikit-learn, and text that comes piece by piece."""

import keras
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from recipes.engine import tokens
from recipes.engine.errors import UserError
from recipes.engine.generate import NEIGHBOURS, pieces
from recipes.engine.preprocess import Language
from recipes.engine.records import Data, Gate, Recipe, Train
from recipes.engine.results import Subset
from recipes.engine.sources.texts import strings
from recipes.engine.tasks import generate

LETTERS = "abcdefghij"


@pytest.fixture(scope="module")
def prepared():
    return Language(tokens.fit([LETTERS], kind="char", size=50).to_json(), steps=5)


@pytest.fixture(scope="module")
def subset():
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list(LETTERS), length)) for length in (6, 200, 3, 41)]
    return Subset(strings(texts), np.zeros(4, np.int64), ("a", "b", "c", "d"))


def test_a_model_that_knows_nothing_is_as_perplexed_as_the_vocabulary_is_large(prepared, subset):
    result = generate.evaluate(lambda x: np.full((*x.shape, 14), 7.0), subset, prepared, split="test")
    assert result.figures["perplexity"] == pytest.approx(14)
    assert result.loss == pytest.approx(np.log(14))
    assert (result.split, result.task, result.measure) == ("test", "generate", "accuracy")
    inputs, _ = prepared.rows(subset)
    assert (result.examples, result.figures["tokens"]) == (len(inputs), inputs.size)
    assert len(inputs) > generate.CHUNK, "in more than one part"


def test_figures_are_those_of_scikit_learn(prepared, subset):
    inputs, truth = prepared.rows(subset)
    logits = np.random.default_rng(1).normal(0, 3, (len(inputs), 5, 14)).astype(np.float32)
    asked = iter(range(0, len(inputs), generate.CHUNK))

    def predict(windows):
        start = next(asked)
        np.testing.assert_array_equal(windows, inputs[start : start + generate.CHUNK])
        return logits[start : start + generate.CHUNK]

    result = generate.evaluate(predict, subset, prepared, split="validation")
    shares = np.exp(logits.astype(np.float64))
    shares = (shares / shares.sum(-1, keepdims=True)).reshape(-1, 14)
    expected = log_loss(truth.ravel(), shares, labels=range(14))
    assert result.loss == pytest.approx(expected, rel=1e-6)
    assert result.figures["perplexity"] == pytest.approx(np.exp(expected), rel=1e-6)
    right = accuracy_score(truth.ravel(), logits.argmax(-1).ravel())
    assert result.score == pytest.approx(right) == pytest.approx(generate.measure(logits, truth))

    loss = generate.loss(Train(), None)(truth, logits)
    assert float(loss) == pytest.approx(expected, rel=1e-5), "what training lowers"
    (metric,) = generate.metrics(0)
    metric.update_state(truth, logits)
    assert (metric.name, float(metric.result())) == ("accuracy", pytest.approx(right))


def test_a_model_that_is_sure_and_right_has_perplexity_1(prepared, subset):
    known = iter(np.split(prepared.rows(subset)[1], range(generate.CHUNK, 10_000, generate.CHUNK)))
    result = generate.evaluate(lambda x: 1e4 * np.eye(14)[next(known)], subset, prepared, split="test")
    assert (result.score, result.figures["perplexity"]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (Recipe(train=Train(loss="dice")), "train.loss 'auto'"),
        (Recipe(train=Train(label_smoothing=0.1)), "train.label_smoothing 0"),
        (Recipe(data=Data(balance="weights")), "data.balance is for classes"),
        (Recipe(gate=Gate(min_miou=0.5)), "gate.min_miou judges masks"),
    ],
)
def test_what_is_for_classes_is_refused(recipe, said):
    with pytest.raises(UserError, match=said):
        generate.check(recipe)


def test_what_suits_is_not_refused():
    generate.check(Recipe(train=Train(loss="cross_entropy"), gate=Gate(min_accuracy=0.3)))


TEXT = "Größe 漢字 — naïve 🙂🙃! To be, or not to be:\n\tthat is the question. " * 3


@pytest.mark.parametrize("kind", ["char", "bpe", "word", "wordpiece"])
@pytest.mark.parametrize("start", [0, 1, 7, 60])
def test_joined_pieces_are_the_text_of_all_tokens(kind, start):
    tokenizer = tokens.fit([TEXT], kind=kind, size=265 if kind == "bpe" else 100)
    ids = tokenizer.ids(TEXT)
    assert len(ids) > start + NEIGHBOURS or kind in ("word", "wordpiece")
    found = list(pieces(tokenizer, ids[:start], iter(ids[start:])))
    assert found[0] == tokenizer.decode(ids[:start])
    assert "".join(found[1:]) == tokenizer.decode(ids).removeprefix(found[0].rstrip("\N{REPLACEMENT CHARACTER}"))
    if kind in ("char", "bpe") and start == 0:
        assert "".join(found) == TEXT


def test_each_piece_comes_as_soon_as_its_character_is_whole():
    tokenizer = tokens.fit(["a"], kind="bpe", size=260)
    ids = tokenizer.ids("a漢🙂b")
    assert len(ids) == 9, "bytes"
    given = []
    stream = pieces(tokenizer, tokenizer.ids("x"), (given.append(token) or token for token in ids))
    seen = []
    for piece in stream:
        seen.append((len(given), piece))
    assert seen == [(0, "x"), (1, "a"), (4, "漢"), (8, "🙂"), (9, "b"), (9, "")]


def test_halves_of_characters_that_stay_are_shown_at_the_end_and_in_the_middle():
    tokenizer = tokens.fit(["a"], kind="bpe", size=260)
    half = tokenizer.ids("漢")[:2]
    ids = [*half, *tokenizer.ids("ab"), *half]
    assert (
        "".join(pieces(tokenizer, [], ids))
        == tokenizer.decode(ids)
        == "\N{REPLACEMENT CHARACTER}ab\N{REPLACEMENT CHARACTER}"
    )


def test_words_come_in_lower_case_with_spaces_between():
    tokenizer = tokens.fit(["to be, or not to be"], kind="word", size=50)
    ids = tokenizer.ids("To be, zebra or")
    assert list(pieces(tokenizer, ids[:2], ids[2:])) == ["to be", " ,", " or", ""], "what is unknown is left out"


def test_keras_measures_in_training_what_is_measured_after_it(prepared, subset):
    model = keras.Sequential([keras.Input((5,), dtype="int32"), keras.layers.Embedding(14, 14)])
    model.compile(keras.optimizers.SGD(0.0), loss=generate.loss(Train(), None), metrics=generate.metrics(0))
    inputs, truth = prepared.rows(subset)
    told = model.fit(inputs, truth, verbose=0).history
    result = generate.evaluate(lambda x: model.predict(x, verbose=0), subset, prepared, split="train")
    assert told["accuracy"][0] == pytest.approx(result.score, rel=1e-5)
    assert told["loss"][0] == pytest.approx(result.loss, rel=1e-5)
