"""Fashion-MNIST, 28x28 pixels: ten kinds of clothing, post-training int8.

Task: tell apart ten kinds of clothing (Xiao et al. 2017: 60,000 images to train on, 10,000 to test on).
Data: `edgezoo data get fashion_mnist` (or `--via apt`).
"""

from recipes.engine import Augment, Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="fashion_mnist",
    data=Data(source="fashion_mnist", validation=0.1),
    model=Model(name="resnet8"),
    augment=Augment(flip=True, translate=0.08),
    train=Train(epochs=12, batch_size=128, lr=4e-3, weight_decay=1e-3),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.01, full_integer=True),
)

if __name__ == "__main__":
    main(recipe)
