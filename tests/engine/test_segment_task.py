"""The loss and the scores of masks, worked by hand."""

import math

import keras
import numpy as np
import pytest

from recipes.engine import Augment, Data, Gate, Recipe, Train
from recipes.engine.errors import UserError
from recipes.engine.preprocess import Images
from recipes.engine.results import IGNORE, Subset
from recipes.engine.tasks import TASKS, segment
from recipes.engine.tasks.overlap import MaskLoss

TRUTH = np.array([[0, 0, 1, 1], [0, 2, 2, IGNORE]], np.uint8)
ANSWER = np.array([[0, 1, 1, 1], [0, 2, 0, 2]], np.uint8)
PREPARED = Images(2, 4, 1, (0.0,), (255.0,), ("a", "b", "c"), "segment")


def logits_for(answer, classes=3, sure=10.0):
    return sure * np.eye(classes, dtype=np.float32)[answer]


def subset(masks, names=None):
    masks = np.asarray(masks, np.uint8)
    images = np.arange(masks.size, dtype=np.uint8).reshape(*masks.shape, 1)
    return Subset(images, masks, names or tuple(f"{i}.png" for i in range(len(masks))))


def test_confusion_and_iou_by_hand():
    counts = segment.confusion(ANSWER, TRUTH, 3)
    # Rows are the truth: of three a, two are right and one is called b; both b are right; one of two c is called a.
    np.testing.assert_array_equal(counts, [[2, 1, 0], [0, 2, 0], [1, 0, 1]])
    # a: 2 right, united 3 true + 3 called - 2 = 4. b: 2 of 2 + 3 - 2 = 3. c: 1 of 2 + 1 - 1 = 2.
    np.testing.assert_allclose(segment.iou(counts), [2 / 4, 2 / 3, 1 / 2])
    assert segment.measure(logits_for(ANSWER)[None], TRUTH[None]) == pytest.approx((1 / 2 + 2 / 3 + 1 / 2) / 3)


def test_a_class_in_neither_is_left_out_of_the_mean():
    counts = segment.confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 4)
    overlaps = segment.iou(counts)
    np.testing.assert_allclose(overlaps[:2], [1 / 2, 1 / 2])
    assert np.isnan(overlaps[2:]).all()
    assert segment.mean(overlaps) == pytest.approx(1 / 2)
    assert segment.mean(np.array([np.nan])) == 0.0


def test_evaluate_by_hand():
    # A second image that is answered right: the counts of both are added before anything is divided.
    right = np.array([[0, 0, 0, 0], [1, 1, 2, 2]], np.uint8)
    part = subset([TRUTH, right], names=("poor.png", "good.png"))
    answers = np.stack([ANSWER, right])

    def predict(x):
        np.testing.assert_allclose(x, part.inputs / np.float32(255), rtol=1e-6)
        return logits_for(answers)

    result = segment.evaluate(predict, part, PREPARED, split="test")
    # a: 6 right of 7 + 7 - 6; b: 4 of 4 + 5 - 4; c: 3 of 4 + 3 - 3.
    assert [score.iou for score in result.classes] == pytest.approx([6 / 8, 4 / 5, 3 / 4])
    assert result.figures["miou"] == result.score == pytest.approx((6 / 8 + 4 / 5 + 3 / 4) / 3)
    assert result.measure == "miou"
    assert result.figures["accuracy"] == pytest.approx(13 / 15)
    # Dice is 2 * right / (true + called), and equals 2 IoU / (1 + IoU).
    assert [score.f1 for score in result.classes] == pytest.approx([12 / 14, 8 / 9, 6 / 7])
    assert [score.precision for score in result.classes] == pytest.approx([6 / 7, 4 / 5, 3 / 3])
    assert [score.recall for score in result.classes] == pytest.approx([6 / 7, 4 / 4, 3 / 4])
    assert [score.support for score in result.classes] == [7, 4, 4]
    assert [(poor.index, poor.name) for poor in result.poor] == [(0, "poor.png"), (1, "good.png")]
    assert [poor.iou for poor in result.poor] == pytest.approx([(1 / 2 + 2 / 3 + 1 / 2) / 3, 1.0])
    # Logits of 10 and 0: a right pixel costs log(1 + 2 e^-10), a wrong one 10 more.
    assert result.loss == pytest.approx(math.log(1 + 2 * math.exp(-10)) + 10 * 2 / 15, rel=1e-6)


def test_the_training_metric_is_the_same_score():
    metric = segment.metrics(3)[0]
    metric.update_state(TRUTH[None], logits_for(ANSWER)[None])
    assert metric.name == "miou"
    assert float(metric.result()) == pytest.approx(segment.measure(logits_for(ANSWER)[None], TRUTH[None]))


