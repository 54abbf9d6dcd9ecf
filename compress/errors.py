"""What compress says when the user, not the program, is at fault."""


class CompressError(ValueError):
    """A mistake the user can mend: one clear sentence, shown without a traceback."""
