"""The reference models of MLPerf Tiny v1.1 (github.com/mlcommons/tiny), and the sizes of their int8 files."""

import keras
import numpy as np
import pytest
from keras import layers

import compress
import zoo

NAMES = ["mlperf_ds_cnn", "mlperf_mobilenet_v1", "mlperf_resnet8", "mlperf_autoencoder"]
# Table 1 of arXiv:2106.07597 gives 52.5, 325, 96 and 270 KB; these are the bytes of the files published with it.
PUBLISHED = dict(zip(NAMES, (53_936, 333_288, 98_496, 276_976), strict=True))
# `count_params` of the reference's Keras models, moving statistics included.
PARAMETERS = dict(zip(NAMES, (24_908, 221_794, 78_666, 269_992), strict=True))


def built(name):
    origin = zoo.FAMILIES[zoo.models.resolve(name)[0]].origin(zoo.spec(name))
    answers = {} if origin.classes is None else {"classes": origin.classes, "activation": "softmax"}
    return zoo.build(name, input_shape=origin.input_shape, **answers)


def relu(x):
    return layers.Activation("relu")(layers.BatchNormalization()(x))


def separable(x, filters, stride=1):
    x = relu(layers.DepthwiseConv2D(3, strides=stride, padding="same")(x))
    return relu(layers.Conv2D(filters, 1)(x))


def ds_cnn():
    inputs = keras.Input((49, 10, 1))
    x = relu(layers.Conv2D(64, (10, 4), strides=2, padding="same")(inputs))
    for _ in range(4):
        x = separable(x, 64)
    x = layers.Flatten()(layers.AveragePooling2D((25, 5))(x))
    return keras.Model(inputs, layers.Dense(12, activation="softmax")(x))


def mobilenet_v1():
    inputs = keras.Input((96, 96, 3))
    x = relu(layers.Conv2D(8, 3, strides=2, padding="same")(inputs))
    strides = {32: (2, 1), 64: (2, 1), 128: (2, 1, 1, 1, 1, 1), 256: (2, 1)}
    for filters, steps in {16: (1,), **strides}.items():
        for stride in steps:
            x = separable(x, filters, stride)
    x = layers.Flatten()(layers.AveragePooling2D(3)(x))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x))


def resnet8():
    inputs = keras.Input((32, 32, 3))
    x = relu(layers.Conv2D(16, 3, padding="same")(inputs))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        y = relu(layers.Conv2D(filters, 3, strides=stride, padding="same")(x))
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(y))
        if stride == 2:
            x = layers.Conv2D(filters, 1, strides=2, padding="same")(x)
        x = layers.Activation("relu")(layers.add([x, y]))
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def autoencoder():
    inputs = x = keras.Input((640,))
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = relu(layers.Dense(units)(x))
    return keras.Model(inputs, layers.Dense(640)(x))


REFERENCES = dict(zip(NAMES, (ds_cnn, mobilenet_v1, resnet8, autoencoder), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_same_numbers_in_same_numbers_out_as_the_reference(name, scramble, run):
    theirs, ours = REFERENCES[name](), built(name)
    assert theirs.count_params() == PARAMETERS[name]
    scramble(theirs)
    ours.set_weights(theirs.get_weights())
    examples = np.random.default_rng(1).standard_normal((2, *ours.input_shape[1:])).astype("float32")
    expected = run(theirs, examples)
    assert np.ptp(expected[0] - expected[1]) > 1e-3 * np.ptp(expected), "the example must matter"
    np.testing.assert_allclose(run(ours, examples), expected, atol=1e-5 * np.abs(expected).max())


def exported(model, examples, path, *, aware):
    if aware:
        return compress.export(compress.quantize_aware(model, calibration=examples), path)
    return compress.export(model, path, calibration=examples)


@pytest.mark.parametrize("name", NAMES)
def test_the_int8_file_is_full_int8_and_as_large_as_the_published_one(name, tmp_path, scramble, run):
    model = built(name)
    scramble(model)
    examples = [np.random.default_rng(n).standard_normal((8, *model.input_shape[1:])).astype("float32") for n in (0, 1)]
    # The reference's Dense layers have one scale each. After training the exporter gives them one for each unit, 24
    # bytes more; only the autoencoder has so many units that it shows. Quantization-aware models have one scale.
    aware = name == "mlperf_autoencoder"
    artifact = exported(model, examples, tmp_path / "model.tflite", aware=aware)
    assert artifact.float_tensors == ()
    assert artifact.input.dtype == artifact.output.dtype == "int8"
    assert artifact.bytes == pytest.approx(PUBLISHED[name], rel=0.05)

    answers = compress.LiteModel(artifact.path).predict(examples[0])
    expected = run(model, examples[0])
    assert np.corrcoef(answers.ravel(), expected.ravel())[0, 1] > 0.97


def test_after_training_the_autoencoder_pays_for_a_scale_for_each_unit(tmp_path, scramble):
    model = built("mlperf_autoencoder")
    scramble(model)
    examples = [np.random.default_rng(0).standard_normal((8, 640)).astype("float32")]
    sizes = [exported(model, examples, tmp_path / "model.tflite", aware=aware).bytes for aware in (False, True)]
    assert sizes[0] - sizes[1] == pytest.approx(24 * (8 * 128 + 8 + 640), rel=0.05)
