"""Transfer against training from scratch with few examples a class: `python benchmarks/few_shot.py`.

Each recipe below is run with 10, 50 and 200 images a class, three seeds (which draw the images, the order and the
head), once as it is and once from scratch: the same network, images, augmentation, rate, batches and epochs.
Test accuracy of the float model, mean ± standard deviation. What is done is kept in `--results` and not done again.
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

from recipes import few_shot_efficientnet_lite0, few_shot_mobilenet_v2
from recipes.engine import Recipe, Transfer, data, network, stages

RECIPES = {recipe.name: recipe for recipe in (few_shot_efficientnet_lite0.recipe, few_shot_mobilenet_v2.recipe)}
EPOCHS = {10: (15, 30), 50: (6, 10), 200: (3, 5)}
"""Images a class → epochs of the head, and of the whole network: more passes over fewer images."""


def arm(recipe: Recipe, *, limit: int, seed: int, scratch: bool) -> Recipe:
    """The recipe of one run."""
    head, rest = EPOCHS[limit]
    train = replace(recipe.train, epochs=head, seed=seed)
    transfer = replace(recipe.transfer, epochs=rest)
    if scratch:
        train, transfer = replace(train, epochs=head + rest), Transfer()
    return replace(recipe, data=replace(recipe.data, limit=limit, seed=seed), train=train, transfer=transfer)


def run(recipe: Recipe) -> dict[str, float]:
    """Train and judge."""
    keras.utils.clear_session()
    examples = data.load(recipe.data)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        model, prepared = network.build(recipe, examples)
        model, _ = stages.trained(model, recipe, examples, prepared, Path(folder))
    validation, test = stages.judge(model, examples, prepared)
    return {"validation": validation.score, "test": test.score, "seconds": time.monotonic() - started}


def table(rows: list[dict]) -> str:
    """One line a recipe and number of images."""
    lines = ["| network | images a class | scratch | transfer | difference |", "| --- | --- | --- | --- | --- |"]
    for name in RECIPES:
        for limit in EPOCHS:
            arms = {}
            for scratch in (True, False):
                key = {"recipe": name, "limit": limit, "scratch": scratch}
                arms[scratch] = [100 * row["test"] for row in rows if key.items() <= row.items()]
            if min(map(len, arms.values())) > 1:
                texts = [f"{mean(found):.1f} ± {stdev(found):.1f}" for found in (arms[True], arms[False])]
                gain = mean(arms[False]) - mean(arms[True])
                lines.append(f"| {RECIPES[name].model.name} | {limit} | {texts[0]} | {texts[1]} | {gain:+.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("runs/few_shot.jsonl"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    text = options.results.read_text(encoding="utf-8") if options.results.exists() else ""
    rows = [json.loads(line) for line in text.splitlines()]
    runs = itertools.product(RECIPES.items(), EPOCHS, options.seeds, (False, True))
    for (name, recipe), limit, seed, scratch in runs:
        key = {"recipe": name, "limit": limit, "seed": seed, "scratch": scratch}
        if any(key.items() <= row.items() for row in rows):
            continue
        rows.append(key | run(arm(recipe, limit=limit, seed=seed, scratch=scratch)))
        with options.results.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(rows[-1]) + "\n")
        print(rows[-1], flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
