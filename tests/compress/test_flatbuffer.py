import keras
import numpy as np
import pytest

import compress
from compress import flatbuffer

layers = keras.layers


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    inputs = keras.Input((8, 8, 3), name="picture")
    x = layers.ReLU()(layers.Conv2D(4, 3)(inputs))
    x = layers.Conv2D(4, 3, padding="same")(x)
    model = keras.Model(inputs, layers.Dense(5)(layers.Flatten()(x)))
    x = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype(np.float32)
    small = compress.quantize_aware(model, calibration=[x])
    return compress.export(small, tmp_path_factory.mktemp("files") / "m.tflite").path


def test_reads_operators_and_ports(file):
    contents = flatbuffer.inspect(flatbuffer.load(file))
    assert contents.ops == {"CONV_2D": 2, "RESHAPE": 1, "FULLY_CONNECTED": 1}
    assert next(iter(contents.ops)) == "CONV_2D"
    assert contents.float_tensors == ()
    (entry,), (exit_,) = contents.inputs, contents.outputs
    assert (entry.name, entry.dtype, entry.shape) == ("picture", "int8", (1, 8, 8, 3)) and entry.scale > 0
    assert (exit_.dtype, exit_.shape) == ("int8", (1, 5))


def test_equals_what_the_interpreter_says(file):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file))
    contents = flatbuffer.inspect(flatbuffer.load(file))
    for port, detail in (
        (contents.inputs[0], interpreter.get_input_details()[0]),
        (contents.outputs[0], interpreter.get_output_details()[0]),
    ):
        assert (port.scale, port.zero_point) == pytest.approx(detail["quantization"])
        assert port.dtype == np.dtype(detail["dtype"]).name
        assert port.shape == tuple(detail["shape"])


def test_rubbish_is_refused_in_one_sentence(file, tmp_path):
    good = file.read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "bad.tflite"
    cases = {
        "empty": (b"", "identifier TFL3"),
        "text": (b"this is no model" * 10, "identifier TFL3"),
        "header": (good[:8], "truncated or damaged"),
        "half": (good[: len(good) // 2], "truncated or damaged"),
        "most": (good[:-800], "truncated or damaged"),
        "noise": (good[:8] + rng.bytes(4000), "truncated or damaged"),
        "zeros": (good[:8] + bytes(4000), "truncated or damaged"),
    }
    for name, (content, message) in cases.items():
        path.write_bytes(content)
        with pytest.raises(compress.CompressError, match=message) as caught:
            compress.LiteModel(path)
        assert "\n" not in str(caught.value) and "bad.tflite" in str(caught.value), name


def test_a_cut_anywhere_is_refused(file, tmp_path):
    good = file.read_bytes()
    path = tmp_path / "cut.tflite"
    for end in np.linspace(0, len(good) - 1, 40).astype(int):
        path.write_bytes(good[:end])
        with pytest.raises(compress.CompressError):
            compress.LiteModel(path)


def test_missing_file_and_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.tflite", tmp_path):
        with pytest.raises(compress.CompressError, match="cannot be read"):
            compress.LiteModel(path)
