"""The contract: what every model of the zoo must do, by name. A new variant needs a line in `PUBLISHED`."""

import dataclasses
import re

import keras
import numpy as np
import pytest

import compress
import zoo
from zoo.contract import CLASSLESS, SERIES
from zoo.models import resolve

NAMES = zoo.list_models()

KERAS = "keras.applications, count_params with moving statistics"
TORCH = "torchvision"
TIMM = "timm's table of results, in millions"
MLPERF = "github.com/mlcommons/tiny, count_params with moving statistics"
RESNET = "by hand from section 4.2 of the paper, see test_resnet"
UNET = "by hand, see test_unet"
DL4TSC = "github.com/hfawaz/dl-4-tsc, count_params with moving statistics"
RECURRENT = "by hand from the paper's own number, see test_recurrent"
HUGGING_FACE = "Hugging Face transformers, num_parameters; BERT with its classifier of two classes"
TENSORFLOW = "TensorFlow's tutorial, Text generation with an RNN"

# Parameters at the paper's input and classes, and who says so. With moving statistics where the source counts them,
# else those that are trained; a fraction is in millions, rounded as the source rounds.
PUBLISHED = {
    "alexnet": (60_965_224, "by hand from figure 2, see test_alexnet"),
    "alexnet_one_tower": (61_100_840, TORCH),
    "bert_base": (109_483_778, HUGGING_FACE),
    "bert_medium": (41_374_210, HUGGING_FACE),
    "bert_mini": (11_171_074, HUGGING_FACE),
    "bert_small": (28_764_674, HUGGING_FACE),
    "bert_tiny": (4_386_178, HUGGING_FACE),
    "char_gru": (4_021_569, TENSORFLOW),
    "char_lstm": (242_945, "by hand from char-rnn's layers, see test_recurrent_lm"),
    "char_transformer": (809_856, "by hand from nanoGPT's numbers: 65 and 64 vectors, 4 blocks, all with biases"),
    "efficientnet_lite0": (4_652_008, "keras-hub, efficientnet_lite0_ra_imagenet"),
    "efficientnet_lite1": (5.42, TIMM),
    "efficientnet_lite2": (6.09, TIMM),
    "efficientnet_lite3": (8.20, TIMM),
    "efficientnet_lite4": (13.0, TIMM),
    "fcn": (265_986, DL4TSC),
    "gpt2": (124_439_808, HUGGING_FACE),
    "gpt2_large": (774_030_080, HUGGING_FACE),
    "gpt2_medium": (354_823_168, HUGGING_FACE),
    "gpt2_xl": (1_557_611_200, HUGGING_FACE),
    "gru": (171_849, RECURRENT),
    "gru_bidirectional": (343_688, RECURRENT),
    "gru_small": (9_854, RECURRENT),
    "inception_resnet_v2": (55_873_736, KERAS),
    "inception_time": (422_498, DL4TSC),
    "inception_v1": (6_998_552, "by hand from table 1, see test_inception"),
    "inception_v3": (23_851_784, KERAS),
    "lstm": (170_440, RECURRENT),
    "lstm_bidirectional": (0.8, "Graves et al. 2013, table 1"),
    "lstm_fcn": (270_066, "by hand, see test_lstm_fcn"),
    "lstm_fcn_128": (408_066, "by hand, see test_lstm_fcn"),
    "lstm_fcn_64": (320_130, "by hand, see test_lstm_fcn"),
    "lstm_small": (8_578, RECURRENT),
    "lstm_stacked": (3.8, "Graves et al. 2013, table 1"),
    "lstm_stacked_bidirectional": (3.8, "Graves et al. 2013, table 1"),
    "minilm_l6": (22_713_216 - 384 * 385 + 2 * 385, HUGGING_FACE + "; without its pooler"),
    "mlperf_autoencoder": (269_992, MLPERF),
    "mlperf_ds_cnn": (24_908, MLPERF),
    "mlperf_mobilenet_v1": (221_794, MLPERF),
    "mlperf_resnet8": (78_666, MLPERF),
    "mobilenet_v1": (4_253_864, KERAS),
    "mobilenet_v1_025": (475_544, KERAS),
    "mobilenet_v1_050": (1_342_536, KERAS),
    "mobilenet_v1_075": (2_601_976, KERAS),
    "mobilenet_v2": (3_504_872, TORCH),
    "mobilenet_v2_035": (1_691_208, KERAS),
    "mobilenet_v2_050": (1_987_224, KERAS),
    "mobilenet_v2_075": (2_663_064, KERAS),
    "mobilenet_v2_130": (5_431_048, KERAS),
    "mobilenet_v2_140": (6_156_712, KERAS),
    "mobilenet_v3_large": (5_483_032, TORCH),
    "mobilenet_v3_large_075": (4_012_616, KERAS),
    "mobilenet_v3_large_minimal": (3_948_688, KERAS),
    "mobilenet_v3_small": (2_542_856, TORCH),
    "mobilenet_v3_small_075": (2_051_552, KERAS),
    "mobilenet_v3_small_minimal": (2_056_848, KERAS),
    "resnet8": (75_290, RESNET),
    "resnet_1d": (506_818, DL4TSC),
    "resnet20": (269_722, RESNET),
    "resnet20v2": (269_722, RESNET),
    "resnet32": (464_154, RESNET),
    "resnet56": (853_018, RESNET),
    "resnet18": (11_689_512, TORCH),
    "resnet34": (21_797_672, TORCH),
    "resnet50": (25_636_712, KERAS),
    "resnet101": (44_707_176, KERAS),
    "resnet152": (60_419_944, KERAS),
    "resnet50v2": (25_613_800, KERAS),
    "resnet101v2": (44_675_560, KERAS),
    "resnet152v2": (60_380_648, KERAS),
    "transformer": (37_000 * 512 + 18_914_304 + 1_026, "by hand: the tokens, 6 blocks of table 3, two classes"),
    "transformer_small": (
        1_664 + 4 * 198_272 + 256 + 1_161,
        "by hand, as transformer, with a stem and a norm at the end",
    ),
    "transformer_tiny": (832 + 2 * 33_472 + 128 + 585, "by hand, as transformer, with a stem and a norm at the end"),
    "translator": (37_000 * 512 + 18_914_304 + 25_224_192, "by hand: the tokens once, 6 blocks each; table 3 has 65 M"),
    "translator_tiny": (
        8_000 * 128 + 264_960 + 397_568 + 512,
        "by hand, as translator, with the two norms before the end",
    ),
    "unet": (31_030_658, UNET),
    "unet_mobilenet_v2": (5_558_994, UNET),
    "unet_resnet18": (14_222_866, UNET),
    "unet_small": (1_942_306, UNET),
    "unet_tiny": (121_042, UNET),
    "vgg11": (132_863_336, TORCH),
    "vgg13": (133_047_848, TORCH),
    "vgg16": (138_357_544, KERAS),
    "vgg19": (143_667_240, KERAS),
    "word2vec_cbow": (18_000_000, "two vectors of 300 for each of 30,000 words"),
    "word2vec_skipgram": (18_000_000, "two vectors of 300 for each of 30,000 words"),
}

