"""The one mechanism: a layer that sees its weights through transforms."""

import inspect
from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="edgezoo")
class Compressed(keras.layers.Layer):
    """Runs `layer` with `transforms[-1](… transforms[0](weights))` in place of its weights.

    A transform is a Keras layer from `{name: tensor}` to the same: a mask (pruning), a codebook (clustering), the
    folding of a batch normalisation, a fake-quant. It may add a `bias` that `layer` itself does not have; that bias
    is then added over the last axis of the output.

    Args:
        layer: any Keras layer, built or not.
        transforms: layers over the weights, first to last.
        **kwargs: what every Keras layer takes (`name`, `trainable`, `dtype`).
    """

    def __init__(self, layer: keras.layers.Layer, transforms: Sequence[keras.layers.Layer] = (), **kwargs: Any):
        super().__init__(**kwargs)
        self.layer = layer
        self.transforms = list(transforms)
        self.supports_masking = layer.supports_masking

    def build(self, input_shape: Any) -> None:
        """Build the layer (unless it came built) and the transforms over its weights."""
        if not self.layer.built:
            self.layer.build(input_shape)
        shapes = {key: tuple(variable.shape) for key, variable in weights_of(self.layer).items()}
        for transform in self.transforms:
            if not transform.built:
                transform.build(shapes)
        self.built = True

    def seen(self, reverse: bool = False) -> dict[str, Any]:
        """The weights, by name, as the forward pass reads them; in `reverse` for a ReversibleEmbedding's."""
        weights = {key: keras.ops.convert_to_tensor(variable) for key, variable in weights_of(self.layer).items()}
        for transform in self.transforms:
            weights = transform(weights, reverse=True) if reverse and takes_reverse(transform) else transform(weights)
        return weights

    def call(self, inputs: Any, mask: Any = None, reverse: bool = False) -> Any:
        """The layer's output, with the transformed weights; `reverse` is for a ReversibleEmbedding."""
        weights, variables = self.seen(reverse), weights_of(self.layer)
        # Every variable is mapped, the untouched ones too: on JAX the inner scope hides the trainer's outer one.
        mapping = [(variable, weights[key]) for key, variable in variables.items()]
        more = {"mask": mask} if mask is not None and self.layer._call_has_mask_arg else {}
        if reverse:
            more["reverse"] = True
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            outputs = self.layer(inputs, **more)
        if scope.losses:  # of the activity; as new tensors, for what is inside knows the old ones by their ids
            self.add_loss([loss + 0.0 for loss in scope.losses])
        if "bias" in weights and "bias" not in variables:
            outputs = outputs + weights["bias"]
        return outputs

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """As the layer's own."""
        return self.layer.compute_mask(inputs, previous_mask)

    def compute_output_spec(self, inputs: Any, mask: Any = None, reverse: bool = False) -> Any:
        """As the layer's own."""
        if reverse:
            return self.layer.compute_output_spec(inputs, reverse=True)
        return super().compute_output_spec(inputs, mask)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """As the layer's own."""
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The layer and transforms, serialised."""
        serialize = keras.saving.serialize_keras_object
        parts = {"layer": serialize(self.layer), "transforms": [serialize(t) for t in self.transforms]}
        return {**super().get_config(), **parts}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Compressed":
        """Inverse of `get_config`."""
        config = dict(config)
        layer = keras.saving.deserialize_keras_object(config.pop("layer"))
        transforms = [keras.saving.deserialize_keras_object(t) for t in config.pop("transforms")]
        return cls(layer, transforms, **config)


def takes_reverse(transform: keras.layers.Layer) -> bool:
    """Whether a transform does otherwise where the layer is called in reverse."""
    return "reverse" in inspect.signature(transform.call).parameters


def weights_of(layer: keras.layers.Layer) -> dict[str, Any]:
    """The variables of a layer by name; where several have one name, by path from the layer down (`forward/kernel`)."""
    count = Counter(variable.name for variable in layer.variables)
    root = f"/{layer.name}/"
    return {
        variable.name if count[variable.name] == 1 else f"/{variable.path}".split(root, 1)[-1]: variable
        for variable in layer.variables
    }
