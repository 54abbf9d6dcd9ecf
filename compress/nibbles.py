"""Kernels of 4 bits: two weights a byte."""

from typing import Any

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress import flatbuffer
from compress.ranges import FakeQuantWeights
from compress.wrapper import Compressed

_LARGEST = 7
_KERNELS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def has_nibbles(model: keras.Model) -> bool:
    """Whether a quantization-aware model has kernels of 4 bits."""
    wrappers = (layer for layer in model._flatten_layers() if isinstance(layer, Compressed))
    transforms = (transform for wrapper in wrappers for transform in wrapper.transforms)
    return any(isinstance(each, FakeQuantWeights) and each.bits == 4 for each in transforms)


def packed(content: bytes) -> bytes:
    """The file with each int8 kernel that holds nothing beyond ±7 as int4, the step unchanged.

    An int8 kernel of `FakeQuantWeights` reaches 127, so that only those of 4 bits are packed.
    """
    model = flatbuffer.unpack(content, origin="the converted file")
    flatbuffer.inline(model, content)
    places: dict[int, list[Any]] = {}
    others: set[int] = set()
    for graph in model.subgraphs:
        for operator in graph.operators:
            for place, index in enumerate(operator.inputs):
                if index < 0:
                    continue
                tensor = graph.tensors[index]
                if place == 1 and flatbuffer.name_of(model, operator) in _KERNELS:
                    places.setdefault(tensor.buffer, []).append(tensor)
                else:
                    others.add(tensor.buffer)
    changed = False
    for buffer, tensors in places.items():
        data = model.buffers[buffer].data
        if buffer in others or data is None or any(each.type != schema.TensorType.INT8 for each in tensors):
            continue
        values = np.frombuffer(np.asarray(data, np.uint8).tobytes(), np.int8)
        if not values.size or np.abs(values.astype(np.int16)).max() > _LARGEST or not values.any():
            continue
        pairs = np.pad(values, (0, values.size % 2)).reshape(-1, 2).astype(np.uint8) & 15
        model.buffers[buffer].data = pairs[:, 0] | pairs[:, 1] << 4
        for tensor in tensors:
            tensor.type = schema.TensorType.INT4
        changed = True
    return flatbuffer.pack(model, size=len(content)) if changed else content
