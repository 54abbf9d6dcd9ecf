import dataclasses

import keras
import numpy as np
import pytest

import zoo


def test_parameters_are_those_of_char_rnn_but_for_how_it_reads_and_its_second_biases():
    # char-rnn: 65 characters one-hot into two layers of 128; each gate has a bias for the input and one for the state.
    gates = 4 * 128
    theirs = (65 + 1 + 128 + 1) * gates + (128 + 1 + 128 + 1) * gates + (128 + 1) * 65
    embedding = zoo.spec("char_lstm").embedding
    ours = theirs - 2 * gates - 65 * gates + (65 + gates) * embedding
    assert zoo.build("char_lstm", input_shape=(50,)).count_params() == ours == 242_945


def test_the_parts_of_tensorflows_tutorial():
    model = zoo.build("char_gru", input_shape=(100,))
    assert [layer.count_params() for layer in model.layers[1:]] == [16_640, 3_938_304, 66_625]


def test_token_0_is_a_token_like_any_other(scramble, run):
    model = zoo.build(dataclasses.replace(zoo.spec("char_lstm"), width=8), input_shape=(6,))
    scramble(model)
    text = np.array([[1, 2, 3, 4, 5, 6], [1, 0, 3, 4, 5, 6]], "int32")
    logits = run(model, text)
    np.testing.assert_allclose(logits[0, 0], logits[1, 0], atol=1e-6)
    assert (np.abs(logits[0, 1:] - logits[1, 1:]).max(axis=-1) > 1e-3).all(), "it is read, and what follows too"


def test_dropouts_and_endpoints():
    changes = {"input_dropout": 0.1, "layer_dropout": 0.2, "recurrent_dropout": 0.3, "dropout": 0.4, "depth": 3}
    model = zoo.build(dataclasses.replace(zoo.spec("char_lstm"), width=8, **changes), input_shape=(6,))
    rates = [(layer.name, layer.rate) for layer in model.layers if hasattr(layer, "rate")]
    assert rates == [("input_dropout", 0.1), ("stage1_dropout", 0.2), ("stage2_dropout", 0.2), ("dropout", 0.4)]
    assert model.get_layer("stage3").recurrent_dropout == 0.3
    shapes = {name: tensor.shape[1:] for name, tensor in zoo.endpoints(model).items()}
    assert shapes == {"stem": (6, 64), "stage1": (6, 8), "stage2": (6, 8), "stage3": (6, 8), "head": (6, 65)}


def test_it_learns_what_follows_what():

    keras.utils.set_random_seed(0)
    spec = dataclasses.replace(zoo.spec("char_lstm"), vocabulary=5, width=16, depth=1)
    model = zoo.build(spec, input_shape=(10,))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.03), loss)
    text = (np.arange(11) + np.arange(40)[:, None]) % 5
    model.fit(text[:, :-1], text[:, 1:], epochs=20, batch_size=40, verbose=0)
    guess = np.argmax(model.predict(text[:, :-1], verbose=0), axis=-1)
    np.testing.assert_array_equal(guess, text[:, 1:])


@pytest.mark.parametrize(
    ("field", "value"), [("vocabulary", 0), ("embedding", 0), ("cell", "rnn"), ("width", 1.5), ("depth", 0)]
)
def test_an_impossible_spec_is_refused_and_names_the_field(field, value):
    with pytest.raises(zoo.ZooError, match=field):
        dataclasses.replace(zoo.spec("char_lstm"), **{field: value})


def test_classes_are_refused():
    with pytest.raises(zoo.ZooError, match="no classes"):
        zoo.build("char_lstm", input_shape=(10,), classes=2)
