"""The Transformer's encoder, for the classes of series and texts.

Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, table 3 and figure 1, left.
"""

import math
from dataclasses import dataclass
from typing import Literal

import keras

from zoo import blocks, check
from zoo.contract import Origin
from zoo.sequence.attention import PositionEmbedding, RealSteps
from zoo.sequence.block import AttentionSpec, encoder, first_step, mean_step
from zoo.sequence.convolution import masked
from zoo.sequence.inputs import SequenceSpec, sequence_input
from zoo.sequence.recurrent import dropped

TASK = "classify"


@dataclass(frozen=True, kw_only=True)
class TransformerSpec(AttentionSpec, SequenceSpec):  # in this order: the width of the first one stands
    """A Transformer encoder; `AttentionSpec` and `SequenceSpec` tell of the other fields.

    Attributes:
        width: of every step, a whole multiple of `heads`. Series, and tokens whose `embedding` is another, are brought
            to it by a Dense layer.
        norm_first: normalise what each part of a block reads, which trains deep networks without a warm-up; the paper
            normalises the sums.
        epsilon: of the normalisations, above 0; tensor2tensor's.
        pooling: what the head reads: the `mean` over the steps, or the `first` step.
    """

    norm_first: bool = True
    pooling: Literal["mean", "first"] = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        check.flag(self.norm_first, "norm_first")
        check.one_of(self.pooling, "pooling", ("mean", "first"))


SPEC = TransformerSpec

VARIANTS: dict[str, TransformerSpec] = {
    # For series and short texts on a device; no table.
    "transformer_tiny": TransformerSpec(),
    "transformer_small": TransformerSpec(width=128, depth=4, hidden=512, embedding=128),
    # Table 3, base: the encoder, over the 37,000 tokens of section 5.1.
    "transformer": TransformerSpec(
        vocabulary=37_000, embedding=512, width=512, depth=6, heads=8, hidden=2048, norm_first=False
    ),
}


def origin(spec: TransformerSpec) -> Origin:
    """The paper translates; here its encoder answers once. For series, the shape of Japanese vowels stands here."""
    paper = "Vaswani et al., Attention Is All You Need, NeurIPS 2017, arXiv:1706.03762"
    return Origin(paper, (256,), 2) if spec.vocabulary else Origin(paper, (29, 12), 9)


def build(
    spec: TransformerSpec, *, input_shape: tuple[int, ...], classes: int, activation: str | None, name: str
) -> keras.Model:
    """The network: `stem`, a `stageN` for each block, `head`. See `zoo.build`."""
    inputs, x = sequence_input(spec, input_shape)
    real = RealSteps(name="real")(inputs) if masked(spec) else None
    if spec.vocabulary == 0 or spec.embedding != spec.width:
        x = keras.layers.Dense(spec.width, name="stem_dense")(x)
    if spec.vocabulary:
        x = keras.layers.Rescaling(math.sqrt(spec.width), name="stem_scale")(x)
    x = PositionEmbedding(input_shape[0], kind="sinusoidal", name="stem")(x)
    x = dropped(x, spec.layer_dropout, "stem_dropout")
    x = encoder(x, spec.form(norm_first=spec.norm_first), spec.depth, real=real)
    x = first_step(x) if spec.pooling == "first" else mean_step(x, real)
    outputs = blocks.answer(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)
