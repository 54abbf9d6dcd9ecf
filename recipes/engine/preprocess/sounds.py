"""Clips of sound: their spectrogram, computed by a Keras model that is exported too."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy.fft import dct

from recipes.engine.errors import UserError
from recipes.engine.preprocess.series import scale
from recipes.engine.records import Data
from recipes.engine.results import Examples, Modality, Subset, Task
from recipes.engine.sources import wav

CHUNK = 64
"""Clips whose spectrograms are computed at a time."""

LOWEST = 20.0
"""Hertz; below lies hum."""


@dataclass(frozen=True)
class Sounds:
    """Length, spectrogram and normalisation of the input; names of the outputs.

    Attributes:
        rate: samples a second.
        samples: of a clip.
        frame: samples of each frame of the spectrogram.
        hop: samples from one frame to the next.
        mels: bands of the mel scale.
        coefficients: of the cepstrum (MFCC; Davis and Mermelstein 1980), or 0 for the bands themselves, in decibels.
        mean: one value a band or coefficient, of the training split.
        std: likewise; the model reads `(value - mean) / std`.
        classes: names of the outputs, in order.
        task: `classify`.
    """

    rate: int
    samples: int
    frame: int
    hop: int
    mels: int
    coefficients: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    task: Task = "classify"
    modality: Modality = "audio"

    @cached_property
    def frontend(self) -> keras.Model:
        """From samples -1 to 1, float32 `(batch, samples)`, to what the model reads, `(batch, frames, bands, 1)`."""
        inputs = keras.Input((self.samples,), name="samples")
        x = keras.layers.MelSpectrogram(
            fft_length=1 << (self.frame - 1).bit_length(),
            sequence_length=self.frame,
            sequence_stride=self.hop,
            sampling_rate=self.rate,
            num_mel_bins=self.mels,
            min_freq=LOWEST,
            max_freq=self.rate / 2,
            name="mel",
        )(inputs)
        x = keras.layers.Permute((2, 1), name="frames_first")(x)
        bands = self.coefficients or self.mels
        # The cosine transform and the normalisation are both linear: one matrix and one offset.
        matrix = dct(np.eye(self.mels), type=2, norm="ortho")[:, :bands] if self.coefficients else np.eye(self.mels)
        dense = keras.layers.Dense(bands, name="mfcc" if self.coefficients else "normalised", trainable=False)
        x = dense(x)
        std, mean = np.array(self.std), np.array(self.mean)
        dense.set_weights([matrix / std, -mean / std])
        x = keras.layers.Reshape((x.shape[1], bands, 1), name="spectrogram")(x)
        return keras.Model(inputs, x, name="frontend")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example, as the model reads it."""
        return tuple(self.frontend.output_shape[1:])

    @property
    def outputs(self) -> int | None:
        """How many numbers the model answers with."""
        return len(self.classes)

    @property
    def changes(self) -> dict[str, Any]:
        """Fields of the spec that the data decides: none."""
        return {}

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Clips, int16 `(batch, samples)`, as spectrograms, float32 `(batch, frames, bands, 1)`."""
        parts = [
            np.asarray(self.frontend.predict_on_batch(inputs[start : start + CHUNK].astype(np.float32) / 32768))
            for start in range(0, len(inputs), CHUNK)
        ]
        return np.concatenate(parts)

    def rows(self, subset: Subset) -> tuple[np.ndarray, np.ndarray]:
        """What the model reads of a split, and what it should answer."""
        return self(subset.inputs), subset.labels

    def open(self, what: str) -> np.ndarray:
        """Read a WAV file as int16 `(samples,)`, mixed to one channel, resampled, cut or followed by silence.

        Raises:
            UserError: the file is missing or is no WAV file.
        """
        try:
            return wav.read(Path(what), rate=self.rate, samples=self.samples).samples
        except wav.BadClip as error:
            raise UserError(f"{what} cannot be read: {error}") from None


def fit(data: Data, examples: Examples) -> Sounds:
    """The spectrogram that the recipe asks for, its scale from the training split."""
    bands = data.coefficients or data.mels
    plain = Sounds(
        rate=data.rate,
        samples=examples.train.inputs.shape[1],
        frame=round(data.frame * data.rate),
        hop=round(data.hop * data.rate),
        mels=data.mels,
        coefficients=data.coefficients,
        mean=(0.0,) * bands,
        std=(1.0,) * bands,
        classes=examples.classes,
    )
    mean, std = scale(plain(examples.train.inputs).reshape(-1, bands))
    return replace(plain, mean=mean, std=std)
