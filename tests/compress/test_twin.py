import builtins
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import compress
from compress.twin import to_tf_keras

layers = keras.layers


def image_net(*stack):
    inputs = keras.Input((8, 8, 4))
    x = inputs
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x)


def series_net(*stack):
    return keras.Sequential([keras.Input((6, 4)), *stack])


def shared_and_nested():
    inner = keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()])
    shared = layers.Conv2D(4, 3, padding="same", activation="relu")
    inputs = keras.Input((8, 8, 4))
    x = layers.Concatenate()([shared(inputs), shared(inner(inputs))])
    return keras.Model(inputs, layers.Add()([x, layers.Multiply()([x, x])]))


NETS = {
    "convolutions": lambda: image_net(
        layers.Conv2D(6, 3, strides=2, dilation_rate=1, padding="same", groups=2, use_bias=False),
        layers.BatchNormalization(epsilon=0.1, momentum=0.5),
        layers.LeakyReLU(negative_slope=0.1),
        layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="relu6"),
        layers.SeparableConv2D(5, 3, depth_multiplier=2, padding="same", activation="swish"),
        layers.Conv2DTranspose(3, 2, strides=2),
        layers.ReLU(6.0, negative_slope=0.1, threshold=0.2),
    ),
    "shapes": lambda: image_net(
        layers.ZeroPadding2D(((0, 1), (1, 0))),
        layers.Cropping2D(((1, 0), (0, 2))),
        layers.MaxPooling2D(2, strides=1, padding="same"),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.AveragePooling2D(2),
        layers.Permute((2, 1, 3)),
        layers.Reshape((-1, 4)),
        layers.LayerNormalization(epsilon=0.01),
        layers.Flatten(),
        layers.Dense(5, kernel_regularizer=keras.regularizers.L2(0.1), activation="elu"),
        layers.Softmax(),
    ),
    "series": lambda: series_net(
        layers.Conv1D(4, 3, padding="causal"),
        layers.PReLU(),
        layers.GRU(5, return_sequences=True),
        layers.LSTM(3, return_sequences=True, go_backwards=True),
        layers.SimpleRNN(4, return_sequences=True, activation="relu"),
        layers.GlobalAveragePooling1D(keepdims=True),
    ),
    "shared and nested": shared_and_nested,
}


def shaken(model, rng):
    """No weight at a start that two layers could have in common."""
    for variable in model.variables:
        if variable.dtype.startswith("float"):
            values = rng.normal(size=variable.shape) * 0.3
            variable.assign(np.abs(values) + 0.1 if "variance" in variable.name else values)
    return model


@pytest.mark.parametrize("net", NETS)
def test_a_twin_answers_alike(net, rng):
    model = shaken(NETS[net](), rng)
    x = rng.normal(size=(3, *model.input_shape[1:])).astype(np.float32)
    twin = to_tf_keras(model)
    expected = np.asarray(model(x, training=False))
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(twin.predict_on_batch(x), expected, rtol=1e-5, atol=1e-5)


def test_it_trains_alike(rng):
    import tf_keras

    pull = keras.regularizers.L2(0.1)
    model = image_net(
        layers.Conv2D(3, 3, use_bias=False, kernel_regularizer=pull),
        layers.BatchNormalization(momentum=0.5),
        layers.Flatten(),
        layers.Dense(2, trainable=False),
    )
    twin = to_tf_keras(shaken(model, rng))
    x = rng.normal(size=(8, 8, 8, 4)).astype(np.float32)
    y = rng.normal(size=(8, *model.output_shape[1:])).astype(np.float32)
    model.compile(keras.optimizers.SGD(0.01), "mse")
    twin.compile(tf_keras.optimizers.SGD(0.01), "mse")
    before = model.get_weights()
    for _ in range(3):
        model.train_on_batch(x, y)
        twin.train_on_batch(x, y)
    assert len(before) == 7
    theirs = [weight for layer in twin.layers for weight in layer.get_weights()]
    for old, ours, other in zip(before, model.get_weights(), theirs, strict=True):
        assert np.array_equal(old, ours) == (ours.shape in [(108, 2), (2,)])  # the Dense that does not train
        # The fused normalisation of tf_keras counts n / (n - 1) into the moving variance; n is 8 * 6 * 6 here.
        np.testing.assert_allclose(other, ours, rtol=1 / 250, atol=1e-5)


def test_what_tf_keras_lacks_is_named():
    class Own(layers.Layer):
        def call(self, x):
            return x

    inputs = keras.Input((4,))
    for layer, reason in (
        (Own(name="mine"), "Own is no layer of tf_keras"),
        (layers.RMSNormalization(name="mine"), "RMSNormalization is no layer"),
        (layers.Dense(3, activation="hard_sigmoid", name="mine"), "is another one"),
        (layers.Dense(3, activation="hard_silu", name="mine"), "no activation 'hard_silu'"),
        (layers.Dense(3, lora_rank=2, name="mine"), "lora_rank"),
    ):
        with pytest.raises(compress.CompressError, match=f"layer 'mine'.*{reason}"):
            to_tf_keras(keras.Model(inputs, layer(inputs)))
    with pytest.raises(compress.CompressError, match="Sin is no layer"):
        to_tf_keras(keras.Model(inputs, keras.ops.sin(inputs)))


def test_a_missing_tfmot_names_the_extra(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("tensorflow_model_optimization"):
            raise ImportError("No module named 'tensorflow_model_optimization'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    inputs = keras.Input((4,))
    with pytest.raises(compress.CompressError, match=r"edgezoo\[tfmot\]"):
        to_tf_keras(keras.Model(inputs, layers.Dense(2)(inputs)))


def test_the_environment_stays_as_it_was(monkeypatch):
    inputs = keras.Input((4,))
    for value in (None, "0"):
        monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
        if value is not None:
            monkeypatch.setenv("TF_USE_LEGACY_KERAS", value)
        to_tf_keras(keras.Model(inputs, layers.Dense(2)(inputs)))
        assert os.environ.get("TF_USE_LEGACY_KERAS") == value


TFMOT_CAME_FIRST = """
import tensorflow_model_optimization
import keras
import numpy as np
from compress.twin import to_tf_keras

model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
x = np.ones((3, 4), np.float32)
np.testing.assert_allclose(to_tf_keras(model).predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5)
"""


def test_tfmot_may_have_been_imported_before():
    """It turns TF_USE_LEGACY_KERAS on, so that `tf.keras` is tf_keras, if nobody used it before."""
    run = subprocess.run([sys.executable, "-c", TFMOT_CAME_FIRST], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
