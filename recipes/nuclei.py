"""Cell nuclei, 64x64 pixels: one annotated fluorescence picture, in tiles, to a verified int8 U-Net.

Task: tell the pixels of nuclei from the background.
Data: a picture of the 2018 Data Science Bowl (Caicedo et al. 2019) that stardist ships: `edgezoo data get nuclei --via
    pip`. 48 tiles to train on, 8 to choose on, 8 to report on, each split rows of its own. One picture: the score says
    nothing of another one.
Paper: Ronneberger et al. 2015, "U-Net", arXiv:1505.04597, an eighth as wide, a level less deep, with
    batch normalisation.
Result: mIoU of 8 test tiles 92.0 % ± 0.6 in float, 92.1 % ± 0.7 in int8 (mean and deviation of seeds 0, 1, 2); a
    threshold alone, Otsu's, has 86.7 %. Measured by the authors with `edgezoo run nuclei --train.seed N` and
    `benchmarks/segmentation.py`.
Time: 1.5 to 2 minutes of training on 2 cores.
"""

from recipes.engine import Augment, Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="nuclei",
    data=Data(source="nuclei"),
    model=Model(name="unet_tiny"),
    augment=Augment(flip=True, translate=0.1, rotate=180.0, zoom=0.2, brightness=0.1, contrast=0.2),
    train=Train(epochs=100, batch_size=8, lr=3e-3, weight_decay=1e-3),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.01, min_miou=0.85, full_integer=True),
)

if __name__ == "__main__":
    main(recipe)
