"""LSTM-FCN: a fully convolutional network and an LSTM side by side.

Karim, Majumdar, Darabi, Chen, "LSTM Fully Convolutional Networks for Time Series Classification", IEEE Access 6, 2018,
arXiv:1709.05206, figure 1. The LSTM sees the series with its axes exchanged ("dimension shuffle", section III-B): a
series of one channel is a single step of as many numbers as the series has steps.
"""

from dataclasses import dataclass

import keras

from zoo import blocks, check
from zoo.contract import Origin
from zoo.sequence import convolution, fcn
from zoo.sequence.convolution import ConvolutionSpec
from zoo.sequence.inputs import sequence_input
from zoo.sequence.recurrent import CELLS, Cell, dropped, layer

TASK = "classify"


@dataclass(frozen=True, kw_only=True)
class LSTMFCNSpec(ConvolutionSpec):
    """An LSTM-FCN of series, or of tokens; `ConvolutionSpec` tells of the convolutions, as many `kernels` as `filters`.

    Attributes:
        cell: `lstm` or `gru`.
        units: of the recurrent part.
        shuffle: whether the recurrent part reads the series with its axes exchanged; its weights then depend on the
            number of steps. Padding, if any, is zeros to it.
        recurrent_dropout: share of the state dropped from step to step.
        lstm_dropout: share of the recurrent part's features dropped.
        dropout: share of all features dropped before the head.
    """

    cell: Cell = "lstm"
    units: int = 8
    shuffle: bool = True
    recurrent_dropout: float = 0.0
    lstm_dropout: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        fcn.check_pairs(self)
        check.one_of(self.cell, "cell", CELLS)
        check.whole(self.units, "units")
        check.flag(self.shuffle, "shuffle")
        check.real(self.recurrent_dropout, "recurrent_dropout", least=0.0, below=1.0)
        check.real(self.lstm_dropout, "lstm_dropout", least=0.0, below=1.0)


SPEC = LSTMFCNSpec

VARIANTS: dict[str, LSTMFCNSpec] = {
    # Section IV: 8, 64 or 128 cells, whichever suits the data set; the convolutions are those of the FCN.
    "lstm_fcn": LSTMFCNSpec(),
    "lstm_fcn_64": LSTMFCNSpec(units=64),
    "lstm_fcn_128": LSTMFCNSpec(units=128),
}


def origin(spec: LSTMFCNSpec) -> Origin:
    """The paper; its experiments are the UCR archive, of which GunPoint stands here."""
    paper = "Karim et al., LSTM Fully Convolutional Networks for Time Series Classification, 2018, arXiv:1709.05206"
    return Origin(paper, (150,) if spec.vocabulary else (150, 1), 2)


def build(
    spec: LSTMFCNSpec, *, input_shape: tuple[int, ...], classes: int, activation: str | None, name: str
) -> keras.Model:
    """The network: a `stageN` for each convolution, `head`, which reads their average and the LSTM. See `zoo.build`."""
    inputs, x = sequence_input(spec, input_shape)
    masks = convolution.masked(spec)
    y = fcn.body(x, spec, masks=masks)
    y = convolution.average(y, masks=masks)
    if spec.shuffle:
        x = convolution.ClearPadding(name="clear")(x) if masks else x
        x = keras.layers.Permute((2, 1), name="shuffle")(x)
    x = layer(spec.cell, spec.units, sequences=False, recurrent_dropout=spec.recurrent_dropout, name=spec.cell)(x)
    x = dropped(x, spec.lstm_dropout, f"{spec.cell}_dropout")
    x = keras.layers.Concatenate(axis=-1, name="concat")([x, y])
    outputs = blocks.answer(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)
