"""BERT and GPT-2 against Hugging Face transformers: random weights carried over in a safetensors file."""

import dataclasses

import numpy as np
import pytest

import zoo
from zoo.weights import load

pytestmark = pytest.mark.backends

PAIR = [[101, 7, 8, 9, 102, 20, 21, 102, 0, 0, 0, 0], [101, 5, 102, 3, 4, 5, 6, 7, 8, 9, 10, 102]]
TYPES = [[0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]]


@pytest.fixture
def scrambled():
    """Gives every weight of a PyTorch model a random value, and saves them."""
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")

    def scrambled(model, path):
        torch.manual_seed(0)
        with torch.no_grad():
            for name, tensor in model.named_parameters():
                tensor.normal_(1.0 if "LayerNorm.weight" in name or ("ln_" in name and "weight" in name) else 0.0, 0.1)
        safetensors.save_model(model.eval(), str(path))
        return model

    return scrambled


@pytest.mark.parametrize("bare", [True, False])
def test_bert(bare, scrambled, tmp_path):
    transformers = pytest.importorskip("transformers")
    import torch

    settings = transformers.BertConfig(
        vocab_size=200,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=80,
        max_position_embeddings=64,
        num_labels=5,
    )
    kind = transformers.BertModel if bare else transformers.BertForSequenceClassification
    theirs = scrambled(kind(settings), tmp_path / "bert.safetensors")
    tokens = torch.tensor(PAIR)
    with torch.no_grad():
        answer = theirs(tokens, attention_mask=(tokens != 0).long(), token_type_ids=torch.tensor(TYPES))
    spec = dataclasses.replace(
        zoo.spec("bert_base"), vocabulary=200, width=48, depth=3, heads=4, hidden=80, pool="mean" if bare else "first"
    )
    ours = zoo.build(spec, input_shape=(12,), classes=5)
    done = load(ours, tmp_path / "bert.safetensors", spec=spec)
    assert done.new == (("head",) if bare else ())
    if bare:
        features = zoo.endpoints(ours)["stage3"]
        import keras

        found = keras.Model(ours.inputs, features).predict(np.array(PAIR), verbose=0)
        real = np.array(PAIR) != 0
        np.testing.assert_allclose(found[real], answer.last_hidden_state.numpy()[real], atol=1e-4)
    else:
        np.testing.assert_allclose(ours.predict(np.array(PAIR), verbose=0), answer.logits.numpy(), atol=1e-4)


def test_gpt2(scrambled, tmp_path):
    transformers = pytest.importorskip("transformers")
    import torch

    settings = transformers.GPT2Config(vocab_size=90, n_embd=48, n_layer=3, n_head=4, n_positions=32)
    theirs = scrambled(transformers.GPT2LMHeadModel(settings), tmp_path / "gpt2.safetensors")
    tokens = np.random.default_rng(0).integers(0, 90, (3, 20))
    with torch.no_grad():
        answer = theirs(torch.tensor(tokens)).logits.numpy()
    spec = dataclasses.replace(zoo.spec("gpt2"), vocabulary=90, width=48, depth=3, heads=4, hidden=192)
    ours = zoo.build(spec, input_shape=(20,))
    assert load(ours, tmp_path / "gpt2.safetensors", spec=spec).new == ()
    np.testing.assert_allclose(ours.predict(tokens, verbose=0), answer, atol=1e-4)

    wanted = theirs.generate(
        torch.tensor(tokens[:1, :6]),
        attention_mask=torch.ones(1, 6),
        do_sample=False,
        max_new_tokens=14,
        pad_token_id=0,
    )
    told = list(zoo.generate(ours, tokens[0, :6], count=14, temperature=0.0))
    assert told == wanted[0, 6:].tolist()
