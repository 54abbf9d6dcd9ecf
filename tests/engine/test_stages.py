import keras
import numpy as np
import pytest

from compress.ranges import Range
from recipes.engine import Augment, Compress, Recipe, Train, stages
from recipes.engine.preprocess import Images
from recipes.engine.results import Examples, Subset


def two_shades():
    """Dark and light noise, the same in all splits."""
    labels = np.arange(32) % 2
    noise = np.random.default_rng(0).normal(80 + 90 * labels[:, None, None, None], 15, (32, 6, 6, 1))
    some = Subset(noise.clip(0, 255).astype(np.uint8), labels.astype(np.int64), tuple(map(str, range(32))))
    return Examples(("dark", "light"), some, some, some, "", "made")


@pytest.mark.parametrize(("share", "stands"), [(0.0, True), (1.0, False)])
def test_ranges_stand_still_from_the_share_of_the_epochs_that_is_asked(share, stands, tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.ReLU()(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    prepared = Images(6, 6, 1, (0.0,), (255.0,), ("dark", "light"))
    recipe = Recipe(
        train=Train(batch_size=8),
        augment=Augment(),
        compress=Compress(quantize_aware=True, epochs=2, lr=1e-3, freeze=share),
    )
    small, (history,) = stages.compressed(model, recipe, two_shades(), prepared, tmp_path, teacher=model)
    assert history.best_epoch > 0
    ends = {layer.name: (float(layer.low), float(layer.high)) for layer in small.layers if isinstance(layer, Range)}
    starts = {layer.name: pytest.approx(layer.initial) for layer in small.layers if isinstance(layer, Range)}
    assert len(starts) == 3
    assert (ends == starts) == stands
