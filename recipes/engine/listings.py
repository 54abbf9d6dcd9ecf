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
    """The named data sets, by what is learnt from them."""
    from recipes.engine import datasets

    cards = datasets.table()
    indent = max(len(card.name) for card in cards) + 1
    heading = ""
    for card in cards:
        if card.task != heading:
            heading = card.task
            console.print(f"data sets: {heading}", style="italic")
        size = f"{card.bytes / 1e6:.1f} MB" if card.bytes > 1e5 else f"{card.bytes / 1e3:.1f} kB"
        also = "also" if any(copy.via == "home" for copy in card.copies) else "only"
        ways = f"  {also} by --via {card.packaged}" if card.packaged else ""
        about = (card.source, f"{card.licence}; {size if card.copies else 'embedded'}{ways}")
        files = card.copies[0].files if card.copies else ()
        hashes = (f"{file.digest or 'hash kept at the first download'}  {file.name}" for file in files)
        console.print(f"{card.name:<{indent}}{card.description}", markup=False)
        for line in (*about, *hashes):
            console.print(f"{'':<{indent}}{line}", markup=False)
