import dataclasses

import keras
import numpy as np
import pytest
from keras.src.applications import efficientnet

import zoo
from zoo.classify.efficientnet_lite import SIZES

NAMES = zoo.list_models("efficientnet_lite*")


def test_same_numbers_in_same_numbers_out_as_keras_applications(scramble, run):
    # EfficientNet-Lite0 is EfficientNetB0 with ReLU6 and without squeeze-and-excitation: Keras's builder can make it.
    rows = [{**row, "se_ratio": 0.0} for row in efficientnet.DEFAULT_BLOCKS_ARGS]
    theirs = efficientnet.EfficientNet(
        width_coefficient=1.0,
        depth_coefficient=1.0,
        default_size=75,
        activation="relu6",
        blocks_args=rows,
        weights=None,
        input_shape=(75, 70, 3),
        classes=7,
        classifier_activation=None,
    )
    # What lies behind their own normalisation of pixels.
    theirs = keras.Model(theirs.get_layer("stem_conv_pad").input, theirs.output)
    ours = zoo.build("efficientnet_lite0", input_shape=(75, 70, 3), classes=7)
    scramble(theirs)
    assert [v.shape for v in ours.weights] == [v.shape for v in theirs.weights]
    ours.set_weights(theirs.get_weights())
    images = np.random.default_rng(1).standard_normal((2, 75, 70, 3)).astype("float32")
    expected = run(theirs, images)
    assert np.ptp(expected[0] - expected[1]) > 1e-2 * np.ptp(expected), "the picture must matter"
    np.testing.assert_allclose(run(ours, images), expected, atol=1e-5 * np.abs(expected).max())


def test_the_stages_of_table_1():
    model = zoo.build("efficientnet_lite0", input_shape=(224, 224, 3), classes=1000)
    shapes = [tensor.shape[1:] for tensor in zoo.endpoints(model).values()]
    stages = [(112, 16), (56, 24), (28, 40), (14, 80), (14, 112), (7, 192), (7, 320), (7, 1280)]
    assert shapes == [(112, 112, 32), *((size, size, channels) for size, channels in stages), (1000,)]


def test_every_variant_has_the_size_it_was_trained_with():
    sizes = [zoo.families.FAMILIES["efficientnet_lite"].origin(zoo.spec(name)).input_shape for name in NAMES]
    assert sizes == [(size, size, 3) for size in (224, 240, 260, 280, 300)]
    assert len(SIZES) == len(NAMES)


def test_drop_connect_grows_with_the_block_and_drops_whole_examples(run):
    spec = dataclasses.replace(zoo.spec("efficientnet_lite0"), drop_connect=0.2, dropout=0.0)
    model = zoo.build(spec, input_shape=(32, 32, 3), classes=2)
    drops = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    # Of the sixteen blocks of table 1 those with a sum: the second and later ones of each row.
    blocks = [2, 4, 6, 7, 9, 10, 12, 13, 14]
    np.testing.assert_allclose([layer.rate for layer in drops], [0.2 * block / 16 for block in blocks])
    kept = keras.ops.convert_to_numpy(drops[-1](np.ones((400, 2, 2, 3), "float32"), training=True))
    np.testing.assert_array_equal(np.ptp(kept, axis=(1, 2, 3)), 0)
    assert 0.1 < np.mean(kept[:, 0, 0, 0] == 0) < 0.26

    plain = zoo.build(dataclasses.replace(spec, drop_connect=0.0), input_shape=(32, 32, 3), classes=2)
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in plain.layers)
    plain.set_weights(model.get_weights())
    images = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(run(model, images), run(plain, images))


@pytest.mark.parametrize(
    ("field", "value"), [("depth", 0), ("drop_connect", 1.0), ("rows", ((6, 3, 16, 1),)), ("stem", 0), ("top", 2.5)]
)
def test_an_impossible_spec_is_refused_and_names_the_field(field, value):
    with pytest.raises(zoo.ZooError, match=field):
        dataclasses.replace(zoo.spec("efficientnet_lite0"), **{field: value})
