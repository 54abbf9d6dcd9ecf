"""Short phrases from English to German by a small Transformer: learnt by heart, not a translator.

Task: translate the phrases of a web site's pages.
Data: 808 phrases of Django 5.2, English to German: `edgezoo data get phrases_de --via pip`. 121 are for the test;
    nothing else is held out: the other 687 are to be learnt by heart, and are what epochs are judged on.
Paper: Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762, figure 1, in a small size.
Result: of the tokens of the 687 phrases that it learnt 99.9 % are told right; of those of the 121 test phrases 41.1 %,
    in int8 41.3 % (agreement 94.2 %, seed 0 alone), each from the true ones before it, the mark of the end among them;
    perplexity there 129: what it has not seen it does not translate. "Save and continue editing" becomes "Sichern und
    weiter bearbeiten", "Save and delete the item" becomes "Sichern und ansehen". So few pairs measure no translation,
    and no BLEU is claimed. Measured by the authors with `edgezoo run phrases`.
Time: 4 minutes of one core for everything.
"""

from recipes.engine import Augment, Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="phrases",
    data=Data(source="phrases_de", validation=0.0, vocabulary=2000, steps=40),
    model=Model(name="translator_tiny", width=128),
    augment=Augment(),
    train=Train(epochs=40, batch_size=32, lr=2e-3, clip=1.0),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.02),
)

if __name__ == "__main__":
    main(recipe)
