"""Batches that do not fit are refused in the same words, wherever they are given."""

import keras
import numpy as np
import pytest

import compress
from compress.batches import arranged, by_name

layers = keras.layers


def two(structure=list):
    keras.utils.set_random_seed(0)
    image, series = keras.Input((4, 4, 1), name="image"), keras.Input((6,), name="series")
    x = layers.Concatenate()([layers.Flatten()(layers.Conv2D(2, 3, name="conv")(image)), series])
    inputs = [image, series] if structure is list else {"z": image, "a": series}
    return keras.Model(inputs, layers.Dense(3, name="head")(x), name="two")


@pytest.fixture
def good(rng):
    return [rng.normal(size=(8, 4, 4, 1)).astype(np.float32), rng.normal(size=(8, 6)).astype(np.float32)]


MISTAKES = {
    "one of two": (lambda a, b: a, "two' has the inputs image, series.*got a single one"),
    "three of two": (lambda a, b: [a, b, b], "has the inputs image, series.*got 3"),
    "wrong names": (lambda a, b: {"image": a, "serie": b}, "has the inputs image, series; got image, serie"),
    "swapped": (lambda a, b: [b, a], r"input 'image' takes shape \(None, 4, 4, 1\); got \(8, 6\)"),
    "wrong shape": (lambda a, b: [a, b[:, :5]], r"input 'series' takes shape \(None, 6\); got \(8, 5\)"),
    "one example": (lambda a, b: [a[0], b[0]], r"got \(4, 4, 1\); the first axis counts the examples"),
    "nan": (lambda a, b: [a, np.full_like(b, np.nan)], "input 'series' has NaN"),
    "no example": (lambda a, b: [a[:0], b[:0]], r"input 'image' has no example: its shape is \(0, 4, 4, 1\)"),
    "lengths": (lambda a, b: [a, b[:3]], r"differ in length \(image 8, series 3\)"),
    "words": (lambda a, b: [a, "series"], "input 'series' takes an array of float32; got str"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_does_not_fit_is_named(name, good):
    make, message = MISTAKES[name]
    with pytest.raises(compress.CompressError, match="here: .*" + message):
        by_name(two(), make(*good), place="here")


def test_all_who_take_batches_say_so(good, tmp_path):
    model, bad = two(), [good[0], good[1][:, :5]]
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for call in (
        lambda batch: compress.quantize_aware(model, calibration=[good, batch]),
        lambda batch: compress.quantize_aware(model, calibration=[good, batch], ranges="mse"),
        lambda batch: compress.export(model, tmp_path / "m.tflite", calibration=[good, batch]),
        lambda batch: compress.sensitivity(model, calibration=[good, batch]),
        lambda batch: compress.verify(artifact, model, [(good, np.zeros(8)), (batch, np.zeros(8))]),
        lambda batch: compress.plan_channels(
            model, importance="taylor", calibration=[(good, np.zeros(8)), (batch, np.zeros(8))], loss=loss
        ),
    ):
        with pytest.raises(compress.CompressError, match=r"batch 1: input 'series' takes shape \(None, 6\)"):
            call(bad)
    with pytest.raises(compress.CompressError, match="batch 0 is no pair"):
        compress.verify(artifact, model, [good[0]])


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_a_dict_of_other_keys_goes_by_either(good, tmp_path):
    model = two(dict)
    expected = model.predict({"z": good[0], "a": good[1]}, verbose=0)
    for batch in ({"z": good[0], "a": good[1]}, {"image": good[0], "series": good[1]}, good[::-1]):
        arrays = by_name(model, batch, place="here")
        np.testing.assert_array_equal(model.predict_on_batch(arranged(model, arrays)), expected)
    artifact = compress.export(model, tmp_path / "m.tflite", quantize="none")
    seen = compress.verify(artifact, model, [({"z": good[0], "a": good[1]}, expected.argmax(-1))])
    assert seen.max_difference < 1e-5 and seen.keras_score == 1.0


def test_tokens_are_whole_numbers():
    tokens = keras.Input((3,), dtype="int32", name="tokens")
    model = keras.Model(tokens, layers.Flatten()(layers.Embedding(5, 2)(tokens)))
    assert by_name(model, np.ones((2, 3)), place="here")["tokens"].dtype == np.int32
    with pytest.raises(compress.CompressError, match=r"'tokens' takes int32; got float64 such as 0\.5"):
        by_name(model, np.full((2, 3), 0.5), place="here")
