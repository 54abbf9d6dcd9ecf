import dataclasses
import math

import keras
import numpy as np
import pytest

import compress
import zoo
from zoo.classify.alexnet import LocalResponseNormalization

NAMES = ("alexnet", "alexnet_one_tower")


def pictures(shape, count=2):
    return np.random.default_rng(1).standard_normal((count, *shape)).astype("float32")


def narrow(name="alexnet", **changes):
    return dataclasses.replace(zoo.spec(name), width=0.25, fc=(16, 8), **changes)


# Weights and biases of each layer of figure 2, where a kernel of the second, fourth and fifth convolution sees one
# tower of 48 or 192 channels; and of torchvision's `alexnet`, which publishes 61,100,840.
TWO_TOWERS = [
    96 * (11 * 11 * 3 + 1),
    256 * (5 * 5 * 48 + 1),
    384 * (3 * 3 * 256 + 1),
    384 * (3 * 3 * 192 + 1),
    256 * (3 * 3 * 192 + 1),
]
ONE_TOWER = [
    64 * (11 * 11 * 3 + 1),
    192 * (5 * 5 * 64 + 1),
    384 * (3 * 3 * 192 + 1),
    256 * (3 * 3 * 384 + 1),
    256 * (3 * 3 * 256 + 1),
]
TOP = [4096 * (6 * 6 * 256 + 1), 4096 * (4096 + 1), 1000 * (4096 + 1)]


@pytest.mark.parametrize(
    ("name", "size", "convolutions", "count"),
    [("alexnet", 227, TWO_TOWERS, 60_965_224), ("alexnet_one_tower", 224, ONE_TOWER, 61_100_840)],
)
def test_published_parameters(name, size, convolutions, count):
    spec = zoo.spec(name)
    # Its own fully connected layers would take a quarter of a gigabyte: narrow ones stand in, the rest is by hand.
    model = zoo.build(dataclasses.replace(spec, fc=(1, 1)), input_shape=(size, size, 3), classes=1000)
    found = [layer.count_params() for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert found == convolutions
    assert math.prod(model.get_layer("flatten").output.shape[1:]) == 6 * 6 * 256
    assert spec.fc == (4096, 4096)
    assert model.get_layer("head").count_params() == 2 * 1000
    assert sum(convolutions + TOP) == count


@pytest.mark.parametrize(
    ("name", "size", "shapes"),
    [
        ("alexnet", 227, [(55, 55, 96), (27, 27, 96), (13, 13, 256), (6, 6, 256)]),
        ("alexnet_one_tower", 224, [(55, 55, 64), (27, 27, 64), (13, 13, 192), (6, 6, 256)]),
    ],
)
def test_the_sizes_of_figure_2(name, size, shapes):
    spec = dataclasses.replace(zoo.spec(name), fc=(4, 4))
    model = zoo.build(spec, input_shape=(size, size, 3), classes=9)
    assert [tensor.shape[1:] for tensor in zoo.endpoints(model).values()] == [*shapes, (9,)]


def test_the_towers_do_not_see_each_other_in_the_second_convolution(scramble, run):
    for name, blind in (("alexnet", True), ("alexnet_one_tower", False)):
        model = zoo.build(narrow(name), input_shape=(67, 67, 3), classes=2)
        scramble(model)
        first = model.get_layer("stem_conv")
        second = keras.Model(model.input, model.get_layer("stage2_conv").output)
        before = run(second, pictures((67, 67, 3)))
        kernel, bias = first.get_weights()
        half = kernel.shape[-1] // 2
        first.set_weights([np.where(np.arange(2 * half) < half, kernel, 0), bias])
        after = run(second, pictures((67, 67, 3)))
        middle = before.shape[-1] // 2
        assert np.array_equal(before[..., :middle], after[..., :middle]) == blind
        assert not np.array_equal(before[..., middle:], after[..., middle:])


def test_local_response_normalisation_written_out(run):
    x = 30 * pictures((3, 4, 7))
    expected = np.empty_like(x)
    for channel in range(7):
        near = x[..., max(0, channel - 2) : min(6, channel + 2) + 1].astype("float64")
        expected[..., channel] = x[..., channel] / (2 + 1e-4 * (near**2).sum(-1)) ** 0.75
    np.testing.assert_allclose(run(LocalResponseNormalization(), x), expected, rtol=1e-5)

    model = zoo.build(narrow(lrn=True), input_shape=(67, 67, 3), classes=2)
    assert model.get_layer("stage1_lrn").input is zoo.endpoints(model)["stem"]
    assert model.get_layer("stage1").input is model.get_layer("stage1_lrn").output
    assert model.get_layer("stage2").input is model.get_layer("stage2_lrn").output


@pytest.mark.parametrize("changes", [{}, {"lrn": True}, {"towers": 1, "pad": 2, "dropout": 0.0}])
def test_it_trains_and_is_saved_at_any_size(changes, tmp_path, run):
    for shape, classes in (((70, 67, 1), 2), ((67, 101, 3), 5)):
        keras.utils.set_random_seed(0)
        model = zoo.build(narrow(**changes), input_shape=shape, classes=classes)
        assert model.output_shape == (None, classes)
    before = model.get_weights()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    model.train_on_batch(pictures(shape), np.array([0, 1]))
    assert all(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(loaded, pictures(shape)), run(model, pictures(shape)))


def test_width_and_dropout_are_fields():
    model = zoo.build(narrow(), input_shape=(67, 67, 3), classes=2)
    assert [model.get_layer(name).rate for name in ("fc1_dropout", "dropout")] == [0.5, 0.5]
    wide = zoo.build(dataclasses.replace(narrow(), width=0.5, dropout=0.0), input_shape=(67, 67, 3), classes=2)
    filters = [layer.filters for layer in wide.layers if isinstance(layer, keras.layers.Conv2D)]
    assert filters == [48, 128, 192, 192, 128]
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in wide.layers)


