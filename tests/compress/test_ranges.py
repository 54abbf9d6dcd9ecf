import keras
import numpy as np
import pytest
import tensorflow as tf

import compress
from compress.ranges import FakeQuantWeights, FreezeRanges, Range, weight_range


def test_range_by_hand():
    # 255 steps of 0.01 from -0.5 to 2.05: zero is the 50th.
    rounded = Range(-0.5, 2.05)(np.array([0.0, 0.014, 0.016, -0.333, 3.0, -9.0], np.float32))
    np.testing.assert_allclose(rounded, [0.0, 0.01, 0.02, -0.33, 2.05, -0.5], atol=1e-6)


def test_zero_is_kept_where_it_falls_between_steps():
    # The step is 3/255 and zero would be step 85.0 of [-1, 2]; of [-0.99, 2.01] it is 84.15: the range is nudged.
    rounded = np.asarray(Range(-0.99, 2.01)(np.array([0.0, -0.99, 2.01], np.float32)))
    step = 3.0 / 255
    np.testing.assert_allclose(rounded, [0.0, -84 * step, 171 * step], atol=1e-6)


def test_weights_by_hand():
    kernel = np.array([[1.27, 0.127], [-0.304, 0.0304], [0.0049, -0.1]], np.float32)
    seen = FakeQuantWeights()({"kernel": kernel, "bias": np.array([0.123], np.float32)})
    np.testing.assert_allclose(seen["kernel"], [[1.27, 0.127], [-0.30, 0.030], [0.0, -0.1]], atol=1e-6)
    np.testing.assert_array_equal(seen["bias"], np.array([0.123], np.float32))
    seen = FakeQuantWeights(per_channel=False)({"kernel": kernel})
    np.testing.assert_allclose(seen["kernel"], [[1.27, 0.13], [-0.30, 0.03], [0.0, -0.1]], atol=1e-6)


def test_depthwise_weights_have_a_step_for_each_input_and_multiplier(rng):
    kernel = rng.normal(size=(3, 3, 4, 2)).astype(np.float32) * [[[[1.0, 100.0]]]]
    seen = FakeQuantWeights(channel_axes=2)({"kernel": kernel.astype(np.float32)})["kernel"]
    step = np.abs(kernel).max(axis=(0, 1)) / 127
    np.testing.assert_allclose(seen, np.rint(kernel / step) * step, rtol=1e-4, atol=1e-6)


def test_a_channel_of_zeros_takes_a_thousandth_of_the_largest():
    kernel = np.array([[2.0, 0.0]], np.float32)
    np.testing.assert_allclose(weight_range(kernel, per_channel=True), [2.0, 2.0 / 1024])
    assert float(weight_range(np.zeros((3, 2), np.float32), per_channel=False)) == 1.0
    assert not np.asarray(FakeQuantWeights()({"kernel": kernel})["kernel"])[0, 1]


def test_every_weight_gets_its_gradient_in_training_the_largest_too(rng):
    kernel = tf.Variable(rng.normal(size=(64, 32)).astype(np.float32))
    factor = rng.normal(size=(64, 32)).astype(np.float32)
    transform = FakeQuantWeights()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(transform({"kernel": tf.convert_to_tensor(kernel)}, training=True)["kernel"] * factor)
    np.testing.assert_allclose(tape.gradient(loss, kernel), factor)


def test_training_rounds_as_inference_does(rng):
    kernel = rng.normal(size=(3, 3, 8, 8)).astype(np.float32)
    transform = FakeQuantWeights()
    inference, training = (transform({"kernel": kernel}, training=t)["kernel"] for t in (False, True))
    np.testing.assert_allclose(inference, training, atol=1e-6)


def ends(layer):
    return float(layer.low), float(layer.high)


def test_range_follows_training_batches_by_hand():
    layer = Range(-1.0, 1.0, momentum=0.9)
    layer(np.array([-2.0, 5.0], np.float32), training=True)
    np.testing.assert_allclose(ends(layer), (-1.1, 1.4), rtol=1e-6)
    layer(np.array([3.0, 4.0], np.float32), training=True)  # all above zero: the low end goes towards zero
    np.testing.assert_allclose(ends(layer), (-0.99, 1.66), rtol=1e-6)


@pytest.mark.parametrize("still", ["inference", "not trainable", "only rounding", "fixed"])
def test_range_stays_where_it_should(still):
    layer = Range(-1.0, 1.0, momentum=1.0 if still == "fixed" else 0.9)
    layer.trainable = still != "not trainable"
    values = np.array([-20.0, 50.0], np.float32)
    layer(values, training=still != "inference", observe=still != "only rounding")
    assert ends(layer) == (-1.0, 1.0)


def test_range_of_an_all_zero_batch_keeps_a_width():
    layer = Range(0.0, 1.0, momentum=0.0)
    out = layer(np.zeros(4, np.float32), training=True)
    assert ends(layer)[1] > ends(layer)[0]
    np.testing.assert_array_equal(out, np.zeros(4))


def test_config_round_trip():
    for layer in (Range(-0.5, 2.0, momentum=0.5, name="r"), FakeQuantWeights(per_channel=False, channel_axes=2)):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert again.get_config() == layer.get_config()


