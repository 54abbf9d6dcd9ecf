"""Sentiment by an LSTM from scratch: sentences of film reviews, for or against the film.

Task: two classes of sentences.
Data: 10,605 sentences of film reviews (Pang and Lee 2004, rated by Hutto and Gilbert 2014), 37 of them without a
    side left out: `edgezoo data get movie_snippets`. 528 choose the epoch, 1,585 are tested on. Which review a sentence
    is from is not known: sentences on one film can be in several splits, and the score flatters by that.
Paper: Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9, 1997.
Result: test accuracy, mean and deviation of seeds 0 to 2: float 78.1 % ± 1.2, int8 78.1 % ± 1.4, in a file of 809,568
    bytes without its tokenizer. Measured by the authors with
    `python benchmarks/sentiment.py --models lstm --labels all`, where seed N is `--data.seed N --train.seed N`; the
    seed draws the splits too.
Time: about 20 seconds of training, counted in time of one core.
"""

from recipes.engine import Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="sentiment_lstm",
    data=Data(source="movie_snippets", steps=40, vocabulary=12000, validation=0.05),
    model=Model(name="lstm", width=64, dropout=0.5, spec={"input_dropout": 0.4}),
    train=Train(epochs=6, lr=2e-3, weight_decay=1e-2),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.02),
)

if __name__ == "__main__":
    main(recipe)