# Two sizes of input for each family, or name, that cannot take the usual ones; the first is what it is trained and
# exported at.
SIZES = {
    "alexnet": ((67, 67, 3), (70, 99, 1)),
    "autoencoder": ((24,), (640,)),
    "ds_cnn": ((20, 8, 1), (49, 10, 2)),
    "inception_resnet_v2": ((75, 75, 3), (80, 99, 1)),
    "inception_v3": ((75, 75, 3), (80, 99, 1)),
    "translator": ((8, 6), (5, 9)),
    "translator_tiny": ((8, 6), (5, 9)),
    "unet": ((32, 32, 3), (64, 96, 1)),
    "word2vec_cbow": ((4, 6), (8, 3)),
    "word2vec_skipgram": ((1, 6), (1, 3)),
}
USUAL = {3: ((32, 32, 3), (40, 72, 1)), 2: ((24, 3), (40, 1)), 1: ((12,), (20,))}

# What is made smaller where a model is trained: a narrow network says as much here.
SMALL = {
    "alexnet": {"fc": (16, 16)},
    "bert": {"vocabulary": 110, "width": 16, "depth": 2, "heads": 2, "hidden": 16},
    "gpt2": {"vocabulary": 20, "width": 16, "depth": 2, "heads": 2, "hidden": 16},
    "recurrent_lm": {"width": 16},
    "transformer": {"width": 16, "depth": 2, "heads": 2, "hidden": 16},
    "translator": {"vocabulary": 20, "width": 16, "depth": 2, "heads": 2, "hidden": 16},
    "vgg": {"fc": (16, 16)},
    "word2vec": {"vocabulary": 20, "width": 8},
}

