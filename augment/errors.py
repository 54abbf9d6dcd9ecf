"""What this room says when the user, not the program, is at fault."""


class AugmentError(ValueError):
    """A policy, a mixing record or an input that cannot be used: one clear sentence."""
