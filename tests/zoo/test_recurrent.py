import dataclasses

import keras
import numpy as np
import pytest

import zoo
from zoo import graph

SMALL = zoo.FAMILIES["recurrent"].SPEC(width=4)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, kernel, recurrent, bias):
    """States `(steps, units)`; gates in the order of Keras: input, forget, candidate, output."""
    state, cell, found = np.zeros(len(recurrent)), np.zeros(len(recurrent)), []
    for step in x:
        i, f, c, o = np.split(step @ kernel + state @ recurrent + bias, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(c)
        state = sigmoid(o) * np.tanh(cell)
        found.append(state)
    return np.array(found)


def gru(x, kernel, recurrent, bias):
    """States; gates in the order of Keras: update, reset, candidate, whose reset comes behind the product."""
    state, found = np.zeros(len(recurrent)), []
    for step in x:
        z, r, h = np.split(step @ kernel + bias[0], 3)
        past_z, past_r, past_h = np.split(state @ recurrent + bias[1], 3)
        z, r = sigmoid(z + past_z), sigmoid(r + past_r)
        state = z * state + (1 - z) * np.tanh(h + r * past_h)
        found.append(state)
    return np.array(found)


CELLS = {"lstm": lstm, "gru": gru}


def answer(spec, weights, x):
    """The logits of one example `(steps, channels)`, from the weights in the order of the layers."""
    weights = [array.astype("float64") for array in weights]
    for stage in range(spec.depth):
        forward, weights = CELLS[spec.cell](x, *weights[:3]), weights[3:]
        last = forward[-1:]
        if spec.bidirectional:
            backward, weights = CELLS[spec.cell](x[::-1], *weights[:3]), weights[3:]
            # The backward layer ends at the first step; put at each step, its states are in the order of the series.
            last = np.concatenate([last, backward[-1:]], axis=1)
            forward = np.concatenate([forward, backward[::-1]], axis=1)
        x = last if stage == spec.depth - 1 else forward
    return x[0] @ weights[0] + weights[1]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("depth", "bidirectional"), [(1, False), (2, False), (2, True)])
@pytest.mark.parametrize("masked", [False, True])
def test_the_same_as_written_out_in_numpy_and_padding_is_skipped(cell, depth, bidirectional, masked, scramble, run):
    spec = dataclasses.replace(SMALL, cell=cell, depth=depth, bidirectional=bidirectional, mask=masked)
    model = zoo.build(spec, input_shape=(7, 3), classes=5)
    scramble(model)
    series = np.random.default_rng(0).standard_normal((2, 7, 3)).astype("float32")
    lengths = (4, 7) if masked else (7, 7)
    for example, length in zip(series, lengths, strict=True):
        example[length:] = 0
    found = run(model, series)
    for logits, example, length in zip(found, series, lengths, strict=True):
        np.testing.assert_allclose(logits, answer(spec, model.get_weights(), example[:length]), atol=1e-5)


def test_without_a_mask_zeros_are_steps_like_others(scramble, run):
    model = zoo.build(SMALL, input_shape=(7, 3), classes=5)
    scramble(model)
    series = np.random.default_rng(0).standard_normal((1, 7, 3)).astype("float32")
    series[:, 4:] = 0
    assert np.abs(run(model, series)[0] - answer(SMALL, model.get_weights(), series[0, :4])).max() > 1e-2


def test_tokens_are_looked_up_and_token_0_is_padding(scramble, run):
    spec = dataclasses.replace(SMALL, vocabulary=6, embedding=3)
    model = zoo.build(spec, input_shape=(5,), classes=2)
    scramble(model)
    table, *weights = model.get_weights()
    assert table.shape == (6, 3)
    text = np.array([[2, 5, 1, 0, 0], [1, 2, 3, 4, 5]], "int32")
    found = run(model, text)
    np.testing.assert_allclose(found[0], answer(spec, weights, table[[2, 5, 1]]), atol=1e-5)
    np.testing.assert_allclose(found[1], answer(spec, weights, table[1:]), atol=1e-5)


