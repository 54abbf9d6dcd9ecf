import wave

import numpy as np
import pytest
from scipy.io import wavfile

from recipes.engine import data
from recipes.engine.errors import UserError
from recipes.engine.records import Data
from recipes.engine.sources import wav

RATE = 8000
rng = np.random.default_rng(8)


def load(source, **fields):
    return data.load(Data(source=str(source), **{"rate": RATE, "seconds": 0.1, **fields}), progress=False)


def write(path, samples, rate=RATE, width=2, channels=1):
    """Whole numbers as a WAV file, by the standard library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(channels)
        stream.setsampwidth(width)
        stream.setframerate(rate)
        flat = np.asarray(samples).ravel()
        if width == 1:
            stream.writeframes((flat + 128).astype(np.uint8).tobytes())
        else:
            stream.writeframes(b"".join(int(value).to_bytes(width, "little", signed=True) for value in flat))
    return path


def noise(count=800):
    return rng.integers(-30000, 30000, count)


@pytest.fixture
def folder(tmp_path):
    for row in range(20):
        write(tmp_path / ("no" if row % 2 else "yes") / f"{row}.wav", noise())
    return tmp_path


def found(examples):
    return {
        name: clip for part in examples.splits().values() for clip, name in zip(part.inputs, part.names, strict=True)
    }


def test_clips_of_16_bits_at_the_same_rate_come_back_as_they_are(folder):
    examples = load(folder)
    assert (examples.task, examples.modality, examples.classes) == ("classify", "audio", ("no", "yes"))
    assert examples.train.inputs.dtype == np.int16 and examples.shape == (800,)
    assert [len(part) for part in examples.splits().values()] == [12, 4, 4]
    for name, clip in found(examples).items():
        with wave.open(str(folder / name)) as stream:
            np.testing.assert_array_equal(clip, np.frombuffer(stream.readframes(800), "<i2"))
    assert examples.notes == ()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_other_widths_are_scaled_to_16_bits(tmp_path, width):
    full = 1 << (8 * width - 1)
    samples = np.array([0, 0.5, -0.5, 0.25, -1.0]) * full
    clip = wav.read(write(tmp_path / "a.wav", samples.astype(np.int64), width=width), rate=RATE, samples=5)
    np.testing.assert_array_equal(clip.samples, [0, 16384, -16384, 8192, -32768])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floats_are_cut_at_full_scale(tmp_path, kind):
    wavfile.write(tmp_path / "a.wav", RATE, np.array([0, 0.5, -0.5, 1.0, -1.5], kind))
    clip = wav.read(tmp_path / "a.wav", rate=RATE, samples=5)
    np.testing.assert_array_equal(clip.samples, [0, 16384, -16384, 32767, -32768])


def test_stereo_becomes_the_mean_of_its_channels(folder):
    left, right = noise(), noise()
    write(folder / "yes" / "0.wav", np.stack([left, right], axis=1), channels=2)
    examples = load(folder)
    np.testing.assert_array_equal(found(examples)["yes/0.wav"], np.rint((left + right) / 2))
    assert examples.notes == ("made mono by the mean of their channels: 1 of 20 clips",)


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 44100])
def test_a_tone_at_another_rate_is_the_same_tone(folder, rate):
    def tone(rate):
        return 20000 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)

    write(folder / "yes" / "0.wav", tone(rate).astype(int), rate=rate)
    examples = load(folder)
    middle = slice(100, 700)  # a filter rings at the edges
    difference = found(examples)["yes/0.wav"][middle] - tone(RATE)[:800][middle]
    assert np.abs(difference).max() < 200
    assert examples.notes[0] == f"resampled to 8,000 Hz: 1 at {rate:,} Hz"


def test_short_clips_are_followed_by_silence_and_long_ones_cut(folder):
    short, long = noise(300), noise(1000)
    write(folder / "yes" / "0.wav", short)
    write(folder / "yes" / "2.wav", long)
    examples = load(folder)
    clips = found(examples)
    np.testing.assert_array_equal(clips["yes/0.wav"], np.pad(short, (0, 500)))
    np.testing.assert_array_equal(clips["yes/2.wav"], long[:800])
    assert examples.notes == (
        "longer than 0.1 s and cut there: 1 of 20 clips (--data.seconds)",
        "shorter than 0.1 s and followed by silence: 1 of 20 clips",
    )


def test_the_lists_of_speech_commands_are_followed(folder):
    write(folder / "_background_noise_" / "hiss.wav", noise())
    (folder / "validation_list.txt").write_text("yes/0.wav\nno/1.wav\n")
    (folder / "testing_list.txt").write_text("yes/2.wav\nno/3.wav\nno/5.wav\n")
    examples = load(folder)
    assert set(examples.validation.names) == {"yes/0.wav", "no/1.wav"}
    assert set(examples.test.names) == {"yes/2.wav", "no/3.wav", "no/5.wav"}
    assert len(examples.train) == 15
    assert examples.notes[0] == "folders left out since their names begin with _: _background_noise_"
    (folder / "testing_list.txt").write_text("yes/2.wav\nyes/0.wav\n")
    with pytest.raises(UserError, match=r"testing_list\.txt, line 2: yes/0\.wav is in validation_list\.txt too"):
        load(folder)
    (folder / "testing_list.txt").write_text("yes/99.wav\n")
    with pytest.raises(UserError, match=r"testing_list\.txt, line 1: there is no yes/99\.wav"):
        load(folder)


def damaged(kind, path):
    content = write(path, noise()).read_bytes()
    if kind == "nan":
        wavfile.write(path, RATE, np.array([0, np.nan], np.float32))
        return
    if kind == "silent":
        write(path, [])
        return
    changed = {
        "empty": b"",
        "text": b"this is no sound at all, but words",
        "cut": content[:-700],
        "header": content[:30],
        "compressed": content[:20] + b"\x55\0" + content[22:],
    }
    path.write_bytes(changed[kind])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("empty", "it is empty"),
        ("text", "it is no WAV file that can be read"),
        ("cut", "it is cut short"),
        ("header", "it is no WAV file that can be read"),
        ("silent", "it holds no sound"),
        ("compressed", "it is no WAV file that can be read"),
        ("nan", "it has NaN or infinite values"),
    ],
)
def test_a_damaged_clip_is_named_or_left_out(folder, kind, words):
    damaged(kind, folder / "yes" / "0.wav")
    with pytest.raises(
        UserError, match=rf"a clip in .* cannot be read: yes/0\.wav \({words}.*; mend them, or pass"
    ) as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    examples = load(folder, on_bad="skip")
    assert len(found(examples)) == 19
    assert examples.notes[0].startswith("left out yes/0.wav (")


def test_folders_that_hold_no_clips_are_refused_and_other_files_told(folder):
    (folder / "no" / "about.md").write_text("x")
    assert "files ignored since they are no .wav: 1 .md" in load(folder).notes
    (folder / "maybe").mkdir()
    with pytest.raises(UserError, match=r"class folder .*maybe has no \.wav file"):
        load(folder)


def test_the_same_sound_twice_stays_on_one_side(folder):
    for row in range(0, 12, 2):
        (folder / "yes" / f"copy{row}.wav").write_bytes((folder / "yes" / f"{row}.wav").read_bytes())
    for seed in range(4):
        sides = [{clip.tobytes() for clip in part.inputs} for part in load(folder, seed=seed).splits().values()]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
