"""The engine: data → model → train → evaluate → compress → export → verify → report."""

from collections.abc import Sequence

from recipes.engine.records import Augment, Compress, Data, Export, Gate, Model, Recipe, Train, Transfer

__all__ = ["Augment", "Compress", "Data", "Export", "Gate", "Model", "Recipe", "Train", "Transfer", "main"]


def main(recipe: Recipe, args: Sequence[str] | None = None) -> None:
    """Run `recipe` as a script, with overrides from the command line: `python recipes/digits.py --train.epochs 3`.

    Args:
        recipe: the recipe that the file defines.
        args: the command line; `sys.argv[1:]` when None.
    """
    from recipes.engine.cli import run_script

    run_script(recipe, args)
