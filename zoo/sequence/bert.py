"""BERT: a Transformer encoder that reads texts, or pairs of them.

Devlin, Chang, Lee, Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers", NAACL 2019, arXiv:1810.04805;
the small ones: Turc et al., "Well-Read Students Learn Better", 2019, arXiv:1908.08962, table 1; MiniLM: Wang et al.,
NeurIPS 2020, arXiv:2002.10957. Weight-compatible with the checkpoints of Hugging Face transformers.
"""

from dataclasses import dataclass
from typing import Any, Literal

import keras

from zoo import blocks, check
from zoo.contract import TOKENS, Origin
from zoo.errors import ZooError
from zoo.sequence.attention import PositionEmbedding, RealSteps
from zoo.sequence.block import AttentionSpec, Function, encoder, first_step, mean_step, normalised
from zoo.sequence.recurrent import dropped

TASK = "classify"

POSITIONS = 512
"""Of the published checkpoints: no text may be longer."""

DEVIATION = 0.02
"""Of the normal distribution that weights are drawn from: `initializer_range` of the authors' configurations."""


@dataclass(frozen=True, kw_only=True)
class BertSpec(AttentionSpec):
    """BERT; `AttentionSpec` tells of the other fields.

    Attributes:
        vocabulary: number of different tokens, 0 the padding among them; at least 2.
        separator: the token that ends a text; what comes after the first one belongs to the second text.
        pool: what the head reads: the `first` step through a Dense layer, the pooler, as BERT does; or the `mean` over
            all tokens that are no padding, as sentence-transformers do.
    """

    vocabulary: int = 30_522
    separator: int = 102
    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int = 3072
    function: Function = "gelu"
    epsilon: float = 1e-12
    attention_dropout: float = 0.1
    dropout: float = 0.1
    pool: Literal["first", "mean"] = "first"

    def __post_init__(self) -> None:
        super().__post_init__()
        check.whole(self.vocabulary, "the vocabulary of BERT", least=2)
        check.whole(self.separator, "separator")
        check.one_of(self.pool, "pool", ("first", "mean"))

    @property
    def axes(self) -> tuple[str, ...]:
        """A text."""
        return TOKENS


SPEC = BertSpec


def _miniature(depth: int, width: int) -> BertSpec:
    """Turc et al.: heads of 64, and four times the width inside."""
    return BertSpec(width=width, depth=depth, heads=width // 64, hidden=4 * width)


VARIANTS: dict[str, BertSpec] = {
    # Turc et al. 2019, table 1.
    "bert_tiny": _miniature(2, 128),
    "bert_mini": _miniature(4, 256),
    "bert_small": _miniature(4, 512),
    "bert_medium": _miniature(8, 512),
    # Devlin et al. 2019, section 3.
    "bert_base": BertSpec(),
    # sentence-transformers, all-MiniLM-L6-v2: every second layer of Microsoft's MiniLM-L12-H384.
    "minilm_l6": BertSpec(width=384, depth=6, hidden=1536, pool="mean"),
}


def origin(spec: BertSpec) -> Origin:
    """At the longest text, and two classes, as most tasks of GLUE have."""
    if spec.pool == "mean":
        paper = "Wang et al., MiniLM: Deep Self-Attention Distillation, NeurIPS 2020, arXiv:2002.10957"
    elif spec.width < 768:
        paper = "Turc et al., Well-Read Students Learn Better, 2019, arXiv:1908.08962"
    else:
        paper = "Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers, NAACL 2019, arXiv:1810.04805"
    return Origin(paper, (POSITIONS,), 2)


def build(spec: BertSpec, *, input_shape: tuple[int], classes: int, activation: str | None, name: str) -> keras.Model:
    """The network: `stem` the sum of the embeddings, a `stageN` for each block, `head`.

    Input `tokens`, int32 `(batch, steps)`: `[CLS] text [SEP]` or `[CLS] text [SEP] other text [SEP]`, then padding, 0.
    What BERT calls token types is computed from the separators. See `zoo.build`.
    """
    inputs = keras.Input(input_shape, name="tokens", dtype="int32")
    real = RealSteps(name="real")(inputs)
    x = keras.layers.Embedding(spec.vocabulary, spec.width, embeddings_initializer=_normal(), name="embedding")(inputs)
    segments = Segments(spec.separator, name="segments")(inputs)
    segment = keras.layers.Embedding(2, spec.width, embeddings_initializer=_normal(), name="segment_embedding")
    x = keras.layers.Add(name="segment_add")([x, segment(segments)])
    x = PositionEmbedding(input_shape[0], name="position")(x)
    x = normalised(x, spec.epsilon, "stem")
    x = dropped(x, spec.layer_dropout, "stem_dropout")
    form = spec.form(norm_first=False, initializer=_normal())
    x = encoder(x, form, spec.depth, real=real)
    if spec.pool == "first":
        x = first_step(x)
        x = keras.layers.Dense(spec.width, activation="tanh", kernel_initializer=_normal(), name="pooler")(x)
    else:
        x = mean_step(x, real)
    outputs = blocks.answer(x, classes=classes, dropout=spec.dropout, activation=activation)
    return keras.Model(inputs, outputs, name=name)


def embedder(model: keras.Model) -> keras.Model:
    """A model that gives a text's vector, of length 1: what the head of `model` reads, `(batch, width)`.

    The nearer the product of two vectors is to 1, the nearer their texts are in meaning. It shares the weights of
    `model`.

    Args:
        model: a classifier of the zoo, such as `minilm_l6` with its published weights.

    Raises:
        ZooError: the model has no Dense layer `head` that reads a vector.
    """
    head = next((layer for layer in model.layers if layer.name == "head"), None)
    if not isinstance(head, keras.layers.Dense) or len(head.input.shape) != 2:
        raise ZooError(f"{model.name} has no head that reads a vector; take a classifier of the zoo, such as minilm_l6")
    vector = keras.layers.UnitNormalization(axis=-1, name="vector")(head.input)
    return keras.Model(model.input, vector, name=f"{model.name}_embedder")


@keras.saving.register_keras_serializable(package="edgezoo")
class Segments(keras.layers.Layer):
    """Of which text each token is, int32 `(batch, steps)`: 0 up to the first separator and with it, then 1.

    Args:
        separator: the token that ends a text.
    """

    def __init__(self, separator: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.separator = check.whole(separator, "separator")

    def call(self, inputs: Any) -> Any:
        """Tokens, int32 `(batch, steps)`."""
        ends = keras.ops.cast(keras.ops.equal(inputs, self.separator), "int32")
        return keras.ops.minimum(keras.ops.cumsum(ends, axis=1) - ends, 1)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """One number for each token."""
        return keras.KerasTensor(inputs.shape, dtype="int32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "separator": self.separator}


def _normal() -> keras.initializers.Initializer:
    return keras.initializers.TruncatedNormal(stddev=DEVIATION)
