"""Listing, looking up, changing and building models, and the answers to mistakes; see also test_contract."""

import dataclasses

import keras
import numpy as np
import pytest

import zoo

NAMES = zoo.list_models(task="classify")
SMALL = ["mobilenet_v2_035", "resnet20v2", "resnet8"]


def pictures(shape, count=4, seed=0):
    return np.random.default_rng(seed).standard_normal((count, *shape)).astype("float32")


@pytest.mark.parametrize("name", zoo.list_models())
def test_every_spec_has_the_common_fields_and_is_frozen(name):
    spec = zoo.spec(name)
    assert {"width", "dropout"} <= {field.name for field in dataclasses.fields(spec)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.width = 1
    assert dataclasses.replace(spec) == spec
    assert hash(spec) == hash(dataclasses.replace(spec))


@pytest.mark.parametrize("name", SMALL)
def test_a_clone_has_the_same_layers_and_its_own_weights(name, run):
    keras.utils.set_random_seed(1)
    model = zoo.build(name, input_shape=(32, 32, 3), classes=5)
    images = pictures((32, 32, 3))
    expected = run(model, images)
    clone = keras.models.clone_model(model)
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    assert np.abs(run(clone, images) - expected).max() > 1e-4, "a clone draws its own weights"
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(run(clone, images), expected)


@pytest.mark.parametrize("name", SMALL)
def test_the_seed_decides_the_weights(name):
    def weights(seed):
        keras.utils.set_random_seed(seed)
        return zoo.build(name, input_shape=(32, 32, 3), classes=2).get_weights()

    first, again, other = weights(3), weights(3), weights(4)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    kernels = [array.tobytes() for array in first if array.ndim == 4]
    assert len(set(kernels)) == len(kernels), "no two layers share a draw"


@pytest.mark.parametrize("name", SMALL)
def test_width_and_dropout_can_be_replaced(name):
    base = zoo.spec(name)
    changed = dataclasses.replace(base, width=base.width * 2, dropout=0.25)
    narrow = zoo.build(base, input_shape=(32, 32, 3), classes=2)
    wide = zoo.build(changed, input_shape=(32, 32, 3), classes=2)
    assert wide.count_params() > 1.4 * narrow.count_params()
    assert wide.get_layer("dropout").rate == 0.25
    assert "dropout" not in [layer.name for layer in narrow.layers]
    assert wide.name in zoo.FAMILIES, "a spec that is no variant is called like its family"


@pytest.mark.parametrize("name", SMALL)
def test_softmax_gives_the_probabilities_of_the_logits(name, run):
    logits = zoo.build(name, input_shape=(32, 32, 3), classes=4)
    softmax = zoo.build(name, input_shape=(32, 32, 3), classes=4, activation="softmax")
    softmax.set_weights(logits.get_weights())
    scores = run(logits, pictures((32, 32, 3))).astype("float64")
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(run(softmax, pictures((32, 32, 3))), expected, atol=1e-6)


def test_mixed_precision_keeps_the_logits_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = zoo.build("resnet8", input_shape=(16, 16, 1), classes=2)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    assert model.get_layer("stage1").output.dtype == "float16"
    assert model.get_layer("head").kernel.dtype == "float32"


def test_the_image_data_format_of_the_user_does_not_matter():
    keras.config.set_image_data_format("channels_first")
    try:
        models = [zoo.build(name, input_shape=(32, 48, 3), classes=2) for name in ("resnet8", "mobilenet_v2_035")]
    finally:
        keras.config.set_image_data_format("channels_last")
    assert zoo.endpoints(models[0])["stage3"].shape == (None, 8, 12, 64)
    assert zoo.endpoints(models[1])["stage8"].shape == (None, 1, 2, 1280)


def test_list_models_filters():
    assert sorted(NAMES) == NAMES
    assert zoo.list_models("resnet?") == ["resnet8"]
    assert zoo.list_models("*v2_[01]*") == [n for n in NAMES if n.startswith("mobilenet_v2_")]
    assert set(NAMES) < set(zoo.list_models())
    assert zoo.list_models("vgg*", task="segment") == []
    with pytest.raises(zoo.ZooError, match=r"task must be .*, not 'fly'"):
        zoo.list_models(task="fly")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet5", "resnet50"),
        ("ResNet-50", "resnet50"),
        ("mobilenetv2", "mobilenet_v2"),
        ("zzz", "zoo list"),
        (7, "zoo list"),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones(name, near):
    with pytest.raises(zoo.ZooError, match=near) as caught:
        zoo.spec(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 1}, "classes must be a whole number of at least 2, not 1"),
        ({"classes": 2.5}, "classes must be a whole number"),
        ({"classes": True}, "classes must be a whole number"),
        ({"input_shape": (32, 32)}, "input_shape .* must be 3 whole numbers"),
        ({"input_shape": 32}, "input_shape .* must be a tuple"),
        ({"input_shape": (None, 32, 3)}, "each number of input_shape"),
        ({"input_shape": (32, 32, 0)}, "each number of input_shape"),
        ({"input_shape": (3, 32, 3)}, "input of 3 x 32 is too small for resnet8, .* at least 4 x 4"),
        ({"activation": "relu"}, "activation must be None or 'softmax', not 'relu'"),
    ],
)
def test_impossible_requests_are_refused_in_one_sentence(changes, message):
    request = {"input_shape": (32, 32, 3), "classes": 10, **changes}
    with pytest.raises(zoo.ZooError, match=message) as caught:
        zoo.build("resnet8", **request)
    assert "\n" not in str(caught.value)


def test_the_least_size_builds_and_one_less_does_not():
    for name, least in (("resnet8", 4), ("resnet18", 32), ("mobilenet_v2", 32)):
        assert zoo.endpoints(zoo.build(name, input_shape=(least, least, 3), classes=2))["stem"].shape[1] > 1
        with pytest.raises(zoo.ZooError, match=f"at least {least} x {least}"):
            zoo.build(name, input_shape=(least, least - 1, 3), classes=2)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("resnet8", "width", -16),
        ("resnet8", "width", 16.5),
        ("resnet8", "width", "16"),
        ("resnet8", "dropout", 1.0),
        ("resnet8", "dropout", float("nan")),
        ("resnet8", "depths", ()),
        ("resnet8", "depths", (1, 0, 1)),
        ("resnet8", "depths", 3),
        ("resnet8", "block", "wide"),
        ("resnet8", "version", 3),
        ("resnet8", "bias", 1),
        ("mobilenet_v2", "width", 0.0),
        ("mobilenet_v2", "width", float("inf")),
        ("mobilenet_v2", "rows", ((6, 24, 2),)),
        ("mobilenet_v2", "top", 0),
    ],
)
def test_an_impossible_spec_is_refused_and_names_the_field(name, field, value):
    with pytest.raises(zoo.ZooError, match=field) as caught:
        dataclasses.replace(zoo.spec(name), **{field: value})
    assert "\n" not in str(caught.value)


def test_build_wants_a_name_or_a_spec_and_endpoints_a_model_of_the_zoo():
    with pytest.raises(zoo.ZooError, match="a name or a spec"):
        zoo.build(50, input_shape=(32, 32, 3), classes=2)
    with pytest.raises(zoo.ZooError, match="built by the zoo"):
        zoo.endpoints(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
