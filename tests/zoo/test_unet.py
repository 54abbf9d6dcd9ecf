"""U-Net against figure 1 of its paper, counted by hand."""

import dataclasses
import math

import keras
import numpy as np
import pytest

import compress
import zoo

NAMES = zoo.list_models(task="segment")
TINY = zoo.spec("unet_tiny")
SMALLEST = dataclasses.replace(TINY, width=4, depths=(1, 1))


def pictures(shape, count=4, seed=0):
    return np.random.default_rng(seed).standard_normal((count, *shape)).astype("float32")


def by_hand(channels, classes, widths=(64, 128, 256, 512, 1024), norm=False):
    """Figure 1: 3x3 convolutions in pairs, 2x2 up-convolutions that halve the channels, a 1x1 convolution; biases."""
    total, read = 0, channels
    for width in widths:
        total += pair(read, width, norm)
        read = width
    return total + decoder(widths[-1], widths[-2::-1], widths[-2::-1], classes, norm)


def pair(read, width, norm):
    """Two 3x3 convolutions: a bias each, or the scale and shift of a normalisation."""
    return (9 * read + 9 * width + (4 if norm else 2)) * width


def decoder(read, widths, skips, classes, norm):
    total = 0
    for width, skip in zip(widths, skips, strict=True):
        total += (4 * read + 1) * width + pair(width + skip, width, norm)
        read = width
    return total + (read + 1) * classes


# The encoders have torchvision's parameters without their heads; what they hand over has the channels listed.
MOBILENET = (3_504_872 - 1281 * 1000, 1280, (96, 32, 24, 16, 0))
RESNET = (11_689_512 - 513 * 1000, 512, (256, 128, 64, 0, 0))


@pytest.mark.parametrize(
    ("name", "channels", "count"),
    [
        ("unet", 1, lambda classes: by_hand(1, classes)),
        ("unet_tiny", 1, lambda classes: by_hand(1, classes, (8, 16, 32, 64), norm=True)),
        ("unet_small", 1, lambda classes: by_hand(1, classes, (16, 32, 64, 128, 256), norm=True)),
        *(
            (name, 3, lambda classes, e=e: e[0] + decoder(e[1], (256, 128, 64, 32, 16), e[2], classes, norm=True))
            for name, e in (("unet_mobilenet_v2", MOBILENET), ("unet_resnet18", RESNET))
        ),
    ],
)
def test_parameters_counted_by_hand(name, channels, count):
    model = zoo.build(name, input_shape=(32, 32, channels), classes=7)
    assert sum(math.prod(variable.shape) for variable in model.trainable_variables) == count(7)


def test_the_published_unet_has_the_layers_of_figure_1():
    assert by_hand(3, 1) == 31_031_745, "the figure often quoted: colours in, one output"
    model = zoo.build("unet", input_shape=(32, 48, 1), classes=2)
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == 23 - 4, "23 in all (section 2)"
    assert sum(isinstance(layer, keras.layers.Conv2DTranspose) for layer in model.layers) == 4
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    shapes = {name: tensor.shape[1:] for name, tensor in zoo.endpoints(model).items()}
    assert shapes == {
        "stage1": (32, 48, 64),
        "stage2": (16, 24, 128),
        "stage3": (8, 12, 256),
        "stage4": (4, 6, 512),
        "stage5": (2, 3, 1024),
        "head": (32, 48, 2),
    }


@pytest.mark.parametrize("name", NAMES)
def test_it_shrinks_as_often_as_it_has_levels(name):
    model = zoo.build(name, input_shape=(64, 96, 3), classes=5)
    *_, bottom = (tensor for key, tensor in zoo.endpoints(model).items() if key.startswith("stage"))
    assert bottom.shape[1] == 64 // 2 ** (len(zoo.spec(name).depths) - 1)


@pytest.mark.parametrize("up", ["transpose", "bilinear"])
@pytest.mark.parametrize("normalise", ["batch", "none"])
def test_probabilities_save_and_load(up, normalise, tmp_path, run):
    spec = dataclasses.replace(SMALLEST, up=up, normalise=normalise, dropout=0.25)
    model = zoo.build(spec, input_shape=(8, 12, 1), classes=3, activation="softmax")
    images = pictures((8, 12, 1))
    shares = run(model, images)
    np.testing.assert_allclose(shares.sum(axis=-1), np.ones((4, 8, 12)), rtol=1e-5)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(keras.models.load_model(tmp_path / "model.keras"), images), shares)


def test_the_skip_carries_what_the_bottom_has_lost(run):
    """Two pictures alike in each 2x2 maximum differ in the answer only through the skip."""
    spec = dataclasses.replace(SMALLEST, normalise="none", depths=(1, 1))
    model = zoo.build(spec, input_shape=(4, 4, 1), classes=2)
    model.get_layer("stage1_conv1").set_weights([np.eye(9)[[4]].reshape(3, 3, 1, 1).repeat(4, -1), np.zeros(4)])
    one, other = np.zeros((1, 4, 4, 1), "float32"), np.zeros((1, 4, 4, 1), "float32")
    one[0, ::2, ::2], other[0, 1::2, 1::2] = 1, 1
    bottom = keras.Model(model.input, model.get_layer("stage2").output)
    np.testing.assert_array_equal(run(bottom, one), run(bottom, other))
    assert np.abs(run(model, one) - run(model, other)).max() > 1e-3


