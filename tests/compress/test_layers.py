"""Each kind of layer, from a Keras layer to an integer operator."""

import keras
import numpy as np
import pytest
from keras.src.applications.convnext import LayerScale, StochasticDepth

import compress

layers = keras.layers
IMAGE, SERIES, VECTOR = (8, 8, 6), (16, 6), (12,)


def conv(x, filters=4, kernel=3, **options):
    return layers.Conv2D(filters, kernel, padding="same", **options)(x)


def norm_relu(x):
    return layers.ReLU()(layers.BatchNormalization()(x))


def squeeze_excite(x):
    y = layers.Dense(3, activation="relu")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Multiply()([x, layers.Dense(6, activation="sigmoid")(y)])


def dense_block(x):
    x = conv(x)
    return conv(layers.Concatenate()([x, norm_relu(conv(x, 3))]))


def conv1d(x):
    return layers.Conv1D(6, 3, padding="same", use_bias=False)(x)


def einsum_heads(x):
    return layers.EinsumDense("abc,cde->abde", output_shape=(16, 3, 4), bias_axes="de", activation="relu")(x)


def einsum_back(x):
    return layers.EinsumDense("abcd,cde->abe", output_shape=(16, 5), bias_axes="e")(x)


@keras.saving.register_keras_serializable(package="test_layers")
def gelu_tanh(x):
    """A function of one's own, in an Activation."""
    return keras.activations.gelu(x, approximate=True)


FULL_INT8 = {
    "conv and separate relu": (IMAGE, lambda x: layers.ReLU()(conv(x))),
    "strided, dilated, grouped": (IMAGE, lambda x: conv(conv(conv(x, strides=2), dilation_rate=2), groups=2)),
    "depthwise, two a channel": (IMAGE, lambda x: norm_relu(layers.DepthwiseConv2D(3, depth_multiplier=2)(x))),
    "separable": (IMAGE, lambda x: norm_relu(layers.SeparableConv2D(8, 3)(x))),
    "transposed": (IMAGE, lambda x: layers.Conv2DTranspose(4, 3, strides=2, activation="relu")(conv(x))),
    "conv1d": (SERIES, lambda x: layers.Conv1D(8, 3, padding="causal", activation="relu")(norm_relu(conv1d(x)))),
    "dense with norm": (VECTOR, lambda x: layers.Dense(4)(norm_relu(layers.Dense(9, use_bias=False)(x)))),
    "norm after relu": (VECTOR, lambda x: layers.Dense(4)(layers.BatchNormalization()(layers.Dense(9, "relu")(x)))),
    "dense over a series": (SERIES, lambda x: layers.Dense(4, activation="relu")(x)),
    "norm first": (IMAGE, lambda x: conv(norm_relu(x))),
    "softmax": (VECTOR, lambda x: layers.Dense(4, activation="softmax")(x)),
    "squeeze and excite": (IMAGE, squeeze_excite),
    "swish": (IMAGE, lambda x: conv(conv(x, activation="swish"), activation="hard_swish")),
    "leaky": (IMAGE, lambda x: layers.LeakyReLU()(conv(x))),
    "pooling": (IMAGE, lambda x: layers.AveragePooling2D(2)(layers.MaxPooling2D(2, padding="same")(conv(x)))),
    "global pooling": (IMAGE, lambda x: layers.Dense(3)(layers.GlobalMaxPooling2D()(conv(x)))),
    "padding": (IMAGE, lambda x: conv(layers.ZeroPadding2D(((0, 1), (1, 0)))(conv(x)))),
    "channel padding": (IMAGE, lambda x: keras.ops.pad(conv(x)[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (2, 2)))),
    "concatenation": (IMAGE, dense_block),
    "three terms": (IMAGE, lambda x: layers.Add()([conv(x, 6), conv(x, 6), x])),
    "upsampling": (IMAGE, lambda x: conv(layers.UpSampling2D(2, interpolation="bilinear")(conv(x)))),
    "hard sigmoid": (IMAGE, lambda x: layers.Multiply()([x, conv(x, 6, activation="hard_sigmoid")])),
    "average": (IMAGE, lambda x: layers.Average()([conv(x, 6), conv(x, 6), x])),
    "layer normalisation": (SERIES, lambda x: layers.Dense(4)(layers.LayerNormalization()(x))),
    "attention": (SERIES, lambda x: layers.Dense(3)(layers.MultiHeadAttention(2, 4)(x, x))),
    "causal attention": (SERIES, lambda x: layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)),
    "masked attention": (SERIES, lambda x: layers.MultiHeadAttention(2, 4)(*[layers.Masking()(x)] * 2)),
    "einsum": (SERIES, lambda x: einsum_back(einsum_heads(x))),
    "max pooling read twice": (IMAGE, lambda x: dense_block(layers.MaxPooling2D(3, 1, padding="same")(conv(x)))),
    "function of one's own": (VECTOR, lambda x: layers.Dense(4)(layers.Dense(9, activation=gelu_tanh)(x))),
    "layer scale": (
        VECTOR,
        lambda x: layers.Add()([x, StochasticDepth(0.5)(LayerScale(0.5, 12)(layers.Dense(12)(x)))]),
    ),
    "product of two": (SERIES, lambda x: layers.Dot(axes=(2, 1))([x, layers.Dense(6)(layers.Flatten()(x))])),
    "rescaling": (IMAGE, lambda x: conv(layers.Rescaling(0.5, offset=1.0)(x))),
    "adaptive pooling": (
        IMAGE,
        lambda x: conv(layers.AdaptiveAveragePooling2D(3)(layers.AdaptiveMaxPooling2D(5)(conv(x)))),
    ),
    "split": (IMAGE, lambda x: keras.ops.add(*keras.ops.split(conv(x), 2, axis=-1))),
    "resizing": (IMAGE, lambda x: conv(layers.Resizing(5, 5)(conv(x)))),
    "extremes": (IMAGE, lambda x: layers.Maximum()([layers.Minimum()([conv(x, 6), x]), conv(x, 6)])),
}
NOT_WIDE = ("extremes", "resizing")
"""ai-edge-quantizer has no MINIMUM of 16 bits, and LiteRT's RESIZE_BILINEAR weights of 10."""
FLOAT = {
    "grouped query attention": (SERIES, lambda x: layers.GroupQueryAttention(2, 4, 2, name="own")(x, x)),
    "attention without heads": (SERIES, lambda x: layers.AdditiveAttention(name="own")([x, layers.Dense(6)(x)])),
    "rms normalisation": (SERIES, lambda x: layers.RMSNormalization(name="own")(layers.Dense(6)(x))),
    "group normalisation": (IMAGE, lambda x: layers.GroupNormalization(2, name="own")(conv(x))),
    "selu": (IMAGE, lambda x: layers.Activation("selu", name="own")(conv(x))),
}


