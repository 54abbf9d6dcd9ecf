import dataclasses

import keras
import numpy as np
import pytest

import zoo


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("resnet50", keras.applications.ResNet50),
        ("resnet50v2", keras.applications.ResNet50V2),
        slow("resnet101", keras.applications.ResNet101),
        slow("resnet101v2", keras.applications.ResNet101V2),
        slow("resnet152", keras.applications.ResNet152),
        slow("resnet152v2", keras.applications.ResNet152V2),
    ],
)
def test_same_numbers_in_same_numbers_out_as_keras_applications(name, reference, scramble, run):
    theirs = reference(weights=None, input_shape=(64, 64, 3), classes=7, classifier_activation=None)
    ours = zoo.build(name, input_shape=(64, 64, 3), classes=7)
    scramble(theirs)
    assert [v.shape for v in ours.variables] == [v.shape for v in theirs.variables]
    ours.set_weights(theirs.get_weights())
    images = np.random.default_rng(1).standard_normal((2, 64, 64, 3)).astype("float32")
    expected = run(theirs, images)
    assert np.ptp(expected[0] - expected[1]) > 1e-2 * np.ptp(expected), "the picture must matter"
    np.testing.assert_allclose(run(ours, images), expected, atol=1e-5 * np.abs(expected).max())


def test_version_2_has_the_depths_of_version_1():
    for name, depths in (("resnet50", (3, 4, 6, 3)), ("resnet101", (3, 4, 23, 3)), ("resnet152", (3, 8, 36, 3))):
        assert zoo.spec(name).depths == zoo.spec(f"{name}v2").depths == depths


# Table 6 rounds them to 0.27, 0.46 and 0.85 millions.
@pytest.mark.parametrize(
    ("name", "n", "count"),
    [
        ("resnet8", 1, 75_290),
        ("resnet20", 3, 269_722),
        ("resnet20v2", 3, 269_722),
        ("resnet32", 5, 464_154),
        ("resnet56", 9, 853_018),
    ],
)
def test_6n_plus_2_weighted_layers_and_the_sizes_of_section_4_2(name, n, count):
    model = zoo.build(name, input_shape=(32, 32, 3), classes=10)
    weighted = [x for x in model.layers if isinstance(x, (keras.layers.Conv2D, keras.layers.Dense))]
    assert len(weighted) == 6 * n + 2
    steps = [(3, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64)]
    kernels = [9 * read * width for read, width in steps]
    weights = np.dot(kernels, [1, 2 * n, 1, 2 * n - 1, 1, 2 * n - 1])
    norms = 2 * (16 + 2 * n * (16 + 32 + 64))
    assert sum(x.count_params() for x in weighted) == weights + 65 * 10
    assert weights + norms + 65 * 10 == count
    shapes = [tensor.shape[1:] for tensor in zoo.endpoints(model).values()]
    assert shapes == [(32, 32, 16), (32, 32, 16), (16, 16, 32), (8, 8, 64), (10,)]


def test_the_stages_of_table_1():
    for name, expansion in (("resnet18", 1), ("resnet50", 4)):
        shapes = [t.shape[1:] for t in zoo.endpoints(zoo.build(name, input_shape=(224, 224, 3), classes=9)).values()]
        stages = [(size, size, 64 * expansion * 2**n) for n, size in enumerate((56, 28, 14, 7))]
        assert shapes == [(56, 56, 64), *stages, (9,)]


def test_option_a_takes_every_second_pixel_and_appends_zeros(run):
    model = zoo.build("resnet8", input_shape=(9, 12, 3), classes=2)
    before = model.get_layer("stage1").output
    shortcut = model.get_layer("stage2_block1_add").input[0]
    images = np.random.default_rng(0).standard_normal((2, 9, 12, 3)).astype("float32")
    x, y = run(keras.Model(model.input, [before, shortcut]), images)
    assert y.shape == (2, 5, 6, 32)
    np.testing.assert_array_equal(y[..., :16], x[:, ::2, ::2])
    assert not y[..., 16:].any()


def convolve(x, kernel, stride):
    """Padding of `kernel // 2` on every side, written out."""
    half = kernel.shape[0] // 2
    padded = np.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], axis=(1, 2))
    return np.einsum("bhwcij,ijcf->bhwf", windows[:, ::stride, ::stride], kernel)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("shortcut", ["identity", "projection"])
def test_a_basic_network_written_out_in_numpy(version, shortcut, scramble, run):
    spec = dataclasses.replace(zoo.spec("resnet8"), depths=(1, 1), width=4, version=version, shortcut=shortcut)
    model = zoo.build(spec, input_shape=(7, 8, 2), classes=3)
    scramble(model, seed=2)
    get = {layer.name: [np.asarray(v, "float64") for v in layer.get_weights()] for layer in model.layers}

    def conv(x, name, stride=1):
        return convolve(x, get[name][0], stride)

    def norm(x, name):
        gamma, beta, mean, variance = get[name]
        return gamma * (x - mean) / np.sqrt(variance + 1.001e-5) + beta

    def relu(x):
        return np.maximum(x, 0)

    def option_a(x):
        return np.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (0, 4)))

    def block_v1(x, label, stride):
        short = x
        if stride == 2 and shortcut == "projection":
            short = norm(conv(x, f"{label}_shortcut_conv", 2), f"{label}_shortcut_norm")
        elif stride == 2:
            short = option_a(x)
        x = relu(norm(conv(x, f"{label}_conv1", stride), f"{label}_norm1"))
        return relu(norm(conv(x, f"{label}_conv2"), f"{label}_norm2") + short)

    def block_v2(x, label, stride):
        first = relu(norm(x, f"{label}_norm1"))
        short = x
        if stride == 2:
            short = conv(first, f"{label}_shortcut_conv", 2) if shortcut == "projection" else option_a(x)
        y = relu(norm(conv(first, f"{label}_conv1", stride), f"{label}_norm2"))
        return conv(y, f"{label}_conv2") + short

    images = np.random.default_rng(3).standard_normal((2, 7, 8, 2)).astype("float32")
    if version == 1:
        x = relu(norm(conv(images, "stem_conv"), "stem_norm"))
        x = block_v1(block_v1(x, "stage1_block1", 1), "stage2_block1", 2)
    else:
        x = block_v2(block_v2(conv(images, "stem"), "stage1_block1", 1), "stage2_block1", 2)
        x = relu(norm(x, "post_norm"))
    kernel, bias = get["head"]
    expected = x.mean(axis=(1, 2)) @ kernel + bias
    np.testing.assert_allclose(run(model, images), expected, rtol=1e-4, atol=1e-4)


def test_a_changed_spec_builds():
    spec = dataclasses.replace(zoo.spec("resnet20"), depths=[2, 2, 2])
    assert spec.depths == (2, 2, 2)
    model = zoo.build(spec, input_shape=(32, 32, 3), classes=10)
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == 13
    for changes in (
        {"block": "bottleneck"},
        {"version": 2, "shrink": "last"},
        {"stem": "imagenet"},
        {"depths": (1, 1, 1, 1, 1)},
    ):
        changed = dataclasses.replace(spec, **changes)
        features = zoo.endpoints(zoo.build(changed, input_shape=(64, 64, 3), classes=4))
        assert len(features) == len(changed.depths) + 2
        shrunk = 2 ** (len(changed.depths) - 1) * (4 if changed.stem == "imagenet" else 1)
        assert features[f"stage{len(changed.depths)}"].shape[1] == 64 // shrunk
