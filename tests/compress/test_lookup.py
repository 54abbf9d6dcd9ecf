import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import compress
from compress import convert, flatbuffer
from compress.lookup import look_up

layers = keras.layers
ROWS, WIDTH = 400, 24


def table(rng):
    """Rows of very different size: a scale for the whole table would round the small ones to nothing."""
    rows = rng.normal(size=(ROWS, WIDTH)) * np.geomspace(1e-3, 10, ROWS)[:, np.newaxis]
    return rows.astype("float32")


def embedding(rng, shape=(), dtype="int32"):
    inputs = keras.Input(shape, dtype=dtype, name="tokens")
    model = keras.Model(inputs, layers.Embedding(ROWS, WIDTH, name="embedding")(inputs))
    model.get_layer("embedding").set_weights([table(rng)])
    tokens = rng.integers(0, ROWS, (64, *shape)).astype(dtype)
    return model, tokens


def tables(content):
    """`(dtype, scales, axis)` of each table that EMBEDDING_LOOKUP reads."""
    model = flatbuffer.unpack(content, origin="the file")
    codes = {i for i, c in enumerate(model.operatorCodes) if c.builtinCode == schema.BuiltinOperator.EMBEDDING_LOOKUP}
    found = []
    for graph in model.subgraphs:
        for operator in graph.operators:
            if operator.opcodeIndex in codes:
                tensor = graph.tensors[operator.inputs[1]]
                found.append((tensor.type, tensor.quantization.scale, tensor.quantization.quantizedDimension))
    return found


@pytest.mark.parametrize("shape", [(), (7,), (2, 3)])
def test_dynamic_has_an_int8_table_with_a_scale_for_each_row(shape, rng, tmp_path):
    model, tokens = embedding(rng, shape)
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="dynamic")
    assert artifact.ops["EMBEDDING_LOOKUP"] == 1 and "GATHER" not in artifact.ops
    assert artifact.output.shape == (1, *shape, WIDTH) and artifact.output.dtype == "float32"
    ((dtype, scales, axis),) = tables(artifact.path.read_bytes())
    largest = np.abs(model.get_layer("embedding").get_weights()[0]).max(axis=1)
    assert dtype == schema.TensorType.INT8 and axis == 0
    np.testing.assert_allclose(scales, largest / 127, rtol=1e-5)
    expected = model.predict(tokens, verbose=0)
    error = np.abs(compress.LiteModel(artifact.path).predict(tokens) - expected)
    assert np.all(error <= 0.51 * largest[tokens][..., np.newaxis] / 127)
    assert artifact.bytes < ROWS * (WIDTH + 4 + 8) + 4000  # an int8 row, its scale and its zero point


def test_float16_has_the_table_in_half_precision(rng, tmp_path):
    model, tokens = embedding(rng, (7,))
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="float16")
    assert artifact.bytes < 2 * ROWS * WIDTH + 4000
    expected = model.predict(tokens, verbose=0)
    np.testing.assert_allclose(compress.LiteModel(artifact.path).predict(tokens), expected, rtol=1e-3, atol=1e-7)


def run(content, tokens):
    interpreter, (entry,), (exit_,) = compress.lite.try_out(content, origin="the file")
    answers = []
    for row in tokens:
        interpreter.set_tensor(entry["index"], row[np.newaxis])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(exit_["index"])[0])
    return np.array(answers)


def test_a_float_file_computes_the_same(rng):
    inputs = keras.Input((5,), dtype="int32")
    shared = layers.Embedding(ROWS, WIDTH, mask_zero=True)
    x = layers.Concatenate()([shared(inputs), layers.Embedding(ROWS, 3)(inputs)])
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    tokens = rng.integers(0, ROWS, (16, 5)).astype("int32")
    content = convert.to_float(model)
    changed = look_up(content)
    assert flatbuffer.inspect(content).ops["GATHER"] == flatbuffer.inspect(changed).ops["EMBEDDING_LOOKUP"] == 2
    np.testing.assert_array_equal(run(changed, tokens), run(content, tokens))
    assert look_up(changed) == changed


@keras.saving.register_keras_serializable(package="edgezoo_tests")
class Taken(layers.Layer):
    """Something of `x` by tokens that is no embedding."""

    def __init__(self, axis, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, shapes):
        self.table = self.add_weight(shape=(4, 9), name="table")

    def call(self, inputs):
        tokens, x = inputs
        return keras.ops.take(self.table if self.axis else x, tokens, axis=self.axis)


@pytest.mark.parametrize("axis", [0, 1])
def test_other_gathers_stay(axis):
    """Rows of what is computed; columns of a table."""
    tokens, series = keras.Input((3,), dtype="int32"), keras.Input((4,))
    content = convert.to_float(keras.Model([tokens, series], Taken(axis)([tokens, series])))
    assert "GATHER" in flatbuffer.operators(content)
    assert look_up(content) == content


def test_a_table_that_is_also_a_kernel_lies_in_the_file_once(rng, tmp_path):
    """As in GPT-2, whose logits are products with the embeddings."""
    inputs = keras.Input((6,), dtype="int32")
    embed = layers.Embedding(4000, 32)
    outputs = keras.ops.matmul(embed(inputs), keras.ops.transpose(embed.embeddings))
    model = keras.Model(inputs, outputs)
    tokens = rng.integers(0, 4000, (4, 6)).astype("int32")
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="dynamic")
    assert artifact.bytes < 1.1 * 4000 * (32 + 4 + 8) + 4000
    expected = model.predict(tokens, verbose=0)
    error = np.abs(compress.LiteModel(artifact.path).predict(tokens) - expected)
    assert error.max() < 0.03 * np.ptp(expected)


def test_a_loop_and_a_further_signature_have_it_too(rng, tmp_path):
    model, _ = embedding(rng, (5,))
    x = layers.Dense(3)(layers.GRU(8)(model.output))
    model = keras.Model(model.input, x)
    tokens = rng.integers(0, ROWS, (8, 5)).astype("int32")
    artifact = compress.export(
        model, tmp_path / "m.tflite", calibration=[tokens], stream_steps=1, signatures={"again": model}
    )
    found = tables(artifact.path.read_bytes())
    assert [dtype for dtype, _, _ in found] == [schema.TensorType.INT8] * 2
    again = compress.LiteModel(artifact.path, signature="again").predict(tokens)
    np.testing.assert_allclose(again, model.predict(tokens, verbose=0), atol=0.05)
