"""Pruned models against the unpruned ones with the same channels silenced, and against counts by hand."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import compress
import zoo
from compress.channel_groups import structure
from compress.channel_importance import gate_products, importances
from compress.channels import cut_channels, plan_channels, prune_channels
from compress.errors import CompressError
from compress.trace import trace
from zoo.graph import macs

layers = keras.layers


def conv(x, filters, name, size=3, **options):
    return layers.Conv2D(filters, size, padding="same", name=name, **options)(x)


def conv_norm(x, filters, name, size=3, **options):
    x = conv(x, filters, name, size, use_bias=False, **options)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))


def head(x, units=5):
    return layers.Dense(units, name="head")(layers.GlobalAveragePooling2D()(x))


def plus(offset):
    return lambda removed: removed + offset


def residual(pad):
    """ResNet's shortcuts: a sum, and one that takes every second pixel and has zeros on both sides of its channels."""
    inputs = keras.Input((8, 8, 3))
    x = conv_norm(inputs, 16, "stem")
    y = conv_norm(x, 12, "inner")
    y = layers.BatchNormalization(name="outer_norm")(conv(y, 16, "outer"))
    x = layers.ReLU()(layers.Add()([x, y]))
    y = conv_norm(x, 32, "wide", strides=2)
    if pad == "operation":
        short = keras.ops.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (8, 8)))
    else:
        short = layers.MaxPooling2D(1, 2)(x)
        short = layers.ZeroPadding2D(((0, 0), (8, 8)), data_format="channels_first")(short)
    x = layers.ReLU()(short + y)
    outside = np.r_[0:8, 24:32]
    groups = [
        {"stem": plus(0), "outer": plus(0), "wide": plus(8)},
        {"inner": plus(0)},
        {"wide": lambda removed: outside[removed]},
    ]
    return keras.Model(inputs, head(x)), groups


