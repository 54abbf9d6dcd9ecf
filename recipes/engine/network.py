"""The model that a recipe asks for: the zoo's spec with the recipe's changes, its weights seeded or trained."""

import dataclasses
from typing import Any

import keras

import zoo
from recipes.engine import preprocess, transfer
from recipes.engine.errors import UserError
from recipes.engine.preprocess import Images, Preprocess, Words
from recipes.engine.progress import console
from recipes.engine.records import Data, Model, Recipe, Train
from recipes.engine.results import THINGS, Examples, Task
from recipes.engine.tasks import TASKS
from recipes.engine.wording import article

BUILT_FOR: dict[Task, str] = {"forecast": "classify"}
"""Task of the data → task of the zoo, where they differ: a forecast is the numbers of a linear head."""


def build(recipe: Recipe, examples: Examples) -> tuple[keras.Model, Preprocess]:
    """A new model in the recipe's precision, its weights seeded or trained, and how it is fed.

    Raises:
        UserError: the recipe's model or another setting is not for the task of its data.
    """
    TASKS[examples.task].check(recipe)
    source = recipe.transfer.weights
    prepared = preprocess.fit(reading(recipe, examples), examples)
    settings = spec(recipe.model, prepared.changes)
    if isinstance(prepared, Words):  # how many words are read is the model's to say
        prepared = dataclasses.replace(prepared, method=getattr(settings, "method", prepared.method))
    check(recipe, settings, prepared)
    keras.utils.set_random_seed(recipe.train.seed)
    keras.config.set_dtype_policy(precision(recipe.train))
    if source:
        settings = zoo.weights.adapted(settings, source)
    try:
        model = zoo.build(settings, input_shape=prepared.shape, classes=prepared.outputs)
    finally:
        keras.config.set_dtype_policy("float32")
    if not source:
        return model, prepared
    transfer.check(recipe, model)
    loaded = zoo.weights.load(model, source, spec=settings)
    for note in loaded.notes:
        console.print(f"note: {note}")
    if isinstance(prepared, Images) and loaded.mean is not None and loaded.std is not None:
        prepared = dataclasses.replace(prepared, mean=loaded.mean, std=loaded.std)
    return model, prepared


def reading(recipe: Recipe, examples: Examples) -> Data:
    """The record of the data, with the tokenizer of the recipe's weights where it leaves the choice open."""
    if examples.modality != "text" or not recipe.transfer.weights or recipe.data.tokenizer != "auto":
        return recipe.data
    tokenizer = zoo.weights.tokenizer(recipe.model.name, recipe.transfer.weights)
    return dataclasses.replace(recipe.data, tokenizer=str(tokenizer)) if tokenizer else recipe.data


def check(recipe: Recipe, settings: zoo.Spec, prepared: Preprocess) -> None:
    """Refuse a model that is for another task, or reads something else.

    Raises:
        UserError: it is; names some that fit.
    """
    names = zoo.list_models(task=BUILT_FOR.get(prepared.task, prepared.task))
    if recipe.model.name in names and len(settings.axes) == len(prepared.shape):
        return
    fits = [name for name in names if reads(zoo.spec(name), prepared)]
    why = "reads something else" if recipe.model.name in names else "is a model for another task"
    has = {
        "classify": f"one class {article(THINGS[prepared.modality])}",
        "segment": "a mask an image",
        "forecast": "series to forecast",
        "generate": "texts to go on with",
        "translate": "pairs of texts",
        "embed": "words in their contexts",
    }[prepared.task]
    raise UserError(
        f"{recipe.data.source} has {has}, and {recipe.model.name} {why}; set model.name to one of "
        f"{', '.join(fits[:8])}{' …' if len(fits) > 8 else ''}"
    )


def reads(settings: zoo.Spec, prepared: Preprocess) -> bool:
    """Whether a model can read what is prepared."""
    return len(changed(settings, prepared.changes).axes) == len(prepared.shape)


def changed(settings: zoo.Spec, changes: dict[str, Any]) -> zoo.Spec:
    """A spec with those of `changes` that it has fields for."""
    known = {field.name for field in dataclasses.fields(settings)}
    return dataclasses.replace(settings, **{name: value for name, value in changes.items() if name in known})


def precision(record: Train) -> str:
    """`auto` mixes on a GPU only: on a CPU mixed precision is slower."""
    if record.precision != "auto":
        return record.precision
    import tensorflow as tf

    return "mixed_float16" if tf.config.list_physical_devices("GPU") else "float32"


def spec(model: Model, needed: dict[str, Any] | None = None) -> zoo.Spec:
    """The zoo's spec with the recipe's changes, and before them what the data needs."""
    base = changed(zoo.spec(model.name), needed or {})
    known = {field.name: field for field in dataclasses.fields(base)}
    changes = {**model.spec}
    for name in ("width", "dropout"):
        value = getattr(model, name)
        if value is not None:
            whole = isinstance(getattr(base, name), int) and float(value).is_integer()
            changes[name] = int(value) if whole else value
    for name, value in changes.items():
        if name not in known:
            raise UserError(f"model.spec: {model.name} has no field {name!r}; it has {', '.join(known)}")
        changes[name] = tuple(value) if isinstance(value, list) else value
    return dataclasses.replace(base, **changes)
