"""Networks of `keras.applications` that the zoo has not, trained on digits, to files of integers.

Each as far as its images are 4x4 or 2x2, and then a head: the rest repeats what came before, and 1,200 digits would be
learnt by heart.
"""

import keras
import pytest

import compress

layers = keras.layers
# For each, its last layer, the brightest pixel (some normalise by themselves), the epochs and the rate.
NETWORKS = {
    "ConvNeXtTiny": ("convnext_tiny_downsampling_block_1", 255, 10, 1e-3),
    "DenseNet121": ("conv3_block4_concat", 1, 8, 3e-3),
    "EfficientNetB0": ("block3b_add", 255, 12, 3e-3),
    "EfficientNetV2B0": ("block4c_add", 255, 12, 3e-3),
    "NASNetMobile": ("normal_concat_1", 1, 8, 3e-3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_becomes_a_file_of_integers(name, digits, learnt, to_integers):
    end, brightest, epochs, rate = NETWORKS[name]
    x, y, test_x, test_y = digits
    x, test_x = (brightest * images.repeat(4, 1).repeat(4, 2).repeat(3, 3) for images in (x, test_x))
    keras.utils.set_random_seed(0)
    whole = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(32, 32, 3))
    features = layers.GlobalAveragePooling2D()(whole.get_layer(end).output)
    model = keras.Model(whole.input, layers.Dense(10)(features), name=name.lower())
    outcome = to_integers(model, learnt(x, y, test_x, test_y, epochs, rate))
    assert compress.report(outcome.small).float_layers == ()
    assert outcome.artifact.float_tensors == ()
    assert outcome.accuracy > 0.9
    assert outcome.agreement >= 0.99
    assert outcome.float_agreement >= 0.97
