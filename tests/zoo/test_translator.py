"""The translator: what it may look at, and beam search against all translations there are."""

import dataclasses
import itertools

import numpy as np
import pytest

import zoo

START, END = 1, 2
SPEC = dataclasses.replace(zoo.spec("translator_tiny"), vocabulary=5, width=16, heads=2, hidden=24)
SOURCE = [3, 4, 4]


@pytest.fixture
def model():
    model = zoo.build(SPEC, input_shape=(6, 4))
    rng = np.random.default_rng(7)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.7, variable.shape))
    return model


def chances(model, texts):
    """Logarithm of the probability of each translation, from the whole model."""
    source, target = np.zeros((len(texts), 6), "int32"), np.zeros((len(texts), 4), "int32")
    source[:, :3], target[:, 0] = SOURCE, START
    for row, text in zip(target, texts, strict=True):
        row[1 : len(text)] = text[:-1]
    logits = np.asarray(model([source, target])).astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return [sum(row[place, token] for place, token in enumerate(text)) for row, text in zip(logs, texts, strict=True)]


@pytest.mark.parametrize("penalty", [0.0, 0.6, 3.0])
def test_wide_beams_find_the_best_of_all(model, penalty):
    texts = [[*words, END] for length in range(4) for words in itertools.product((0, 1, 3, 4), repeat=length)]
    scores = [
        chance / ((5 + len(text)) / 6) ** penalty for chance, text in zip(chances(model, texts), texts, strict=True)
    ]
    best = texts[int(np.argmax(scores))]
    assert zoo.translate(model, SOURCE, start=START, end=END, beams=64, length_penalty=penalty) == best[:-1]


def test_one_beam_is_greedy(model):
    target, told = [START], []
    for place in range(4):
        source, fed = np.zeros((1, 6), "int32"), np.zeros((1, 4), "int32")
        source[0, :3], fed[0, : len(target)] = SOURCE, target
        told.append(int(np.asarray(model([source, fed]))[0, place].argmax()))
        target.append(told[-1])
    expected = told[: told.index(END)] if END in told else told
    assert zoo.translate(model, SOURCE, start=START, end=END, beams=1, length_penalty=0.0) == expected


def test_steps_answer_as_the_whole_model_does(model, run):
    parts = zoo.stepped(model)
    source = np.array([[3, 4, 4, 0, 0, 0], [1, 2, 3, 4, 3, 2]], "int32")
    target = np.array([[1, 3, 4, 0], [1, 4, 4, 3]], "int32")
    whole, memory = run(model, [source, target]), run(parts.encode, source)
    cache = np.zeros((2, *parts.step.input["cache"].shape[1:]), "float32")
    for place in range(4):
        fed = {"token": target[:, [place]], "position": np.full(2, place, "int32"), "cache": cache}
        answer = run(parts.step, {**fed, "source": source, "memory": memory})
        np.testing.assert_allclose(answer["logits"], whole[:, place], atol=1e-4)
        cache = answer["cache"]


def test_padding_of_the_source_and_later_words_change_nothing(model, run):
    target = np.array([[1, 3, 4, 0]], "int32")
    long = run(model, [np.array([[3, 4, 4, 0, 0, 0]], "int32"), target])
    short = zoo.build(SPEC, input_shape=(3, 4))
    short.set_weights(model.get_weights())
    np.testing.assert_allclose(long, run(short, [np.array([SOURCE], "int32"), target]), atol=1e-4)
    other = run(model, [np.array([[3, 4, 4, 0, 0, 0]], "int32"), np.array([[1, 3, 2, 2]], "int32")])
    np.testing.assert_allclose(other[:, :2], long[:, :2], atol=1e-4)
    assert np.abs(other[:, 2:] - long[:, 2:]).max() > 0.01


def test_parameters_of_one_table_for_three_uses():
    model = zoo.build(SPEC, input_shape=(6, 4))
    attention, dense = 4 * (16 * 16 + 16), 2 * 16 * 24 + 24 + 16
    norms = 2 * (2 * 2 + 3 * 2 + 2)
    assert model.count_params() == 5 * 16 + 6 * attention + 4 * dense + norms * 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source_tokens": []}, "the source must be at least one token"),
        ({"source_tokens": [5]}, "the source has the token 5; the model knows 0 to 4"),
        ({"end": 9}, "start or end has the token 9"),
        ({"beams": 0}, "beams must be"),
        ({"length_penalty": -1}, "length_penalty must be"),
    ],
)
def test_bad_input(changes, message, model):
    with pytest.raises(zoo.ZooError, match=message):
        zoo.translate(model, **{"source_tokens": SOURCE, "start": START, "end": END, **changes})


def test_a_language_model_does_not_translate():
    with pytest.raises(zoo.ZooError, match="char_lstm does not translate"):
        zoo.translate(zoo.build("char_lstm", input_shape=(5,)), [1], start=1, end=2)
