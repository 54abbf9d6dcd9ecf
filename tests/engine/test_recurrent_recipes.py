"""Every recurrent recipe of the cookbook ends in files that run anywhere, its data replaced by a few made examples."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import zoo
from recipes.engine import data, datasets, gate, network, shipping, stages
from recipes.engine.recipe_file import cookbook, load
from recipes.engine.tasks import TASKS
from zoo.sequence.lstm_fcn import LSTMFCNSpec
from zoo.sequence.recurrent import RecurrentSpec
from zoo.sequence.recurrent_lm import RecurrentLMSpec

pytestmark = pytest.mark.slow

RECURRENT = (RecurrentSpec, RecurrentLMSpec, LSTMFCNSpec)
NAMES = [name for name in sorted(cookbook()) if isinstance(zoo.spec(load(name).recipe.model.name), RECURRENT)]


def series(folder: Path, rng: np.random.Generator) -> Path:
    """Three classes of series of 7 to 29 steps and 12 channels."""
    head = "@problemName Made\n@univariate false\n@dimensions 12\n@equalLength false\n@classLabel true a b c\n@data\n"
    for part, count in (("TRAIN", 192), ("TEST", 60)):
        lines = []
        for place in range(count):
            values = rng.normal(place % 3 - 1.0, 0.3, (12, rng.integers(7, 30)))
            lines.append(":".join([*(",".join(f"{v:.4f}" for v in channel) for channel in values), "abc"[place % 3]]))
        (folder / f"Made_{part}.ts").write_text(head + "\n".join(lines) + "\n")
    return folder / "Made_TRAIN.ts"


def table(folder: Path, rng: np.random.Generator) -> Path:
    """Twenty years of months that repeat themselves and grow."""
    months = np.arange(240)
    values = np.exp(4 + 0.01 * months + 0.2 * np.sin(months * np.pi / 6) + rng.normal(0, 0.02, 240))
    (folder / "made.csv").write_text("\n".join(["value", *(f"{value:.2f}" for value in values)]))
    return folder / "made.csv"


def texts(folder: Path, rng: np.random.Generator) -> Path:
    """Texts with a good or a bad word in them."""
    rows = ["text,label"]
    for place in range(240):
        words = [*rng.choice(["the", "film", "was", "a", "day", "out"], 4), ("good", "bad")[place % 2]]
        rows.append(f"{' '.join(rng.permutation(words))} {place},{('pos', 'neg')[place % 2]}")
    (folder / "made.csv").write_text("\n".join(rows))
    return folder / "made.csv"


def prose(folder: Path, rng: np.random.Generator) -> Path:
    """Lines of words drawn by chance."""
    lines = (" ".join(rng.choice(["to", "be", "or", "not", "that", "is"], 8)) for _ in range(800))
    (folder / "made.txt").write_text("\n".join(lines))
    return folder / "made.txt"


MADE: dict[str, Callable[[Path, np.random.Generator], Path]] = {
    "series classification": series,
    "forecast": table,
    "text classification": texts,
    "text generation": prose,
}


@pytest.mark.parametrize("name", NAMES)
def test_the_files_run_without_flex_and_equal_the_model(name, tmp_path):
    recipe = load(name).recipe
    kind = datasets.card(recipe.data.source).task
    source = MADE[kind](tmp_path, np.random.default_rng(0))
    task = "forecast" if kind == "forecast" else recipe.data.task
    recipe = dataclasses.replace(
        recipe,
        data=dataclasses.replace(recipe.data, source=str(source), task="generate" if "generation" in kind else task),
        train=dataclasses.replace(recipe.train, epochs=1, batch_size=8, ema=0.0),
        gate=dataclasses.replace(recipe.gate, min_accuracy=None),
    )
    examples = data.load(recipe.data)
    new, prepared = network.build(recipe, examples)
    model, _ = stages.trained(new, recipe, examples, prepared, tmp_path)
    shipped = shipping.ship(model, model, recipe, examples, prepared, tmp_path, summary="")
    for artifact in (shipped.artifact, shipped.float_artifact):
        assert not [op for op in artifact.ops if "Flex" in op or "CUSTOM" in op]
        spec = network.spec(recipe.model)
        if getattr(spec, "cell", "lstm") == "lstm":
            layers = getattr(spec, "depth", 1) * (1 + getattr(spec, "bidirectional", False))
            assert artifact.ops["UNIDIRECTIONAL_SEQUENCE_LSTM"] == layers
    assert shipped.float_verification.max_difference <= 1e-5

    def predict(x: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict(x, verbose=0))

    test = TASKS[examples.task].evaluate(predict, examples.test, prepared, split="test")
    assert gate.check(recipe.gate, shipped.artifact, shipped.verification, test) == []
