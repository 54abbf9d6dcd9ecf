"""What this room says when the user, not the program, is at fault."""


class AugmentError(ValueError):
    """A policy, a mixing record or an input that cannot be used: one clear sentence."""

    ag_pass_through = True
    """Inside tf.data, TensorFlow's AutoGraph raises it as it is, not as a `StagingError` with a listing."""