@pytest.mark.parametrize(("changes", "integer"), [({}, True), ({"towers": 1, "pad": 2}, True), ({"lrn": True}, False)])
def test_the_int8_file_agrees_and_is_integer_without_local_response_normalisation(changes, integer, tmp_path):
    keras.utils.set_random_seed(0)
    images = pictures((67, 67, 3), 16)
    model = zoo.build(narrow(**changes), input_shape=(67, 67, 3), classes=4)
    artifact = compress.export(model, tmp_path / "m.tflite", calibration=[images])
    assert (artifact.float_tensors == ()) == integer
    assert artifact.ops["CONV_2D"] == 5
    expected = model.predict_on_batch(images)
    difference = np.abs(compress.LiteModel(artifact.path).predict(images) - expected)
    assert difference.max() < 0.1 * np.ptp(expected)


@pytest.mark.parametrize(("name", "least"), [("alexnet", 67), ("alexnet_one_tower", 63)])
def test_the_least_size(name, least):
    model = zoo.build(narrow(name), input_shape=(least, least, 3), classes=2)
    assert zoo.endpoints(model)["stage3"].shape[1:3] == (1, 1)
    with pytest.raises(zoo.ZooError, match=f"at least {least} x {least}"):
        zoo.build(narrow(name), input_shape=(least, least - 1, 3), classes=2)


@pytest.mark.parametrize(
    ("field", "value"),
    [("channels", (8, 8)), ("towers", 3), ("pad", -1), ("lrn", 1), ("fc", ()), ("width", 0.0), ("dropout", 1.0)],
)
def test_an_impossible_spec_is_refused(field, value):
    with pytest.raises(zoo.ZooError, match=field):
        dataclasses.replace(zoo.spec("alexnet"), **{field: value})


def test_each_variant_names_its_paper():
    papers = [zoo.FAMILIES["alexnet"].origin(zoo.spec(name)).paper for name in NAMES]
    assert "NIPS 2012" in papers[0] and "1404.5997" in papers[1]
