import zipfile

import keras
import numpy as np

import compress
from compress.wrapper import Compressed

layers = keras.layers


@keras.saving.register_keras_serializable(package="edgezoo_tests")
class Times(layers.Layer):
    """A transform that multiplies the kernel."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.built = True

    def call(self, weights):
        return {**weights, "kernel": weights["kernel"] * self.factor}

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="edgezoo_tests")
class Square(layers.Layer):
    """A transform that squares the kernel."""

    built = True

    def call(self, weights):
        return {**weights, "kernel": weights["kernel"] ** 2}


def test_transforms_run_in_order(rng):
    x = rng.normal(size=(2, 3)).astype(np.float32)
    layer = layers.Dense(4)
    wrapper = Compressed(layer, [Times(3.0), Square()])
    out = wrapper(x)
    kernel = np.array(layer.kernel)
    np.testing.assert_allclose(out, x @ (3.0 * kernel) ** 2, rtol=1e-5)
    np.testing.assert_array_equal(layer.kernel, kernel)


def test_any_layer_with_a_kernel_can_be_wrapped(rng):
    x = rng.normal(size=(2, 6, 6, 4)).astype(np.float32)
    for layer in (layers.Conv2D(3, 3), layers.DepthwiseConv2D(3), layers.Conv2DTranspose(3, 2), layers.Dense(5)):
        wrapper = Compressed(layer, [Times(2.0)])
        out = wrapper(x)
        np.testing.assert_allclose(out, 2.0 * np.array(layer(x)), rtol=1e-4, atol=1e-5)


def test_saves_and_loads_with_zero_difference(tmp_path, rng):
    x = rng.normal(size=(2, 3)).astype(np.float32)
    model = keras.Sequential(
        [keras.Input((3,)), Compressed(layers.Dense(4, activation="relu"), [Times(3.0)], name="d")]
    )
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), expected)
    assert [v.name for v in again.trainable_variables] == [v.name for v in model.trainable_variables]


def test_an_outer_scope_reaches_untouched_weights(rng):
    # The JAX trainer hands variables in through a StatelessScope; the wrapper's own must not hide it.
    x = rng.normal(size=(2, 3)).astype(np.float32)
    layer = layers.Dense(4)
    wrapper = Compressed(layer, [Times(1.0)])
    before = np.array(wrapper(x))
    with keras.StatelessScope(state_mapping=[(layer.bias, np.full(4, 10.0, np.float32))]):
        inside = wrapper(x)
    np.testing.assert_allclose(inside, before + 10.0, rtol=1e-5)


def test_every_trainable_weight_learns(rng):
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 3, use_bias=False)(inputs)
    x = layers.Flatten()(layers.ReLU()(layers.BatchNormalization()(x)))
    model = keras.Model(inputs, layers.Dense(2)(x))
    batch = rng.normal(size=(16, 6, 6, 2)).astype(np.float32)
    model = compress.quantize_aware(model, calibration=[batch])
    before = [np.array(v) for v in model.trainable_variables]
    model.compile("adam", "mse")
    model.fit(batch, rng.normal(size=(16, 2)), verbose=0)
    assert len(before) == 5  # kernel, gamma, beta; kernel, bias
    for old, new in zip(before, model.trainable_variables, strict=True):
        assert np.any(old != np.array(new)), new.path


def test_all_that_is_asked_of_weights_and_activities_counts_in_training(rng):
    r = keras.regularizers.L2(0.1)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((10, 10, 2))
    y = layers.Conv2D(4, 3, kernel_regularizer=r, bias_regularizer=r, bias_initializer="ones", activity_regularizer=r)(
        inputs
    )
    y = layers.BatchNormalization(gamma_regularizer=r, beta_regularizer=r, beta_initializer="ones")(y)
    y = layers.Conv2D(4, 3, kernel_regularizer=r)(y)
    y = layers.BatchNormalization(gamma_regularizer=r, beta_regularizer=r, beta_initializer="ones")(y)
    y = layers.SeparableConv2D(4, 3, depthwise_regularizer=r, pointwise_regularizer=r, bias_regularizer=r)(y)
    y = layers.DepthwiseConv2D(3, activation="relu", depthwise_regularizer=r, activity_regularizer=r)(y)
    y = layers.Conv1D(3, 2, kernel_regularizer=r, activation="relu", activity_regularizer=r)(layers.Reshape((-1, 4))(y))
    y = layers.LayerNormalization(gamma_regularizer=r, beta_regularizer=r)(y)
    y = layers.EinsumDense("abc,cd->abd", (None, 3), kernel_regularizer=r, activity_regularizer=r)(y)
    y = layers.LSTM(3, kernel_regularizer=r, recurrent_regularizer=r)(
        layers.MultiHeadAttention(2, 2, kernel_regularizer=r)(y, y)
    )
    y = layers.ActivityRegularization(l2=0.3)(layers.Dense(2, kernel_regularizer=r, activity_regularizer=r)(y))
    model = keras.Model(inputs, y)
    x = rng.normal(size=(16, 10, 10, 2)).astype(np.float32)
    model(x)
    expected = [float(loss) for loss in model.losses]
    assert len(expected) == 28
    copies = {
        "quantized": compress.quantize_aware(model, calibration=[x]),
        "pruned": compress.prune(model, 0.01),
        "clustered": compress.cluster(model, 256),
        "fewer channels": compress.prune_channels(model, 1.0),
    }
    for name, copy in copies.items():
        copy(x)
        np.testing.assert_allclose(sum(map(float, copy.losses)), sum(expected), rtol=0.02, err_msg=name)
        assert len(copy.losses) == len(expected), name


def test_constraints_hold_for_the_weights_of_copies_along_the_same_axes(rng):
    def along(*axis):
        return keras.constraints.UnitNorm(axis)

    inputs = keras.Input((10, 10, 2))
    y = layers.Conv2D(4, 3, kernel_constraint=along(0, 1, 2), bias_constraint="non_neg")(inputs)
    y = layers.BatchNormalization(gamma_constraint="non_neg", beta_constraint="non_neg")(y)
    y = layers.SeparableConv2D(
        4, 3, depthwise_constraint=along(0, 1), pointwise_constraint=along(2), bias_constraint="non_neg"
    )(y)
    y = layers.DepthwiseConv2D(3, activation="relu", depthwise_constraint=along(0, 1), bias_constraint="non_neg")(y)
    y = layers.Reshape((-1, 4))(y)
    y = layers.Conv1D(6, 2, kernel_constraint=along(0, 1), bias_constraint="non_neg", activation="relu")(y)
    y = layers.DepthwiseConv1D(2, depthwise_constraint=along(0), bias_constraint="non_neg")(y)
    y = layers.SeparableConv1D(
        4, 3, depthwise_constraint=along(0), pointwise_constraint=along(1), bias_constraint="non_neg"
    )(y)
    y = layers.LayerNormalization(gamma_constraint="non_neg", beta_constraint="non_neg")(y)
    y = layers.EinsumDense(
        "abc,cde->abde", (None, 3, 2), bias_axes="de", kernel_constraint=along(2), bias_constraint="non_neg"
    )(y)
    y = layers.Dense(2, kernel_constraint=along(0), bias_constraint="non_neg")(layers.GlobalAveragePooling2D()(y))
    model = keras.Model(inputs, y)
    x = rng.normal(size=(16, 10, 10, 2)).astype(np.float32)
    expected = [rng.normal(size=variable.shape) for variable in model.trainable_variables]
    for values, variable in zip(expected, model.trainable_variables, strict=True):
        variable.assign(values)
    copies = {
        "quantized": compress.quantize_aware(model, calibration=[x]),
        "pruned": compress.prune(model, 0.01),
        "fewer channels": compress.prune_channels(model, 1.0),
    }
    for name, copy in copies.items():
        pairs = zip(model.trainable_variables, copy.trainable_variables, strict=True)
        for variable, other in pairs:
            before = np.array(variable.constraint(variable.value))
            after = np.array(other.constraint(other.value))
            np.testing.assert_allclose(
                after.ravel(), before.ravel(), rtol=1e-5, atol=1e-6, err_msg=f"{name}: {variable.path}"
            )
    reopened = keras.models.clone_model(copies["quantized"])
    found = [variable.constraint for variable in reopened.trainable_variables]
    assert None not in found and len(found) == len(expected)


def test_what_strip_gives_is_plain_and_can_be_cut_and_trained(rng, tmp_path):
    """The constraint of a series' kernel is a class of ours in the copy, and knows a shape that no longer holds."""
    inputs = keras.Input((12, 4))
    y = layers.Conv1D(32, 3, kernel_constraint=keras.constraints.MaxNorm(1.0, axis=(0, 1)))(inputs)
    y = layers.GlobalAveragePooling1D()(layers.Conv1D(8, 3, activation="relu")(y))
    x = rng.normal(size=(8, 12, 4)).astype(np.float32)
    plain = compress.strip(compress.quantize_aware(keras.Model(inputs, layers.Dense(2)(y)), calibration=[x]))
    plain.save(tmp_path / "plain.keras")
    assert b"edgezoo" not in zipfile.ZipFile(tmp_path / "plain.keras").read("config.json")
    less = compress.prune_channels(plain, 0.5)
    less.compile("adam", "mse")
    less.fit(x, np.zeros((8, 2)), verbose=0)


def test_what_is_asked_of_an_activity_is_trained(rng):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dense(4, activity_regularizer=keras.regularizers.L2(1.0))(inputs))
    x, zeros = rng.normal(size=(8, 3)).astype(np.float32), np.zeros((8, 4), np.float32)
    copy = compress.prune(model, 0.01)
    for each in (model, copy):
        each.compile("sgd", lambda truth, answer: 0.0 * keras.ops.mean(answer))
    expected = model.evaluate(x, zeros, verbose=0)
    assert expected > 0.1
    np.testing.assert_allclose(copy.evaluate(x, zeros, verbose=0), expected, rtol=1e-5)
