"""Trained networks, from Keras to the file: ResNet v1 and v2 and MobileNetV2 in miniature."""

import keras
import numpy as np
import pytest

import compress
from compress.micro import compare
from compress.wrapper import Compressed


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    return compress.export(trained.quantized, tmp_path_factory.mktemp("files") / "m.tflite")


def test_training_with_fake_quant_keeps_the_accuracy(trained, digits):
    _, _, x, y = digits
    before = trained.float.evaluate(x, y, verbose=0)[1]
    after = trained.quantized.evaluate(x, y, verbose=0)[1]
    assert before > 0.85 and after > before - 0.01


def test_the_file_is_int8_throughout_and_agrees(trained, exported, digits):
    _, _, x, y = digits
    assert exported.float_tensors == () and exported.input.dtype == exported.output.dtype == "int8"
    assert not {"DEQUANTIZE", "BATCH_MATMUL", "MUL"} & set(exported.ops)
    seen = compress.verify(exported, trained.quantized, [(x, y)])
    assert seen.agreement >= 0.99 and abs(seen.drop) <= 0.005
    assert seen.mean_difference <= exported.output.scale


def test_every_convolution_of_the_file_is_one_of_the_model(trained, exported):
    wrapped = sum(isinstance(layer, Compressed) for layer in trained.quantized.layers)
    kernels = sum(exported.ops.get(name, 0) for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"))
    assert kernels == wrapped
    assert compress.report(trained.quantized).float_layers == ()


def test_saves_and_loads_with_zero_difference(trained, exported, digits, tmp_path):
    x = digits[2]
    trained.quantized.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), trained.quantized.predict(x, verbose=0))
    files = (exported, compress.export(again, tmp_path / "again.tflite"))
    np.testing.assert_array_equal(*(compress.LiteModel(file.path).predict(x[:50]) for file in files))


def test_strip_answers_the_same_up_to_rounding(trained, digits):
    x = digits[2]
    plain = compress.strip(trained.quantized)
    expected, got = trained.quantized.predict(x, verbose=0), plain.predict(x, verbose=0)
    assert np.mean(expected.argmax(axis=1) == got.argmax(axis=1)) >= 0.99
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in plain.layers)


def test_post_training_agrees_with_the_float_model(trained, digits, tmp_path):
    train, _, x, y = digits
    artifact = compress.export(trained.float, tmp_path / "m.tflite", calibration=[train[:128]])
    assert artifact.float_tensors == ()
    assert compress.verify(artifact, trained.float, [(x, y)]).agreement >= 0.97


def test_a_microcontroller_gives_the_same_integers(exported, digits):
    pytest.importorskip("tflite_micro")
    seen = compare(exported.path, {exported.input.name: digits[2][:64]})
    assert seen.samples == 64 and seen.same >= 0.98 and seen.max_steps <= 8
    assert 4 * 1024 <= seen.arena_bytes <= 16 * 1024
