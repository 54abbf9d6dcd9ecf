"""Channel pruning: what the `.tflite` file of a network takes before and after, untrained.

ResNet-20 and MobileNetV2 at 32x32x3 are pruned to a share of their multiply-accumulates, in multiples of 16 channels,
of 8 and freely, and exported in float32 and int8. The files run in turns, the order turned round by round, on one
thread; what counts is the processor's own time, for other work on the machine is none of it. The ratio is to the whole
network in the same round, the median of the rounds with the quartiles. Accuracy is not measured here: the weights are
random.

    python benchmarks/channel_pruning.py [--macs 0.5] [--rounds 21]
"""

import statistics
import tempfile
from pathlib import Path

import keras
import numpy as np
import tyro

import compress
import zoo
from compress.channels import cut_channels, plan_channels
from compress.runtime import processor_ms

NETWORKS = ("resnet20", "mobilenet_v2")
SHAPE = (32, 32, 3)
FORMS = ("none", "int8")


def main(macs: float = 0.5, rounds: int = 21) -> None:
    """Measure each network."""
    for name in NETWORKS:
        keras.utils.set_random_seed(0)
        network(name, macs, rounds)


def network(name: str, macs: float, rounds: int) -> None:
    """Prune, export and time one network."""
    model = zoo.build(name, input_shape=SHAPE, classes=10)
    plans = {f"multiples of {unit}": plan_channels(model, macs, round_to=unit) for unit in (16, 8, 1)}
    models = {"whole": model, **{label: cut_channels(model, plan) for label, plan in plans.items()}}
    print(name)
    for label, plan in plans.items():
        kept = plan.macs[1] / plan.macs[0]
        before, after = plan.parameters
        print(f"  {label}: {kept:.3f} of {plan.macs[0]:,} MACs, {after:,} of {before:,} parameters", flush=True)
    images = np.random.default_rng(0).normal(size=(32, *SHAPE)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMS:
            files = {}
            for label, each in models.items():
                path = Path(folder) / f"{len(files)}.tflite"
                files[label] = compress.export(each, path, quantize=form, calibration=[images])
            compare(form, files, rounds)


def compare(form: str, files: dict[str, compress.Artifact], rounds: int) -> None:
    """Time the files in turns and print each against the first."""
    running = {label: compress.LiteModel(file.path) for label, file in files.items()}
    whole = next(iter(files))
    times: dict[str, list[float]] = {label: [] for label in files}
    for turn in range(rounds):
        labels = list(files)
        first = turn % len(labels)
        for label in labels[first:] + labels[:first]:
            times[label].append(processor_ms(running[label], at_least=30))
    for label, file in files.items():
        ratios = [ours / theirs for ours, theirs in zip(times[label], times[whole], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        took = statistics.median(times[label])
        print(
            f"  {form:5} {label:15} {file.bytes:10,} bytes  {took:7.3f} ms  ratio {middle:.2f} ({low:.2f}-{high:.2f})"
        )


if __name__ == "__main__":
    tyro.cli(main)
