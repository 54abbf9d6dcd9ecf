"""A recipe that takes channels out, makes zeros and few values, and then integers: what is left in the files."""

import json

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import compress
import zoo
from compress import flatbuffer
from recipes.engine import Augment, Compress, Data, Export, Gate, Model, Recipe, Train, again, run, runs, smaller, train
from recipes.engine.errors import UserError


def recipe(folder, **settings):
    return Recipe(
        name="small",
        data=Data(source="digits", limit=20),
        model=Model(name="resnet8", width=16, spec={"depths": [1, 1]}),
        augment=Augment(),
        train=Train(epochs=3, batch_size=25, lr=4e-3),
        compress=Compress(recovery_epochs=2, recovery_lr=2e-3, **settings),
        export=Export(calibration=32),
        gate=Gate(max_drop=None),
        output=str(folder),
    )


LESS = {"macs": 0.5, "sparsity": 0.5, "clusters": 8, "distill": 0.5}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = runs.create(recipe(tmp_path_factory.mktemp("runs"), **LESS, quantize_aware=True, epochs=1))
    return folder, run.run(folder)


def test_each_phase_is_trained_and_kept(made):
    folder, facts = made
    assert [history.phase for history in facts.histories] == ["train", "channels", "prune", "cluster", "quantize"]
    assert [len(history.curves["loss"]) for history in facts.histories] == [3, 2, 2, 2, 1]
    assert facts.histories[2].best_epoch == 2, "in the first epoch zeros are still being made"
    assert {path.name for path in folder.glob("*.keras")} == {"model.keras", "model_small.keras", "model_qat.keras"}
    assert not list(folder.glob(".*")) and not list(folder.glob("*.npz"))


def test_the_kept_model_has_fewer_channels_zeros_and_few_values(made):
    folder, facts = made
    whole, small = (keras.models.load_model(folder / name) for name in ("model.keras", smaller.FILE))
    plain = compress.strip(small)
    assert zoo.macs(plain) <= 0.5 * zoo.macs(whole) and plain.count_params() < 0.7 * whole.count_params()
    kernels = [w.numpy() for layer in plain.layers for w in layer.weights if w.name == "kernel"]
    assert len(kernels) >= 5
    assert all(np.mean(kernel == 0) >= 0.49 and len(np.unique(kernel)) <= 8 for kernel in kernels)
    assert (facts.smaller.macs, facts.smaller.parameters) == (zoo.macs(plain), plain.count_params())
    assert facts.smaller.zeros == pytest.approx(0.5, abs=0.02)


def test_the_file_has_them_too(made):
    folder, facts = made
    model = flatbuffer.unpack((folder / "model.tflite").read_bytes(), origin="the file")
    kernels = [
        np.frombuffer(bytes(np.asarray(model.buffers[tensor.buffer].data, np.uint8)), np.int8).reshape(tensor.shape)
        for tensor in model.subgraphs[0].tensors
        if tensor.type == schema.TensorType.INT8
        and len(tensor.shape) in (2, 4)
        and model.buffers[tensor.buffer].data is not None
    ]
    assert len(kernels) >= 5
    for kernel in kernels:
        assert np.mean(kernel == 0) >= 0.49
        assert max(len(np.unique(filters)) for filters in kernel.reshape(len(kernel), -1)) <= 8  # a scale a channel
    assert facts.lite["float_tensors"] == [] and facts.lite["bytes"] < 0.5 * facts.lite["float_bytes"]


def test_the_report_tells_them(made):
    folder, facts = made
    told = json.loads((folder / "report.json").read_text())["smaller"]
    assert told["macs"] == facts.smaller.macs and told["test"]["accuracy"] == facts.smaller.test.score
    page = (folder / "report.html").read_text()
    assert "made smaller" in page and "Training with fewer channels" in page and "Zeros among the weights" in page
    assert f"{facts.smaller.macs:,}" in page


def test_another_format_is_of_the_smaller_model(made, tmp_path):
    folder, _ = made
    again.export_again(folder, "float16", tmp_path / "half.tflite")
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)
    expected = keras.models.load_model(folder / smaller.FILE).predict(x, verbose=0)
    np.testing.assert_allclose(compress.LiteModel(tmp_path / "half.tflite").predict(x), expected, atol=0.05)


def test_interrupted_in_two_phases_it_ends_with_the_same_weights(made, tmp_path, monkeypatch):
    folder = runs.create(recipe(tmp_path, **LESS))
    begin = train.Keeper.on_epoch_begin
    for phase in ("prune", "cluster"):

        def interrupted(self, epoch, logs=None, phase=phase):
            begin(self, epoch, logs)
            if epoch == 1 and self.path.name.startswith(phase):
                raise KeyboardInterrupt

        monkeypatch.setattr(train.Keeper, "on_epoch_begin", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run.run(folder)
        assert not (folder / smaller.FILE).exists() and (folder / f"{phase}.checkpoint.npz").exists()
    monkeypatch.undo()
    facts = run.run(folder)
    assert [history.phase for history in facts.histories] == ["train", "channels", "prune", "cluster"]
    ours, theirs = (keras.models.load_model(each / smaller.FILE).get_weights() for each in (folder, made[0]))
    for resumed, uninterrupted in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(resumed, uninterrupted)


def test_what_cannot_be_done_is_said_before_training(tmp_path):
    asked = recipe(tmp_path, macs=0.01)
    folder = runs.create(asked)
    with pytest.raises(UserError, match=r"^compress\.macs: macs=0\.01 cannot be reached"):
        run.run(folder)
    assert not list(folder.glob("*.keras"))


def test_a_single_epoch_makes_the_zeros_at_once(tmp_path):
    (change,) = smaller.changes(Recipe(compress=Compress(sparsity=0.75, recovery_epochs=1)))
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(8)(inputs))
    assert change.whole_from == 1 and compress.sparsity(change.make(model, 10)).share == 0.75
    (change,) = smaller.changes(Recipe(compress=Compress(sparsity=0.75, recovery_epochs=7)))
    assert change.whole_from == 4 and compress.sparsity(change.make(model, 10)).share < 0.75


def test_nothing_is_asked_for_by_default():
    assert smaller.changes(Recipe()) == ()
