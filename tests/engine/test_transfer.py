"""A recipe on trained weights: phases, what each moves, rates, resuming."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from recipes.engine import (
    Data,
    Export,
    Gate,
    Model,
    Recipe,
    Train,
    Transfer,
    data,
    network,
    run,
    runs,
    stages,
    tokens,
    train,
    transfer,
)
from recipes.engine.errors import UserError

WIDTH = 8


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A network that already knows digits, as a file for another number of classes."""
    recipe = Recipe(model=Model(name="resnet8", width=WIDTH), train=Train(epochs=6, lr=0.01))
    examples = data.load(recipe.data)
    model, prepared = network.build(recipe, examples)
    folder = tmp_path_factory.mktemp("trained")
    model, _ = stages.trained(model, recipe, examples, prepared, folder)
    settings = dataclasses.replace(zoo.spec("resnet8"), width=WIDTH)
    other = zoo.build(settings, input_shape=(8, 8, 1), classes=7)
    for layer in other.layers:
        if layer.name != "head":
            layer.set_weights(model.get_layer(layer.name).get_weights())
    other.save_weights(folder / "digits.weights.h5")
    return folder / "digits.weights.h5"


@pytest.fixture
def recipe(weights, tmp_path):
    return Recipe(
        name="transfer",
        output=str(tmp_path),
        data=Data(source="digits", limit=2),
        model=Model(name="resnet8", width=WIDTH, dropout=0.2),
        train=Train(epochs=20, batch_size=8, lr=0.02),
        transfer=Transfer(weights=str(weights), unfreeze=("stage3", "stem"), epochs=3, lr=1e-3, layer_decay=0.7),
        export=Export(calibration=32),
        gate=Gate(max_drop=None),
    )


def given(recipe):
    examples = data.load(recipe.data)
    return examples, *network.build(recipe, examples)


def test_the_phases_of_a_recipe(recipe):
    head, third, whole = transfer.plan(recipe)
    assert (head.endpoint, head.settings, head.decay) == ("head", recipe.train, 1.0)
    assert (third.endpoint, whole.endpoint) == ("stage3", "stem")
    assert (third.settings.epochs, third.settings.lr, third.decay) == (3, 1e-3, 0.7)
    (scratch,) = transfer.plan(dataclasses.replace(recipe, transfer=Transfer()))
    assert (scratch.name, scratch.endpoint, scratch.settings) == ("train", "", recipe.train)


def test_the_head_learns_on_a_backbone_that_stays(recipe, tmp_path):
    only_head = dataclasses.replace(recipe, transfer=dataclasses.replace(recipe.transfer, unfreeze=()))
    examples, model, prepared = given(only_head)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    trained, (history,) = stages.trained(model, only_head, examples, prepared, tmp_path)
    for layer in trained.layers:
        same = all(np.array_equal(a, b) for a, b in zip(before[layer.name], layer.get_weights(), strict=True))
        assert same != (layer.name == "head") or not layer.weights or layer.name == "dropout"
    assert history.best > 0.75, "two examples a digit suffice on features that know digits"
    assert all(layer.trainable for layer in trained.layers), "what is handed on can be trained further"


def test_transfer_beats_scratch_on_the_same_examples_and_epochs(recipe, tmp_path):
    examples, model, prepared = given(recipe)
    (tmp_path / "a").mkdir()
    _, histories = stages.trained(model, recipe, examples, prepared, tmp_path / "a")
    assert [history.phase for history in histories] == ["train", "unfreeze1", "unfreeze2"]
    plain = dataclasses.replace(recipe, transfer=Transfer(), train=dataclasses.replace(recipe.train, epochs=20 + 3 + 3))
    examples, model, prepared = given(plain)
    (tmp_path / "b").mkdir()
    _, (scratch,) = stages.trained(model, plain, examples, prepared, tmp_path / "b")
    assert max(history.best for history in histories) > scratch.best + 0.1


def test_a_phase_that_makes_it_worse_leaves_nothing_behind(recipe, tmp_path):
    wild = dataclasses.replace(recipe, transfer=dataclasses.replace(recipe.transfer, lr=3.0, layer_decay=1.0))
    examples, model, prepared = given(wild)
    trained, histories = stages.trained(model, wild, examples, prepared, tmp_path)
    assert histories[1].best < histories[0].best
    assert "no epoch was better" in histories[1].note
    assert stages.judge(trained, examples, prepared)[0].score == pytest.approx(histories[0].best)
    _, told = stages.trained(model, wild, examples, prepared, tmp_path)
    assert told == histories, "what was kept tells the same story"
    assert sorted(path.name for path in tmp_path.glob("*.keras")) == ["model.keras"]


