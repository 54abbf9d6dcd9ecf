"""A comparison as an HTML page: the table, and a plot of accuracy or size against latency."""

import html
import io
import re

from zoo.comparison import Comparison

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .35rem .9rem; border-bottom: 1px solid #dde3e9; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left; font-weight: 600 }
thead th { border-bottom: 2px solid #1c2733 }
svg { max-width: 100%; height: auto } p { color: #51606f; max-width: 44rem }
"""


def html_page(comparison: Comparison, *, note: str = "") -> str:
    """The whole page, in one file without anything from elsewhere.

    Args:
        comparison: what to show.
        note: a sentence below the title: what was measured, and where.
    """
    head, *body = comparison.rows()
    cells = "".join(f"<th>{html.escape(text)}</th>" for text in ("", *head[1]))
    lines = "".join(
        "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in (label, *texts)) + "</tr>\n"
        for label, texts in body
    )
    papers = "".join(f"<li>{html.escape(c.name)}: {html.escape(c.paper)}</li>\n" for c in comparison.cards)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Models side by side</title><style>{STYLE}</style></head><body>
<h1>Models side by side</h1>
<p>{html.escape(note)}</p>
<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>
{lines}</tbody></table></div>
<h2>{html.escape(heading(comparison))}</h2>
{plot(comparison)}
<h2>Papers</h2>
<ul>
{papers}</ul>
</body></html>
"""


def heading(comparison: Comparison) -> str:
    """What the plot shows."""
    height = "Accuracy" if comparison.accuracy else "Size of the weights"
    return f"{height} against {'latency' if comparison.measured else 'multiply-accumulates'}"


def plot(comparison: Comparison) -> str:
    """The plot as inline SVG: a point a model; without accuracies the height is the size, without times MACs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for place, card in enumerate(comparison.cards):
        if comparison.accuracy and card.name not in comparison.accuracy:
            continue
        x = comparison.measured[place].inference_ms if comparison.measured else card.macs / 1e6
        y = 100 * comparison.accuracy[card.name] if comparison.accuracy else card.float32_bytes / 2**20
        axes.scatter(x, y, s=60)
        axes.annotate(card.name, (x, y), xytext=(7, 4), textcoords="offset points")
    axes.set_xlabel("inference of one example (ms)" if comparison.measured else "multiply-accumulates (millions)")
    axes.set_ylabel("accuracy (%)" if comparison.accuracy else "weights, float32 (MiB)")
    axes.set_xscale("log")
    if not comparison.accuracy:
        axes.set_yscale("log")
    axes.margins(0.2)
    axes.grid(visible=True, alpha=0.3)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    return re.sub(r"^.*?(?=<svg)", "", drawn.getvalue(), flags=re.DOTALL)
