"""FCN, ResNet and InceptionTime of series: the same as their authors' networks, and what is done about padding."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

import compress
import zoo
from zoo.sequence import convolution

NAMES = ["fcn", "resnet_1d", "inception_time"]


def unit(x, filters, kernel, *, bias=True, relu=True):
    x = layers.Conv1D(filters, kernel, padding="same", use_bias=bias)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x) if relu else x


def fcn(x):
    """Wang et al. 2017, figure 1b."""
    return unit(unit(unit(x, 128, 8), 256, 5), 128, 3)


def resnet(x):
    """Wang et al. 2017, figure 1c, with the shortcuts of the authors' code: the last one only normalises."""
    for filters in (64, 128, 128):
        y = unit(unit(unit(x, filters, 8), filters, 5), filters, 3, relu=False)
        widens = x.shape[-1] != filters
        short = unit(x, filters, 1, relu=False) if widens else layers.BatchNormalization()(x)
        x = layers.ReLU()(layers.Add()([short, y]))
    return x


def inception(x):
    """Ismail Fawaz et al. 2020, figures 1 and 2."""
    source = x
    for number in range(6):
        narrow = layers.Conv1D(32, 1, use_bias=False)(x) if x.shape[-1] > 1 else x
        sides = [layers.Conv1D(32, length, padding="same", use_bias=False)(narrow) for length in (40, 20, 10)]
        pooled = layers.MaxPooling1D(3, strides=1, padding="same")(x)
        sides.append(layers.Conv1D(32, 1, use_bias=False)(pooled))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Concatenate()(sides)))
        if number % 3 == 2:
            x = source = layers.ReLU()(layers.Add()([unit(source, 128, 1, bias=False, relu=False), x]))
    return x


REFERENCES = {"fcn": fcn, "resnet_1d": resnet, "inception_time": inception}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(30, 1), (13, 4)])
def test_the_same_numbers_as_the_authors_network_from_weights_in_its_order(name, shape, scramble, run):
    series = keras.Input(shape)
    pooled = layers.GlobalAveragePooling1D()(REFERENCES[name](series))
    theirs = keras.Model(series, layers.Dense(3)(pooled))
    scramble(theirs)
    ours = zoo.build(name, input_shape=shape, classes=3)
    assert [v.shape for v in ours.variables] == [v.shape for v in theirs.variables]
    ours.set_weights(theirs.get_weights())
    examples = np.random.default_rng(1).standard_normal((2, *shape)).astype("float32")
    expected = run(theirs, examples)
    np.testing.assert_allclose(run(ours, examples), expected, atol=1e-5 * np.abs(expected).max())


def test_parameters_by_hand():
    def conv(read, written, kernel, bias=True):
        return kernel * read * written + bias * written

    fcn = conv(1, 128, 8) + conv(128, 256, 5) + conv(256, 128, 3) + 4 * (128 + 256 + 128)
    assert zoo.build("fcn", input_shape=(9, 1), classes=2).count_params() == fcn + 129 * 2 == 265_986

    resnet = 0
    for read, width in ((1, 64), (64, 128), (128, 128)):
        resnet += conv(read, width, 8) + conv(width, width, 5) + conv(width, width, 3) + 4 * 4 * width
        resnet += conv(read, width, 1) if read != width else 0
    assert zoo.build("resnet_1d", input_shape=(9, 1), classes=2).count_params() == resnet + 129 * 2 == 506_818

    module = 128 * 32 + 32 * 32 * (40 + 20 + 10) + 128 * 32 + 4 * 128
    first = 32 * (40 + 20 + 10) + 32 + 4 * 128
    shortcuts = 128 + 128 * 128 + 2 * 4 * 128
    inception = first + 5 * module + shortcuts
    assert zoo.build("inception_time", input_shape=(9, 1), classes=2).count_params() == inception + 129 * 2 == 422_498


