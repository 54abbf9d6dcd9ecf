"""Files in TFLite Micro: the same integers as LiteRT, the arena they need, and what it cannot run."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import compress
import zoo
from compress import flatbuffer
from compress.targets import MICRO_OPS, limits

pytest.importorskip("tflite_micro")
layers = keras.layers


def model_of(*chain, shape=(8, 8, 3)):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    x = inputs
    for layer in chain:
        x = layer(x)
    return keras.Model(inputs, x, name="network")


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def integers(port, count):
    return np.random.default_rng(1).integers(-128, 128, (count, *port.shape[1:]), dtype=np.int8)


@pytest.fixture(scope="module")
def convolutions(tmp_path_factory):
    model = model_of(
        layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.ReLU(6.0),
        layers.Conv2D(6, 1),
        layers.GlobalAveragePooling2D(),
        layers.Softmax(),
    )
    path = tmp_path_factory.mktemp("files") / "m.tflite"
    return compress.export(model, path, calibration=[normal(16, 8, 8, 3)], target="microcontroller")


def test_the_integers_are_those_of_the_reference_kernels(convolutions):
    x = integers(convolutions.input, 64)
    ours = compress.MicroModel(convolutions.path).predict_raw(x)
    assert ours.dtype == np.int8 and len(np.unique(ours)) > 10
    np.testing.assert_array_equal(ours, compress.LiteModel(convolutions.path, reference=True).predict_raw(x))


def test_bytes_and_path_answer_in_real_values_alike(convolutions):
    x = normal(3, 8, 8, 3)
    ours = compress.run_micro(convolutions.path.read_bytes(), x)
    np.testing.assert_array_equal(ours, compress.run_micro(convolutions.path, x))
    np.testing.assert_allclose(ours, compress.LiteModel(convolutions.path).predict(x), atol=2.1 / 256)


def test_wrong_inputs_are_refused(convolutions):
    with pytest.raises(compress.CompressError, match=r"takes int8 .* got float32"):
        compress.MicroModel(convolutions.path).predict_raw(normal(1, 8, 8, 3))


def test_the_arena_is_the_least_that_it_starts_in(convolutions):
    code = (
        "import sys; from tflite_micro import runtime;"
        "runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2]))"
    )
    ended = [
        subprocess.run([sys.executable, "-c", code, convolutions.path, str(size)], capture_output=True).returncode
        for size in (convolutions.arena_bytes, convolutions.arena_bytes - 1024)
    ]
    assert ended[0] == 0 and ended[1] != 0
    # Its largest tensor, the first convolution's input or output, is the least of what it must hold.
    assert 4 * 4 * 8 + 8 * 8 * 3 < convolutions.arena_bytes < 64 * 1024


def test_verify_reports_a_keyword_spotter(tmp_path):
    keras.utils.set_random_seed(0)
    model = zoo.build("mlperf_ds_cnn", input_shape=(49, 10, 1), classes=12)
    x = normal(32, 49, 10, 1)
    artifact = compress.export(model, tmp_path / "m.tflite", calibration=[x], target="microcontroller")
    seen = compress.verify(artifact, model, [(x, np.zeros(32))])
    assert artifact.target == "microcontroller" and artifact.float_tensors == ()
    assert seen.micro.samples == 32 and seen.micro.arena_bytes == artifact.arena_bytes
    # Its Dense layer alone may differ: TFLite Micro's FULLY_CONNECTED rounds halves otherwise.
    assert seen.micro.same >= 0.97 and seen.micro.max_steps <= 2


def test_an_lstm_is_reset_before_each_series(tmp_path):
    model = model_of(layers.LSTM(8, return_sequences=True), shape=(6, 4))
    artifact = compress.export(model, tmp_path / "m.tflite", calibration=[normal(16, 6, 4)], target="microcontroller")
    x = integers(artifact.input, 8)
    ours, again = compress.MicroModel(artifact.path), compress.MicroModel(artifact.path)
    forth, back = ours.predict_raw(x), again.predict_raw(x[::-1])[::-1]
    np.testing.assert_array_equal(forth, back)
    theirs = compress.LiteModel(artifact.path).predict_raw(x).astype(int)
    assert np.abs(forth - theirs).max() <= 3 and np.ptp(theirs) > 50


def test_kernels_of_four_bits_run(tmp_path):
    model = model_of(layers.Conv2D(8, 3, activation="relu"), layers.DepthwiseConv2D(3), layers.Conv2D(4, 1))
    small = compress.quantize_aware(model, calibration=[normal(16, 8, 8, 3)], bits=4)
    artifact = compress.export(small, tmp_path / "m.tflite", target="microcontroller")
    inside = flatbuffer.unpack(artifact.path.read_bytes(), origin="the file").subgraphs[0]
    assert sum(tensor.type == schema.TensorType.INT4 for tensor in inside.tensors) == 3
    x = integers(artifact.input, 32)
    ours = compress.MicroModel(artifact.path).predict_raw(x)
    np.testing.assert_array_equal(ours, compress.LiteModel(artifact.path, reference=True).predict_raw(x))


def test_a_gru_is_written_out(tmp_path):
    model, x = model_of(layers.GRU(32, name="gru"), shape=(2, 2)), normal(16, 2, 2)
    assert compress.preflight(model, target="microcontroller", trial=False) == ()
    artifact = compress.export(model, tmp_path / "m.tflite", calibration=[x], target="microcontroller")
    assert "WHILE" not in artifact.ops and artifact.arena_bytes
    looped = compress.export(model, tmp_path / "n.tflite", calibration=[x]).path.read_bytes()
    (found,) = limits(looped, model, "microcontroller")
    assert found.layer == "gru" and "no FULLY_CONNECTED of int8 weights over floats" in found.problem
    with pytest.raises(compress.CompressError, match=r"does not run in TFLite Micro: .*FULLY_CONNECTED"):
        compress.MicroModel(looped)


def test_an_operator_that_is_not_there_is_named_with_its_layer():
    model = model_of(layers.Activation("gelu", name="bend"), shape=(6,))
    (found,) = compress.preflight(model, target="microcontroller")
    assert (found.layer, found.severity, found.advice) == ("bend", "refused", "take ReLU") and "GELU" in found.problem


def test_without_the_package_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    model = model_of(layers.Flatten())
    with pytest.raises(compress.CompressError, match=r'pip install "edgezoo\[micro\]"'):
        compress.export(model, tmp_path / "m.tflite", quantize="none", target="microcontroller")
    (found,) = compress.preflight(model, target="microcontroller")
    assert (found.severity, found.advice) == ("refused", 'pip install "edgezoo[micro]"')


ASK = """
import os, sys, tempfile
import flatbuffers
from tflite_micro import runtime
from ai_edge_litert import schema_py_generated as schema

