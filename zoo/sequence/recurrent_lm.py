"""Recurrent language models: at each step the next token, from all before it.

Characters of Shakespeare: Karpathy, "The Unreasonable Effectiveness of Recurrent Neural Networks", 2015, and his
char-rnn. Token 0 is a token like any other here: nothing is masked, so the text must fill its steps.
"""

from dataclasses import dataclass

import keras

from zoo import check
from zoo.contract import TOKENS, Origin, Spec
from zoo.sequence.recurrent import CELLS, Cell, dropped, layer

TASK = "generate"


@dataclass(frozen=True, kw_only=True)
class RecurrentLMSpec(Spec):
    """A recurrent language model.

    Attributes:
        vocabulary: number of different tokens, at least 2.
        embedding: width of the vector that stands for a token.
        cell: `lstm` or `gru`.
        width: units of each layer (a whole number).
        depth: layers.
        input_dropout: share of the embeddings dropped.
        layer_dropout: share of a layer's states dropped before the next layer.
        recurrent_dropout: share of the state dropped from step to step; with any, Keras cannot use cuDNN.
        dropout: share of the features dropped before the head.
    """

    vocabulary: int = 65
    embedding: int = 64
    cell: Cell = "lstm"
    width: int = 128
    depth: int = 2
    input_dropout: float = 0.0
    layer_dropout: float = 0.0
    recurrent_dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check.whole(self.vocabulary, "the vocabulary of a language model", least=2)
        check.whole(self.embedding, "embedding")
        check.one_of(self.cell, "cell", CELLS)
        check.whole(self.width, "width")
        check.whole(self.depth, "depth")
        check.real(self.input_dropout, "input_dropout", least=0.0, below=1.0)
        check.real(self.layer_dropout, "layer_dropout", least=0.0, below=1.0)
        check.real(self.recurrent_dropout, "recurrent_dropout", least=0.0, below=1.0)

    @property
    def axes(self) -> tuple[str, ...]:
        """A text."""
        return TOKENS


SPEC = RecurrentLMSpec

VARIANTS: dict[str, RecurrentLMSpec] = {
    # char-rnn's defaults, rnn_size 128 and num_layers 2, for the 65 characters of its sample; it reads them one-hot.
    "char_lstm": RecurrentLMSpec(),
    # TensorFlow's tutorial "Text generation with an RNN", for the same characters.
    "char_gru": RecurrentLMSpec(cell="gru", embedding=256, width=1024, depth=1),
}


def origin(spec: RecurrentLMSpec) -> Origin:
    """char-rnn reads 50 characters at a time, TensorFlow's tutorial 100."""
    if spec.cell == "gru":
        return Origin("TensorFlow, Text generation with an RNN, 2019", (100,), None)
    return Origin("Karpathy, The Unreasonable Effectiveness of Recurrent Neural Networks, 2015", (50,), None)


def build(
    spec: RecurrentLMSpec, *, input_shape: tuple[int], classes: None, activation: str | None, name: str
) -> keras.Model:
    """The network: `stem` the embedding, a `stageN` for each layer, `head`: logits `(batch, steps, vocabulary)`.

    Input `tokens`, int32 `(batch, steps)`. See `zoo.build`.
    """
    inputs = keras.Input(input_shape, name="tokens", dtype="int32")
    x = keras.layers.Embedding(spec.vocabulary, spec.embedding, name="stem")(inputs)
    x = dropped(x, spec.input_dropout, "input_dropout")
    for stage in range(1, spec.depth + 1):
        rate, drop = (spec.dropout, "dropout") if stage == spec.depth else (spec.layer_dropout, f"stage{stage}_dropout")
        label = f"stage{stage}"
        x = layer(spec.cell, spec.width, sequences=True, recurrent_dropout=spec.recurrent_dropout, name=label)(x)
        x = dropped(x, rate, drop)
    # In mixed precision the loss needs logits of full range: the dtype of the variables.
    dtype = keras.config.dtype_policy().variable_dtype
    outputs = keras.layers.Dense(spec.vocabulary, dtype=dtype, name="head")(x)
    return keras.Model(inputs, outputs, name=name)
