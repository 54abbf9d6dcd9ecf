"""The report's table: the float model beside the file for the device."""

from typing import Any

from recipes.engine.results import LABELS, Evaluation, Smaller
from recipes.engine.wording import many, percent, size, wilson

Row = tuple[str, list[tuple[str, str]]]
"""A heading and, for each column, a value and a note."""


def rows(
    test: Evaluation,
    less: Smaller | None,
    aware: Evaluation | None,
    lite: dict[str, Any] | None,
    *,
    thing: str,
    parameters: int,
    macs: int | None,
) -> list[Row]:
    """The table float | made smaller (if there) | fine-tuned (if there) | file.

    Args:
        test: the float model on test data.
        less: the model of fewer channels, zeros or few values, where there is one.
        aware: the fine-tuned model on test data, where there is one.
        lite: the exported file, as in `report.Facts`; None where nothing was exported.
        thing: what one example is called.
        parameters: of the float model.
        macs: its multiply-accumulates, where known.
    """
    none = ("—", "")
    models = [model for model in (test, None if less is None else less.test, aware) if model is not None]
    scores = [_score(model, thing) for model in models]
    heading = f"Test {LABELS[test.measure]}"
    lost, unit = ("Test squared error", "in deviations") if test.task == "forecast" else ("Test cross-entropy", "nats")
    loss = [(f"{model.loss:.4f}", unit) for model in models]
    reduced = [] if less is None else _reduced(less, parameters, macs, after=len(models) - 2 + (lite is not None))
    if lite is None:
        return [(heading, scores), (lost, loss), *reduced]
    gap = [none] * (len(models) - 1)
    compared = {"classify": f"of {lite['samples']}", "segment": "of the pixels", "embed": "of the contexts"}.get(
        test.task, "of the tokens"
    )
    same = ("", "") if lite["agreement"] is None else (percent(lite["agreement"]), compared)
    slow = lite["float_latency_ms"]
    islands = lite["float_tensors"]
    names = ", ".join(islands[:6]) + (" …" if len(islands) > 6 else "")
    ratio = lite["float_bytes"] / lite["bytes"]
    smaller = f"{ratio:.1f}× smaller" if ratio >= 1.05 else ""
    times = f"{slow / lite['latency_ms']:.1f}× faster" if slow and slow > lite["latency_ms"] else ""
    return [
        (heading, [*scores, _score(test, thing, lite=lite)]),
        (lost, [*loss, none]),
        *reduced,
        *([] if lite["agreement"] is None else [("Same answer as its Keras model", [none, *gap, same])]),
        ("File", [(size(lite["float_bytes"]), "as .tflite"), *gap, (size(lite["bytes"]), smaller)]),
        ("File, gzipped", [none, *gap, (size(lite["gzip_bytes"]), "")]),
        (
            f"Latency, one {thing}",
            [(f"{slow:.3f} ms", "as .tflite") if slow else none, *gap, (f"{lite['latency_ms']:.3f} ms", times)],
        ),
        *([] if lite["threads"] == 1 else [_on_threads(lite, none, gap)]),
        *([] if lite["peak_bytes"] is None else [_memory(lite, gap)]),
        ("Input → output", [none, *gap, (f"{lite['input_dtype']} → {lite['output_dtype']}", "")]),
        (
            "Operators",
            [none, *gap, (f"{sum(lite['ops'].values())}", ", ".join(f"{n} {op}" for op, n in lite["ops"].items()))],
        ),
        ("Operators outside XNNPACK", [none, *gap, _outside(lite)]),
        ("Tensors in float", [none, *gap, (f"{len(islands)}" if islands else "none", names)]),
    ]


def _reduced(less: Smaller, parameters: int, macs: int | None, *, after: int) -> list[Row]:
    """What was taken out, in the first two columns."""
    gap = [("—", "")] * after

    def counted(heading: str, before: int, now: int) -> Row:
        return heading, [(f"{before:,}", ""), (f"{now:,}", percent(now / before) if now != before else ""), *gap]

    return [
        counted("Parameters", parameters, less.parameters),
        *([] if macs is None else [counted("Multiply-accumulates", macs, less.macs)]),
        *([("Zeros among the weights", [("—", ""), (percent(less.zeros), ""), *gap])] if less.zeros else []),
    ]


def _on_threads(lite: dict[str, Any], none: tuple[str, str], gap: list[tuple[str, str]]) -> Row:
    return f"Latency on {lite['threads']} threads", [none, *gap, (f"{lite['threads_latency_ms']:.3f} ms", "")]


def _memory(lite: dict[str, Any], gap: list[tuple[str, str]]) -> Row:
    """What a process of its own held at most for the file and one run."""
    values = (lite["float_peak_bytes"], "as .tflite"), (lite["peak_bytes"], "here, with weights")
    before, after = ((size(count), note) for count, note in values)
    return "Memory at its peak", [before, *gap, after]


def _outside(lite: dict[str, Any]) -> tuple[str, str]:
    """What LiteRT's fast kernels do not take."""
    left = [f"{count} {name}" for name, count in lite["undelegated"].items()]
    return f"{sum(lite['undelegated'].values()) or 'none'}", ", ".join(left)


def _score(evaluation: Evaluation, thing: str, *, lite: dict[str, Any] | None = None) -> tuple[str, str]:
    """The score of a model, or of the file; the interval of an accuracy, for pixels are no independent trials."""
    share = evaluation.score if lite is None else lite[evaluation.measure]
    count = evaluation.examples if lite is None else lite["samples"]
    if evaluation.task != "classify":
        return percent(share), f"of {many(count, thing)}"
    low, high = wilson(share, count)
    return percent(share), f"{percent(low)} to {percent(high)}"
