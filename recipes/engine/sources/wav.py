"""One WAV file, as the recipe asks for it: mono, at one rate, of one length, 16 bits."""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class BadClip(Exception):
    """A clip that cannot be used; the text is the reason."""


@dataclass(frozen=True)
class Clip:
    """A clip and what was done to it.

    Attributes:
        samples: int16 `(samples,)`.
        rate: samples a second in the file.
        channels: in the file.
        seconds: length in the file.
    """

    samples: np.ndarray
    rate: int
    channels: int
    seconds: float


def read(path: Path, *, rate: int, samples: int) -> Clip:
    """Read a file of 8-, 16-, 24- or 32-bit integers or of floats -1 to 1.

    Several channels become their mean; another rate is resampled by a polyphase filter
    (`scipy.signal.resample_poly`); a shorter clip is followed by silence, a longer one is cut at its end. A mono file
    of 16 bits at `rate` comes back as it is.

    Args:
        path: the file.
        rate: samples a second.
        samples: length of the clip.

    Raises:
        BadClip: it is no WAV file, is cut short, empty, compressed, or has NaN in it.
    """
    found, values = opened(path)
    if not values.size:
        raise BadClip("it holds no sound")
    channels = 1 if values.ndim == 1 else values.shape[1]
    wave = scaled(values)
    if channels > 1:
        wave = wave.mean(axis=1)
    seconds = len(wave) / found
    if found != rate:
        wave = resampled(wave, found, rate, samples)
    wave = wave[:samples]
    whole = np.zeros(samples, np.int16)
    whole[: len(wave)] = np.clip(np.rint(wave * 32768), -32768, 32767)
    return Clip(whole, found, channels, seconds)


def opened(path: Path) -> tuple[int, np.ndarray]:
    """Rate and values, `(samples,)` or `(samples, channels)`, as they are in the file.

    Raises:
        BadClip: it is no such file.
    """
    from scipy.io import wavfile

    try:
        if not path.stat().st_size:
            raise BadClip("it is empty")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that hold no sound
            warnings.filterwarnings("error", "Reached EOF prematurely", wavfile.WavFileWarning)
            rate, values = wavfile.read(path)
    except BadClip:
        raise
    except wavfile.WavFileWarning:
        raise BadClip("it is cut short") from None
    except FileNotFoundError:
        raise BadClip("there is no such file") from None
    except IsADirectoryError:
        raise BadClip("it is a folder; give a .wav file") from None
    except PermissionError:
        raise BadClip("no permission to read it") from None
    except Exception as error:  # a damaged header makes scipy fail in many ways
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadClip(f"it is no WAV file that can be read ({reason.rstrip('.')})") from None
    if rate <= 0:
        raise BadClip(f"its rate is {rate}")
    return rate, values


def scaled(values: np.ndarray) -> np.ndarray:
    """Values of any type as float64 in -1 to 1.

    Raises:
        BadClip: there is a NaN or an infinite value among floats.
    """
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise BadClip("it has NaN or infinite values")
        return values.astype(np.float64)
    if values.dtype == np.uint8:
        return (values.astype(np.float64) - 128) / 128
    return values.astype(np.float64) / -float(np.iinfo(values.dtype).min)


def resampled(wave: np.ndarray, found: int, rate: int, samples: int) -> np.ndarray:
    """`wave` at another rate; no more of it is filtered than `samples` need."""
    from scipy.signal import resample_poly

    common = math.gcd(found, rate)
    needed = math.ceil((samples + rate) * found / rate)  # a second more, so that the cut does not ring
    return np.asarray(resample_poly(wave[:needed], rate // common, found // common))
