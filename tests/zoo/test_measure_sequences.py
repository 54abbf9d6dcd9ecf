import dataclasses

import numpy as np
import pytest

import zoo
from zoo import measure

NAMES = {"gru_small": ((9, 2), 3), "char_lstm": ((9,), None), "word2vec_cbow": ((4, 3), None)}


@pytest.mark.parametrize("name", NAMES)
def test_series_tokens_and_several_inputs_are_measured(name):
    shape, classes = NAMES[name]
    spec = dataclasses.replace(zoo.spec(name), width=4)
    model = zoo.build(spec, input_shape=shape, classes=classes)
    before = model.get_weights()
    found = measure.here(model, batch=2)
    assert found.train_ms > 0
    assert found.inference_ms > 0
    assert not all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)), "it trained"
