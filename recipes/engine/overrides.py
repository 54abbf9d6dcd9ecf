"""Overrides from the command line: `--train.epochs 3`, typed by the recipe's records (tyro)."""

import contextlib
import io
import re
from collections.abc import Sequence

import tyro

from recipes.engine.errors import UserError
from recipes.engine.recipe_file import fields, from_plain, near, to_plain
from recipes.engine.records import Recipe


def override(recipe: Recipe, args: Sequence[str], *, prog: str) -> Recipe:
    """`recipe` with the fields that `args` name replaced; `--help` lists all fields and exits.

    Raises:
        UserError: an unknown field (near match shown) or a value of the wrong type or out of range.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            changed, unknown = tyro.cli(Recipe, default=recipe, args=flags(args), prog=prog, return_unknown_args=True)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UserError(plain(said.getvalue())) from None
    if unknown:
        option = unknown[0].split("=")[0]
        raise UserError(f"unknown option {option}{near(option.lstrip('-').replace('-', '_'))}")
    return from_plain(to_plain(changed), where=" ".join(args) or "recipe")


def flags(args: Sequence[str]) -> list[str]:
    """`--augment.flip False` as tyro has it, `--augment.no-flip`; so that every field can be written alike."""
    switches = {name for name, kind in fields().items() if kind is bool}
    given = [part for arg in args for part in (arg.split("=", 1) if arg.startswith("--") else [arg])]
    found: list[str] = []
    for arg in given:
        name = found[-1].lstrip("-").replace("-", "_") if found else ""
        if name in switches and arg.lower() == "false":
            room, _, field = name.rpartition(".")
            found[-1] = f"--{room}.no-{field.replace('_', '-')}"
        elif not (name in switches and arg.lower() == "true"):
            found.append(arg)
    return found


def plain(box: str) -> str:
    """The first sentences of tyro's boxed message, on one line; a field's refusal as `field: what it should be`."""
    lines = [line.strip(" │╭╮╰╯─") for line in box.splitlines()][1:]
    body = lines[: lines.index("")] if "" in lines else lines
    text = re.sub(r"\s+", " ", " ".join(body))
    whole = re.match(r"Error parsing \S+: \d+ validation errors? for \w+ Value error, (.*?) \[type=", text)
    if whole:
        return whole.group(1)
    refusal = re.match(
        r"Error parsing (\S+): \d+ validation errors? for \w+ (\w+) (.*?) \[type=\w+, input_value=(.*?),",
        text,
    )
    if refusal:
        room, field, should, given = refusal.groups()
        return f"{room}.{field}: {should[0].lower()}{should[1:]}, got {given}"
    return text
