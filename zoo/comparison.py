"""Models side by side: what they are made of, what they cost, and what they take on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from zoo import check
from zoo.cards import Card, card, size
from zoo.contract import Spec
from zoo.errors import ZooError
from zoo.measure import Measured, measure


@dataclass(frozen=True)
class Comparison:
    """Several models, one column each.

    Attributes:
        cards: one a model.
        measured: one a model, or empty where nothing was measured.
        accuracy: share 0-1 of the models that it is known for, by name.
    """

    cards: tuple[Card, ...]
    measured: tuple[Measured, ...] = ()
    accuracy: Mapping[str, float] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, tuple[str, ...]]]:
        """Label and one text a model, for a person to read; a row that says nothing is left out."""
        cards = self.cards
        rows = [
            ("model", [c.name for c in cards]),
            ("task", [c.task for c in cards]),
            ("input", [" x ".join(map(str, c.input_shape)) for c in cards]),
            ("classes", ["none" if c.classes is None else str(c.classes) for c in cards]),
            ("parameters", [f"{c.parameters:,}" for c in cards]),
            *((f"{kind} layers", [str(getattr(c.layers, kind)) for c in cards]) for kind in vars(cards[0].layers)),
            ("multiply-accumulates", [f"{c.macs:,}" for c in cards]),
            ("peak activations (float32)", [size(c.peak_activations) for c in cards]),
            ("weights (float32)", [size(c.float32_bytes) for c in cards]),
            ("weights (int8)", [size(c.int8_bytes) for c in cards]),
        ]
        if self.accuracy:
            rows.append(
                ("accuracy", [f"{self.accuracy[c.name]:.2%}" if c.name in self.accuracy else "" for c in cards])
            )
        if self.measured:
            batch = self.measured[0].batch
            rows += [
                (f"training step of {batch} (ms)", [f"{m.train_ms:,.1f}" for m in self.measured]),
                ("inference of 1 (ms)", [f"{m.inference_ms:,.1f}" for m in self.measured]),
                ("memory of training", ["" if m.memory is None else size(m.memory) for m in self.measured]),
            ]
        return [(label, tuple(texts)) for label, texts in rows if set(texts) - {"0", ""}]

    def markdown(self) -> str:
        """A Markdown table, a column a model."""
        head, *body = [f"| {' | '.join((label, *texts))} |" for label, texts in self.rows()]
        return "\n".join([head, "|" + " --- |" * (len(self.cards) + 1), *body]) + "\n"

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(len((label, *texts)[i]) for label, texts in rows) for i in range(len(self.cards) + 1)]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip((label, *texts), widths, strict=True)).rstrip()
            for label, texts in rows
        )


def compare(
    *models: str | Spec,
    input_shape: tuple[int, ...] | None = None,
    classes: int | None = None,
    measured: bool = False,
    batch: int = 8,
    accuracy: Mapping[str, float] | None = None,
) -> Comparison:
    """Compare models. Each is built for this; measuring takes a process and some training steps a model.

    Args:
        models: names from `zoo.list_models`, or specs; at least one.
        input_shape: shape of one example for all of them; None is that of each one's paper.
        classes: number of classes for all of them; None is that of each one's paper.
        measured: also time a training step and an answer, and read the memory, on this machine.
        batch: examples of the timed training step.
        accuracy: share 0-1 by name, where you know it: shown, and the height of the plot.

    Raises:
        ZooError: as `zoo.build`; or an accuracy is out of range or of a model that is not compared.
    """
    if not models:
        raise ZooError("name at least one model to compare; `python -m zoo list` shows all")
    batch = check.whole(batch, "batch")
    cards = tuple(card(model, input_shape=input_shape, classes=classes) for model in models)
    known = dict(accuracy or {})
    for name, value in known.items():
        check.one_of(name, "each name in accuracy", [c.name for c in cards])
        if check.real(value, f"the accuracy of {name}", least=0.0) > 1.0:
            raise ZooError(f"the accuracy of {name} is a share from 0 to 1, not {value}")
    figures = tuple(
        measure(model, input_shape=c.input_shape, classes=c.classes, batch=batch)
        for model, c in zip(models if measured else (), cards if measured else (), strict=True)
    )
    return Comparison(cards, figures, known)