# Weights that depend on the number of steps: padding changes the model itself.
STEPS_MATTER = {"lstm_fcn"}


def named(wanted, *, slow):
    """The names that match one expression, marked `slow` where they match the other: the deep, and middle widths."""
    names = [name for name in NAMES if re.search(wanted, name)]
    return [pytest.param(name, marks=pytest.mark.slow) if re.search(slow, name) else name for name in names]


TRAINED = named(
    ".",
    slow=r"resnet(32|34|56|50v2|1\d\d)|inception_(v3|r)|lite[1-4]|vgg1[39]|net_v[12]_(050|075|130|140)|v3_large",
)
EXPORTED = named(
    r"mlperf_|resnet(8|20)$|mobilenet_v[12]_0[23]5|v3_small(_075)?$|efficientnet_lite0|unet_tiny|^fcn|resnet_1d|_time",
    slow=r"efficientnet|v3_small_075",
)


def family(name):
    return zoo.FAMILIES[resolve(name)[0]]


def sizes(name):
    return SIZES.get(name) or SIZES.get(resolve(name)[0]) or USUAL[len(zoo.spec(name).axes)]


def classes(name, count):
    return {} if family(name).TASK in CLASSLESS else {"classes": count}


def inputs(task, shape):
    """The shapes of a model's inputs."""
    return [(size,) for size in shape] if task in ("embed", "translate") else [shape]


def tokens(shape, vocabulary, count, seed=0):
    return np.random.default_rng(seed).integers(1, vocabulary, (count, *shape)).astype("int32")


def examples(shape, count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, *shape)).astype("float32")


def batch(model, spec, task, count=6):
    """Random inputs of a model, and what it should answer."""
    fed = [
        tokens(port.shape[1:], spec.vocabulary, count, seed)
        if port.dtype == "int32"
        else examples(port.shape[1:], count)
        for seed, port in enumerate(model.inputs)
    ]
    targets = {
        "classify": lambda: np.arange(count) % 3,
        "segment": lambda: (fed[0][..., 0] > 0).astype("int64"),
        "anomaly": lambda: fed[0],
        "generate": lambda: np.roll(fed[0], -1, axis=1),
        "translate": lambda: np.roll(fed[1], -1, axis=1),
        "embed": lambda: np.eye(*fed[-1].shape, dtype="float32"),
    }[task]()
    return fed if len(fed) > 1 else fed[0], targets