def test_ranges_stand_still_from_an_epoch_on(rng, tmp_path):
    inputs = keras.Input((4,))
    outputs = Range(-1.0, 1.0, momentum=0.5)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(outputs))
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(8, 4)).astype(np.float32) * 10, np.zeros((8, 1), np.float32)
    highs = []
    seen = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: highs.append(float(model.layers[1].high)))
    model.fit(x, y, epochs=4, batch_size=8, verbose=0, callbacks=[FreezeRanges(2), seen])
    top = x.max()
    np.testing.assert_allclose(highs, [1 + (top - 1) / 2, 1 + 3 * (top - 1) / 4, highs[1], highs[1]], rtol=1e-5)


def test_four_bits_have_gradients_outside_training_too(rng):
    kernel = tf.Variable(rng.normal(size=(8, 4)).astype(np.float32))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(FakeQuantWeights(4)({"kernel": tf.convert_to_tensor(kernel)}, training=False)["kernel"])
    assert np.mean(np.asarray(tape.gradient(loss, kernel)) == 1) > 0.8


def their_range(shape=()):
    """The variables that a quantizer of TFMOT keeps, as it starts them."""
    return {"min_var": tf.Variable(tf.fill(shape, -6.0)), "max_var": tf.Variable(tf.fill(shape, 6.0))}


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("shape", [(24, 10), (3, 3, 6, 10)])
def test_weights_equal_tfmot(bits, per_channel, shape, rng, toolkit):
    from tensorflow_model_optimization.python.core.quantization.keras import quantizers

    kernel, factor = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    kernel *= np.geomspace(0.1, 10, shape[-1], dtype=np.float32)
    theirs = quantizers.LastValueQuantizer(bits, per_channel, symmetric=True, narrow_range=True)
    variables, weight = their_range((shape[-1],) if per_channel else ()), tf.Variable(kernel)
    ours = FakeQuantWeights(bits, per_channel)
    with tf.GradientTape(persistent=True) as tape:
        expected = theirs(weight, training=True, weights=variables)
        found = ours({"kernel": tf.convert_to_tensor(weight)}, training=True)["kernel"]
        losses = [tf.reduce_sum(each * factor) for each in (expected, found)]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert np.abs(np.asarray(found) - kernel).max() > 1e-3  # they do round
    np.testing.assert_allclose(ours({"kernel": kernel})["kernel"], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(theirs(weight, training=False, weights=variables), found, rtol=1e-6, atol=1e-6)
    # Theirs may freeze the largest weight of a range, by a rounding error; ours never does.
    inside = np.abs(kernel) < np.asarray(variables["max_var"])
    assert inside.mean() > 0.9
    theirs, ours = (np.asarray(tape.gradient(loss, weight)) for loss in losses)
    np.testing.assert_allclose(ours[inside], theirs[inside], rtol=1e-6)
    np.testing.assert_array_equal(ours, factor)


@pytest.mark.parametrize("bits", [8, 4])
def test_activations_equal_tfmot_while_the_range_moves(bits, rng, toolkit):
    from tensorflow_model_optimization.python.core.quantization.keras import quantizers

    theirs, variables = quantizers.MovingAverageQuantizer(bits, False, False, False), their_range()
    ours = Range(-6.0, 6.0, bits, momentum=0.999)
    for _ in range(20):
        x = tf.constant(rng.normal(size=(4, 5, 6), loc=1.0, scale=4.0).astype(np.float32))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            expected, found = theirs(x, training=True, weights=variables), ours(x, training=True)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
        gradient = tape.gradient(found, x)
        np.testing.assert_array_equal(gradient, tape.gradient(expected, x))
        assert 0.5 < np.mean(gradient) < 1.0  # none beyond the range
    np.testing.assert_allclose(ends(ours), [float(each) for each in variables.values()], rtol=1e-6)
    assert ends(ours) != (-6.0, 6.0)
    np.testing.assert_allclose(ours(x), theirs(x, training=False, weights=variables), rtol=1e-6, atol=1e-6)


def test_calibration_equals_tfmot_over_all_values(rng, toolkit):
    from tensorflow_model_optimization.python.core.quantization.keras import quantizers

    theirs = quantizers.AllValuesQuantizer(8, False, False, False)
    variables = {name: tf.Variable(0.0) for name in ("min_var", "max_var")}
    batches = [rng.normal(size=(4, 3), loc=1.0, scale=scale).astype(np.float32) for scale in (1.0, 5.0, 2.0)]
    for batch in batches:
        theirs(tf.constant(batch), training=True, weights=variables)
    inputs = keras.Input((3,))
    model = compress.quantize_aware(keras.Model(inputs, keras.layers.Dense(2)(inputs)), calibration=batches)
    ours = next(layer for layer in model.layers if isinstance(layer, Range))
    np.testing.assert_allclose(ends(ours), [float(each) for each in variables.values()], rtol=1e-6)
    x = rng.normal(size=(50, 3), scale=9.0).astype(np.float32)
    expected = theirs(tf.constant(x), training=False, weights=variables)
    np.testing.assert_allclose(ours(x), expected, rtol=1e-6, atol=1e-6)
