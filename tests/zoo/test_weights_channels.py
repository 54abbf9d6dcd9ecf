"""Channels of the image: blue first turned round, one channel, four channels."""

import dataclasses

import h5py
import keras
import numpy as np
import pytest

import zoo
from zoo.weights import load, table

NAME = "mobilenet_v2_035"
SPEC = zoo.spec(NAME)
MODES = {
    "tf": ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "torch": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "caffe": ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),
}
rng = np.random.default_rng(3)


@pytest.fixture
def theirs(scramble):
    model = zoo.build(SPEC, input_shape=(32, 48, 3), classes=5)
    scramble(model)
    return model


@pytest.fixture
def publish(theirs, monkeypatch, tmp_path):
    """The weights of `theirs`, in a file that is known, with a normalisation and an order of channels."""

    def publish(mode, bgr=False):
        entry = dataclasses.replace(
            table.published(NAME)[0], mean=MODES[mode][0], std=MODES[mode][1], bgr=bgr, classes=5
        )
        monkeypatch.setattr(table, "TABLE", {NAME: (entry,)})
        path = tmp_path / entry.files[0].files[0].name
        theirs.save_weights(tmp_path / "x.weights.h5")
        (tmp_path / "x.weights.h5").rename(path)
        return path

    return publish


def normalised(pixels, done):
    return ((pixels - np.array(done.mean)) / np.array(done.std)).astype("float32")


