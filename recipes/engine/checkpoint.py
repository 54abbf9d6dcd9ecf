"""The state of a training phase in one file, so that a killed run goes on as if nothing had happened."""

import json
import math
import zipfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import keras
import numpy as np

from recipes.engine.errors import UserError
from recipes.engine.files import whole


@dataclass(frozen=True)
class State:
    """What a phase knows beside the weights.

    Attributes:
        epochs: how many are done.
        best_epoch: the best so far, counted from 1; 0 is the start.
        best: its score, `(validation accuracy or mIoU, -validation loss)`; `(0, -loss)` by loss alone.
        waited: epochs since.
        curves: one list of values a name, one value an epoch.
    """

    epochs: int = 0
    best_epoch: int = 0
    best: tuple[float, float] = (-math.inf, 0.0)
    waited: int = 0
    curves: dict[str, list[float]] = field(default_factory=dict)

    def after(self, score: tuple[float, float], values: dict[str, float]) -> "State":
        """The state one epoch later."""
        curves = {name: [*self.curves.get(name, []), value] for name, value in values.items()}
        state = replace(self, epochs=self.epochs + 1, waited=self.waited + 1, curves=curves)
        if score > self.best:
            state = replace(state, best=score, best_epoch=state.epochs, waited=0)
        return state


def save(path: Path, model: keras.Model, best: list[np.ndarray], state: State) -> None:
    """Write weights, optimizer, random state and `state` to `path`, whole or not at all."""
    arrays = {f"model/{i}": np.asarray(v) for i, v in enumerate(model.variables)}
    arrays |= {f"optimizer/{i}": np.asarray(v) for i, v in enumerate(model.optimizer.variables)}
    arrays |= {f"best/{i}": value for i, value in enumerate(best)}
    with whole(path) as temporary:
        np.savez(temporary, allow_pickle=False, state=np.array(json.dumps(asdict(state))), **arrays)


def load(path: Path, model: keras.Model) -> tuple[State, list[np.ndarray]]:
    """Put a saved state back into a compiled `model`; give the rest.

    Raises:
        UserError: the file is damaged or belongs to another model.
    """
    try:
        with np.load(path, allow_pickle=False) as saved:
            arrays = dict(saved)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"the checkpoint {path} cannot be read ({error}); delete it to train from the start") from None
    groups: dict[str, list[np.ndarray]] = {"model": [], "optimizer": [], "best": []}
    values = json.loads(str(arrays.pop("state")))
    for name, array in arrays.items():
        groups[name.split("/")[0]].append(array)
    model.optimizer.build(model.trainable_variables)
    for variables, saved_values in (
        (model.variables, groups["model"]),
        (model.optimizer.variables, groups["optimizer"]),
    ):
        if [tuple(v.shape) for v in variables] != [a.shape for a in saved_values]:
            raise UserError(f"the checkpoint {path} was written by another model; delete it to train from the start")
        for variable, value in zip(variables, saved_values, strict=True):
            variable.assign(value)
    return State(**values | {"best": tuple(values["best"])}), groups["best"]
