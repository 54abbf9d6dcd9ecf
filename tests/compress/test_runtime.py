import sys

import keras
import numpy as np
import pytest

import compress
from compress import convert, flatbuffer, runtime

layers = keras.layers


def exported(path, *stack, shape=(8, 8, 4)):
    x = inputs = keras.Input(shape)
    for layer in stack:
        x = layer(x)
    return compress.export(keras.Model(inputs, x), path, quantize="none")


def running_sum(x):
    return keras.ops.cumsum(x, axis=1) + x


def test_operators_that_xnnpack_leaves_are_named(tmp_path):
    inside = exported(tmp_path / "a.tflite", layers.Conv2D(8, 3), running_sum, layers.Conv2D(4, 3), running_sum)
    assert inside.ops["CUMSUM"] == 2 and len(inside.ops) > 1
    assert compress.LiteModel(inside.path).undelegated() == {"CUMSUM": 2}
    whole = exported(tmp_path / "b.tflite", layers.Conv2D(8, 3, activation="relu"), layers.Conv2D(4, 3))
    assert compress.LiteModel(whole.path).undelegated() == {}
    assert compress.LiteModel(whole.path, reference=True).undelegated() == whole.ops


def test_every_thread_gives_the_same_answer(tmp_path):
    artifact = exported(tmp_path / "m.tflite", layers.Conv2D(8, 3), layers.Conv2D(4, 3))
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 4)).astype(np.float32)
    one, two = (compress.LiteModel(artifact.path, threads=threads) for threads in (1, 2))
    np.testing.assert_allclose(one.predict(x), two.predict(x), atol=1e-5)
    assert one.median_ms() > 0


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not say the peak of a process")
def test_the_peak_holds_the_activations(tmp_path):
    small = exported(tmp_path / "a.tflite", layers.MaxPooling2D(2))
    large = exported(tmp_path / "b.tflite", layers.MaxPooling2D(2), shape=(1024, 1024, 8))
    fed = 4 * 1024 * 1024 * 8
    grown = runtime.peak_bytes(large.path) - runtime.peak_bytes(small.path)
    assert 1.25 * fed < grown < 2.5 * fed  # what goes in, a quarter of it that comes out, and what the kernel needs


def test_a_file_that_does_not_run_is_said(tmp_path):
    (tmp_path / "m.tflite").write_bytes(b"\0\0\0\0TFL3 rubbish")
    with pytest.raises(compress.CompressError, match="does not run in a process of its own"):
        runtime.peak_bytes(tmp_path / "m.tflite")


def test_sparse_weights_made_dense_are_named():
    import tensorflow as tf

    inputs = keras.Input((256,))
    layer = layers.Dense(256, use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=(256, 256)) * (rng.random((256, 256)) < 0.1)])

    def settings(converter):
        converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]

    content = convert._convert(model, settings)
    assert len(flatbuffer.made_by(content, "DENSIFY")) == flatbuffer.inspect(content).ops["DENSIFY"] == 1
    assert flatbuffer.made_by(convert.to_float(model), "DENSIFY") == ()


def test_the_time_of_a_run_is_the_mean_of_enough_of_them(monkeypatch):
    now, runs = [0], []

    class File:
        def invoke(self):
            runs.append(now[0])
            now[0] += 3_000_000

    monkeypatch.setattr(runtime.time, "thread_time_ns", lambda: now[0])
    assert runtime.processor_ms(File()) == 3.0
    assert len(runs) == 1 + 2 + 4  # 3, 6, 12 ms
    assert runtime.ratio(File(), File(), rounds=3) == 1.0
