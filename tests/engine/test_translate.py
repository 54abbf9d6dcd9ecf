"""Translations: figures without padding, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from recipes.engine import tokens
from recipes.engine.errors import UserError
from recipes.engine.preprocess import Pairs
from recipes.engine.records import Data, Gate, Recipe, Train
from recipes.engine.results import Subset
from recipes.engine.sources.texts import strings
from recipes.engine.tasks import translate

SIZE = 24


@pytest.fixture(scope="module")
def prepared():
    words = " ".join(f"w{number}" for number in range(SIZE - 4))
    return Pairs(tokens.fit([words], kind="word", size=100).to_json(), steps=6)


@pytest.fixture(scope="module")
def subset():
    rng = np.random.default_rng(0)

    def texts():
        return strings([" ".join(f"w{n}" for n in rng.integers(0, 20, rng.integers(1, 6))) for _ in range(70)])

    return Subset(texts(), texts(), tuple(map(str, range(70))))


def test_padding_does_not_count(prepared, subset):
    (source, target), truth = prepared.rows(subset)
    assert (truth == 0).any()
    logits = np.random.default_rng(1).normal(0, 2, (70, 6, SIZE)).astype(np.float32)
    logits[:, :, 0] += 3.0
    asked = iter(range(0, 70, translate.CHUNK))

    def predict(inputs):
        part = slice(start := next(asked), start + translate.CHUNK)
        np.testing.assert_array_equal(inputs[0], source[part])
        np.testing.assert_array_equal(inputs[1], target[part])
        return logits[part]

    result = translate.evaluate(predict, subset, prepared, split="test")
    known = truth != 0
    shares = np.exp(logits[known].astype(np.float64))
    expected = log_loss(truth[known], shares / shares.sum(-1, keepdims=True), labels=range(SIZE))
    assert result.loss == pytest.approx(expected, rel=1e-6)
    assert result.figures["perplexity"] == pytest.approx(np.exp(expected), rel=1e-6)
    assert result.figures["tokens"] == known.sum()
    right = (logits[known].argmax(-1) == truth[known]).mean()
    assert result.score == pytest.approx(right) == pytest.approx(translate.measure(logits, truth))
    assert (result.examples, result.task) == (70, "translate")

    assert float(translate.loss(Train(), None)(truth, logits)) == pytest.approx(expected, rel=1e-5)
    (metric,) = translate.metrics(0)
    for start in range(0, 70, 32):  # batches with other shares of padding
        metric.update_state(truth[start : start + 32], logits[start : start + 32])
    assert (metric.name, float(metric.result())) == ("accuracy", pytest.approx(right))


def test_a_model_that_knows_nothing_is_as_perplexed_as_the_vocabulary_is_large(prepared, subset):
    result = translate.evaluate(lambda x: np.zeros((len(x[0]), 6, SIZE)), subset, prepared, split="test")
    assert result.figures["perplexity"] == pytest.approx(SIZE)
    assert result.score == 0.0, "token 0, the likeliest of equals, is never the truth"


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (Recipe(train=Train(loss="dice_cross_entropy")), "train.loss 'auto'"),
        (Recipe(train=Train(label_smoothing=0.1)), "train.label_smoothing 0"),
        (Recipe(data=Data(balance="weights")), "data.balance is for classes"),
        (Recipe(gate=Gate(min_miou=0.5)), "gate.min_miou judges masks"),
    ],
)
def test_what_is_for_classes_is_refused(recipe, said):
    with pytest.raises(UserError, match=said):
        translate.check(recipe)
    translate.check(Recipe(train=Train(loss="cross_entropy"), gate=Gate(min_accuracy=0.3)))
