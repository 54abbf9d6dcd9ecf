"""The recipe of spoken words from the command line: a folder of tones, in files of several rates, mono and stereo."""

import json

import numpy as np
import pytest
from scipy.io import wavfile

from recipes.engine import cli

pytestmark = pytest.mark.slow

HERTZ = {"low": 400.0, "high": 2500.0}
RATES = (16000, 44100, 8000)


def clip(hertz, *, rate=16000, channels=1, seconds=1.0, rng=None):
    """A tone with a little noise, int16 `(samples,)` or `(samples, channels)`; the second channel is silent."""
    time = np.arange(round(rate * seconds)) / rate
    noise = (rng or np.random.default_rng(9)).normal(0, 0.01, len(time))
    wave = (32767 * (0.3 * np.sin(2 * np.pi * hertz * time) + noise)).astype(np.int16)
    return wave if channels == 1 else np.stack([wave, np.zeros_like(wave)], axis=1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run on clips in the layout of Speech Commands."""
    root, rng = tmp_path_factory.mktemp("words"), np.random.default_rng(0)
    lists = {"validation_list.txt": [], "testing_list.txt": []}
    for word, hertz in HERTZ.items():
        (root / "clips" / word).mkdir(parents=True)
        for number in range(40):
            name = f"{word}/{number:08x}_nohash_0.wav"
            rate, channels = RATES[number % 3], 1 + number % 2
            tone = clip(hertz * rng.uniform(0.9, 1.1), rate=rate, channels=channels, seconds=0.9, rng=rng)
            wavfile.write(root / "clips" / name, rate, tone)
            if number >= 28:
                lists["validation_list.txt" if number < 34 else "testing_list.txt"].append(name)
    (root / "clips" / "_background_noise_").mkdir()
    wavfile.write(root / "clips" / "_background_noise_" / "hum.wav", 16000, clip(50.0))
    for name, clips in lists.items():
        (root / "clips" / name).write_text("\n".join(clips))
    fast = ["--train.epochs", "6", "--train.batch-size", "8", "--train.ema", "0", "--gate.max-drop", "0.1"]
    cli.dispatch(
        ["run", "keyword_spotting", "--data.source", str(root / "clips"), "--output", str(root / "runs"), *fast]
    )
    (home,) = (root / "runs").iterdir()
    return home


def test_the_lists_split_the_clips_and_the_file_holds_what_the_gate_asks(finished):
    figures = json.loads((finished / "metrics.json").read_text())
    assert figures["lite"]["samples"] == 12
    assert figures["test"]["accuracy"] > 0.9 and figures["lite"]["accuracy"] > 0.9
    assert not figures["lite"]["float_tensors"]
    assert not [op for op in figures["lite"]["ops"] if "Flex" in op or "CUSTOM" in op]
    assert (finished / "frontend.tflite").exists()


@pytest.mark.parametrize("lite", [[], ["--lite"]])
def test_a_clip_at_another_rate_or_in_stereo_has_the_same_answer(finished, lite, tmp_path, capsys):
    kinds = {"plain": {}, "fast": {"rate": 48000}, "slow": {"rate": 11025}, "stereo": {"channels": 2}}
    paths = []
    for name, how in kinds.items():
        paths.append(str(tmp_path / f"{name}.wav"))
        wavfile.write(paths[-1], how.get("rate", 16000), clip(HERTZ["high"], **how))
    capsys.readouterr()
    cli.dispatch(["predict", str(finished), *paths, *lite])
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith(f"{path}: high ") for line, path in zip(lines, paths, strict=True)] == [True] * len(kinds)
