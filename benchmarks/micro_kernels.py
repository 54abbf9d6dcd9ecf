"""The integers of TFLite Micro beside those of LiteRT, layer by layer, for random int8 inputs.

    python benchmarks/micro_kernels.py

Prints, of each layer, the share of numbers out that differ and the largest difference in steps: from LiteRT's reference
kernels, and from its fast ones. Needs `pip install "edgezoo[micro]"`.
"""

import tempfile
from pathlib import Path

import keras
import numpy as np

import compress

layers = keras.layers


def over(shape, layer):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(inputs))


def main():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    models = {
        "Conv2D": over((8, 8, 4), layers.Conv2D(8, 3, padding="same")),
        "DepthwiseConv2D": over((8, 8, 4), layers.DepthwiseConv2D(3, padding="same")),
        "Dense": over((32,), layers.Dense(16)),
        "GlobalAveragePooling2D": over((7, 5, 8), layers.GlobalAveragePooling2D()),
        "AveragePooling2D": over((8, 8, 8), layers.AveragePooling2D(2)),
        "Add": over((8, 8, 4), lambda x: layers.Add()([x, layers.ReLU()(x)])),
        "Multiply": over((8, 8, 4), lambda x: layers.Multiply()([x, layers.ReLU()(x)])),
        "sigmoid": over((32,), layers.Activation("sigmoid")),
        "tanh": over((32,), layers.Activation("tanh")),
        "Softmax": over((10,), layers.Softmax()),
        "LSTM": over((6, 4), layers.LSTM(8)),
    }
    print("layer | reference: share, steps | fast: share, steps")
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models.items():
            batch = rng.normal(size=(32, *model.input_shape[1:])).astype(np.float32)
            path = Path(folder) / "m.tflite"
            artifact = compress.export(model, path, calibration=[batch], target="microcontroller")
            x = rng.integers(-128, 128, (200, *artifact.input.shape[1:]), dtype=np.int8)
            ours = compress.MicroModel(path).predict_raw(x).astype(int)
            gaps = [np.abs(ours - compress.LiteModel(path, reference=each).predict_raw(x)) for each in (True, False)]
            print(name, *(f"{(gap > 0).mean():.4f}, {gap.max()}" for gap in gaps), sep=" | ", flush=True)


if __name__ == "__main__":
    main()
