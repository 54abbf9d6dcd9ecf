"""Series of the UCR archive: one network and one recipe for all of its sets, from a few dozen examples to int8.

Task: tell apart the classes of a set of series; `--data.source` takes any that `edgezoo data list` names.
Data: the UCR and UEA archives (Dau et al. 2019, Bagnall et al. 2018), as aeon ships some of them: `edgezoo data get
    gun_point --via pip`. Their own test split is reported on. Nothing is held out: as in the papers, the epoch with the
    lowest training loss is kept.
Paper: Wang, Yan and Oates 2017, "Time Series Classification from Scratch with Deep Neural Networks", arXiv:1611.06455,
    table 1, FCN.
Result: test accuracy, float / int8, mean and deviation of seeds 0 to 4, beside FCN in the repository of Fawaz et al.
    (dl-4-tsc): arrow_head 83.4 % ± 0.9 / 83.3 % ± 1.4 (84.3 ± 1.1); with `--train.epochs 300 --compress.epochs 30`
    japanese_vowels 99.3 % ± 0.1 / 99.3 % ± 0.1 (99.3 ± 0.2). With `--model.name inception_time`: italy_power_demand
    96.7 % ± 0.4 / 96.8 % ± 0.4, arrow_head 85.7 % ± 2.8 / 86.3 % ± 3.2. Measured by the authors with `edgezoo run ucr
    --data.source SET --train.seed N`. gun_point, osu_leaf, acsf1 and what other fine-tuning gives: docs/sequences.md.
    Small sets have few steps in an epoch, hence the 1000 and 100; from 100 series on take 300, 30. A smooth series is
    told apart by small differences, which eight bits of input round away; fine-tuning wins them back, towards what the
    float model answers, for the labels of so few series are known by heart. acsf1, flat with spikes, wants its ranges
    narrow (`--compress.ranges percentile --compress.percentile 99.6 --compress.freeze 0`), or 16 bits.
Time: about six minutes of training (gun_point), ten (osu_leaf) or twenty (acsf1) on one core.
"""

from recipes.engine import Augment, Compress, Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="ucr",
    data=Data(source="gun_point", validation=0.0),
    model=Model(name="fcn"),
    augment=Augment(),
    train=Train(epochs=1000, batch_size=16, lr=1e-3, ema=0.99),
    compress=Compress(quantize_aware=True, epochs=100, lr=1e-4, distill=1.0),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.02),
)

if __name__ == "__main__":
    main(recipe)
