"""What compress says when the user, not the program, is at fault."""


class CompressError(ValueError):
    """A mistake the user can mend: one clear sentence, shown without a traceback."""


def first_line(error: Exception) -> str:
    """What an error of another library says, in short."""
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
