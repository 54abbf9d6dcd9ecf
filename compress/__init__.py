"""compress: how a model ships.

`prune_channels` makes the model itself smaller, `prune` and `cluster` make its weights few and alike, `quantize_aware`
rewrites it for training with int8 rounding, and they compose in this order; `strip` gives a plain Keras model back.
`export` writes the `.tflite` file, `verify` runs it beside the Keras model, `LiteModel` runs it alone, `MicroModel` as
a microcontroller does; `c_array` writes it as C++.
"""

from compress import tfmot
from compress.c_array import c_array
from compress.channels import ChannelGroup, ChannelPlan, cut_channels, plan_channels, prune_channels
from compress.cluster import cluster
from compress.distill import distill
from compress.errors import CompressError
from compress.export import Artifact, export
from compress.flatbuffer import Port
from compress.lite import LiteModel
from compress.metadata import Metadata
from compress.micro import MicroModel, MicroReport, run_micro
from compress.preflight import preflight
from compress.prune import LayerSparsity, Sparsity, prune, sparsity
from compress.quantize import Report, quantize_aware, report
from compress.ranges import FreezeRanges
from compress.rules import Finding
from compress.schedule import Constant, Polynomial
from compress.sensitivity import Rounding, Sensitivity, mixed_precision, sensitivity
from compress.sensitivity_plot import plot_sensitivity
from compress.stream import LiteStream, streaming
from compress.strip import strip
from compress.verify import Verification, accuracy, verify

__all__ = [
    "Artifact",
    "ChannelGroup",
    "ChannelPlan",
    "CompressError",
    "Constant",
    "Finding",
    "FreezeRanges",
    "LayerSparsity",
    "LiteModel",
    "LiteStream",
    "Metadata",
    "MicroModel",
    "MicroReport",
    "Polynomial",
    "Port",
    "Report",
    "Rounding",
    "Sensitivity",
    "Sparsity",
    "Verification",
    "accuracy",
    "c_array",
    "cluster",
    "cut_channels",
    "distill",
    "export",
    "mixed_precision",
    "plan_channels",
    "plot_sensitivity",
    "preflight",
    "prune",
    "prune_channels",
    "quantize_aware",
    "report",
    "run_micro",
    "sensitivity",
    "sparsity",
    "streaming",
    "strip",
    "tfmot",
    "verify",
]
