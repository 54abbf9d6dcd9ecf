import dataclasses

import keras
import numpy as np
import pytest

import compress
import zoo

NARROW = {
    "inception_v1": {"width": 0.25, "stages": (((64, 96, 128, 16, 32, 32),),) * 3},
    "inception_v3": {"width": 0.25, "fives": (32,), "sevens": (128,), "wides": 1},
    "inception_resnet_v2": {"width": 0.25, "depths": (1, 1, 2)},
}
LEAST = {"inception_v1": 32, "inception_v3": 75, "inception_resnet_v2": 75}
NAMES = sorted(NARROW)


def pictures(shape, count=2):
    return np.random.default_rng(1).standard_normal((count, *shape)).astype("float32")


def narrow(name):
    return dataclasses.replace(zoo.spec(name), **NARROW[name])


def compare(theirs, ours, shape, scramble, run):
    scramble(theirs)
    assert [v.shape for v in ours.weights] == [v.shape for v in theirs.weights]
    ours.set_weights(theirs.get_weights())
    expected = run(theirs, pictures(shape))
    assert np.ptp(expected[0] - expected[1]) > 1e-2 * np.ptp(expected), "the picture must matter"
    np.testing.assert_allclose(run(ours, pictures(shape)), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "reference", "shape"),
    [
        ("inception_v3", keras.applications.InceptionV3, (83, 110, 3)),
        ("inception_resnet_v2", keras.applications.InceptionResNetV2, (80, 110, 3)),
    ],
)
def test_same_numbers_in_same_numbers_out_as_keras_applications(name, reference, shape, scramble, run):
    theirs = reference(weights=None, input_shape=shape, classes=1000, classifier_activation=None)
    ours = zoo.build(name, input_shape=shape, classes=1000)
    compare(theirs, ours, shape, scramble, run)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("inception_v3", keras.applications.InceptionV3),
        pytest.param("inception_resnet_v2", keras.applications.InceptionResNetV2, marks=pytest.mark.slow),
    ],
)
def test_the_features_are_those_of_keras_applications_without_top(name, reference, scramble, run):
    shape = (107, 75, 3)
    theirs = reference(weights=None, include_top=False, input_shape=shape)
    ours = zoo.build(name, input_shape=shape, classes=7)
    compare(theirs, keras.Model(ours.input, zoo.endpoints(ours)["stage4"]), shape, scramble, run)


def test_parameters_of_version_1_counted_by_hand_from_table_1():
    # Weights of each row: 7x7x3x64; 1x1x64x64 and 3x3x64x192; then each module's
    # in*(1x1 + 3x3 reduce + 5x5 reduce + pool proj) + 9*(3x3 reduce)*(3x3) + 25*(5x5 reduce)*(5x5).
    weights = [
        9_408,
        4_096 + 110_592,
        192 * (64 + 96 + 16 + 32) + 9 * 96 * 128 + 25 * 16 * 32,
        256 * (128 + 128 + 32 + 64) + 9 * 128 * 192 + 25 * 32 * 96,
        480 * (192 + 96 + 16 + 64) + 9 * 96 * 208 + 25 * 16 * 48,
        512 * (160 + 112 + 24 + 64) + 9 * 112 * 224 + 25 * 24 * 64,
        512 * (128 + 128 + 24 + 64) + 9 * 128 * 256 + 25 * 24 * 64,
        512 * (112 + 144 + 32 + 64) + 9 * 144 * 288 + 25 * 32 * 64,
        528 * (256 + 160 + 32 + 128) + 9 * 160 * 320 + 25 * 32 * 128,
        832 * (256 + 160 + 32 + 128) + 9 * 160 * 320 + 25 * 32 * 128,
        832 * (384 + 192 + 48 + 128) + 9 * 192 * 384 + 25 * 48 * 128,
        1_024_000,
    ]
    biases = [64, 64 + 192, 368, 640, 624, 648, 664, 704, 1024, 1024, 1264, 1000]
    model = zoo.build("inception_v1", input_shape=(64, 64, 3), classes=1000)
    assert model.count_params() == sum(weights) + sum(biases) == 6_998_552


@pytest.mark.parametrize(
    ("name", "size", "shapes"),
    [
        ("inception_v1", 224, [(112, 64), (56, 192), (28, 480), (14, 832), (7, 1024)]),
        ("inception_v3", 299, [(147, 64), (71, 192), (35, 288), (17, 768), (8, 2048)]),
        ("inception_resnet_v2", 299, [(147, 64), (71, 192), (35, 320), (17, 1088), (8, 1536)]),
    ],
)
def test_one_endpoint_a_size(name, size, shapes):
    model = zoo.build(name, input_shape=(size, size, 3), classes=9)
    found = [tensor.shape[1:] for tensor in zoo.endpoints(model).values()]
    assert found == [*((side, side, channels) for side, channels in shapes), (9,)]
    assert model.get_layer("pool").input is zoo.endpoints(model)["stage4"]


