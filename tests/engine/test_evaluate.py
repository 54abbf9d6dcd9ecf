import numpy as np
import pytest

from recipes.engine.evaluate import evaluate, softmax
from recipes.engine.preprocess import Images
from recipes.engine.results import Subset


def test_softmax_by_hand():
    np.testing.assert_allclose(softmax(np.array([[0.0, np.log(3.0)], [1000.0, 1000.0]])), [[0.25, 0.75], [0.5, 0.5]])


def test_scores_by_hand():
    # Truth 0 0 0 1 1 2, answers 0 0 1 1 1 1.
    answers = np.array([0, 0, 1, 1, 1, 1])
    images = np.zeros((6, 1, 1, 1), np.uint8)
    images[:, 0, 0, 0] = answers
    subset = Subset(images, np.array([0, 0, 0, 1, 1, 2]), tuple("uvwxyz"))
    prepared = Images(1, 1, 1, (0.0,), (1.0,), ("a", "b", "c"))
    margin = np.log(2.0)  # the answer has probability 2/4, the others 1/4

    def predict(x):
        return np.eye(3)[x[:, 0, 0, 0].astype(int)] * margin

    result = evaluate(predict, subset, prepared, split="test")
    assert result.score == pytest.approx(4 / 6)
    assert result.loss == pytest.approx(-(4 * np.log(0.5) + 2 * np.log(0.25)) / 6)
    assert result.confusion == ((2, 1, 0), (0, 2, 0), (0, 1, 0))
    a, b, c = result.classes
    assert (a.precision, a.recall) == (1.0, pytest.approx(2 / 3))
    assert (b.precision, b.recall, b.f1) == (0.5, 1.0, pytest.approx(2 / 3))
    assert (c.precision, c.recall, c.f1, c.support) == (0.0, 0.0, 0.0, 1)
    assert [(m.name, m.truth, m.predicted) for m in result.worst] == [("w", "a", "b"), ("z", "c", "b")]
    assert result.worst[0].confidence == pytest.approx(0.5)
