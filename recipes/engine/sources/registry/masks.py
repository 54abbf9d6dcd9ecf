"""Named data sets of images with masks."""

from recipes.engine.sources.registry.cards import RAW, Copy, DatasetCard, files
from zoo.fetch import File

_MNI152 = (
    ("t1", 1617531, "eeb8a792a93948c83462305c71db783800e95eb3f6ce35975a4dd0f374f79bff"),
    ("gm", 1965510, "9800242e730cec0d4ae97358d232904d09771bb0f10202ea4bf80eee50609b43"),
    ("wm", 1553010, "7c78a23ddd786979edbb50bdada52c86c405cf2986baee5df5791e0200d7ffeb"),
)

_ONE = (
    "one brain, the average of 152 people, in slices; validation and test are blocks of slices with gaps of 4 mm: the "
    "score says nothing of another brain"
)

_NUCLEI = (
    ("img2d.tif", 524544, "f9ccc1571b92c861ff87e28463068b43f61bd47357ed0503f711e5cd1eb97750"),
    ("mask2d.tif", 524544, "59ad5e820b7982ca9d13e946fa6e7f64e2714899e00a2ae6c69aa79aad53d46f"),
)


_TILES = "one picture in tiles; validation and test are rows of tiles: the score says nothing of another picture"


def _mni152(base: str) -> tuple[File, ...]:
    return tuple(
        File(
            f"{kind}.nii.gz",
            size,
            sha256,
            f"{base}nilearn/datasets/data/mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz",
        )
        for kind, size, sha256 in _MNI152
    )


TABLE = (
    DatasetCard(
        name="mni152_brain",
        task="semantic segmentation",
        description="104 slices of the MNI152 average brain, 112×96 grey (T1), with masks of grey and white matter",
        source="https://nist.mni.mcgill.ca/icbm-152-nonlinear-atlases-2009/ (as converted by nilearn)",
        licence="free to use, copy, modify and distribute with its copyright notice (McGill); nilearn: BSD-3-Clause",
        copies=(
            Copy("home", "", _mni152(RAW + "nilearn/nilearn/a0115edefd75f5c9c31802ea0336c2e015cc784e/"), "brain", _ONE),
            Copy("pip", "nilearn==0.14.1", _mni152(""), "brain", _ONE),
        ),
        classes=("background", "grey matter", "white matter"),
        checked="computed from the package; the home must equal it",
    ),
    DatasetCard(
        name="nuclei",
        task="semantic segmentation",
        description="64 tiles of one fluorescence picture of cell nuclei, 64×64 grey, with masks",
        source="https://github.com/stardist/stardist (from the 2018 Data Science Bowl, Caicedo et al. 2019)",
        licence="BSD-3-Clause (stardist)",
        copies=(
            Copy(
                "home",
                "",
                files(
                    _NUCLEI, RAW + "stardist/stardist/340332a320f3efe0ac87487da7b000c7b3c743a3/stardist/data/images/"
                ),
                "nuclei",
                _TILES,
            ),
            Copy("pip", "stardist==0.9.2", files(_NUCLEI, "stardist/data/images/"), "nuclei", _TILES),
        ),
        classes=("background", "nucleus"),
        checked="computed from the package; the home must equal it",
    ),
)
