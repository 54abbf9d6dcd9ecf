"""Which of our layers is which module of a PyTorch model: declared by family, nothing is guessed."""

import re
from collections.abc import Callable

import keras

from zoo.models import endpoints

Names = dict[str, str]
"""Our layer → their module. A name of a layer without weights does no harm."""


def mobilenet_v2_torchvision(model: keras.Model) -> Names:
    """`torchvision.models.mobilenet_v2`."""
    names = {"stem_conv": "features.0.0", "stem_norm": "features.0.1", "head": "classifier.1"}
    labels = _blocks(model)
    for number, label in enumerate(labels, start=1):
        module = f"features.{number}.conv"
        parts = ["expand", "depthwise"] if _has(model, f"{label}_expand") else ["depthwise"]
        for place, part in enumerate(parts):
            names |= {f"{label}_{part}": f"{module}.{place}.0", f"{label}_{part}_norm": f"{module}.{place}.1"}
        names |= _project(label, f"{module}.{len(parts)}", f"{module}.{len(parts) + 1}")
    last = _last_stage(model)
    top = f"features.{len(labels) + 1}"
    return names | {f"{last}_conv": f"{top}.0", f"{last}_norm": f"{top}.1"}


def efficientnet_lite_lukemelas(model: keras.Model) -> Names:
    """`efficientnet_pytorch` and what was made of it for Lite: `_conv_stem`, `_blocks.0._depthwise_conv`, …."""
    names = {"stem_conv": "_conv_stem", "stem_norm": "_bn0", "head": "_fc"}
    labels = _blocks(model)
    for number, label in enumerate(labels):
        module = f"_blocks.{number}"
        names |= {f"{label}_expand": f"{module}._expand_conv", f"{label}_expand_norm": f"{module}._bn0"}
        names |= {f"{label}_depthwise": f"{module}._depthwise_conv", f"{label}_depthwise_norm": f"{module}._bn1"}
        names |= _project(label, f"{module}._project_conv", f"{module}._bn2")
    last = _last_stage(model)
    return names | {f"{last}_conv": "_conv_head", f"{last}_norm": "_bn1"}


def efficientnet_lite_timm(model: keras.Model) -> Names:
    """The `tf_efficientnet_lite0` to `4` of timm: `conv_stem`, `blocks.0.0.conv_dw`, …; stages and blocks from 0."""
    names = {"stem_conv": "conv_stem", "stem_norm": "bn1", "head": "classifier"}
    for label in _blocks(model):
        stage, block = map(int, re.findall(r"\d+", label))
        module = f"blocks.{stage - 1}.{block - 1}"
        expands = _has(model, f"{label}_expand")
        parts = {"depthwise": "conv_dw"} if not expands else {"expand": "conv_pw", "depthwise": "conv_dw"}
        for number, (part, conv) in enumerate(parts.items(), start=1):
            names |= {f"{label}_{part}": f"{module}.{conv}", f"{label}_{part}_norm": f"{module}.bn{number}"}
        names |= _project(
            label, f"{module}.conv_pwl" if expands else f"{module}.conv_pw", f"{module}.bn{len(parts) + 1}"
        )
    last = _last_stage(model)
    return names | {f"{last}_conv": "conv_head", f"{last}_norm": "bn2"}


def resnet_torchvision(model: keras.Model) -> Names:
    """`torchvision.models.resnet18` and `resnet34`.

    Its bottlenecks have no biases and their stride in the 3x3 convolution: they are another network than ours.
    """
    names = {"stem_conv": "conv1", "stem_norm": "bn1", "head": "fc"}
    for label in _blocks(model):
        stage, block = map(int, re.findall(r"\d+", label))
        module = f"layer{stage}.{block - 1}"
        for number in (1, 2):
            names[f"{label}_conv{number}"] = f"{module}.conv{number}"
            names[f"{label}_norm{number}"] = f"{module}.bn{number}"
        names[f"{label}_shortcut_conv"] = f"{module}.downsample.0"
        names[f"{label}_shortcut_norm"] = f"{module}.downsample.1"
    return names


