"""Digits, and small networks with the structures that matter to a quantizer."""

import dataclasses
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

import compress
from compress.twin import installed

layers = keras.layers


@pytest.fixture(scope="session")
def digits():
    """1,797 images of 8x8 pixels, as `(train x, train y, test x, test y)`, values 0-1."""
    data = load_digits()
    x = (data.images[..., np.newaxis] / 16.0).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[:1200], order[1200:]
    return x[train], data.target[train], x[test], data.target[test]


def norm():
    return layers.BatchNormalization(momentum=0.9)  # few batches: the default's moving statistics would lag behind


def conv_bn_relu(x, filters, *, strides=1, kernel=3, ceiling=None):
    x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    x = norm()(x)
    return layers.ReLU(max_value=ceiling)(x)


def residual_net():
    """ResNet v1: Conv/BN/ReLU/Add, and a shortcut that pads its channels with zeros (option A)."""
    inputs = keras.Input((8, 8, 1))
    x = conv_bn_relu(inputs, 8)
    y = conv_bn_relu(x, 8)
    y = norm()(layers.Conv2D(8, 3, padding="same", use_bias=False)(y))
    x = layers.ReLU()(layers.Add()([x, y]))
    y = conv_bn_relu(x, 16, strides=2)
    y = norm()(layers.Conv2D(16, 3, padding="same", use_bias=False)(y))
    short = keras.ops.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (4, 4)))
    x = layers.ReLU()(layers.Add()([short, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(layers.Dropout(0.1)(x)), name="residual")


def preactivation_net():
    """ResNet v2: BN and ReLU come before the convolution, so that BN has nothing to fold into."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(inputs)
    for filters in (8, 8):
        y = layers.ReLU()(norm()(x))
        y = conv_bn_relu(y, filters // 2, kernel=1)
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        x = layers.Add()([x, y])
    x = layers.ReLU()(norm()(x))
    x = layers.Flatten()(layers.MaxPooling2D(2)(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x), name="preactivation")


def inverted_net():
    """MobileNetV2: expand, depthwise with explicit padding, project; ReLU6; linear residual."""
    inputs = keras.Input((8, 8, 1))
    x = conv_bn_relu(inputs, 8, ceiling=6.0)
    for strides in (1, 2):
        y = conv_bn_relu(x, 24, kernel=1, ceiling=6.0)
        if strides == 2:
            y = layers.ZeroPadding2D(((0, 1), (0, 1)))(y)
        y = layers.DepthwiseConv2D(3, strides, padding="same" if strides == 1 else "valid", use_bias=False)(y)
        y = layers.ReLU(6.0)(norm()(y))
        y = norm()(layers.Conv2D(8, 1, use_bias=False)(y))
        x = layers.Add()([x, y]) if strides == 1 else y
    x = layers.GlobalAveragePooling2D()(conv_bn_relu(x, 32, kernel=1, ceiling=6.0))
    return keras.Model(inputs, layers.Dense(10)(x), name="inverted")


NETS = {"residual": residual_net, "preactivation": preactivation_net, "inverted": inverted_net}


class Trained:
    """A float model trained on digits, and its quantization-aware copy trained on."""

    def __init__(self, name, digits):
        x, y, _, _ = digits
        keras.utils.set_random_seed(0)
        self.float = NETS[name]()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=name != "preactivation")
        self.float.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
        self.float.fit(x, y, batch_size=64, epochs=6, verbose=0)
        self.quantized = compress.quantize_aware(self.float, calibration=[x[:256]])
        self.quantized.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
        self.quantized.fit(x, y, batch_size=64, epochs=2, verbose=0)


@pytest.fixture(scope="session", params=list(NETS))
def trained(request, digits):
    return Trained(request.param, digits)


@dataclasses.dataclass(frozen=True)
class Learnt:
    """A task: what a model reads, the answer at each place (-1 where none is asked), and how it learns.

    `x` and `test_x` are arrays, or dictionaries of arrays by input.
    """

    x: object
    y: np.ndarray
    test_x: object
    test_y: np.ndarray
    epochs: int = 10
    rate: float = 3e-3
    tune: int = 1  # epochs with rounding


@pytest.fixture
def learnt():
    return Learnt


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The float model, the quantization-aware one, the file, and what they answer on held-out examples."""

    model: keras.Model
    small: keras.Model
    artifact: compress.Artifact
    accuracy: float
    small_accuracy: float
    agreement: float
    float_agreement: float


def few(x, count):
    return {name: values[:count] for name, values in x.items()} if isinstance(x, dict) else x[:count]


def run_file(artifact, x):
    lite = compress.LiteModel(artifact.path)
    assert all(port.dtype in ("int8", "int32", "int64") for port in lite.inputs)
    assert lite.output.dtype == "int8"
    if isinstance(x, dict):
        return lite.run(x)[lite.output.name]
    return lite.predict(x)


@pytest.fixture
def to_integers(tmp_path, request):
    """Train a model on a task, then with rounding, export it and compare the three on what is held out."""

    def run(model, task, *, target="cpu"):
        for layer in model._flatten_layers():
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = 0.9  # few batches
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
        steps = task.epochs * (len(task.y) // 64 + 1)
        model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(task.rate, steps)), loss)
        model.fit(task.x, task.y, batch_size=64, epochs=task.epochs, verbose=0)
        calibration = [few(task.x, 256)]
        small = compress.quantize_aware(model, calibration=calibration)
        small.compile(keras.optimizers.Adam(1e-4), loss)
        small.fit(task.x, task.y, batch_size=64, epochs=task.tune, verbose=0)
        artifact = compress.export(small, tmp_path / "m.tflite", calibration=calibration, target=target)
        asked = task.test_y >= 0
        assert asked.sum() >= 300
        exact, rounded = (each.predict(task.test_x, verbose=0).argmax(-1)[asked] for each in (model, small))
        integers, right = run_file(artifact, task.test_x).argmax(-1)[asked], task.test_y[asked]
        shares = (exact == right, rounded == right, integers == rounded, integers == exact)
        outcome = Outcome(model, small, artifact, *(float(np.mean(share)) for share in shares))
        name = request.node.callspec.id if hasattr(request.node, "callspec") else request.node.name
        print(
            f"| {name} | {outcome.accuracy:.4f} | {outcome.small_accuracy:.4f} | {outcome.agreement:.4f} "
            f"| {outcome.float_agreement:.4f} | {len(artifact.float_tensors)} |"
        )
        return outcome

    return run


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def toolkit():
    """TFMOT, imported so that `tf.keras` stays what it is for the tests that come after."""
    _, tfmot = installed()
    return tfmot
