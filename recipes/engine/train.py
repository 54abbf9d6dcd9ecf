"""The training phase: compile, fit, keep the best, resume."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

import zoo
from recipes.engine import checkpoint, feed
from recipes.engine.checkpoint import State
from recipes.engine.errors import TrainingFailed
from recipes.engine.preprocess import Preprocess
from recipes.engine.progress import Progress
from recipes.engine.records import Augment, Train
from recipes.engine.results import MEASURES, Examples, History
from recipes.engine.tasks import TASKS
from recipes.engine.tensorboard import Log


@keras.saving.register_keras_serializable(package="edgezoo")
class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise over the first `steps` batches (Goyal et al. 2017, section 2.2) of another schedule."""

    def __init__(self, inner: keras.optimizers.schedules.LearningRateSchedule, steps: int) -> None:
        self.inner, self.steps = inner, steps

    def __call__(self, step: Any) -> Any:
        """The learning rate at `step`."""
        risen = (keras.ops.cast(step, "float32") + 1.0) / (self.steps + 1.0)
        return keras.ops.minimum(risen, 1.0) * self.inner(step)

    def get_config(self) -> dict[str, Any]:
        """What it is made of."""
        return {"inner": keras.saving.serialize_keras_object(self.inner), "steps": self.steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Warmup":
        """One made of that."""
        return cls(keras.saving.deserialize_keras_object(config["inner"]), config["steps"])


def schedule(train: Train, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Learning rate over `steps` batches; Keras counts each batch, even where gradients are accumulated.

    `cosine` is Loshchilov & Hutter 2017, eq. 5, without restarts; `step` divides by ten at 50 % and 75 %, as
    He et al. 2016, section 4.2, do on CIFAR-10.
    """
    schedules = keras.optimizers.schedules
    if train.schedule == "cosine":
        inner = schedules.CosineDecay(train.lr, decay_steps=steps)
    elif train.schedule == "step":
        boundaries = [max(steps // 2, 1), max(steps * 3 // 4, 2)]
        inner = schedules.PiecewiseConstantDecay(boundaries, [train.lr, train.lr * 0.1, train.lr * 0.01])
    else:
        inner = schedules.PiecewiseConstantDecay([steps], [train.lr, train.lr])
    return Warmup(inner, round(train.warmup * steps))


def optimizer(
    train: Train, rate: float | keras.optimizers.schedules.LearningRateSchedule
) -> keras.optimizers.Optimizer:
    """AdamW (Loshchilov & Hutter 2019) or SGD with Nesterov momentum 0.9, as the recipe says."""
    shared: dict[str, Any] = {
        "weight_decay": train.weight_decay,
        "global_clipnorm": train.clip or None,
        "use_ema": bool(train.ema),
        "ema_momentum": train.ema or 0.99,
        "gradient_accumulation_steps": train.accumulate if train.accumulate > 1 else None,
    }
    if train.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, **shared)
    return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, **shared)


def fit(
    model: keras.Model,
    examples: Examples,
    preprocess: Preprocess,
    *,
    train: Train,
    augmentation: Augment,
    weights: np.ndarray | None,
    macs: int,
    folder: Path,
    phase: str,
    layer_decay: float = 1.0,
    start: bool = False,
    by_loss: bool = False,
    first: int = 1,
    rate: str = "train.lr",
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> History:
    """Train `model` in place; it ends with the weights of its best epoch on validation data.

    After each epoch everything goes to `folder/phase.checkpoint.npz`. Where that file exists, training goes on from
    it and ends with the weights that an uninterrupted run would have had.

    Args:
        model: gives logits `(batch, classes)`, for masks `(batch, height, width, classes)`.
        examples: trains on `train`, chooses on `validation`, never sees `test`.
        preprocess: normalisation.
        train: the recipe's training record.
        augmentation: what is done to training images.
        weights: one a class, or None.
        macs: multiply-accumulates of one example, to group short steps.
        folder: the run's folder.
        phase: name of the phase, for files and curves.
        layer_decay: see `zoo.layerwise`; 1 trains all layers at one rate.
        start: whether the weights that it comes with count too, as epoch 0: where none is better, they stay.
        by_loss: whether the epoch of the lowest validation loss is the best, whatever its score.
        first: the first epoch that may be the best one, counted from 1.
        rate: the field of the recipe that says the learning rate, for a message.
        callbacks: more of them.

    Raises:
        TrainingFailed: the loss became NaN or infinite.
    """
    task = TASKS[examples.task]
    path = folder / f"{phase}.checkpoint.npz"
    rows = feed.rows(examples.train, preprocess)
    plan = feed.plan(train, len(rows[1]), macs)
    adapted = optimizer(train, schedule(train, train.epochs * plan.steps))
    if layer_decay < 1.0:
        adapted = zoo.layerwise(adapted, model, layer_decay)
    adapted.exclude_from_weight_decay(var_list=[v for v in model.trainable_variables if len(v.shape) < 2])
    model.compile(
        optimizer=adapted,
        loss=task.loss(train, weights),
        metrics=task.metrics(len(examples.classes)),
        weighted_metrics=[],
        steps_per_execution=plan.per_execution,
    )
    measure = MEASURES[examples.task]
    judging = feed.judging(examples.validation, preprocess, batch_size=4 * train.batch_size)
    state = State()
    best: list[np.ndarray] = []
    if path.exists():
        state, best = checkpoint.load(path, model)
    elif start:
        found = model.evaluate(judging, verbose=0, return_dict=True)
        state, best = State(best=rank(found, measure, by_loss)), model.get_weights()
    log = Log(folder / "tensorboard", phase, purge_step=state.epochs + 1)
    progress = Progress(phase, train.epochs, measure)
    keeper = Keeper(
        path,
        state,
        best,
        measure,
        by_loss=by_loss,
        first=first,
        rate=rate,
        train=train,
        log=log,
        progress=progress,
    )
    # The averaged weights are swapped in for each validation; the keeper, first in the list, copies them there.
    swap = [keras.callbacks.SwapEMAWeights()] if train.ema else []
    try:
        if not keeper.done:
            model.fit(
                feed.training(
                    rows,
                    preprocess,
                    plan=plan,
                    augmentation=augmentation,
                    weights=weights,
                    seed=train.seed,
                    first_epoch=state.epochs,
                    epochs=train.epochs,
                ),
                initial_epoch=state.epochs,
                epochs=train.epochs,
                steps_per_epoch=plan.steps,
                validation_data=judging,
                callbacks=[keeper, *swap, *callbacks],
                shuffle=False,
                verbose=0,
            )
    finally:
        keeper.progress.close()
        log.close()
    if keeper.failure:
        raise TrainingFailed(keeper.failure)
    model.set_weights(keeper.best)
    stopped = f"no better score in {train.patience} epochs" if keeper.state.epochs < train.epochs else ""
    return History(phase, keeper.state.curves, keeper.state.best_epoch, stopped)


def rank(values: dict[str, float], measure: str, by_loss: bool, loss: str = "loss") -> tuple[float, float]:
    """What epochs are ranked by: the more, the better."""
    return (0.0 if by_loss else values[measure]), -values[loss]


class Keeper(keras.callbacks.Callback):
    """Follows a phase: curves, best weights, patience, NaN, and a checkpoint after each epoch."""

    def __init__(
        self,
        path: Path,
        state: State,
        best: list[np.ndarray],
        measure: str,
        *,
        by_loss: bool,
        first: int,
        rate: str,
        train: Train,
        log: Log,
        progress: Progress,
    ) -> None:
        super().__init__()
        self.path, self.state, self.best = path, state, best
        self.measure, self.by_loss, self.first, self.rate = measure, by_loss, first, rate
        self.train, self.log, self.progress = train, log, progress
        self.failure = ""
        self._judged: list[np.ndarray] = []

    @property
    def done(self) -> bool:
        """Whether nothing is left to train."""
        waited_enough = bool(self.train.patience and self.state.waited >= self.train.patience)
        return waited_enough or self.state.epochs >= self.train.epochs

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Stop at a loss that is no number; show progress."""
        loss = float((logs or {})["loss"])
        if not np.isfinite(loss):
            self.failure = (
                f"the loss became {loss} in epoch {self.state.epochs + 1}; lower {self.rate} (it is {self.train.lr:g}) "
                "or bound the gradient with train.clip=1"
            )
            self.model.stop_training = True
        self.progress.step(batch + 1, self.params.get("steps") or 1, loss)

    def on_test_end(self, logs: dict | None = None) -> None:
        """Copy the weights that were just judged (the averaged ones where `train.ema` is on)."""
        self._judged = [np.array(value) for value in self.model.get_weights()]

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keep curves, best weights and checkpoint; stop when patience is at its end."""
        if self.failure:
            return
        values = {name: float(value) for name, value in (logs or {}).items()}
        values["learning_rate"] = float(self.model.optimizer.learning_rate)
        values["seconds"] = time.monotonic() - self._started
        counts = self.state.epochs + 1 >= self.first
        score = rank(values, f"val_{self.measure}", self.by_loss, "val_loss") if counts else State.best
        self.state = self.state.after(score, values)
        if self.state.waited == 0:
            self.best = self._judged
        checkpoint.save(self.path, self.model, self.best, self.state)
        self.log.scalars(self.state.epochs, values)
        self.progress.epoch(self.state.epochs, values, best=self.state.waited == 0)
        if self.done:
            self.model.stop_training = True


def fine_tuning(train: Train, *, epochs: int, lr: float) -> Train:
    """The training record of a later phase: same data and batches, fewer epochs, a smaller rate, every epoch run."""
    return replace(train, epochs=epochs, lr=lr, schedule="cosine", warmup=0.0, patience=0, ema=0.0)
