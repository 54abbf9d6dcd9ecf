import dataclasses

import keras
import numpy as np
import pytest

import compress
import zoo

SHAPE = (49, 10, 1)


def test_stages_have_half_the_frames_and_coefficients():
    model = zoo.build("mlperf_ds_cnn", input_shape=SHAPE, classes=12)
    shapes = [tensor.shape[1:] for tensor in zoo.endpoints(model).values()]
    assert shapes == [(25, 5, 64)] * 5 + [(12,)]


def test_the_dropout_of_the_reference_lies_after_the_stem_and_before_the_average():
    model = zoo.build("mlperf_ds_cnn", input_shape=SHAPE, classes=12)
    drops = {layer.name: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    assert drops == {"stem": 0.2, "stage4": 0.4}
    assert model.get_layer("pool").input is model.get_layer("stage4").output

    spec = dataclasses.replace(zoo.spec("mlperf_ds_cnn"), dropout=0.0, stem_dropout=0.0)
    model = zoo.build(spec, input_shape=SHAPE, classes=12)
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in model.layers)


def test_a_changed_spec_builds_and_without_biases_computes_the_same(scramble, run):
    spec = dataclasses.replace(zoo.spec("mlperf_ds_cnn"), width=16, depth=2, kernel=[4, 3], dropout=0.0)
    model = zoo.build(spec, input_shape=(20, 8, 2), classes=3)
    plain = zoo.build(dataclasses.replace(spec, bias=False), input_shape=(20, 8, 2), classes=3)
    assert list(zoo.endpoints(plain)) == ["stem", "stage1", "stage2", "head"]
    scramble(plain)
    for layer in plain.layers:
        weights = layer.get_weights()
        extra = len(model.get_layer(layer.name).weights) - len(weights)
        model.get_layer(layer.name).set_weights([*weights, np.zeros(16)][: len(weights) + extra])
    examples = np.random.default_rng(0).standard_normal((2, 20, 8, 2)).astype("float32")
    np.testing.assert_allclose(run(model, examples), run(plain, examples), atol=1e-6)


def test_training_lowers_the_loss():
    keras.utils.set_random_seed(0)
    model = zoo.build("mlperf_ds_cnn", input_shape=SHAPE, classes=3)
    labels = np.arange(24) % 3
    examples = np.random.default_rng(0).standard_normal((24, *SHAPE)).astype("float32") + labels.reshape(-1, 1, 1, 1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, run_eagerly=True)
    losses = [float(model.train_on_batch(examples, labels)) for _ in range(8)]
    assert losses[-1] < 0.7 * losses[0]


def test_a_quantization_aware_one_exports_to_full_int8(tmp_path, scramble, run):
    spec = dataclasses.replace(zoo.spec("mlperf_ds_cnn"), width=16)
    model = zoo.build(spec, input_shape=SHAPE, classes=12)
    scramble(model)
    examples = [np.random.default_rng(0).standard_normal((32, *SHAPE)).astype("float32")]
    aware = compress.quantize_aware(model, calibration=examples)
    artifact = compress.export(aware, tmp_path / "model.tflite")
    assert artifact.float_tensors == ()
    answers = compress.LiteModel(artifact.path).predict(examples[0])
    assert np.corrcoef(answers.ravel(), run(model, examples[0]).ravel())[0, 1] > 0.97


@pytest.mark.parametrize(
    ("field", "value"),
    [("width", 1.5), ("depth", 0), ("kernel", (3,)), ("bias", None), ("stem_dropout", 1.0), ("dropout", -0.1)],
)
def test_an_impossible_spec_is_refused_and_names_the_field(field, value):
    with pytest.raises(zoo.ZooError, match=field):
        dataclasses.replace(zoo.spec("mlperf_ds_cnn"), **{field: value})


def test_impossible_inputs_are_refused():
    with pytest.raises(zoo.ZooError, match=r"input_shape .frames, coefficients, channels. must be 3"):
        zoo.build("mlperf_ds_cnn", input_shape=(49, 10), classes=12)
    with pytest.raises(zoo.ZooError, match="1 frames of 10 coefficients is too small"):
        zoo.build("mlperf_ds_cnn", input_shape=(1, 10, 1), classes=12)
