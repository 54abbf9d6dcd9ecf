"""The report of a run: `report.html` for people, `report.json` for programs; the same figures in both."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml

from recipes.engine import charts, report_classes, report_masks, report_samples, report_table
from recipes.engine.files import write_json, write_text
from recipes.engine.report_classes import counts
from recipes.engine.report_samples import counted
from recipes.engine.results import LABELS, THINGS, Evaluation, Examples, History, Sample, Shown, Smaller
from recipes.engine.wording import article, flat, many, percent, plural, shorten, size, wilson

FORMAT = 1
"""Version of `report.json`."""
KINDS = {
    "int8": "int8",
    "int16x8": "16x8-bit integer",
    "float16": "float16",
    "dynamic": "dynamic-range",
    "dynamic4": "4-bit dynamic-range",
    "weights8": "8-bit weight-only",
    "weights4": "4-bit weight-only",
    "none": "float32",
}
PHASES = {
    "train": "Training",
    "channels": "Training with fewer channels",
    "prune": "Training with zeros",
    "cluster": "Training with few values",
    "quantize": "Quantization-aware fine-tuning",
}


@dataclass(frozen=True)
class Facts:
    """All that the report shows.

    Attributes:
        recipe: the resolved recipe as plain JSON values.
        title: its name.
        summary: what it is, in one line.
        manifest: seeds, versions, platform, hashes, times, command.
        examples: the data, for the data card and the pictures.
        histories: curves, one a phase.
        validation: the float model on validation data.
        test: the float model on test data.
        smaller: the model of fewer channels, zeros or few values, where there is one.
        quantized_aware: the fine-tuned model on test data, where there is one.
        lite: the exported file: `name`, `sha256`, `quantize`, `target`, `micro` (of a file for a microcontroller, the
            fields of `compress.MicroReport`, or None), `bytes`, `gzip_bytes`, `float_bytes` (the float32 .tflite),
            `latency_ms`, `float_latency_ms` (or None), `threads` and `threads_latency_ms`, `peak_bytes` and
            `float_peak_bytes` (or None), `undelegated` (operator → count), `densified` (names), the score
            (`accuracy`, …: the file on test data), `float_accuracy`, `agreement` (share of test examples, for masks of
            their pixels, with the answer of the Keras model it was made from; None of forecasts), `samples`, `ops`
            (operator → count), `float_tensors` (names), `input_dtype`, `output_dtype`; None where nothing was exported.
        gate: `passed`, `reasons` (why not) and `rules`.
        parameters: of the float model.
        macs: multiply-accumulates of one example, where known.
        shown: test images with the float model's masks, in the task `segment`.
        samples: answers of the float model to test data, in tasks whose answers are no classes.
    """

    recipe: dict[str, Any]
    title: str
    summary: str
    manifest: dict[str, Any]
    examples: Examples
    histories: tuple[History, ...]
    validation: Evaluation
    test: Evaluation
    quantized_aware: Evaluation | None
    lite: dict[str, Any] | None
    gate: dict[str, Any]
    parameters: int
    macs: int | None
    shown: tuple[Shown, ...] = ()
    samples: tuple[Sample, ...] = ()
    smaller: Smaller | None = None


def write(folder: Path, facts: Facts) -> Path:
    """Write `report.html` and `report.json` into `folder`, each whole or not at all; give the path of the page.

    The page is one file: styles, charts and pictures are inside, and it asks nothing of the network.

    Raises:
        OSError: the folder cannot be written.
    """
    page, values = render(facts), figures(facts)
    write_json(folder / "report.json", values)
    write_text(folder / "report.html", page)
    return folder / "report.html"


def figures(facts: Facts) -> dict[str, Any]:
    """What `report.json` holds: every figure of the page, as plain values, without pictures."""
    examples = facts.examples
    less, aware = facts.smaller, facts.quantized_aware
    return {
        "format": FORMAT,
        "title": facts.title,
        "summary": facts.summary,
        "headline": headline(facts),
        "gate": facts.gate,
        "test": _scored(facts.test),
        "validation": _scored(facts.validation),
        "smaller": None if less is None else dataclasses.asdict(less) | {"test": _scored(less.test)},
        "quantized_aware": None if aware is None else _scored(aware),
        "lite": facts.lite,
        "model": {"parameters": facts.parameters, "macs": facts.macs},
        "histories": [dataclasses.asdict(history) for history in facts.histories],
        "data": {
            "source": examples.source,
            "fingerprint": examples.fingerprint,
            "shape": list(examples.shape),
            "classes": list(examples.classes),
            "counts": {split: list(column) for split, column in counts(examples).items()}
            if facts.test.classes
            else {name: [len(split)] for name, split in examples.splits().items()},
            "notes": list(examples.notes),
        },
        "recipe": facts.recipe,
        "manifest": facts.manifest,
    }


def headline(facts: Facts) -> str:
    """The result in one sentence."""
    test, lite = facts.test, facts.lite
    score = "right" if test.measure == "accuracy" else LABELS[test.measure]
    right = f"{percent(test.score)} {score} on {counted(test, THINGS[facts.examples.modality], kind='test ')}"
    if lite is None:
        return f"{right}; no file was exported."
    ratio = lite["float_bytes"] / lite["bytes"]
    points = 100 * (lite[f"float_{test.measure}"] - lite[test.measure])
    lost = round(abs(points) * lite["samples"] / 100) if test.task == "classify" else round(abs(points), 1)
    smaller = f"is {ratio:.1f}× smaller and " if ratio >= 1.05 else ""
    change = f"{'gains' if points < 0 else 'loses'} {abs(points):.1f} points" if lost else "loses nothing"
    images = f" ({many(int(lost), THINGS[facts.examples.modality])})" if lost and test.task == "classify" else ""
    return f"{right}; the {KINDS[lite['quantize']]} file {smaller}{change}{images}."


def render(facts: Facts) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "size": size, "flat": flat, "shorten": shorten, "article": article}
    test, examples = facts.test, facts.examples
    if examples.task == "segment":
        page, own = "report_masks.html.j2", report_masks.view(facts.shown, examples)
    elif examples.task == "classify":
        page, own = "report.html.j2", report_classes.view(test, examples)
    else:
        page, own = "report_samples.html.j2", report_samples.view(facts.validation, test, facts.samples, examples)
    return environment.get_template(page).render(
        facts=facts,
        **own,
        headline=headline(facts),
        kind=KINDS[facts.lite["quantize"]] if facts.lite else "",
        rows=report_table.rows(
            test,
            facts.smaller,
            facts.quantized_aware,
            facts.lite,
            thing=THINGS[examples.modality],
            parameters=facts.parameters,
            macs=facts.macs,
        ),
        phases=[phase(history) for history in facts.histories],
        matrix=charts.matrix(test.confusion, examples.classes, shares=test.measure != "accuracy")
        if test.confusion
        else None,
        confused=confused(test),
        tiny=examples.modality == "image" and max(examples.shape[:2]) <= 64,
        described=described(examples),
        label=LABELS[test.measure],
        thing=THINGS[examples.modality],
        things=plural(THINGS[examples.modality]),
        recipe=yaml.safe_dump(facts.recipe, sort_keys=False, allow_unicode=True),
    )


def described(examples: Examples) -> str:
    """What the examples are, in a few words."""
    things = plural(THINGS[examples.modality])
    if examples.modality == "image":
        height, width, channels = examples.shape
        return f"{things} of {height} × {width} pixels, {many(channels, 'channel')}"
    if examples.modality == "series":
        steps, channels = examples.shape
        return f"{things} of {many(steps, 'step')}, {many(channels, 'channel')}"
    return f"{things} of up to {max(map(len, examples.train.inputs)):,} " + (
        "characters" if examples.modality == "text" else "samples"
    )


def phase(history: History) -> dict[str, Any]:
    """One phase's heading, caption and charts."""
    measure = LABELS[history.measure]
    epochs = max(map(len, history.curves.values()), default=0)
    caption = many(epochs, "epoch")
    if seconds := sum(history.curves.get("seconds", [])):
        caption += f" in {seconds:.0f} s" if seconds < 120 else f" in {seconds / 60:.1f} min"
    if 1 <= history.best_epoch <= len(history.curves.get(f"val_{history.measure}", [])):
        caption += f"; kept epoch {history.best_epoch}, validation {measure} {percent(history.best)}"
    if history.note:
        caption = f"{history.note[0].upper()}{history.note[1:]}: {caption}"
    if history.stopped:
        caption += f"; stopped early: {history.stopped}"
    drawn = (
        charts.curves(history, "loss", title="Loss"),
        charts.curves(history, history.measure, title=measure if measure != "accuracy" else "Accuracy", percent=True),
    )
    title = PHASES.get(history.phase, history.phase.capitalize())
    return {"title": title, "caption": caption + ".", "charts": [chart for chart in drawn if chart]}


def confused(evaluation: Evaluation, *, most: int = 10) -> list[tuple[str, str, int, float]]:
    """The most frequent confusions: truth, answer, how often, and the share of what is so."""
    names = [score.name for score in evaluation.classes]
    pairs = [
        (names[i], names[j], count, count / sum(row))
        for i, row in enumerate(evaluation.confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], -pair[3]))[:most]


def _scored(evaluation: Evaluation) -> dict[str, Any]:
    values = dataclasses.asdict(evaluation)
    values |= values.pop("figures")
    if evaluation.task == "classify":
        values["accuracy_interval"] = list(wilson(evaluation.score, evaluation.examples))
    return values
