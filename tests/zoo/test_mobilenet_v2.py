import dataclasses

import keras
import numpy as np
import pytest

import zoo

VARIANTS = [(name, zoo.spec(name).width) for name in zoo.list_models("mobilenet_v2*")]


def build_both(name, alpha, size, classes):
    theirs = keras.applications.MobileNetV2(
        weights=None, alpha=alpha, input_shape=(size, size, 3), classes=classes, classifier_activation=None
    )
    return theirs, zoo.build(name, input_shape=(size, size, 3), classes=classes)


@pytest.mark.parametrize(("name", "alpha"), VARIANTS)
def test_the_weights_of_keras_applications(name, alpha):
    theirs, ours = build_both(name, alpha, 32, 1000)
    assert [v.shape for v in ours.variables] == [v.shape for v in theirs.variables]


@pytest.mark.parametrize(("name", "alpha"), [("mobilenet_v2", 1.0), ("mobilenet_v2_035", 0.35)])
@pytest.mark.parametrize("size", [64, 75])
def test_same_numbers_in_same_numbers_out_as_keras_applications(name, alpha, size, scramble, run):
    theirs, ours = build_both(name, alpha, size, 7)
    scramble(theirs)
    ours.set_weights(theirs.get_weights())
    images = np.random.default_rng(1).standard_normal((2, size, size, 3)).astype("float32")
    expected = run(theirs, images)
    assert np.ptp(expected[0] - expected[1]) > 1e-2 * np.ptp(expected), "the picture must matter"
    np.testing.assert_allclose(run(ours, images), expected, atol=1e-5 * np.abs(expected).max())


def test_the_rows_of_table_2():
    model = zoo.build("mobilenet_v2", input_shape=(224, 224, 3), classes=1000)
    shapes = [tensor.shape[1:] for tensor in zoo.endpoints(model).values()]
    assert shapes == [
        (112, 112, 32),
        (112, 112, 16),
        (56, 56, 24),
        (28, 28, 32),
        (14, 14, 64),
        (14, 14, 96),
        (7, 7, 160),
        (7, 7, 320),
        (7, 7, 1280),
        (1000,),
    ]


def test_other_rows_build():
    rows = [[1, 8, 1, 1], [4, 16, 2, 2]]
    spec = dataclasses.replace(zoo.spec("mobilenet_v2"), rows=rows, top=64)
    features = zoo.endpoints(zoo.build(spec, input_shape=(8, 8, 1), classes=2))
    assert {name: tensor.shape[1:] for name, tensor in features.items()} == {
        "stem": (4, 4, 32),
        "stage1": (4, 4, 8),
        "stage2": (2, 2, 16),
        "stage3": (2, 2, 64),
        "head": (2,),
    }


def test_depthwise_kernels_keep_the_scale_of_what_they_filter():
    keras.utils.set_random_seed(0)
    model = zoo.build("mobilenet_v2", input_shape=(64, 64, 3), classes=2)
    deviations = [
        float(np.std(layer.kernel)) for layer in model.layers if isinstance(layer, keras.layers.DepthwiseConv2D)
    ]
    # He: the variance is 2 over the nine numbers that one output reads, however many channels there are.
    np.testing.assert_allclose(deviations, np.sqrt(2 / 9), rtol=0.15)


def test_centred_padding_is_that_of_tensorflow_at_odd_sizes_only(scramble, run):
    same = zoo.spec("mobilenet_v2_035")
    centred = dataclasses.replace(same, padding="centred")
    # 65, 33, 17, 9, 5, 3: at each stride `same` too pads one pixel on every side.
    for size, equal in ((65, True), (64, False)):
        models = [zoo.build(spec, input_shape=(size, size, 3), classes=4) for spec in (same, centred)]
        scramble(models[0])
        models[1].set_weights(models[0].get_weights())
        images = np.random.default_rng(1).standard_normal((2, size, size, 3)).astype("float32")
        left, right = (run(model, images) for model in models)
        assert np.allclose(left, right, atol=1e-5 * np.abs(left).max()) == equal


def test_centred_padding_written_out_in_numpy(scramble, run):
    spec = dataclasses.replace(zoo.spec("mobilenet_v2_035"), padding="centred", rows=((1, 8, 1, 2),), epsilon=1e-5)
    model = zoo.build(spec, input_shape=(12, 8, 3), classes=2)
    scramble(model)
    images = np.random.default_rng(1).standard_normal((2, 12, 8, 3)).astype("float32")
    features = [model.get_layer(name).output for name in ("stem", "stage1_block1_depthwise_relu")]
    stem, filtered = run(keras.Model(model.input, features), images)

    def windows(x):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2]

    def norm_relu6(x, name):
        gamma, beta, mean, variance = model.get_layer(name).get_weights()
        return np.clip(gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta, 0, 6)

    expected = np.einsum("bhwcij,ijcf->bhwf", windows(images), model.get_layer("stem_conv").get_weights()[0])
    np.testing.assert_allclose(stem, norm_relu6(expected, "stem_norm"), atol=1e-5)
    kernel = model.get_layer("stage1_block1_depthwise").get_weights()[0][..., 0]
    expected = np.einsum("bhwcij,ijc->bhwc", windows(stem), kernel)
    np.testing.assert_allclose(filtered, norm_relu6(expected, "stage1_block1_depthwise_norm"), atol=1e-5)


def test_an_impossible_padding_or_epsilon_is_refused():
    for field, value in (("padding", "corner"), ("epsilon", 0.0)):
        with pytest.raises(zoo.ZooError, match=field):
            dataclasses.replace(zoo.spec("mobilenet_v2"), **{field: value})
