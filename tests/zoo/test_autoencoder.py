import dataclasses

import keras
import numpy as np
import pytest

import zoo

NAME = "mlperf_autoencoder"


def test_the_layers_of_the_reference():
    model = zoo.build(NAME, input_shape=(640,))
    features = {name: tensor.shape[1] for name, tensor in zoo.endpoints(model).items()}
    assert list(features.values()) == [128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    assert list(features) == [*(f"stage{n}" for n in range(1, 10)), "head"]
    assert model.output_shape == model.input_shape == (None, 640)
    assert zoo.list_models(task="anomaly") == [NAME]
    assert zoo.card(NAME).classes is None


def test_it_learns_to_give_back_what_is_usual_and_nothing_else(run):
    keras.utils.set_random_seed(0)
    spec = dataclasses.replace(zoo.spec(NAME), width=32, depth=1, bottleneck=4)
    model = zoo.build(spec, input_shape=(20,))
    rng = np.random.default_rng(0)
    usual = (rng.standard_normal((400, 2)) @ rng.standard_normal((2, 20))).astype("float32")
    unusual = (rng.standard_normal((100, 2)) @ rng.standard_normal((2, 20))).astype("float32")
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    model.fit(usual[:300], usual[:300], batch_size=50, epochs=40, verbose=0)
    errors = [np.mean((run(model, examples) - examples) ** 2, axis=1) for examples in (usual[300:], unusual)]
    assert np.median(errors[0]) < 0.2 * np.median(errors[1])


def test_save_load_and_clone(tmp_path, run):
    model = zoo.build(NAME, input_shape=(24,))
    examples = np.random.default_rng(0).standard_normal((3, 24)).astype("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(loaded, examples), run(model, examples))
    assert list(zoo.endpoints(loaded)) == list(zoo.endpoints(model))


def test_the_answer_stays_float32_in_mixed_precision_and_dropout_lies_before_it():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = zoo.build(dataclasses.replace(zoo.spec(NAME), dropout=0.3), input_shape=(24,))
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    assert model.get_layer("stage1").output.dtype == "float16"
    assert model.get_layer("dropout").rate == 0.3


@pytest.mark.parametrize(("field", "value"), [("width", 0.5), ("depth", 0), ("bottleneck", None), ("dropout", 1.0)])
def test_an_impossible_spec_is_refused_and_names_the_field(field, value):
    with pytest.raises(zoo.ZooError, match=field):
        dataclasses.replace(zoo.spec(NAME), **{field: value})


def test_impossible_requests_are_refused():
    with pytest.raises(zoo.ZooError, match="no classes"):
        zoo.build(NAME, input_shape=(640,), classes=2)
    with pytest.raises(zoo.ZooError, match=r"input_shape .features. must be 1"):
        zoo.build(NAME, input_shape=(64, 64, 3))
    with pytest.raises(zoo.ZooError, match="an input of 8 is not squeezed"):
        zoo.build(NAME, input_shape=(8,))
