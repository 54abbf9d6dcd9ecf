import gc
import hashlib
import weakref

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import compress

layers = keras.layers
IMAGE = (8, 8, 6)


def conv(x, filters=4, kernel=3, **options):
    return layers.Conv2D(filters, kernel, padding="same", **options)(x)


def norm_relu(x):
    return layers.ReLU()(layers.BatchNormalization()(x))


def build(case, rng):
    """An untrained model whose biases and norms matter, and inputs for it."""
    shape, make = case
    keras.utils.set_random_seed(1)
    inputs = keras.Input(shape)
    model = keras.Model(inputs, make(inputs))
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
        elif getattr(layer, "use_bias", False):
            *kernels, bias = layer.get_weights()
            layer.set_weights([*kernels, rng.normal(size=bias.shape) * 0.3])
    return model, rng.normal(size=(48, *shape)).astype(np.float32)


def quantized_tensors(path):
    """`{operator: (scales, quantized axis, int8 data)}` of each operator's second input: its weights."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    graph, names = model.subgraphs[0], {v: k for k, v in vars(schema.BuiltinOperator).items()}
    found = {}
    for operator in graph.operators:
        tensor = graph.tensors[operator.inputs[1]] if len(operator.inputs) > 1 else None
        if tensor is not None and tensor.type == schema.TensorType.INT8:
            data = np.frombuffer(model.buffers[tensor.buffer].data.tobytes(), np.int8).reshape(tensor.shape)
            code = names[model.operatorCodes[operator.opcodeIndex].builtinCode]
            found[code] = (np.array(tensor.quantization.scale), tensor.quantization.quantizedDimension, data)
    return found


def test_the_file_holds_a_scale_for_each_channel_of_each_kernel(rng, tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU()(layers.Conv2D(5, 3, name="conv")(inputs))
    x = layers.DepthwiseConv2D(3, use_bias=False, name="depthwise")(x)
    x = layers.Flatten()(layers.ReLU()(layers.BatchNormalization(name="norm")(x)))
    model = keras.Model(inputs, layers.Dense(4, name="dense")(x))
    model.get_layer("norm").set_weights([rng.uniform(0.5, 1.5, 5) for _ in range(4)])
    model.get_layer("depthwise").set_weights([rng.normal(size=(3, 3, 5, 1)) * np.array([1, 5, 0.1, 20, 2])[:, None]])
    small = compress.quantize_aware(model, calibration=[rng.normal(size=(8, 8, 8, 3))])
    found = quantized_tensors(compress.export(small, tmp_path / "m.tflite").path)

    gamma, _, _, variance = model.get_layer("norm").get_weights()
    folded = model.get_layer("depthwise").get_weights()[0][..., 0] * gamma / np.sqrt(variance + 1e-3)
    scales, axis, data = found["DEPTHWISE_CONV_2D"]
    expected = np.abs(folded).max(axis=(0, 1)) / 127
    np.testing.assert_allclose(scales, expected, rtol=1e-5)
    assert axis == 3
    np.testing.assert_array_equal(data[0], np.rint(folded / expected))

    kernel = model.get_layer("conv").get_weights()[0]
    np.testing.assert_allclose(found["CONV_2D"][0], np.abs(kernel).max(axis=(0, 1, 2)) / 127, rtol=1e-5)
    kernel = model.get_layer("dense").get_weights()[0]
    np.testing.assert_allclose(found["FULLY_CONNECTED"][0], [np.abs(kernel).max() / 127], rtol=1e-5)


def test_input_and_output_carry_the_ranges_of_the_model(rng, tmp_path):
    x = rng.uniform(-1, 3, size=(64, 5)).astype(np.float32)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3)])
    small = compress.quantize_aware(model, calibration=[x])
    artifact = compress.export(small, tmp_path / "m.tflite")
    np.testing.assert_allclose(artifact.input.scale, np.ptp(x) / 255, rtol=1e-5)
    assert artifact.input.zero_point == round(-128 - x.min() / artifact.input.scale)
    np.testing.assert_allclose(artifact.output.scale, np.ptp(model.predict(x, verbose=0)) / 255, rtol=1e-4)
    assert artifact.input.shape == (1, 5) and artifact.output.shape == (1, 3)


@pytest.mark.parametrize("layer", ["conv", "depthwise"])
def test_a_channel_of_zeros_answers_with_its_bias(layer, rng, tmp_path):
    x = rng.normal(size=(32, 4, 4, 3)).astype(np.float32)
    layer = layers.Conv2D(3, 1) if layer == "conv" else layers.DepthwiseConv2D(1)
    model = keras.Sequential([keras.Input((4, 4, 3)), layer])
    kernel = rng.normal(size=layer.kernel.shape)
    if isinstance(layer, layers.Conv2D):
        kernel[..., 1] = 0
    else:
        kernel[:, :, 1] = 0
    layer.set_weights([kernel, np.array([0.1, 5.0, -0.2])])
    small = compress.quantize_aware(model, calibration=[x])
    artifact = compress.export(small, tmp_path / "m.tflite")
    out = compress.LiteModel(artifact.path).predict(x)
    np.testing.assert_allclose(out[..., 1], 5.0, atol=artifact.output.scale)
    np.testing.assert_allclose(out, small.predict(x, verbose=0), atol=1.01 * artifact.output.scale)


@keras.saving.register_keras_serializable(package="edgezoo_tests")
class Cosine(layers.Layer):
    """A layer that no quantizer knows."""

    def call(self, inputs):
        return keras.ops.cos(inputs)


def test_a_float_island_is_named(rng, tmp_path):
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, layers.Conv2D(2, 3)(Cosine(name="cosine")(layers.Conv2D(4, 3)(inputs))))
    x = rng.normal(size=(16, 6, 6, 3)).astype(np.float32)
    for each in (model, compress.quantize_aware(model, calibration=[x])):
        artifact = compress.export(each, tmp_path / "m.tflite", calibration=[x])
        assert artifact.ops["COS"] == 1 and artifact.ops["CONV_2D"] == 2
        assert any("cos" in name.lower() for name in artifact.float_tensors)
        assert artifact.input.dtype == artifact.output.dtype == "int8"


@pytest.fixture(scope="module")
def plain():
    rng = np.random.default_rng(3)
    return build((IMAGE, lambda x: layers.Dense(5)(layers.Flatten()(norm_relu(conv(x, 8))))), rng)


@pytest.mark.parametrize(
    ("quantize", "tolerance", "size"), [("none", 1e-5, 1.0), ("float16", 5e-3, 0.75), ("dynamic", 0.1, 0.6)]
)
def test_float_inside(plain, quantize, tolerance, size, tmp_path):
    model, x = plain
    artifact = compress.export(model, tmp_path / "m.tflite", quantize=quantize)
    whole = compress.export(model, tmp_path / "whole.tflite", quantize="none")
    assert artifact.input.dtype == "float32" and artifact.input.scale == 0 and artifact.float_tensors
    assert artifact.bytes <= size * whole.bytes
    np.testing.assert_allclose(
        compress.LiteModel(artifact.path).predict(x), model.predict(x, verbose=0), atol=tolerance
    )


def test_int8_after_training(plain, tmp_path):
    model, x = plain
    artifact = compress.export(model, tmp_path / "m.tflite", calibration=iter([x[:20], x[20:]]))
    assert artifact.float_tensors == () and artifact.input.dtype == artifact.output.dtype == "int8"
    # The ranges are the extremes over all examples.
    np.testing.assert_allclose(artifact.input.scale, np.ptp(x) / 255, rtol=1e-5)
    difference = np.abs(compress.LiteModel(artifact.path).predict(x) - model.predict(x, verbose=0))
    assert difference.max() < 5 * artifact.output.scale


def test_an_operator_that_the_quantizer_lacks_goes_through_the_converter(rng, tmp_path):
    model, x = build((IMAGE, lambda x: layers.LeakyReLU()(conv(x))), rng)
    artifact = compress.export(model, tmp_path / "m.tflite", calibration=[x])
    assert artifact.float_tensors == () and artifact.ops == {"CONV_2D": 1, "LEAKY_RELU": 1}


def test_a_quantization_aware_model_exports_as_float_when_asked(plain, tmp_path):
    model, x = plain
    small = compress.quantize_aware(model, calibration=[x])
    artifact = compress.export(small, tmp_path / "m.tflite", quantize="none")
    expected = compress.strip(small).predict(x, verbose=0)
    np.testing.assert_allclose(compress.LiteModel(artifact.path).predict(x), expected, atol=1e-5)


def test_half_precision_model_exports_in_float32(rng, tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model, x = build((IMAGE, lambda x: layers.Dense(5)(layers.Flatten()(norm_relu(conv(x))))), rng)
        artifact = compress.export(model, tmp_path / "m.tflite", quantize="none")
        whole = compress.export(model, tmp_path / "q.tflite", calibration=[x])
    finally:
        keras.config.set_dtype_policy(before)
    assert artifact.input.dtype == artifact.output.dtype == "float32" and "CAST" not in artifact.ops
    assert whole.float_tensors == ()
    np.testing.assert_allclose(compress.LiteModel(artifact.path).predict(x), model.predict(x, verbose=0), atol=0.02)


def test_several_outputs(rng, tmp_path):
    inputs = keras.Input((6,))
    x = layers.Dense(4, activation="relu")(inputs)
    model = keras.Model(inputs, {"a": layers.Dense(3)(x), "b": layers.Dense(2)(x)})
    small = compress.quantize_aware(model, calibration=[rng.normal(size=(8, 6))])
    assert set(small.output) == {"a", "b"}
    artifact = compress.export(small, tmp_path / "m.tflite")
    assert artifact.float_tensors == ()
    x = rng.normal(size=(3, 6)).astype(np.float32)
    for name, answers in compress.LiteModel(artifact.path).run({artifact.input.name: x}).items():
        np.testing.assert_allclose(answers, small(x)[name], atol=0.1)
    with pytest.raises(compress.CompressError, match="1 inputs and 2 outputs"):
        compress.LiteModel(artifact.path).predict(x)


def test_artifact_describes_the_file(plain, tmp_path):
    model, _ = plain
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none")
    content = artifact.path.read_bytes()
    assert artifact.path == tmp_path / "m.tflite" and artifact.quantize == "none"
    assert artifact.bytes == len(content) and 0 < artifact.gzip_bytes < len(content)
    assert artifact.sha256 == hashlib.sha256(content).hexdigest()
    assert artifact.ops == {"CONV_2D": 1, "RESHAPE": 1, "FULLY_CONNECTED": 1}


def test_nothing_half_written_stays(plain, tmp_path, monkeypatch):
    model, _ = plain
    path = tmp_path / "m.tflite"
    path.write_bytes(b"before")
    monkeypatch.setattr("compress.convert.to_float", lambda model: b"\x00\x00\x00\x00TFL3 rubbish")
    with pytest.raises(compress.CompressError):
        compress.export(model, path, quantize="none")
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    compress.export(model, path, quantize="none")
    assert list(tmp_path.iterdir()) == [path] and path.stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs calibration="),
        ({"calibration": []}, "calibration is empty"),
        ({"calibration": [np.zeros((2, 3, 3, 6))]}, r"got \(2, 3, 3, 6\)"),
        ({"quantize": "int4"}, "'int4' is none of"),
    ],
)
def test_mistakes_are_refused(plain, options, message, tmp_path):
    with pytest.raises(compress.CompressError, match=message):
        compress.export(plain[0], tmp_path / "m.tflite", **options)
    assert not list(tmp_path.iterdir())


def test_open_sizes_and_missing_folders_are_refused(plain, tmp_path):
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(2, 3)])
    with pytest.raises(compress.CompressError, match="needs fixed sizes"):
        compress.export(model, tmp_path / "m.tflite", quantize="none")
    with pytest.raises(compress.CompressError, match="is no folder"):
        compress.export(plain[0], tmp_path / "nowhere" / "m.tflite", quantize="none")


def test_nothing_of_an_export_stays_in_memory(plain, tmp_path):
    model = keras.models.clone_model(plain[0])
    aware = compress.quantize_aware(model, calibration=[plain[1]])
    compress.export(model, tmp_path / "m.tflite", calibration=[plain[1]])
    compress.export(model, tmp_path / "m.tflite", quantize="dynamic")
    compress.export(aware, tmp_path / "m.tflite")
    left = weakref.ref(model), weakref.ref(aware)
    del model, aware
    gc.collect()
    assert [each() for each in left] == [None, None]


def test_size_compressed_is_of_the_file_exported(plain, tmp_path):
    artifact = compress.export(plain[0], tmp_path / "m.tflite", quantize="none")
    artifact.path.write_bytes(artifact.path.read_bytes() + b"\0")
    with pytest.raises(compress.CompressError, match="no longer the file"):
        _ = artifact.gzip_bytes


def test_weights_that_are_no_numbers_are_refused_by_their_layer(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(inputs), name="failed")
    model.get_layer("head").kernel.assign(np.full((3, 2), np.nan))
    with pytest.raises(compress.CompressError, match=r"'failed': head/kernel holds NaN or infinity"):
        compress.export(model, tmp_path / "m.tflite", quantize="none")
    assert list(tmp_path.iterdir()) == []


def test_a_constant_may_be_infinite(tmp_path):
    inputs = keras.Input((3,))
    hidden = keras.layers.BatchNormalization(name="hidden")
    model = keras.Model(inputs, keras.layers.Softmax()(hidden(inputs)))
    hidden.moving_mean.assign([0.0, np.inf, 0.0])
    x = np.ones((1, 3), np.float32)
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none")
    np.testing.assert_allclose(compress.LiteModel(artifact.path).predict(x), model.predict(x, verbose=0), atol=1e-6)


def test_a_look_up_table_is_refused(tmp_path):
    inputs = keras.Input((3,), dtype="int64")
    x = keras.layers.Embedding(5, 4)(keras.layers.IntegerLookup(vocabulary=[7, 8, 9])(inputs))
    with pytest.raises(compress.CompressError, match="looks values up in a table"):
        compress.export(keras.Model(inputs, x), tmp_path / "m.tflite", quantize="none")
