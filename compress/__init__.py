"""compress: how a model ships.

small = compress.quantize_aware(model, calibration=batches)     # then compile and fit it, as any Keras model
artifact = compress.export(small, "model.tflite")               # full int8, no calibration set
compress.verify(artifact, small, test_batches)
compress.LiteModel("model.tflite").predict(x)
"""

from compress.errors import CompressError
from compress.export import Artifact, export
from compress.flatbuffer import Port
from compress.lite import LiteModel
from compress.metadata import Metadata
from compress.quantize import Report, quantize_aware, report, strip
from compress.verify import Verification, accuracy, verify

__all__ = [
    "Artifact",
    "CompressError",
    "LiteModel",
    "Metadata",
    "Port",
    "Report",
    "Verification",
    "accuracy",
    "export",
    "quantize_aware",
    "report",
    "strip",
    "verify",
]
