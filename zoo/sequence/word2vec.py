"""Word2Vec: vectors of words that tell which words occur together.

Mikolov, Chen, Corrado, Dean, "Efficient Estimation of Word Representations in Vector Space", 2013, arXiv:1301.3781,
figure 1; trained by negative sampling: Mikolov, Sutskever, Chen, Corrado, Dean, NeurIPS 2013, arXiv:1310.4546,
equation 4: of some candidates, which one was really there? The loss is the binary cross-entropy of the logits.

`model.get_layer("vectors")` has the vectors, row by token, that one asks for near words.
"""

from dataclasses import dataclass
from typing import Literal

import keras

from zoo import blocks, check
from zoo.contract import Origin, Spec
from zoo.errors import ZooError
from zoo.sequence.convolution import MaskedAverage
from zoo.sequence.recurrent import dropped

TASK = "embed"


@dataclass(frozen=True, kw_only=True)
class Word2VecSpec(Spec):
    """Word2Vec with negative sampling.

    Attributes:
        method: `skipgram` reads one word and judges which are near it, `cbow` reads the words around and judges which
            is between them.
        vocabulary: number of different tokens, 0 the padding among them; at least 2.
        width: numbers of a word's vector (a whole number).
        dropout: share of the mean vector dropped; the paper has none.
    """

    method: Literal["skipgram", "cbow"] = "skipgram"
    vocabulary: int = 30_000
    width: int = 300

    def __post_init__(self) -> None:
        super().__post_init__()
        check.one_of(self.method, "method", ("skipgram", "cbow"))
        check.whole(self.vocabulary, "the vocabulary of Word2Vec", least=2)
        check.whole(self.width, "width")

    @property
    def axes(self) -> tuple[str, ...]:
        """Words that are read, and candidates that are judged."""
        return ("words", "candidates")


SPEC = Word2VecSpec

VARIANTS: dict[str, Word2VecSpec] = {
    # arXiv:1301.3781, section 4.2 and table 2: the 30,000 most frequent words, vectors of 300. The vectors of Google
    # News that the authors published are of 3,000,000 words and phrases, of 300 as well: another `vocabulary`.
    "word2vec_skipgram": Word2VecSpec(),
    "word2vec_cbow": Word2VecSpec(method="cbow"),
}


def origin(spec: Word2VecSpec) -> Origin:
    """One word, or four before and four after (arXiv:1301.3781, section 3.1); a right candidate and five wrong ones."""
    paper = "Mikolov et al., Distributed Representations of Words and Phrases, NeurIPS 2013, arXiv:1310.4546"
    return Origin(paper, (1 if spec.method == "skipgram" else 8, 6), None)


def build(
    spec: Word2VecSpec, *, input_shape: tuple[int, int], classes: None, activation: str | None, name: str
) -> keras.Model:
    """The network: `stage1` the mean of the words' vectors, `head` its product with each candidate's output vector.

    Inputs `words`, int32 `(batch, words)`, of which 0 is padding and does not count, and `candidates`, int32
    `(batch, candidates)`; output: logits `(batch, candidates)`, for whatever candidates there are: leave padding out of
    the loss. The output vectors start at zero, the input ones uniform within half a width, as in the authors' program.
    See `zoo.build`.

    Raises:
        ZooError: `skipgram` is to read more than one word.
    """
    words, candidates = input_shape
    if spec.method == "skipgram" and words != 1:
        raise ZooError(f"{name} reads 1 word at a time, not {words}; to read several, take a spec with method='cbow'")
    read = keras.Input((words,), name="words", dtype="int32")
    judged = keras.Input((candidates,), name="candidates", dtype="int32")
    start = keras.initializers.RandomUniform(-0.5 / spec.width, 0.5 / spec.width)
    x = keras.layers.Embedding(
        spec.vocabulary, spec.width, embeddings_initializer=start, mask_zero=True, name="vectors"
    )(read)
    x = MaskedAverage(data_format=blocks.LAST, name="stage1")(x)
    x = dropped(x, spec.dropout, "dropout")
    table = keras.layers.Embedding(spec.vocabulary, spec.width, embeddings_initializer="zeros", name="output_vectors")
    y = table(judged)
    # In mixed precision the loss needs logits of full range: the dtype of the variables.
    dtype = keras.config.dtype_policy().variable_dtype
    outputs = keras.layers.Dot(axes=(2, 1), dtype=dtype, name="head")([y, x])
    return keras.Model([read, judged], outputs, name=name)