def count(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


@pytest.fixture
def outline():
    """Builds without drawing the weights: those of VGG alone are half a gigabyte."""

    def outline(name, shape, classes):
        with keras.StatelessScope(initialize_variables=False):
            return zoo.build(name, input_shape=shape, **classes)

    yield outline
    keras.utils.clear_session()  # Else the next scope would draw them.


@pytest.mark.parametrize("name", NAMES)
def test_parameters_as_published(name, outline):
    assert name in PUBLISHED, "a new variant needs its published number of parameters"
    number, source = PUBLISHED[name]
    origin = family(name).origin(zoo.spec(name))
    model = outline(name, origin.input_shape, classes(name, origin.classes))
    found = count(model.weights if source in (KERAS, MLPERF, DL4TSC) else model.trainable_variables)
    if isinstance(number, float):
        found = round(found / 1e6, len(str(number).split(".")[1]))
    assert found == number, source


def test_nothing_is_published_that_is_not_there():
    assert set(PUBLISHED) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_builds_at_any_size_and_number_of_classes(name, outline):
    task = family(name).TASK
    for shape, labels in zip(sizes(name), (10, 2), strict=True):
        model = outline(name, shape, classes(name, labels))
        assert model.name == name
        assert [port.shape for port in model.inputs] == [(None, *wanted) for wanted in inputs(task, shape)]
        vocabulary = getattr(zoo.spec(name), "vocabulary", 0)
        answer = {
            "classify": (labels,),
            "segment": (*shape[:-1], labels),
            "anomaly": shape,
            "generate": (*shape, vocabulary),
            "translate": (*shape[1:], vocabulary),
            "embed": shape[1:],
        }[task]
        assert model.output_shape == (None, *answer)
        assert model.output.dtype == "float32"
        assert {port.dtype for port in model.inputs} == {"int32" if vocabulary else "float32"}
        linear = keras.activations.linear
        assert getattr(model.get_layer("head"), "activation", linear) is linear

        features = zoo.endpoints(model)
        stages = [key for key in features if key.startswith("stage")]
        assert list(features) == [*(["stem"] if "stem" in features else []), *stages, "head"]
        assert stages == [f"stage{n}" for n in range(1, len(stages) + 1)]
        assert features["head"] is model.output
        if len(shape) == 3:
            assert all(len(tensor.shape) == 4 for key, tensor in features.items() if key != "head")
            heights = [tensor.shape[1] for key, tensor in features.items() if key != "head"]
            assert heights == sorted(heights, reverse=True)
            assert task != "classify" or "stem" in features
        if task == "classify" and not {"pool", "flatten"}.isdisjoint(layer.name for layer in model.layers):
            gathers = model.get_layer("flatten" if hasattr(zoo.spec(name), "fc") else "pool")
            assert gathers.input is features[stages[-1]]

        # Flat, and of stock layers only, but for a few of sequences: it can be saved, exported and cut anywhere.
        ours = {type(layer) for layer in model.layers if not type(layer).__module__.startswith("keras.")}
        assert len(shape) < 3 or not ours
        assert all(keras.saving.get_registered_name(kind).startswith("edgezoo>") for kind in ours)
        assert not any(isinstance(layer, (keras.Model, keras.layers.Lambda)) for layer in model.layers)
        unnamed = re.compile(
            r"(conv[12]d|dense|re_lu|activation|add|concatenate|(batch|layer)_normalization|bidirectional|dot)(_\d+)?"
        )
        assert not [layer.name for layer in model.layers if unnamed.fullmatch(layer.name)]


def trainable(name):
    """A model of three classes for one batch of random examples; without dropout, so that its loss can be compared."""
    spec = zoo.spec(name)
    changes = {field.name: 0.0 for field in dataclasses.fields(spec) if "drop" in field.name}
    spec = dataclasses.replace(spec, **changes, **SMALL.get(resolve(name)[0], {}))
    keras.utils.set_random_seed(0)
    return zoo.build(spec, input_shape=sizes(name)[0], **classes(name, 3)), spec


def steep(model, task):
    """A learning rate at which a few steps tell. Without normalisation the gradients of deep networks are steep."""
    if any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers):
        return 1e-4
    # Word2Vec begins with products of zero.
    return 0.1 if task == "embed" else 1e-5 if len(model.inputs[0].shape) == 4 or task == "anomaly" else 1e-2


