"""The block that all networks of attention repeat: attention, then a Dense layer at each step, each in a residual sum.

Vaswani et al. 2017, section 3.1 and figure 1. Layers of block `LABEL`: `LABEL_query`, `_key`, `_value`, `_attention`,
`_output`; with a memory `LABEL_cross_query`, …; `LABEL_hidden`, `LABEL_project`; the last one is `LABEL`.
"""

from dataclasses import dataclass
from typing import Any, Literal

import keras

from zoo import blocks, check
from zoo.contract import Spec
from zoo.errors import ZooError
from zoo.sequence.attention import DotProductAttention
from zoo.sequence.convolution import MaskedAverage

Function = Literal["relu", "gelu", "gelu_tanh"]


@keras.saving.register_keras_serializable(package="edgezoo")
def gelu_tanh(x: Any) -> Any:
    """GELU by a hyperbolic tangent, as in GPT-2: Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2."""
    return keras.activations.gelu(x, approximate=True)


@dataclass(frozen=True, kw_only=True)
class Form:
    """What the blocks of one network have in common.

    Attributes:
        width: of every step.
        heads: parts that it is cut into.
        hidden: width of the inner Dense layer.
        function: its activation.
        norm_first: normalise what each part reads (Xiong et al. 2020, arXiv:2002.04745), else each sum.
        epsilon: of the normalisations.
        layer_dropout: share of what each part adds that is dropped.
        attention_dropout: share of the attention's weights that is dropped.
        initializer: of the kernels.
        last_initializer: of the kernels just before a residual sum; None: as the others.
    """

    width: int
    heads: int
    hidden: int
    function: Function
    norm_first: bool
    epsilon: float
    layer_dropout: float
    attention_dropout: float
    initializer: Any
    last_initializer: Any


@dataclass(frozen=True, kw_only=True)
class AttentionSpec(Spec):
    """The fields of every network of attention.

    Attributes:
        width: of every step, a whole multiple of `heads`.
        depth: blocks.
        heads: heads of attention in each.
        hidden: width of the inner Dense layer of a block.
        function: its activation: `relu`, `gelu` or `gelu_tanh`.
        epsilon: of the normalisations, above 0.
        layer_dropout: share of what each part of a block adds, and of the input, that is dropped.
        attention_dropout: share of the attention's weights that is dropped.
        dropout: share of the features dropped before the head.
    """

    width: int = 64
    depth: int = 2
    heads: int = 4
    hidden: int = 128
    function: Function = "relu"
    epsilon: float = 1e-6
    layer_dropout: float = 0.1
    attention_dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("width", "depth", "heads", "hidden"):
            check.whole(getattr(self, name), name)
        if self.width % self.heads:
            raise ZooError(f"width must be a multiple of heads: {self.width} cannot be cut into {self.heads}")
        check.one_of(self.function, "function", ("relu", "gelu", "gelu_tanh"))
        check.real(self.epsilon, "epsilon", above=0.0)
        check.real(self.layer_dropout, "layer_dropout", least=0.0, below=1.0)
        check.real(self.attention_dropout, "attention_dropout", least=0.0, below=1.0)

    def form(self, *, norm_first: bool, initializer: Any = "glorot_uniform", last_initializer: Any = None) -> Form:
        """What its blocks have in common; see `Form` for the arguments."""
        return Form(
            width=self.width,
            heads=self.heads,
            hidden=self.hidden,
            function=self.function,
            norm_first=norm_first,
            epsilon=self.epsilon,
            layer_dropout=self.layer_dropout,
            attention_dropout=self.attention_dropout,
            initializer=initializer,
            last_initializer=last_initializer,
        )


