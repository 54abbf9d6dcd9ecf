"""Recurrent networks that read a series or a text and answer at its end: LSTM and GRU, stacked and bidirectional.

LSTM: Hochreiter & Schmidhuber, Neural Computation 9, 1997, with the forget gates of Gers et al. 2000. GRU: Cho et al.
2014, arXiv:1406.1078, with the reset gate behind the recurrent product, as cuDNN and LiteRT compute it. Both
directions: Schuster & Paliwal 1997. Stacked: Graves, Mohamed, Hinton 2013, arXiv:1303.5778.

Steps that are padding are skipped: a layer keeps its state over them, and the backward one begins at the last step
that is none. So a padded series has the answer that it has without padding.
"""

from dataclasses import dataclass
from typing import Literal

import keras

from zoo import blocks, check
from zoo.contract import Origin
from zoo.sequence.inputs import SequenceSpec, sequence_input

TASK = "classify"
Cell = Literal["lstm", "gru"]
CELLS = ("lstm", "gru")


@dataclass(frozen=True, kw_only=True)
class RecurrentSpec(SequenceSpec):
    """A recurrent network of series, or of tokens.

    Attributes:
        cell: `lstm` or `gru`.
        width: units of each layer, in each direction (a whole number).
        depth: layers; all but the last give a state at each step, the last one the state at its end.
        bidirectional: whether each layer also reads backwards; the states of both directions are put together.
        input_dropout: share of what the first layer reads that is dropped, anew at each step.
        layer_dropout: the same between the layers.
        recurrent_dropout: share of the state dropped from step to step (Gal & Ghahramani 2016, arXiv:1512.05287);
            with any, Keras cannot use cuDNN.
        dropout: share of the features dropped before the head.
    """

    cell: Cell = "lstm"
    width: int = 64
    depth: int = 1
    bidirectional: bool = False
    input_dropout: float = 0.0
    layer_dropout: float = 0.0
    recurrent_dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check.one_of(self.cell, "cell", CELLS)
        check.whole(self.width, "width")
        check.whole(self.depth, "depth")
        check.flag(self.bidirectional, "bidirectional")
        check.real(self.input_dropout, "input_dropout", least=0.0, below=1.0)
        check.real(self.layer_dropout, "layer_dropout", least=0.0, below=1.0)
        check.real(self.recurrent_dropout, "recurrent_dropout", least=0.0, below=1.0)


SPEC = RecurrentSpec

VARIANTS: dict[str, RecurrentSpec] = {
    # Chung et al. 2014, table 1, speech: as many parameters with either cell. The small ones are those for music.
    "lstm": RecurrentSpec(width=195),
    "gru": RecurrentSpec(cell="gru", width=227),
    "lstm_small": RecurrentSpec(width=36),
    "gru_small": RecurrentSpec(cell="gru", width=46),
    # The same in both directions.
    "gru_bidirectional": RecurrentSpec(cell="gru", width=227, bidirectional=True),
    # Graves et al. 2013, table 1: CTC-1l-250h, CTC-3l-421h-uni and CTC-3l-250h.
    "lstm_bidirectional": RecurrentSpec(width=250, bidirectional=True),
    "lstm_stacked": RecurrentSpec(width=421, depth=3),
    "lstm_stacked_bidirectional": RecurrentSpec(width=250, depth=3, bidirectional=True),
}


def origin(spec: RecurrentSpec) -> Origin:
    """Speech: Chung et al.'s for one layer in one direction or GRU, else Graves et al.'s (TIMIT).

    The papers label each step; here a network answers once.
    """
    if spec.cell == "lstm" and (spec.bidirectional or spec.depth > 1):
        paper = "Graves et al., Speech Recognition with Deep Recurrent Neural Networks, ICASSP 2013, arXiv:1303.5778"
        shape, classes = (300, 123), 62
    else:
        paper = "Chung et al., Empirical Evaluation of Gated Recurrent Neural Networks, 2014, arXiv:1412.3555"
        shape, classes = (500, 20), 10
    return Origin(paper, shape[:1] if spec.vocabulary else shape, classes)


def build(
    spec: RecurrentSpec, *, input_shape: tuple[int, ...], classes: int, activation: str | None, name: str
) -> keras.Model:
    """The network: a `stageN` for each layer, `head`. See `zoo.build`."""
    inputs, x = sequence_input(spec, input_shape)
    x = dropped(x, spec.input_dropout, "input_dropout")
    for stage in range(1, spec.depth + 1):
        last = stage == spec.depth
        x = layer(
            spec.cell,
            spec.width,
            sequences=not last,
            bidirectional=spec.bidirectional,
            recurrent_dropout=spec.recurrent_dropout,
            name=f"stage{stage}",
        )(x)
        x = x if last else dropped(x, spec.layer_dropout, f"stage{stage}_dropout")
    outputs = blocks.answer(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)


def layer(
    cell: Cell, width: int, *, sequences: bool, name: str, bidirectional: bool = False, recurrent_dropout: float = 0.0
) -> keras.layers.Layer:
    """A recurrent layer with the activations and the initial weights of Keras.

    Args:
        cell: `lstm` or `gru`.
        width: units, in each direction.
        sequences: whether it gives its state at each step, `(batch, steps, width)`, or the last one, `(batch, width)`.
        name: name of the layer.
        bidirectional: whether it reads backwards as well: twice the `width` comes out.
        recurrent_dropout: share of the state dropped from step to step.
    """
    kind = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
    if bidirectional:
        inner = kind(width, return_sequences=sequences, recurrent_dropout=recurrent_dropout, name=f"{name}_{cell}")
        return keras.layers.Bidirectional(inner, name=name)
    return kind(width, return_sequences=sequences, recurrent_dropout=recurrent_dropout, name=name)


def dropped(x: keras.KerasTensor, rate: float, name: str) -> keras.KerasTensor:
    """Dropout, where there is any."""
    return keras.layers.Dropout(rate, name=name)(x) if rate > 0.0 else x