def build(case, rng):
    """An untrained model whose biases and norms matter, and inputs for it."""
    shape, make = case
    keras.utils.set_random_seed(1)
    inputs = keras.Input(shape)
    model = keras.Model(inputs, make(inputs))
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
        elif getattr(layer, "use_bias", False):
            *kernels, bias = layer.get_weights()
            layer.set_weights([*kernels, rng.normal(size=bias.shape) * 0.3])
    return model, rng.normal(size=(48, *shape)).astype(np.float32)


@pytest.mark.parametrize("name", FULL_INT8)
def test_trained_ranges_become_full_int8(name, rng, tmp_path):
    model, x = build(FULL_INT8[name], rng)
    small = compress.quantize_aware(model, calibration=[x])
    artifact = compress.export(small, tmp_path / "m.tflite")
    assert artifact.float_tensors == ()
    assert artifact.input.dtype == artifact.output.dtype == "int8"
    assert "DEQUANTIZE" not in artifact.ops
    assert compress.report(model).float_layers == compress.report(small).float_layers == ()
    steps = np.abs(compress.LiteModel(artifact.path).predict(x) - small.predict(x, verbose=0)) / artifact.output.scale
    most = 0.5 if name == "adaptive pooling" else 0.3  # it rounds twice, height and width
    assert steps.max() <= 3.01 and steps.mean() < most, (steps.max(), steps.mean())


@pytest.mark.parametrize("name", FLOAT)
def test_what_has_no_integer_form_stays_float_by_its_name(name, rng, tmp_path):
    """Between Dense layers in integers."""
    shape, make = FLOAT[name]
    model, x = build((shape, lambda x: layers.Dense(3)(make(layers.Dense(6)(x)))), rng)
    small = compress.quantize_aware(model, calibration=[x])
    artifact = compress.export(small, tmp_path / "m.tflite")
    assert artifact.float_tensors != () and artifact.input.dtype == artifact.output.dtype == "int8"
    assert [layer for layer, _ in compress.report(small).float_layers] == ["own"]
    steps = np.abs(compress.LiteModel(artifact.path).predict(x) - small.predict(x, verbose=0)) / artifact.output.scale
    assert steps.max() <= 5.01 and steps.mean() < 0.5, (steps.max(), steps.mean())


