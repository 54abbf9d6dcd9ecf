"""Examples as PNG files in memory, for the report and for TensorBoard."""

import base64
import io

import numpy as np
from PIL import Image, ImageDraw

COLOURS = ("#0072b2", "#c44e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Of the channels of a series: Okabe and Ito's, which the colour-blind can tell apart."""


def picture(image: np.ndarray) -> Image.Image:
    """A Pillow image of one uint8 example `(height, width, channels)`.

    One, three and four channels are grey, RGB and RGBA; of any other number the first is shown.
    """
    channels = image.shape[-1]
    return Image.fromarray(image if channels in (3, 4) else image[..., 0])


def png(image: Image.Image) -> bytes:
    """The bytes of its PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(example: np.ndarray, *, longest: int) -> str:
    """An example as `data:image/png;base64,…`, at most `longest` pixels on its longer side; a series is drawn.

    Small examples keep every pixel. Larger ones with colours get a palette of 256, which makes the page three
    times smaller and cannot be seen at this size.
    """
    return uri(reduced(example, longest=longest))


def uri(image: Image.Image) -> str:
    """A picture as `data:image/png;base64,…`."""
    return "data:image/png;base64," + base64.b64encode(png(image)).decode("ascii")


def reduced(example: np.ndarray, *, longest: int) -> Image.Image:
    """An example as a picture of at most `longest` pixels on its longer side."""
    image = picture(example) if example.ndim == 3 else plot(example, side=2 * longest)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    if image.mode == "RGB" and max(image.size) > 32:
        image = image.quantize(256)
    return image


def plot(series: np.ndarray, *, side: int) -> Image.Image:
    """A series `(steps, channels)` or a sound `(samples,)` as lines, one colour a channel, on nothing."""
    values = series.reshape(len(series), -1).astype(np.float64)
    values = values[~np.isnan(values).all(axis=1)]
    image = Image.new("RGBA", (side, side))
    canvas = ImageDraw.Draw(image)
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    x = np.linspace(1, side - 2, max(len(values), 2))[: len(values)]
    y = (side - 3) * (1 - (values - low) / max(high - low, 1e-12)) + 1
    for channel in range(values.shape[1]):
        points = [(float(a), float(b)) for a, b in zip(x, y[:, channel], strict=True)]
        canvas.line(points, fill=COLOURS[channel % len(COLOURS)], width=2)
    return image


def forecast(seen: np.ndarray | None, came: np.ndarray, told: np.ndarray, names: tuple[str, ...]) -> str:
    """What was seen `(steps, targets)`, what came and what was told `(horizon, targets)`, as `data:image/png`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.2), dpi=160, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="step")
    axes.set_title("what came: solid; what was told: dashed", fontsize=9)
    time = np.arange(len(came)) + 1
    for channel, name in enumerate(names[: len(COLOURS)]):
        colour = COLOURS[channel]
        if seen is not None:
            axes.plot(np.arange(-len(seen), 0) + 1, seen[:, channel], color=colour, alpha=0.5)
        axes.plot(time, came[:, channel], color=colour, marker=".", label=name.replace("$", r"\$"))
        axes.plot(time, told[:, channel], color=colour, linestyle="--", marker="x")
    axes.axvline(0.5, color="grey", linewidth=0.5)
    axes.legend(fontsize=8)
    canvas.draw()
    return uri(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))


def heat_map(matrix: np.ndarray, classes: tuple[str, ...]) -> Image.Image:
    """A confusion matrix as a picture: shade is the share of the row; counts where there is room for them.

    Args:
        matrix: counts `(classes, classes)`, row is the truth, column the answer.
        classes: their names.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(classes)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = min(max(4.0, 0.3 * count + 1.5), 14.0)
    figure = Figure(figsize=(side, side), dpi=80, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="answer", ylabel="truth")
    axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    names = [name.replace("$", r"\$") for name in classes]
    size = 9 if count <= 30 else 6
    axes.set_xticks(range(count), names, rotation=90, fontsize=size)
    axes.set_yticks(range(count), names, fontsize=size)
    if count <= 30:
        for row, column in np.argwhere(matrix):
            ink = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=8, color=ink)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
