"""GPT-2 against a forward pass in numpy from a file with Hugging Face's names."""

import dataclasses

import numpy as np
import pytest
import safetensors.numpy

import zoo
from zoo.weights import load

SMALL = dataclasses.replace(zoo.spec("gpt2"), vocabulary=40, width=12, depth=2, heads=3, hidden=48)
TOKENS = np.random.default_rng(1).integers(0, 40, (3, 9))


def drawn(*, steps):
    """Tensors with the names and shapes of `GPT2LMHeadModel`: matrices are (inputs, outputs)."""
    rng = np.random.default_rng(0)
    shapes = {"wte.weight": (40, 12), "wpe.weight": (steps, 12), "ln_f.weight": (12,), "ln_f.bias": (12,)}
    for number in range(2):
        layer = f"h.{number}"
        for part, (inputs, outputs) in {
            "attn.c_attn": (12, 36),
            "attn.c_proj": (12, 12),
            "mlp.c_fc": (12, 48),
            "mlp.c_proj": (48, 12),
        }.items():
            shapes |= {f"{layer}.{part}.weight": (inputs, outputs), f"{layer}.{part}.bias": (outputs,)}
        for part in ("ln_1", "ln_2"):
            shapes |= {f"{layer}.{part}.weight": (12,), f"{layer}.{part}.bias": (12,)}
    return {name: rng.normal("ln_" in name, 0.3, shape).astype("float32") for name, shape in shapes.items()}


def forward(tensors, tokens):
    """Logits, in float64."""
    t = {name: array.astype("float64") for name, array in tensors.items()}

    def linear(x, name):
        return x @ t[f"{name}.weight"] + t[f"{name}.bias"]

    def norm(x, name):
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)
        return x * t[f"{name}.weight"] + t[f"{name}.bias"]

    x = t["wte.weight"][tokens] + t["wpe.weight"][: tokens.shape[1]]
    for number in range(2):
        layer = f"h.{number}"
        query, key, value = np.split(linear(norm(x, f"{layer}.ln_1"), f"{layer}.attn.c_attn"), 3, axis=-1)
        y = np.zeros_like(x)
        for head in range(3):
            part = slice(4 * head, 4 * head + 4)
            logits = query[..., part] @ key[..., part].transpose(0, 2, 1) / 2
            shares = np.exp(np.where(np.tri(tokens.shape[1], dtype=bool), logits, -np.inf))
            y[..., part] = shares / shares.sum(axis=-1, keepdims=True) @ value[..., part]
        x = x + linear(y, f"{layer}.attn.c_proj")
        y = linear(norm(x, f"{layer}.ln_2"), f"{layer}.mlp.c_fc")
        y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
        x = x + linear(y, f"{layer}.mlp.c_proj")
    return norm(x, "ln_f") @ t["wte.weight"].T


@pytest.mark.parametrize("kind", ["bare", "with a head", "only a head"])
def test_weights_of_hugging_face(kind, tmp_path, run):
    tensors = drawn(steps=20)
    file = tensors
    if kind != "bare":
        file = {f"transformer.{name}": array for name, array in tensors.items()}
        file["transformer.h.0.attn.bias"] = np.tri(20, dtype="float32")[None, None]
        file["lm_head.weight"] = tensors["wte.weight"]
    if kind == "only a head":
        del file["transformer.wte.weight"]
    safetensors.numpy.save_file(file, tmp_path / "x.safetensors")
    model = zoo.build(SMALL, input_shape=(9,))
    done = load(model, tmp_path / "x.safetensors", spec=SMALL)
    assert done.new == ()
    expected = forward(tensors, TOKENS)
    np.testing.assert_allclose(run(model, TOKENS), expected, atol=2e-5 * np.abs(expected).max())


def test_a_file_of_another_depth_is_refused(tmp_path):
    safetensors.numpy.save_file(drawn(steps=9), tmp_path / "x.safetensors")
    spec = dataclasses.replace(SMALL, depth=3)
    with pytest.raises(zoo.ZooError, match="does not fit gpt2: 16 missing: stage3_"):
        load(zoo.build(spec, input_shape=(9,)), tmp_path / "x.safetensors", spec=spec)


def test_the_table_counts_once_and_works_twice():
    model = zoo.build(SMALL, input_shape=(9,))
    block = 9 * (4 * 12 * 12 + 2 * 12 * 48) + 2 * 9 * 9 * 12
    assert zoo.macs(model) == 2 * block + 9 * 12 * 40
    parts = zoo.stages(model)
    assert [layer.name for layer in parts["stem"]] == ["tokens", "embedding", "stem"]
    assert [layer.name for layer in parts["head"]] == ["norm", "head"]
    card = zoo.card(SMALL, input_shape=(9,))
    assert card.float32_bytes == 4 * card.parameters