def test_dice_by_hand():
    # Two pixels known, one of each class, and the shares 3/4 and 1/4: log 3 is that logit.
    truth = np.array([[[0, 1, IGNORE]]])
    logits = np.array([[[[math.log(3), 0], [math.log(3), 0], [100, 0]]]], np.float32)
    # Class 0: (2 * 3/4 + 1) / (3/4 + 3/4 + 1 + 1); class 1: (2 * 1/4 + 1) / (1/4 + 1/4 + 1 + 1).
    expected = 1 - (2.5 / 3.5 + 1.5 / 2.5) / 2
    assert float(MaskLoss("dice")(truth, logits)) == pytest.approx(expected, rel=1e-6)
    weighed = 1 - (3 * 2.5 / 3.5 + 1 * 1.5 / 2.5) / 4
    assert float(MaskLoss("dice", weights=(3, 1))(truth, logits)) == pytest.approx(weighed, rel=1e-6)


def test_cross_entropy_by_hand_and_the_sum_of_both():
    truth = np.array([[[0, 1, IGNORE]]])
    logits = np.array([[[[math.log(3), 0], [math.log(3), 0], [100, 0]]]], np.float32)
    surprise = (math.log(4 / 3), math.log(4))
    plain = float(MaskLoss("cross_entropy")(truth, logits))
    assert plain == pytest.approx(sum(surprise) / 2, rel=1e-6)
    weighed = float(MaskLoss("cross_entropy", weights=(3.0, 1.0))(truth, logits))
    assert weighed == pytest.approx((3 * surprise[0] + surprise[1]) / 4, rel=1e-6)
    both = float(MaskLoss("dice_cross_entropy")(truth, logits))
    assert both == pytest.approx(plain + float(MaskLoss("dice")(truth, logits)), rel=1e-6)


def test_without_ignored_pixels_cross_entropy_is_keras_s_with_smoothing_too():
    rng = np.random.default_rng(0)
    truth, logits = rng.integers(0, 3, (2, 4, 5)), rng.normal(size=(2, 4, 5, 3)).astype("float32")
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    expected = float(theirs(np.eye(3)[truth].reshape(-1, 3), logits.reshape(-1, 3)))
    assert float(MaskLoss("cross_entropy", label_smoothing=0.1)(truth, logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["dice", "cross_entropy", "dice_cross_entropy"])
def test_ignored_pixels_have_no_gradient_and_an_unknown_image_no_loss_that_is_no_number(kind):
    import tensorflow as tf

    logits = tf.Variable(np.random.default_rng(0).normal(size=(1, 2, 4, 3)).astype("float32"))
    with tf.GradientTape() as tape:
        value = MaskLoss(kind)(TRUTH[None], logits)
    gradient = tape.gradient(value, logits).numpy()
    np.testing.assert_array_equal(gradient[0, 1, 3], 0)
    assert np.abs(gradient[0, 0, 0]).max() > 0
    assert np.isfinite(float(MaskLoss(kind)(np.full((1, 2, 4), IGNORE), logits)))


def test_the_loss_falls_as_the_mask_improves_and_survives_its_config():
    good, poor = logits_for(TRUTH % IGNORE)[None], logits_for(ANSWER)[None]
    loss = MaskLoss("dice_cross_entropy", weights=(1.0, 2.0, 3.0), label_smoothing=0.1)
    again = MaskLoss.from_config(loss.get_config())
    assert float(loss(TRUTH[None], good)) < float(loss(TRUTH[None], poor))
    assert float(again(TRUTH[None], poor)) == float(loss(TRUTH[None], poor))


def test_weights_count_known_pixels():
    np.testing.assert_allclose(segment.weights(TRUTH[None], 4), [7 / (4 * 3), 7 / (4 * 2), 7 / (4 * 2), 0])


def test_the_recipe_chooses_the_loss():
    assert segment.loss(Train(), None).kind == "dice_cross_entropy"
    assert segment.loss(Train(loss="dice"), np.array([1.0, 2.0])).weights == (1.0, 2.0)


def test_shown_has_the_poorest_first_and_then_a_spread():
    masks = np.zeros((10, 2, 4), np.uint8)
    masks[7] = 1
    part = subset(masks)

    def predict(x):
        return logits_for(np.zeros((len(x), 2, 4), int))

    result = segment.evaluate(predict, part, PREPARED, split="test")
    shown = segment.shown(predict, part, PREPARED, result, count=6)
    assert shown[0].name == "7.png"
    assert len(shown) == len({one.name for one in shown}) == 6
    assert shown[0].iou == 0.0
    np.testing.assert_array_equal(shown[0].truth, masks[7])
    assert {one.iou for one in shown[1:]} == {1.0}


@pytest.mark.parametrize(
    ("task", "changes", "words"),
    [
        ("segment", {"augment": Augment(mixup=0.2)}, "augment.mixup blends the classes of whole images"),
        ("segment", {"augment": Augment(cutmix=1.0)}, "augment.cutmix blends"),
        ("segment", {"gate": Gate(min_accuracy=0.9)}, "set gate.min_miou"),
        ("classify", {"gate": Gate(min_miou=0.9)}, "set gate.min_accuracy"),
        ("classify", {"train": Train(loss="dice")}, "use 'cross_entropy'"),
    ],
)
def test_settings_of_the_other_task_are_refused(task, changes, words):
    with pytest.raises(UserError, match=words) as caught:
        TASKS[task].check(Recipe(data=Data(source="mine"), **changes))
    assert "\n" not in str(caught.value)
    TASKS[task].check(Recipe())
