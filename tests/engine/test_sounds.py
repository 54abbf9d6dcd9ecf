"""Spectrograms against numpy's Fourier transform and scipy's cosine transform."""

import wave

import numpy as np
import pytest
from scipy.fft import dct
from scipy.io import wavfile

import compress
from recipes.engine import preprocess
from recipes.engine.errors import UserError
from recipes.engine.preprocess import Sounds
from recipes.engine.records import Data
from recipes.engine.results import Examples, Subset

RATE, SAMPLES = 8000, 4000


def examples():
    rng = np.random.default_rng(0)
    time = np.arange(SAMPLES) / RATE

    def part(count):
        labels = np.arange(count) % 2
        waves = [0.3 * np.sin(2 * np.pi * (400 + 1200 * label) * time) for label in labels]
        noisy = np.array(waves) + rng.normal(0, 0.02, (count, SAMPLES))
        return Subset((noisy * 32767).astype(np.int16), labels, tuple(map(str, range(count))))

    return Examples(("low", "high"), part(12), part(4), part(4), "f" * 64, "made", modality="audio")


def settings(**changes):
    return Data(**{"rate": RATE, "seconds": 0.5, "frame": 0.032, "hop": 0.016, "mels": 20, "coefficients": 0} | changes)


@pytest.fixture(scope="module")
def made():
    return examples()


def frames_of_power(clip):
    """Hann-windowed frames of 256 samples, 128 apart, reflected at both ends; power, `(frames, 129)`."""
    padded = np.pad(clip.astype(np.float64) / 32768, 128, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    starts = range(0, len(padded) - 255, 128)
    return np.array([np.abs(np.fft.rfft(padded[start : start + 256] * window)) ** 2 for start in starts])


def test_bands_are_decibels_of_the_mel_scale(made):
    prepared = preprocess.fit(settings(), made)
    assert isinstance(prepared, Sounds)
    found = prepared(made.test.inputs)[..., 0] * np.array(prepared.std) + np.array(prepared.mean)
    assert found.shape == (4, 32, 20)
    power = frames_of_power(made.test.inputs[0])
    assert len(power) == 32

    # The band with the tone in it, by the mel scale of HTK: 2595 log10(1 + f / 700), from 20 Hz to half the rate.
    def mel(hertz):
        return 2595 * np.log10(1 + hertz / 700)

    edges = np.linspace(mel(20), mel(RATE / 2), 22)
    for clip, hertz in ((0, 400), (1, 1600)):
        loudest = found[clip].mean(axis=0).argmax()
        assert edges[loudest] < mel(hertz) < edges[loudest + 2]

    # Each band is a triangle on the power spectrum.
    bins = mel(np.arange(129) * RATE / 256)
    up = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    bands = 10 * np.log10(np.maximum(power @ np.maximum(np.minimum(up, down), 0), 1e-10))
    bands = np.maximum(bands, bands.max() - 80)
    assert np.corrcoef(found[0].ravel(), bands.ravel())[0, 1] > 0.999


def test_the_cepstrum_is_the_cosine_transform_of_the_bands(made):
    bands = preprocess.fit(settings(), made)
    cepstrum = preprocess.fit(settings(coefficients=10), made)
    plain = bands(made.test.inputs)[..., 0] * np.array(bands.std) + np.array(bands.mean)
    found = cepstrum(made.test.inputs)[..., 0] * np.array(cepstrum.std) + np.array(cepstrum.mean)
    np.testing.assert_allclose(found, dct(plain, type=2, norm="ortho", axis=-1)[..., :10], rtol=1e-3, atol=1e-2)


def test_the_training_split_has_mean_0_and_deviation_1(made):
    prepared = preprocess.fit(settings(coefficients=8), made)
    ready = prepared(made.train.inputs)
    assert prepared.shape == (32, 8, 1) == ready.shape[1:]
    np.testing.assert_allclose(ready.mean(axis=(0, 1, 3)), 0.0, atol=1e-3)
    np.testing.assert_allclose(ready.std(axis=(0, 1, 3)), 1.0, atol=1e-3)


def test_the_front_end_exports_and_runs_without_flex(made, tmp_path):
    prepared = preprocess.fit(settings(coefficients=8), made)
    artifact = compress.export(prepared.frontend, tmp_path / "frontend.tflite", quantize="none")
    assert not [op for op in artifact.ops if "Flex" in op or "CUSTOM" in op]
    waves = made.test.inputs.astype(np.float32) / 32768
    found = compress.LiteModel(artifact.path).predict(waves)
    np.testing.assert_allclose(found, prepared(made.test.inputs), atol=1e-3)


def test_a_clip_is_opened_at_its_rate_and_length(made, tmp_path):
    prepared = preprocess.fit(settings(), made)
    with wave.open(str(tmp_path / "short.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(made.test.inputs[0, :1000].tobytes())
    found = prepared.open(str(tmp_path / "short.wav"))
    np.testing.assert_array_equal(found[:1000], made.test.inputs[0, :1000])
    assert found.shape == (SAMPLES,) and not found[1000:].any()


def test_a_clip_of_stereo_at_another_rate_is_brought_to_the_models(made, tmp_path):
    prepared = preprocess.fit(settings(), made)
    tone = np.sin(np.arange(4 * SAMPLES) * 2 * np.pi * 440 / (2 * RATE))
    both = np.stack([tone, np.zeros_like(tone)], axis=1)
    wavfile.write(tmp_path / "other.wav", 2 * RATE, np.rint(both * 20000).astype(np.int16))
    expected = 10000 * np.sin(np.arange(SAMPLES) * 2 * np.pi * 440 / RATE)
    inner = slice(100, SAMPLES - 100)  # the filter of another rate needs neighbours
    found = prepared.open(str(tmp_path / "other.wav"))
    assert found.shape == (SAMPLES,)
    np.testing.assert_allclose(found[inner], expected[inner], atol=100)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.wav", None, "there is no such file"),
        (".", None, "it is a folder; give a .wav file"),
        ("no.wav", b"no sound", "it is no WAV file that can be read"),
        ("empty.wav", b"", "it is empty"),
    ],
)
def test_what_is_no_clip_is_one_sentence(made, tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"cannot be read: {said}"):
        preprocess.fit(settings(), made).open(str(tmp_path / name))


def test_more_coefficients_than_bands_are_refused():
    from recipes.engine.records import Recipe

    with pytest.raises(ValueError, match="is 30, more than the 20 bands"):
        Recipe(data=settings(coefficients=30))
