"""Tensors of Hugging Face's BERT and GPT-2, as the modules that `zoo.weights.names` knows.

The checkpoints come with and without the name of the model in front; the oldest ones call a normalisation's scale
`gamma`. GPT-2's matrices are `(inputs, outputs)` and hold query, key and value side by side.
"""

import re
from collections.abc import Callable, Mapping

import keras
import numpy as np

from zoo.sequence.attention import PositionEmbedding

Tensors = dict[str, np.ndarray]


def bert(model: keras.Model, tensors: Mapping[str, np.ndarray]) -> Tensors:
    """Without the heads of the pre-training, and without a pooler where `model` has none."""
    unused = ["cls.", "embeddings.position_ids"]
    if not any(layer.name == "pooler" for layer in model.layers):
        unused.append("pooler.")
    found = {}
    for name, array in tensors.items():
        plain = name.removeprefix("bert.")
        plain = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", plain))
        if not plain.startswith(tuple(unused)):
            found[plain] = array
    return _cut(model, found, "embeddings.position_embeddings.weight")


def gpt2(model: keras.Model, tensors: Mapping[str, np.ndarray]) -> Tensors:
    """Matrices `(outputs, inputs)`, query, key and value apart; without the causal masks; the head is `wte`."""
    found: Tensors = {}
    for name, array in tensors.items():
        plain = name.removeprefix("transformer.")
        if re.search(r"\.attn\.(masked_)?bias$", plain):
            continue
        if plain == "lm_head.weight":
            # A safetensors file has the one table under either name, or both.
            found.setdefault("wte.weight", array)
        elif match := re.fullmatch(r"(h\.\d+\.attn\.)c_attn\.(weight|bias)", plain):
            for part, piece in zip(("query", "key", "value"), np.split(array, 3, axis=-1), strict=True):
                found[f"{match[1]}{part}.{match[2]}"] = piece.T
        elif re.fullmatch(r"h\.\d+\.(attn|mlp)\.c_\w+\.weight", plain):
            found[plain] = array.T
        else:
            found[plain] = array
    return _cut(model, found, "wpe.weight")


def _cut(model: keras.Model, tensors: Tensors, positions: str) -> Tensors:
    """The table of positions as far as `model` has steps."""
    (layer,) = (layer for layer in model.layers if isinstance(layer, PositionEmbedding))
    if positions in tensors:
        tensors[positions] = tensors[positions][: layer.steps]
    return tensors


PLAIN: dict[str, Callable[[keras.Model, Mapping[str, np.ndarray]], Tensors]] = {"bert": bert, "gpt2": gpt2}
"""Family → what makes its checkpoints' tensors those of PyTorch modules."""
