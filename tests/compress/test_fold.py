import keras
import numpy as np
import pytest

from compress.fold import Fold
from compress.wrapper import Compressed

layers = keras.layers


def test_fold_by_hand():
    fold = Fold(epsilon=0.0)
    fold.build({"kernel": (1, 2)})
    for variable, value in ((fold.gamma, [2.0, 3.0]), (fold.beta, [0.5, -0.5])):
        variable.assign(value)
    fold.mean.assign([1.0, 10.0])
    fold.variance.assign([4.0, 0.25])
    seen = fold({"kernel": np.array([[3.0, 5.0]], np.float32), "bias": np.array([2.0, 8.0], np.float32)})
    # gamma / sqrt(variance) = 1 and 6; bias: (2-1)*1+0.5 and (8-10)*6-0.5.
    np.testing.assert_allclose(seen["kernel"], [[3.0, 30.0]])
    np.testing.assert_allclose(seen["bias"], [1.5, -12.5])


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(5, 3, padding="same", use_bias=False),
        layers.Conv2D(5, 3, strides=2),
        layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
        layers.DepthwiseConv2D(3),
    ],
)
def test_folded_equals_layer_then_norm(layer, scale, center, rng):
    layer = type(layer).from_config(layer.get_config())
    norm = layers.BatchNormalization(scale=scale, center=center)
    x = rng.normal(size=(4, 8, 8, 3)).astype(np.float32)
    norm(layer(x))
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    norm.set_weights([rng.uniform(0.5, 2.0, w.shape) for w in norm.get_weights()])
    expected = norm(layer(x), training=False)
    fold = Fold(norm.epsilon, scale, center, 2 if isinstance(layer, layers.DepthwiseConv2D) else 1)
    wrapper = Compressed(layer, [fold])
    wrapper.build(x.shape)
    fold.adopt(norm)
    np.testing.assert_allclose(wrapper(x), expected, rtol=1e-4, atol=1e-4)
    names = {variable.name for variable in fold.trainable_variables}
    assert names == {name for name, trains in (("gamma", scale), ("beta", center)) if trains}


def test_statistics_do_not_move_in_training(rng):
    fold = Fold(1e-3)
    wrapper = Compressed(layers.Dense(4), [fold])
    wrapper(rng.normal(size=(2, 3)).astype(np.float32), training=True)
    np.testing.assert_array_equal(fold.mean, np.zeros(4))
    np.testing.assert_array_equal(fold.variance, np.ones(4))
