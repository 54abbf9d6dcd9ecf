"""Few-shot transfer: ImageNet's EfficientNet-Lite0 learns clothes from a handful of pictures.

Task: 10 classes of clothing, 28x28 grey images shown at 64x64 to a network that knows photographs.
Data: 50 images a class of Fashion-MNIST (Xiao et al. 2017), or as many as `--data.limit` says, to train on; 120 to
    choose the epoch, its own 10,000 to test on: `edgezoo data get fashion_mnist` (or `--via apt`).
Paper: Tan & Le, EfficientNet, ICML 2019, arXiv:1905.11946, in its Lite form.
Result: float 83.51 %, int8 82.91 % of 10,000 test images, agreement 97.47 % (seed 0
    alone); measured by the authors with `edgezoo run few_shot_efficientnet_lite0`. Three seeds, float,
    50 images a class: 83.1 % ± 0.4, from scratch 71.8 % ± 1.8 (docs/transfer.md).
Time: about a minute of training on 2 cores.
"""

from recipes.engine import Augment, Data, Export, Gate, Model, Recipe, Train, Transfer, main

recipe = Recipe(
    name="few_shot_efficientnet_lite0",
    data=Data(source="fashion_mnist", size=64, color="rgb", limit=50, validation=0.002),
    model=Model(name="efficientnet_lite0", dropout=0.2),
    augment=Augment(flip=True, translate=0.08, zoom=0.1),
    train=Train(epochs=6, batch_size=16, lr=3e-3, label_smoothing=0.1),
    transfer=Transfer(weights="imagenet", unfreeze=("stem",), epochs=10, lr=1e-3, layer_decay=0.8),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.02),
)

if __name__ == "__main__":
    main(recipe)
