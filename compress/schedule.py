"""How sparse a pruned weight is at each training step."""

import dataclasses
from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras

from compress.errors import CompressError


class _Steps:
    """What the schedules share: when the mask is computed anew, and how they are serialised."""

    begin: int
    end: int | None
    every: int

    def due(self, step: Any) -> Any:
        """Whether the mask is computed anew at `step` (integer tensor, from 0): a boolean tensor.

        At `begin` and each `every` steps after it, up to and with `end`.
        """
        late = keras.ops.greater_equal(step, self.begin)
        turn = keras.ops.equal(keras.ops.mod(step - self.begin, self.every), 0)
        due = keras.ops.logical_and(late, turn)
        return due if self.end is None else keras.ops.logical_and(due, keras.ops.less_equal(step, self.end))

    def _check(self, **sparsities: float) -> None:
        name = type(self).__name__
        for field, value in sparsities.items():
            if not 0.0 <= value < 1.0:
                raise CompressError(f"{name}({field}={value}) is no share of weights: give 0 or more and less than 1")
        if self.begin < 0 or self.every < 1:
            raise CompressError(f"{name}(begin={self.begin}, every={self.every}): begin is 0 or more, every 1 or more")
        if self.end is not None and self.end < self.begin:
            raise CompressError(f"{name} ends at step {self.end}, before it begins at step {self.begin}")

    def get_config(self) -> dict[str, Any]:
        """The fields."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]  # each schedule is a dataclass

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Inverse of `get_config`."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="edgezoo")
@dataclass(frozen=True)
class Constant(_Steps):
    """The same sparsity from `begin` on; the values and steps of `tfmot.sparsity.keras.ConstantSparsity`.

    Attributes:
        sparsity: share of weights that are zero, 0 or more and less than 1.
        begin: first step that prunes; 0 prunes before training.
        end: last step that computes the mask anew; None: it never ends.
        every: steps from one new mask to the next.

    Raises:
        CompressError: a field is out of its range.
    """

    sparsity: float
    begin: int = 0
    _: KW_ONLY
    end: int | None = None
    every: int = 100

    def __post_init__(self) -> None:
        self._check(sparsity=self.sparsity)

    def at(self, step: Any) -> Any:
        """The sparsity at `step` (integer tensor): a float32 scalar."""
        return keras.ops.full((), self.sparsity, "float32")

    @property
    def target(self) -> float:
        """The sparsity at the end."""
        return self.sparsity

    def aimed(self, target: float) -> "Constant":
        """The same steps towards another sparsity."""
        return dataclasses.replace(self, sparsity=target)


@keras.saving.register_keras_serializable(package="edgezoo")
@dataclass(frozen=True)
class Polynomial(_Steps):
    """Sparsity that grows fast at first, then slower and slower; `tfmot.sparsity.keras.PolynomialDecay`.

    `final + (initial - final) * (1 - (step - begin) / (end - begin)) ** power`, with steps before `begin` and after
    `end` taken as these (Zhu & Gupta 2017, arXiv:1710.01878, equation 1, where `power` is 3).

    Attributes:
        initial: share of weights that are zero at `begin`, 0 or more and less than 1.
        final: the same at `end`.
        begin: first step that prunes.
        end: last step that computes the mask anew. Leave a few epochs of training after it. Where `every` does not
            divide `end - begin`, the last mask falls short of `final`: by nothing that counts while `every` is small.
        power: 3 is the paper's; 1 grows evenly.
        every: steps from one new mask to the next; each sorts the weights.

    Raises:
        CompressError: a field is out of its range.
    """

    initial: float
    final: float
    _: KW_ONLY
    end: int
    begin: int = 0
    power: float = 3.0
    every: int = 10

    def __post_init__(self) -> None:
        self._check(initial=self.initial, final=self.final)
        if self.end <= self.begin or self.power <= 0.0:
            raise CompressError(
                f"Polynomial(begin={self.begin}, end={self.end}, power={self.power}): "
                "end comes after begin, and power is above 0"
            )
        if self.initial > self.final:
            raise CompressError(
                f"Polynomial goes from {self.initial} to {self.final}, but a pruned weight stays pruned: "
                "give an initial sparsity of at most the final one"
            )

    def at(self, step: Any) -> Any:
        """The sparsity at `step` (integer tensor): a float32 scalar."""
        part = keras.ops.cast(step - self.begin, "float32") / (self.end - self.begin)
        rest = keras.ops.power(1.0 - keras.ops.clip(part, 0.0, 1.0), self.power)
        return (self.initial - self.final) * rest + self.final

    @property
    def target(self) -> float:
        """The sparsity at the end."""
        return self.final

    def aimed(self, target: float) -> "Polynomial":
        """The same steps towards another sparsity."""
        return dataclasses.replace(self, initial=min(self.initial, target), final=target)


Schedule = Constant | Polynomial
