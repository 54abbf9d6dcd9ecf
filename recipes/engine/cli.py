"""The command line: `edgezoo COMMAND …`. Nothing heavy is imported before a command needs it."""

import difflib
import errno
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from recipes.engine import records, runs
from recipes.engine.commands import COMMANDS, start
from recipes.engine.errors import GateFailed, TrainingFailed, UserError


def entry() -> None:
    """Entry point of the `edgezoo` command."""
    guarded(lambda: dispatch(sys.argv[1:]))


def run_script(recipe: records.Recipe, args: Sequence[str] | None = None) -> None:
    """`python recipes/digits.py [overrides]`: what `recipes.engine.main` calls."""
    summary = (getattr(sys.modules.get("__main__"), "__doc__", None) or "").strip().split("\n")[0]
    given = sys.argv[1:] if args is None else list(args)
    guarded(lambda: start(recipe, given, summary=summary, prog=Path(sys.argv[0]).name))


def guarded(action: Callable[[], None]) -> None:
    """Run a command; a user's mistake is one sentence and exit code 2, a failed gate or training exit code 1."""
    try:
        action()
    except (GateFailed, TrainingFailed) as error:
        stop(f"failed: {error}", 1)
    except KeyboardInterrupt:
        stop("interrupted; go on with `edgezoo resume RUN`", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        sentence = users_mistake(error)
        if sentence is None:
            raise
        stop(f"error: {sentence}", 2)


def users_mistake(error: BaseException) -> str | None:
    """The sentence for an error that the user can mend, or None for a fault of ours.

    Ours to explain are `UserError`, the `ValueError` subclasses that the rooms define, a full disk and a folder that
    cannot be written, even where a library wrapped them in an error of its own.
    """
    room = type(error).__module__.split(".")[0]
    if isinstance(error, ValueError) and room in ("recipes", "zoo", "augment", "compress"):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk is full{_at(error)}; free some space and run again, or `edgezoo resume` a run that was begun"
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"no permission to write or read{_at(error)}; choose another folder"
    if isinstance(error, MemoryError):
        return "memory ran out; lower data.size or train.batch_size"
    return users_mistake(error.__cause__) if error.__cause__ else None


def _at(error: OSError) -> str:
    return f": {error.filename}" if error.filename else ""


def stop(sentence: str, code: int) -> None:
    """Say why, and exit."""
    print(sentence, file=sys.stderr)
    sys.exit(code)


def dispatch(args: list[str]) -> None:
    """Call the command that `args` names."""
    if not args or args[0] in ("-h", "--help"):
        print(help_text())
        return
    if args[0] == "--version":
        print(f"edgezoo {runs.version('edgezoo')}")
        return
    name, rest = args[0], args[1:]
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"the commands are {', '.join(COMMANDS)}"
        raise UserError(f"there is no command {name!r}; {hint}")
    COMMANDS[name](rest)


def help_text() -> str:
    """All commands, a line each."""
    lines = [f"  {name:<12}{(function.__doc__ or '').splitlines()[0]}" for name, function in COMMANDS.items()]
    head = "usage: edgezoo COMMAND …\n\nFrom a folder of examples to a verified model on a device.\n\ncommands:\n"
    return head + "\n".join(lines) + "\n\n`edgezoo COMMAND --help` says more."
