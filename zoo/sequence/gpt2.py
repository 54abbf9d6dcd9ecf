"""GPT-2: a Transformer decoder that tells the next token from all before it.

Radford, Wu, Child, Luan, Amodei, Sutskever, "Language Models are Unsupervised Multitask Learners", 2019, table 2.
Weight-compatible with the checkpoints of Hugging Face transformers. `zoo.generate` goes on with a text.
"""

import math
from dataclasses import dataclass

import keras

from zoo import check
from zoo.contract import TOKENS, Origin
from zoo.sequence.attention import PositionEmbedding
from zoo.sequence.block import AttentionSpec, Function, block, normalised
from zoo.sequence.recurrent import dropped

TASK = "generate"

DEVIATION = 0.02
"""Of the normal distribution that weights are drawn from, in the authors' model.py."""


@dataclass(frozen=True, kw_only=True)
class GPT2Spec(AttentionSpec):
    """GPT-2; `AttentionSpec` tells of the other fields.

    Attributes:
        vocabulary: number of different tokens, at least 2; token 0 is one like any other.
    """

    vocabulary: int = 50_257
    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int = 3072
    function: Function = "gelu_tanh"
    epsilon: float = 1e-5
    attention_dropout: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check.whole(self.vocabulary, "the vocabulary of a language model", least=2)

    @property
    def axes(self) -> tuple[str, ...]:
        """A text."""
        return TOKENS


SPEC = GPT2Spec

VARIANTS: dict[str, GPT2Spec] = {
    # Table 2.
    "gpt2": GPT2Spec(),
    "gpt2_medium": GPT2Spec(width=1024, depth=24, heads=16, hidden=4096),
    "gpt2_large": GPT2Spec(width=1280, depth=36, heads=20, hidden=5120),
    "gpt2_xl": GPT2Spec(width=1600, depth=48, heads=25, hidden=6400),
    # The network that nanoGPT's readme trains on the 65 characters of Shakespeare without a GPU, 64 at a time.
    "char_transformer": GPT2Spec(
        vocabulary=65, width=128, depth=4, heads=4, hidden=512, layer_dropout=0.0, attention_dropout=0.0
    ),
}


def origin(spec: GPT2Spec) -> Origin:
    """GPT-2 reads up to 1,024 tokens, nanoGPT's small network 64 characters."""
    if spec.vocabulary < 256:
        return Origin("Karpathy, nanoGPT, 2022", (64,), None)
    return Origin("Radford et al., Language Models are Unsupervised Multitask Learners, 2019", (1024,), None)


def build(spec: GPT2Spec, *, input_shape: tuple[int], classes: None, activation: str | None, name: str) -> keras.Model:
    """The network: `stem` the sum of the embeddings, a `stageN` for each block, `head`.

    Input `tokens`, int32 `(batch, steps)`; output: logits `(batch, steps, vocabulary)`, the product with the same
    vectors that stand for the tokens. A shorter text is padded at its end with anything: no step sees a later one. See
    `zoo.build`.
    """
    inputs = keras.Input(input_shape, name="tokens", dtype="int32")
    # In mixed precision the loss needs logits of full range: the dtype of the variables.
    dtype = keras.config.dtype_policy().variable_dtype
    normal = keras.initializers.RandomNormal(stddev=DEVIATION)
    table = keras.layers.ReversibleEmbedding(
        spec.vocabulary, spec.width, embeddings_initializer=normal, reverse_dtype=dtype, name="embedding"
    )
    x = PositionEmbedding(input_shape[0], name="stem")(table(inputs))
    x = dropped(x, spec.layer_dropout, "stem_dropout")
    # Section 2.3: the last ones scaled by the root of the number of residual sums.
    last = keras.initializers.RandomNormal(stddev=DEVIATION / math.sqrt(2 * spec.depth))
    form = spec.form(norm_first=True, initializer=normal, last_initializer=last)
    for stage in range(1, spec.depth + 1):
        x = block(x, form, label=f"stage{stage}", causal=True)
    x = normalised(x, spec.epsilon, "norm")
    x = dropped(x, spec.dropout, "dropout")
    outputs = keras.layers.Activation("linear", dtype=dtype, name="head")(table(x, reverse=True))
    return keras.Model(inputs, outputs, name=name)
