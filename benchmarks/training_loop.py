"""The recipe loop against a bare `model.fit`: same model, data, batch, optimizer and epochs, in turns.

Both train from the same weights and judge the validation split each epoch. Ours also writes a checkpoint, TensorBoard
curves and progress; its time is the whole of `train.fit`, tracing included. The bare loop gets arrays that are
normalised beforehand.

    python benchmarks/training_loop.py [--repeats 5]
"""

import contextlib
import io
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tyro

import zoo
from recipes.engine import data, preprocess, train
from recipes.engine.progress import console
from recipes.engine.records import Augment, Data, Train
from recipes.engine.results import Examples, Subset


def digits() -> tuple[Examples, str, Train]:
    return data.load(Data(source="digits")), "resnet8", Train(epochs=20, batch_size=64)


def resnet20() -> tuple[Examples, str, Train]:
    rng = np.random.default_rng(0)

    def subset(count: int) -> Subset:
        images = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        return Subset(images, rng.integers(0, 10, count), tuple(map(str, range(count))))

    classes = tuple("0123456789")
    examples = Examples(classes, subset(1280), subset(128), subset(128), "", "noise, 32x32x3")
    return examples, "resnet20", Train(epochs=4, batch_size=64)


def ours(examples: Examples, name: str, record: Train) -> float:
    model, prepared = fresh(examples, name)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        started = time.perf_counter()
        train.fit(
            model,
            examples,
            prepared,
            train=record,
            augmentation=Augment(),
            weights=None,
            macs=zoo.macs(model),
            folder=Path(folder),
            phase="train",
        )
        return time.perf_counter() - started


def bare(examples: Examples, name: str, record: Train) -> float:
    model, prepared = fresh(examples, name)
    classes = len(examples.classes)
    x, y = prepared(examples.train.inputs), np.eye(classes, dtype=np.float32)[examples.train.labels]
    judged = (
        prepared(examples.validation.inputs),
        np.eye(classes, dtype=np.float32)[examples.validation.labels],
    )
    started = time.perf_counter()
    model.compile(
        train.optimizer(record, record.epochs * (len(x) // record.batch_size)),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    model.fit(x, y, batch_size=record.batch_size, epochs=record.epochs, validation_data=judged, verbose=0)
    return time.perf_counter() - started


def fresh(examples: Examples, name: str) -> tuple[keras.Model, preprocess.Preprocess]:
    keras.utils.set_random_seed(0)
    model = zoo.build(name, input_shape=examples.shape, classes=len(examples.classes))
    return model, preprocess.fit(Data(), examples)


def main(repeats: int = 5) -> None:
    """Print seconds and the ratio ours / bare, median of the pairs.

    Args:
        repeats: pairs of runs; one more is thrown away first.
    """
    console.quiet = True
    for title, (examples, name, record) in {
        "digits, resnet8": digits(),
        "32x32x3, resnet20": resnet20(),
    }.items():
        bare(examples, name, replace(record, epochs=1)), ours(examples, name, replace(record, epochs=1))
        pairs = [(ours(examples, name, record), bare(examples, name, record)) for _ in range(repeats)]
        ratios = sorted(a / b for a, b in pairs)
        print(
            f"{title}: ours {statistics.median(a for a, _ in pairs):.2f} s, "
            f"bare {statistics.median(b for _, b in pairs):.2f} s, "
            f"ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}, {repeats} pairs)",
            flush=True,
        )


if __name__ == "__main__":
    tyro.cli(main)
