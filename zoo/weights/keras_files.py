"""The ImageNet weights of `keras.applications`: URLs and MD5 hashes as in the source of Keras 3.15.

MobileNet and MobileNetV2 have no published hashes: the first download is remembered.
"""

from zoo.fetch import Copy, File
from zoo.weights.published import Published

BASE = "https://storage.googleapis.com/tensorflow/keras-applications/"
KERNELS = "_weights_tf_dim_ordering_tf_kernels"

TF = ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
"""Mean and deviation of the mode `tf`: to -1 … 1."""
CAFFE = ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0))
"""Of the mode `caffe`, here red first; the files' own order is blue first."""

HASHES = {
    "resnet50": ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet101": ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    "resnet152": ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "resnet50v2": ("3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
    "resnet101v2": ("6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "resnet152v2": ("a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
    "inception_v3": ("9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63"),
    "inception_resnet_v2": ("e693bd0210a403b3192acc6073ad2e96", "d19885ff4a710c122648d3b5c3b684e4"),
    "vgg16": ("64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"),
    "vgg19": ("cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"),
}
"""Model → hash of the file with a head, and without."""

V3_HASHES = {
    ("large", 0.75): ("765b44a33ad4005b3ac83185abf1d0eb", "40af19a13ebea4e2ee0c676887f69a2e"),
    ("large", 1.0): ("59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389"),
    ("large_minimalistic", 1.0): ("675e7b876c45c57e9e63e6d90a36599c", "ec5221f64a2f6d1ef965a614bdae7973"),
    ("small", 0.75): ("cb65d4e5be93758266aa0a7f2c6708b7", "ebdb5cc8e0b497cd13a7c275d475c819"),
    ("small", 1.0): ("8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836"),
    ("small_minimalistic", 1.0): ("99cd97fb2fcdad2bf028eb838de69e37", "cde8136e733e811080d9fcd8a252f7e4"),
}

LICENCES = {
    "resnet50": "MIT (Kaiming He)",
    "resnet101": "MIT (Kaiming He)",
    "resnet152": "MIT (Kaiming He)",
    "vgg16": "CC-BY-4.0 (Visual Geometry Group, Oxford)",
    "vgg19": "CC-BY-4.0 (Visual Geometry Group, Oxford)",
}
"""Where it is not that of Keras."""


def _entry(
    model: str,
    folder: str,
    files: tuple[str, str],
    hashes: tuple[str | None, str | None] = (None, None),
    *,
    name: str = "imagenet",
    size: int = 224,
    caffe: bool = False,
) -> Published:
    whole, headless = (
        (Copy("home", "", (File(file, 0, digest, f"{BASE}{folder}/{file}"),)),)
        for file, digest in zip(files, hashes, strict=True)
    )
    mean, std = CAFFE if caffe else TF
    return Published(
        name=name,
        model=model,
        input_shape=(size, size, 3),
        mean=mean,
        std=std,
        files=whole,
        headless=headless,
        bgr=caffe,
        licence=LICENCES.get(model, "Apache-2.0"),
        source="keras.applications",
    )


def _large() -> list[Published]:
    """The models whose files have hashes."""
    entries = []
    for model, hashes in HASHES.items():
        caffe = model.startswith("vgg") or (model.startswith("resnet") and not model.endswith("v2"))
        files = (f"{model}{KERNELS}.h5", f"{model}{KERNELS}_notop.h5")
        folder = "resnet" if model.startswith("resnet") else model
        size = 299 if model.startswith("inception") else 224
        entries.append(_entry(model, folder, files, hashes, size=size, caffe=caffe))
    return entries


def _size_name(size: int) -> str:
    return "imagenet" if size == 224 else f"imagenet_{size}"


def _mobilenet_v1() -> list[Published]:
    return [
        _entry(
            f"mobilenet_v1{suffix}",
            "mobilenet",
            (f"mobilenet_{alpha}_{size}_tf.h5", f"mobilenet_{alpha}_{size}_tf_no_top.h5"),
            name=_size_name(size),
            size=size,
        )
        for suffix, alpha in (("", "1_0"), ("_075", "7_5"), ("_050", "5_0"), ("_025", "2_5"))
        for size in (224, 192, 160, 128)
    ]


def _mobilenet_v2() -> list[Published]:
    """The widths above 1 were published for 224 pixels only."""
    return [
        _entry(
            f"mobilenet_v2{suffix}",
            "mobilenet_v2",
            (f"mobilenet_v2{KERNELS}_{alpha}_{size}.h5", f"mobilenet_v2{KERNELS}_{alpha}_{size}_no_top.h5"),
            name=_size_name(size),
            size=size,
        )
        for suffix, alpha in (("", 1.0), ("_075", 0.75), ("_050", 0.5), ("_035", 0.35), ("_130", 1.3), ("_140", 1.4))
        for size in ((224,) if alpha > 1 else (224, 192, 160, 128, 96))
    ]


def _mobilenet_v3() -> list[Published]:
    entries = []
    for (kind, alpha), hashes in V3_HASHES.items():
        stem = f"weights_mobilenet_v3_{kind}_224_{alpha}_float"
        model = f"mobilenet_v3_{kind.replace('minimalistic', 'minimal')}{'' if alpha == 1.0 else '_075'}"
        entries.append(_entry(model, "mobilenet_v3", (f"{stem}.h5", f"{stem}_no_top_v2.h5"), hashes))
    return entries


KERAS: tuple[Published, ...] = (*_large(), *_mobilenet_v1(), *_mobilenet_v2(), *_mobilenet_v3())