def test_the_rate_of_each_phase_comes_from_a_test_and_is_remembered(recipe, tmp_path):
    finding = dataclasses.replace(recipe, transfer=dataclasses.replace(recipe.transfer, find_lr=True))
    examples, model, prepared = given(finding)
    before = model.get_weights()
    step = transfer.plan(finding)[0]
    transfer.open_up(model, step)
    settings = transfer.with_rate(step, model, finding, examples, prepared, tmp_path)
    kept = json.loads((tmp_path / "train.rate.json").read_text())
    assert settings == dataclasses.replace(recipe.train, lr=kept["rate"])
    assert 1e-4 < kept["rate"] < 1.0
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    quantize = transfer.Phase("quantize", "", recipe.train)
    assert transfer.with_rate(quantize, model, finding, examples, prepared, tmp_path) is recipe.train, "not its own"
    (tmp_path / "train.rate.json").write_text(json.dumps({"rate": 0.123}))
    assert transfer.with_rate(step, model, finding, examples, prepared, tmp_path).lr == 0.123


def test_a_run_killed_in_a_later_phase_resumes_bit_for_bit(recipe, tmp_path):
    folders = [runs.create(dataclasses.replace(recipe, output=str(tmp_path / name))) for name in ("whole", "killed")]
    run.run(folders[0])
    command = [sys.executable, Path(__file__).with_name("killer.py"), "unfreeze2-middle", folders[1]]
    killed = subprocess.run(command, capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr[-2000:]
    assert (folders[1] / ".unfreeze1.keras").exists()
    run.run(folders[1])
    values = [keras.models.load_model(folder / "model.keras").get_weights() for folder in folders]
    assert all(np.array_equal(a, b) for a, b in zip(*values, strict=True))
    assert "Stage3 and all after it" in (folders[1] / "report.html").read_text()


def test_published_normalisation_is_used(recipe, monkeypatch, weights):
    real = zoo.weights.load

    def known(model, source, *, spec):
        return dataclasses.replace(real(model, source, spec=spec), mean=(100.0,), std=(50.0,))

    monkeypatch.setattr(zoo.weights, "load", known)
    _, _, prepared = given(recipe)
    assert (prepared.mean, prepared.std) == ((100.0,), (50.0,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "imagenet9"}, "imagenet9"),
        ({"unfreeze": ("stage9",)}, "no endpoint 'stage9'; the model has stem"),
    ],
)
def test_mistakes(recipe, tmp_path, changes, message):
    wrong = dataclasses.replace(recipe, transfer=dataclasses.replace(recipe.transfer, **changes))
    with pytest.raises((UserError, zoo.ZooError), match=message):
        given(wrong)


def test_unfreezing_without_weights_is_refused():
    with pytest.raises(ValueError, match="name the weights"):
        Recipe(transfer=Transfer(unfreeze=("stem",)))


def test_a_warmup_schedule_survives_being_written_down():
    steps = train.schedule(Train(warmup=0.5, lr=0.1), 20)
    again = train.Warmup.from_config(steps.get_config())
    assert [float(again(step)) for step in (0, 5, 15)] == [float(steps(step)) for step in (0, 5, 15)]


@pytest.mark.parametrize("chosen", ["auto", "char"])
def test_weights_of_texts_bring_their_tokenizer_unless_another_is_asked_for(chosen, tmp_path):
    reviews = [f"{word} film, {number}" for number in range(20) for word in ("good", "bad")]
    rows = [f'"{text}",{label}' for text, label in zip(reviews, ["pos", "neg"] * 20, strict=True)]
    (tmp_path / "reviews.csv").write_text("\n".join(["text,label", *rows]))
    theirs = tokens.fit(["quite another text about films"], kind="wordpiece", size=60)
    (tmp_path / "tokenizer.json").write_text(theirs.to_json())
    size = theirs.size if chosen == "auto" else 24
    settings = dataclasses.replace(zoo.spec("bert_tiny"), vocabulary=size)
    given = zoo.build(settings, input_shape=(12,), classes=2)
    given.save_weights(tmp_path / "bert.weights.h5")
    recipe = Recipe(
        data=Data(source=str(tmp_path / "reviews.csv"), steps=12, tokenizer=chosen, vocabulary=size),
        model=Model(name="bert_tiny"),
        transfer=Transfer(weights=str(tmp_path / "bert.weights.h5")),
    )
    model, prepared = network.build(recipe, data.load(recipe.data))
    assert (prepared.tokens.words == theirs.words) == (chosen == "auto")
    np.testing.assert_array_equal(model.get_weights()[0], given.get_weights()[0])
