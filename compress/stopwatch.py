"""How long a model's int8 file takes with kernels of 4 bits here and there."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import keras

from compress import runtime
from compress.export import export
from compress.lite import LiteModel
from compress.ranges import FakeQuantWeights
from compress.wrapper import Compressed


class Stopwatch:
    """Times files of one quantization-aware model, each in turns with the one that has 8 bits in all kernels.

    Args:
        model: from `quantize_aware(bits=4)`; it is as before afterwards.

    Attributes:
        ms: what a run of the file with 8 bits in all kernels takes, milliseconds of one thread of this machine's
            processor.

    Raises:
        CompressError: the model is not exported.
    """

    def __init__(self, model: keras.Model):
        wrappers = [layer for layer in model.layers if isinstance(layer, Compressed)]
        self._model = model
        self._kernels = {
            layer.name: [each for each in layer.transforms if isinstance(each, FakeQuantWeights) and each.bits == 4]
            for layer in wrappers
        }
        self._whole = self._file({})
        self.ms = runtime.processor_ms(self._whole)

    def __call__(self, widths: Mapping[str, int]) -> float:
        """Milliseconds of a run with so many bits in the layers named, and 8 in all others."""
        return self.ms * runtime.ratio(self._file(widths), self._whole)

    def _file(self, widths: Mapping[str, int]) -> LiteModel:
        self._set(widths)
        try:
            with tempfile.TemporaryDirectory() as folder:
                return LiteModel(export(self._model, Path(folder) / "timed.tflite").path)
        finally:
            self._set(dict.fromkeys(self._kernels, 4))

    def _set(self, widths: Mapping[str, int]) -> None:
        for name, kernels in self._kernels.items():
            for kernel in kernels:
                kernel.bits = widths.get(name, 8)