@pytest.mark.parametrize("name", TRAINED)
def test_training_lowers_the_loss_and_what_is_saved_predicts_the_same(name, tmp_path, run):
    model, spec = trainable(name)
    task = family(name).TASK
    fed, targets = batch(model, spec, task)
    loss = {
        "anomaly": "mse",
        "embed": keras.losses.BinaryCrossentropy(from_logits=True),
    }.get(task, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    # Eagerly, for a graph takes longer to build than a few steps.
    model.compile(keras.optimizers.Adam(steep(model, task)), loss, run_eagerly=True)
    kernels = [variable for variable in model.trainable_variables if len(variable.shape) > 1]
    before = [keras.ops.convert_to_numpy(kernel) for kernel in kernels]
    first = float(model.train_on_batch(fed, targets))
    # One step is enough for most; six examples through a hundred normalisations may first rise.
    assert any(float(model.train_on_batch(fed, targets)) < 0.99 * first for _ in range(6))
    assert [k.path for k, b in zip(kernels, before, strict=True) if np.array_equal(k, b)] == [], (
        "what no gradient reaches"
    )

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(loaded, fed), run(model, fed))
    assert list(zoo.endpoints(loaded)) == list(zoo.endpoints(model))


@pytest.mark.parametrize("name", EXPORTED)
def test_the_int8_file_loads_runs_and_agrees(name, tmp_path, scramble, run):
    model = zoo.build(name, input_shape=sizes(name)[0], **classes(name, 4))
    scramble(model)
    images = examples(model.input_shape[1:], 32)
    artifact = compress.export(model, tmp_path / "model.tflite", calibration=[images])
    assert artifact.float_tensors == ()
    assert artifact.input.dtype == artifact.output.dtype == "int8"
    answers, expected = compress.LiteModel(artifact.path).predict(images), run(model, images)
    assert answers.shape == expected.shape
    assert np.ptp(expected[0] - expected[1]) > 1e-2 * np.ptp(expected), "the example must matter"
    assert np.corrcoef(answers.ravel(), expected.ravel())[0, 1] > 0.95


READS_SEQUENCES = [name for name in zoo.list_models(task="classify") if zoo.spec(name).axes == SERIES]


@pytest.mark.parametrize("name", READS_SEQUENCES)
@pytest.mark.parametrize("changes", [{"mask": True}, {"vocabulary": 9}], ids=["series", "tokens"])
def test_padding_changes_nothing(name, changes, scramble, run):
    spec = dataclasses.replace(zoo.spec(name), **changes)
    short, long = ((steps, 3)[: len(spec.axes)] for steps in (9, 14))
    padded = zoo.build(spec, input_shape=long, classes=2)
    assert padded.output_shape == (None, 2)
    scramble(padded)
    fed = tokens(short, 9, 4) if spec.vocabulary else examples(short, 4)
    more = np.concatenate([fed, np.zeros((4, long[0] - short[0], *short[1:]), fed.dtype)], axis=1)
    answers = run(padded, more)
    assert np.ptp(answers[0] - answers[1]) > 1e-3, "the example must matter"
    assert np.isfinite(run(padded, 0 * more)).all(), "nothing but padding"
    if resolve(name)[0] not in STEPS_MATTER:
        plain = zoo.build(spec, input_shape=short, classes=2)
        plain.set_weights(padded.get_weights())
        np.testing.assert_allclose(answers, run(plain, fed), atol=1e-5 * np.abs(answers).max())


@pytest.mark.parametrize("name", zoo.list_models(task="generate"))
def test_what_is_generated_depends_on_nothing_that_comes_later(name, scramble, run):
    spec = dataclasses.replace(zoo.spec(name), **SMALL.get(resolve(name)[0], {}))
    model = zoo.build(spec, input_shape=(12,))
    scramble(model)
    text = tokens((12,), spec.vocabulary, 2)
    other = text.copy()
    other[:, 7:] = (other[:, 7:] + 1) % spec.vocabulary
    first, second = run(model, text), run(model, other)
    np.testing.assert_allclose(first[:, :7], second[:, :7], atol=1e-6 * np.abs(first).max())
    assert np.abs(first[:, 7] - second[:, 7]).max() > 1e-3 * np.abs(first).max()
