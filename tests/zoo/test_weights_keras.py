"""Official files of keras.applications: the same format, random numbers, the same outputs."""

import dataclasses

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

import zoo
from zoo.weights import load


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture
def precise(name):
    """The hard gates of MobileNetV3 multiply the rounding of float32: there, float64 tells what is the same."""
    keras.config.set_dtype_policy("float64" if "v3_" in name else "float32")
    yield
    keras.config.set_dtype_policy("float32")


def save_official(model, path):
    """As the files of keras.applications are: a group a layer, their names as attributes."""
    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)


def same(ours, theirs, run, channels=3, theirs_reads=lambda x: x):
    images = np.random.default_rng(1).standard_normal((2, *ours.input_shape[1:3], channels)).astype("float32")
    expected = run(theirs, theirs_reads(images))
    assert np.ptp(expected[0] - expected[1]) > 1e-2 * np.ptp(expected), "the picture must matter"
    np.testing.assert_allclose(run(ours, images), expected, atol=1e-5 * np.abs(expected).max())


apps = keras.applications
MODELS = [
    ("resnet50", apps.ResNet50, {}, 64),
    slow("resnet50v2", apps.ResNet50V2, {}, 64),
    slow("resnet101", apps.ResNet101, {}, 64),
    slow("resnet101v2", apps.ResNet101V2, {}, 64),
    slow("resnet152", apps.ResNet152, {}, 64),
    slow("resnet152v2", apps.ResNet152V2, {}, 64),
    slow("inception_v3", apps.InceptionV3, {}, 96),
    slow("inception_resnet_v2", apps.InceptionResNetV2, {}, 96),
    ("mobilenet_v1_025", apps.MobileNet, {"alpha": 0.25}, 64),
    slow("mobilenet_v1", apps.MobileNet, {}, 64),
    ("mobilenet_v2_035", apps.MobileNetV2, {"alpha": 0.35}, 64),
    slow("mobilenet_v2", apps.MobileNetV2, {}, 64),
    slow("mobilenet_v2_140", apps.MobileNetV2, {"alpha": 1.4}, 64),
    ("mobilenet_v3_small", apps.MobileNetV3Small, {"include_preprocessing": False}, 64),
    slow("mobilenet_v3_large", apps.MobileNetV3Large, {"include_preprocessing": False}, 64),
    slow(
        "mobilenet_v3_large_minimal", apps.MobileNetV3Large, {"minimalistic": True, "include_preprocessing": False}, 64
    ),
]


@pytest.mark.parametrize(("name", "reference", "options", "size"), MODELS)
def test_an_official_file_gives_the_same_outputs(name, reference, options, size, precise, scramble, run, tmp_path):
    theirs = reference(weights=None, input_shape=(size, size, 3), classes=11, classifier_activation=None, **options)
    scramble(theirs)
    save_official(theirs, tmp_path / "whole.h5")
    ours = zoo.build(name, input_shape=(size, size, 3), classes=11)
    done = load(ours, tmp_path / "whole.h5", spec=zoo.spec(name))
    same(ours, theirs, run)
    assert done.new == ()
    assert len(done.taken) == len([layer for layer in theirs.layers if layer.weights])


@pytest.mark.parametrize(("name", "reference", "options", "size"), MODELS)
def test_an_official_file_without_a_head(name, reference, options, size, precise, scramble, run, tmp_path):
    theirs = reference(weights=None, input_shape=(size, size, 3), include_top=False, pooling="avg", **options)
    scramble(theirs)
    save_official(theirs, tmp_path / "notop.h5")
    ours = zoo.build(name, input_shape=(size, size, 3), classes=4)
    before = ours.get_layer("head").get_weights()
    done = load(ours, tmp_path / "notop.h5", spec=zoo.spec(name))
    assert done.new[-1] == "head"
    np.testing.assert_array_equal(ours.get_layer("head").get_weights()[0], before[0])
    same(keras.Model(ours.input, ours.get_layer("pool").output), theirs, run)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "reference"), [("vgg16", apps.VGG16), ("vgg19", apps.VGG19)])
def test_vgg_with_its_dense_top_and_without(name, reference, scramble, run, tmp_path):
    theirs = reference(weights=None, input_shape=(32, 32, 3), classes=11, classifier_activation=None)
    scramble(theirs)
    save_official(theirs, tmp_path / "whole.h5")
    ours = zoo.build(name, input_shape=(32, 32, 3), classes=11)
    load(ours, tmp_path / "whole.h5", spec=zoo.spec(name))
    same(ours, theirs, run)
    other = zoo.build(name, input_shape=(64, 64, 3), classes=11)
    with pytest.raises(zoo.ZooError, match=r"1 of another shape: fc1/kernel .*; the features are flattened, so"):
        load(other, tmp_path / "whole.h5", spec=zoo.spec(name))
    headless = keras.Model(theirs.input, theirs.get_layer("block5_pool").output)
    save_official(headless, tmp_path / "notop.h5")
    pooled = dataclasses.replace(zoo.spec(name), top="average")
    ours = zoo.build(pooled, input_shape=(48, 64, 3), classes=2)
    assert load(ours, tmp_path / "notop.h5", spec=pooled).new == ("head",)
    theirs = reference(weights=None, input_shape=(48, 64, 3), include_top=False)
    theirs.set_weights(headless.get_weights())
    same(keras.Model(ours.input, ours.get_layer("stage5").output), theirs, run)
