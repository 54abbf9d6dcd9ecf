"""The zoo: an architecture is data.

    zoo.list_models("resnet*")
    zoo.spec("resnet20")
    zoo.build("resnet20", input_shape=(32, 32, 3), classes=10)
    zoo.card("resnet20")

The command line is `python -m zoo`.
"""

from zoo import weights
from zoo.cards import Card, Layers, card
from zoo.comparison import Comparison, compare
from zoo.contract import Spec
from zoo.errors import ZooError
from zoo.families import FAMILIES
from zoo.graph import macs
from zoo.measure import Measured
from zoo.models import build, endpoints, list_models, spec
from zoo.transfer import RateTest, find_rate, layerwise, stages, train_from

__all__ = [
    "FAMILIES",
    "Card",
    "Comparison",
    "Layers",
    "Measured",
    "RateTest",
    "Spec",
    "ZooError",
    "build",
    "card",
    "compare",
    "endpoints",
    "find_rate",
    "layerwise",
    "list_models",
    "macs",
    "spec",
    "stages",
    "train_from",
    "weights",
]
