"""The Transformer: an encoder reads a text, a decoder tells its translation.

Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, table 3 and figure 1. `zoo.translate`
searches for the likeliest translation.
"""

import math
from dataclasses import dataclass

import keras

from zoo import check
from zoo.contract import Origin
from zoo.sequence.attention import PositionEmbedding, RealSteps
from zoo.sequence.block import AttentionSpec, block, encoder, normalised
from zoo.sequence.recurrent import dropped

TASK = "translate"


@dataclass(frozen=True, kw_only=True)
class TranslatorSpec(AttentionSpec):
    """An encoder and a decoder, with one vocabulary for both languages; `AttentionSpec` tells of the other fields.

    Attributes:
        vocabulary: number of different tokens, 0 the padding among them; at least 2.
        depth: blocks of the encoder, and as many of the decoder.
        norm_first: normalise what each part of a block reads, which trains without a warm-up; the paper normalises the
            sums.
        epsilon: of the normalisations, above 0; tensor2tensor's.
    """

    vocabulary: int = 8000
    width: int = 128
    hidden: int = 256
    norm_first: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check.whole(self.vocabulary, "the vocabulary of a translator", least=2)
        check.flag(self.norm_first, "norm_first")

    @property
    def axes(self) -> tuple[str, ...]:
        """A text, and its translation."""
        return ("source steps", "target steps")


SPEC = TranslatorSpec

VARIANTS: dict[str, TranslatorSpec] = {
    # For phrases on a device; no table.
    "translator_tiny": TranslatorSpec(),
    # Table 3, base, over the 37,000 tokens of section 5.1.
    "translator": TranslatorSpec(vocabulary=37_000, width=512, depth=6, heads=8, hidden=2048, norm_first=False),
}


def origin(spec: TranslatorSpec) -> Origin:
    """The paper; its sentences are of any length."""
    paper = "Vaswani et al., Attention Is All You Need, NeurIPS 2017, arXiv:1706.03762"
    return Origin(paper, (64, 64), None)


def build(
    spec: TranslatorSpec, *, input_shape: tuple[int, int], classes: None, activation: str | None, name: str
) -> keras.Model:
    """The network: `stem` the source's embedding, a `stageN` for each block, the encoder's first, `head`.

    Inputs `source`, int32 `(batch, source steps)`, padded with 0, and `target`, int32 `(batch, target steps)`, the
    translation so far behind a token that starts it; output: logits `(batch, target steps, vocabulary)` of each next
    token, the product with the vectors that stand for the tokens of both languages (section 3.4). See `zoo.build`.
    """
    source_steps, target_steps = input_shape
    source = keras.Input((source_steps,), name="source", dtype="int32")
    target = keras.Input((target_steps,), name="target", dtype="int32")
    # In mixed precision the loss needs logits of full range: the dtype of the variables.
    dtype = keras.config.dtype_policy().variable_dtype
    table = keras.layers.ReversibleEmbedding(
        spec.vocabulary,
        spec.width,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=spec.width**-0.5),
        reverse_dtype=dtype,
        name="embedding",
    )
    form = spec.form(norm_first=spec.norm_first)

    def embedded(tokens: keras.KerasTensor, label: str, end: str) -> keras.KerasTensor:
        x = keras.layers.Rescaling(math.sqrt(spec.width), name=f"{label}_scale")(table(tokens))
        x = PositionEmbedding(tokens.shape[1], kind="sinusoidal", name=end)(x)
        return dropped(x, spec.layer_dropout, f"{label}_dropout")

    real = RealSteps(name="real")(source)
    memory = encoder(embedded(source, "source", "stem"), form, spec.depth, real=real)
    x = embedded(target, "target", "target_position")
    for stage in range(spec.depth + 1, 2 * spec.depth + 1):
        x = block(x, form, label=f"stage{stage}", causal=True, memory=memory, memory_real=real)
    if spec.norm_first:
        x = normalised(x, spec.epsilon, "norm")
    x = dropped(x, spec.dropout, "dropout")
    outputs = keras.layers.Activation("linear", dtype=dtype, name="head")(table(x, reverse=True))
    return keras.Model([source, target], outputs, name=name)
