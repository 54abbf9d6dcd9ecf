"""What a run prints at its end: the table and where the report is."""

from pathlib import Path

from rich.table import Table

from recipes.engine.progress import console
from recipes.engine.report import Facts
from recipes.engine.results import LABELS, THINGS
from recipes.engine.wording import plural


def print_outcome(facts: Facts, page: Path) -> None:
    """Float beside the exported file, the gate's verdict, the path of the report."""
    lite = facts.lite
    assert lite is not None, "a run always exports"
    table = Table(title=f"{facts.title}: {facts.test.examples} test {plural(THINGS[facts.examples.modality])}")
    measure = facts.test.measure
    for heading in ("", f"test {LABELS[measure]}", "size", "latency", "agreement"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("float", f"{facts.test.score:.2%}", _size(lite["float_bytes"]), _time(lite["float_latency_ms"]), "")
    if facts.smaller:
        table.add_row("smaller", f"{facts.smaller.test.score:.2%}", "", "", "")
    table.add_row(
        lite["quantize"],
        f"{lite[measure]:.2%}",
        _size(lite["bytes"]),
        _time(lite["latency_ms"]),
        "" if lite["agreement"] is None else f"{lite['agreement']:.2%}",
    )
    console.print(table)
    if facts.gate["passed"]:
        console.print("gate: passed")
    console.print(f"model:  {page.parent / lite['name']}\nreport: {page}")


def _size(count: int) -> str:
    return f"{count / 1024:.1f} KiB"


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.3f} ms"
