"""Networks of `keras.applications` that the zoo has not, whole, trained on digits, to files of integers."""

import keras
import pytest

import compress

layers = keras.layers
# For each the brightest pixel (some normalise by themselves), the epochs and the rate.
NETWORKS = {
    "ConvNeXtTiny": (255, 15, 1e-3),
    "DenseNet121": (1, 15, 3e-3),
    "EfficientNetB0": (255, 30, 3e-3),
    "EfficientNetV2B0": (255, 30, 3e-3),
    "NASNetMobile": (1, 20, 3e-3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_becomes_a_file_of_integers(name, digits, learnt, to_integers):
    brightest, epochs, rate = NETWORKS[name]
    x, y, test_x, test_y = digits
    x, test_x = (brightest * images.repeat(4, 1).repeat(4, 2).repeat(3, 3) for images in (x, test_x))
    keras.utils.set_random_seed(0)
    network = getattr(keras.applications, name)
    whole = network(weights=None, include_top=False, pooling="avg", input_shape=(32, 32, 3))
    model = keras.Model(whole.input, layers.Dense(10)(whole.output), name=name.lower())
    outcome = to_integers(model, learnt(x, y, test_x, test_y, epochs, rate))
    assert compress.report(outcome.small).float_layers == ()
    assert outcome.artifact.float_tensors == ()
    assert outcome.accuracy > 0.9
    assert outcome.agreement >= 0.99
    assert outcome.float_agreement >= 0.97
