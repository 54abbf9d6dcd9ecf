"""What `edgezoo list` and `edgezoo data list` print."""

import ast
import json
from pathlib import Path
from typing import Any, Literal

from rich.table import Table

from recipes.engine import runs
from recipes.engine.progress import console
from recipes.engine.quiet import import_keras
from recipes.engine.recipe_file import cookbook
from recipes.engine.results import LABELS


def show(what: Literal["all", "recipes", "models", "runs", "data"], output: Path) -> None:
    """Print one kind, or all of them."""
    kinds = {"recipes": recipes, "models": models, "data": data}
    for kind, function in kinds.items():
        if what in ("all", kind):
            function()
    if what in ("all", "runs"):
        finished(output)


def recipes() -> None:
    """The cookbook, with the first line of each docstring."""
    table = Table("recipe", "what it does", title="recipes", title_justify="left")
    for name, path in cookbook().items():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        table.add_row(name, text.split("\n")[0])
    console.print(table)


def models() -> None:
    """The zoo's models."""
    import_keras()
    import zoo

    table = Table("model", "family", title="models", title_justify="left")
    for name in zoo.list_models():
        table.add_row(name, type(zoo.spec(name)).__name__.removesuffix("Spec"))
    console.print(table)


def finished(output: Path) -> None:
    """The runs below `output`, with their results."""
    table = Table(title="runs", title_justify="left")
    table.add_column("run", no_wrap=True)
    for heading in ("status", "float", "exported", "size", "started"):
        table.add_column(heading)
    for folder in runs.find(output):
        try:
            about = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            metrics = folder / "metrics.json"
            figures = json.loads(metrics.read_text(encoding="utf-8")) if metrics.exists() else {}
        except (json.JSONDecodeError, UnicodeDecodeError):
            about, figures = {"status": "damaged", "started": ""}, {}
        lite = figures.get("lite") or {}
        table.add_row(
            str(folder),
            str(about.get("status", "damaged")),
            _score(figures["test"]) if figures else "",
            f"{_score(lite)} {lite['quantize']}" if lite else "",
            f"{lite['bytes'] / 1024:.1f} KiB" if lite else "",
            str(about.get("started", ""))[:16].replace("T", " "),
        )
    console.print(table)


def _score(figures: dict[str, Any]) -> str:
    """What a run was judged by; an accuracy needs no name."""
    measure = next(name for name in ("miou", "r2", "accuracy") if name in figures)
    return f"{figures[measure]:.2%}" + ("" if measure == "accuracy" else f" {LABELS[measure]}")


def data() -> None:
    """The named data sets."""
    from recipes.engine import datasets

    console.print("data sets", style="italic")
    for card in datasets.table():
        size = f"{card.bytes / 1e6:.1f} MB" if card.copies else "embedded"
        copies = f"  also by --via {card.packaged}" if card.packaged else ""
        console.print(f"{card.name:<14} {card.description}\n{'':<14} {card.source}", markup=False)
        console.print(f"{'':<14} {card.licence}; {size}{copies}", markup=False)
        for file in card.copies[0].files if card.copies else ():
            console.print(f"{'':<14} {file.digest or 'hash kept at the first download'}  {file.name}", markup=False)
