"""The zoo against keras.applications: building, a training step and inference, in turns.

ResNet50, InceptionV3 and MobileNetV2 at their own size, without weights from outside. Each round times both, the one
that goes first changes from round to round; the ratio is the zoo's time over keras.applications', the median of the
rounds with the quartiles. The models are compiled alike and see the same batches.

    python benchmarks/zoo_speed.py [--rounds 9] [--batch 8]
"""

import gc
import statistics
import time
from collections.abc import Callable
from functools import partial

import keras
import numpy as np
import tyro

import zoo

PAIRS = {
    "resnet50": (keras.applications.ResNet50, (224, 224, 3)),
    "inception_v3": (keras.applications.InceptionV3, (299, 299, 3)),
    "mobilenet_v2": (keras.applications.MobileNetV2, (224, 224, 3)),
}


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main(rounds: int = 9, batch: int = 8) -> None:
    """Measure each network."""
    for name in PAIRS:
        print(name, flush=True)
        network(name, rounds=rounds, batch=batch)
        gc.collect()


def network(name: str, *, rounds: int, batch: int) -> None:
    theirs, shape = PAIRS[name]
    makers = {
        "zoo": partial(zoo.build, name, input_shape=shape, classes=1000),
        "applications": partial(theirs, weights=None, input_shape=shape, classes=1000, classifier_activation=None),
    }
    compare("building", makers, rounds)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((batch, *shape)).astype("float32")
    labels = rng.integers(0, 1000, batch)
    models = {who: make() for who, make in makers.items()}
    for model in models.values():
        model.compile(keras.optimizers.SGD(1e-6), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    compare("training step", {who: partial(m.train_on_batch, images, labels) for who, m in models.items()}, rounds)
    for many in (images, images[:1]):
        calls = {who: partial(m.predict_on_batch, many) for who, m in models.items()}
        compare(f"inference of {len(many)}", calls, rounds)
    keras.utils.clear_session()


def compare(what: str, calls: dict[str, Callable[[], object]], rounds: int) -> None:
    """Time the calls in turns and print the ratio."""
    for call in calls.values():
        call()
    ratios, ours, theirs = [], [], []
    for number in range(rounds):
        order = list(calls) if number % 2 else list(reversed(calls))
        took = {who: timed(calls[who]) for who in order}
        ours.append(took["zoo"])
        theirs.append(took["applications"])
        ratios.append(took["zoo"] / took["applications"])
    low, middle, high = statistics.quantiles(ratios, n=4)
    times = f"zoo {1e3 * statistics.median(ours):8.1f} ms  applications {1e3 * statistics.median(theirs):8.1f} ms"
    print(f"  {what:<16} {times}  ratio {middle:.2f} ({low:.2f}-{high:.2f})", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