def test_a_lambda_goes_through_every_transform(rng, tmp_path):
    """Its function is the very one: Keras would write it down, and refuse to read it."""
    factor = 3.0
    inputs = keras.Input(VECTOR)
    x = layers.Lambda(lambda y, more: factor * y + more, arguments={"more": 0.5})(layers.Dense(6)(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.Dense(24, activation=lambda y: y + factor)(x)))
    x = rng.normal(size=(8, *VECTOR)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    nested = keras.Model(inputs, model(inputs))
    for copy in (
        compress.prune(model, 0.01),
        compress.cluster(model, 256),
        compress.strip(compress.prune(model, 0.01)),
        compress.distill(model, compress.prune(model, 0.01)).teacher,
        compress.distill(nested, compress.prune(nested, 0.01)).teacher,
    ):
        np.testing.assert_allclose(copy.predict(x, verbose=0), expected, rtol=0.05, atol=0.05)
    small = compress.quantize_aware(model, calibration=[x])
    np.testing.assert_allclose(small.predict(x, verbose=0), expected, rtol=0.1, atol=0.1)
    artifact = compress.export(small, tmp_path / "m.tflite")
    np.testing.assert_allclose(compress.LiteModel(artifact.path).predict(x), expected, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("name", FLOAT)
def test_inside_such_a_layer_no_range_is_made_up_for_16_bits(name, rng, tmp_path):
    """Only what it gives has a range; that of its parts is another."""
    shape, make = FLOAT[name]
    model, x = build((shape, lambda x: layers.Dense(3)(make(layers.Dense(6)(x)))), rng)
    small = compress.quantize_aware(model, calibration=[x], activations=16)
    artifact = compress.export(small, tmp_path / "m.tflite", quantize="int16x8")
    wanted = small.predict(x, verbose=0)
    assert artifact.float_tensors != ()
    apart = np.abs(compress.LiteModel(artifact.path).predict(x) - wanted) / np.ptp(wanted)
    assert apart.mean() < 1e-4 and apart.max() < 5e-3, (apart.mean(), apart.max())


def scaled(x):
    """Not registered with Keras."""
    return keras.ops.relu(3.0 * x)


def test_functions_that_keras_does_not_know(rng):
    inputs = keras.Input(SERIES)
    model = keras.Model(inputs, layers.Dense(2)(layers.Dense(24, activation=scaled)(inputs)))
    x = rng.normal(size=(8, *SERIES)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    pruned = compress.prune(model, 0.01)
    for copy in (pruned, compress.strip(pruned), compress.quantize_aware(pruned, calibration=[x])):
        np.testing.assert_allclose(copy.predict(x, verbose=0), expected, rtol=0.1, atol=0.1)
    deep = layers.TimeDistributed(layers.Dense(3, activation=lambda y: 2.0 * y), name="deep")(inputs)
    with pytest.raises(compress.CompressError, match="layer 'deep' cannot be copied"):
        compress.quantize_aware(keras.Model(inputs, deep), calibration=[x])


@pytest.mark.parametrize("swish", ["silu", keras.ops.silu])
def test_the_sigmoid_inside_silu_is_rounded_as_the_runtime_does(swish, rng, tmp_path):
    """Were it not, each of six in a row would add its error: together half a step and more."""
    keras.utils.set_random_seed(1)
    inputs = x = keras.Input(IMAGE)
    for _ in range(6):
        x = conv(x, 12)
        x = layers.Activation(swish)(x) if isinstance(swish, str) else swish(x)
    model = keras.Model(inputs, x)
    images = rng.normal(size=(48, *IMAGE)).astype(np.float32)
    small = compress.quantize_aware(model, calibration=[images])
    artifact = compress.export(small, tmp_path / "m.tflite")
    assert artifact.ops == {"CONV_2D": 6, "LOGISTIC": 6, "MUL": 6}
    apart = np.abs(compress.LiteModel(artifact.path).predict(images) - small.predict(images, verbose=0))
    assert apart.mean() < 0.1 * artifact.output.scale


@pytest.mark.parametrize("name", FULL_INT8)
@pytest.mark.slow
def test_post_training_is_full_int8_too(name, rng, tmp_path):
    model, x = build(FULL_INT8[name], rng)
    artifact = compress.export(model, tmp_path / "m.tflite", calibration=[x])
    assert artifact.float_tensors == ()
    assert artifact.input.dtype == artifact.output.dtype == "int8"
    steps = np.abs(compress.LiteModel(artifact.path).predict(x) - model.predict(x, verbose=0)) / artifact.output.scale
    assert steps.mean() < 1.5, steps.mean()


@pytest.mark.parametrize("name", [name for name in FULL_INT8 if name not in NOT_WIDE])
@pytest.mark.slow
def test_trained_ranges_of_16_bits_become_integers_too(name, rng, tmp_path):
    model, x = build(FULL_INT8[name], rng)
    small = compress.quantize_aware(model, calibration=[x], activations=16)
    artifact = compress.export(small, tmp_path / "m.tflite", quantize="int16x8")
    # ai-edge-quantizer 0.10 has no 16 bits for LEAKY_RELU, HARD_SWISH and REDUCE_MAX.
    assert len(artifact.float_tensors) == (2 if name in ("leaky", "swish", "global pooling") else 0)
    assert artifact.input.dtype == artifact.output.dtype == "int16"
    wanted = small.predict(x, verbose=0)
    difference = np.abs(compress.LiteModel(artifact.path).predict(x) - wanted).max() / np.ptp(wanted)
    # A layer normalisation squares: its variance has few steps where it is small.
    assert difference < (5e-3 if name == "layer normalisation" else 1e-3), difference


@pytest.mark.parametrize("tied", [True, False])
def test_embeddings_in_reverse_are_full_int8(tied, rng, tmp_path):
    keras.utils.set_random_seed(1)
    table = layers.ReversibleEmbedding(20, 8, tie_weights=tied, embeddings_initializer="normal", name="table")
    tokens = keras.Input((6,), dtype="int32")
    model = keras.Model(tokens, table(layers.Dense(8, activation="relu", name="middle")(table(tokens)), reverse=True))
    x = rng.integers(0, 20, (48, 6)).astype(np.int32)
    small = compress.quantize_aware(model, calibration=[x])
    assert compress.report(small) == compress.Report(("table", "middle"), ())
    rows = np.array(small.get_layer("table").seen()["embeddings"])
    steps = rows / np.abs(rows).max() * 127
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-2)
    artifact = compress.export(small, tmp_path / "m.tflite")
    assert artifact.float_tensors == () and artifact.output.dtype == "int8"
    apart = np.abs(compress.LiteModel(artifact.path).predict(x) - small.predict(x, verbose=0)) / artifact.output.scale
    assert apart.max() <= 3.01 and apart.mean() < 0.3, (apart.max(), apart.mean())
    np.testing.assert_allclose(compress.strip(small).predict(x, verbose=0), model.predict(x, verbose=0), atol=5e-3)
    small.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), small.predict(x, verbose=0))


