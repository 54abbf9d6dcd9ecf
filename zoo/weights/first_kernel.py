"""Make the first kernel of published weights fit: red first, and as many channels as the image has."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from zoo.weights.place import stem
from zoo.weights.published import Channels

Arrays = dict[str, list[np.ndarray]]


@dataclass(frozen=True)
class Scale:
    """How a channel is normalised: the model reads `(pixel - mean) / std`."""

    mean: Channels
    std: Channels


def turn_round(model: keras.Model, arrays: Arrays) -> None:
    """Weights that read blue first, changed so that they read red first."""
    first = arrays[stem(model).name]
    first[0] = first[0][:, :, ::-1]


def channels(model: keras.Model, arrays: Arrays, scale: Scale | None) -> tuple[Scale | None, list[str]]:
    """Fit the first kernel, which reads red, green and blue, to the model's channels.

    One channel: the sum over the three, each divided by its own deviation, so that a grey picture gives what it gave
    in three channels. Other numbers: the three repeated, scaled to the same total, as timm does.

    Args:
        model: what the weights are for.
        arrays: of every layer; changed.
        scale: of red, green and blue, where known.

    Returns:
        The scale of the model's channels, and notes.
    """
    layer = stem(model)
    if arrays[layer.name][0].ndim != 4:
        return scale, []  # It reads no picture.
    kernel, count = arrays[layer.name][0], layer.kernel.shape[2]
    if kernel.shape[2] == count or kernel.shape[2] != 3:
        return scale, []
    if count > 1:
        places = np.arange(count) % 3
        arrays[layer.name][0] = kernel[:, :, places] * np.float32(3 / count)
        repeated = scale and Scale(_take(scale.mean, places), _take(scale.std, places))
        return repeated, [f"{layer.name} reads {count} channels: its kernel for three was repeated and scaled"]
    note = f"{layer.name} reads one channel: its kernel was summed over red, green and blue"
    if scale is None:
        arrays[layer.name][0] = kernel.sum(axis=2, keepdims=True)
        return None, [note]
    mean, std = float(np.mean(scale.mean)), float(np.mean(scale.std))
    weights = kernel / np.array(scale.std)[:, None]
    arrays[layer.name][0] = (weights.sum(axis=2, keepdims=True) * std).astype("float32")
    # The three means differ from the one: a constant of every filter, which its bias, or the normalisation after
    # it, takes. At a border padded with zeros it is smaller; that is left.
    constant = (weights * (mean - np.array(scale.mean))[:, None]).sum(axis=(0, 1, 2)).astype("float32")
    if constant.any():
        _add(model, arrays, constant)
        note += "; the same for a grey picture in three channels, except beside its border"
    return Scale((mean,), (std,)), [note]


def _take(values: Sequence[float], places: np.ndarray) -> Channels:
    return tuple(values[place] for place in places)


def _add(model: keras.Model, arrays: Arrays, constant: np.ndarray) -> None:
    """Add a constant to what each filter of the first convolution gives."""
    layer = stem(model)
    if layer.use_bias:
        arrays[layer.name][1] = arrays[layer.name][1] + constant
        return
    (norm,) = (x for x in model.layers if isinstance(x, keras.layers.BatchNormalization) and x.input is layer.output)
    place = next(place for place, variable in enumerate(norm.weights) if variable.name == "moving_mean")
    arrays[norm.name][place] = arrays[norm.name][place] - constant