def test_a_residual_module_written_out():
    # The sum of what is read and 0.17 of what is made of it, at an eighth of the size; the last one is not scaled.
    model = zoo.build(narrow("inception_resnet_v2"), input_shape=(75, 75, 3), classes=2)
    parts = ["stage2_first", "stage2_module1_project", "stage2_module1_add", "stage2"]
    last = ["stage4_module1_out", "stage4_module2_project", "stage4_module2_out"]
    probe = keras.Model(model.input, [model.get_layer(part).output for part in parts + last])
    before, made, added, after, before_last, made_last, last_out = map(np.asarray, probe(pictures((75, 75, 3))))
    np.testing.assert_allclose(added, before + 0.17 * made, atol=1e-6)
    np.testing.assert_array_equal(after, np.maximum(added, 0))
    np.testing.assert_allclose(last_out, before_last + made_last, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_and_is_saved_at_any_size(name, tmp_path, run):
    least = LEAST[name]
    for shape, classes in (((least, least, 1), 2), ((least + 20, least + 9, 3), 5)):
        keras.utils.set_random_seed(0)
        model = zoo.build(narrow(name), input_shape=shape, classes=classes)
        assert model.output_shape == (None, classes)
    before = model.get_weights()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    model.train_on_batch(pictures(shape), np.array([0, 1]))
    assert all(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(loaded, pictures(shape)), run(model, pictures(shape)))


@pytest.mark.parametrize("name", NAMES)
def test_width_and_dropout_are_fields(name):
    shape = (LEAST[name], LEAST[name], 3)
    model = zoo.build(narrow(name), input_shape=shape, classes=2)
    changed = dataclasses.replace(narrow(name), width=0.5, dropout=0.25)
    wider = zoo.build(changed, input_shape=shape, classes=2)
    assert wider.count_params() > 2 * model.count_params()
    assert wider.get_layer("dropout").rate == 0.25
    convolutions = [layer for layer in wider.layers if isinstance(layer, keras.layers.Conv2D)]
    assert all(layer.filters % 8 == 0 for layer in convolutions)


# Inception-ResNet has all that version 3 has, and the sums.
@pytest.mark.parametrize(
    "name",
    [
        "inception_resnet_v2",
        pytest.param("inception_v1", marks=pytest.mark.slow),
        pytest.param("inception_v3", marks=pytest.mark.slow),
    ],
)
def test_the_int8_file_is_integer_throughout_and_agrees(name, tmp_path):
    keras.utils.set_random_seed(0)
    shape = (LEAST[name], LEAST[name], 3)
    images = pictures(shape, 16)
    model = zoo.build(narrow(name), input_shape=shape, classes=4)
    artifact = compress.export(model, tmp_path / "m.tflite", calibration=[images])
    assert artifact.float_tensors == ()
    # The factor of a residual module goes into the convolution before it.
    assert not set(artifact.ops) - {
        *("CONV_2D", "CONCATENATION", "MAX_POOL_2D", "AVERAGE_POOL_2D", "ADD", "MEAN", "FULLY_CONNECTED"),
        *("QUANTIZE", "RESHAPE", "PAD"),
    }
    expected = model.predict_on_batch(images)
    difference = np.abs(compress.LiteModel(artifact.path).predict(images) - expected)
    assert difference.max() < 0.1 * np.ptp(expected)


@pytest.mark.parametrize("name", NAMES)
def test_the_least_size(name):
    least = LEAST[name]
    model = zoo.build(narrow(name), input_shape=(least, least, 3), classes=2)
    stages = [tensor for key, tensor in zoo.endpoints(model).items() if key.startswith("stage")]
    assert len(stages) == 4 and stages[-1].shape[1:3] == (1, 1)
    with pytest.raises(zoo.ZooError, match=f"too small for {name}, .* at least {least} x {least}"):
        zoo.build(zoo.spec(name), input_shape=(least, least - 1, 3), classes=2)


@pytest.mark.parametrize("reference", [keras.applications.InceptionV3, keras.applications.InceptionResNetV2])
def test_keras_applications_has_the_same_least_size(reference):
    with pytest.raises(ValueError, match="at least 75x75"):
        reference(weights=None, include_top=False, input_shape=(75, 74, 3))


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("inception_v1", "stages", (((64, 96, 128, 16, 32),),)),
        ("inception_v1", "stages", ((),)),
        ("inception_v3", "fives", ()),
        ("inception_v3", "sevens", (0,)),
        ("inception_v3", "wides", 0),
        ("inception_resnet_v2", "depths", (1, 1)),
        ("inception_resnet_v2", "scales", (0.1, 0.1)),
        ("inception_resnet_v2", "scales", (0.1, 0.1, 0.0)),
        ("inception_resnet_v2", "width", 0.0),
    ],
)
def test_an_impossible_spec_is_refused(name, field, value):
    with pytest.raises(zoo.ZooError, match=field):
        dataclasses.replace(zoo.spec(name), **{field: value})
