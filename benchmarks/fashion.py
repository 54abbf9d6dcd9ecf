"""Two networks of the field on Fashion-MNIST: int8 after and in training, and half of the multiply-accumulates.

MobileNetV2 and ResNet-20 at 32x32 (28x28, with a border of zeros), 10,000 training images of a fixed draw, all 10,000
test images. The float net trains for 18 or 36 epochs of Adam (`PLANS`), from the rate along a cosine to zero, on images
shifted, turned and zoomed a little; every other row then trains on for 24 epochs in the same way, and 2 more from
1e-4: whole, as control, with rounding in those 2 (`int8 in training`), or with fewer channels. `int8 after training` is
the control's file; `0.50 of the MACs` keeps at most that share of them, the multiply-accumulates, in multiples of 16
channels; 0.36 is the share at which ResNet-20 answers in 0.6 of the time, found with untrained nets. Rates were chosen
on 5,000 other training images; the epochs were made more after shorter runs, whose test figures were seen. Accuracy is
of the `.tflite` file on those; time is the processor time of an answer over that of the control's file of the same
kind, in turns on one thread, median.

    edgezoo data get fashion_mnist --via apt
    python benchmarks/fashion.py --seeds 0 [--networks resnet20]
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import keras
import numpy as np
from compression import Data, copied, done_before, fit, keep, options

import compress
import zoo
from compress.runtime import ratio
from recipes.engine import Data as Source
from recipes.engine import data as sources

IMAGES, LAST, ROUNDS = 10_000, 2, 31


@dataclass(frozen=True)
class Plan:
    """How a network trains, then trains on, and the shares of its multiply-accumulates that stay."""

    epochs: int
    further: int
    rate: float
    shares: tuple[float, ...]


PLANS = {"mobilenet_v2": Plan(36, 24, 1e-2, (0.5,)), "resnet20": Plan(18, 24, 1e-3, (0.5, 0.36))}


def clothes() -> Data:
    """Train and test images `(n, 32, 32, 1)`, 0-1, and labels."""
    found = sources.load(Source(source="fashion_mnist"))
    chosen = np.random.default_rng(0).permutation(len(found.train.labels))[:IMAGES]

    def ready(images: np.ndarray) -> np.ndarray:
        return np.pad(np.asarray(images, np.float32) / 255, ((0, 0), (2, 2), (2, 2), (0, 0)))

    return ready(found.train.inputs[chosen]), found.train.labels[chosen], ready(found.test.inputs), found.test.labels


def forms(model: keras.Model, data: Data, folder: Path, plan: Plan) -> dict[str, compress.Artifact]:
    """By name: the files of a float net and of what is made of it."""
    sample = [data[0][:512]]

    def ship(small: keras.Model, name: str, quantize: str) -> compress.Artifact:
        return compress.export(small, folder / f"{name}.tflite", quantize=quantize, calibration=sample)

    def on(small: keras.Model) -> keras.Model:
        return fit(small, data, epochs=plan.further, rate=plan.rate)

    def end(small: keras.Model) -> keras.Model:
        return fit(small, data, epochs=LAST, rate=1e-4)

    whole = on(copied(model))
    control = end(copied(whole))
    aware = end(compress.quantize_aware(whole, calibration=sample))
    files = {
        "float": ship(model, "float", "none"),
        "float, trained on": ship(control, "control", "none"),
        "int8 after training": ship(control, "after", "int8"),
        "int8 in training": ship(aware, "in", "int8"),
    }
    for share in plan.shares:
        less = end(on(compress.prune_channels(model, share, round_to=16)))
        less.save(folder / "less.keras")
        less = keras.models.load_model(folder / "less.keras", compile=False)
        name = f"{share:.2f} of the MACs"
        files[f"{name}, float"] = ship(less, f"{share}", "none")
        files[f"{name}, int8 after training"] = ship(less, f"{share}_int8", "int8")
    return files


def measure(network: str, seed: int, data: Data) -> list[dict]:
    """Train, export and judge all forms of a network."""
    keras.utils.set_random_seed(seed)
    model = zoo.build(network, input_shape=(32, 32, 1), classes=10)
    plan = PLANS[network]
    fit(model, data, epochs=plan.epochs, rate=plan.rate)
    with tempfile.TemporaryDirectory() as folder:
        files = forms(model, data, Path(folder), plan)
        rows = []
        for name, file in files.items():
            whole = files["int8 after training" if "int8" in name else "float, trained on"]
            score = compress.accuracy(compress.LiteModel(file.path).predict(data[2]), data[3])
            took = ratio(compress.LiteModel(file.path), compress.LiteModel(whole.path), rounds=ROUNDS)
            row = {"network": network, "form": name, "seed": seed, "accuracy": score, "bytes": file.bytes, "time": took}
            rows.append(row)
    return rows


def table(rows: list[dict]) -> str:
    """One line a network and form."""
    lines = ["| network | form | seeds | test accuracy | bytes | time |", "| --- | --- | --- | --- | ---: | --- |"]
    for network, name in dict.fromkeys((row["network"], row["form"]) for row in rows):
        some = [row for row in rows if (row["network"], row["form"]) == (network, name)]
        found = [row["accuracy"] for row in some]
        spread = f" ± {stdev(found):.4f}" if len(found) > 1 else ""
        seeds = " ".join(str(row["seed"]) for row in some)
        size, took = (mean(row[key] for row in some) for key in ("bytes", "time"))
        lines.append(f"| `{network}` | {name} | {seeds} | {mean(found):.4f}{spread} | {size:,.0f} | {took:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is not in the results yet; print the table."""
    parser = options(__doc__, "fashion.jsonl")
    parser.add_argument("--networks", nargs="+", default=list(PLANS), choices=PLANS)
    arguments = parser.parse_args()
    rows = done_before(arguments.results)
    data = clothes()
    for seed in arguments.seeds:
        for network in arguments.networks:
            if not any((row["network"], row["seed"]) == (network, seed) for row in rows):
                rows += [keep(row, arguments.results) for row in measure(network, seed, data)]
    print(table(rows))


if __name__ == "__main__":
    main()
