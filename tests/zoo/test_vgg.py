import dataclasses

import keras
import numpy as np
import pytest

import compress
import zoo


def pictures(shape, count=2):
    return np.random.default_rng(1).standard_normal((count, *shape)).astype("float32")


def compare(theirs, ours, shape, scramble, run):
    scramble(theirs)
    assert [v.shape for v in ours.weights] == [v.shape for v in theirs.weights]
    ours.set_weights(theirs.get_weights())
    expected = run(theirs, pictures(shape))
    assert np.ptp(expected[0] - expected[1]) > 1e-2 * np.ptp(expected), "the picture must matter"
    np.testing.assert_allclose(run(ours, pictures(shape)), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "reference"), [("vgg16", keras.applications.VGG16), ("vgg19", keras.applications.VGG19)]
)
def test_same_numbers_in_same_numbers_out_as_keras_applications(name, reference, scramble, run):
    shape = (45, 64, 3)
    theirs = reference(weights=None, input_shape=shape, classes=7, classifier_activation=None)
    compare(theirs, zoo.build(name, input_shape=shape, classes=7), shape, scramble, run)


@pytest.mark.parametrize(
    ("name", "reference"), [("vgg16", keras.applications.VGG16), ("vgg19", keras.applications.VGG19)]
)
def test_the_features_are_those_of_keras_applications_without_top(name, reference, scramble, run):
    shape = (64, 79, 3)
    theirs = reference(weights=None, include_top=False, input_shape=shape)
    ours = zoo.build(dataclasses.replace(zoo.spec(name), top="average"), input_shape=shape, classes=7)
    compare(theirs, keras.Model(ours.input, zoo.endpoints(ours)["stage5"]), shape, scramble, run)


def narrow(name="vgg11", **changes):
    return dataclasses.replace(zoo.spec(name), width=4, fc=(12, 8), **changes)


@pytest.mark.parametrize(("name", "layers"), [("vgg11", 11), ("vgg13", 13), ("vgg16", 16), ("vgg19", 19)])
def test_as_many_weighted_layers_as_the_name_says(name, layers):
    model = zoo.build(narrow(name), input_shape=(224, 224, 3), classes=5)
    assert sum(isinstance(x, (keras.layers.Conv2D, keras.layers.Dense)) for x in model.layers) == layers
    assert zoo.spec(name).fc == (4096, 4096)


def test_the_sizes_and_channels_of_table_1():
    model = zoo.build(narrow("vgg16"), input_shape=(224, 224, 3), classes=5)
    shapes = [tensor.shape[1:] for tensor in zoo.endpoints(model).values()]
    stages = [(112, 112, 4), (56, 56, 8), (28, 28, 16), (14, 14, 32), (7, 7, 32)]
    assert shapes == [(224, 224, 4), *stages, (5,)]


@pytest.mark.parametrize(("shape", "classes"), [((32, 32, 1), 2), ((50, 70, 3), 5)])
@pytest.mark.parametrize("top", ["dense", "average"])
def test_it_trains_and_is_saved_at_any_size(top, shape, classes, tmp_path, run):
    keras.utils.set_random_seed(0)
    model = zoo.build(narrow(top=top), input_shape=shape, classes=classes)
    assert model.output_shape == (None, classes)
    before = model.get_weights()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    model.train_on_batch(pictures(shape), np.array([0, 1]))
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert all(changed)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(loaded, pictures(shape)), run(model, pictures(shape)))


def test_the_top_is_a_choice():
    dense = zoo.build(narrow(), input_shape=(64, 64, 3), classes=3)
    assert dense.get_layer("flatten").input is zoo.endpoints(dense)["stage5"]
    assert [dense.get_layer(name).rate for name in ("fc1_dropout", "dropout")] == [0.5, 0.5]
    assert [dense.get_layer(name).units for name in ("fc1", "fc2", "head")] == [12, 8, 3]
    average = zoo.build(narrow(top="average", dropout=0.0), input_shape=(64, 64, 3), classes=3)
    assert average.get_layer("pool").input is zoo.endpoints(average)["stage5"]
    kinds = (keras.layers.Dense, keras.layers.Dropout)
    assert [layer.name for layer in average.layers if isinstance(layer, kinds)] == ["head"]


@pytest.mark.parametrize("top", ["dense", "average"])
def test_the_int8_file_is_integer_throughout_and_agrees(top, tmp_path):
    keras.utils.set_random_seed(0)
    images = pictures((32, 32, 3), 32)
    model = zoo.build(narrow(top=top), input_shape=(32, 32, 3), classes=4)
    artifact = compress.export(model, tmp_path / "m.tflite", calibration=[images])
    assert artifact.float_tensors == ()
    expected = model.predict_on_batch(images)
    difference = np.abs(compress.LiteModel(artifact.path).predict(images) - expected)
    assert difference.max() < 0.1 * np.ptp(expected)


def test_the_least_size():
    assert zoo.endpoints(zoo.build(narrow(), input_shape=(32, 32, 3), classes=2))["stage5"].shape[1:3] == (1, 1)
    with pytest.raises(zoo.ZooError, match="at least 32 x 32"):
        zoo.build(narrow(), input_shape=(32, 31, 3), classes=2)
    small = dataclasses.replace(narrow(), depths=(1, 2))
    assert zoo.endpoints(zoo.build(small, input_shape=(4, 4, 3), classes=2))["stage2"].shape[1:] == (1, 1, 8)


@pytest.mark.parametrize(
    ("field", "value"), [("width", 1.5), ("depths", ()), ("top", "flat"), ("fc", ()), ("fc", (0,)), ("dropout", 1.0)]
)
def test_an_impossible_spec_is_refused(field, value):
    with pytest.raises(zoo.ZooError, match=field):
        dataclasses.replace(zoo.spec("vgg16"), **{field: value})
