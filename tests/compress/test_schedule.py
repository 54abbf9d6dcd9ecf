import keras
import numpy as np
import pytest

import compress
from compress import Constant, Polynomial

STEPS = range(140)


def table(schedule):
    """`(due, sparsity)` at each step."""
    return [(bool(schedule.due(step)), float(schedule.at(step))) for step in STEPS]


def test_cubic_by_hand():
    # Zhu & Gupta 2017, equation 1, from 0.2 to 0.8 over steps 10 to 110: s = 0.8 - 0.6 (1 - (t - 10) / 100)^3.
    schedule = Polynomial(0.2, 0.8, begin=10, end=110, every=25)
    expected = {0: 0.2, 10: 0.2, 35: 0.8 - 0.6 * 0.421875, 60: 0.725, 110: 0.8, 139: 0.8}
    for step, value in expected.items():
        np.testing.assert_allclose(schedule.at(step), value, rtol=1e-6)
    assert [step for step, (due, _) in enumerate(table(schedule)) if due] == [10, 35, 60, 85, 110]


def test_constant_by_hand():
    schedule = Constant(0.5, 7, every=50)
    assert [step for step, (due, _) in enumerate(table(schedule)) if due] == [7, 57, 107]
    assert {value for _, value in table(schedule)} == {0.5}
    assert [step for step, (due, _) in enumerate(table(Constant(0.5, 7, end=57, every=50))) if due] == [7, 57]


@pytest.mark.parametrize(
    ("ours", "name", "arguments"),
    [
        (Constant(0.3, 5, every=7), "ConstantSparsity", (0.3, 5, -1, 7)),
        (Constant(0.3, 5, end=80, every=7), "ConstantSparsity", (0.3, 5, 80, 7)),
        (Polynomial(0.1, 0.9, begin=3, end=120, every=11), "PolynomialDecay", (0.1, 0.9, 3, 120, 3, 11)),
        (Polynomial(0.0, 0.8, end=100, power=1, every=9), "PolynomialDecay", (0.0, 0.8, 0, 100, 1, 9)),
    ],
)
def test_equals_tfmot_at_every_step(ours, name, arguments, toolkit):
    theirs = getattr(toolkit.sparsity.keras, name)(*arguments)
    expected = [tuple(value.numpy() for value in theirs(np.int64(step))) for step in STEPS]
    np.testing.assert_array_equal(table(ours), np.array(expected, np.float64))


@pytest.mark.parametrize("schedule", [Constant(0.5, 3, end=9, every=2), Polynomial(0.1, 0.7, begin=1, end=5, power=2)])
def test_serialised_and_back(schedule):
    config = keras.saving.serialize_keras_object(schedule)
    assert keras.saving.deserialize_keras_object(config) == schedule
    assert schedule.aimed(0.6).target == 0.6
    assert schedule.aimed(0.6).end == schedule.end


def test_a_smaller_target_than_the_initial_sparsity_starts_there():
    assert Polynomial(0.5, 0.8, end=10).aimed(0.3) == Polynomial(0.3, 0.3, end=10)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant(1.0),
        lambda: Constant(0.5, -1),
        lambda: Constant(0.5, 9, end=8),
        lambda: Constant(0.5, every=0),
        lambda: Polynomial(0.0, 1.5, end=10),
        lambda: Polynomial(0.0, 0.5, begin=10, end=10),
        lambda: Polynomial(0.6, 0.5, end=10),
        lambda: Polynomial(0.0, 0.5, end=10, power=0),
    ],
)
def test_fields_out_of_range_are_refused(make):
    with pytest.raises(compress.CompressError):
        make()
