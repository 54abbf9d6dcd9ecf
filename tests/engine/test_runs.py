import dataclasses
import json

import pytest

from recipes.engine import Recipe, runs
from recipes.engine.errors import UserError
from recipes.engine.files import whole, write_json


def recipe_in(tmp_path):
    return dataclasses.replace(Recipe(name="r"), output=str(tmp_path / "out"))


def test_folders_count_up_and_open_again(tmp_path):
    recipe = recipe_in(tmp_path)
    first, second = runs.create(recipe, summary="S."), runs.create(recipe)
    assert (first.name, second.name) == ("r-001", "r-002")
    assert runs.read_recipe(first) == recipe
    about = runs.read_manifest(first)
    assert about["summary"] == "S."
    assert about["versions"]["keras"].startswith("3.")
    assert runs.find(tmp_path / "out") == [first, second]


def test_another_format_is_refused(tmp_path):
    folder = runs.create(recipe_in(tmp_path))
    runs.update_manifest(folder, {"format": 99})
    with pytest.raises(UserError, match=r"has format 99 .* reads format 1"):
        runs.read_recipe(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}'])
def test_a_damaged_manifest_is_refused(tmp_path, text):
    folder = runs.create(recipe_in(tmp_path))
    (folder / "manifest.json").write_text(text)
    with pytest.raises(UserError, match="damaged"):
        runs.read_manifest(folder)


def test_no_run_folder(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        runs.read_manifest(tmp_path / "none")
    with pytest.raises(UserError, match=r"no manifest\.json"):
        runs.read_manifest(tmp_path)


def test_output_is_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match="is a file"):
        runs.create(recipe_in(tmp_path))


def test_a_run_that_stops_at_once_leaves_no_folder(tmp_path):
    folder = runs.create(recipe_in(tmp_path))
    with pytest.raises(UserError):
        runs.guard(folder, lambda: (_ for _ in ()).throw(UserError("bad data")))
    assert not folder.exists()


def test_a_run_that_stops_later_keeps_its_reason(tmp_path):
    folder = runs.create(recipe_in(tmp_path))

    def work():
        write_json(folder / "train.history.json", {})
        raise UserError("disk gone")

    with pytest.raises(UserError):
        runs.guard(folder, work)
    assert json.loads((folder / "manifest.json").read_text())["error"] == "disk gone"


def test_a_file_is_whole_or_absent(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")

    def half():
        with whole(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