def test_weights_that_read_blue_first_are_turned_round(publish, theirs, run):
    path = publish("caffe", bgr=True)
    ours = zoo.build(SPEC, input_shape=(32, 48, 3), classes=5)
    done = load(ours, path, spec=SPEC)
    assert (done.mean, done.std) == MODES["caffe"]
    assert done.published is not None
    pixels = rng.integers(0, 256, (2, 32, 48, 3)).astype("float32")
    expected = run(theirs, (pixels[..., ::-1] - np.array(done.mean)[::-1]).astype("float32"))
    np.testing.assert_allclose(run(ours, normalised(pixels, done)), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("mode", MODES)
def test_one_channel_gives_what_a_grey_picture_gives_in_three(publish, theirs, run, mode):
    ours = zoo.build(SPEC, input_shape=(32, 48, 1), classes=5)
    done = load(ours, publish(mode), spec=SPEC)
    assert len(done.mean) == len(done.std) == 1
    assert "stem_conv reads one channel" in done.notes[0]
    grey = rng.integers(0, 256, (2, 32, 48, 1)).astype("float32")
    three = np.repeat(grey, 3, axis=-1)
    three = ((three - np.array(MODES[mode][0])) / np.array(MODES[mode][1])).astype("float32")
    outputs = [[model.get_layer("stem").output, model.output] for model in (theirs, ours)]
    stem, logits = run(keras.Model(theirs.input, outputs[0]), three)
    our_stem, our_logits = run(keras.Model(ours.input, outputs[1]), normalised(grey, done))
    assert np.ptp(stem[0] - stem[1]) > 0.1
    np.testing.assert_allclose(our_stem[:, :-1, :-1], stem[:, :-1, :-1], atol=1e-6 * max(20, 255 / done.std[0]))
    if mode == "tf":
        np.testing.assert_allclose(our_logits, logits, atol=1e-5 * np.abs(logits).max())
    else:
        assert "except beside its border" in done.notes[0]


@pytest.mark.parametrize("count", [2, 4, 6])
def test_other_numbers_of_channels_repeat_the_three(publish, theirs, run, count):
    ours = zoo.build(SPEC, input_shape=(32, 48, count), classes=5)
    done = load(ours, publish("torch"), spec=SPEC)
    assert done.mean == tuple((MODES["torch"][0] * 2)[:count])
    assert done.std == tuple((MODES["torch"][1] * 2)[:count])
    kernel, theirs_kernel = (model.get_layer("stem_conv").get_weights()[0] for model in (ours, theirs))
    for channel in range(count):
        np.testing.assert_allclose(kernel[:, :, channel], theirs_kernel[:, :, channel % 3] * 3 / count, rtol=1e-6)
    if count == 6:
        pixels = rng.integers(0, 256, (2, 32, 48, 3)).astype("float32")
        expected = run(theirs, ((pixels - np.array(done.mean[:3])) / np.array(done.std[:3])).astype("float32"))
        twice = normalised(np.concatenate([pixels, pixels], axis=-1), done)
        np.testing.assert_allclose(run(ours, twice), expected, atol=1e-4 * np.abs(expected).max())


def test_a_file_that_nobody_knows_has_no_normalisation(theirs, tmp_path, run):
    theirs.save_weights(tmp_path / "x.weights.h5")
    ours = zoo.build(SPEC, input_shape=(32, 48, 1), classes=5)
    done = load(ours, tmp_path / "x.weights.h5", spec=SPEC)
    assert done.mean is None and done.std is None and done.published is None
    image = rng.standard_normal((1, 32, 48, 1)).astype("float32")
    expected = run(theirs, np.repeat(image, 3, axis=-1))
    np.testing.assert_allclose(run(ours, image), expected, atol=1e-4 * np.abs(expected).max())


def test_the_name_of_a_published_file_is_not_enough(theirs, tmp_path, monkeypatch):
    entry = table.published("resnet50")[0]
    spec = zoo.spec("resnet50")
    path = tmp_path / entry.files[0].files[0].name
    path.write_bytes(b"other")
    assert table.recognise(path, "resnet", spec) == (
        None,
        [f"{path.name} is not the published file of that name: taken as it is"],
    )


def test_keras_files_of_other_models_are_refused(theirs, tmp_path):
    theirs.save(tmp_path / "x.keras")
    wide = zoo.build("mobilenet_v2_050", input_shape=(32, 48, 3), classes=5)
    with pytest.raises(zoo.ZooError, match=r"x\.keras does not fit .*_050: \d+ of another shape: stage2_"):
        load(wide, tmp_path / "x.keras", spec=zoo.spec("mobilenet_v2_050"))
    other = zoo.build("resnet8", input_shape=(32, 48, 3), classes=5)
    with pytest.raises(zoo.ZooError, match=r"does not fit resnet8: \d+ missing: .*; \d+ extra: "):
        load(other, tmp_path / "x.keras", spec=zoo.spec("resnet8"))


@pytest.mark.parametrize("name", ["x.keras", "x.weights.h5"])
def test_our_own_files_are_taken_whole_and_cut_ones_refused(theirs, tmp_path, name, run):
    path = tmp_path / name
    (theirs.save if name == "x.keras" else theirs.save_weights)(path)
    ours = zoo.build(SPEC, input_shape=(32, 48, 3), classes=5)
    assert load(ours, path, spec=SPEC).new == ()
    assert all(np.array_equal(a, b) for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(zoo.ZooError, match=rf"{name} is damaged or incomplete"):
        load(ours, path, spec=SPEC)


def test_bfloat16_files_are_read(tmp_path):
    keras.config.set_dtype_policy("bfloat16")
    try:
        half = zoo.build(SPEC, input_shape=(32, 32, 3), classes=5)
        half.save_weights(tmp_path / "x.weights.h5")
    finally:
        keras.config.set_dtype_policy("float32")
    ours = zoo.build(SPEC, input_shape=(32, 32, 3), classes=5)
    load(ours, tmp_path / "x.weights.h5", spec=SPEC)
    for ours_value, value in zip(ours.get_weights(), half.get_weights(), strict=True):
        np.testing.assert_array_equal(ours_value, np.asarray(value, "float32"))


@pytest.mark.parametrize("how", ["external", "virtual", "link", "group"])
def test_an_h5_file_that_points_outside_itself_is_refused(tmp_path, how):
    """Else a file could make the weights out of any other file of the machine."""
    (tmp_path / "secret").write_bytes(bytes(4000))
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["k"] = np.zeros((3, 3, 3, 8), "float32")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["layer_names"] = ["conv"]
        group = file.create_group("conv")
        group.attrs["weight_names"] = ["k"]
        if how == "external":
            group.create_dataset("k", (3, 3, 3, 8), "float32", external=[(str(tmp_path / "secret"), 0, 864)])
        elif how == "virtual":
            layout = h5py.VirtualLayout((3, 3, 3, 8), "float32")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "k", (3, 3, 3, 8))
            group.create_virtual_dataset("k", layout)
        elif how == "link":
            group["k"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "k")
        else:
            group.create_group("k")
    model = zoo.build("resnet8", input_shape=(32, 32, 3), classes=5)
    with pytest.raises(zoo.ZooError, match="k is no array inside the file"):
        load(model, tmp_path / "x.h5", spec=zoo.spec("resnet8"))


def test_an_h5_file_that_is_something_else_or_lacks_a_group(tmp_path):
    model, spec = zoo.build("resnet8", input_shape=(32, 32, 3), classes=5), zoo.spec("resnet8")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["table"] = np.zeros(4)
    with pytest.raises(zoo.ZooError, match=r"x\.h5 holds no weights of a Keras model"):
        load(model, tmp_path / "x.h5", spec=spec)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["layer_names"] = ["gone"]
    with pytest.raises(zoo.ZooError, match=r"x\.h5 is not a file of Keras's weights: .*gone"):
        load(model, tmp_path / "x.h5", spec=spec)
