"""A training step of the zoo's sequence models against hand-written models of plain Keras, in turns.

Each pair has the same input, mask, parameters and dropout; the hand-written one is made of `keras.layers.LSTM`, `GRU`,
`Conv1D`, `MultiHeadAttention`, `LayerNormalization` and so on. Each round times both, the one that goes first changes
from round to round, over as many training steps as take about a tenth of a second; the ratio is the zoo's time over the
other's, the median of the rounds with the quartiles, by the clock and of processor time, which the other work of a
busy machine disturbs less. `--itself` puts a second copy of the hand-written model in the place of the zoo's: what is
not 1.00 there is noise. Without any noise are the operations of the TensorFlow graphs of the two steps, zoo / plain.

    TF_NUM_INTRAOP_THREADS=1 python benchmarks/sequence_speed.py [--names lstm bert_tiny …] [--rounds 41] [--itself]
"""

import dataclasses
import gc
import math
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tyro

import zoo
from zoo.models import resolve
from zoo.sequence.attention import sinusoids

SERIES = (100, 12)
CLASSES = 5
VOCABULARY = 2000
layers = keras.layers


def recurrent(cell: type, spec: Any, shape: tuple[int, ...]) -> keras.Model:
    """One layer, which skips padding where the zoo's does.

    It has the zoo's names too: with Keras's own the same operations took 4 % less processor time in an LSTM's step.
    """
    text = spec.vocabulary > 0
    inputs = keras.Input(shape, dtype="int32" if text else "float32", name="tokens" if text else "series")
    x = inputs
    if spec.vocabulary:
        x = layers.Embedding(spec.vocabulary, spec.embedding, mask_zero=True, name="embedding")(x)
    elif spec.mask:
        x = layers.Masking(name="mask")(x)
    outputs = layers.Dense(CLASSES, name="head")(cell(spec.width, name="stage1")(x))
    return keras.Model(inputs, outputs, name=resolve(spec)[1])


def fcn(spec: Any, shape: tuple[int, ...]) -> keras.Model:
    """Three convolutions; with a mask, zeros before each and statistics of the true steps."""
    inputs = x = keras.Input(shape)
    real = keras.ops.any(keras.ops.not_equal(inputs, 0), axis=-1) if spec.mask else None
    for filters, kernel in zip(spec.filters, spec.kernels, strict=True):
        if real is not None:
            x = keras.ops.where(keras.ops.expand_dims(real, -1), x, 0.0)
        x = layers.Conv1D(filters, kernel, padding="same")(x)
        x = layers.BatchNormalization()(x) if real is None else layers.BatchNormalization()(x, mask=real)
        x = layers.ReLU()(x)
    pool = layers.GlobalAveragePooling1D()
    x = pool(x) if real is None else pool(x, mask=real)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def inception_time(spec: Any, shape: tuple[int, ...]) -> keras.Model:
    """Six modules and two shortcuts."""
    inputs = x = source = keras.Input(shape)
    convolution = partial(layers.Conv1D, padding="same", use_bias=False)
    for number in range(1, spec.depth + 1):
        narrow = convolution(spec.bottleneck, 1)(x)
        parts = [convolution(spec.width, kernel)(narrow) for kernel in spec.kernels]
        parts.append(convolution(spec.width, 1)(layers.MaxPooling1D(3, strides=1, padding="same")(x)))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Concatenate()(parts)))
        if number % spec.residual == 0:
            short = layers.BatchNormalization()(convolution(x.shape[-1], 1)(source))
            x = source = layers.ReLU()(layers.Add()([short, x]))
    return keras.Model(inputs, layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(x)))


