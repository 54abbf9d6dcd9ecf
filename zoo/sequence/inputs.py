"""What every model of a series or a text begins with: numbers, or tokens made vectors."""

from dataclasses import dataclass

import keras

from zoo import check
from zoo.contract import SERIES, TOKENS, Spec


@dataclass(frozen=True, kw_only=True)
class SequenceSpec(Spec):
    """The fields of every model of sequences.

    Attributes:
        vocabulary: number of different tokens, 0 the padding among them, that the model reads; 0: it reads a series of
            numbers.
        embedding: width of the vector that stands for a token.
        mask: in a series, whether steps of nothing but zeros are padding, which is left out of account. In a text
            token 0 always is.
    """

    vocabulary: int = 0
    embedding: int = 64
    mask: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check.whole(self.vocabulary, "vocabulary", least=0)
        check.whole(self.embedding, "embedding")
        check.flag(self.mask, "mask")

    @property
    def axes(self) -> tuple[str, ...]:
        """A text where there is a vocabulary, else a series."""
        return TOKENS if self.vocabulary else SERIES


def sequence_input(spec: SequenceSpec, input_shape: tuple[int, ...]) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The input, and what stands for it: float32 `(batch, steps, channels or embedding)`, with Keras's mask.

    The input is named `series`, float32 `(batch, steps, channels)`, or `tokens`, int32 `(batch, steps)`.
    """
    if spec.vocabulary:
        inputs = keras.Input(input_shape, name="tokens", dtype="int32")
        return inputs, keras.layers.Embedding(spec.vocabulary, spec.embedding, mask_zero=True, name="embedding")(inputs)
    inputs = keras.Input(input_shape, name="series", dtype="float32")
    return inputs, keras.layers.Masking(name="mask")(inputs) if spec.mask else inputs
