"""Recipes on disk: Python, YAML and JSON; and the packaged cookbook."""

import difflib
import importlib.util
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from recipes.engine.errors import UserError
from recipes.engine.records import Recipe

_adapter = TypeAdapter(Recipe)
COOKBOOK = Path(__file__).parents[1]


@dataclass(frozen=True)
class Loaded:
    """A recipe and the first line of what its file says about it."""

    recipe: Recipe
    summary: str


def to_plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain JSON values."""
    return _adapter.dump_python(recipe, mode="json")


def from_plain(values: Any, *, where: str) -> Recipe:
    """A recipe from plain values, checked.

    Raises:
        UserError: an unknown field (near match shown), a wrong type or a value out of range; names the field.
    """
    try:
        return _adapter.validate_python(values)
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error)}") from None


def explain(error: ValidationError) -> str:
    """A pydantic error as one sentence a field."""
    parts = []
    for item in error.errors():
        location = ".".join(str(part) for part in item["loc"])
        if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            parts.append(f"unknown field {location}{near(location)}")
        elif item["type"] == "value_error":
            parts.append(str(item["ctx"]["error"]))
        else:
            message = item["msg"][0].lower() + item["msg"][1:]
            parts.append(f"{location}: {message}, got {item['input']!r}")
    return "; ".join(parts)


def fields() -> dict[str, type]:
    """Dotted names of all fields of a recipe, with the types of their defaults."""
    found: dict[str, type] = {}

    def walk(values: dict[str, Any], prefix: str) -> None:
        for name, value in values.items():
            if isinstance(value, dict) and value:
                walk(value, f"{prefix}{name}.")
            else:
                found[f"{prefix}{name}"] = type(value)

    walk(to_plain(Recipe()), "")
    return found


def near(name: str) -> str:
    """`; did you mean …?` for a field name that is nearly right, else an empty string."""
    room, _, last = name.rpartition(".")

    def likeness(known: str) -> float:
        known_room, _, known_last = known.rpartition(".")
        same_room = difflib.SequenceMatcher(None, known_room, room).ratio() if room else 1.0
        return difflib.SequenceMatcher(None, known_last, last).ratio() + 0.5 * same_room

    best = max(fields(), key=likeness)
    return f"; did you mean {best}?" if likeness(best) > 1.1 else "; `--help` lists them all"


def load(where: str) -> Loaded:
    """Load a recipe by file name, or by its name in the cookbook.

    Args:
        where: a `.py` file that defines `recipe`, a `.yaml`/`.yml`/`.json` file, or a name such as `digits`.

    Raises:
        UserError: there is no such file or name, or it holds no valid recipe.
    """
    path = Path(where)
    if path.suffix in (".yaml", ".yml", ".json"):
        return _load_data(path)
    if path.suffix == ".py":
        return _load_python(path)
    names = cookbook()
    if where in names:
        return _load_python(names[where])
    close = difflib.get_close_matches(where, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the cookbook has {', '.join(names)}"
    raise UserError(f"there is no recipe {where!r}: give a .py, .yaml or .json file, or a name; {hint}")


def cookbook() -> dict[str, Path]:
    """The packaged recipes by name."""
    return {path.stem: path for path in sorted(COOKBOOK.glob("*.py")) if path.stem != "__init__"}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        close = difflib.get_close_matches(path.stem, cookbook(), n=1)
        hint = f"; the cookbook has {close[0]!r}: `edgezoo run {close[0]}`" if close else ""
        raise UserError(f"the recipe {path} does not exist{hint}") from None
    except UnicodeDecodeError:
        raise UserError(f"the recipe {path} is not UTF-8 text") from None


def _load_data(path: Path) -> Loaded:
    text = _read(path)
    try:
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} is not valid {path.suffix[1:].upper()}: {' '.join(str(error).split())}") from None
    summary = next((line.lstrip("# ") for line in text.splitlines() if line.startswith("#")), "")
    return Loaded(from_plain(values, where=str(path)), summary)


def _load_python(path: Path) -> Loaded:
    text = _read(path)
    spec = importlib.util.spec_from_file_location(f"edgezoo_recipe_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
    except ValidationError as error:
        raise UserError(f"{path}: {error.title}: {explain(error)}") from None
    except Exception as error:
        raise UserError(f"{path} cannot be run: {type(error).__name__}: {error}") from None
    finally:
        sys.dont_write_bytecode = before
    recipe = getattr(module, "recipe", None)
    if not isinstance(recipe, Recipe):
        raise UserError(f"{path} defines no `recipe = Recipe(...)`")
    return Loaded(recipe, (module.__doc__ or "").strip().split("\n")[0])
