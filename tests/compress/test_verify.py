import os

import keras
import numpy as np
import pytest

import compress

layers = keras.layers


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A float file, which answers as the model does, and inputs labelled by the model's own answers."""
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(4)])
    x = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    artifact = compress.export(model, tmp_path_factory.mktemp("files") / "m.tflite", quantize="none")
    return model, artifact, x, model.predict(x, verbose=0).argmax(axis=1)


def test_equal_models_agree(exported):
    model, artifact, x, y = exported
    seen = compress.verify(artifact, model, [(x[:30], y[:30]), (x[30:], y[30:])])
    assert (seen.samples, seen.agreement, seen.keras_score, seen.lite_score, seen.drop) == (40, 1.0, 1.0, 1.0, 0.0)
    assert seen.max_difference < 1e-5 and seen.mean_difference <= seen.max_difference
    assert seen.latency_ms > 0 and (seen.bytes, seen.gzip_bytes) == (artifact.bytes, artifact.gzip_bytes)
    assert (seen.ops, seen.float_tensors) == (artifact.ops, artifact.float_tensors)
    assert (seen.densified, seen.undelegated, seen.threads) == ((), {}, os.cpu_count())
    assert seen.threads_latency_ms > 0 and (seen.peak_bytes is None or seen.peak_bytes > seen.bytes)


def test_another_model_is_found_out(exported):
    model, artifact, x, y = exported
    other = keras.models.clone_model(model)
    weights = model.get_weights()
    weights[-1] = weights[-1] + np.array([0.0, 100.0, 0.0, 0.0])  # always answers 1
    other.set_weights(weights)
    seen = compress.verify(artifact, other, [(x, y)])
    share = float(np.mean(y == 1))
    assert seen.agreement == pytest.approx(share) and seen.keras_score == pytest.approx(share)
    assert seen.lite_score == 1.0 and seen.drop == pytest.approx(share - 1.0)
    assert seen.max_difference == pytest.approx(100.0, rel=1e-4)
    assert seen.mean_difference == pytest.approx(25.0, rel=1e-4)


def test_measure_is_the_callers(exported):
    model, artifact, x, y = exported
    calls = []

    def measure(outputs, labels):
        calls.append((outputs.shape, labels.shape))
        return 7.0 + len(calls)

    seen = compress.verify(artifact.path, model, iter([(x[:30], y[:30]), (x[30:], y[30:])]), measure=measure)
    assert calls == [((40, 4), (40,))] * 2
    assert (seen.keras_score, seen.lite_score, seen.drop) == (8.0, 9.0, -1.0)


def test_it_never_passes_without_looking(exported):
    model, artifact, x, y = exported
    wide = keras.Sequential([keras.Input((6,)), layers.Dense(5)])
    broken = keras.models.clone_model(model)
    broken.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    for file, against, batches, message in (
        (artifact, model, [], "no example"),
        (artifact, model, [(x[:0], y[:0])], "no example"),
        (artifact, model, [(x, y[:-1])], "40 inputs and 39 labels"),
        (artifact, wide, [(x, y)], "not of this model"),
        (artifact, broken, [(x, y)], "NaN"),
        (artifact, model, [(x[:, :3], y)], r"takes shape \(None, 6\); got \(40, 3\)"),
        (artifact.path.with_name("none.tflite"), model, [(x, y)], "cannot be read"),
    ):
        with pytest.raises(compress.CompressError, match=message):
            compress.verify(file, against, batches)


def test_accuracy_by_hand():
    outputs = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    assert compress.accuracy(outputs, np.array([1, 0, 0, 1])) == 0.5
