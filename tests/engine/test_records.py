import json
from typing import get_args

import pytest
import yaml
from pydantic import ValidationError

from compress.forms import FORMS
from recipes.engine import Compress, Data, Export, Gate, Model, Recipe, Train
from recipes.engine.errors import UserError
from recipes.engine.overrides import override
from recipes.engine.recipe_file import fields, from_plain, load, to_plain
from recipes.engine.records import Quantize


def test_json_and_yaml_round_trip():
    recipe = Recipe(name="x", model=Model(width=8, spec={"depths": [1, 2, 3]}), train=Train(lr=0.125))
    assert from_plain(json.loads(json.dumps(to_plain(recipe))), where="json") == recipe
    assert from_plain(yaml.safe_load(yaml.safe_dump(to_plain(recipe))), where="yaml") == recipe


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda: Train(epochs=0), "epochs"),
        (lambda: Train(lr=float("nan")), "lr"),
        (lambda: Train(schedule="linear"), "schedule"),
        (lambda: Data(test=1.0), "test"),
        (lambda: Recipe(data=Data(validation=0.6, test=0.5)), "nothing is left"),
        (lambda: Recipe(name="../x"), "folder name"),
        (lambda: Recipe(compress=Compress(quantize_aware=True), export=Export(quantize="float16")), "int8"),
        (lambda: Recipe(compress=Compress(distill=0.5)), "or clusters; set one"),
        (lambda: Recipe(compress=Compress(recovery_lr=0.1)), "macs, sparsity or clusters; set one"),
        (lambda: Recipe(compress=Compress(quantize_aware=True, percentile=99.0)), "goes with compress.ranges"),
        (lambda: Recipe(compress=Compress(ranges="mse")), "compress.ranges is for fine-tuning"),
        (
            lambda: Recipe(
                compress=Compress(quantize_aware=True, activations=16, ranges="mse"), export=Export(quantize="int16x8")
            ),
            "of 256 steps",
        ),
        (lambda: Recipe(compress=Compress(freeze=0.5)), "compress.freeze is for fine-tuning"),
    ],
)
def test_a_record_refuses_what_makes_no_sense(build, word):
    with pytest.raises(ValidationError, match=word):
        build()


def test_the_formats_are_those_of_export():
    assert get_args(Quantize) == FORMS


def test_records_are_frozen():
    with pytest.raises(AttributeError):
        Recipe().name = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("args", "field", "value"),
    [
        (["--train.epochs", "3"], "train.epochs", 3),
        (["--data.on-bad", "skip"], "data.on_bad", "skip"),
        (["--data.on_bad=skip"], "data.on_bad", "skip"),
        (["--model.width", "0.5"], "model.width", 0.5),
        (["--gate.max-drop", "None"], "gate.max_drop", None),
        (["--model.spec", '{"depths": [2, 2]}'], "model.spec", {"depths": [2, 2]}),
        (["--augment.flip"], "augment.flip", True),
        (["--augment.flip", "True", "--train.epochs", "3"], "augment.flip", True),
        (["--augment.no-flip"], "augment.flip", False),
        (["--gate.full-integer=false"], "gate.full_integer", False),
        (["--gate.full_integer", "False"], "gate.full_integer", False),
    ],
)
def test_an_override_is_typed(args, field, value):
    plain = to_plain(override(Recipe(gate=Gate(full_integer=True)), args, prog="x"))
    for part in field.split("."):
        plain = plain[part]
    assert plain == value


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--train.lrr", "3"], "unknown option --train.lrr; did you mean train.lr?"),
        (["--tran.epochs", "3"], "did you mean train.epochs?"),
        (["--train.lr", "abc"], "--train.lr: could not convert string to float: 'abc'"),
        (["--train.epochs", "0"], "train.epochs: input should be greater than or equal to 1, got 0"),
        (["--train.schedule", "foo"], "cosine"),
        (["--train.lr"], "Missing value"),
        (["--model.spec", "[1]"], "not a JSON object"),
        (["--data.validation", "0.9", "--data.test", "0.9"], "nothing is left"),
    ],
)
def test_a_wrong_override_is_one_sentence(args, sentence):
    with pytest.raises(UserError) as caught:
        override(Recipe(), args, prog="x")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_fields_are_dotted():
    assert {"name", "train.lr", "model.width", "gate.max_drop", "model.spec"} <= set(fields())


def test_an_unknown_field_in_a_file_shows_the_near_match(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("train:\n  epoch: 3\n")
    with pytest.raises(UserError, match=r"unknown field train\.epoch; did you mean train\.epochs\?"):
        load(str(path))


def test_fields_that_do_not_go_together_are_one_sentence():
    with pytest.raises(UserError) as caught:
        override(Recipe(), ["--compress.distill", "0.5"], prog="x")
    sentence = "compress.distill is for training after quantize_aware, macs, sparsity or clusters; set one"
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("r.json", "{", "not valid JSON"),
        ("r.yaml", "a: [", "not valid YAML"),
        ("r.yaml", "train: 3", "train"),
        ("r.py", "x = 1", "defines no `recipe"),
        ("r.py", "1 / 0", "ZeroDivisionError"),
        ("r.py", "from recipes.engine import *\nrecipe = Recipe(train=Train(epochs='many'))", "epochs"),
    ],
)
def test_a_broken_recipe_file_is_one_sentence(tmp_path, name, text, sentence):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        load(str(path))


def test_a_recipe_loads_alike_from_python_and_yaml(tmp_path):
    (tmp_path / "a.py").write_text(
        '"""First line."""\nfrom recipes.engine import *\nrecipe = Recipe(name="a", train=Train(epochs=7))\n'
    )
    (tmp_path / "a.yaml").write_text("# First line.\nname: a\ntrain: {epochs: 7}\n")
    one, two = load(str(tmp_path / "a.py")), load(str(tmp_path / "a.yaml"))
    assert one == two
    assert one.summary == "First line."


def test_a_missing_recipe_names_its_neighbour():
    with pytest.raises(UserError, match="did you mean digits"):
        load("digit")
