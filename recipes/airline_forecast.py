"""The year that follows: monthly airline passengers by an LSTM that learns what differs from the year before.

Task: forecast the next 12 months from the last 36.
Data: 144 months, 1949 to 1960 (Box and Jenkins 1976), as aeon ships them: `edgezoo data get airline --via pip`. Split
    in time: forecast are 1952 to 1956 to train on, 1957 and 1958 to choose on, 1959 and 1960 to report on; 49, 13
    and 13 windows, each a month later than the one before.
Paper: Box and Jenkins 1976, "Time Series Analysis", chapter 9: logarithms, and differences from the same month a year
    ago; here an LSTM (Hochreiter and Schmidhuber 1997) of them, after Zeng et al. 2023, arXiv:2205.13504, section 4.
Result: mean absolute error on the test split, in thousand passengers a month, mean and deviation of seeds 0 to 4:
    20.8 ± 0.5 in float, 20.7 ± 0.5 in int8; repeating the last year has 51.5, repeating the last month 77.8. It is no
    good forecast yet: the last year times the mean growth of the training years has 12.0. The settings were chosen on
    1957 and 1958, when growth was slow: 17.3 ± 0.4 there, against 27.9, 62.2 and 20.7. The R² that is judged is of
    what differs from the year before, -1.26; of the passengers it is 0.85. Measured by the authors with
    `edgezoo run airline_forecast --train.seed N`.
Time: under a minute of training on a shared core.
"""

from recipes.engine import Augment, Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="airline_forecast",
    data=Data(
        source="airline",
        validation=1 / 6,
        test=1 / 6,
        window=36,
        horizon=12,
        season=12,
        anchor="season",
        logarithm=True,
    ),
    model=Model(name="lstm_small"),
    augment=Augment(),
    train=Train(epochs=100, batch_size=16, lr=3e-3, ema=0.95),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.1),
)

if __name__ == "__main__":
    main(recipe)
