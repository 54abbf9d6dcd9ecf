"""What a family is: the fields of every spec, and what every family's file must offer.

A family is a module, listed in `zoo.families`. The names a module must have are those of `Family`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import keras

from zoo import check

IMAGE = ("height", "width", "channels")
"""The axes of an image."""

SERIES = ("steps", "channels")
"""The axes of a series: `channels` numbers at each of `steps` times."""

TOKENS = ("steps",)
"""The axes of a text: whole numbers, each an index into a vocabulary."""

CLASSLESS = ("anomaly", "embed", "generate", "translate")
"""Tasks whose models have no classes: the input, or the spec's vocabulary, says what comes out."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The fields that every architecture has; each family adds its own.

    A spec is nothing but numbers and choices. `dataclasses.replace` makes a changed one, checked again.

    Attributes:
        width: how wide the network is, above 0: channels or a multiplier, as the family says.
        dropout: share of the features dropped before the head while training, 0 to below 1.

    Raises:
        ZooError: a field has an impossible value.
    """

    width: float = 1.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check.real(self.width, "width", above=0.0)
        check.real(self.dropout, "dropout", least=0.0, below=1.0)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of one example."""
        return IMAGE


@dataclass(frozen=True)
class Origin:
    """Where an architecture was published, and for which data.

    Attributes:
        paper: authors, title, place, and the table.
        input_shape: shape of one example in the paper's experiments, with the spec's axes.
        classes: number of classes of the paper's experiments; None where the task has none.
    """

    paper: str
    input_shape: tuple[int, ...]
    classes: int | None


class Family(Protocol):
    """A module that holds one family of architectures."""

    @property
    def TASK(self) -> str:
        """What its models do: `classify`, `segment`, `anomaly`, `generate`, `translate` or `embed`."""

    @property
    def SPEC(self) -> type[Any]:
        """The family's subclass of `Spec`."""

    @property
    def VARIANTS(self) -> Mapping[str, Any]:
        """Model name → spec, citing the paper's table."""

    def origin(self, spec: Any) -> Origin:
        """Where `spec` comes from."""

    def build(self, spec: Any, *, input_shape: Any, classes: Any, activation: str | None, name: str) -> keras.Model:
        """The network of `spec`, with the endpoints `stem`, `stage1` … `head`.

        `input_shape` has as many whole numbers as the spec's `axes`, `classes` is a whole number, or None in the
        tasks of `CLASSLESS`: `zoo.build` sees to both.
        """
