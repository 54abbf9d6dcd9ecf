import keras
import numpy as np
import pytest


@pytest.fixture
def scramble():
    """Gives every weight a random value, biases and moving statistics too, so that no difference stays hidden."""

    def scramble(model: keras.Model, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        for layer in model.layers:
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            for variable in layer.variables:
                shape = variable.shape
                if variable.name == "kernel":
                    inputs = np.prod(shape[:2] if depthwise else shape[:-1])
                    variable.assign(rng.normal(0, np.sqrt(2 / inputs), shape))
                elif variable.name in ("gamma", "moving_variance"):
                    variable.assign(rng.uniform(0.5, 1.5, shape))
                else:
                    variable.assign(rng.normal(0, 0.1, shape))

    return scramble


@pytest.fixture
def run():
    """Outputs of a model as numpy arrays; eagerly, for compiling a graph takes longer than running it once."""
    return lambda model, images: keras.tree.map_structure(keras.ops.convert_to_numpy, model(images, training=False))
