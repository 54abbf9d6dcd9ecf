"""What the model sees: augmentation policies as data, compiled into one pass over a batch."""

from augment.errors import AugmentError
from augment.geometry import warp
from augment.images import compile_images
from augment.mix import compile_mix
from augment.ops import Brightness, Contrast, CutMix, Flip, Mix, MixUp, Op, Policy, Rotate, Translate, Zoom
from augment.segmentation import IGNORE, compile_segmentation

__all__ = [
    "IGNORE",
    "AugmentError",
    "Brightness",
    "Contrast",
    "CutMix",
    "Flip",
    "Mix",
    "MixUp",
    "Op",
    "Policy",
    "Rotate",
    "Translate",
    "Zoom",
    "compile_images",
    "compile_mix",
    "compile_segmentation",
    "warp",
]
