"""Clips to try `keyword_spotting` on without recorded words: `python benchmarks/synthetic_words.py FOLDER`.

They are no speech. A "word" is three tones, one after another, each with two overtones; a "speaker" has a pitch and a
speed of their own, and each clip begins at another moment, in noise of another loudness. The folder is laid out as
Speech Commands is (Warden 2018, arXiv:1804.03209): `WORD/SPEAKER_nohash_TIME.wav`, 16 kHz, at most a second, and lists
of the clips of eight speakers to choose on and of eight to report on, who are in no other split.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.io import wavfile

RATE = 16000
WORDS = {
    "low-middle-high": (0, 8, 16),
    "high-middle-low": (16, 8, 0),
    "low-high-middle": (0, 16, 8),
    "middle-low-high": (8, 0, 16),
    "high-low-middle": (16, 0, 8),
    "middle-high-low": (8, 16, 0),
}
"""Semitones above the speaker's pitch: three tones in their six orders, so that only the order tells words apart."""


def spoken(tones: tuple[int, ...], pitch: float, speed: float, rng: np.random.Generator) -> np.ndarray:
    """A clip, int16 `(samples,)`."""
    length = round(0.18 * RATE / speed)
    time = np.arange(length) / RATE
    envelope = np.hanning(length)
    parts = []
    for tone in tones:
        hertz = pitch * 2 ** (tone / 12) * rng.normal(1.0, 0.01)
        parts.append(envelope * sum(np.sin(2 * np.pi * hertz * n * time) / n for n in (1, 2, 3)))
    word = np.concatenate(parts)[:RATE]
    clip = np.zeros(RATE)
    start = rng.integers(0, RATE - len(word) + 1)
    clip[start : start + len(word)] = word * rng.uniform(0.05, 0.3)
    clip += rng.normal(0.0, rng.uniform(0.01, 0.1), RATE)
    return np.asarray(np.clip(np.rint(clip * 32767), -32768, 32767), np.int16)


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--speakers", type=int, default=56, help="the last 16 are those of the two lists")
    parser.add_argument("--times", type=int, default=3, help="clips of each word by each speaker")
    options = parser.parse_args()
    if options.speakers < 17 or options.times < 1:
        parser.error("--speakers must be 17 or more, and --times 1 or more")
    if options.folder.exists():
        parser.error(f"{options.folder} is there already; name a new folder")
    rng = np.random.default_rng(0)
    lists: dict[str, list[str]] = {"validation_list.txt": [], "testing_list.txt": []}
    for speaker in range(options.speakers):
        pitch, speed = 180.0 * 2 ** rng.uniform(0.0, 1.5), rng.uniform(0.7, 1.3)
        for word, tones in WORDS.items():
            for time in range(options.times):
                name = f"{word}/{speaker:08x}_nohash_{time}.wav"
                path = options.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                wavfile.write(path, RATE, spoken(tones, pitch, speed, rng))
                if speaker >= options.speakers - 16:
                    lists["validation_list.txt" if speaker < options.speakers - 8 else "testing_list.txt"].append(name)
    for name, clips in lists.items():
        (options.folder / name).write_text("\n".join(clips) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
