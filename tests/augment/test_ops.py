import dataclasses

import pytest

import augment


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: augment.Flip(horizontal=False), "neither horizontal nor vertical"),
        (lambda: augment.Flip(horizontal=0.5), "horizontal must be True or False, not 0.5"),
        (lambda: augment.Flip(probability=1.1), "probability must be a number from 0 to 1, not 1.1"),
        (lambda: augment.Translate(-0.1), "Translate: amount must be a number from 0 to below 1, not -0.1"),
        (lambda: augment.Translate(1), "to below 1, not 1"),
        (lambda: augment.Rotate(181), "degrees must be a number from 0 to 180, not 181"),
        (lambda: augment.Zoom(1.0), "Zoom: amount"),
        (lambda: augment.Zoom("0.1"), "must be a number"),
        (lambda: augment.Brightness(float("nan")), "not nan"),
        (lambda: augment.Contrast(True), "not True"),
        (lambda: augment.MixUp(0), "MixUp: alpha must be a number from 0.01 to 1000, not 0"),
        (lambda: augment.CutMix(float("inf")), "not inf"),
        (lambda: augment.Policy(ops=augment.Flip()), "must be a tuple of operations"),
        (lambda: augment.Policy(ops=(augment.MixUp(1),)), "not an operation; there are Flip, Translate"),
        (lambda: augment.Policy(fill="wrap"), "fill must be one of reflect, nearest, constant, not 'wrap'"),
    ],
)
def test_a_bad_range_is_refused_in_one_sentence(build, says):
    with pytest.raises(augment.AugmentError, match=says) as error:
        build()
    assert str(error.value).count("\n") == 0
    assert str(error.value).endswith(".")


def test_the_limits_themselves_are_allowed():
    augment.Policy(ops=(augment.Rotate(180), augment.Brightness(1), augment.Contrast(1), augment.Translate(0)))


def test_records_are_values():
    policy = augment.Policy(ops=(augment.Flip(), augment.Rotate(15)))
    assert policy == augment.Policy(ops=(augment.Flip(horizontal=True), augment.Rotate(15)))
    assert hash(policy) == hash(dataclasses.replace(policy))
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.fill = "nearest"
