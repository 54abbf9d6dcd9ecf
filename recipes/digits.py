"""Handwritten digits, 8x8 pixels: from embedded data to a verified int8 file in about a minute.

Task: tell apart ten handwritten digits.
Data: UCI optical digits, the 1,797 images inside scikit-learn; stratified, 20 % to report on, 15 % to choose on.
Paper: He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.2, with n = 1 and 24 channels.
Result: float and int8 99.16 % ± 0.28 of 359 test images (mean and deviation of seeds 0, 1, 2; the same for both);
    measured by the authors with `edgezoo run digits --train.seed N`; settings were chosen on validation data.
Time: 20 to 30 s of training on 2 cores.
"""

from recipes.engine import Augment, Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="digits",
    data=Data(source="digits", validation=0.15, test=0.2),
    model=Model(name="resnet8", width=24),
    augment=Augment(translate=0.12, rotate=10.0, zoom=0.1),
    train=Train(epochs=50, batch_size=32, lr=3e-3, weight_decay=1e-3, ema=0.95),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.005, min_accuracy=0.98, full_integer=True),
)

if __name__ == "__main__":
    main(recipe)
