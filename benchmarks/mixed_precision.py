"""Kernels of 8 and 4 bits by sensitivity, and of either alone: `python benchmarks/mixed_precision.py --seeds 0 1 2`.

The net, the data and the split are those of `compression.py`, and so is the float training. Each share is a budget
between all kernels at 4 bits (0) and all at 8 (1); the sensitivity is seen on the first 512 training images, without
labels. Test accuracy is of the `.tflite` file: as rounded, and after 5 epochs of quantization-aware training (Adam,
from 1e-3 along a cosine to zero). Nothing was chosen by it.

One convolution holds nine tenths of this net's weights: at every share from 0.1 to 0.9 it has 4 bits and the rest 8,
and below that the choice is among the other six layers, of a tenth of the bytes.
"""

import tempfile
from pathlib import Path
from statistics import mean, stdev

import keras
from compression import EPOCHS, Data, digits, done_before, fit, keep, net, options

import compress


def forms(model: keras.Model, sample: list, shares: list[float]) -> dict[str, tuple[dict[str, int], int]]:
    """By name: bits of each layer, and the bytes of the kernels."""
    found = compress.sensitivity(model, calibration=sample, activations=False)
    print(found.table(), flush=True)
    least, most = found.bytes()
    sizes = {(row.name, row.bits): row.bytes for row in found.layers}
    names = list(found.options())
    mixed = {f"mixed, {share:g}": found.widths(round(least + share * (most - least))) for share in shares}
    widths = {"int8": dict.fromkeys(names, 8), **mixed, "int4": dict.fromkeys(names, 4)}
    return {name: (bits, sum(sizes[each] for each in bits.items())) for name, bits in widths.items()}


def accuracy(model: keras.Model, data: Data) -> float:
    """Of the file, on the test images."""
    with tempfile.TemporaryDirectory() as folder:
        artifact = compress.export(model, Path(folder) / "model.tflite")
        return compress.accuracy(compress.LiteModel(artifact.path).predict(data[2]), data[3])


def table(rows: list[dict]) -> str:
    """One line a form."""
    lines = [
        "| kernels | kernel bytes | test accuracy, as rounded | after training | layers at 4 bits |",
        "| --- | ---: | --- | --- | --- |",
    ]
    for name in dict.fromkeys(row["form"] for row in rows):
        some = [row for row in rows if row["form"] == name]
        scores = []
        for key in ("rounded", "trained"):
            found = [row[key] for row in some]
            scores.append(f"{mean(found):.4f}" + (f" ± {stdev(found):.4f}" if len(found) > 1 else ""))
        size = mean(row["bytes"] for row in some)
        narrow = "; ".join(dict.fromkeys(" ".join(k for k, bits in row["bits"].items() if bits == 4) for row in some))
        lines.append(f"| {name} | {size:,.0f} | {' | '.join(scores)} | {narrow} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is not in the results yet; print the table."""
    parser = options(__doc__, "mixed_precision.jsonl")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 0.05], help="budgets between int4 and int8")
    parser.add_argument("--float-epochs", type=int, default=EPOCHS)
    parser.add_argument("--epochs", type=int, default=5, help="of quantization-aware training")
    arguments = parser.parse_args()
    rows = done_before(arguments.results)
    data = digits(arguments.csv)
    sample = [data[0][:512]]
    wanted = {"int8", "int4", *(f"mixed, {share:g}" for share in arguments.shares)}
    for seed in arguments.seeds:
        done = {row["form"] for row in rows if row["seed"] == seed}
        if done >= wanted:
            continue
        keras.utils.set_random_seed(seed)
        model = fit(net(), data, epochs=arguments.float_epochs)
        for name, (bits, size) in forms(model, sample, arguments.shares).items():
            if name in done:
                continue
            keras.utils.set_random_seed(seed)
            small = compress.quantize_aware(model, calibration=sample, bits=bits)
            row = {"form": name, "seed": seed, "bits": bits, "bytes": size, "rounded": accuracy(small, data)}
            row["trained"] = accuracy(fit(small, data, epochs=arguments.epochs), data)
            rows.append(keep(row, arguments.results))
    print(table(rows))


if __name__ == "__main__":
    main()