class Positions(layers.Layer):
    """Adds a learnt table."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        """The table."""
        self.table = self.add_weight(shape=input_shape[1:], initializer="uniform")

    def call(self, inputs: Any) -> Any:
        """The same shape."""
        return inputs + self.table


def block(x: Any, spec: Any, *, first: bool, real: Any = None, causal: bool = False) -> Any:
    """Attention, then two Dense layers, each in a residual sum; `first`: normalised before, else after."""

    def norm(y: Any) -> Any:
        return layers.LayerNormalization(epsilon=spec.epsilon)(y)

    def drop(y: Any) -> Any:
        return layers.Dropout(spec.layer_dropout)(y) if spec.layer_dropout else y

    attention = layers.MultiHeadAttention(spec.heads, spec.width // spec.heads, dropout=spec.attention_dropout)
    seen = None if real is None else keras.ops.expand_dims(real, 1)
    y = norm(x) if first else x
    x = layers.Add()([x, drop(attention(y, y, attention_mask=seen, use_causal_mask=causal))])
    x = x if first else norm(x)
    y = norm(x) if first else x
    function = partial(keras.activations.gelu, approximate=True) if spec.function == "gelu_tanh" else spec.function
    y = layers.Dense(spec.width)(layers.Dense(spec.hidden, activation=function)(y))
    x = layers.Add()([x, drop(y)])
    return x if first else norm(x)


def transformer(spec: Any, shape: tuple[int, ...]) -> keras.Model:
    """The encoder, of tokens or of a series."""
    inputs = x = keras.Input(shape, dtype="int32" if spec.vocabulary else "float32")
    real = None
    if spec.vocabulary:
        real = keras.ops.not_equal(inputs, 0)
        x = layers.Embedding(spec.vocabulary, spec.embedding)(x) * math.sqrt(spec.width)
    else:
        x = layers.Dense(spec.width)(x)
    x = x + sinusoids(shape[0], spec.width)
    x = layers.Dropout(spec.layer_dropout)(x)
    for _ in range(spec.depth):
        x = block(x, spec, first=spec.norm_first, real=real)
    x = layers.LayerNormalization(epsilon=spec.epsilon)(x) if spec.norm_first else x
    pool = layers.GlobalAveragePooling1D()
    x = pool(x) if real is None else pool(x, mask=real)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def bert(spec: Any, shape: tuple[int, ...]) -> keras.Model:
    """BERT; the kind of each token from the separators, as ours."""
    inputs = keras.Input(shape, dtype="int32")
    ends = keras.ops.cast(keras.ops.equal(inputs, spec.separator), "int32")
    segments = keras.ops.minimum(keras.ops.cumsum(ends, axis=1) - ends, 1)
    x = layers.Embedding(spec.vocabulary, spec.width)(inputs) + layers.Embedding(2, spec.width)(segments)
    x = layers.LayerNormalization(epsilon=spec.epsilon)(Positions()(x))
    x = layers.Dropout(spec.layer_dropout)(x)
    real = keras.ops.not_equal(inputs, 0)
    for _ in range(spec.depth):
        x = block(x, spec, first=False, real=real)
    x = layers.Dropout(spec.dropout)(layers.Dense(spec.width, activation="tanh")(x[:, 0]))
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def gpt2(spec: Any, shape: tuple[int, ...]) -> keras.Model:
    """GPT-2, the head tied to the embedding."""
    inputs = keras.Input(shape, dtype="int32")
    table = layers.ReversibleEmbedding(spec.vocabulary, spec.width)
    x = Positions()(table(inputs))
    x = layers.Dropout(spec.layer_dropout)(x) if spec.layer_dropout else x
    for _ in range(spec.depth):
        x = block(x, spec, first=True, causal=True)
    x = layers.LayerNormalization(epsilon=spec.epsilon)(x)
    return keras.Model(inputs, table(x, reverse=True))


def language_model(spec: Any, shape: tuple[int, ...]) -> keras.Model:
    """Embedding, recurrent layers, Dense at each step, with the zoo's names."""
    cell = {"lstm": layers.LSTM, "gru": layers.GRU}[spec.cell]
    inputs = keras.Input(shape, dtype="int32", name="tokens")
    x = layers.Embedding(spec.vocabulary, spec.embedding, name="stem")(inputs)
    for stage in range(1, spec.depth + 1):
        x = cell(spec.width, return_sequences=True, name=f"stage{stage}")(x)
    return keras.Model(inputs, layers.Dense(spec.vocabulary, name="head")(x), name=resolve(spec)[1])


