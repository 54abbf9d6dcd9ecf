import dataclasses

import keras
import numpy as np
import pytest

import zoo

VARIANTS = [(name, zoo.spec(name).width) for name in zoo.list_models("mobilenet_v1*")]


def build_both(name, alpha, size, classes):
    theirs = keras.applications.MobileNet(
        weights=None, alpha=alpha, input_shape=(size, size, 3), classes=classes, classifier_activation=None
    )
    return theirs, zoo.build(name, input_shape=(size, size, 3), classes=classes)


@pytest.mark.parametrize(("name", "alpha"), VARIANTS)
def test_the_weights_of_keras_applications(name, alpha):
    theirs, ours = build_both(name, alpha, 32, 1000)
    *features, kernel, bias = [v.shape for v in theirs.weights]
    assert [v.shape for v in ours.weights] == [*features, kernel[2:], bias]


@pytest.mark.parametrize(("name", "alpha"), [("mobilenet_v1", 1.0), ("mobilenet_v1_025", 0.25)])
@pytest.mark.parametrize("size", [64, 75])
def test_same_numbers_in_same_numbers_out_as_keras_applications(name, alpha, size, scramble, run):
    theirs, ours = build_both(name, alpha, size, 7)
    scramble(theirs)
    weights = theirs.get_weights()
    weights[-2] = weights[-2].reshape(weights[-2].shape[2:])
    ours.set_weights(weights)
    images = np.random.default_rng(1).standard_normal((2, size, size, 3)).astype("float32")
    last = f"stage{len(zoo.spec(name).rows)}"
    pairs = [(theirs.output, ours.output), (theirs.get_layer("conv_pw_13_relu").output, zoo.endpoints(ours)[last])]
    for left, right in pairs:
        expected = run(keras.Model(theirs.input, left), images)
        assert np.ptp(expected[0] - expected[1]) > 1e-2 * np.ptp(expected), "the picture must matter"
        actual = run(keras.Model(ours.input, right), images)
        np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max())


def test_the_features_without_a_top(scramble, run):
    theirs = keras.applications.MobileNet(weights=None, alpha=0.5, input_shape=(96, 64, 3), include_top=False)
    ours = zoo.build("mobilenet_v1_050", input_shape=(96, 64, 3), classes=2)
    ours = keras.Model(ours.input, zoo.endpoints(ours)["stage5"])
    scramble(theirs)
    ours.set_weights(theirs.get_weights())
    images = np.random.default_rng(1).standard_normal((2, 96, 64, 3)).astype("float32")
    expected = run(theirs, images)
    np.testing.assert_allclose(run(ours, images), expected, atol=1e-5 * np.abs(expected).max())


def test_the_rows_of_table_1():
    model = zoo.build("mobilenet_v1", input_shape=(224, 224, 3), classes=1000)
    shapes = [tensor.shape[1:] for tensor in zoo.endpoints(model).values()]
    stages = [(112, 64), (56, 128), (28, 256), (14, 512), (7, 1024)]
    assert shapes == [(112, 112, 32), *((size, size, channels) for size, channels in stages), (1000,)]


@pytest.mark.parametrize(
    ("field", "value"),
    [("padding", "centred"), ("activation", "swish"), ("rows", ((64, 1),)), ("stem", 0), ("bias", 1)],
)
def test_an_impossible_spec_is_refused_and_names_the_field(field, value):
    with pytest.raises(zoo.ZooError, match=field):
        dataclasses.replace(zoo.spec("mobilenet_v1"), **{field: value})
