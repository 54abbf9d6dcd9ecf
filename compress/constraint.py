"""The constraint of a kernel that now has another shape."""

from collections.abc import Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="edgezoo")
class Shaped(keras.constraints.Constraint):
    """A constraint that still sees the weights in the shape that its axes are meant for.

    Args:
        constraint: of the weights before.
        shape: theirs.
    """

    def __init__(self, constraint: Any, shape: Sequence[int]):
        self.constraint = keras.constraints.get(constraint)
        self.shape = tuple(shape)

    def __call__(self, w: Any) -> Any:
        """Weights of as many numbers → the nearest that the constraint allows."""
        return keras.ops.reshape(self.constraint(keras.ops.reshape(w, self.shape)), w.shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"constraint": keras.constraints.serialize(self.constraint), "shape": self.shape}


def shaped(constraint: Any, shape: Sequence[int]) -> Shaped | None:
    """`constraint` as of weights of `shape`; None stays None."""
    return None if constraint is None else Shaped(constraint, shape)
