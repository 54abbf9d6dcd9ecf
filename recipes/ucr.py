"""Series of the UCR archive: one network and one recipe for all of its sets, from a few dozen examples to int8.

Task: tell apart the classes of a set of series; `--data.source` takes any that `edgezoo data list` names.
Data: the UCR and UEA archives (Dau et al. 2019, Bagnall et al. 2018), as aeon ships some of them: `edgezoo data get
    gun_point --via pip`. Their own test split is reported on. Nothing is held out: as in the papers, the epoch with the
    lowest training loss is kept.
Paper: Wang, Yan and Oates 2017, "Time Series Classification from Scratch with Deep Neural Networks", arXiv:1611.06455,
    table 1, FCN.
Result: test accuracy, mean and deviation of seeds 0 to 4: gun_point 99.7 % ± 0.4 in float and 99.1 % ± 0.9 in int8 (the
    paper's repository: 100.0 ± 0.0), italy_power_demand 96.0 % ± 0.2 and 96.1 % ± 0.2 (96.3 ± 0.1). Measured by the
    authors with `edgezoo run ucr --data.source SET --train.seed N`; the other sets are not measured yet.
Time: about two minutes of training (gun_point) on a shared core.
"""

from recipes.engine import Augment, Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="ucr",
    data=Data(source="gun_point", validation=0.0),
    model=Model(name="fcn"),
    augment=Augment(),
    train=Train(epochs=300, batch_size=16, lr=1e-3, ema=0.99),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.02),
)

if __name__ == "__main__":
    main(recipe)
