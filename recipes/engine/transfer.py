"""Transfer learning as phases of training: the head alone, then more and more of the backbone."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import keras

import zoo
from recipes.engine import feed, train
from recipes.engine.errors import UserError
from recipes.engine.files import write_json
from recipes.engine.preprocess import Preprocess
from recipes.engine.progress import console
from recipes.engine.records import Recipe, Train
from recipes.engine.results import Examples
from recipes.engine.tasks import TASKS

RATE_STEPS = 100
"""Batches of a learning-rate range test."""


@dataclass(frozen=True)
class Phase:
    """One phase of the training.

    Attributes:
        name: for files and curves.
        endpoint: what trains, from there to the head; empty is the whole model, normalisations too.
        settings: how it trains.
        decay: of the rate, an endpoint further from the head.
        note: what the report says of it.
        find_lr: whether a range test sets its rate.
        rate: the field of the recipe that says its learning rate.
    """

    name: str
    endpoint: str
    settings: Train
    decay: float = 1.0
    note: str = ""
    find_lr: bool = False
    rate: str = "train.lr"


def plan(recipe: Recipe) -> tuple[Phase, ...]:
    """The phases of a recipe: one from scratch, or the head and then each of `transfer.unfreeze`."""
    record = recipe.transfer
    if not record.weights:
        return (Phase("train", "", recipe.train),)
    settings = train.fine_tuning(recipe.train, epochs=record.epochs, lr=record.lr)
    phases = [Phase("train", "head", recipe.train, note=f"only the head on the {record.weights} weights")]
    for number, endpoint in enumerate(record.unfreeze, start=1):
        note = f"{endpoint} and all after it"
        phases.append(Phase(f"unfreeze{number}", endpoint, settings, record.layer_decay, note, rate="transfer.lr"))
    return tuple(dataclasses.replace(phase, find_lr=record.find_lr) for phase in phases)


def check(recipe: Recipe, model: keras.Model) -> None:
    """Refuse a plan that would fail after its first phases.

    Raises:
        UserError: `transfer.unfreeze` names an endpoint that the model lacks.
    """
    names = list(zoo.endpoints(model))
    for endpoint in recipe.transfer.unfreeze:
        if endpoint not in names:
            raise UserError(f"transfer.unfreeze: there is no endpoint {endpoint!r}; the model has {', '.join(names)}")


def open_up(model: keras.Model, phase: Phase) -> None:
    """Set what of `model` trains in `phase`."""
    if phase.endpoint:
        zoo.train_from(model, phase.endpoint)


def with_rate(
    phase: Phase, model: keras.Model, recipe: Recipe, examples: Examples, prepared: Preprocess, folder: Path
) -> Train:
    """The settings of `phase`, with the learning rate of a range test where it asks for one.

    The test is kept in `NAME.rate.json`, so that a resumed run trains at the rate that it began with.
    """
    if not phase.find_lr:
        return phase.settings
    path = folder / f"{phase.name}.rate.json"
    if not path.exists():
        settings = dataclasses.replace(phase.settings, epochs=RATE_STEPS, steps_per_execution=1)
        rows = feed.rows(examples.train, prepared)
        stream = feed.training(
            rows,
            prepared,
            plan=feed.plan(settings, len(rows[1]), 0),
            augmentation=recipe.augment,
            weights=None,
            seed=settings.seed,
            first_epoch=0,
            epochs=RATE_STEPS,
        )
        found = zoo.find_rate(
            model,
            stream.as_numpy_iterator(),
            optimizer=lambda rate: train.optimizer(settings, rate),
            loss=TASKS[prepared.task].loss(settings, None),
            steps=RATE_STEPS,
        )
        write_json(path, dataclasses.asdict(found))
    rate = json.loads(path.read_text(encoding="utf-8"))["rate"]
    console.print(f"{phase.name}: learning rate {rate:.2g} by a range test")
    return dataclasses.replace(phase.settings, lr=rate)
