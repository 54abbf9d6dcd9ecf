"""Files for the Edge TPU are integers throughout and of its operators; what is not is named with its layer."""

import keras
import numpy as np
import pytest

import compress

layers = keras.layers


def model_of(*chain, shape=(8, 8, 3)):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    x = inputs
    for layer in chain:
        x = layer(x)
    return keras.Model(inputs, x, name="network")


def exported(model, tmp_path, **options):
    x = np.random.default_rng(0).normal(size=(16, *model.input_shape[1:])).astype(np.float32)
    return compress.export(model, tmp_path / "m.tflite", calibration=[x], target="edgetpu", **options)


@keras.saving.register_keras_serializable(package="edgezoo_tests")
class Ripple(layers.Layer):
    """An operation that stays float in an int8 file, and that the Edge TPU lacks."""

    def call(self, inputs):
        return keras.ops.cos(inputs)


def test_a_classifier_passes(tmp_path):
    model = model_of(
        layers.Conv2D(4, 3, activation="relu"),
        layers.DepthwiseConv2D(3, dilation_rate=2),
        layers.MaxPooling2D(),
        layers.PReLU(shared_axes=[1, 2]),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    )
    artifact = exported(model, tmp_path)
    assert artifact.target == "edgetpu" and artifact.float_tensors == ()
    assert (artifact.input.dtype, artifact.output.dtype) == ("int8", "int8")


def test_a_float_island_is_refused_by_name(tmp_path):
    model = model_of(layers.Dense(4), Ripple(name="ripple"), layers.Dense(2), shape=(6,))
    with pytest.raises(compress.CompressError, match=r"layer 'ripple': the Edge TPU has no operator COS"):
        exported(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_each_limit_of_the_table_is_told_with_the_layer_that_exceeds_it(tmp_path):
    model = model_of(
        layers.DepthwiseConv2D(2, dilation_rate=(1, 2), name="dilated"),
        layers.LeakyReLU(name="leaky"),
        layers.PReLU(alpha_initializer="random_uniform", name="everywhere"),
        layers.Dense(3, name="pixelwise"),
        layers.Softmax(name="scores"),
    )
    with pytest.raises(compress.CompressError) as told:
        exported(model, tmp_path)
    assert [line.split(" (")[0] for line in str(told.value).split("; layer ")] == [
        "layer 'dilated': DEPTHWISE_CONV_2D dilates height and width differently",
        "'leaky': the Edge TPU has no operator LEAKY_RELU",
        "'everywhere': PRELU has slopes of more than the channels",
        "'pixelwise': FULLY_CONNECTED gives",
        "'scores': SOFTMAX gives",
    ]


def test_values_that_are_skipped_are_refused(tmp_path):
    inputs = keras.Input((8, 8, 3))
    with pytest.raises(compress.CompressError, match="no STRIDED_SLICE that skips values"):
        exported(keras.Model(inputs, layers.Conv2D(2, 1)(inputs[:, ::2, ::2])), tmp_path)


def test_kernels_of_four_bits_are_refused(tmp_path):
    model = model_of(layers.Conv2D(4, 3, name="conv"))
    small = compress.quantize_aware(model, calibration=[np.ones((4, 8, 8, 3), "float32")], bits=4)
    with pytest.raises(compress.CompressError, match=r"'conv': CONV_2D has a kernel of 4 bits"):
        exported(small, tmp_path)
