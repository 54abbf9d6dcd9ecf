"""A number format for each layer, by its name."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import compress
from compress import flatbuffer

layers = keras.layers


def kernels(path):
    """Of each convolution and Dense, in order, the types of what it reads and of its kernel as it lies in the file."""
    names = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    model = flatbuffer.unpack(path.read_bytes(), origin="the file")
    graph = model.subgraphs[0]
    restored = {
        each.outputs[0]: each.inputs[0] for each in graph.operators if flatbuffer.name_of(model, each) == "DEQUANTIZE"
    }
    found = []
    for operator in graph.operators:
        if flatbuffer.name_of(model, operator) in ("CONV_2D", "FULLY_CONNECTED"):
            source, kernel = operator.inputs[:2]
            found.append((names[graph.tensors[source].type], names[graph.tensors[restored.get(kernel, kernel)].type]))
    return found


FLOAT, INT8, INT16, INT4 = ("FLOAT32", "FLOAT32"), ("INT8", "INT8"), ("INT16", "INT8"), ("FLOAT32", "INT4")
HALF = ("FLOAT32", "FLOAT16")


@pytest.fixture(scope="module")
def net():
    """Layers whose names TensorFlow's numbers could mix up: it calls the first `conv_1` in the graph."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(inputs)
    x = layers.Conv2D(5, 3, padding="same", name="conv_1")(x)
    inner = [keras.Input((8, 8, 5)), layers.Conv2D(6, 3, name="conv"), layers.BatchNormalization(name="norm")]
    x = keras.Sequential([*inner, layers.ReLU(name="relu")], name="backbone")(x)
    x = layers.Conv2D(7, 3, name="conv_1_1")(x)
    x = layers.Dense(3, name="head")(layers.Flatten()(x))
    return keras.Model(inputs, layers.ReLU(name="positive")(x))


FORMS = [
    ({"conv_1": "int8"}, [FLOAT, INT8, FLOAT, FLOAT, FLOAT]),
    ({"head": "none", "*": "int8"}, [INT8, INT8, INT8, INT8, FLOAT]),
    ({"conv": "int16x8", "conv_*": "weights4", "head": "float16"}, [INT16, INT4, INT16, INT4, HALF]),
]
MORE = [
    ({"conv_1_1": "int8"}, [FLOAT, FLOAT, FLOAT, INT8, FLOAT]),
    ({"conv": "int8"}, [INT8, FLOAT, INT8, FLOAT, FLOAT]),
    ({"backbone/*": "int8"}, [FLOAT, FLOAT, INT8, FLOAT, FLOAT]),
    ({"head": "weights4"}, [FLOAT, FLOAT, FLOAT, FLOAT, INT4]),
    ({"conv_1": "int16x8", "*": "int8"}, [INT8, INT16, INT8, INT8, INT8]),
    ({"relu": "int8"}, [FLOAT] * 5),  # the convolution before computes it, and decides
]


@pytest.mark.parametrize(
    ("quantize", "expected"), [*FORMS, *(pytest.param(*each, marks=pytest.mark.slow) for each in MORE)]
)
def test_each_layer_has_its_form(net, quantize, expected, rng, tmp_path):
    x = rng.normal(size=(32, 8, 8, 4)).astype(np.float32)
    artifact = compress.export(net, tmp_path / "m.tflite", quantize=quantize, calibration=[x])
    assert kernels(artifact.path) == expected
    wanted = net.predict(x, verbose=0)
    difference = np.abs(compress.LiteModel(artifact.path).predict(x) - wanted)
    assert difference.max() < (0.3 if "weights4" in quantize.values() else 0.08) * np.ptp(wanted)
    assert artifact.quantize == ", ".join(f"{pattern}: {form}" for pattern, form in quantize.items())


@pytest.mark.slow
def test_all_in_one_form_is_as_that_form(net, rng, tmp_path):
    x = rng.normal(size=(32, 8, 8, 4)).astype(np.float32)
    answers = [
        compress.LiteModel(compress.export(net, tmp_path / "m.tflite", quantize=quantize, calibration=[x]).path)
        for quantize in ("int8", {"*": "int8"})
    ]
    assert answers[0].input == answers[1].input and answers[1].output.dtype == "int8"
    np.testing.assert_array_equal(*(lite.predict(x) for lite in answers))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantize": {"conv_2": "float16"}}, "'conv_2' matches no layer; did you mean 'conv"),
        ({"quantize": {"xyz": "float16"}}, "'xyz' matches no layer; there are backbone/conv, "),
        ({"quantize": {"head": "int3"}}, "'int3' is none of 'int8', 'int16x8'"),
        ({"quantize": {}}, "names no layer"),
        ({"quantize": {"head": "int8"}}, "int8 after training needs calibration="),
        ({"quantize": {"*": "float16"}, "target": "gpu"}, "one model a file and target='cpu'"),
    ],
)
def test_mistakes_are_refused(net, options, message, tmp_path):
    with pytest.raises(compress.CompressError, match=message):
        compress.export(net, tmp_path / "m.tflite", **options)
    assert not list(tmp_path.iterdir())
