"""The card of a model: what it is made of and what it costs, measured on the built graph."""

import math
from dataclasses import dataclass

import keras

from zoo import graph
from zoo.contract import Spec
from zoo.families import FAMILIES
from zoo.models import build, resolve


@dataclass(frozen=True)
class Layers:
    """Number of layers of each kind; inputs are not counted."""

    convolutional: int = 0
    recurrent: int = 0
    dense: int = 0
    normalisation: int = 0
    other: int = 0


@dataclass(frozen=True)
class Card:
    """What a model is.

    Attributes:
        name: of the model; a changed spec has its family's name.
        task: `classify`, `segment`, `anomaly`, `generate`, `translate` or `embed`.
        family: name of the family.
        paper: where the architecture was published.
        input_shape: shape of one example that the figures hold for.
        classes: number of classes that they hold for; None where the task has none.
        parameters: learnt numbers; the moving statistics of normalisations are not learnt.
        layers: number of layers by kind.
        macs: multiply-accumulates of one example, see `zoo.macs`.
        peak_activations: bytes of float32, see `zoo.graph.peak_activations`.
        float32_bytes: size of the weights with normalisations folded, see `zoo.graph.weight_bytes`.
        int8_bytes: the same as int8.
    """

    name: str
    task: str
    family: str
    paper: str
    input_shape: tuple[int, ...]
    classes: int | None
    parameters: int
    layers: Layers
    macs: int
    peak_activations: int
    float32_bytes: int
    int8_bytes: int

    def rows(self) -> list[tuple[str, str]]:
        """Label and text of each line, for a person to read."""
        counts = {kind: count for kind, count in vars(self.layers).items() if count}
        return [
            ("name", self.name),
            ("task", self.task),
            ("family", self.family),
            ("paper", self.paper),
            ("input", " x ".join(map(str, self.input_shape))),
            ("classes", "none" if self.classes is None else str(self.classes)),
            ("parameters", f"{self.parameters:,}"),
            ("layers", ", ".join(f"{count} {kind}" for kind, count in counts.items())),
            ("multiply-accumulates", f"{self.macs:,}"),
            ("peak activations", f"{size(self.peak_activations)} (float32)"),
            ("weights", f"{size(self.float32_bytes)} (float32), {size(self.int8_bytes)} (int8)"),
        ]

    def markdown(self) -> str:
        """The card as a Markdown table."""
        return "\n".join(["| | |", "| --- | --- |", *(f"| {label} | {text} |" for label, text in self.rows())])

    def __str__(self) -> str:
        return "\n".join(f"{label:<21} {text}" for label, text in self.rows())


def card(name_or_spec: str | Spec, *, input_shape: tuple[int, ...] | None = None, classes: int | None = None) -> Card:
    """The card of a model. It is built for this, so a large one takes seconds.

    Args:
        name_or_spec: a name from `zoo.list_models`, or a spec.
        input_shape: shape of one example; None is that of the paper.
        classes: number of classes; None is that of the paper.

    Raises:
        ZooError: as `zoo.build`.
    """
    family_name, name, settings = resolve(name_or_spec)
    family = FAMILIES[family_name]
    origin = family.origin(settings)
    shape = origin.input_shape if input_shape is None else input_shape
    count = origin.classes if classes is None else classes
    model = build(settings, input_shape=shape, classes=count)
    float32_bytes, int8_bytes = graph.weight_bytes(model)
    return Card(
        name=name,
        task=family.TASK,
        family=family_name,
        paper=origin.paper,
        input_shape=tuple(shape),
        classes=count,
        parameters=sum(math.prod(variable.shape) for variable in model.trainable_variables),
        layers=_layers(model),
        macs=graph.macs(model),
        peak_activations=graph.peak_activations(model),
        float32_bytes=float32_bytes,
        int8_bytes=int8_bytes,
    )


def _layers(model: keras.Model) -> Layers:
    kinds = {
        "convolutional": graph.CONVOLUTIONS,
        "recurrent": (keras.layers.RNN, keras.layers.Bidirectional),
        "dense": keras.layers.Dense,
        "normalisation": graph.NORMALISATIONS,
    }
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    counts = {kind: sum(isinstance(layer, types) for layer in layers) for kind, types in kinds.items()}
    return Layers(**counts, other=len(layers) - sum(counts.values()))


def size(count: int) -> str:
    """Bytes for a person: binary units, three digits."""
    return f"{count / 2**20:,.2f} MiB" if count >= 2**20 else f"{count / 2**10:,.1f} KiB"
