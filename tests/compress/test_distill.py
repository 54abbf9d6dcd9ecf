import keras
import numpy as np
import pytest

import compress

layers = keras.layers


def net(width, name, activation=None):
    inputs = keras.Input((8, 8, 1))
    x = layers.Dense(width, activation="relu", name="hidden")(layers.Flatten()(inputs))
    x = layers.Dense(6, activation="relu", name="features")(x)
    return keras.Model(inputs, layers.Dense(10, activation=activation, name="head")(x), name=name)


LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_the_loss_by_the_papers_formula(digits):
    x, y = digits[0][:32], digits[1][:32]
    keras.utils.set_random_seed(0)
    teacher, student = net(12, "teacher"), net(4, "student")
    distiller = compress.distill(
        teacher, student, temperature=3.0, labels=0.25, features={"features": "features"}, feature_weight=0.5
    )
    distiller.compile("sgd", LOSS)
    loss = distiller.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)["loss"]
    a, b = (model.predict(x, verbose=0) for model in (teacher, student))
    p, q = softmax(a / 3), softmax(b / 3)
    kl = np.mean(np.sum(p * np.log(p / q), axis=-1))
    truth = -np.mean(np.log(softmax(b)[np.arange(32), y]))
    inner = [keras.Model(m.input, m.get_layer("features").output).predict(x, verbose=0) for m in (teacher, student)]
    squares = np.mean((inner[0] - inner[1]) ** 2)
    assert loss == pytest.approx(0.25 * truth + 0.75 * (9 * kl + 0.5 * squares), rel=1e-4)


def test_the_teacher_stays_as_it_was(digits):
    teacher, student = net(12, "teacher"), net(4, "student")
    distiller = compress.distill(teacher, student)
    before = teacher.get_weights()
    distiller.compile("sgd", LOSS)
    distiller.fit(digits[0][:64], digits[1][:64], verbose=0)
    assert len(compress.prune(teacher, 0.5).trainable_variables) == len(teacher.trainable_variables) == 6
    assert len(distiller.trainable_variables) == len(student.trainable_variables)
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_student_comes_to_answer_as_its_teacher_also_behind_fake_quant(digits):
    x, y = digits[:2]
    keras.utils.set_random_seed(0)
    teacher = net(32, "teacher")
    teacher.compile(keras.optimizers.Adam(1e-2), LOSS)
    teacher.fit(x, y, batch_size=64, epochs=4, verbose=0)
    student = net(16, "student")

    def alike(model):
        answers = [each.predict(digits[2], verbose=0).argmax(axis=1) for each in (teacher, model)]
        return np.mean(answers[0] == answers[1])

    def taught(model, epochs):
        distiller = compress.distill(teacher, model, labels=0.0)
        distiller.compile(keras.optimizers.Adam(1e-2), LOSS)
        distiller.fit(x, np.zeros_like(y), batch_size=64, epochs=epochs, verbose=0)  # no label is used
        return alike(model)

    assert alike(student) < 0.5
    assert taught(student, 6) > 0.8
    assert taught(compress.quantize_aware(student, calibration=[x[:256]]), 1) > 0.8


REFUSED = {
    "one model": (lambda a, b: compress.distill(a, a), "one model"),
    "shape": (lambda a, b: compress.distill(a, keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten()])), "64"),
    "softmax": (lambda a, b: compress.distill(a, net(4, "soft", "softmax")), "'soft' ends in a softmax"),
    "layer": (
        lambda a, b: compress.distill(a, b, features={"feature": "features"}),
        "'teacher' has no layer 'feature'",
    ),
    "features": (lambda a, b: compress.distill(a, b, features={"hidden": "features"}), r"12\), 'features' of the stud"),
    "softmax behind a wrapper": (
        lambda a, b: compress.distill(a, compress.prune(net(4, "soft", "softmax"), 0.5)),
        "'soft' ends in a softmax",
    ),
    "features with masks": (
        lambda a, b: compress.distill(a, compress.prune(b, 0.5), features={"features": "features"}),
        "twice a step",
    ),
    "number": (lambda a, b: compress.distill(a, b, labels=2), "labels=2 from 0 to 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mistakes_are_refused(name):
    act, message = REFUSED[name]
    with pytest.raises(compress.CompressError, match=message):
        act(net(12, "teacher"), net(4, "student"))