def concatenation():
    """Slices of a normalisation and of a depthwise convolution that makes two channels of each."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Concatenate()([conv(inputs, 8, "left"), conv(inputs, 16, "right", activation="relu")])
    x = layers.BatchNormalization(name="both")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.PReLU(shared_axes=[1, 2], name="slopes")(x)
    x = layers.SeparableConv2D(12, 3, depth_multiplier=2, name="separable")(x)
    groups = [
        {"left": plus(0), "both": plus(0), "depthwise": plus(0)},
        {"right": plus(0), "both": plus(8), "depthwise": plus(8)},
        {"separable": plus(0)},
    ]
    return keras.Model(inputs, head(x)), groups


def inverted():
    """MobileNetV2: the expanded channels are tied through the depthwise convolution, the narrow ones by the sum."""
    inputs = keras.Input((8, 8, 3))
    x = conv_norm(inputs, 8, "stem")
    y = conv_norm(x, 24, "expand", 1)
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="filter")(layers.ZeroPadding2D(1)(y))
    y = layers.ReLU(6.0)(layers.BatchNormalization(name="filter_norm")(layers.Cropping2D(1)(y)))
    y = layers.BatchNormalization(name="project_norm")(conv(y, 8, "project", 1, use_bias=False))
    x = layers.Add()([x, layers.Dropout(0.1, noise_shape=(None, 1, 1, 1))(y)])
    groups = [{"stem": plus(0), "project": plus(0)}, {"expand": plus(0), "filter": plus(0)}]
    return keras.Model(inputs, head(x)), groups


def squeeze_excite():
    inputs = keras.Input((8, 8, 3))
    x = conv_norm(inputs, 16, "stem")
    gate = layers.Dense(8, activation="relu", name="squeeze")(layers.GlobalAveragePooling2D()(x))
    gate = layers.Dense(16, activation="sigmoid", name="excite")(gate)
    x = layers.Multiply()([x, layers.Reshape((1, 1, 16))(gate)])
    attention = conv(x, 1, "attention", activation="sigmoid")
    groups = [{"stem": plus(0), "excite": plus(0)}, {"squeeze": plus(0)}]
    return keras.Model(inputs, head(x * attention)), groups


def flattened():
    """Each channel is a block of rows of the Dense kernel, and a block of units where they become an image again."""
    inputs = keras.Input((6, 6, 2))
    x = layers.Flatten()(layers.MaxPooling2D(2)(conv(inputs, 8, "conv", activation="relu")))
    x = layers.Dense(20, activation="relu", name="dense")(x)
    x = layers.Reshape((2, 2, 16))(layers.Dense(64, name="unflatten")(x))
    x = layers.Conv2DTranspose(10, 3, strides=2, name="transpose")(layers.UpSampling2D(2)(x))
    units = [{"unflatten": lambda removed: (16 * np.arange(4)[:, None] + removed).ravel()}]
    return keras.Model(inputs, head(x)), [{"conv": plus(0)}, {"dense": plus(0)}, *units, {"transpose": plus(0)}]


def grouped():
    """Wide groups lose the same of each; narrow groups go as wholes."""
    inputs = keras.Input((8, 8, 3))
    x = conv(inputs, 16, "stem", activation="relu")
    x = conv(x, 24, "wide", groups=2, activation="relu")
    x = conv(x, 24, "narrow", groups=12, activation="relu")
    # Channels 2k and 2k + 1 make a narrow group, and j and j + 12 are tied in the wide one: sets of four.
    fours = dict.fromkeys(("wide", "narrow"), lambda removed: (2 * removed[:, None] + [0, 1, 12, 13]).ravel())
    return keras.Model(inputs, head(x)), [{"stem": lambda removed: np.r_[removed, removed + 8]}, fours]


def shared():
    """A layer that is called twice ties what it reads; so does a nested model, which is inlined."""
    block_inputs = keras.Input((8, 8, 8))
    block = keras.Model(block_inputs, conv_norm(conv(block_inputs, 12, "inner"), 8, "outer"), name="block")
    inputs = keras.Input((8, 8, 3))
    same = layers.Conv2D(8, 3, padding="same", name="same")
    x = conv(inputs, 8, "stem", activation="relu")
    x = layers.Average()([same(x), same(layers.MaxPooling2D(3, 1, "same")(conv(inputs, 8, "other")))])
    x = block(block(x))
    groups = [{"stem": plus(0), "other": plus(0)}, {"same": plus(0), "outer": plus(0)}, {"inner": plus(0)}]
    return keras.Model(inputs, head(x)), groups


def several():
    """Two inputs, and an output in the middle, whose channels stay."""
    image, series = keras.Input((8, 8, 3), name="image"), keras.Input((12, 4), name="series")
    x = conv_norm(image, 16, "image_conv")
    features = conv(x, 6, "features", activation="relu")
    y = layers.Conv1D(16, 3, padding="causal", name="series_conv")(series)
    y = layers.LeakyReLU()(layers.GroupNormalization(16, name="instance")(y))
    y = layers.Dense(8, name="mix")(keras.ops.mean(y, axis=1))
    both = layers.Concatenate()([layers.GlobalMaxPooling2D()(features), y])
    groups = [{"image_conv": plus(0)}, {"series_conv": plus(0), "instance": plus(0)}, {"mix": plus(0)}]
    outputs = {"features": features, "answer": layers.Dense(3, name="head")(both)}
    return keras.Model({"image": image, "series": series}, outputs), groups


SCALES = {"both", "instance"}
"""Layers that only scale channels which others make."""
STRUCTURES = {
    "residual, ops.pad": lambda: residual("operation"),
    "residual, layers": lambda: residual("layer"),
    "concatenation": concatenation,
    "inverted": inverted,
    "squeeze-excite": squeeze_excite,
    "flattened": flattened,
    "grouped": grouped,
    "shared": shared,
    "several": several,
}


def scramble(model, rng):
    for weight in model.weights:
        low = 0.5 if weight.name in ("gamma", "moving_variance") else -0.5
        weight.assign(rng.uniform(low, low + 1.0, weight.shape))


def silence(layer, removed):
    """Zero what a layer makes of its channels `removed`."""
    axes = {"kernel": -1, "pointwise_kernel": -1, "bias": 0, "gamma": 0, "beta": 0}
    if isinstance(layer, layers.Conv2DTranspose):
        axes["kernel"] = -2
    if isinstance(layer, layers.DepthwiseConv2D):
        many = layer.depth_multiplier
        axes = {"kernel": -2, "bias": 0}
    for weight in layer.weights:
        if weight.name in axes:
            value = keras.ops.convert_to_numpy(weight).copy()
            where = removed
            if isinstance(layer, layers.DepthwiseConv2D) and weight.name == "bias":
                where = (removed[:, None] * many + np.arange(many)).ravel()
            np.moveaxis(value, axes[weight.name], 0)[where] = 0
            weight.assign(value)


def examples(model, rng, count=4):
    return keras.tree.map_structure(
        lambda tensor: rng.normal(size=(count, *tensor.shape[1:])).astype(np.float32), model._inputs_struct
    )


def outputs(model, batch):
    return [keras.ops.convert_to_numpy(tensor) for tensor in keras.tree.flatten(model(batch, training=False))]


@pytest.mark.parametrize("name", STRUCTURES)
def test_removing_silent_channels_changes_nothing(name, rng, tmp_path):
    model, groups = STRUCTURES[name]()
    scramble(model, rng)
    everything = {layer.name: layer for layer in model._flatten_layers(include_self=False)}
    sizes = {frozenset(group.layers): group.channels for group in plan_channels(model, 1.0).groups}
    assert {makers for makers in sizes if sizes[makers] > 1} == {frozenset(group) - SCALES for group in groups}
    dead = {}
    for group in groups:
        names = frozenset(group) - SCALES
        total = sizes[names]
        removed = np.sort(rng.choice(total, total // 2, replace=False))
        dead[names] = set(removed.tolist())
        for maker, where in group.items():
            silence(everything[maker], where(removed))
            if f"{maker}_norm" in everything:
                silence(everything[f"{maker}_norm"], where(removed))
    arguments = {"macs": 0.6, "minimum": 0.5, "round_to": 1}
    plan = plan_channels(model, **arguments)
    for group in plan.groups:
        gone = set(range(group.channels)) - set(group.kept)
        assert gone <= dead.get(frozenset(group.layers), set())
    batch = examples(model, rng)
    small = prune_channels(model, **arguments)
    assert plan.macs[1] <= 0.6 * plan.macs[0] and small.count_params() == plan.parameters[1] < model.count_params()
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    for expected, ours, again in zip(outputs(model, batch), outputs(small, batch), outputs(loaded, batch), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
        np.testing.assert_array_equal(again, ours)


def two_layers(**options):
    inputs = keras.Input((8, 8, 3))
    x = conv(inputs, 8, "first", **options)
    return keras.Model(inputs, conv(x, 4, "second"), name="two")


def test_counts_by_hand():
    plan = plan_channels(two_layers(), 0.5)
    pixels = 8 * 8 * 3 * 3
    assert plan.macs == (pixels * 3 * 8 + pixels * 8 * 4, pixels * 3 * 4 + pixels * 4 * 4)
    assert plan.parameters == (9 * 3 * 8 + 8 + 9 * 8 * 4 + 4, 9 * 3 * 4 + 4 + 9 * 4 * 4 + 4)
    assert [(group.layers, group.channels, len(group.kept)) for group in plan.groups] == [(("first",), 8, 4)]
    assert not plan.protected


FAMILIES = {
    "alexnet": ((67, 67, 3), {"width": 0.25, "fc": (128, 128)}),
    "mlperf_ds_cnn": ((49, 10, 1), {}),
    "efficientnet_lite0": ((32, 32, 3), {"width": 0.5}),
    "inception_v1": ((32, 32, 3), {"width": 0.25}),
    "inception_v3": ((75, 75, 3), {"width": 0.125}),
    "inception_resnet_v2": ((75, 75, 3), {"width": 0.125, "depths": (1, 1, 1)}),
    "mobilenet_v1_025": ((32, 32, 3), {}),
    "mobilenet_v2_035": ((32, 32, 3), {}),
    "mobilenet_v3_small_075": ((32, 32, 3), {}),
    "resnet8": ((28, 28, 1), {}),
    "resnet20": ((32, 32, 3), {}),
    "resnet20v2": ((32, 32, 3), {}),
    "unet_tiny": ((32, 32, 3), {}),
    "vgg11": ((32, 32, 3), {"width": 16, "fc": (128, 128)}),
    "fcn": ((40, 2), {}),
}


SLOW = {"efficientnet_lite0", "inception_v3", "inception_resnet_v2", "mobilenet_v2_035"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in FAMILIES]
)
def test_networks_of_the_zoo_at_half(name, rng, tmp_path):
    shape, changes = FAMILIES[name]
    model = zoo.build(dataclasses.replace(zoo.spec(name), **changes), input_shape=shape, classes=5)
    before = model.get_weights()
    plan = plan_channels(model, 0.5)
    small = cut_channels(model, plan)
    assert not plan.protected
    assert 0.45 <= plan.macs[1] / plan.macs[0] <= 0.5
    assert plan.macs == (macs(model), macs(small))  # the zoo counts on its own
    assert plan.parameters == (model.count_params(), small.count_params())
    assert [layer.name for layer in small.layers] == [layer.name for layer in model.layers]
    assert all(type(layer).__module__.startswith("keras.") for layer in small.layers)
    assert (small.input_shape, small.output_shape) == (model.input_shape, model.output_shape)
    for ours, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    batch = rng.normal(size=(2, *shape)).astype(np.float32)
    untrained = small.get_weights()
    small.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=True)
    small.train_on_batch(batch, np.zeros((2, *small.output_shape[1:])))
    assert any(np.any(new != old) for new, old in zip(small.get_weights(), untrained, strict=True))
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    np.testing.assert_array_equal(outputs(loaded, batch)[0], outputs(small, batch)[0])


def test_norms_pick_the_smallest_kernels(rng):
    model = two_layers()
    kernel = rng.normal(size=(3, 3, 3, 8)).astype(np.float32)
    model.get_layer("first").set_weights([kernel, np.zeros(8)])
    for how, order in (("l1", 1), ("l2", 2)):
        norms = np.linalg.norm(kernel.reshape(-1, 8), ord=order, axis=0)
        (group,) = plan_channels(model, 0.5, importance=how).groups
        assert set(group.kept) == set(np.argsort(norms)[4:].tolist())
    small = prune_channels(model, 0.5, importance="l2")
    np.testing.assert_array_equal(small.get_layer("first").get_weights()[0], kernel[..., list(group.kept)])


def test_scales_of_normalisations_pick_and_the_rest_stays():
    inputs = keras.Input((8, 8, 3))
    x = conv_norm(conv(inputs, 8, "plain"), 8, "normal")
    model = keras.Model(inputs, head(x))
    gamma = np.array([0.5, -2.0, 0.1, 1.0, -0.2, 3.0, 0.3, 0.4])
    model.get_layer("normal_norm").gamma.assign(gamma)
    plan = plan_channels(model, 0.8, importance="bn_scale", round_to=1)
    plain, normal = plan.groups
    assert len(plain.kept) == 8 and plan.protected[0][0] == "plain"
    removed = set(range(8)) - set(normal.kept)
    assert removed and removed == set(np.argsort(np.abs(gamma))[: len(removed)].tolist())


def test_taylor_is_the_squared_slope_of_the_loss_behind_a_gate(rng):
    """Against finite differences: a gate of 1 + step behind the channels of a layer without normalisation."""
    inputs = keras.Input((6, 6, 2))
    x = layers.Activation("tanh")(conv(inputs, 4, "first"))
    model = keras.Model(inputs, head(layers.Activation("tanh")(conv(x, 4, "second"))))
    scramble(model, rng)
    batches = [(rng.normal(size=(3, 6, 6, 2)), rng.normal(size=(3, 5))) for _ in range(2)]
    found = structure(trace(model, simpler=False))
    scores = importances(found, "taylor", gate_products(model, batches, "mse"))

    def loss(batch, name, channel, gate):
        layer = model.get_layer(name)
        weights = layer.get_weights()
        layer.set_weights([weight * np.where(np.arange(4) == channel, gate, 1) for weight in weights])
        value = np.mean((outputs(model, batch[0].astype(np.float32))[0] - batch[1]) ** 2)
        layer.set_weights(weights)
        return value

    for name, score in zip(("first", "second"), scores, strict=True):
        for channel in range(4):
            slopes = [(loss(batch, name, channel, 1.01) - loss(batch, name, channel, 0.99)) / 0.02 for batch in batches]
            np.testing.assert_allclose(score[channel], np.mean(np.square(slopes)), rtol=0.01, atol=1e-6)


def test_taylor_on_a_compiled_model_with_normalisation_and_frozen_layers(rng):
    model, _ = inverted()
    model.get_layer("expand").trainable = False
    model.compile("sgd", "mse")
    batches = [(rng.normal(size=(4, 8, 8, 3)), rng.normal(size=(4, 5)))]
    small = prune_channels(model, 0.5, importance="taylor", calibration=batches, round_to=1)
    assert not small.get_layer("expand").trainable and small.get_layer("stem").trainable


def test_global_takes_what_matters_least_for_its_cost():
    """The small gammas go first, down to the floor."""
    inputs = keras.Input((8, 8, 4))
    x = conv_norm(conv_norm(inputs, 16, "weak"), 16, "strong")
    model = keras.Model(inputs, conv(x, 4, "last"))
    model.get_layer("weak_norm").gamma.assign(np.full(16, 0.01))
    kept = {}
    for allocation in ("global", "uniform"):
        plan = plan_channels(model, 0.5, importance="bn_scale", allocation=allocation, minimum=0.25, round_to=4)
        kept[allocation] = {group.layers[0]: len(group.kept) for group in plan.groups}
    # With k and s channels 4 k + k s + 4 s, in units of 576, of the 384 of which half may stay.
    assert kept == {"global": {"weak": 4, "strong": 16}, "uniform": {"weak": 8, "strong": 12}}


def test_multiples_and_floors():
    inputs = keras.Input((4, 4, 3))
    x = conv(conv(conv(inputs, 100, "odd"), 64, "even"), 6, "few")
    model = keras.Model(inputs, head(x))
    for share in (0.8, 0.5, 0.2):
        odd, even, _ = (len(group.kept) for group in plan_channels(model, share).groups)
        assert odd % 8 == 0 or odd == 100
        assert even % 8 == 0
    floors = [len(group.kept) for group in plan_channels(model, 0.35, minimum=0.5, round_to=1).groups]
    assert floors[0] >= 50 and floors[1] >= 32 and floors[2] >= 3
    with pytest.raises(CompressError, match=r"cannot be reached: 0\.2"):
        plan_channels(model, 0.1, minimum=0.5)


def test_groups_of_one_tile_are_cut_only_where_that_is_needed():
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, head(conv(conv(inputs, 8, "thin"), 64, "wide")))
    for share, thin in ((0.6, {8}), (0.1, {2, 4})):
        kept = {group.layers[0]: len(group.kept) for group in plan_channels(model, share).groups}
        assert kept["thin"] in thin and kept["wide"] % 8 == 0


def test_only_the_layers_asked_for():
    model, _ = residual("layer")
    plan = plan_channels(model, 0.9, layers=["inner"])
    for group in plan.groups:
        assert (len(group.kept) < group.channels) == (group.layers == ("inner",))
    with pytest.raises(CompressError, match=r"'iner' makes no channels.*'inner'"):
        plan_channels(model, 0.9, layers=["iner"])


class Strange(layers.Layer):
    def call(self, inputs):
        return keras.ops.flip(inputs, axis=-1)

    def compute_output_shape(self, shape):
        return shape


def test_what_an_unknown_layer_touches_stays_whole(rng):
    inputs = keras.Input((8, 8, 4))
    x = Strange(name="strange")(conv(inputs, 8, "before"))
    x = conv(x, 8, "after")
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    model = keras.Model(inputs, head(conv(x, 16, "last")))
    plan = plan_channels(model, 0.7)
    assert [group.layers for group in plan.groups] == [("last",)]
    reasons = dict(plan.protected)
    assert set(reasons) == {"strange", "attention"} and "Strange" in reasons["strange"]
    assert prune_channels(model, 0.7).output_shape == (None, 5)
    with pytest.raises(CompressError, match=r"no channels to prune.*strange: what Strange does"):
        prune_channels(keras.Model(inputs, Strange(name="strange")(conv(inputs, 8, "before"))))


OPAQUE = {
    "softmax over channels": lambda x: layers.Activation("softmax", name="it")(x),
    "softmax inside": lambda x: conv(x, 8, "it", activation="softmax"),
    "channels moved": lambda x: layers.Permute((3, 1, 2), name="it")(x),
    "constant per channel": lambda x: x * np.arange(8, dtype=np.float32),
    "channels sliced": lambda x: x[..., ::2],
    "mean over channels": lambda x: keras.ops.mean(x, axis=-1, keepdims=True) + x,
    "scales": lambda x: layers.Rescaling(np.ones(8), name="it")(x),
    "channels_first": lambda x: layers.AveragePooling2D(2, data_format="channels_first", name="it")(x),
    "several results": lambda x: keras.ops.split(x, 2, axis=-1)[0],
}


@pytest.mark.parametrize("name", OPAQUE)
def test_operations_that_mix_channels_hold_them(name, rng):
    inputs = keras.Input((8, 8, 3))
    x = OPAQUE[name](conv(inputs, 8, "held"))
    model = keras.Model(inputs, layers.Dense(3)(layers.Dense(12, name="free")(layers.Flatten()(x))))
    plan = plan_channels(model, 0.97, layers=["free"])
    assert ("held",) not in [group.layers for group in plan.groups] or name == "softmax inside"
    assert len(plan.protected) == 1
    batch = examples(model, rng)
    assert outputs(prune_channels(model, 0.97, layers=["free"]), batch)[0].shape == (4, 3)


def test_the_plan_is_a_record_of_plain_values():
    plan = plan_channels(two_layers(), 0.5)
    assert json.loads(json.dumps(dataclasses.asdict(plan)))["macs"] == list(plan.macs)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.macs = (1, 1)


def test_a_plan_can_be_changed_but_must_fit():
    model = two_layers()
    plan = plan_channels(model, 0.5)
    own = dataclasses.replace(plan, groups=(dataclasses.replace(plan.groups[0], kept=(1, 6)),))
    small = cut_channels(model, own)
    np.testing.assert_array_equal(small.get_layer("first").bias.shape, (2,))
    for kept in ((), (8,), (-1,)):
        wrong = dataclasses.replace(plan, groups=(dataclasses.replace(plan.groups[0], kept=kept),))
        with pytest.raises(CompressError, match="the plan keeps"):
            cut_channels(model, wrong)
    with pytest.raises(CompressError, match="does not fit model 'functional"):
        cut_channels(inverted()[0], plan)


def test_a_sequential_model_and_half_precision():
    steps = [keras.Input((8, 8, 3)), layers.Conv2D(8, 3, name="first"), layers.Flatten(), layers.Dense(2, name="last")]
    model = keras.Sequential(steps, name="chain")
    small = prune_channels(model, 0.5)
    assert [layer.name for layer in small.layers][1:] == [layer.name for layer in model.layers]
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = prune_channels(two_layers(), 0.5)
    finally:
        keras.config.set_dtype_policy(before)
    assert {layer.compute_dtype for layer in half.layers} == {"float32"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"macs": 0.0}, "macs=0.0 is no share"),
        ({"macs": 1.5}, "macs=1.5 is no share"),
        ({"minimum": 0.0}, "minimum=0.0 is no share"),
        ({"importance": "luck"}, "importance='luck'"),
        ({"allocation": "fair"}, "allocation='fair'"),
        ({"round_to": 0}, "round_to=0"),
        ({"importance": "bn_scale"}, "no channels to prune.*first: no batch normalisation"),
        ({"importance": "taylor"}, "needs calibration="),
        ({"importance": "taylor", "calibration": [], "loss": "mse"}, "got no batch"),
        ({"importance": "taylor", "calibration": [np.zeros((2, 8, 8, 3))], "loss": "mse"}, "is no pair"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(CompressError, match=message):
        prune_channels(two_layers(), **arguments)


def test_models_that_cannot_be_pruned(rng):
    inputs = keras.Input((8, 8, 3))
    with pytest.raises(CompressError, match="'single' has no channels to prune"):
        prune_channels(keras.Model(inputs, conv(inputs, 4, "only"), name="single"))
    tokens = keras.Input((5,), dtype="int32")
    with pytest.raises(CompressError, match=r"no channels to prune.*table: what Embedding does"):
        prune_channels(keras.Model(tokens, keras.layers.Embedding(9, 4, name="table")(tokens)))
    aware = compress.quantize_aware(two_layers(), calibration=[rng.normal(size=(4, 8, 8, 3))])
    with pytest.raises(CompressError, match="is being compressed already"):
        prune_channels(aware)
    assert prune_channels(compress.strip(aware)).count_params() < compress.strip(aware).count_params()
    open_size = keras.Input((None, None, 3))
    with pytest.raises(CompressError, match="output size of 'only' is open"):
        prune_channels(keras.Model(open_size, conv(open_size, 4, "only")))
