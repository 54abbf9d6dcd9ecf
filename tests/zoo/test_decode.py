"""Generation with a memory is that without, token for token; the draws; the exported step."""

import dataclasses
import gc
import weakref

import keras
import numpy as np
import pytest

import compress
import zoo
from zoo.sequence.sample import sampler

STEPS = 10
ATTENTIVE = ("char_transformer", {"width": 16, "depth": 2, "heads": 4, "hidden": 24})
LSTM = ("char_lstm", {"width": 12, "embedding": 8})
GRU = ("char_gru", {"width": 12, "embedding": 8, "depth": 2})


@pytest.fixture
def made():
    """A model with random weights."""

    def made(case, steps=STEPS):
        name, changes = case
        model = zoo.build(dataclasses.replace(zoo.spec(name), vocabulary=30, **changes), input_shape=(steps,))
        rng = np.random.default_rng(3)
        for variable in model.trainable_variables:
            variable.assign(rng.normal(0, 0.8, variable.shape))
        return model

    return made


def without_memory(model, prompt, count, temperature):
    """Each token from the whole model; where the text is full, its newer half stays."""
    choose = sampler(temperature=temperature, top_k=None, top_p=None, seed=0)
    window, told = list(prompt)[-STEPS:], []
    for _ in range(count):
        if len(window) > STEPS:
            window = window[-(STEPS // 2) :]
        padded = np.zeros((1, STEPS), "int32")
        padded[0, : len(window)] = window
        told.append(choose(np.asarray(model(padded))[0, len(window) - 1]))
        window.append(told[-1])
    return told


@pytest.mark.parametrize(("case", "count"), [(ATTENTIVE, 24), (LSTM, 7), (GRU, 7)])
@pytest.mark.parametrize(("length", "temperature"), [(1, 2.0), (4, 2.0), (4, 0.0)])
def test_with_a_memory_as_without_token_for_token(case, count, length, temperature, made):
    model = made(case)
    prompt = np.random.default_rng(0).integers(0, 30, length)
    told = list(zoo.generate(model, prompt, count=count, temperature=temperature))
    assert told == without_memory(model, prompt, count, temperature)
    assert len(set(told)) >= 5 or not temperature, "the text must vary"


def test_of_a_long_prompt_the_end_is_read(made):
    model = made(ATTENTIVE)
    prompt = list(range(25))
    told = list(zoo.generate(model, prompt, count=8))
    assert told == without_memory(model, prompt, 8, 1.0)
    assert told == list(zoo.generate(model, prompt[-STEPS:], count=8))


def test_each_text_of_a_batch_may_be_at_its_own_position(made, run):
    model = made(ATTENTIVE)
    parts = zoo.stepped(model)
    texts = np.random.default_rng(0).integers(0, 30, (2, STEPS)).astype("int32")
    whole, cache = run(model, texts), run(parts.fill, texts)
    places = np.array([2, 7], "int32")
    # What lies in the memory at its own position and later is not looked at.
    answer = run(parts.step, {"token": texts[[0, 1], places][:, None], "position": places, "cache": cache})
    np.testing.assert_allclose(answer["logits"], whole[[0, 1], places], atol=1e-4)
    np.testing.assert_allclose(answer["cache"], cache, atol=1e-5)


@pytest.mark.parametrize("case", [ATTENTIVE, LSTM, GRU])
def test_a_step_is_saved_and_its_model_stays_as_it_was(case, made, run, tmp_path):
    model = made(case)
    step = zoo.stepped(model).step
    rng = np.random.default_rng(0)
    fed = {
        name: rng.integers(0, 9, (2, *port.shape[1:])).astype("int32")
        if port.dtype == "int32"
        else rng.standard_normal((2, *port.shape[1:])).astype("float32")
        for name, port in step.input.items()
    }
    step.save(tmp_path / "step.keras")
    loaded = run(keras.models.load_model(tmp_path / "step.keras"), fed)
    for name, array in run(step, fed).items():
        np.testing.assert_array_equal(loaded[name], array)
    texts = np.zeros((1, STEPS), "int32")
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(keras.models.load_model(tmp_path / "model.keras"), texts), run(model, texts))
    assert zoo.macs(model) > 0 and list(zoo.stages(model))[-1] == "head"


@pytest.mark.parametrize("case", [ATTENTIVE, LSTM, GRU])
def test_the_exported_step_needs_no_more_than_the_runtime_has(case, made, run, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    step = zoo.stepped(made(case)).step
    plain = keras.Model(step.inputs, step.outputs)
    artifact = compress.export(plain, tmp_path / "step.tflite", quantize="none")
    assert not [name for name in artifact.ops if name.startswith(("FLEX", "CUSTOM"))]
    interpreter = Interpreter(model_path=str(artifact.path))
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    fed = {}
    for port in interpreter.get_input_details():
        name = port["name"].removeprefix("serve_").split(":")[0]
        whole = port["dtype"] == np.int32
        fed[name] = (rng.integers(1, 9, port["shape"]) if whole else rng.standard_normal(port["shape"])).astype(
            port["dtype"]
        )
        interpreter.set_tensor(port["index"], fed[name])
    interpreter.invoke()
    found = {tuple(port["shape"]): interpreter.get_tensor(port["index"]) for port in interpreter.get_output_details()}
    for array in run(step, fed).values():
        np.testing.assert_allclose(found[array.shape], array, atol=1e-5)


def test_the_same_seed_gives_the_same_text(made):
    model = made(LSTM)
    first, again, other = (list(zoo.generate(model, [1], count=12, seed=seed)) for seed in (0, 0, 1))
    assert first == again != other


LOGITS = np.log(np.array([0.1, 0.4, 0.2, 0.3]))


@pytest.mark.parametrize(
    ("settings", "shares"),
    [
        ({}, [0.1, 0.4, 0.2, 0.3]),
        ({"temperature": 0.5}, np.array([1, 16, 4, 9]) / 30),
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_k": 9}, [0.1, 0.4, 0.2, 0.3]),
        ({"top_p": 0.3}, [0, 1, 0, 0]),
        ({"top_p": 0.65}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.8}, [0, 4 / 9, 2 / 9, 3 / 9]),
        ({"temperature": 0.0}, [0, 1, 0, 0]),
    ],
)
def test_draws_by_hand(settings, shares):
    choose = sampler(**{"temperature": 1.0, "top_k": None, "top_p": None, "seed": 0, **settings})
    found = np.bincount([choose(LOGITS) for _ in range(4000)], minlength=4) / 4000
    np.testing.assert_allclose(found, shares, atol=0.03)
    assert not found[np.array(shares) == 0].any()


@pytest.mark.parametrize(
    ("prompt", "changes", "message"),
    [
        ([], {}, "the prompt must be at least one token"),
        ([1, 30], {}, "the prompt has the token 30; the model knows 0 to 29"),
        ([0.5], {}, "whole numbers"),
        ([1], {"count": -1}, "count must be"),
        ([1], {"temperature": -1.0}, "temperature must be"),
        ([1], {"top_k": 0}, "top_k must be"),
        ([1], {"top_p": 1.5}, "top_p must be"),
    ],
)
def test_bad_input_is_refused_before_the_first_token(prompt, changes, message, made):
    with pytest.raises(zoo.ZooError, match=message):
        zoo.generate(made(LSTM), prompt, **{"count": 3, **changes})


@pytest.mark.parametrize(
    ("name", "shape", "classes", "message"),
    [
        ("gru_small", (5, 2), {"classes": 2}, "gru_small does not tell the next token"),
        ("word2vec_cbow", (4, 3), {}, "word2vec_cbow does not tell the next token"),
        ("translator_tiny", (4, 3), {}, "translator_tiny translates"),
    ],
)
def test_other_models_are_refused(name, shape, classes, message):
    with pytest.raises(zoo.ZooError, match=message):
        zoo.generate(zoo.build(name, input_shape=shape, **classes), [1], count=1)


def test_what_is_made_of_a_model_goes_with_it(made):
    model = made(GRU)
    first = zoo.stepped(model)
    assert zoo.stepped(model) is first
    kept = weakref.ref(model)
    del model
    gc.collect()
    assert kept() is None
    assert first.step.name.endswith("_step")
