"""The command line: `python -m zoo list [PATTERN]`, `python -m zoo card NAME`."""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from zoo.cards import card
from zoo.errors import ZooError
from zoo.families import FAMILIES
from zoo.models import list_models, resolve


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, or 2 for a mistake of the user."""
    options = _parser().parse_args(arguments)
    try:
        table = _list(options) if options.command == "list" else _card(options)
    except ZooError as error:
        print(error, file=sys.stderr)
        return 2
    Console().print(table)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m zoo", description="The models of the zoo.")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="the models, with the paper's input and classes")
    listing.add_argument("pattern", nargs="?", default="*", help="a name with wildcards, in quotes")
    listing.add_argument("--task", help="only models for this task, for instance classify")
    one = commands.add_parser("card", help="what a model is made of and what it costs")
    one.add_argument("name", help="a name that `list` shows")
    one.add_argument("--input-shape", nargs="+", type=int, metavar="SIZE", help="height, width, channels")
    one.add_argument("--classes", type=int, help="number of classes; both are the paper's where not given")
    return parser


def _list(options: argparse.Namespace) -> Table:
    names = list_models(options.pattern, task=options.task)
    if not names:
        raise ZooError(f"no model matches {options.pattern!r}; `python -m zoo list` shows all")
    table = Table("model", "task", "family", "input", "classes")
    for name in names:
        family_name, _, settings = resolve(name)
        family = FAMILIES[family_name]
        origin = family.origin(settings)
        size = " x ".join(map(str, origin.input_shape))
        table.add_row(name, family.TASK, family_name, size, "none" if origin.classes is None else str(origin.classes))
    return table


def _card(options: argparse.Namespace) -> Table:
    shape = tuple(options.input_shape) if options.input_shape else None
    table = Table(show_header=False)
    for label, text in card(options.name, input_shape=shape, classes=options.classes).rows():
        table.add_row(label, text)
    return table


if __name__ == "__main__":
    sys.exit(main())