def test_bilinear_up_is_the_interpolation_before_the_convolution(run):
    """The 1x1 convolution and the interpolation may change places, as the comment in the code says."""
    spec = dataclasses.replace(SMALLEST, up="bilinear")
    model = zoo.build(spec, input_shape=(8, 8, 1), classes=2)
    ours = keras.Model(model.get_layer("stage2").output, model.get_layer("up1").output)
    features = pictures((4, 4, 8))
    grown = keras.layers.UpSampling2D(2, interpolation="bilinear")(features)
    np.testing.assert_allclose(run(ours, features), model.get_layer("up1_conv")(grown), atol=1e-5)


def test_an_encoder_gives_its_own_features(run, scramble):
    """The way down computes what the classifier computes from the same weights, under the same names."""
    spec = dataclasses.replace(TINY, encoder="resnet8", depths=(1, 1, 1))
    model = zoo.build(spec, input_shape=(32, 32, 3), classes=2)
    classifier = zoo.build("resnet8", input_shape=(32, 32, 3), classes=7)
    scramble(classifier)
    mine = {layer.name: layer for layer in model.layers}
    for layer in classifier.layers:
        if layer.weights and layer.name != "head":
            mine[layer.name].set_weights(layer.get_weights())
    for end in ("stem", "stage1", "stage2", "stage3"):
        ours = keras.Model(model.input, model.get_layer(end).output)
        theirs = keras.Model(classifier.input, classifier.get_layer(end).output)
        images = pictures((32, 32, 3))
        np.testing.assert_array_equal(run(ours, images), run(theirs, images))
    assert "pool" not in mine
    for n in (1, 2):
        assert model.get_layer(f"skip{n}").input[0] is model.get_layer(f"stage{n}").output


def test_where_the_encoder_has_no_features_the_decoder_goes_on_without():
    model = zoo.build("unet_resnet18", input_shape=(64, 64, 3), classes=2)
    skips = {layer.name: layer.input[0].shape[1] for layer in model.layers if layer.name.startswith("skip")}
    assert skips == {"skip5": 4, "skip4": 8, "skip3": 16}, "ResNet-18 begins at stride 4"


@pytest.mark.parametrize(
    ("changes", "shape", "message"),
    [
        ({}, (60, 64, 1), "input of 60 x 64 .* multiples of 8, such as 56 x 64 or 64 x 64"),
        ({}, (5, 8, 1), "such as 8 x 8$"),
        ({"encoder": "resnet5"}, (32, 32, 3), "no model 'resnet5'; did you mean"),
        ({"encoder": "unet"}, (32, 32, 3), "encoder must be a classifier of images, and unet is not one"),
        ({"encoder": "resnet8"}, (32, 32, 3), "resnet8 has no features at stride 8"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_sentence(changes, shape, message):
    with pytest.raises(zoo.ZooError, match=message) as caught:
        zoo.build(dataclasses.replace(TINY, **changes), input_shape=shape, classes=2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("width", 8.5), ("depths", (2,)), ("depths", (2, 0)), ("normalise", "layer"), ("up", "nearest"), ("encoder", 3)],
)
def test_an_impossible_spec_is_refused_and_names_the_field(field, value):
    with pytest.raises(zoo.ZooError, match=field):
        dataclasses.replace(TINY, **{field: value})


def test_it_learns(run):
    """A picture's bright pixels are one class: the loss falls, and to where most pixels are right."""
    keras.utils.set_random_seed(0)
    images = pictures((16, 16, 1), 8)
    masks = (images[..., 0] > 0).astype("int64")
    model = zoo.build(SMALLEST, input_shape=(16, 16, 1), classes=2)
    model.compile(keras.optimizers.Adam(0.03), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = [float(model.train_on_batch(images, masks)) for _ in range(40)]
    assert losses[-1] < 0.25 * losses[0]


@pytest.mark.parametrize("up", ["transpose", "bilinear"])
def test_int8_files_load_run_and_agree_after_training_and_quantization_aware(up, tmp_path):
    spec = dataclasses.replace(SMALLEST, up=up, depths=(1, 1, 1))
    keras.utils.set_random_seed(0)
    model = zoo.build(spec, input_shape=(16, 16, 1), classes=3)
    images = pictures((16, 16, 1), 16)
    assert compress.report(model).float_layers == ()
    aware = compress.quantize_aware(model, calibration=[images])
    for number, candidate in enumerate((model, aware)):
        artifact = compress.export(candidate, tmp_path / f"{number}.tflite", calibration=[images])
        assert artifact.float_tensors == ()
        assert artifact.output.shape == (1, 16, 16, 3)
        truth = np.zeros((16, 16, 16), "int64")
        seen = compress.verify(artifact, candidate, [(images, truth)])
        assert seen.agreement > 0.9
        spread = float(np.ptp(candidate.predict(images, verbose=0)))
        assert seen.max_difference < 0.1 * spread


def test_the_card_counts_every_convolution():
    card = zoo.card(SMALLEST, input_shape=(4, 4, 1), classes=2)
    # stage1 9*1*4 at 16 places, stage2 9*4*8 at 4, up1 4*8*4 from 4 places, decode1 9*8*4 at 16, head 4*2 at 16.
    assert card.macs == 16 * 36 + 4 * 288 + 4 * 128 + 16 * 288 + 16 * 8
    kernels, biases = 36 + 288 + 128 + 288 + 8, 4 + 8 + 4 + 4 + 2
    assert card.int8_bytes == kernels + 4 * biases
    assert card.layers.convolutional == 5
    assert card.task == "segment"
    assert math.isclose(card.parameters, kernels + 4 + 2 + 2 * (4 + 8 + 4))
