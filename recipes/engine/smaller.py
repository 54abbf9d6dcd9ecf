"""The first half of the compress stage: fewer channels, zeros, few values, and training after each.

The second half, fine-tuning with fake quantization, keeps what is made here; see `recipes.engine.stages`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras

import compress
import zoo
from recipes.engine import feed, stages, train, transfer
from recipes.engine.errors import UserError
from recipes.engine.preprocess import Preprocess
from recipes.engine.records import Recipe
from recipes.engine.results import Evaluation, Examples, History, Smaller

FILE = "model_small.keras"
"""Where the model that has been through all of them is kept."""


@dataclass(frozen=True)
class Change:
    """One of them.

    Attributes:
        name: of its phase of training, for files and curves.
        field: of the recipe that asks for it.
        make: from a model to the changed copy; the number of batches of an epoch is given too.
        note: what the report says of it.
        whole_from: the epoch of its training from which the change is whole, counted from 1; those before do not count.
    """

    name: str
    field: str
    make: Callable[[keras.Model, int], keras.Model]
    note: str
    whole_from: int = 1


def changes(recipe: Recipe) -> tuple[Change, ...]:
    """What the recipe asks for, in the order in which it is done."""
    record, found = recipe.compress, []
    if record.macs < 1.0:
        found.append(
            Change(
                "channels",
                "macs",
                lambda model, steps: compress.prune_channels(model, record.macs),
                f"{record.macs:.0%} of the multiply-accumulates or less",
            )
        )
    if record.sparsity:
        growing = record.recovery_epochs // 2

        def pruned(model: keras.Model, steps: int) -> keras.Model:
            every = max(1, growing * steps // 50)
            end = growing * steps // every * every
            schedule = compress.Polynomial(0.0, record.sparsity, end=end, every=every) if end else None
            return compress.prune(model, record.sparsity, schedule=schedule)

        found.append(Change("prune", "sparsity", pruned, f"{record.sparsity:.0%} zeros in each kernel", growing + 1))
    if record.clusters is not None:
        count = record.clusters
        found.append(
            Change(
                "cluster",
                "clusters",
                lambda model, steps: compress.cluster(model, count),
                f"{count} values in each kernel",
            )
        )
    return tuple(found)


def check(model: keras.Model, recipe: Recipe) -> None:
    """Refuse, before anything is trained, what cannot be done to the recipe's model.

    Raises:
        UserError: the field of the recipe is named.
    """
    for change in changes(recipe):
        try:
            model = change.make(model, 1)
        except compress.CompressError as error:
            raise UserError(f"compress.{change.field}: {error}") from None


def smaller(
    model: keras.Model, recipe: Recipe, examples: Examples, prepared: Preprocess, folder: Path
) -> tuple[keras.Model, tuple[History, ...]]:
    """The changed model, kept as `model_small.keras`, and the curves of each phase; the float model where none is.

    Of the training after a change the best epoch is kept, of those that have all of it: zeros come one by one in the
    first half of their training (Zhu & Gupta 2017).
    """
    asked = changes(recipe)
    if not asked:
        return model, ()
    record, path = recipe.compress, folder / FILE
    settings = train.fine_tuning(recipe.train, epochs=record.recovery_epochs, lr=record.recovery_lr)
    phases = [
        transfer.Phase(change.name, "", settings, note=change.note, rate="compress.recovery_lr") for change in asked
    ]
    if path.exists():
        histories = [stages.read_history(stages.story(folder, step)) for step in phases]
        return keras.models.load_model(path, compile=False), tuple(histories)
    count, teacher, histories = len(feed.rows(examples.train, prepared)[1]), model, []
    for change, step in zip(asked, phases, strict=True):
        keras.utils.set_random_seed(settings.seed)
        steps = feed.plan(settings, count, zoo.macs(model)).steps
        model, history = stages.phase(
            change.make(model, steps),
            recipe=recipe,
            step=step,
            examples=examples,
            prepared=prepared,
            path=folder / f".{step.name}.keras",
            start=change.whole_from == 1,
            teacher=teacher if record.distill else None,
            whole_from=change.whole_from,
        )
        histories.append(history)
    stages.keep(model, path, prepared)
    for step in phases:
        (folder / f".{step.name}.keras").unlink()
    return model, tuple(histories)


def described(model: keras.Model, test: Evaluation) -> Smaller:
    """What the report says of the changed model."""
    plain = compress.strip(model)
    return Smaller(test, plain.count_params(), zoo.macs(plain), compress.sparsity(model).share)
