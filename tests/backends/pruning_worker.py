"""Run by test_pruning.py, once a backend: the backend is chosen by KERAS_BACKEND before Keras is imported.

Prunes and clusters a small model, trains, saves and loads it, and writes what came out to the file of its first
argument, as .npz.
"""

import sys
from pathlib import Path

import keras
import numpy as np

import compress

layers = keras.layers


def built():
    """A convolution, a shared layer, and weights that numpy draws."""
    inputs = keras.Input((6, 6, 4))
    x = layers.Conv2D(8, 3, activation="relu", name="conv")(inputs)
    shared = layers.Dense(8, name="shared")
    x = shared(layers.ReLU()(shared(x)))
    model = keras.Model(inputs, layers.Dense(3, name="head")(layers.Flatten()(x)))
    rng = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(rng.normal(0, 0.2, variable.shape))
    return model


def trained(model, steps):
    """The model after some steps on the same batch, and the losses."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(8, 6, 6, 4)).astype("float32"), rng.integers(0, 3, 8)
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return [float(model.train_on_batch(x, y)) for _ in range(steps)], x


def main(path):
    """Everything that a backend is asked."""
    answer = {"backend": keras.backend.backend()}
    schedule = compress.Polynomial(0.0, 0.75, end=6, every=2)
    for pattern in ("unstructured", "2:4", "2x2"):
        model = compress.prune(built(), schedule=schedule, pattern=pattern)
        losses, x = trained(model, 6)
        masks = [np.array(model.get_layer(name).transforms[0].mask) for name in ("conv", "shared", "head")]
        answer |= {f"{pattern} losses": losses} | {f"{pattern} mask {i}": mask for i, mask in enumerate(masks)}
    for per_channel in (False, True):
        both = compress.cluster(compress.prune(built(), 0.5), 6, per_channel=per_channel)
        losses, x = trained(both, 6)
        kernel = keras.ops.convert_to_numpy(both.get_layer("conv").seen()["kernel"])
        answer |= {f"clustered losses {per_channel}": losses, f"clustered kernel {per_channel}": kernel}
        predicted = both.predict_on_batch(x)
        file = path.with_suffix(".keras")
        both.save(file)
        answer[f"difference {per_channel}"] = keras.models.load_model(file).predict_on_batch(x) - predicted
        plain = compress.strip(both).predict_on_batch(x)
        answer[f"stripped {per_channel}"] = np.abs(plain - predicted).max() / np.abs(predicted).max()
    np.savez(path, **answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
