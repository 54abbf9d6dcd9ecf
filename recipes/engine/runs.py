"""Run folders: made, found, opened, described."""

import contextlib
import errno
import importlib.metadata
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recipes.engine.errors import UserError
from recipes.engine.files import write_json
from recipes.engine.recipe_file import from_plain, to_plain
from recipes.engine.records import Recipe

FORMAT = 1
"""Version of the run folder's layout; another version is refused."""

PACKAGES = (
    "edgezoo",
    "keras",
    "tensorflow",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "numpy",
    "scikit-learn",
    "pillow",
)
"""What the manifest records the versions of."""


def create(recipe: Recipe, *, summary: str = "", command: str = "") -> Path:
    """Make the next free folder `OUTPUT/NAME-001` with `recipe.json` and `manifest.json` inside.

    Raises:
        UserError: the output folder cannot be written.
    """
    output = Path(recipe.output)
    try:
        output.mkdir(parents=True, exist_ok=True)
        taken = {p.name for p in output.iterdir()}
        number = next(n for n in range(1, 10**6) if f"{recipe.name}-{n:03d}" not in taken)
        folder = output / f"{recipe.name}-{number:03d}"
        folder.mkdir()
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"the output folder {output} is a file; choose another with --output") from None
    except OSError as error:
        reason = "is read-only" if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM) else f"({error.strerror})"
        raise UserError(
            f"the output folder {output} cannot be written: it {reason}; choose another with --output"
        ) from None
    try:
        write_json(folder / "recipe.json", to_plain(recipe))
        write_json(folder / "manifest.json", manifest(summary=summary, command=command))
    except OSError:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        raise
    return folder


def guard(folder: Path, action: Callable[[], object]) -> None:
    """Do `action` in a new run folder.

    A run that stops before it has anything to keep leaves no folder behind; one that stops later says why in its
    manifest, and can be resumed.
    """
    try:
        action()
    except BaseException as error:
        kept = {p.name for p in folder.iterdir()} - {"recipe.json", "manifest.json", "tensorboard"}
        if not kept:
            shutil.rmtree(folder)
        elif isinstance(error, Exception) and read_manifest(folder)["status"] == "started":
            with contextlib.suppress(OSError):  # a full disk must not hide its own message
                update_manifest(folder, {"error": str(error)})
        raise


def version(package: str) -> str:
    """The installed version of a package."""
    return importlib.metadata.version(package)


def manifest(*, summary: str, command: str) -> dict[str, Any]:
    """Where and with what a run is made."""
    return {
        "format": FORMAT,
        "status": "started",
        "summary": summary,
        "command": command,
        "started": now(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def now() -> str:
    """The time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def command_line() -> str:
    """The command as typed, less the interpreter's path."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def update_manifest(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Add `values` to the run's manifest."""
    merged = read_manifest(folder) | values
    write_json(folder / "manifest.json", merged)
    return merged


def read_manifest(folder: Path) -> dict[str, Any]:
    """The run's manifest.

    Raises:
        UserError: this is no run folder, or one of another version.
    """
    if not folder.is_dir():
        raise UserError(f"the run folder {folder} does not exist; `edgezoo list runs` shows those there are")
    try:
        values = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        version = values["format"]
    except FileNotFoundError:
        raise UserError(f"{folder} is not a run folder: it has no manifest.json") from None
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError):
        raise UserError(f"{folder}/manifest.json is damaged, so the run cannot be opened") from None
    if version != FORMAT:
        made_by = values.get("versions", {}).get("edgezoo", "unknown")
        raise UserError(
            f"the run folder {folder} has format {version} (edgezoo {made_by}), this edgezoo reads format {FORMAT}; "
            "run its recipe.json anew, or install the edgezoo that made it"
        )
    return values


def read_recipe(folder: Path) -> Recipe:
    """The resolved recipe of a run."""
    read_manifest(folder)
    path = folder / "recipe.json"
    try:
        return from_plain(json.loads(path.read_text(encoding="utf-8")), where=str(path))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        raise UserError(f"{path} is missing or damaged, so the run cannot be opened") from None


def find(output: Path) -> list[Path]:
    """All run folders below `output`, oldest first."""
    folders = [path.parent for path in output.glob("*/manifest.json")]
    return sorted(folders, key=lambda folder: (folder / "manifest.json").stat().st_mtime)