def test_a_table_that_is_looked_up_twice_is_full_int8(rng, tmp_path):
    keras.utils.set_random_seed(1)
    table = layers.Embedding(20, 8, embeddings_initializer="normal")
    source, target = (keras.Input((6,), dtype="int32", name=name) for name in ("source", "target"))
    model = keras.Model([source, target], layers.Dense(4)(layers.Multiply()([table(source), table(target)])))
    x = {name: rng.integers(0, 20, (48, 6)).astype(np.int32) for name in ("source", "target")}
    small = compress.quantize_aware(model, calibration=[x])
    artifact = compress.export(small, tmp_path / "m.tflite")
    assert artifact.float_tensors == () and artifact.output.dtype == "int8"
    (answers,) = compress.LiteModel(artifact.path).run(x).values()
    apart = np.abs(answers - small.predict(x, verbose=0)) / artifact.output.scale
    assert apart.max() <= 3.01 and apart.mean() < 0.3, (apart.max(), apart.mean())


def test_all_but_zero_is_no_wide_range(rng, tmp_path):
    """XNNPACK would end the process: 256 steps of the inputs and more to one of the outputs."""
    keras.utils.set_random_seed(1)
    tiny = keras.initializers.Constant(1e-8)
    inputs = keras.Input(IMAGE)
    x = conv(conv(inputs, kernel_initializer=tiny), bias_initializer=keras.initializers.Constant(1e-5))
    model = keras.Model(inputs, x)
    small = compress.quantize_aware(model, calibration=[rng.uniform(size=(8, *IMAGE)).astype(np.float32)])
    artifact = compress.export(small, tmp_path / "m.tflite")
    assert artifact.float_tensors == ()
