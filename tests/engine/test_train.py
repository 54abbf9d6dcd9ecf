import dataclasses
import math

import keras
import numpy as np
import pytest

from recipes.engine import Augment, Train, feed, train
from recipes.engine.errors import TrainingFailed
from recipes.engine.preprocess import Images
from recipes.engine.results import Examples, Subset


def rate(record, step, steps=100):
    return float(train.schedule(record, steps)(step))


def test_cosine_after_warmup_by_hand():
    record = Train(lr=0.8, schedule="cosine", warmup=0.1)
    assert rate(record, 0) == pytest.approx(0.8 / 11)
    assert rate(record, 50) == pytest.approx(0.4)
    assert rate(record, 75) == pytest.approx(0.8 * 0.5 * (1 + math.cos(0.75 * math.pi)))
    assert rate(record, 100) == pytest.approx(0.0, abs=1e-7)


def test_step_and_constant_by_hand():
    record = Train(lr=1.0, schedule="step", warmup=0.0)
    assert [rate(record, s) for s in (0, 49, 60, 90)] == pytest.approx([1.0, 1.0, 0.1, 0.01])
    assert [rate(dataclasses.replace(record, schedule="constant"), s) for s in (0, 99)] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("examples", "batch", "macs", "asked", "expected"),
    [
        (1280, 64, 1_000, 0, (64, 20, 10)),  # short steps: the most that divides the epoch, up to 16
        (1280, 64, 10**9, 0, (64, 20, 1)),  # long steps: one a call
        (1216, 64, 1_000, 0, (64, 18, 9)),  # 19 is prime: one batch is left for another epoch
        (10, 64, 1_000, 0, (10, 1, 1)),  # fewer examples than a batch
        (640, 64, 1_000, 3, (64, 9, 3)),
    ],
)
def test_plan(examples, batch, macs, asked, expected):
    plan = feed.plan(Train(batch_size=batch, steps_per_execution=asked), examples, macs)
    assert (plan.batch_size, plan.steps, plan.per_execution) == expected


