"""What trained weights are worth where labels are few: `python benchmarks/sentiment.py`.

The recipes of sentiment are trained on 200, 1,000 and all labels of the same sentences, three seeds, which draw the
splits, the labels, the order and the new weights; at one seed all networks see the same splits, and the same labels.
Test accuracy of the float model and of the file for the device, mean ± standard deviation over the seeds; its bytes
are without the tokenizer. What is done is kept in `--results` and not done again.
"""

import argparse
import itertools
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import keras
import numpy as np

import compress
from recipes import sentiment_gru, sentiment_lstm, sentiment_minilm, sentiment_transformer
from recipes.engine import Recipe, data, feed, network, stages

RECIPES = {
    "lstm": sentiment_lstm.recipe,
    "gru": sentiment_gru.recipe,
    "transformer": sentiment_transformer.recipe,
    "minilm": sentiment_minilm.recipe,
}
LABELS = {"200": 200, "1000": 1000, "all": None}
SCRATCH = {"200": (16, 12), "1000": (32, 10)}
"""Labels → batch size and epochs from scratch, where the recipe's own are for all labels."""
TRANSFER = {"200": (16, 3, 2), "1000": (16, 2, 2)}
"""Labels → batch size, epochs of the head, and epochs with what is unfrozen."""


def arm(recipe: Recipe, *, labels: str, seed: int) -> Recipe:
    """The recipe of one run; half of the labels are of each class."""
    wanted = LABELS[labels]
    record = replace(recipe.data, limit=wanted and wanted // 2, seed=seed)
    train, transfer = replace(recipe.train, seed=seed), recipe.transfer
    if wanted and transfer.weights:
        batch, head, rest = TRANSFER[labels]
        train, transfer = replace(train, batch_size=batch, epochs=head), replace(transfer, epochs=rest)
    elif wanted:
        batch, epochs = SCRATCH[labels]
        train = replace(train, batch_size=batch, epochs=epochs)
    return replace(recipe, data=record, train=train, transfer=transfer)


def run(recipe: Recipe) -> dict[str, float]:
    """Train, export and judge both on the test split."""
    keras.utils.clear_session()
    examples = data.load(recipe.data)
    started = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, prepared = network.build(recipe, examples)
        model, histories = stages.trained(model, recipe, examples, prepared, folder)
        seconds, cpu = time.monotonic() - started[0], time.process_time() - started[1]
        (inputs, labels), path = prepared.rows(examples.test), folder / "model.tflite"
        artifact = compress.export(
            model,
            path,
            quantize=recipe.export.quantize,
            calibration=feed.calibration(recipe, examples, prepared),
        )
        answers = model.predict(inputs, batch_size=128, verbose=0), compress.LiteModel(path).predict(inputs)
    right = [float(np.mean(np.argmax(found, axis=-1) == labels)) for found in answers]
    return {
        "validation": max(history.best for history in histories),
        "test": right[0],
        "file": right[1],
        "bytes": artifact.bytes,
        "seconds": seconds,
        "cpu": cpu,
    }


def shown(values: list[float]) -> str:
    """Mean and deviation in per cent."""
    return f"{100 * mean(values):.1f} ± {100 * stdev(values):.1f}" if len(values) > 1 else f"{100 * values[0]:.1f}"


def table(rows: list[dict]) -> str:
    """One line a network and number of labels."""
    lines = [
        "| labels | network | float | file | | bytes | seeds | CPU seconds |",
        "| --- | --- | --- | --- | --- | ---: | --- | ---: |",
    ]
    for labels, name in itertools.product(LABELS, RECIPES):
        found = [row for row in rows if row["labels"] == labels and row["model"] == name]
        if found:
            scores = (shown([row[what] for row in found]) for what in ("test", "file"))
            seeds = " ".join(str(row["seed"]) for row in found)
            facts = (f"{max(row['bytes'] for row in found):,}", seeds, f"{mean(row['cpu'] for row in found):.0f}")
            lines.append(f"| {' | '.join((labels, name, *scores, RECIPES[name].export.quantize, *facts))} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("runs/sentiment.jsonl"))
    parser.add_argument("--models", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--labels", nargs="+", choices=LABELS, default=list(LABELS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    text = options.results.read_text(encoding="utf-8") if options.results.exists() else ""
    rows = [json.loads(line) for line in text.splitlines()]
    for seed, labels, name in itertools.product(options.seeds, options.labels, options.models):
        key = {"model": name, "labels": labels, "seed": seed}
        if any(key.items() <= row.items() for row in rows):
            continue
        rows.append(key | run(arm(RECIPES[name], labels=labels, seed=seed)))
        with options.results.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(rows[-1]) + "\n")
        print(rows[-1], flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