def file(code):
    model, graph, operator, opcode = schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT()
    opcode.builtinCode, opcode.deprecatedBuiltinCode, opcode.version = code, min(code, 127), 1
    graph.tensors = [schema.TensorT(), schema.TensorT()]
    for tensor in graph.tensors:
        tensor.shape, tensor.type, tensor.buffer = [1, 4], schema.TensorType.INT8, 0
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [opcode], [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())

for name, code in vars(schema.BuiltinOperator).items():
    if not isinstance(code, int) or name == "CUSTOM":
        continue
    with tempfile.TemporaryFile() as said:
        child = os.fork()  # it may end at an operator without its options, which it knows then
        if not child:
            os.dup2(said.fileno(), 2)
            try:
                runtime.Interpreter.from_bytes(file(code), arena_size=100_000)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        said.seek(0)
        if b"Didn't find op" not in said.read():
            print(name)
"""


@pytest.mark.slow
def test_the_table_is_what_the_interpreter_registers():
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, check=True, text=True)
    registered = set(done.stdout.split())
    assert registered >= MICRO_OPS, "an operator of the table is gone"
    assert "CONV_2D" in registered and "GELU" not in registered


def test_inputs_of_different_lengths_are_refused(tmp_path):
    one, two = keras.Input((3,), name="one"), keras.Input((3,), name="two")
    model = keras.Model([one, two], keras.layers.Add()([one, two]))
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none", target="microcontroller")
    with pytest.raises(compress.CompressError, match="differ in length"):
        compress.MicroModel(artifact.path).run_raw(
            {"one": np.ones((4, 3), "float32"), "two": np.ones((2, 3), "float32")}
        )
