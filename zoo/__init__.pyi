"""The zoo: an architecture is data.

    zoo.list_models("resnet*")
    zoo.spec("resnet20")
    zoo.build("resnet20", input_shape=(32, 32, 3), classes=10)
    zoo.card("resnet20")

The command line is `python -m zoo`.
"""

from . import weights
from .cards import Card, Layers, card
from .comparison import Comparison, compare
from .contract import Spec
from .errors import ZooError
from .families import FAMILIES
from .graph import macs
from .measure import Measured
from .models import build, endpoints, list_models, spec
from .sequence.attention import attention
from .sequence.bert import embedder
from .sequence.decode import Stepped, stepped
from .sequence.generate import NextToken, generate
from .sequence.translate import translate
from .transfer import RateTest, find_rate, layerwise, stages, train_from

__all__ = [
    "FAMILIES",
    "Card",
    "Comparison",
    "Layers",
    "Measured",
    "NextToken",
    "RateTest",
    "Spec",
    "Stepped",
    "ZooError",
    "attention",
    "build",
    "card",
    "compare",
    "embedder",
    "endpoints",
    "find_rate",
    "generate",
    "layerwise",
    "list_models",
    "macs",
    "spec",
    "stages",
    "stepped",
    "train_from",
    "translate",
    "weights",
]
