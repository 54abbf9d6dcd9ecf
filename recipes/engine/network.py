"""The model that a recipe asks for: the zoo's spec with the recipe's changes, its weights seeded or trained."""

import dataclasses

import keras

import zoo
from recipes.engine import preprocess, transfer
from recipes.engine.errors import UserError
from recipes.engine.preprocess import Preprocess
from recipes.engine.progress import console
from recipes.engine.records import Model, Recipe, Train
from recipes.engine.results import Examples
from recipes.engine.tasks import TASKS


def build(recipe: Recipe, examples: Examples) -> tuple[keras.Model, Preprocess]:
    """A new model in the recipe's precision, its weights seeded or trained, and how it is fed.

    Raises:
        UserError: the recipe's model or another setting is not for the task of its data.
    """
    fitting = zoo.list_models(task=examples.task)
    if recipe.model.name not in fitting and recipe.model.name in zoo.list_models():
        has = {"classify": "one class an image", "segment": "a mask an image"}[examples.task]
        raise UserError(
            f"{recipe.data.source} has {has}, and {recipe.model.name} is a model for another task; set model.name to "
            f"one of {', '.join(fitting[:8])}{' …' if len(fitting) > 8 else ''}"
        )
    TASKS[examples.task].check(recipe)
    keras.utils.set_random_seed(recipe.train.seed)
    keras.config.set_dtype_policy(precision(recipe.train))
    settings, source = spec(recipe.model), recipe.transfer.weights
    if source:
        settings = zoo.weights.adapted(settings, source)
    try:
        model = zoo.build(settings, input_shape=examples.shape, classes=len(examples.classes))
    finally:
        keras.config.set_dtype_policy("float32")
    if not source:
        return model, preprocess.fit(recipe.data, examples)
    transfer.check(recipe, model)
    loaded = zoo.weights.load(model, source, spec=settings)
    for note in loaded.notes:
        console.print(f"note: {note}")
    return model, preprocess.fit(recipe.data, examples, belongs=loaded)


def precision(record: Train) -> str:
    """`auto` mixes on a GPU only: on a CPU mixed precision is slower."""
    if record.precision != "auto":
        return record.precision
    import tensorflow as tf

    return "mixed_float16" if tf.config.list_physical_devices("GPU") else "float32"


def spec(model: Model) -> zoo.Spec:
    """The zoo's spec with the recipe's changes."""
    base = zoo.spec(model.name)
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