def block(
    x: keras.KerasTensor,
    form: Form,
    *,
    label: str,
    causal: bool = False,
    real: keras.KerasTensor | None = None,
    memory: keras.KerasTensor | None = None,
    memory_real: keras.KerasTensor | None = None,
    end: str | None = None,
) -> keras.KerasTensor:
    """One block, `(batch, steps, width)` in and out.

    Args:
        x: what it reads.
        form: its numbers.
        label: start of its layers' names.
        causal: whether a step sees no later one.
        real: which steps are no padding, bool `(batch, steps)`; None: all.
        memory: what a decoder looks at besides, `(batch, memory steps, width)`.
        memory_real: which of its steps are no padding.
        end: name of the last layer; None: `label`.
    """
    read = _before(x, form, f"{label}_attention")
    y = attention(read, read, form, label=label, name="attention", causal=causal, real=real)
    x = _after(x, y, form, f"{label}_attention")
    if memory is not None:
        read = _before(x, form, f"{label}_cross")
        y = attention(read, memory, form, label=f"{label}_cross", name="attention", real=memory_real)
        x = _after(x, y, form, f"{label}_cross")
    read = _before(x, form, f"{label}_hidden")
    y = _dense(form.hidden, form.initializer, f"{label}_hidden")(read)
    function = gelu_tanh if form.function == "gelu_tanh" else form.function
    y = keras.layers.Activation(function, name=f"{label}_hidden_{form.function}")(y)
    y = _dense(form.width, form.last_initializer or form.initializer, f"{label}_project")(y)
    return _after(x, y, form, f"{label}_hidden", end=end or label)


def encoder(
    x: keras.KerasTensor, form: Form, depth: int, *, real: keras.KerasTensor | None = None
) -> keras.KerasTensor:
    """Blocks `stage1` to `stageDEPTH`; where they normalise first, the last one ends in a normalisation as well."""
    for stage in range(1, depth + 1):
        closing = form.norm_first and stage == depth
        x = block(x, form, label=f"stage{stage}", real=real, end=f"stage{stage}_hidden_add" if closing else None)
    return normalised(x, form.epsilon, f"stage{depth}") if form.norm_first else x


def attention(
    x: keras.KerasTensor,
    memory: keras.KerasTensor,
    form: Form,
    *,
    label: str,
    name: str,
    causal: bool = False,
    real: keras.KerasTensor | None = None,
) -> keras.KerasTensor:
    """The projections, and the attention, `LABEL_NAME`, between them: `x` asks, `memory` is looked at."""
    sources = {"query": x, "key": memory, "value": memory}
    parts = [_dense(form.width, form.initializer, f"{label}_{part}")(source) for part, source in sources.items()]
    layer = DotProductAttention(form.heads, causal=causal, dropout=form.attention_dropout, name=f"{label}_{name}")
    y = layer(parts) if real is None else layer(parts, real=real)
    return _dense(form.width, form.last_initializer or form.initializer, f"{label}_output")(y)


def normalised(x: keras.KerasTensor, epsilon: float, name: str) -> keras.KerasTensor:
    """Each step with mean 0 and deviation 1, scaled and shifted as learnt."""
    return keras.layers.LayerNormalization(epsilon=epsilon, name=name)(x)


def _before(x: keras.KerasTensor, form: Form, label: str) -> keras.KerasTensor:
    """What a part reads."""
    return normalised(x, form.epsilon, f"{label}_norm") if form.norm_first else x


def _after(
    x: keras.KerasTensor, y: keras.KerasTensor, form: Form, label: str, *, end: str | None = None
) -> keras.KerasTensor:
    """`x` and what a part adds, `y`; the last layer is called `end`."""
    if form.layer_dropout > 0.0:
        y = keras.layers.Dropout(form.layer_dropout, name=f"{label}_dropout")(y)
    if form.norm_first:
        return keras.layers.Add(name=end or f"{label}_add")([x, y])
    x = keras.layers.Add(name=f"{label}_add")([x, y])
    return normalised(x, form.epsilon, end or f"{label}_norm")


def _dense(width: int, initializer: Any, name: str) -> keras.layers.Dense:
    # Layers may not share an initializer that draws: each would get the same numbers.
    initializer = keras.initializers.get(initializer)
    return keras.layers.Dense(width, kernel_initializer=initializer.clone(), name=name)


def mean_step(x: keras.KerasTensor, real: keras.KerasTensor | None) -> keras.KerasTensor:
    """The mean over the steps that are no padding: the layer `mean`, `(batch, width)`."""
    if real is None:
        return keras.layers.GlobalAveragePooling1D(data_format=blocks.LAST, name="mean")(x)
    return MaskedAverage(data_format=blocks.LAST, name="mean")(x, mask=real)


def first_step(x: keras.KerasTensor) -> keras.KerasTensor:
    """The first step: the layer `first`, `(batch, width)`."""
    x = keras.layers.Cropping1D((0, x.shape[1] - 1), name="first_step")(x)
    return keras.layers.Reshape((x.shape[-1],), name="first")(x)
