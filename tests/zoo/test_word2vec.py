import dataclasses

import keras
import numpy as np
import pytest

import zoo
from zoo import graph

SMALL = zoo.FAMILIES["word2vec"].SPEC(method="cbow", vocabulary=7, width=3)


def test_logits_by_hand(scramble, run):
    model = zoo.build(SMALL, input_shape=(4, 2))
    scramble(model)
    vectors, outputs = model.get_layer("vectors").get_weights()[0], model.get_layer("output_vectors").get_weights()[0]
    words = np.array([[1, 5, 0, 3], [2, 2, 6, 4], [0, 0, 0, 0]], "int32")
    candidates = np.array([[2, 6], [0, 1], [3, 4]], "int32")
    expected = [
        outputs[[2, 6]] @ vectors[[1, 5, 3]].mean(axis=0),  # 0 does not count among the words …
        outputs[[0, 1]] @ vectors[[2, 2, 6, 4]].mean(axis=0),  # … and is a candidate like others
        [0, 0],
    ]
    np.testing.assert_allclose(run(model, [words, candidates]), expected, atol=1e-6)


def test_skip_gram_is_the_product_of_two_vectors(scramble, run):
    model = zoo.build(dataclasses.replace(SMALL, method="skipgram"), input_shape=(1, 7))
    scramble(model)
    vectors, outputs = model.get_layer("vectors").get_weights()[0], model.get_layer("output_vectors").get_weights()[0]
    found = run(model, [np.arange(1, 7)[:, None].astype("int32"), np.tile(np.arange(7, dtype="int32"), (6, 1))])
    np.testing.assert_allclose(found, vectors[1:] @ outputs.T, atol=1e-6)


def test_the_first_logits_are_zero_and_the_vectors_small():
    keras.utils.set_random_seed(0)
    model = zoo.build(dataclasses.replace(SMALL, vocabulary=500), input_shape=(2, 2))
    vectors = model.get_layer("vectors").get_weights()[0]
    assert 0.9 / 6 < np.abs(vectors).max() <= 1 / 6
    assert not model.get_layer("output_vectors").get_weights()[0].any()


def test_words_that_occur_in_the_same_places_get_near_vectors():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    # Words 1 to 4 occur beside 9 or 10, words 5 to 8 beside 11 or 12.
    word = rng.integers(1, 9, 4000)
    right = 9 + 2 * (word > 4) + rng.integers(0, 2, 4000)
    wrong = 9 + 2 * (word <= 4) + rng.integers(0, 2, 4000)
    model = zoo.build(dataclasses.replace(SMALL, method="skipgram", vocabulary=13, width=8), input_shape=(1, 2))
    model.compile(keras.optimizers.Adam(0.02), keras.losses.BinaryCrossentropy(from_logits=True))
    fed = [word[:, None].astype("int32"), np.stack([right, wrong], axis=1).astype("int32")]
    model.fit(fed, np.tile([1.0, 0.0], (4000, 1)), epochs=8, batch_size=100, verbose=0)
    vectors = model.get_layer("vectors").get_weights()[0][1:9]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = vectors @ vectors.T
    assert near[:4, :4].min() > 0.9
    assert near[4:, 4:].min() > 0.9
    assert near[:4, 4:].max() < -0.5


def test_its_card():
    card = zoo.card(SMALL, input_shape=(4, 2))
    assert (card.task, card.classes, card.input_shape) == ("embed", None, (4, 2))
    assert (card.macs, card.parameters) == (2 * 3, 2 * 7 * 3)
    assert (card.float32_bytes, card.int8_bytes) == (4 * 42, 42)
    model = zoo.build(SMALL, input_shape=(4, 2))
    # The vectors of the words, those of the candidates, and the mean: Keras looks up both before it averages.
    assert graph.peak_activations(model) == 4 * (12 + 6 + 3)
    # Both inputs are there from the start: 90 candidates beside 100 words and their vectors of one number.
    wide = zoo.build(dataclasses.replace(SMALL, width=1), input_shape=(100, 90))
    assert graph.peak_activations(wide) == 4 * (100 + 90 + 100)


def test_the_logits_stay_float32_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = zoo.build(SMALL, input_shape=(4, 2))
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"


@pytest.mark.parametrize(("field", "value"), [("method", "glove"), ("vocabulary", 1), ("width", 0.5), ("dropout", 1.0)])
def test_an_impossible_spec_is_refused_and_names_the_field(field, value):
    with pytest.raises(zoo.ZooError, match=field):
        dataclasses.replace(SMALL, **{field: value})


def test_impossible_inputs_are_refused():
    with pytest.raises(zoo.ZooError, match=r"reads 1 word at a time, not 4.*cbow"):
        zoo.build("word2vec_skipgram", input_shape=(4, 6))
    with pytest.raises(zoo.ZooError, match=r"input_shape .words, candidates. must be 2"):
        zoo.build("word2vec_cbow", input_shape=(4,))
