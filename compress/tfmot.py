"""TensorFlow's Model Optimization Toolkit (TFMOT) on a Keras 3 model, by way of its twin in tf_keras.

TFMOT takes tf_keras models only. Here a Keras 3 model gets such a twin, TFMOT wraps it, and what comes out is TFMOT's
own: it trains with tf_keras' `fit` and TFMOT's callbacks, and has TFMOT's defects, of which `docs/compress.md` tells.
`to_keras` brings pruned or clustered weights back; `compress.export` writes a quantization-aware twin as int8.

TFMOT is no dependency: `pip install "edgezoo[tfmot]"`.
"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import keras

from compress.errors import CompressError, first_line
from compress.graph import Graph
from compress.mask import Pooling, read_pattern
from compress.schedule import Polynomial, Schedule
from compress.trace import trace
from compress.twin import give, installed, to_tf_keras

__all__ = ["cluster", "prune", "quantize_aware", "strip", "to_keras", "to_tf_keras"]


def to_keras(twin: Any, *, like: keras.Model) -> keras.Model:
    """`like` with the weights of its twin, pruned and clustered ones in place of the wrappers that trained them.

    Args:
        twin: made by `to_tf_keras`, `prune` or `cluster`, trained or not.
        like: the model that the twin was made from; it is not changed. The copy is flat and not compiled.

    Raises:
        CompressError: the twin is of another model, or quantization-aware: that has int8 weights in its file only.
    """
    layers = {layer.name: layer for layer in strip(twin).layers}
    graph: Graph = trace(like, simpler=False)
    for operation in {id(node.operation): node.operation for node in graph.nodes}.values():
        if operation.name not in layers:
            raise CompressError(
                f"the twin has no layer {operation.name!r}, so it was not made from model {like.name!r}, "
                "or it is quantization-aware: then export it"
            )
        if operation.weights:
            give(operation, layers[operation.name].get_weights(), origin=f"layer {operation.name!r} of the twin")
    return keras.Model(graph.inputs, graph.outputs, name=graph.name)


def quantize_aware(model: keras.Model) -> Any:
    """TFMOT's `quantize_model` of the twin: a tf_keras model; fit it, then `compress.export` it as int8.

    Raises:
        CompressError: as `to_tf_keras`, or TFMOT does not know a layer.
    """
    twin, (_, tfmot) = to_tf_keras(model), installed()
    with _refusals(model):
        return tfmot.quantization.keras.quantize_model(twin)


def prune(model: keras.Model, schedule: Schedule, *, pattern: str = "unstructured", pooling: Pooling = "mean") -> Any:
    """TFMOT's `prune_low_magnitude` of the twin: a tf_keras model; fit it with TFMOT's callback `UpdatePruningStep`.

    Args:
        model: as in `to_tf_keras`.
        schedule: how sparse, when.
        pattern: as in `compress.prune`; TFMOT has blocks for Dense layers only.
        pooling: the magnitude of a block: `mean` or `max` of its weights.

    Raises:
        CompressError: as `to_tf_keras`, TFMOT does not know a layer, or the pattern is none.
    """
    kind, first, second = read_pattern(pattern)
    if pooling not in ("mean", "max"):
        raise CompressError(f"pooling={pooling!r} is neither 'mean' nor 'max'")
    twin, (_, tfmot) = to_tf_keras(model), installed()
    end = -1 if schedule.end is None else schedule.end
    theirs = tfmot.sparsity.keras
    if isinstance(schedule, Polynomial):
        span = (schedule.begin, end, schedule.power, schedule.every)
        plan = theirs.PolynomialDecay(schedule.initial, schedule.final, *span)
    else:
        plan = theirs.ConstantSparsity(schedule.sparsity, schedule.begin, end, schedule.every)
    shape: dict[str, Any] = {}
    if kind == ":":
        shape = {"sparsity_m_by_n": (second - first, second)}
    elif kind == "x":
        shape = {"block_size": (first, second), "block_pooling_type": {"mean": "AVG", "max": "MAX"}[pooling]}
    with _refusals(model):
        return theirs.prune_low_magnitude(twin, plan, **shape)


def cluster(model: keras.Model, clusters: int, *, init: str = "kmeans++", per_channel: bool = False) -> Any:
    """TFMOT's clustering of the twin: a tf_keras model to fit. Of a model that is pruned the zeros stay.

    Args:
        model: as in `to_tf_keras`.
        clusters: distinct values of a kernel, 2 or more.
        init: `kmeans++`, `linear` or `density`: where they start.
        per_channel: a set of values for each output channel of a Conv2D.

    Raises:
        CompressError: as `to_tf_keras`, or TFMOT does not know a layer.
    """
    twin, (_, tfmot) = to_tf_keras(model), installed()
    from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster as experimental

    names = tfmot.clustering.keras.CentroidInitialization
    starts = {"kmeans++": names.KMEANS_PLUS_PLUS, "linear": names.LINEAR, "density": names.DENSITY_BASED}
    if init not in starts:
        raise CompressError(f"init={init!r} is none of {', '.join(map(repr, starts))}")
    zeros = any(len(each.shape) > 1 and not each.all() for each in twin.get_weights())
    with _refusals(model):
        return experimental.cluster_weights(twin, clusters, starts[init], zeros, per_channel)


def strip(twin: Any) -> Any:
    """A twin without TFMOT's pruning and clustering wrappers, their weights applied: a plain tf_keras model."""
    _, tfmot = installed()
    return tfmot.sparsity.keras.strip_pruning(tfmot.clustering.keras.strip_clustering(twin))


def asked(engine: str) -> bool:
    """Whether `engine` is TFMOT and not ours.

    Raises:
        CompressError: it is neither.
    """
    if engine not in ("edgezoo", "tfmot"):
        raise CompressError(f"engine={engine!r} is neither 'edgezoo' nor 'tfmot'")
    return engine == "tfmot"


def only(**left_alone: bool) -> None:
    """Refuse the arguments, by name, that were given and that TFMOT has nothing for."""
    given = [f"{name}=" for name, untouched in left_alone.items() if not untouched]
    if given:
        raise CompressError(f"TFMOT has nothing for {', '.join(given)}; leave it out, or take engine='edgezoo'")


def is_tf_keras(model: Any) -> bool:
    """Whether it is a tf_keras model; asked without importing that."""
    return "tf_keras" in sys.modules and isinstance(model, sys.modules["tf_keras"].Model)


def is_quantize_aware(twin: Any) -> bool:
    """Whether TFMOT's `quantize_model` made it."""
    return any(hasattr(layer, "quantize_config") for layer in twin.layers)


@contextlib.contextmanager
def _refusals(model: keras.Model) -> Iterator[None]:
    """TFMOT's own refusals, which name the layer, as ours."""
    try:
        yield
    # TFMOT has no class of its own for its refusals: these are all that it raises for a layer or a model.
    except (ValueError, RuntimeError, TypeError, AttributeError, NotImplementedError) as error:
        raise CompressError(f"TFMOT cannot take model {model.name!r}: {first_line(error)}") from error
