import dataclasses

import pytest

from recipes.engine import Data, Model, Recipe, Train, tune
from recipes.engine.errors import UserError
from recipes.engine.tune import Range, Search, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.lr=log:1e-4:1e-2", Range("train.lr", low=1e-4, high=1e-2, log=True)),
        ("train.epochs=5:20", Range("train.epochs", low=5, high=20, whole=True)),
        ("train.lr=0.1:0.5", Range("train.lr", low=0.1, high=0.5)),
        ("model.width=16,32", Range("model.width", choices=(16, 32))),
        ("model.width=0.5,1", Range("model.width", choices=(0.5, 1.0))),
        ("train.optimizer=adamw,sgd", Range("train.optimizer", choices=("adamw", "sgd"))),
        ("augment.flip=true,false", Range("augment.flip", choices=(True, False))),
    ],
)
def test_ranges(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("train.lr", "write FIELD=LOW:HIGH"),
        ("train.lr=", "write FIELD=LOW:HIGH"),
        ("train.lrr=1:2", r"did you mean train\.lr"),
        ("train.lr=a:b", "is no range"),
        ("train.lr=1:2:3", "is no range"),
        ("train.lr=2:1", "must rise"),
        ("train.lr=log:0:1", "from above 0"),
    ],
)
def test_a_wrong_range_is_one_sentence(text, sentence):
    with pytest.raises(UserError, match=sentence):
        parse(text)


def test_a_value_the_recipe_refuses_is_found_before_the_search(tmp_path):
    recipe = Recipe(output=str(tmp_path / "out"))
    with pytest.raises(UserError, match=r"train\.epochs"):
        tune.create(recipe, Search(("train.epochs=0:5",), 2, "random"), summary="", command="")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("algorithm", ["random", "bayesian", "hyperband"])
def test_a_search_finds_the_better_value_and_resumes_without_a_repeat(tmp_path, algorithm, monkeypatch):
    from recipes.engine import trials

    base = Recipe(
        name="t",
        output=str(tmp_path),
        data=Data(source="digits", limit=5),
        model=Model(name="resnet8", width=4),
        train=Train(epochs=9, batch_size=25, lr=1e-3),
    )
    seen = []

    def score(recipe, folder, values):
        if len(seen) == 2:
            seen.append(None)
            raise KeyboardInterrupt  # the search is cut in its third trial
        seen.append((values["train.lr"], recipe.train.epochs))
        return 1.0 - abs(values["train.lr"] - 0.01)

    monkeypatch.setattr(trials, "score", score)
    search = Search(("train.lr=log:1e-4:1e-1",), 5, algorithm)
    folder = tune.create(dataclasses.replace(base), search, summary="", command="")
    with pytest.raises(KeyboardInterrupt):
        trials.go_on(folder)
    path = trials.go_on(folder)
    done = [item for item in seen if item is not None]
    assert len(done) == len(set(done))
    if algorithm != "hyperband":
        assert len(done) == 5
    from recipes.engine.recipe_file import load

    winner = load(str(path)).recipe
    best = min((lr for lr, _ in done), key=lambda lr: abs(lr - 0.01))
    assert winner.train.lr == pytest.approx(best)
    assert winner.name == "t"
