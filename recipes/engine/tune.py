"""What a search over a recipe's fields is: read, checked, and its folder made (`trials` runs it)."""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import yaml

from recipes.engine import runs
from recipes.engine.errors import UserError
from recipes.engine.files import write_json
from recipes.engine.recipe_file import fields, from_plain, near, to_plain
from recipes.engine.records import Recipe

Algorithm = Literal["random", "bayesian", "hyperband"]


@dataclasses.dataclass(frozen=True)
class Search:
    """What is searched.

    Attributes:
        over: `field=low:high`, `field=log:low:high` or `field=a,b,c`.
        trials: how many; Hyperband draws its own number from `train.epochs`.
        algorithm: `random`, `bayesian` or `hyperband`.
        seed: of the search.
    """

    over: tuple[str, ...]
    trials: int
    algorithm: Algorithm
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Range:
    """One searched field: a `low`-`high` range (whole numbers if `whole`), or a list of `choices`."""

    field: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False


def parse(text: str) -> Range:
    """Read `train.lr=log:1e-4:1e-2`, `train.epochs=5:20` or `model.width=16,32`.

    Raises:
        UserError: an unknown field (near match shown) or a range that is none.
    """
    field, equals, values = text.partition("=")
    if not equals or not values:
        raise UserError(f"--over {text}: write FIELD=LOW:HIGH, FIELD=log:LOW:HIGH or FIELD=A,B,C")
    if field not in fields():
        raise UserError(f"--over {text}: a recipe has no field {field!r}{near(field)}")
    if ":" not in values:
        choices = tuple(yaml.safe_load(value) for value in values.split(","))
        if len({type(choice) for choice in choices}) > 1:
            choices = (
                tuple(values.split(",")) if any(isinstance(c, str) for c in choices) else tuple(map(float, choices))
            )
        return Range(field, choices=choices)
    log = values.startswith("log:")
    parts = values.removeprefix("log:").split(":")
    try:
        low, high = (float(part) for part in parts)
    except ValueError:
        raise UserError(f"--over {text}: {values!r} is no range; write LOW:HIGH or log:LOW:HIGH") from None
    if not low < high or (log and low <= 0):
        raise UserError(f"--over {text}: the range must rise{', from above 0' if log else ''}")
    return Range(field, low=low, high=high, log=log, whole=all(p.lstrip("-").isdigit() for p in parts))


def apply(recipe: Recipe, values: dict[str, Any]) -> Recipe:
    """The recipe with dotted fields replaced, checked."""
    plain = to_plain(recipe)
    for field, value in values.items():
        *path, last = field.split(".")
        target = plain
        for name in path:
            target = target[name]
        target[last] = value
    return from_plain(plain, where="--over")


def create(recipe: Recipe, search: Search, *, summary: str, command: str) -> Path:
    """Make the folder of a new search, after a check of both ends of every range.

    Raises:
        UserError: nothing to search, an unknown field, or a value that the recipe refuses.
    """
    ranges = [parse(text) for text in search.over]
    if not ranges:
        raise UserError("nothing to search: give at least one --over FIELD=RANGE")
    if not recipe.data.validation:
        raise UserError("a search chooses on validation data, and data.validation is 0; set it to 0.15 or so")
    for item in ranges:
        ends = (int(item.low), int(item.high)) if item.whole else (item.low, item.high)
        for value in item.choices or ends:
            apply(recipe, {item.field: value})
    folder = runs.create(dataclasses.replace(recipe, name=f"tune-{recipe.name}"), summary=summary, command=command)
    write_json(folder / "search.json", dataclasses.asdict(search))
    runs.update_manifest(folder, {"kind": "search"})
    return folder
