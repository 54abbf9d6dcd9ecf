"""BERT against a forward pass in numpy from a file with Hugging Face's names; the packaged MiniLM."""

import dataclasses
import math

import numpy as np
import pytest
import safetensors.numpy

import compress
import zoo
from zoo.weights import load

SMALL = dataclasses.replace(zoo.spec("bert_tiny"), vocabulary=120, width=12, depth=2, heads=3, hidden=20)
TOKENS = np.array([[101, 7, 8, 9, 102, 20, 21, 102, 0, 0], [101, 5, 102, 3, 4, 5, 6, 7, 8, 102]])
TYPES = np.array([[0, 0, 0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1, 1, 1, 1]])
erf = np.vectorize(math.erf)


def drawn(spec, *, steps, classes=0, pooler=True, seed=0):
    """Tensors with the names and shapes of `BertForSequenceClassification`."""
    rng = np.random.default_rng(seed)
    width, shapes = spec.width, {}

    def linear(name, inputs, outputs):
        shapes.update({f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)})

    for name, rows in (("word", spec.vocabulary), ("position", steps), ("token_type", 2)):
        shapes[f"embeddings.{name}_embeddings.weight"] = (rows, width)
    norms = ["embeddings.LayerNorm"]
    for number in range(spec.depth):
        layer = f"encoder.layer.{number}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{layer}.attention.{part}", width, width)
        linear(f"{layer}.intermediate.dense", width, spec.hidden)
        linear(f"{layer}.output.dense", spec.hidden, width)
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for norm in norms:
        shapes.update({f"{norm}.weight": (width,), f"{norm}.bias": (width,)})
    if pooler:
        linear("pooler.dense", width, width)
    if classes:
        linear("classifier", width, classes)
    return {name: rng.normal("Norm.weight" in name, 0.3, shape).astype("float32") for name, shape in shapes.items()}


