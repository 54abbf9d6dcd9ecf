"""Pretrained weights: by a published name, or from a file.

zoo.weights.published("mobilenet_v2")
zoo.weights.load(model, "torchvision", spec=spec)
"""

from zoo.weights.adapt import adapted
from zoo.weights.load import Loaded, load, published
from zoo.weights.published import Published

__all__ = ["Loaded", "Published", "adapted", "load", "published"]
