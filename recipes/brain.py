"""Brain slices, 112x96 pixels: grey and white matter, from one packaged volume to a verified int8 U-Net.

Task: name the class of each pixel: background, grey matter, white matter.
Data: MNI152 (Fonov et al. 2009, 2011), T1 and tissue maps as nilearn ships them: `edgezoo data get mni152_brain --via
    pip`. 68 axial slices to train on, 15 to choose on, 21 to report on, in blocks with gaps of 4 mm. One brain, the
    average of 152: the score says nothing of another brain.
Paper: Ronneberger et al. 2015, "U-Net", arXiv:1505.04597, an eighth as wide, a level less deep, with
    batch normalisation.
Result: mIoU of 21 test slices 90.6 % ± 0.3 in float, 90.3 % ± 0.8 in int8 (mean and deviation of seeds 0, 1, 2; the two
    differ by at most 0.9 points); thresholds alone, multi-Otsu, have 73.7 %. Measured by the authors with `edgezoo run
    brain --train.seed N` and `benchmarks/segmentation.py`.
Time: 1.5 to 2 minutes of training on 2 cores.
"""

from recipes.engine import Augment, Data, Export, Gate, Model, Recipe, Train, main

recipe = Recipe(
    name="brain",
    data=Data(source="mni152_brain"),
    model=Model(name="unet_tiny"),
    augment=Augment(flip=True, translate=0.05, rotate=10.0, zoom=0.1, brightness=0.05, contrast=0.1),
    train=Train(epochs=60, batch_size=8, lr=3e-3, weight_decay=1e-3),
    export=Export(quantize="int8"),
    gate=Gate(max_drop=0.01, min_miou=0.85, full_integer=True),
)

if __name__ == "__main__":
    main(recipe)
