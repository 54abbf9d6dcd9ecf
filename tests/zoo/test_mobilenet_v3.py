import dataclasses

import keras
import numpy as np
import pytest

import compress
import zoo

NAMES = zoo.list_models("mobilenet_v3*")


@pytest.fixture
def float64():
    """Hard gates multiply the rounding of float32: what is the same must be told in float64."""
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy("float32")


def build_both(name, shape, classes):
    make = keras.applications.MobileNetV3Small if "small" in name else keras.applications.MobileNetV3Large
    theirs = make(
        weights=None,
        alpha=zoo.spec(name).width,
        minimalistic=zoo.spec(name).minimal,
        input_shape=shape,
        classes=classes,
        classifier_activation=None,
        include_preprocessing=False,
    )
    return theirs, zoo.build(name, input_shape=shape, classes=classes)


def reshaped(weights):
    """Their last two layers are convolutions over one pixel."""
    *features, top, top_bias, head, head_bias = weights
    return [*features, top.reshape(top.shape[2:]), top_bias, head.reshape(head.shape[2:]), head_bias]


@pytest.mark.parametrize("name", NAMES)
def test_same_numbers_in_same_numbers_out_as_keras_applications(name, scramble, run, float64):
    theirs, ours = build_both(name, (75, 64, 3), 7)
    scramble(theirs)
    ours.set_weights(reshaped(theirs.get_weights()))
    images = np.random.default_rng(1).standard_normal((2, 75, 64, 3)).astype("float32")
    *_, last, _ = zoo.endpoints(ours).values()
    features = theirs.get_layer("conv_1_bn").output
    features = next(layer.output for layer in theirs.layers if layer.input is features)
    for left, right in ((theirs.output, ours.output), (features, last)):
        expected = run(keras.Model(theirs.input, left), images)
        assert np.ptp(expected[0] - expected[1]) > 1e-2 * np.ptp(expected), "the picture must matter"
        actual = run(keras.Model(ours.input, right), images)
        np.testing.assert_allclose(actual, expected, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["mobilenet_v3_small_075", "mobilenet_v3_large"])
def test_the_weights_of_keras_applications(name):
    theirs, ours = build_both(name, (32, 32, 3), 1000)
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in reshaped(theirs.get_weights())]


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("mobilenet_v3_small", [(56, 16), (28, 24), (14, 48), (7, 96), (7, 576)]),
        ("mobilenet_v3_large", [(112, 16), (56, 24), (28, 40), (14, 112), (7, 160), (7, 960)]),
    ],
)
def test_a_stage_ends_before_each_stride(name, stages):
    model = zoo.build(name, input_shape=(224, 224, 3), classes=1000)
    shapes = [tensor.shape[1:] for tensor in zoo.endpoints(model).values()]
    assert shapes == [(112, 112, 16), *((size, size, channels) for size, channels in stages), (1000,)]


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v3_small_minimal"])
def test_it_exports_to_full_int8(name, tmp_path, run):
    keras.utils.set_random_seed(0)
    spec = dataclasses.replace(zoo.spec(name), rows=zoo.spec(name).rows[:5], top=64)
    model = zoo.build(spec, input_shape=(32, 32, 3), classes=5)
    images = [np.random.default_rng(n).standard_normal((16, 32, 32, 3)).astype("float32") for n in (0, 1)]
    artifact = compress.export(model, tmp_path / "model.tflite", calibration=images)
    assert artifact.float_tensors == ()
    assert artifact.input.dtype == artifact.output.dtype == "int8"
    answers = compress.LiteModel(artifact.path).predict(images[0])
    assert np.corrcoef(answers.ravel(), run(model, images[0]).ravel())[0, 1] > 0.9


def test_other_rows_build():
    rows = [[3, 16, 16, True, False, 1], [5, 48, 24, False, True, 2]]
    spec = dataclasses.replace(zoo.spec("mobilenet_v3_small"), rows=rows, top=32, dropout=0.2)
    features = zoo.endpoints(zoo.build(spec, input_shape=(8, 8, 1), classes=2))
    assert {name: tensor.shape[1:] for name, tensor in features.items()} == {
        "stem": (4, 4, 16),
        "stage1": (4, 4, 16),
        "stage2": (2, 2, 24),
        "stage3": (2, 2, 144),
        "head": (2,),
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rows", ()),
        ("rows", ((3, 16, 16, True, False),)),
        ("squeeze in rows", ((3, 16, 16, 1, False, 1),)),
        ("expanded in rows", ((3, 1.5, 16, True, False, 1),)),
        ("top", 0),
        ("stem", 0),
        ("minimal", "yes"),
    ],
)
def test_an_impossible_spec_is_refused_and_names_the_field(field, value):
    with pytest.raises(zoo.ZooError, match=field):
        dataclasses.replace(zoo.spec("mobilenet_v3_small"), **{field.split()[-1]: value})
