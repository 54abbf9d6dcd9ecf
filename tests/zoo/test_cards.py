import dataclasses

import keras
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from keras import layers

import zoo
from zoo import graph


# He et al. 2016, table 1 (multiply-adds): 1.8, 3.6, 3.8, 7.6, 11.3 G. Sandler et al. 2018, table 4: 300 M, 585 M.
@pytest.mark.parametrize(
    ("name", "published", "tolerance"),
    [
        ("resnet18", 1.8e9, 0.02),
        ("resnet34", 3.6e9, 0.02),
        ("resnet50", 3.8e9, 0.02),
        ("resnet101", 7.6e9, 0.01),
        ("resnet152", 11.3e9, 0.01),
        ("mobilenet_v2", 300e6, 0.01),
        ("mobilenet_v2_140", 585e6, 0.01),
    ],
)
def test_multiply_accumulates_as_published(name, published, tolerance):
    card = zoo.card(name)
    assert card.macs == pytest.approx(published, rel=tolerance)
    assert (card.input_shape, card.classes) == ((224, 224, 3), 1000)


def test_multiply_accumulates_counted_by_hand():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same")(image)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="valid")(x)
    x = layers.Conv2D(6, 1, groups=2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(5)(x)
    expected = 16 * 27 * 4 + 4 * 9 * 8 + 4 * 4 * 6 + 24 * 5
    assert zoo.macs(keras.Model(image, x)) == expected


def test_multiply_accumulates_of_a_series_and_of_wrapped_layers():
    series = keras.Input((10, 3))
    x = layers.Conv1D(4, 3)(series)
    x = layers.TimeDistributed(layers.Dense(5))(x)
    assert zoo.macs(keras.Model(series, x)) == 8 * 9 * 4 + 8 * 4 * 5


def test_channels_first_counts_the_same():
    image = keras.Input((3, 8, 8))
    x = layers.Conv2D(4, 3, data_format="channels_first")(image)
    assert zoo.macs(keras.Model(image, x)) == 36 * 27 * 4


def test_an_open_input_size_cannot_be_counted():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Conv2D(4, 3, name="first")(image))
    with pytest.raises(zoo.ZooError, match="open"):
        zoo.macs(model)


def test_peak_of_a_chain_is_its_largest_pair():
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, padding="same")(image)  # 64 -> 256 numbers
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(2, 1)(x)  # 256 -> 128: the peak
    x = layers.GlobalAveragePooling2D()(x)
    assert graph.peak_activations(keras.Model(image, x)) == 4 * (256 + 128)


def test_peak_counts_what_a_shortcut_keeps_alive():
    image = keras.Input((8, 8, 4))  # 256 numbers, alive until the sum
    x = layers.Conv2D(8, 1)(image)  # 512
    x = layers.Conv2D(4, 1)(x)  # 256: with the one before and the shortcut, the peak
    model = keras.Model(image, layers.Add()([image, x]))
    assert graph.peak_activations(model) == 4 * (256 + 512 + 256)


def test_an_activation_that_shares_its_input_needs_memory_of_its_own():
    image = keras.Input((8, 8, 4))
    x = layers.ReLU()(image)
    alone = keras.Model(image, layers.GlobalAveragePooling2D()(x))
    shared = keras.Model(image, layers.Add()([image, layers.ReLU()(image)]))
    assert graph.peak_activations(alone) == 4 * (256 + 4)
    assert graph.peak_activations(shared) == 4 * (256 + 256 + 256)


@pytest.mark.parametrize("version", [1, 2])
def test_float32_weights_are_those_in_the_file_of_the_converter(version, scramble):
    spec = dataclasses.replace(zoo.spec("resnet8"), version=version)
    model = zoo.build(spec, input_shape=(32, 32, 3), classes=10)
    scramble(model)
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    float32 = {tensor.buffer for tensor in file.subgraphs[0].tensors if tensor.type == schema.TensorType.FLOAT32}
    stored = sum(len(file.buffers[index].data) for index in float32 if file.buffers[index].data is not None)
    # The converter stores equal tensors once: version 2 has two convolutions of 16 channels whose bias is zero.
    shared = {1: 0, 2: 4 * 16}[version]
    assert zoo.card(spec).float32_bytes == stored + shared


def test_int8_weights_have_a_byte_each_and_biases_four():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, use_bias=False)(image)  # 108 weights, 4 biases from the normalisation
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.BatchNormalization()(x)  # cannot be folded: 8 numbers
    x = layers.Flatten()(x)
    x = layers.Dense(2)(x)  # 288 weights, 2 biases
    assert graph.weight_bytes(keras.Model(image, x)) == (4 * (108 + 4 + 8 + 288 + 2), 108 + 8 + 288 + 4 * 6)


def test_a_card_counts_layers_and_parameters():
    card = zoo.card("resnet20")
    assert card.layers == zoo.Layers(convolutional=19, dense=1, normalisation=19, other=35)
    assert card.parameters == 269_722
    assert (card.name, card.task, card.family, card.classes) == ("resnet20", "classify", "resnet", 10)
    assert "1512.03385" in card.paper
    model = zoo.build("resnet20", input_shape=(32, 32, 3), classes=10)
    assert sum(dataclasses.astuple(card.layers)) == len(model.layers) - 1


def test_a_card_of_other_sizes_and_of_a_changed_spec():
    small = zoo.card("resnet8", input_shape=(16, 16, 1), classes=2)
    assert small.macs < zoo.card("resnet8").macs / 3.9
    assert small.input_shape == (16, 16, 1)
    narrow = zoo.card(dataclasses.replace(zoo.spec("resnet8"), width=8))
    assert narrow.name == narrow.family == "resnet"
    for wrong in ({"classes": 0}, {"input_shape": ()}):
        with pytest.raises(zoo.ZooError):
            zoo.card("resnet8", **wrong)


def test_a_card_reads_well():
    card = zoo.card("resnet8")
    text = str(card)
    assert "resnet8" in text
    assert f"{card.parameters:,}" in text
    assert "recurrent" not in text
    lines = card.markdown().splitlines()
    assert lines[1] == "| --- | --- |"
    assert all(line.count("|") == 3 for line in lines)
