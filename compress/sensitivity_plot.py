"""A picture of how much each layer minds being rounded."""

from pathlib import Path

from compress.errors import CompressError
from compress.files import whole
from compress.sensitivity import Sensitivity


def plot_sensitivity(found: Sensitivity, path: str | Path) -> Path:
    """Bars of each layer's drift, a colour for each number of bits, the layer that minds most on top; a PNG.

    Args:
        found: what `sensitivity` gave.
        path: the file to write.

    Raises:
        CompressError: it cannot be written, or there is no layer.
    """
    if not found.layers:
        raise CompressError(f"model {found.model!r} has no layer that is rounded, so there is nothing to plot")
    from matplotlib.figure import Figure

    path = Path(path)
    options = sorted(found.options().items(), key=lambda item: max(row.drift for row in item[1]))
    widths = sorted({row.bits for row in found.layers})
    figure = Figure(figsize=(7, 1.2 + 0.3 * len(options)), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel="drift: squared change of the output / its variance", xscale="log")
    thick = 0.8 / len(widths)
    for index, bits in enumerate(widths):
        bars = [(place, row.drift) for place, (_, rows) in enumerate(options) for row in rows if row.bits == bits]
        places, drifts = zip(*bars, strict=True)
        axes.barh([place + 0.4 - (index + 0.5) * thick for place in places], drifts, thick, label=f"{bits} bits")
    axes.set_yticks(range(len(options)), [name.replace("$", r"\$") for name, _ in options])
    axes.legend()
    with whole(path) as temporary:
        figure.savefig(temporary, format="png")
    return path
