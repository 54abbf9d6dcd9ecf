"""The command line: `python -m zoo list [PATTERN]`, `card NAME`, `compare NAME …`, `weights`."""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from zoo.cards import card
from zoo.comparison import Comparison, compare
from zoo.errors import ZooError
from zoo.families import FAMILIES
from zoo.models import list_models, resolve
from zoo.page import html_page
from zoo.weights import published


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, or 2 for a mistake of the user."""
    options = _parser().parse_args(arguments)
    try:
        table = {"list": _list, "card": _card, "compare": _compare, "weights": _weights}[options.command](options)
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
    trained = commands.add_parser("weights", help="the published weights, by model")
    trained.add_argument("pattern", nargs="?", default="*", help="a name of a model with wildcards, in quotes")
    one = commands.add_parser("card", help="what a model is made of and what it costs")
    one.add_argument("name", help="a name that `list` shows")
    several = commands.add_parser("compare", help="models side by side")
    several.add_argument("names", nargs="+", metavar="NAME", help="names that `list` shows")
    for command in (one, several):
        command.add_argument("--input-shape", nargs="+", type=int, metavar="SIZE", help="height, width, channels")
        command.add_argument("--classes", type=int, help="number of classes; both are the paper's where not given")
    several.add_argument("--measure", action="store_true", help="time training and inference on this machine")
    several.add_argument("--batch", type=int, default=8, help="examples of the timed training step")
    several.add_argument(
        "--accuracy", nargs="+", default=[], metavar="NAME=SHARE", help="accuracies that you know, for the plot"
    )
    several.add_argument("--output", type=Path, nargs="+", default=[], help="files to write: .md and .html")
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


def _weights(options: argparse.Namespace) -> Table:
    table = Table("model", "weights", "trained at", "licence", "from", caption="fetched when they are first asked for")
    for name in list_models(options.pattern):
        for entry in published(name):
            size = " x ".join(map(str, entry.input_shape))
            ways = ", ".join(dict.fromkeys("its home" if copy.via == "home" else copy.via for copy in entry.files))
            table.add_row(name, entry.name, size, entry.licence, f"{entry.source} ({ways})")
    if not table.row_count:
        raise ZooError(f"no published weights for a model that matches {options.pattern!r}")
    return table


def _card(options: argparse.Namespace) -> Table:
    shape = tuple(options.input_shape) if options.input_shape else None
    table = Table(show_header=False)
    for label, text in card(options.name, input_shape=shape, classes=options.classes).rows():
        table.add_row(label, text)
    return table


def _compare(options: argparse.Namespace) -> Table:
    for path in options.output:
        if path.suffix not in (".md", ".html"):
            raise ZooError(f"--output writes .md and .html, not {path.name}")
        if not path.parent.is_dir():
            raise ZooError(f"there is no folder {path.parent} for {path.name}; make it first")
    compared = compare(
        *options.names,
        input_shape=tuple(options.input_shape) if options.input_shape else None,
        classes=options.classes,
        measured=options.measure,
        batch=options.batch,
        accuracy=_accuracies(options.accuracy),
    )
    for path in options.output:
        _write(path, compared)
    head, *body = compared.rows()
    table = Table("", *head[1])
    for label, texts in body:
        table.add_row(label, *texts)
    return table


def _accuracies(words: list[str]) -> dict[str, float]:
    """`NAME=SHARE`, each."""
    found = {}
    for word in words:
        name, _, share = word.partition("=")
        try:
            found[name] = float(share)
        except ValueError:
            raise ZooError(f"--accuracy takes NAME=SHARE, as resnet20=0.91, not {word!r}") from None
    return found


def _write(path: Path, compared: Comparison) -> None:
    """The comparison as a file, whole or not at all."""
    machine = f"{platform.machine()}, {os.cpu_count()} CPU cores, {platform.system()}"
    note = f"Measured on this machine ({machine}); compare within this table only." if compared.measured else ""
    text = html_page(compared, note=note) if path.suffix == ".html" else compared.markdown() + (note and f"\n{note}\n")
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


if __name__ == "__main__":
    sys.exit(main())
