"""What the report shows of a task whose answers are no classes: all figures, and samples of the answers."""

from typing import Any

from recipes.engine.results import LABELS, THINGS, Evaluation, Examples, Sample, Task
from recipes.engine.wording import many, percent

EXPLAINED: dict[Task, str] = {
    "forecast": "R² is the share of the variance of the test data that the forecast tells: 1 is perfect, 0 no better "
    "than always answering the mean. Errors are in the unit of the data.",
    "generate": "Accuracy is the share of tokens told right, each from the true ones before it. Perplexity is e to the "
    "power of the cross-entropy: among how many equally likely tokens the model would still have to guess.",
    "translate": "Accuracy is the share of the tokens of the true translation told right, each from the true ones "
    "before it; a whole translation must do without those.",
    "embed": "Accuracy is the share of contexts whose true word was ranked above those drawn by chance.",
}

SAMPLED: dict[Task, str] = {
    "forecast": "Test windows spread evenly over the split: what the model saw, what came, what it told.",
    "generate": "Beginnings of test texts, and how the float model goes on.",
    "translate": "Test examples, and the float model's own translation.",
    "embed": "Words, and the words whose vectors are nearest (cosine).",
}

UNITS = {"tokens": "token", "pairs": "context"}
"""Figures that say of how many the score is the share, and what one of them is called."""


def counted(evaluation: Evaluation, thing: str, *, kind: str = "") -> str:
    """What the score is a share of: `1,234 tokens`, or so many of `thing`; `kind` stands before the name."""
    name = next((name for name in UNITS if name in evaluation.figures), None)
    if name is None:
        return many(evaluation.examples, f"{kind}{thing}")
    return many(int(evaluation.figures[name]), f"{kind}{UNITS[name]}")


def view(validation: Evaluation, test: Evaluation, samples: tuple[Sample, ...], examples: Examples) -> dict[str, Any]:
    """What `report_samples.html.j2` needs beside what every page has."""
    others = [name for name in test.figures if name not in (test.measure, *UNITS)]
    second = f"{others[0]} {number(test.figures[others[0]])}" if others else ""
    return {
        "counted": counted(test, THINGS[examples.modality]),
        "second": second,
        "explained": EXPLAINED[test.task],
        "sampled": SAMPLED[test.task],
        "samples": samples,
        "judged": judged(validation, test),
    }


def judged(validation: Evaluation, test: Evaluation) -> list[tuple[str, str, str]]:
    """Name, validation and test figure, a row each."""

    def written(evaluation: Evaluation, name: str) -> str:
        value = evaluation.figures[name]
        return percent(value) if name == evaluation.measure else number(value)

    rows = [(LABELS.get(name, name), written(validation, name), written(test, name)) for name in test.figures]
    return [*rows, ("loss", number(validation.loss), number(test.loss))]


def number(value: float) -> str:
    """A figure with four digits, whole where it is."""
    return f"{int(value):,}" if value.is_integer() else f"{value:,.4g}"