# Chung et al. 2014, table 1: 169.1 thousand parameters of 195 LSTM units, 168.9 of 227 GRU units, speech of 20 samples.
# Theirs has peepholes, three numbers a unit; and one bias of the GRU's gates where cuDNN's has two.
@pytest.mark.parametrize(("name", "published", "more"), [("lstm", 169.1e3, 3 * 195), ("gru", 168.9e3, -3 * 227)])
def test_parameters_of_the_cells_as_published(name, published, more):
    model = zoo.build(name, input_shape=(500, 20), classes=10)
    assert model.get_layer("stage1").count_params() + more == pytest.approx(published, abs=50)
    units = zoo.spec(name).width
    assert model.count_params() == model.get_layer("stage1").count_params() + 10 * (units + 1)


@pytest.mark.parametrize(("cell", "gates", "biases"), [("lstm", 4, 4), ("gru", 3, 6)])
@pytest.mark.parametrize("ways", [1, 2])
def test_multiply_accumulates_and_bytes_counted_by_hand(cell, gates, biases, ways):
    spec = dataclasses.replace(SMALL, cell=cell, depth=2, bidirectional=ways == 2)
    model = zoo.build(spec, input_shape=(7, 3), classes=5)
    kernels = ways * gates * 4 * (3 + 4 + 4 * ways + 4)
    assert zoo.macs(model) == 7 * kernels + 5 * 4 * ways
    weights, numbers = kernels + 5 * 4 * ways, 2 * ways * biases * 4 + 5
    assert graph.weight_bytes(model) == (4 * (weights + numbers), weights + 4 * numbers)
    assert zoo.card(spec, input_shape=(7, 3), classes=5).layers == zoo.Layers(recurrent=2, dense=1)
    # The first layer's input, 7 x 3 numbers, and output; then its output and the last state.
    assert graph.peak_activations(model) == 4 * (7 * 4 * ways + max(7 * 3, 4 * ways))


def test_the_card_of_a_text_counts_its_embedding_and_leaves_masks_out():
    spec = dataclasses.replace(SMALL, vocabulary=50, embedding=3)
    card = zoo.card(spec, input_shape=(7,), classes=5)
    plain = zoo.card(SMALL, input_shape=(7, 3), classes=5)
    assert (card.macs, card.layers.other) == (plain.macs, 1)
    assert (card.float32_bytes, card.int8_bytes) == (plain.float32_bytes + 4 * 150, plain.int8_bytes + 150)
    assert card.peak_activations == 4 * (7 + 21)


def test_the_weights_start_as_in_keras():
    keras.utils.set_random_seed(0)
    model = zoo.build(dataclasses.replace(SMALL, width=8), input_shape=(7, 3), classes=5)
    _, recurrent, bias = (array for array in model.get_layer("stage1").get_weights())
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(8), atol=1e-5)
    np.testing.assert_array_equal(bias, np.repeat([0, 1, 0, 0], 8))


def test_each_dropout_lies_where_it_says():
    changes = {"input_dropout": 0.1, "layer_dropout": 0.2, "recurrent_dropout": 0.3, "dropout": 0.4}
    model = zoo.build(dataclasses.replace(SMALL, depth=3, **changes), input_shape=(7, 3), classes=5)
    assert [layer.name for layer in model.layers[1:]] == [
        "input_dropout", "stage1", "stage1_dropout", "stage2", "stage2_dropout", "stage3", "dropout", "head",
    ]  # fmt: skip
    rates = {layer.name: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    assert list(rates.values()) == [0.1, 0.2, 0.2, 0.4]
    assert model.get_layer("stage2").recurrent_dropout == 0.3
    assert [tensor.shape[1:] for tensor in zoo.endpoints(model).values()] == [(7, 4), (7, 4), (4,), (5,)]


@pytest.mark.parametrize(
    ("field", "value"),
    [("cell", "rnn"), ("width", 0.5), ("depth", 0), ("bidirectional", 1), ("recurrent_dropout", 1.0),
     ("layer_dropout", -0.1), ("input_dropout", "a"), ("vocabulary", -1), ("embedding", 0), ("mask", None)],
)  # fmt: skip
def test_an_impossible_spec_is_refused_and_names_the_field(field, value):
    with pytest.raises(zoo.ZooError, match=field):
        dataclasses.replace(SMALL, **{field: value})


def test_impossible_inputs_are_refused():
    with pytest.raises(zoo.ZooError, match=r"input_shape .steps, channels. must be 2"):
        zoo.build("lstm", input_shape=(10,), classes=2)
    with pytest.raises(zoo.ZooError, match=r"input_shape .steps. must be 1"):
        zoo.build(dataclasses.replace(SMALL, vocabulary=10), input_shape=(10, 3), classes=2)
