"""A model traced into a flat graph, over fresh float32 copies of its layers.

This is what the rewriting passes work on: nested models are inlined, `mixed_float16` becomes float32, and the
user's model is left alone.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import keras

from compress.carry import carried
from compress.compose import opened
from compress.expand import expand, is_elementwise, is_long
from compress.functional import functional, has_graph, open_model, with_graph
from compress.graph import (
    Chain,
    Graph,
    Node,
    copy_operation,
    float32_layers,
    input_like,
    is_half,
    positional,
    run_chain,
)
from compress.kinds import core
from compress.pixels import numbers


@dataclass
class _Tracer:
    look_inside: bool = False
    simpler: bool = True
    depth: int = 0
    """How many layers deep it looks inside: what is there is called after them."""
    copies: dict[int, tuple[Any, Chain]] = field(default_factory=dict)
    """The copies of each operation, by its id; with the operation, whose id another would have once it is gone."""
    names: set[str] = field(default_factory=set)
    nodes: list[Node] = field(default_factory=list)
    images: dict[int, keras.KerasTensor] = field(default_factory=dict)
    """For each series tensor, by id, the image of height 1 that it was reshaped from."""

    def run(self, model: Any, inputs: Any, *, prefix: str) -> Any:
        """Call every layer of `model` on `inputs` as a copy, noting each call."""

        def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(operation, keras.Model):
                if not has_graph(operation):
                    inside = open_model(operation, args, kwargs)
                    outputs = self.run(inside.function, inside.tensors, prefix=f"{prefix}{operation.name}_")
                    return inside.with_masks(outputs)
                # A `training=False` here is no loss: Keras itself overrides it when the outer model trains.
                return self.run(functional(operation), args[0], prefix=f"{prefix}{operation.name}_")
            args, kwargs = positional(operation, args, kwargs)
            chain = self.copy(operation, prefix)
            if self.simpler and is_long(operation, args):
                return self.pair_up(chain[-1][0], *args)
            for layer, weights in chain:
                outputs = self.apply(layer, weights, args, kwargs, prefix)
                args, kwargs = (outputs,), {}
            return outputs

        return model._run_through_graph(inputs, operation_fn=lambda operation: operation, call_fn=call)

    def apply(self, layer: Any, weights: list[Any], args: tuple, kwargs: dict[str, Any], prefix: str) -> Any:
        """Call one layer of a chain, or what it is composed of."""
        inside = opened(layer, weights, args, kwargs) if self.look_inside else None
        if inside is None:
            return run_chain([(layer, weights)], args, kwargs, call=self.emit)
        self.depth += 1
        outputs = self.run(inside.function, inside.tensors, prefix=f"{layer.name}_")
        self.depth -= 1
        return inside.with_masks(outputs)

    def copy(self, operation: Any, prefix: str) -> Chain:
        """The chain of layers that stands for `operation`, the same for each call of a shared layer."""
        if id(operation) not in self.copies:
            inner = core(operation) if self.look_inside else operation
            chain = (self.simpler and expand(inner)) or [(inner, list(getattr(inner, "get_weights", list)()))]
            if inner is not operation:
                chain = [carried(operation, *part) for part in chain]
            chain = [(self.rename(layer, prefix), weights) for layer, weights in chain]
            self.copies[id(operation)] = operation, chain
        return self.copies[id(operation)][1]

    def rename(self, operation: Any, prefix: str) -> Any:
        """A copy whose name no other layer has: layers of two nested models may be called alike."""
        name = prefix + operation.name if operation.name in self.names or self.depth else operation.name
        while name in self.names:
            name += "_"
        self.names.add(name)
        return copy_operation(operation, name=name)

    def pair_up(self, layer: Any, terms: list[Any]) -> Any:
        """A sum of many as sums of two: the runtime's ADD takes two, and each needs a range."""
        first, *middle, last = terms
        for term in middle:
            first = self.emit(self.rename(layer, f"{layer.name}_part_"), ([first, term],), {})
        return self.emit(layer, ([first, last],), {})

    def emit(self, operation: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Call and note it; a series that came out of an image goes on as that image, where that is the same."""
        image = self.images.get(id(args[0])) if len(args) == 1 else None
        if type(operation) is keras.layers.Reshape and image is not None:
            if operation.compute_output_shape(args[0].shape) == image.shape:
                return image
        elif image is not None and is_elementwise(operation):
            outputs = self.emit(operation, (image,), {})  # a mask is of the series, and no image fits it
            back = keras.layers.Reshape((-1, image.shape[-1]), name=f"{operation.name}_as_series")
            return self.emit(back, (outputs,), {})
        if type(operation).__name__ == "Cast" and args[0].dtype == operation.dtype:
            return args[0]
        outputs = operation(*args, **kwargs)
        self.nodes.append(Node(operation, args, kwargs, tuple(keras.tree.flatten(outputs))))
        squeezes = self.simpler and type(operation) is keras.layers.Reshape and args[0].shape[1] == 1
        if squeezes and outputs.shape[1:] == args[0].shape[2:]:
            self.images[id(outputs)] = args[0]
        return outputs

    def live(self, outputs: Any) -> tuple[Node, ...]:
        """The calls that the outputs depend on, in order."""
        wanted = {id(tensor) for tensor in keras.tree.flatten(outputs)}
        kept = []
        for node in reversed(self.nodes):
            if any(id(tensor) in wanted for tensor in node.outputs):
                kept.append(node)
                wanted.update(id(tensor) for tensor in node.inputs)
        return tuple(reversed(kept))


@float32_layers()
def trace(
    model: keras.Model, *, simpler: bool = True, look_inside: bool = False, pixels_as_floats: bool = False
) -> Graph:
    """Copy `model` into a flat float32 graph that computes the same.

    Args:
        model: see `compress.functional.functional`.
        simpler: whether layers that have a simpler equivalent are replaced by it (see `compress.expand`); else they
            stay the user's own, and only nested models are inlined.
        look_inside: replace layers that are composed of others and of `keras.ops` by those (see `compress.compose`).
        pixels_as_floats: whether inputs of whole numbers that are no tokens become inputs of float32, which a file can
            store as int8 with a scale.

    Raises:
        CompressError: the model has no graph: see `compress.functional.functional`.
    """
    source = functional(model)

    def traced(floats: Collection[str]) -> Graph:
        inputs = keras.tree.map_structure(lambda tensor: input_like(tensor, floats), source._inputs_struct)
        tracer = _Tracer(look_inside, simpler)
        outputs = tracer.run(source, inputs, prefix="")
        return Graph(model.name, inputs, outputs, tracer.live(outputs), model.trainable)

    graph = traced(())
    pixels = numbers(graph) if pixels_as_floats else ()
    return traced(pixels) if pixels else graph


@float32_layers()
def float32(model: keras.Model) -> keras.Model:
    """The model itself when it computes in float32 throughout and has a graph, else a float32 copy.

    Raises:
        CompressError: it has no graph.
    """
    model = with_graph(model)
    if not any(is_half(layer.compute_dtype) for layer in model._flatten_layers(include_self=False)):
        return model
    graph = trace(model)
    return keras.Model(graph.inputs, graph.outputs, name=graph.name)


@float32_layers()
def without_classes(model: keras.Model) -> keras.Model:
    """The model itself, or a flat copy where a subclassed model is in it.

    Raises:
        CompressError: it has no graph.
    """
    inside = model._flatten_layers(include_self=False)
    if not any(isinstance(layer, keras.Model) and not has_graph(layer) for layer in inside):
        return model
    graph = trace(model, simpler=False)
    return keras.Model(graph.inputs, graph.outputs, name=graph.name)


@float32_layers()
def with_float_pixels(model: keras.Model) -> keras.Model:
    """The model itself, or a copy that takes as float32 what it takes as whole numbers and computes with.

    Raises:
        CompressError: it has no graph.
    """
    if not any(keras.backend.is_int_dtype(tensor.dtype) for tensor in model.inputs):
        return model
    graph = trace(model, simpler=False, pixels_as_floats=True)
    if [tensor.dtype for tensor in keras.tree.flatten(graph.inputs)] == [tensor.dtype for tensor in model.inputs]:
        return model
    return keras.Model(graph.inputs, graph.outputs, name=graph.name)
