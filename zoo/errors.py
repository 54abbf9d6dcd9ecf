"""What the zoo says when its user is at fault."""


class ZooError(ValueError):
    """A mistake the user can mend: one clear sentence that says what was wrong and what to do."""
