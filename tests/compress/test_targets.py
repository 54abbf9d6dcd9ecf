"""Number formats that targets lack, and operators of the GPU delegate."""

import keras
import numpy as np
import pytest

import compress
from compress import convert
from compress.targets import limits

layers = keras.layers


def dense():
    return keras.Sequential([keras.Input((4,)), layers.Dense(2, name="dense")], name="network")


@pytest.mark.parametrize(
    ("target", "quantize", "message"),
    [
        ("gpu", "int8", "give quantize='float16' or 'none'"),
        ("edgetpu", "none", "give quantize='int8'"),
        ("microcontroller", "dynamic", "does not compute in 'dynamic'"),
        ("toaster", "int8", r"'toaster' is none of 'cpu', .*'gpu'"),
    ],
)
def test_a_format_that_the_target_lacks_is_refused(target, quantize, message, tmp_path):
    with pytest.raises(compress.CompressError, match=message):
        compress.export(dense(), tmp_path / "m.tflite", quantize=quantize, target=target)


def test_preflight_names_the_format_too():
    (found,) = compress.preflight(dense(), quantize="int8", target="gpu")
    assert (found.layer, found.severity, found.advice) == ("network", "refused", "give quantize='float16' or 'none'")


def test_one_model_a_file_where_there_is_room_for_no_other(tmp_path):
    with pytest.raises(compress.CompressError, match="runs one model a file; export 'other' by itself"):
        compress.export(
            dense(),
            tmp_path / "m.tflite",
            calibration=[np.ones((1, 4))],
            target="edgetpu",
            signatures={"other": dense()},
        )


def test_the_gpu_takes_half_precision_and_has_no_recurrent_layer(tmp_path):
    assert compress.export(dense(), tmp_path / "m.tflite", quantize="float16", target="gpu").target == "gpu"
    model = keras.Sequential([keras.Input((5, 3)), layers.LSTM(4, name="memory"), layers.Dense(2)])
    (found,) = compress.preflight(model, quantize="float16", target="gpu")
    assert (found.layer, found.severity) == ("memory", "refused")
    (found,) = limits(convert.to_float(model), model, "gpu")
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in found.problem


@keras.saving.register_keras_serializable(package="edgezoo_tests")
class Counter(keras.layers.Layer):
    """Sets a variable at each call, by an operator that gives nothing."""

    def build(self, input_shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

    def call(self, x):
        self.count.assign(self.count + 1.0)
        return x * self.count


def test_operators_without_an_output_are_named_too(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3)(Counter(name="counter")(inputs)))
    with pytest.raises(compress.CompressError, match="'counter': the GPU delegate has no operator ASSIGN_VARIABLE"):
        compress.export(model, tmp_path / "m.tflite", quantize="none", target="gpu")
