"""compress: how a model ships.

`quantize_aware` rewrites a model for training with int8 rounding, `export` writes the `.tflite` file, `verify` runs it
beside the Keras model, `LiteModel` runs it alone.
"""

from compress.errors import CompressError
from compress.export import Artifact, export
from compress.flatbuffer import Port
from compress.lite import LiteModel
from compress.metadata import Metadata
from compress.preflight import preflight
from compress.quantize import Report, quantize_aware, report, strip
from compress.rules import Finding
from compress.stream import LiteStream, streaming
from compress.verify import Verification, accuracy, verify

__all__ = [
    "Artifact",
    "CompressError",
    "Finding",
    "LiteModel",
    "LiteStream",
    "Metadata",
    "Port",
    "Report",
    "Verification",
    "accuracy",
    "export",
    "preflight",
    "quantize_aware",
    "report",
    "streaming",
    "strip",
    "verify",
]
