"""What each technique does to the time of an answer: `python benchmarks/compression_latency.py [--rounds 31]`.

The net of `compression.py`, with the same shares of zeros, untrained, for time does not ask what the weights are. The
files run in turns, the order turned round by round, on one thread; the time is the processor's, the ratio is to the
first file of the table in the same round, the median of the rounds with the quartiles. At last, by
`compress.sensitivity`, what 4 bits in each layer alone add to the int8 file, of that net and of one of Dense layers.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np
import tyro
from channel_pruning import compare
from compression import SHARES, net

import compress


def main(rounds: int = 31) -> None:
    """Export and time."""
    keras.utils.set_random_seed(0)
    model, images = net(), [np.random.default_rng(0).random((64, 28, 28, 1), np.float32)]
    sparse, few = compress.prune(model, SHARES), compress.cluster(model, 16)
    half = compress.prune_channels(model, 0.5)
    print(f"zeros: {compress.sparsity(compress.strip(sparse)).share:.3f}")

    def aware(source: keras.Model, bits: int = 8) -> keras.Model:
        return compress.quantize_aware(source, calibration=images, bits=bits)

    tables = {
        "none": {"float": model, "80 % sparse": sparse, "16 clusters": few, "half the MACs": half},
        "int8": {
            "int8": aware(model),
            "4-bit kernels": aware(model, 4),
            "80 % sparse": aware(sparse),
            "16 clusters": aware(few),
            "half the MACs": aware(half),
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        for form, models in tables.items():
            files = {
                label: compress.export(each, Path(folder) / f"{form}{number}.tflite", quantize=form)
                for number, (label, each) in enumerate(models.items())
            }
            compare(form, files, rounds)
    for each in (model, perceptron()):
        print(compress.sensitivity(each, calibration=images, bits=[4], activations=False, timed=True).table())


def perceptron() -> keras.Model:
    """The same images through Dense layers."""
    steps = [keras.layers.Dense(units, activation="relu", name=f"dense{units}") for units in (512, 256, 128)]
    inputs = keras.Input((28, 28, 1))
    return keras.Sequential([inputs, keras.layers.Flatten(), *steps, keras.layers.Dense(10, name="head")])


if __name__ == "__main__":
    tyro.cli(main)