def vgg_torchvision(model: keras.Model) -> Names:
    """`torchvision.models.vgg11` to `vgg19`: the place of each layer in its sequence."""
    names = {"fc1": "classifier.0", "fc2": "classifier.3", "head": "classifier.6"}
    place = 0
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.ReLU, keras.layers.MaxPooling2D)):
            names[layer.name] = names.get(layer.name, f"features.{place}")
            place += 1
    return names


def alexnet_torchvision(model: keras.Model) -> Names:
    """`torchvision.models.alexnet`: as VGG, with a dropout before each layer of the classifier."""
    return vgg_torchvision(model) | {"fc1": "classifier.1", "fc2": "classifier.4", "head": "classifier.6"}


def bert_hugging_face(model: keras.Model) -> Names:
    """`transformers.BertModel` and `BertForSequenceClassification`."""
    names = {
        "embedding": "embeddings.word_embeddings",
        "segment_embedding": "embeddings.token_type_embeddings",
        "position": "embeddings.position_embeddings",
        "stem": "embeddings.LayerNorm",
        "pooler": "pooler.dense",
        "head": "classifier",
    }
    for number, label in enumerate(_attending(model)):
        module = f"encoder.layer.{number}"
        names |= {f"{label}_{part}": f"{module}.attention.self.{part}" for part in ("query", "key", "value")}
        names |= {
            f"{label}_output": f"{module}.attention.output.dense",
            f"{label}_attention_norm": f"{module}.attention.output.LayerNorm",
            f"{label}_hidden": f"{module}.intermediate.dense",
            f"{label}_project": f"{module}.output.dense",
            label: f"{module}.output.LayerNorm",
        }
    return names


def gpt2_hugging_face(model: keras.Model) -> Names:
    """`transformers.GPT2LMHeadModel`, its `c_attn` cut in three."""
    names = {"embedding": "wte", "stem": "wpe", "norm": "ln_f"}
    for number, label in enumerate(_attending(model)):
        module = f"h.{number}"
        names |= {f"{label}_{part}": f"{module}.attn.{part}" for part in ("query", "key", "value")}
        names |= {
            f"{label}_attention_norm": f"{module}.ln_1",
            f"{label}_output": f"{module}.attn.c_proj",
            f"{label}_hidden_norm": f"{module}.ln_2",
            f"{label}_hidden": f"{module}.mlp.c_fc",
            f"{label}_project": f"{module}.mlp.c_proj",
        }
    return names


MAPS: dict[str, tuple[Callable[[keras.Model], Names], ...]] = {
    "alexnet": (alexnet_torchvision,),
    "bert": (bert_hugging_face,),
    "efficientnet_lite": (efficientnet_lite_lukemelas, efficientnet_lite_timm),
    "gpt2": (gpt2_hugging_face,),
    "mobilenet_v2": (mobilenet_v2_torchvision,),
    "resnet": (resnet_torchvision,),
    "vgg": (vgg_torchvision,),
}
"""Family → the namings that are known."""


def _blocks(model: keras.Model) -> list[str]:
    """`stage1_block1`, …: every block once, in order."""
    found = (re.match(r"(stage\d+_block\d+)_", layer.name) for layer in model.layers)
    return list(dict.fromkeys(match[1] for match in found if match))


def _attending(model: keras.Model) -> list[str]:
    """`stage1`, `stage2`, …: the blocks of attention, in order."""
    return [name for name in endpoints(model) if name.startswith("stage")]


def _last_stage(model: keras.Model) -> str:
    *_, last, _ = endpoints(model)
    return last


def _project(label: str, conv: str, norm: str) -> Names:
    """The end of an inverted residual: without a sum, the normalisation carries the name of the end."""
    stage = label.split("_")[0]
    return {f"{label}_project": conv, f"{label}_project_norm": norm, f"{label}_out": norm, stage: norm}


def _has(model: keras.Model, name: str) -> bool:
    return any(layer.name == name for layer in model.layers)