def encode(tensors, tokens, types, *, heads):
    """The last hidden states, in float64."""
    t = {name: array.astype("float64") for name, array in tensors.items()}

    def linear(x, name):
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    def norm(x, name):
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-12)
        return x * t[f"{name}.weight"] + t[f"{name}.bias"]

    def cut(x):
        return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    x = t["embeddings.word_embeddings.weight"][tokens] + t["embeddings.token_type_embeddings.weight"][types]
    x = norm(x + t["embeddings.position_embeddings.weight"][: tokens.shape[1]], "embeddings.LayerNorm")
    number = 0
    while f"encoder.layer.{number}.output.dense.weight" in t:
        layer = f"encoder.layer.{number}"
        query, key, value = (cut(linear(x, f"{layer}.attention.self.{part}")) for part in ("query", "key", "value"))
        logits = query @ key.transpose(0, 1, 3, 2) / np.sqrt(query.shape[-1])
        shares = np.exp(np.where((tokens != 0)[:, None, None], logits, -np.inf))
        shares /= shares.sum(axis=-1, keepdims=True)
        y = (shares @ value).transpose(0, 2, 1, 3).reshape(x.shape)
        x = norm(x + linear(y, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        y = linear(x, f"{layer}.intermediate.dense")
        y = 0.5 * y * (1 + erf(y / np.sqrt(2)))
        x = norm(x + linear(y, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        number += 1
    return x


def unit_mean(hidden, tokens):
    """The mean over the tokens that are no padding, of length 1."""
    real = (tokens != 0)[..., None]
    vectors = (hidden * real).sum(axis=1) / real.sum(axis=1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def saved(tensors, path):
    safetensors.numpy.save_file(tensors, path)
    return path


def old(name):
    """As the first releases called the normalisations."""
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


@pytest.mark.parametrize("renamed", [lambda name: name, lambda name: f"bert.{name}", old])
def test_a_classifier_with_a_pooler(renamed, tmp_path, run):
    tensors = drawn(SMALL, steps=16, classes=4)
    file = {renamed(name) if name != "classifier.weight" else name: array for name, array in tensors.items()}
    file["classifier.bias"] = file.pop(renamed("classifier.bias"))
    file["cls.predictions.bias"] = np.zeros(3, "float32")
    file["bert.embeddings.position_ids"] = np.arange(16)[None]
    model = zoo.build(SMALL, input_shape=(10,), classes=4)
    done = load(model, saved(file, tmp_path / "x.safetensors"), spec=SMALL)
    assert done.new == () and done.mean is None
    first = encode(tensors, TOKENS, TYPES, heads=3)[:, 0]
    pooled = np.tanh(first @ tensors["pooler.dense.weight"].T + tensors["pooler.dense.bias"])
    expected = pooled @ tensors["classifier.weight"].T + tensors["classifier.bias"]
    assert np.ptp(expected[0] - expected[1]) > 1e-2
    np.testing.assert_allclose(run(model, TOKENS), expected, atol=1e-5)


def test_a_checkpoint_without_a_head_leaves_ours_new(tmp_path, run):
    tensors = drawn(SMALL, steps=10)
    path = saved(tensors, tmp_path / "x.safetensors")
    model = zoo.build(SMALL, input_shape=(10,), classes=2)
    assert load(model, path, spec=SMALL).new == ("head",)

    mean = dataclasses.replace(SMALL, pool="mean")
    model = zoo.build(mean, input_shape=(10,), classes=2)
    assert load(model, path, spec=mean).new == ("head",)
    vectors = run(zoo.embedder(model), TOKENS)
    expected = unit_mean(encode(tensors, TOKENS, TYPES, heads=3), TOKENS)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)

    bare = saved(drawn(SMALL, steps=10, pooler=False), tmp_path / "y.safetensors")
    assert load(zoo.build(SMALL, input_shape=(10,), classes=2), bare, spec=SMALL).new == ("pooler", "head")


def test_what_does_not_fit_is_refused(tmp_path):
    path = saved(drawn(SMALL, steps=8), tmp_path / "x.safetensors")
    model = zoo.build(SMALL, input_shape=(10,), classes=2)
    with pytest.raises(zoo.ZooError, match=r"1 of another shape: position/embeddings \(10, 12\) \(.* \(8, 12\)\)"):
        load(model, path, spec=SMALL)
    deeper = dataclasses.replace(SMALL, depth=1)
    with pytest.raises(zoo.ZooError, match=r"16 extra: encoder\.layer\.1\."):
        load(zoo.build(deeper, input_shape=(8,), classes=2), path, spec=deeper)


def test_what_comes_after_a_separator_is_the_second_text():
    segments = zoo.build(SMALL, input_shape=(10,), classes=2).get_layer("segments")
    np.testing.assert_array_equal(np.asarray(segments(TOKENS.astype("int32"))), TYPES)


def test_padding_changes_nothing(scramble, run):
    model = zoo.build(SMALL, input_shape=(10,), classes=3)
    scramble(model)
    short = zoo.build(SMALL, input_shape=(8,), classes=3)
    for layer in short.layers:
        weights = model.get_layer(layer.name).get_weights()
        layer.set_weights([weights[0][:8]] if layer.name == "position" else weights)
    np.testing.assert_allclose(run(model, TOKENS[:1]), run(short, TOKENS[:1, :8]), atol=1e-5)


def test_a_vector_is_what_the_head_reads():
    with pytest.raises(zoo.ZooError, match="no head that reads a vector"):
        zoo.embedder(zoo.build("char_lstm", input_shape=(5,)))


def test_with_int8_weights_the_embeddings_are_int8_too(scramble, tmp_path):
    spec = dataclasses.replace(SMALL, vocabulary=3000, width=48, pool="mean")
    model = zoo.embedder(zoo.build(spec, input_shape=(10,), classes=2))
    scramble(model)
    artifact = compress.export(model, tmp_path / "x.tflite", quantize="dynamic")
    float_bytes = sum(4 * math.prod(weight.shape) for weight in model.weights)
    assert artifact.bytes < 0.4 * float_bytes and artifact.ops["EMBEDDING_LOOKUP"] == 2
    vectors = compress.LiteModel(artifact.path).predict(TOKENS)
    assert (vectors * model.predict(TOKENS, verbose=0)).sum(axis=1).min() > 0.999


SENTENCES = {
    "a man is eating food.": [1037, 2158, 2003, 5983, 2833, 1012],
    "a man eats bread": [1037, 2158, 20323, 7852],
    "the moon": [1996, 4231],
    "Trains to the coast leave at ten past every hour.": [
        *(4499, 2000, 1996, 3023, 2681, 2012),
        *(2702, 2627, 2296, 3178, 1012),
    ],
    "Where do I send the form?": [2073, 2079, 1045, 4604, 1996, 2433, 1029],
    "Great acting, but the plot makes no sense at all.": [
        *(2307, 3772, 1010, 2021, 1996, 5436),
        *(3084, 2053, 3168, 2012, 2035, 1012),
    ],
    "How do I reset my password?": [2129, 2079, 1045, 25141, 2026, 20786, 1029],
    "Interest rates rose by half a percent in March": [3037, 6165, 3123, 2011, 2431, 1037, 3867, 1999, 2233],
    "zoology": [22405],
    "!": [999],
}
"""Their tokens in the vocab.txt of MiniLM, without the marks around them."""


@pytest.mark.slow
def test_the_packaged_minilm(tmp_path, monkeypatch):
    """The model and its files against the pass in numpy from the very same weights."""
    monkeypatch.setenv("EDGEZOO_OFFLINE", "0")
    monkeypatch.setenv("EDGEZOO_CACHE", str(tmp_path))
    texts = [[101, *ids, 102] for ids in SENTENCES.values()]
    tokens = np.array([text + [0] * (32 - len(text)) for text in texts], "int32")
    spec = zoo.spec("minilm_l6")
    model = zoo.build(spec, input_shape=(32,), classes=2)
    done = load(model, "sentence_transformers", spec=spec, progress=False)
    assert done.new == ("head",)
    embedder = zoo.embedder(model)
    vectors = embedder.predict(tokens, verbose=0)
    (file,) = tmp_path.glob("**/*.safetensors")
    hidden = encode(safetensors.numpy.load_file(file), tokens, np.zeros_like(tokens), heads=12)
    expected = unit_mean(hidden, tokens)
    assert (vectors * expected).sum(axis=1).min() > 0.99999
    near = vectors @ vectors.T
    assert near[0, 1] > 0.5 > near[0, 2]
    for quantize, least, largest in (("none", 0.9999, 90e6), ("dynamic", 0.98, 24e6)):
        artifact = compress.export(embedder, tmp_path / "x.tflite", quantize=quantize)
        lite = compress.LiteModel(artifact.path).predict(tokens)
        cosine = (lite * expected).sum(axis=1) / np.linalg.norm(lite, axis=1)
        print(quantize, artifact.bytes, cosine.min(), cosine.mean())
        assert artifact.bytes < largest and cosine.min() > least