def two_shades(count=64, size=6):
    """Dark and light noise: a problem that a tiny model learns at once."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = rng.normal(80 + 90 * labels[:, None, None, None], 15, (count, size, size, 1)).clip(0, 255).astype(np.uint8)
    half = count // 2
    subsets = [
        Subset(images[part], labels[part].astype(np.int64), tuple(map(str, range(half))))
        for part in (slice(0, half), slice(half, count))
    ]
    return Examples(("dark", "light"), subsets[0], subsets[1], subsets[1], "", "made")


PREPARED = Images(6, 6, 1, (0.0,), (255.0,), ("dark", "light"))


def tiny():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(4, "relu"), keras.layers.Dense(2)]
    )


def fit(folder, model=None, examples=None, start=False, first=1, **changes):
    model = model or tiny()
    record = Train(epochs=10, batch_size=8, lr=0.05, warmup=0.0)
    history = train.fit(
        model,
        examples or two_shades(),
        PREPARED,
        train=dataclasses.replace(record, **changes),
        augmentation=Augment(),
        weights=None,
        macs=100,
        folder=folder,
        phase="train",
        start=start,
        first=first,
    )
    return model, history


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": "sgd", "lr": 0.1},
        {"accumulate": 2, "lr": 0.1},
        {"clip": 0.5},
        {"ema": 0.5},
        {"label_smoothing": 0.1, "schedule": "step"},
        {"precision": "float32", "schedule": "constant", "steps_per_execution": 2},
    ],
)
def test_every_setting_learns(tmp_path, changes):
    model, history = fit(tmp_path, **changes)
    assert history.curves["val_accuracy"][history.best_epoch - 1] > 0.95
    assert len(history.curves["loss"]) == 10
    assert history.curves["loss"][-1] < history.curves["loss"][0]
    subset = two_shades().validation
    answers = np.argmax(model.predict(PREPARED(subset.inputs), verbose=0), axis=1)
    assert (answers == subset.labels).mean() == pytest.approx(history.curves["val_accuracy"][history.best_epoch - 1])


def test_patience_stops_and_keeps_the_best(tmp_path):
    _, history = fit(tmp_path, lr=1e-9, patience=2, epochs=50)
    assert len(history.curves["loss"]) < 50
    assert "no better score in 2 epochs" in history.stopped


def test_where_no_epoch_is_better_the_start_stays(tmp_path):
    model, _ = fit(tmp_path)
    (tmp_path / "train.checkpoint.npz").unlink()
    before = model.get_weights()
    _, history = fit(tmp_path, model=model, start=True, lr=10.0, optimizer="sgd", epochs=2)
    assert history.best_epoch == 0
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_epochs_before_the_first_that_counts_are_never_the_best(tmp_path):
    """At a rate that spoils what it starts from, the first epoch is the best of all that count."""
    model, _ = fit(tmp_path)
    (tmp_path / "train.checkpoint.npz").unlink()
    spoilt = {"model": model, "lr": 10.0, "optimizer": "sgd", "epochs": 5, "schedule": "constant"}
    scores = fit(tmp_path, first=4, **spoilt)[1]
    assert scores.best_epoch in (4, 5)


def test_infinite_loss_stops_with_the_reason(tmp_path):
    with pytest.raises(TrainingFailed, match=r"in epoch 1; lower train\.lr \(it is 1e\+38\)"):
        fit(tmp_path, lr=1e38, optimizer="sgd", epochs=3)


def test_weight_decay_leaves_biases_alone(tmp_path):
    """With a rate that is all decay, kernels shrink and biases stay."""
    model = tiny()
    model.layers[-1].bias.assign([3.0, 3.0])
    kernel = np.array(model.layers[-1].kernel)
    fit(tmp_path, model=model, lr=1e-6, weight_decay=1e3, epochs=1, schedule="constant")
    # The best weights are those of the only epoch; AdamW's own step is at most lr a batch.
    assert np.allclose(model.layers[-1].bias, 3.0, atol=1e-4)
    assert np.abs(model.layers[-1].kernel).sum() < 0.9999 * np.abs(kernel).sum()


def take(first_epoch, epochs, seed=1, augmentation=None, weights=None):
    examples = two_shades()
    plan = feed.Plan(batch_size=8, steps=4, per_execution=1)
    stream = feed.training(
        (examples.train.inputs, examples.train.labels),
        PREPARED,
        plan=plan,
        augmentation=augmentation or Augment(rotate=20.0, translate=0.1, mixup=0.3),
        weights=weights,
        seed=seed,
        first_epoch=first_epoch,
        epochs=epochs,
    )
    return [tuple(np.array(part) for part in batch) for batch in stream]


def test_batches_depend_on_seed_epoch_and_step_alone():
    whole, late = take(0, 3), take(2, 3)
    assert len(whole) == 12
    for one, two in zip(whole[8:], late, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])
    assert not np.array_equal(whole[0][0], whole[4][0])
    assert not np.array_equal(whole[0][0], take(0, 1, seed=2)[0][0])


def test_an_epoch_shows_each_example_once():
    batches = take(0, 1, augmentation=Augment())
    seen = np.concatenate([batch[0] for batch in batches])
    expected = PREPARED(two_shades().train.inputs)
    assert sorted(map(float, seen.sum(axis=(1, 2, 3)))) == pytest.approx(
        sorted(map(float, expected.sum(axis=(1, 2, 3)))), rel=1e-5
    )


def test_class_weights_reach_the_loss():
    for _, labels, weights in take(0, 1, augmentation=Augment(), weights=np.array([0.5, 2.0])):
        np.testing.assert_allclose(weights, labels @ np.array([0.5, 2.0]))


def test_epochs_rank_by_score_then_loss_or_by_loss_alone():
    early, late = {"val_accuracy": 0.99, "val_loss": 0.2}, {"val_accuracy": 0.98, "val_loss": 0.06}

    def ranks(values, by_loss):
        return train.rank(values, "val_accuracy", by_loss, "val_loss")

    assert ranks(early, False) > ranks(late, False)
    assert ranks(late, True) > ranks(early, True)
    assert ranks({**early, "val_loss": 0.1}, False) > ranks(early, False)
