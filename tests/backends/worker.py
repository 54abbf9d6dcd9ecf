"""Run by `test_backends.py` in a process of its own, since Keras takes its backend when it is imported.

Reads cases as JSON from its input; for each, builds the model, gives it the weights that numpy draws, and writes to
the folder of its first argument what the model did, as NAME.npz.
"""

import dataclasses
import json
import sys
from pathlib import Path

import keras
import numpy as np

import zoo


def weights(model, seed=0):
    """Draw every weight, moving statistics too."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        shape = variable.shape
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, shape))
        elif len(shape) > 1:
            variable.assign(rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape))
        elif "seed" not in variable.path:
            variable.assign(rng.normal(0, 0.1, shape))


def drawn(model, spec):
    """Four examples: numbers, or tokens that are no padding; a list where the model has several inputs."""
    rng = np.random.default_rng(1)
    made = [
        rng.integers(1, spec.vocabulary, (4, *tensor.shape[1:])).astype("int32")
        if tensor.dtype == "int32"
        else rng.standard_normal((4, *tensor.shape[1:])).astype("float32")
        for tensor in model.inputs
    ]
    return made if len(made) > 1 else made[0]


def after_the_head_trained(model, examples, targets, loss):
    """The layers that moved."""
    zoo.train_from(model, "head")
    before = {layer.name: layer.get_weights() for layer in model.layers}
    model.compile(keras.optimizers.SGD(1e-3), loss)
    model.train_on_batch(examples, targets)
    return [
        layer.name
        for layer in model.layers
        if any(not np.array_equal(a, b) for a, b in zip(before[layer.name], layer.get_weights(), strict=True))
    ]


def run(case, folder):
    """Everything that one model is asked."""
    spec = zoo.spec(case["name"])
    changes = {key: tuple(value) if isinstance(value, list) else value for key, value in case["changes"].items()}
    spec = dataclasses.replace(spec, **changes)
    shape, classes = tuple(case["input_shape"]), case["classes"]
    model = zoo.build(spec, input_shape=shape, classes=classes)
    weights(model)
    examples = drawn(model, spec)
    predicted = model.predict_on_batch(examples)
    endpoints = list(zoo.endpoints(model))

    path = folder / f"{case['name']}.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    reloaded = loaded.predict_on_batch(examples)

    task = zoo.card(spec, input_shape=shape, classes=classes).task
    if task == "anomaly":
        loss, targets = "mse", examples
    elif task == "embed":
        loss, targets = keras.losses.BinaryCrossentropy(from_logits=True), np.eye(4, shape[1], dtype="float32")
    else:
        loss, count = keras.losses.SparseCategoricalCrossentropy(from_logits=True), model.output_shape[-1]
        targets = np.arange(4 * int(np.prod(model.output_shape[1:-1]))).reshape(4, *model.output_shape[1:-1]) % count
    # Without dropout, and from the weights of above, every backend takes the same steps.
    still = {field.name: 0.0 for field in dataclasses.fields(spec) if "drop" in field.name}
    fresh = zoo.build(dataclasses.replace(spec, **still), input_shape=shape, classes=classes)
    weights(fresh)
    fresh.compile(zoo.layerwise(keras.optimizers.Adam(1e-4), fresh, 0.9), loss)
    losses = [float(fresh.train_on_batch(examples, targets)) for _ in range(6)]

    head = [layer.name for layer in zoo.stages(fresh)["head"] if layer.weights]
    np.savez(
        folder / f"{case['name']}.npz",
        predicted=predicted,
        reloaded=reloaded,
        losses=losses,
        moved=after_the_head_trained(fresh, examples, targets, loss) if head else [],
        head=head,
        endpoints=endpoints,
        backend=keras.backend.backend(),
    )


if __name__ == "__main__":
    for case in json.loads(sys.stdin.read()):
        run(case, Path(sys.argv[1]))