@pytest.mark.parametrize("name", NAMES)
def test_every_step_of_a_masked_series_is_normalised_by_the_series_alone(name, run):
    """In training, the statistics of a padded batch are those of the batch without padding."""
    spec = dataclasses.replace(zoo.spec(name), mask=True)
    keras.utils.set_random_seed(0)
    short = zoo.build(spec, input_shape=(9, 2), classes=2)
    long = zoo.build(spec, input_shape=(20, 2), classes=2)
    long.set_weights(short.get_weights())
    series = np.random.default_rng(0).standard_normal((4, 9, 2)).astype("float32")
    padded = np.concatenate([series, np.zeros((4, 11, 2), "float32")], axis=1)
    for model, fed in ((short, series), (long, padded)):
        model(fed, training=True)
    for ours, theirs in zip(long.get_weights(), short.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(run(long, padded), run(short, series), atol=1e-5)


def test_without_a_mask_the_layers_are_keras_own():
    for name in [*NAMES, "lstm_fcn"]:
        plain = zoo.build(name, input_shape=(9, 2), classes=2)
        masked = zoo.build(dataclasses.replace(zoo.spec(name), mask=True), input_shape=(9, 2), classes=2)
        assert all(type(layer).__module__.startswith("keras.") for layer in plain.layers)
        assert any(isinstance(layer, convolution.MaskedConv1D) for layer in masked.layers)
        assert plain.count_params() == masked.count_params()


def test_the_maximum_skips_padding_where_the_series_is_below_zero(run):
    series = keras.Input((4, 1))
    x = convolution.max_pool(layers.Masking()(series), 3, masks=True, name="highest")
    x = convolution.conv(x, 1, 1, masks=True, bias=False, name="conv")
    model = keras.Model(series, convolution.average(x, masks=True))
    model.get_layer("conv").set_weights([np.ones((1, 1, 1))])
    # Highest around each step: -2, -1, -1; zero padding would make the last 0.
    assert run(model, np.array([[[-3], [-2], [-1], [0]]], "float32")).item() == pytest.approx((-2 - 1 - 1) / 3)


@pytest.mark.parametrize(("name", "width"), [("fcn", 0.125), ("inception_time", 8)])
def test_a_masked_network_is_int8_throughout(name, width, tmp_path, run):
    keras.utils.set_random_seed(0)
    spec = dataclasses.replace(zoo.spec(name), mask=True, width=width)
    model = zoo.build(spec, input_shape=(24, 3), classes=4)
    series = np.random.default_rng(0).standard_normal((32, 24, 3)).astype("float32")
    for example, length in zip(series, np.arange(32) % 20 + 5, strict=True):
        example[length:] = 0
    artifact = compress.export(model, tmp_path / "model.tflite", calibration=[series])
    assert artifact.float_tensors == ()
    answers = compress.LiteModel(artifact.path).predict(series)
    assert np.corrcoef(answers.ravel(), run(model, series).ravel())[0, 1] > 0.98


def test_the_stages_of_inception_time():
    def stages(**changes):
        spec = dataclasses.replace(zoo.spec("inception_time"), width=4, **changes)
        model = zoo.build(spec, input_shape=(9, 2), classes=3)
        kinds = [type(model.get_layer(name)).__name__ for name in zoo.endpoints(model)]
        assert kinds == ["ReLU"] * (len(kinds) - 1) + ["Dense"]
        return len(kinds) - 1, sum(isinstance(layer, layers.Add) for layer in model.layers)

    assert stages() == (2, 2)
    assert stages(depth=3) == (1, 1)
    assert stages(depth=4) == (2, 1)
    assert stages(residual=0) == (6, 0)
    assert stages(residual=1, bottleneck=0) == (6, 6)


def test_width_multiplies_and_dropout_lies_before_the_head():
    for name in ("fcn", "resnet_1d"):
        spec = dataclasses.replace(zoo.spec(name), width=0.25, dropout=0.3, bias=False)
        model = zoo.build(spec, input_shape=(9, 2), classes=3)
        widths = [tensor.shape[-1] for tensor in zoo.endpoints(model).values()]
        assert widths == [*(filters // 4 for filters in spec.filters), 3]
        assert model.get_layer("dropout").rate == 0.3
        assert not any(layer.use_bias for layer in model.layers if isinstance(layer, layers.Conv1D))


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("fcn", "filters", ()),
        ("fcn", "kernels", (8, 5)),
        ("fcn", "bias", 1),
        ("fcn", "width", 0),
        ("resnet_1d", "kernels", (0,)),
        ("resnet_1d", "epsilon", 0.0),
        ("inception_time", "depth", 0),
        ("inception_time", "width", 1.5),
        ("inception_time", "bottleneck", -1),
        ("inception_time", "residual", None),
        ("inception_time", "kernels", (40, 0)),
    ],
)
def test_an_impossible_spec_is_refused_and_names_the_field(name, field, value):
    with pytest.raises(zoo.ZooError, match=field):
        dataclasses.replace(zoo.spec(name), **{field: value})


def test_impossible_inputs_are_refused():
    for name in NAMES:
        with pytest.raises(zoo.ZooError, match=r"input_shape .steps, channels. must be 2"):
            zoo.build(name, input_shape=(9,), classes=2)
        with pytest.raises(zoo.ZooError, match="classes"):
            zoo.build(name, input_shape=(9, 1), classes=0)
