import keras
import pytest

from compress.plan import make_plan
from compress.trace import trace

layers = keras.layers


def planned(make, shape=(8, 8, 3)):
    """Names of the tensors with a range, in order, with the ends that LiteRT prescribes."""
    inputs = keras.Input(shape, name="input")
    plan = make_plan(trace(keras.Model(inputs, make(inputs))))
    return {plan.names[id(tensor)]: ends for tensor, ends in plan.ranges}, plan


def conv(name, x, **options):
    return layers.Conv2D(4, 3, padding="same", name=name, **options)(x)


def test_conv_norm_relu_is_one_range():
    def make(x):
        return layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(conv("conv", x)))

    ranges, plan = planned(make)
    assert list(ranges) == ["input", "relu"]
    assert [norm.name for norm in plan.folds.values()] == ["bn"]


@pytest.mark.parametrize("relu", [layers.ReLU, lambda name: layers.ReLU(6.0, name=name)])
def test_conv_with_a_separate_relu_and_no_norm_is_one_range(relu):
    ranges, plan = planned(lambda x: relu(name="relu")(conv("conv", x)))
    assert list(ranges) == ["input", "relu"]
    assert not plan.folds


def test_an_activation_that_the_runtime_does_not_fuse_gets_its_input_rounded():
    ranges, _ = planned(lambda x: conv("conv", x, activation="leaky_relu"))
    assert list(ranges) == ["input", "conv", "conv_activation"]


def test_residual_sum_with_relu():
    def make(x):
        x = conv("first", x)
        return layers.ReLU(name="relu")(layers.Add(name="add")([x, conv("second", x)]))

    ranges, _ = planned(make)
    assert list(ranges) == ["input", "first", "second", "relu"]


def test_a_norm_whose_convolution_others_read_does_not_fold():
    def make(x):
        x = conv("conv", x)
        y = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(x))
        return layers.Add(name="add")([x, conv("second", y)])

    ranges, plan = planned(make)
    assert list(ranges) == ["input", "conv", "relu", "second", "add"]
    assert not plan.folds


def test_concatenation_rounds_in_place_of_its_inputs():
    def make(x):
        left, right = conv("left", x), layers.ReLU(name="right")(conv("c", x))
        other = conv("other", x)
        return layers.Concatenate(name="join")([left, right, other, conv("deep", other)])

    ranges, _ = planned(make)
    assert list(ranges) == ["input", "other", "join"]  # `other` has a second reader


def test_operations_on_one_scale_share_their_inputs_range():
    def make(x):
        x = layers.MaxPooling2D(2)(layers.ZeroPadding2D(1)(conv("conv", x)))
        x = keras.ops.pad(x, ((0, 0), (0, 0), (0, 0), (1, 1)))
        x = layers.AveragePooling2D(2)(layers.Dropout(0.1)(x))
        return layers.Dense(3, name="dense")(layers.Flatten()(layers.Reshape((-1, 6))(x)))

    ranges, _ = planned(make)
    assert list(ranges) == ["input", "conv", "dense"]


def test_prescribed_ranges():
    def make(x):
        gate = layers.Activation("sigmoid", name="gate")(conv("conv", x))
        x = layers.Multiply(name="gated")([conv("other", x), gate])
        return layers.Dense(3, activation="softmax", name="dense")(layers.Flatten()(x))

    ranges, _ = planned(make)
    assert ranges == {
        "input": None,
        "conv": None,
        "gate": (0.0, 255 / 256),
        "other": None,
        "gated": None,
        "dense": None,  # the softmax ends the model: it is left as it is
    }


def test_a_shared_layer_gets_a_range_a_call():
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    ranges, _ = planned(lambda x: shared(shared(x)))
    assert list(ranges) == ["input", "shared", "shared_1"]
