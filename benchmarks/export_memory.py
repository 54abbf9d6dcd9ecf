"""Memory over a hundred exports in one process: it must not grow with their number.

A small model trained on the digits of scikit-learn is exported again and again: its quantization-aware copy to int8,
or, with `mixed`, that in turns with the float model in every other way. Printed is the resident memory after each
tenth export; the growth is from after the first five, by when all that is loaded once has been, to the last.

    python benchmarks/export_memory.py [qat|mixed] [--exports 100]
"""

import gc
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import keras
import numpy as np
import tyro
from sklearn.datasets import load_digits

import compress

WARM = 5


def main(what: Annotated[Literal["qat", "mixed"], tyro.conf.Positional] = "qat", exports: int = 100) -> None:
    """Export, and print how much memory is held."""
    with tempfile.TemporaryDirectory() as folder:
        forms = list(made(Path(folder) / "m.tflite").values())[: 1 if what == "qat" else None]
        warm, started = 0.0, time.perf_counter()
        for number in range(1, exports + 1):
            forms[number % len(forms)]()
            if number == WARM or number % 10 == 0:
                gc.collect()
                held = resident()
                warm = held if number == WARM else warm
                grown = f"{held / warm - 1:+.1%}" if warm else ""
                seconds = time.perf_counter() - started
                print(f"  {number:4} exports  {held:8.1f} MiB  {grown:>6}  {seconds:6.0f} s", flush=True)


def made(path: Path) -> dict[str, Callable[[], object]]:
    """Each way to export, by name; that of the quantization-aware model first."""
    data = load_digits()
    x, y = (data.images[..., np.newaxis] / 16.0).astype(np.float32), data.target
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            *(layers.Conv2D(8, 3, padding="same", use_bias=False), layers.BatchNormalization(), layers.ReLU()),
            *(layers.DepthwiseConv2D(3, padding="same", use_bias=False), layers.BatchNormalization(), layers.ReLU()),
            *(layers.GlobalAveragePooling2D(), layers.Dense(10)),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=2, verbose=0)
    aware = compress.quantize_aware(model, calibration=[x[:256]])
    aware.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    aware.fit(x, y, epochs=1, verbose=0)
    return {
        "int8, quantization-aware": partial(compress.export, aware, path),
        "float32": partial(compress.export, model, path, quantize="none"),
        "float16": partial(compress.export, model, path, quantize="float16"),
        "dynamic": partial(compress.export, model, path, quantize="dynamic"),
        "int8, post-training": partial(compress.export, model, path, calibration=[x[:64]]),
    }


def resident() -> float:
    """MiB of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    tyro.cli(main)
