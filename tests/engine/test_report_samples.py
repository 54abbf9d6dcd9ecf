"""The report of tasks whose answers are no classes: figures in words, and samples."""

import html
import re

import numpy as np
import pytest

from recipes.engine import pictures, report
from recipes.engine.report_samples import EXPLAINED, SAMPLED, judged, number, view
from recipes.engine.results import MEASURES, Evaluation, Examples, History, Sample, Subset
from recipes.engine.sources.texts import strings

NASTY = '<script>alert("x")</script>'

FIGURES = {
    "generate": {"accuracy": 0.25, "perplexity": 12.3456, "tokens": 1234.0},
    "translate": {"accuracy": 0.25, "perplexity": 12.3456, "tokens": 1234.0},
    "embed": {"accuracy": 0.25, "pairs": 987.0},
    "forecast": {"r2": -0.25, "mean absolute error": 1234.5678},
}


def facts(task):
    rng = np.random.default_rng(0)
    modality = "series" if task == "forecast" else "text"

    def part(count):
        if task == "forecast":
            inputs = rng.normal(0, 1, (count, 5, 1)).astype(np.float32)
            return Subset(inputs, rng.normal(0, 1, (count, 2, 1)).astype(np.float32), ("w",) * count)
        texts = strings([f"text {NASTY}"] * count)
        return Subset(texts, texts if task == "translate" else np.zeros(count, np.int64), (f"{NASTY}.txt",) * count)

    names = ("price",) if task == "forecast" else ()
    examples = Examples(names, part(9), part(3), part(4), "f" * 64, "made", ("a note",), task, modality)
    measure = MEASURES[task]
    curves = {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5], measure: [0.5, 0.7], f"val_{measure}": [-0.4, 0.6]}
    if task == "forecast":
        picture = pictures.forecast(examples.test.inputs[0], examples.test.labels[0], examples.test.labels[1], names)
        samples = (Sample(title="window 1", picture=picture, width=480),)
    else:
        samples = (Sample((("prompt", f"a {NASTY}\n  b"), ("the model goes on", "c")), title=f"{NASTY}; seed 0"),)
    return report.Facts(
        recipe={"name": "made"},
        title="made",
        summary="Made.",
        manifest={"command": "edgezoo run made"},
        examples=examples,
        histories=(History("train", curves, 2),),
        validation=Evaluation("validation", 3, task, 0.5, FIGURES[task] | {measure: 0.125}),
        test=Evaluation("test", 4, task, 0.75, FIGURES[task]),
        quantized_aware=None,
        lite=None,
        gate={"passed": True, "reasons": [], "rules": {}},
        parameters=10,
        macs=None,
        samples=samples,
    )


@pytest.mark.parametrize("task", FIGURES)
def test_the_page_has_all_figures_and_all_samples(tmp_path, task):
    made = facts(task)
    page = report.write(tmp_path, made).read_text(encoding="utf-8")
    assert "<script" not in page
    assert SAMPLED[task] in html.unescape(page)
    assert EXPLAINED[task] in html.unescape(page)
    for sample in made.samples:
        for name, text in sample.parts:
            assert f"<dt>{name}</dt><dd>{html.escape(text, quote=True)}</dd>" in page.replace("&#34;", "&quot;")
        assert (sample.picture in page) if sample.picture else True
        assert html.escape(sample.title, quote=True) in page.replace("&#34;", "&quot;")
    shown = re.sub(r"<[^>]+>", "|", page)
    for value in ("0.5", "0.75"):
        assert f"|{value}|" in shown, "both losses"
    assert not re.search(r"\bnan\b|undefined|Confusions", re.sub(r"base64,[^\"]+", "", page))


@pytest.mark.parametrize(
    ("task", "counted", "second"),
    [
        ("generate", "1,234 tokens", "perplexity 12.35"),
        ("translate", "1,234 tokens", "perplexity 12.35"),
        ("embed", "987 contexts", ""),
        ("forecast", "4 series", "mean absolute error 1,235"),
    ],
)
def test_what_the_score_is_of(task, counted, second):
    made = facts(task)
    own = view(made.validation, made.test, made.samples, made.examples)
    assert (own["counted"], own["second"]) == (counted, second)
    count, thing = counted.split()
    assert f"on {count} test {thing}" in report.headline(made)


def test_figures_stand_side_by_side():
    made = facts("generate")
    assert judged(made.validation, made.test) == [
        ("accuracy", "12.5\N{NARROW NO-BREAK SPACE}%", "25.0\N{NARROW NO-BREAK SPACE}%"),
        ("perplexity", "12.35", "12.35"),
        ("tokens", "1,234", "1,234"),
        ("loss", "0.5", "0.75"),
    ]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (3.0, "3"),
        (1234567.0, "1,234,567"),
        (0.123456, "0.1235"),
        (1e-9, "1e-09"),
        (float("inf"), "inf"),
        (-2.5, "-2.5"),
    ],
)
def test_numbers_have_four_digits(value, written):
    assert number(value) == written


@pytest.mark.parametrize("seen", [None, np.zeros((4, 2))])
def test_forecasts_are_drawn(seen):
    drawn = pictures.forecast(seen, np.ones((3, 2)), np.zeros((3, 2)), ("$a$", "b"))
    assert drawn.startswith("data:image/png;base64,")
