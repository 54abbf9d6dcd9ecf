"""Quantization-aware training of every family of the zoo, to a full-int8 file."""

import dataclasses

import keras
import numpy as np
import pytest

import compress
import zoo

IMAGE, SERIES, TEXT = (32, 32, 3), (24, 3), (24,)

# A small variant of each family, what it reads, and changes of its numbers that make it smaller.
FAMILIES = {
    "fcn": (SERIES, {"width": 0.125, "mask": True}),
    "transformer_tiny": (SERIES, {"mask": True}),
    "lstm_fcn": (SERIES, {"width": 0.125}),
    "lstm": (SERIES, {}),
    "mlperf_ds_cnn": ((49, 10, 1), {}),
    "resnet_1d": (SERIES, {"mask": True}),
    "inception_time": (SERIES, {"mask": True, "width": 8}),
    "bert_tiny": (TEXT, {}),
    "gru": (SERIES, {}),
    "alexnet": ((96, 96, 3), {}),
    "vgg11": (IMAGE, {}),
    "inception_v1": (IMAGE, {}),
    "inception_v3": ((96, 96, 3), {}),
    "resnet8": (IMAGE, {}),
    "resnet20v2": (IMAGE, {}),
    "mobilenet_v1_025": (IMAGE, {}),
    "mobilenet_v2_035": (IMAGE, {}),
    "mobilenet_v3_small": (IMAGE, {}),
    "efficientnet_lite0": (IMAGE, {}),
    "unet_tiny": (IMAGE, {}),
}
QUICK = {"fcn", "lstm"}
LOOPS = {"gru"}
"""No operator of integers computes these: WHILE loops of int8 weights."""


def read(model, rng):
    """24 examples of what a model reads; the series end in padding, which is zero."""
    shape = (24, *model.input_shape[1:])
    if not keras.backend.is_float_dtype(model.inputs[0].dtype):
        return rng.integers(1, 100, size=shape)
    x = rng.normal(size=shape).astype(np.float32)
    if len(shape) == 3:
        for example, length in zip(x, np.arange(24) % 16 + 8, strict=True):
            example[length:] = 0
    return x


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]
)
def test_trains_for_a_file_of_integers(name, rng, tmp_path):
    shape, changes = FAMILIES[name]
    keras.utils.set_random_seed(0)
    model = zoo.build(dataclasses.replace(zoo.spec(name), **changes), input_shape=shape, classes=4)
    x = read(model, rng)
    for _ in range(12):
        model(x, training=True)  # statistics of normalisation that fit
    small = compress.quantize_aware(model, calibration=[x])
    assert compress.report(small).float_layers == ()
    artifact = compress.export(small, tmp_path / "m.tflite", calibration=[x])
    assert artifact.input.dtype in ("int8", "int32", "int64")
    assert artifact.output.dtype == "int8"
    if name not in LOOPS:
        assert artifact.float_tensors == ()
    answers, expected = compress.LiteModel(artifact.path).predict(x), small.predict(x, verbose=0)
    # A deep net that has learnt nothing magnifies what rounding leaves; a wrong scale anywhere leaves no likeness.
    assert np.corrcoef(answers.ravel(), expected.ravel())[0, 1] > 0.95
    assert np.corrcoef(expected.ravel(), model.predict(x, verbose=0).ravel())[0, 1] > 0.9
