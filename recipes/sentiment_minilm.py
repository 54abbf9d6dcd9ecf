"""Sentiment by MiniLM: a language model that knows English learns which sentences of film reviews are for the film.

Task: two classes of sentences, read by weights that were trained to tell which texts are near in meaning.
Data: 10,605 sentences of film reviews (Pang and Lee 2004, rated by Hutto and Gilbert 2014), 37 of them without a
    side left out: `edgezoo data get movie_snippets`. 528 choose the epoch, 1,585 are tested on. Which review a sentence
    is from is not known: sentences on one film can be in several splits, and the score flatters by that.
Paper: Wang et al., "MiniLM: Deep Self-Attention Distillation", NeurIPS 2020, arXiv:2002.10957; weights of
    sentence-transformers, all-MiniLM-L6-v2, with their own tokenizer.
Result: test accuracy, mean and deviation of seeds 0 to 2: float 81.6 % ± 0.4, dynamic 81.4 % ± 0.3, in a file of
    23,193,504 bytes without its tokenizer. Measured by the authors with
    `python benchmarks/sentiment.py --models minilm --labels all`, where seed N is `--data.seed N --train.seed N`; the
    seed draws the splits too.
Time: about 5 minutes of training, counted in time of one core.
"""

from recipes.engine import Data, Export, Gate, Model, Recipe, Train, Transfer, main

recipe = Recipe(
    name="sentiment_minilm",
    data=Data(source="movie_snippets", steps=40, validation=0.05),
    model=Model(name="minilm_l6"),
    train=Train(epochs=1, batch_size=32, lr=1e-2, weight_decay=1e-2),
    transfer=Transfer(weights="sentence_transformers", unfreeze=("stage5",), epochs=1, lr=3e-4),
    export=Export(quantize="dynamic"),
    gate=Gate(max_drop=0.02),
)

if __name__ == "__main__":
    main(recipe)
