"""A run killed with SIGKILL and resumed ends with the weights of an uninterrupted one, bit for bit."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from recipes.engine import Augment, Compress, Data, Export, Gate, Model, Recipe, Train, run, runs, train
from recipes.engine.errors import UserError

RECIPE = Recipe(
    name="killed",
    data=Data(source="digits", limit=12),
    model=Model(name="resnet8", width=4, dropout=0.2),
    augment=Augment(translate=0.1, rotate=10.0, mixup=0.2),
    train=Train(epochs=4, batch_size=24, ema=0.9, clip=1.0, accumulate=2),
    compress=Compress(quantize_aware=True, epochs=3, distill=0.5, freeze=0.7),
    export=Export(quantize="int8", calibration=32),
    gate=Gate(max_drop=None),
)

KILLER = Path(__file__).with_name("killer.py")


def weights(folder):
    loaded = [keras.models.load_model(folder / name) for name in ("model.keras", "model_qat.keras")]
    return [value for model in loaded for value in model.get_weights()]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    recipe = dataclasses.replace(RECIPE, output=str(tmp_path_factory.mktemp("reference")))
    folder = runs.create(recipe)
    run.run(folder)
    return weights(folder)


@pytest.mark.parametrize("where", ["train-start", "train-middle", "train-write", "quantize-middle"])
def test_a_killed_run_resumes_bit_for_bit(tmp_path, reference, where):
    folder = runs.create(dataclasses.replace(RECIPE, output=str(tmp_path)))
    killed = subprocess.run([sys.executable, KILLER, where, folder], capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr[-2000:]
    phase = where.split("-")[0]
    assert (folder / f"{phase}.checkpoint.npz").exists()
    assert runs.read_manifest(folder)["status"] == "started"
    run.run(folder)
    assert runs.read_manifest(folder)["status"] == "finished"
    assert not [p.name for p in folder.iterdir() if "tmp" in p.name or "checkpoint" in p.name]
    for resumed, uninterrupted in zip(weights(folder), reference, strict=True):
        np.testing.assert_array_equal(resumed, uninterrupted)


def test_changed_data_is_not_resumed(tmp_path):
    folder = runs.create(dataclasses.replace(RECIPE, output=str(tmp_path)))
    runs.update_manifest(folder, {"data_fingerprint": "0" * 64})
    with pytest.raises(UserError, match="changed since"):
        run.run(folder)


def test_a_damaged_checkpoint_says_so(tmp_path):
    folder = runs.create(dataclasses.replace(RECIPE, output=str(tmp_path)))
    (folder / "train.checkpoint.npz").write_bytes(b"PK\x03\x04 half")
    with pytest.raises(UserError, match=r"train\.checkpoint\.npz cannot be read .* delete it"):
        run.run(folder)


def test_patience_is_remembered(tmp_path):
    """Early stopping counts across a resume: a state that has waited long enough trains no further."""
    state = train.State(epochs=2, best_epoch=1, best=(0.9, -0.1), waited=1, curves={"loss": [1.0, 1.0]})
    assert state.after((0.5, -1.0), {"loss": 1.0}).waited == 2
    assert state.after((0.95, -1.0), {"loss": 1.0}).waited == 0
    assert state.after((0.9, -0.05), {"loss": 1.0}).best_epoch == 3


def test_a_first_epoch_is_the_best_so_far_however_bad():
    """R² has no lower end."""
    assert train.State().after((-7.0, -3.0), {"loss": 3.0}).best_epoch == 1
