"""Vectors of words: figures by hand, and the nearest by hand."""

import keras
import numpy as np
import pytest
from sklearn.metrics import log_loss
from sklearn.metrics.pairwise import cosine_similarity

import zoo
from recipes.engine import tokens
from recipes.engine.errors import UserError
from recipes.engine.preprocess import Words
from recipes.engine.records import Data, Gate, Recipe, Train
from recipes.engine.results import Subset
from recipes.engine.sources.texts import strings
from recipes.engine.tasks import embed

NAMES = [f"w{number}" for number in range(200)]


def prepared(names=NAMES):
    tokenizer = tokens.fit(
        [" ".join([name] * (len(names) - place)) for place, name in enumerate(names)], kind="word", size=500
    )
    return Words(tokenizer.to_json(), 2, 3)


def subset():
    return Subset(strings([" ".join(NAMES)]), np.zeros(1, np.int64), ("a",))


LOGITS = np.array([[2.0, 1, 0, 1], [0, 1, 0, 0], [3, 3, 0, 1], [0, 0, 0, 0]])
"""Right, wrong, one of two, one of four."""


def test_the_point_is_shared_by_those_that_share_the_first_place():
    truth = np.eye(1, 4, dtype=np.float32).repeat(4, axis=0)
    assert embed.measure(LOGITS, truth) == pytest.approx((1 + 0 + 1 / 2 + 1 / 4) / 4)
    (metric,) = embed.metrics(0)
    metric.update_state(truth, LOGITS.astype(np.float32))
    assert (metric.name, float(metric.result())) == ("accuracy", pytest.approx(1.75 / 4))


def test_figures_are_those_of_scikit_learn():
    words, split = prepared(), subset()
    (read, candidates), truth = words.rows(split)
    logits = np.random.default_rng(0).normal(0, 2, truth.shape).astype(np.float32)

    def predict(inputs):
        np.testing.assert_array_equal(inputs[0], read)
        np.testing.assert_array_equal(inputs[1], candidates)
        return logits

    result = embed.evaluate(predict, split, words, split="test")
    shares = 1 / (1 + np.exp(-logits.astype(np.float64)))
    assert result.loss == pytest.approx(log_loss(truth.ravel(), shares.ravel()), rel=1e-6)
    assert float(embed.loss(Train(), None)(truth, logits)) == pytest.approx(result.loss, rel=1e-5)
    assert result.score == pytest.approx((logits.argmax(1) == 0).mean())
    assert result.figures["pairs"] == len(truth)
    assert (result.examples, result.task, result.measure) == (1, "embed", "accuracy")


def test_a_model_that_says_nothing_is_right_by_chance():
    result = embed.evaluate(lambda inputs: np.zeros(inputs[1].shape), subset(), prepared(), split="test")
    assert result.score == pytest.approx(1 / 4)
    assert result.loss == pytest.approx(np.log(2))


def test_long_splits_are_predicted_in_parts(monkeypatch):
    monkeypatch.setattr(embed, "CHUNK", 7)
    sizes = []
    result = embed.evaluate(
        lambda inputs: sizes.append(len(inputs[0])) or np.zeros(inputs[1].shape), subset(), prepared(), split="test"
    )
    assert sum(sizes) == result.figures["pairs"] and max(sizes) == 7 and len(sizes) > 2


def test_the_nearest_are_those_of_the_largest_cosine():
    vectors = np.random.default_rng(0).normal(0, 1, (30, 5)).astype(np.float32)
    vectors[7] = 3 * vectors[5]
    vectors[9] = -vectors[5]
    vectors[2] = vectors[5]
    cosines = cosine_similarity(vectors)[5]
    found = embed.nearest(vectors, 5, count=100, special=(0, 1, 2, 3))
    assert found[0][0] == 7 and found[-1][0] == 9
    assert sorted(row for row, _ in found) == [4, *range(6, 30)]
    for row, cosine in found:
        assert cosine == pytest.approx(cosines[row], abs=1e-6)
    assert [cosine for _, cosine in found] == sorted((cosine for _, cosine in found), reverse=True)
    assert embed.nearest(vectors, 5, count=3, special=(0, 1, 2, 3)) == found[:3]
    assert embed.nearest(vectors, 5, count=1) == [(2, pytest.approx(1.0))]
    vectors[11] = 0
    assert embed.nearest(vectors, 11, count=2) == [(0, 0.0), (1, 0.0)], "a vector without a direction is near nothing"


@pytest.mark.parametrize("count", [1, 2, 8, 200])
def test_samples_are_words_with_their_neighbours(count):
    words = prepared(NAMES[:count])
    model = zoo.build(
        zoo.spec("word2vec_skipgram").__class__(vocabulary=words.tokens.size, width=4),
        input_shape=words.shape,
        classes=None,
    )
    samples = embed.samples(model, subset(), words)
    assert len(samples) >= (count > 1)
    vectors = embed.vectors_of(model)
    assert vectors.shape == (count + 4, 4)
    for sample in samples:
        ((word, told),) = sample.parts
        near = embed.nearest(vectors, words.tokens.words.index(word), count=8, special=range(4))
        assert told == ", ".join(f"{words.tokens.words[row]} {cosine:.2f}" for row, cosine in near)
        assert "[" not in word + told
    assert len({sample.parts[0][0] for sample in samples}) == len(samples)


def test_training_learns_which_words_stand_together():
    rng = np.random.default_rng(0)
    texts = [
        " ".join(rng.permutation([f"{topic}{number}" for number in range(30)])) for topic in "ab" for _ in range(40)
    ]
    words = Words(tokens.fit(texts, kind="word", size=100).to_json(), 3, 3)
    split = Subset(strings(texts), np.zeros(len(texts), np.int64), tuple(texts))
    model = zoo.build(
        zoo.spec("word2vec_skipgram").__class__(vocabulary=64, width=8), input_shape=words.shape, classes=None
    )
    model.compile(keras.optimizers.Adam(0.05), loss=embed.loss(Train(), None), metrics=embed.metrics(0))
    keras.utils.set_random_seed(0)
    inputs, targets = words.rows(split)
    model.fit(list(inputs), targets, epochs=6, batch_size=64, verbose=0)
    names, vectors = words.tokens.words, embed.vectors_of(model)
    for token in range(4, 64):
        near = embed.nearest(vectors, token, count=10, special=words.special)
        assert sum(names[row][0] == names[token][0] for row, _ in near) >= 9
    assert embed.evaluate(lambda x: model.predict(list(x), verbose=0), split, words, split="test").score > 0.5


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (Recipe(train=Train(loss="cross_entropy")), "take train.loss 'auto'"),
        (Recipe(train=Train(label_smoothing=0.1)), "train.label_smoothing 0"),
        (Recipe(data=Data(balance="weights")), "data.balance 'none'"),
        (Recipe(gate=Gate(min_miou=0.5)), "gate.min_miou judges masks"),
    ],
)
def test_what_is_for_classes_is_refused(recipe, said):
    with pytest.raises(UserError, match=said):
        embed.check(recipe)
    embed.check(Recipe(gate=Gate(min_accuracy=0.3)))
