"""The rules for files in `recipes/`."""

import ast
import importlib.metadata
import sys

import pytest

from recipes.engine.recipe_file import cookbook, from_plain, load, to_plain

NAMES = sorted(cookbook())


def test_no_recipe_hides_a_module():
    ours = {"zoo", "augment", "compress", "recipes", "tests", "benchmarks"}
    installed = set(importlib.metadata.packages_distributions())
    assert not set(NAMES) & (ours | installed | set(sys.stdlib_module_names))


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_data(name):
    tree = ast.parse(cookbook()[name].read_text(encoding="utf-8"))
    kinds = [type(node) for node in tree.body]
    assert kinds == [ast.Expr, ast.ImportFrom, ast.Assign, ast.If]
    doc = ast.get_docstring(tree) or ""
    assert doc.split("\n")[0].endswith(".")
    assert all(word in doc for word in ("Task:", "Data:", "Paper:", "Result:", "Time:"))


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_round_trips(name):
    recipe = load(name).recipe
    assert recipe.name == name
    assert from_plain(to_plain(recipe), where=name) == recipe