# Name → the zoo's model, the fields changed, the shape of an example, the hand-written model.
PAIRS = {
    "lstm": ("lstm", {}, SERIES, partial(recurrent, layers.LSTM)),
    "lstm_masked": ("lstm", {"mask": True}, SERIES, partial(recurrent, layers.LSTM)),
    "lstm_text": ("lstm", {"vocabulary": VOCABULARY}, (64,), partial(recurrent, layers.LSTM)),
    "gru": ("gru", {}, SERIES, partial(recurrent, layers.GRU)),
    "gru_masked": ("gru", {"mask": True}, SERIES, partial(recurrent, layers.GRU)),
    "fcn": ("fcn", {}, SERIES, fcn),
    "fcn_masked": ("fcn", {"mask": True}, SERIES, fcn),
    "inception_time": ("inception_time", {}, SERIES, inception_time),
    "transformer_tiny": ("transformer_tiny", {}, SERIES, transformer),
    "transformer_tiny_text": ("transformer_tiny", {"vocabulary": VOCABULARY}, (64,), transformer),
    "transformer_small_text": ("transformer_small", {"vocabulary": VOCABULARY}, (64,), transformer),
    "bert_tiny": ("bert_tiny", {"vocabulary": VOCABULARY}, (64,), bert),
    "bert_small": ("bert_small", {"vocabulary": VOCABULARY}, (64,), bert),
    "gpt2_tiny": ("gpt2", {"vocabulary": VOCABULARY, "width": 128, "depth": 4, "heads": 4, "hidden": 512}, (64,), gpt2),
    "char_transformer": ("char_transformer", {}, (64,), gpt2),
    "char_lstm": ("char_lstm", {}, (50,), language_model),
}


def main(names: tuple[str, ...] = tuple(PAIRS), rounds: int = 41, batch: int = 32, itself: bool = False) -> None:
    """Measure each pair."""
    for name in names:
        compare(name, rounds=rounds, batch=batch, itself=itself)
        keras.utils.clear_session()
        gc.collect()


def compare(name: str, *, rounds: int, batch: int, itself: bool) -> None:
    """Time the steps in turns and print the ratio."""
    variant, changes, shape, plain = PAIRS[name]
    spec = dataclasses.replace(zoo.spec(variant), **changes)
    generates = variant in zoo.list_models(task="generate")
    ours = partial(zoo.build, spec, input_shape=shape, classes=None if generates else CLASSES)
    models = {"zoo": plain(spec, shape) if itself else ours(), "plain": plain(spec, shape)}
    sizes = {model.count_params() for model in models.values()}
    if len(sizes) > 1:
        raise SystemExit(f"{name}: the models differ, they have {sizes} parameters")
    inputs, targets = examples(spec, shape, batch, generates=generates)
    calls = {}
    for who, model in models.items():
        model.compile(keras.optimizers.Adam(1e-6), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        calls[who] = partial(model.train_on_batch, inputs, targets)
        calls[who]()
    steps = max(1, round(0.1 / min(timed(call, 3)[0] for call in calls.values())))
    times: dict[str, list[tuple[float, float]]] = {who: [] for who in calls}
    for number in range(rounds):
        for who in list(calls) if number % 2 else reversed(list(calls)):
            times[who].append(timed(calls[who], steps))
    seconds = {who: np.array(each) for who, each in times.items()}
    took = "  ".join(f"{who} {1e3 * np.median(each[:, 0]):7.1f} ms" for who, each in seconds.items())
    clock, processor = (quartiles(ratios) for ratios in (seconds["zoo"] / seconds["plain"]).T)
    counts = " / ".join(f"{operations(model, inputs, targets):,}" for model in models.values())
    print(f"{name:<24} {took}  ratio {clock}  of processor time {processor}  operations {counts}", flush=True)


def quartiles(ratios: np.ndarray) -> str:
    """The median, and the quartiles."""
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def operations(model: keras.Model, inputs: np.ndarray, targets: np.ndarray) -> int:
    """Operations of the graph of a training step, those of the functions that it calls among them."""
    step = tf.function(lambda x, y: model.train_step((x, y)))
    graph = step.get_concrete_function(tf.constant(inputs), tf.constant(targets)).graph.as_graph_def()
    return len(graph.node) + sum(len(function.node_def) for function in graph.library.function)


def timed(call: Callable[[], object], steps: int) -> tuple[float, float]:
    """Seconds of one step, by the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    for _ in range(steps):
        call()
    return (time.perf_counter() - clock) / steps, (time.process_time() - processor) / steps


def examples(spec: Any, shape: tuple[int, ...], batch: int, *, generates: bool) -> tuple[np.ndarray, np.ndarray]:
    """A batch, of which every example but those of language models ends in a quarter of padding, and its targets."""
    rng = np.random.default_rng(0)
    if getattr(spec, "vocabulary", 0):
        inputs = rng.integers(1, spec.vocabulary, (batch, *shape)).astype("int32")
    else:
        inputs = rng.standard_normal((batch, *shape)).astype("float32")
    if generates:
        return inputs, np.roll(inputs, -1, axis=1)
    inputs[:, 3 * shape[0] // 4 :] = 0
    return inputs, rng.integers(0, CLASSES, batch)


if __name__ == "__main__":
    tyro.cli(main)
