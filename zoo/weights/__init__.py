"""Pretrained weights: by a published name, or from a file.

zoo.weights.published("mobilenet_v2")
zoo.weights.load(model, "torchvision", spec=spec)
"""

from zoo.weights.load import Loaded, load
from zoo.weights.published import Published
from zoo.weights.suit import adapted
from zoo.weights.table import published, tokenizer

__all__ = ["Loaded", "Published", "adapted", "load", "published", "tokenizer"]
