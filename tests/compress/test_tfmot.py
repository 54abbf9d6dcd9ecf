import keras
import numpy as np
import pytest

import compress
import zoo
from compress import tfmot
from compress.ranges import Range


@pytest.fixture(autouse=True)
def same_weights():
    keras.utils.set_random_seed(0)


def small():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(8, 3, use_bias=False)(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
    return keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(x)), name="small")


NETS = {
    "small": small,
    "resnet8": lambda: zoo.build("resnet8", input_shape=(8, 8, 1), classes=10),
    "mobilenet_v1_025": lambda: zoo.build("mobilenet_v1_025", input_shape=(32, 32, 1), classes=10),
}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in NETS if name != "small"]


@pytest.fixture(scope="module", params=["small", *SLOW])
def trained(request, digits):
    """A model trained on digits, and digits of its size."""
    keras.utils.set_random_seed(0)
    model = NETS[request.param]()
    times = model.input_shape[1] // 8
    data = [np.repeat(np.repeat(part, times, 1), times, 2) if part.ndim == 4 else part for part in digits]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    model.fit(*data[:2], batch_size=64, epochs=3 if times == 1 else 8, verbose=0)
    return model, data


def fit(twin, digits, callbacks=()):
    import tf_keras

    x, y, _, _ = digits
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    twin.compile(tf_keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    return twin.fit(x, y, batch_size=64, epochs=1, verbose=0, callbacks=list(callbacks)).history["accuracy"][-1]


def assert_alike(found, expected):
    """To 1e-5 of the largest answer."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def kernels(model):
    """Those that TFMOT takes: it leaves depthwise convolutions alone."""
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    return {layer.name: layer.get_weights()[0] for layer in model.layers if isinstance(layer, kinds)}


def test_there_and_back_nothing_changes(trained):
    model, digits = trained
    x = digits[2][:64]
    back = tfmot.to_keras(tfmot.to_tf_keras(model), like=model)
    assert_alike(back.predict(x, verbose=0), model.predict(x, verbose=0))
    assert_alike(tfmot.to_tf_keras(model).predict(x, verbose=0), model.predict(x, verbose=0))
    for ours, theirs in zip(model.get_weights(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_pruned_by_tfmot_it_is_as_sparse_in_keras(trained, toolkit):
    model, digits = trained
    schedule = compress.Polynomial(0.2, 0.75, end=15, every=5)
    twin = compress.prune(model, schedule=schedule, engine="tfmot")
    fit(twin, digits, [toolkit.sparsity.keras.UpdatePruningStep()])
    plain = tfmot.to_keras(twin, like=model)
    for name, kernel in kernels(plain).items():
        assert np.mean(kernel == 0) == pytest.approx(0.75, abs=0.5 / kernel.size + 1e-6), name
    x = digits[2]
    assert_alike(plain.predict(x, verbose=0), twin.predict(x, verbose=0))
    assert any(np.any(a != b) for a, b in zip(kernels(model).values(), kernels(plain).values(), strict=True))


def test_patterns_are_those_of_compress(rng):
    inputs = keras.Input((8,))
    model = keras.Model(inputs, keras.layers.Dense(8, name="dense")(inputs))
    for pattern in ("2:4", "1:4", "4x1", "1x2"):
        ours = np.array(compress.prune(model, 0.5, pattern=pattern).get_layer("dense").seen()["kernel"])
        twin = compress.prune(model, schedule=compress.Constant(0.5, every=1), pattern=pattern, engine="tfmot")
        wrapper = twin.layers[-1]
        wrapper.pruning_step.assign(1)
        wrapper.pruning_obj.conditional_mask_update()
        wrapper.pruning_obj.weight_mask_op()
        theirs = tfmot.to_keras(twin, like=model).get_layer("dense").get_weights()[0]
        assert 0.4 < np.mean(theirs == 0) < 0.8
        np.testing.assert_array_equal(theirs, ours, err_msg=pattern)


def test_clustered_by_tfmot_it_has_as_many_values_in_keras(trained):
    model, digits = trained
    twin = compress.cluster(model, 8, init="linear", engine="tfmot")
    fit(twin, digits)
    plain = tfmot.to_keras(twin, like=model)
    counts = {name: len(np.unique(kernel)) for name, kernel in kernels(plain).items()}
    assert counts
    assert max(counts.values()) <= 8
    assert min(counts.values()) > 4
    x = digits[2]
    assert_alike(plain.predict(x, verbose=0), twin.predict(x, verbose=0))


def test_zeros_outlive_clustering(rng):
    inputs = keras.Input((8,))
    model = keras.Model(inputs, keras.layers.Dense(8, name="dense")(inputs))
    sparse = compress.strip(compress.prune(model, 0.5))
    twin = tfmot.cluster(sparse, 4)
    kernel = tfmot.to_keras(twin, like=sparse).get_layer("dense").get_weights()[0]
    np.testing.assert_array_equal(kernel == 0, sparse.get_layer("dense").get_weights()[0] == 0)


def test_trained_by_tfmot_it_ships_as_int8(trained, tmp_path):
    model, digits = trained
    twin = compress.quantize_aware(model, engine="tfmot")
    assert fit(twin, digits) > 0.8
    artifact = compress.export(twin, tmp_path / "m.tflite")
    assert (artifact.input.dtype, artifact.output.dtype, artifact.float_tensors) == ("int8", "int8", ())
    seen = compress.verify(artifact, twin, [digits[2:]])
    # TFMOT trains one range for a depthwise kernel before the normalisation, and the file has them folded.
    assert seen.agreement >= (0.95 if "DEPTHWISE_CONV_2D" in seen.ops else 0.99)
    assert seen.drop <= 0.02
    with pytest.raises(compress.CompressError, match="quantization-aware"):
        tfmot.to_keras(twin, like=model)


def test_on_the_same_ranges_a_whole_model_rounds_as_ours(rng):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(6, 3, strides=2, activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(5)(keras.layers.Flatten()(x)))
    x = rng.normal(size=(64, 8, 8, 3)).astype(np.float32)
    ours = compress.quantize_aware(model, calibration=[x])
    ranges = [each for layer in ours.layers if isinstance(layer, Range) for each in (layer.low, layer.high)]
    theirs = compress.quantize_aware(model, engine="tfmot")
    theirs(x[:1], training=True)  # it takes the ranges of the weights in training only
    ends = [each for each in theirs.weights if each.name.endswith(("_min:0", "_max:0")) and "kernel" not in each.name]
    assert len(ends) == 6
    for theirs_end, our_end in zip(ends, ranges, strict=True):
        theirs_end.assign(np.asarray(our_end))
    expected = theirs.predict(x, verbose=0)
    assert np.abs(expected - model.predict(x, verbose=0)).max() > 1e-3
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, rtol=1e-6, atol=1e-6)


def dense():
    inputs = keras.Input((8,))
    return keras.Model(inputs, keras.layers.Dense(8)(inputs), name="dense_net")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: compress.quantize_aware(m), "calibration="),
        (lambda m: compress.quantize_aware(m, engine="torch"), "engine='torch'"),
        (lambda m: compress.quantize_aware(m, bits=4, engine="tfmot"), "nothing for bits="),
        (lambda m: compress.prune(m, {"*": 0.5}, layers=["*"], engine="tfmot"), "nothing for sparsity=, layers="),
        (lambda m: compress.cluster(m, depthwise=True, engine="tfmot"), "nothing for depthwise="),
        (lambda m: tfmot.cluster(m, 4, init="random"), "init='random'"),
        (lambda m: tfmot.prune(m, compress.Constant(0.5), pooling="min"), "pooling='min'"),
        (lambda m: tfmot.to_keras(tfmot.to_tf_keras(m), like=dense()), "not made from model 'dense_net'"),
    ],
)
def test_what_does_not_go_is_said(call, message):
    with pytest.raises(compress.CompressError, match=message):
        call(dense())


def test_a_layer_that_tfmot_does_not_know_is_named():
    inputs = keras.Input((8, 4))
    model = keras.Model(inputs, keras.layers.Conv1D(2, 3, name="odd")(inputs), name="series")
    with pytest.raises(compress.CompressError, match="TFMOT cannot take model 'series': Layer odd"):
        tfmot.quantize_aware(model)


def test_a_pruned_twin_is_not_exported_as_it_is(tmp_path):
    with pytest.raises(compress.CompressError, match="to_keras"):
        compress.export(tfmot.to_tf_keras(dense()), tmp_path / "m.tflite", quantize="none")
    with pytest.raises(compress.CompressError, match="to_keras"):
        compress.export(tfmot.prune(dense(), compress.Constant(0.5)), tmp_path / "m.tflite")
