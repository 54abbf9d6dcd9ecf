"""Run a search with KerasTuner: each trial is one training, judged on validation data."""

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import yaml
from rich.table import Table
from sklearn.exceptions import ConvergenceWarning

from recipes.engine import data, runs
from recipes.engine.errors import TrainingFailed
from recipes.engine.files import write_text
from recipes.engine.network import build
from recipes.engine.progress import console
from recipes.engine.recipe_file import to_plain
from recipes.engine.records import Recipe
from recipes.engine.results import LABELS
from recipes.engine.stages import trained
from recipes.engine.tensorboard import Log
from recipes.engine.tune import Search, apply, parse


def go_on(folder: Path) -> Path:
    """Run what is left of the search in `folder` (made by `tune.create`); give the path of the winner's recipe.

    KerasTuner keeps its state in the folder after each trial; a trial that was killed is tried again and goes on
    from its own checkpoint.

    Raises:
        TrainingFailed: no trial gave a score.
    """
    recipe = runs.read_recipe(folder)
    values = json.loads((folder / "search.json").read_text(encoding="utf-8"))
    search = Search(**values | {"over": tuple(values["over"])})
    tuner = Trials(oracle(search, epochs=recipe.train.epochs), directory=str(folder), project_name="keras_tuner")
    tuner.recipe, tuner.folder = recipe, folder
    tuner.oracle.verbose = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of the Gaussian process, on its first few points
        tuner.search()
    finished = [trial for trial in tuner.oracle.trials.values() if trial.score]
    if not finished:
        raise TrainingFailed(f"no trial of {folder} gave a score above 0; see the folders of its trials")
    best = max(finished, key=lambda trial: trial.score)
    winner = apply(recipe, chosen(best))
    winner = dataclasses.replace(winner, name=recipe.name.removeprefix("tune-"))
    path = folder / "best.yaml"
    head = f"# Best of {len(finished)} trials of {folder.name}: validation score {best.score:.4f}\n"
    write_text(path, head + yaml.safe_dump(to_plain(winner), sort_keys=False))
    runs.update_manifest(folder, {"status": "finished", "finished": runs.now(), "best": best.score})
    show(finished, best)
    console.print(f"winner: {path}\nrun it: edgezoo run {path}")
    return path


class Trials(keras_tuner.Tuner):
    """Trains the recipe with each trial's values."""

    recipe: Recipe
    folder: Path

    def run_trial(self, trial: Any) -> dict[str, float]:
        """Train one recipe; report the best validation score."""
        values = chosen(trial)
        changed = apply(self.recipe, values)
        epochs = trial.hyperparameters.values.get("tuner/epochs")
        if epochs:
            changed = apply(changed, {"train.epochs": int(epochs)})
        console.print(f"trial {trial.trial_id}: {written(values)}")
        try:
            return {"val_score": score(changed, self.folder / f"trial-{trial.trial_id}", values)}
        except Exception as error:  # KerasTuner would go on to the next trial, which has the same fault
            raise keras_tuner.errors.FatalError(str(error)) from error


def oracle(search: Search, *, epochs: int) -> keras_tuner.Oracle:
    """KerasTuner's oracle for the search; Hyperband (Li et al. 2018) gives trials at most `epochs` epochs."""
    space = keras_tuner.HyperParameters()
    for item in map(parse, search.over):
        sampling = "log" if item.log else "linear"
        if item.choices:
            space.Choice(item.field, list(item.choices))
        elif item.whole:
            space.Int(item.field, int(item.low), int(item.high), sampling=sampling)
        else:
            space.Float(item.field, item.low, item.high, sampling=sampling)
    objective = keras_tuner.Objective("val_score", "max")
    if search.algorithm == "hyperband":
        return keras_tuner.oracles.HyperbandOracle(
            objective, max_epochs=epochs, seed=search.seed, hyperparameters=space
        )
    kinds = {
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
        "random": keras_tuner.oracles.RandomSearchOracle,
    }
    return kinds[search.algorithm](objective, max_trials=search.trials, seed=search.seed, hyperparameters=space)


def score(recipe: Recipe, folder: Path, values: dict[str, Any]) -> float:
    """Train `recipe` in `folder`; give the validation score of its best epoch, or 0 when the loss became NaN.

    `values` are shown in TensorBoard's HParams.
    """
    folder.mkdir(exist_ok=True)
    keras.utils.clear_session()
    examples = data.load(recipe.data, progress=False)
    model, prepared = build(recipe, examples)
    try:
        _, histories = trained(model, recipe, examples, prepared, folder)
    except TrainingFailed:
        return 0.0
    best = max(history.best for history in histories)
    log = Log(folder / "tensorboard", "hparams")
    log.hparams(values, {f"validation {LABELS[histories[0].measure]}": best})
    log.close()
    (folder / "model.keras").unlink()
    return best


def chosen(trial: Any) -> dict[str, Any]:
    """The recipe's fields in a trial, without KerasTuner's own."""
    return {k: v for k, v in trial.hyperparameters.values.items() if not k.startswith("tuner/")}


def written(values: dict[str, Any]) -> str:
    """Values on one line."""
    return "  ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in values.items())


def show(trials: list[Any], best: Any) -> None:
    """The ten best trials as a table."""
    table = Table("trial", "validation score", "values")
    for trial in sorted(trials, key=lambda trial: -trial.score)[:10]:
        mark = " *" if trial is best else ""
        table.add_row(f"{trial.trial_id}{mark}", f"{trial.score:.4f}", written(chosen(trial)))
    console.print(table)
