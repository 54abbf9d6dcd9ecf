import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

import zoo

CONVOLUTIONS = 265_986 - 1_024 - 258  # what is trained of an FCN without its head, see test_series_convolution
SMALL = dataclasses.replace(zoo.spec("lstm_fcn"), width=0.05, units=4)


@pytest.mark.parametrize(("name", "cells"), [("lstm_fcn", 8), ("lstm_fcn_64", 64), ("lstm_fcn_128", 128)])
def test_parameters_by_hand(name, cells):
    model = zoo.build(name, input_shape=(150, 1), classes=2)
    trained = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    lstm = 4 * (cells * (150 + cells) + cells)
    assert trained == CONVOLUTIONS + lstm + 2 * (128 + cells + 1)


def test_the_same_numbers_as_the_papers_network_from_weights_in_its_order(scramble, run):
    # Karim et al. 2018, figure 1: the LSTM reads channels as steps.
    series = keras.Input((20, 3))
    x = layers.Dropout(0.8)(layers.LSTM(8)(layers.Permute((2, 1))(series)))
    y = series
    for filters, kernel in ((128, 8), (256, 5), (128, 3)):
        y = layers.ReLU()(layers.BatchNormalization()(layers.Conv1D(filters, kernel, padding="same")(y)))
    joined = layers.Concatenate()([x, layers.GlobalAveragePooling1D()(y)])
    theirs = keras.Model(series, layers.Dense(4)(joined))
    scramble(theirs)
    ours = zoo.build("lstm_fcn", input_shape=(20, 3), classes=4)
    assert [v.shape for v in ours.variables] == [v.shape for v in theirs.variables]
    ours.set_weights(theirs.get_weights())
    examples = np.random.default_rng(1).standard_normal((2, 20, 3)).astype("float32")
    expected = run(theirs, examples)
    np.testing.assert_allclose(run(ours, examples), expected, atol=1e-5 * np.abs(expected).max())


def test_without_the_shuffle_the_lstm_reads_step_by_step():
    model = zoo.build(dataclasses.replace(SMALL, shuffle=False), input_shape=(20, 3), classes=2)
    assert model.get_layer("lstm").input.shape == (None, 20, 3)
    assert model.get_layer("lstm").get_weights()[0].shape == (3, 16)
    assert zoo.build(SMALL, input_shape=(20, 3), classes=2).get_layer("lstm").input.shape == (None, 3, 20)


@pytest.mark.parametrize("changes", [{"mask": True}, {"vocabulary": 9}])
def test_without_the_shuffle_padding_changes_nothing(changes, scramble, run):
    spec = dataclasses.replace(SMALL, shuffle=False, cell="gru", **changes)
    short, long = (zoo.build(spec, input_shape=(n, 3)[: len(spec.axes)], classes=2) for n in (6, 11))
    scramble(short)
    long.set_weights(short.get_weights())
    fed = np.random.default_rng(0).integers(1, 9, (3, *short.input_shape[1:])).astype(short.input.dtype)
    padded = np.concatenate([fed, np.zeros((3, 5, *fed.shape[2:]), fed.dtype)], axis=1)
    np.testing.assert_allclose(run(long, padded), run(short, fed), atol=1e-5)


def test_with_the_shuffle_the_lstm_reads_zeros_for_padding(scramble, run):
    spec = dataclasses.replace(SMALL, vocabulary=9, embedding=2)
    model = zoo.build(spec, input_shape=(5,), classes=2)
    scramble(model)
    probe = keras.Model(model.input, model.get_layer("shuffle").output)
    table = model.get_layer("embedding").get_weights()[0]
    found = run(probe, np.array([[3, 8, 0, 0, 0]], "int32"))[0]
    np.testing.assert_allclose(found.T, [table[3], table[8], [0, 0], [0, 0], [0, 0]])


def test_dropouts():
    spec = dataclasses.replace(SMALL, dropout=0.1, recurrent_dropout=0.2)
    model = zoo.build(spec, input_shape=(9, 2), classes=2)
    rates = {layer.name: layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)}
    assert rates == {"lstm_dropout": 0.8, "dropout": 0.1}
    assert model.get_layer("lstm").recurrent_dropout == 0.2


@pytest.mark.parametrize(
    ("field", "value"),
    [("cell", "rnn"), ("units", 0), ("shuffle", 1), ("lstm_dropout", 1.0), ("kernels", (3,)), ("filters", (0, 1, 2)),
     ("epsilon", 0), ("bias", 2), ("recurrent_dropout", 2)],
)  # fmt: skip
def test_an_impossible_spec_is_refused_and_names_the_field(field, value):
    with pytest.raises(zoo.ZooError, match=field):
        dataclasses.replace(SMALL, **{field: value})
