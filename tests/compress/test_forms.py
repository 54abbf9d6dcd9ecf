"""Number formats after training: what lies in the file, and what it answers."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import compress
from compress import flatbuffer

layers = keras.layers
TYPES = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}


def types(path):
    """`{operator: (of its input, of its kernel, of its bias, of its output)}` in the main graph; the last of a kind."""
    model = flatbuffer.unpack(path.read_bytes(), origin="the file")
    graph, found = model.subgraphs[0], {}
    for operator in graph.operators:
        indices = [*operator.inputs, *operator.outputs]
        found[flatbuffer.name_of(model, operator)] = tuple(TYPES[graph.tensors[index].type] for index in indices)
    return found


def constants(path):
    """How many tensors of each type lie in the main graph with two axes or more: kernels and tables."""
    model = flatbuffer.unpack(path.read_bytes(), origin="the file")
    kernels = [
        TYPES[tensor.type]
        for tensor in model.subgraphs[0].tensors
        if tensor.shape is not None and len(tensor.shape) > 1 and model.buffers[tensor.buffer].data is not None
    ]
    return {name: kernels.count(name) for name in sorted(set(kernels))}


@pytest.fixture(scope="module")
def net(digits):
    """Trained on digits: convolution, depthwise convolution, Dense and softmax."""
    x, y, _, _ = digits
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    h = layers.Conv2D(16, 3, padding="same", activation="relu", name="first")(inputs)
    h = layers.ReLU()(layers.DepthwiseConv2D(3, strides=2, padding="same", name="depthwise")(h))
    h = layers.Dense(48, activation="relu", name="hidden")(layers.Flatten()(h))
    model = keras.Model(inputs, layers.Dense(10, activation="softmax", name="head")(h))
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=64, epochs=8, verbose=0)
    return model


@pytest.mark.parametrize(
    ("quantize", "kernels", "agreement"),
    [
        ("weights8", {"INT8": 4}, 0.995),
        ("weights4", {"INT4": 3, "INT8": 1}, 0.95),
        ("dynamic4", {"INT4": 3, "INT8": 1}, 0.95),
        ("int16x8", {"INT8": 4}, 0.995),
    ],
)
def test_each_form_holds_its_integers_and_answers_as_keras_does(net, digits, quantize, kernels, agreement, tmp_path):
    x, _, test_x, test_y = digits
    artifact = compress.export(net, tmp_path / "m.tflite", quantize=quantize, calibration=[x[:256]])
    assert constants(artifact.path) == kernels
    seen = compress.verify(artifact, net, [(test_x, test_y)])
    assert seen.agreement >= agreement and seen.keras_score > 0.9 and artifact.quantize == quantize
    whole = quantize == "int16x8"
    assert artifact.input.dtype == artifact.output.dtype == ("int16" if whole else "float32")
    assert (artifact.float_tensors == ()) == whole
    # Weights alone are restored before a float kernel; a dynamic file's kernels take integer weights.
    assert ("DEQUANTIZE" in artifact.ops) == quantize.startswith("weights")


def test_activations_of_16_bits_have_no_zero_point_and_biases_of_64_bits(net, digits, tmp_path):
    x = digits[0][:256]
    artifact = compress.export(net, tmp_path / "m.tflite", quantize="int16x8", calibration=[x])
    for operator in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        assert types(artifact.path)[operator] == ("INT16", "INT8", "INT64", "INT16")
    np.testing.assert_allclose(artifact.input.scale, x.max() / 32767, rtol=1e-4)
    assert artifact.input.zero_point == artifact.output.zero_point == 0
    assert artifact.output.scale == 1 / 32768  # LiteRT's, of a softmax


def made(net, digits, path, quantize):
    """Bytes, and mean difference from Keras."""
    artifact = compress.export(net, path, quantize=quantize, calibration=[digits[0][:256]])
    return artifact.bytes, compress.verify(artifact, net, [digits[2:]]).mean_difference


def test_fewer_bits_make_a_smaller_file(net, digits, tmp_path):
    sizes = {form: made(net, digits, tmp_path / "m.tflite", form) for form in ("none", "weights8", "weights4")}
    kernel = 4 * 4 * 16 * 48  # of `hidden`, by far the largest
    assert sizes["weights8"][0] < sizes["none"][0] - 2.5 * kernel
    assert sizes["weights4"][0] < sizes["weights8"][0] - 0.4 * kernel
    assert sizes["weights8"][1] < sizes["weights4"][1] / 4


@pytest.mark.slow
def test_finer_activations_make_a_closer_file(net, digits, tmp_path):
    drift = {form: made(net, digits, tmp_path / "m.tflite", form)[1] for form in ("int8", "int16x8")}
    assert drift["int16x8"] < drift["int8"] / 2


@pytest.mark.parametrize(
    "quantize", ["weights4", *(pytest.param(n, marks=pytest.mark.slow) for n in ("weights8", "dynamic4"))]
)
def test_a_table_is_read_row_by_row(quantize, rng, tmp_path):
    tokens = keras.Input((7,), dtype="int32")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(50, 16, name="table")(tokens))
    model = keras.Model(tokens, layers.Dense(3)(x))
    artifact = compress.export(model, tmp_path / "m.tflite", quantize=quantize)
    x = rng.integers(0, 50, size=(16, 7)).astype(np.int32)
    bits = "INT8" if quantize == "weights8" else "INT4"
    assert types(artifact.path)["EMBEDDING_LOOKUP"][1] == bits  # the table itself, not what DEQUANTIZE makes of it
    difference = np.abs(compress.LiteModel(artifact.path).predict(x) - model.predict(x, verbose=0))
    assert difference.max() < (2e-3 if bits == "INT8" else 3e-2)


@pytest.mark.parametrize("layer", [layers.LSTM, layers.GRU])
@pytest.mark.slow
def test_recurrent_layers_are_loops_of_small_weights(layer, rng, tmp_path):
    model = keras.Sequential([keras.Input((6, 5)), layer(8, name="memory"), layers.Dense(3)])
    x = rng.normal(size=(16, 6, 5)).astype(np.float32)
    for quantize, tolerance in (("weights8", 0.02), ("weights4", 0.3), ("int16x8", 0.02)):
        artifact = compress.export(model, tmp_path / "m.tflite", quantize=quantize, calibration=[x])
        assert "WHILE" in artifact.ops
        np.testing.assert_allclose(
            compress.LiteModel(artifact.path).predict(x), model.predict(x, verbose=0), atol=tolerance
        )
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="int16x8", calibration=[x], target="integer")
    assert artifact.float_tensors == ()


def test_preflight_says_that_an_lstm_has_no_16_bits():
    model = keras.Sequential([keras.Input((6, 5)), layers.LSTM(8, name="memory"), layers.Dense(3)])
    (found,) = compress.preflight(model, quantize="int16x8", trial=False)
    assert (found.layer, found.severity) == ("memory", "float") and "no activations of 16 bits" in found.problem
    assert compress.preflight(model, quantize="int8", trial=False) == ()


@pytest.mark.parametrize(
    ("target", "quantize"),
    [("microcontroller", "int16x8"), ("edgetpu", "int16x8"), ("edgetpu", "weights8"), ("gpu", "weights4")],
)
def test_targets_refuse_what_they_lack(net, target, quantize, tmp_path):
    with pytest.raises(compress.CompressError, match=f"{target!r} does not compute in {quantize!r}"):
        compress.export(net, tmp_path / "m.tflite", quantize=quantize, target=target)


def test_integers_of_16_bits_want_a_calibration_too(net, tmp_path):
    with pytest.raises(compress.CompressError, match="int16x8 after training needs calibration="):
        compress.export(net, tmp_path / "m.tflite", quantize="int16x8")
