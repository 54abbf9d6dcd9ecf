"""What the engine says when the user, not the program, is at fault."""


class UserError(ValueError):
    """A mistake the user can mend: one clear sentence, shown without a traceback (exit code 2).

    The other rooms define their own `ValueError` subclasses; the command line treats those alike
    (see `recipes.engine.cli.is_user_error`).
    """


class TrainingFailed(RuntimeError):
    """Training could not go on (the loss became NaN); the run folder keeps the evidence (exit code 1)."""


class GateFailed(RuntimeError):
    """The exported model does not meet the recipe's gate; the run folder keeps the evidence (exit code 1)."""
