"""Fashion-MNIST, 28x28 pixels: ten kinds of clothing, post-training int8.

Task: tell apart ten kinds of clothing.
Data: Xiao et al. 2017, 60,000 images to train on (a tenth of them for choosing) and 10,000 to test on:
    `edgezoo data get fashion_mnist` (or `--via apt`).
Paper: He et al. 2016, "Deep Residual Learning for Image Recognition", section 4.2, with n = 1.
Result: float 90.32 %, int8 90.23 % of 10,000 test images, agreement 99.14 % (seed 0 alone); measured by the authors
    with `edgezoo run fashion_mnist`. Six epochs, to stay short.
Time: 3 to 6 minutes of training on 2 cores.
"""

from recipes.engine import Augment, Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="fashion_mnist",
    data=Data(source="fashion_mnist", validation=0.1),
    model=Model(name="resnet8"),
    augment=Augment(flip=True, translate=0.08),
    train=Train(epochs=6, batch_size=128, lr=4e-3, weight_decay=1e-3),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.01, full_integer=True),
)

if __name__ == "__main__":
    main(recipe)
