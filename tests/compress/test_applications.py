"""Networks of `keras.applications` that the zoo has not, trained on digits, to files of integers."""

import keras
import pytest

import compress

# For each, the size of its images, the brightest pixel (some normalise by themselves), the epochs and the rate.
NETWORKS = {
    "ConvNeXtTiny": (32, 255, 6, 1e-3),
    "DenseNet121": (32, 1, 10, 3e-3),
    "EfficientNetB0": (32, 255, 14, 3e-3),
    "EfficientNetV2B0": (32, 255, 14, 3e-3),
    "NASNetMobile": (32, 1, 8, 3e-3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_becomes_a_file_of_integers(name, digits, learnt, to_integers):
    size, brightest, epochs, rate = NETWORKS[name]
    x, y, test_x, test_y = digits
    x, test_x = (brightest * images.repeat(size // 8, 1).repeat(size // 8, 2).repeat(3, 3) for images in (x, test_x))
    keras.utils.set_random_seed(0)
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None)
    outcome = to_integers(model, learnt(x, y, test_x, test_y, epochs, rate))
    assert compress.report(outcome.small).float_layers == ()
    assert outcome.artifact.float_tensors == ()
    assert outcome.accuracy > 0.9
    assert outcome.agreement >= 0.99
    assert outcome.float_agreement >= 0.97
