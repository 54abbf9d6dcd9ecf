"""The zoo on each backend of Keras: one variant a family builds, predicts the same, trains, is saved and loaded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import zoo

pytestmark = pytest.mark.backends

WORKER = Path(__file__).with_name("worker.py")

# One variant a family, narrow where the family's field allows it.
CASES = {
    "alexnet": ("alexnet_one_tower", {"width": 0.125, "fc": (16, 8)}, (80, 80, 3), 3),
    "autoencoder": ("mlperf_autoencoder", {}, (64,), None),
    "bert": ("bert_tiny", {"vocabulary": 110, "width": 16, "heads": 2, "hidden": 16}, (12,), 3),
    "ds_cnn": ("mlperf_ds_cnn", {}, (49, 10, 1), 3),
    "efficientnet_lite": ("efficientnet_lite0", {"width": 0.25}, (32, 32, 3), 3),
    "fcn": ("fcn", {"width": 0.25}, (24, 3), 3),
    "gpt2": ("gpt2", {"vocabulary": 20, "width": 16, "depth": 2, "heads": 2, "hidden": 16}, (12,), None),
    "inception_resnet_v2": ("inception_resnet_v2", {"width": 0.125}, (80, 80, 3), 3),
    "inception_v1": ("inception_v1", {"width": 0.25}, (64, 64, 3), 3),
    "inception_v3": ("inception_v3", {"width": 0.125}, (80, 80, 3), 3),
    "inception_time": ("inception_time", {"width": 8}, (24, 3), 3),
    "lstm_fcn": ("lstm_fcn", {"width": 0.25}, (24, 3), 3),
    "mobilenet_v1": ("mobilenet_v1_025", {}, (32, 32, 3), 3),
    "mobilenet_v2": ("mobilenet_v2_035", {}, (32, 32, 3), 3),
    "mobilenet_v3": ("mobilenet_v3_small", {"width": 0.5}, (32, 32, 3), 3),
    "recurrent": ("lstm_stacked_bidirectional", {"width": 8, "depth": 2, "mask": True}, (12, 3), 3),
    "recurrent_lm": ("char_gru", {"vocabulary": 20, "width": 16, "embedding": 8}, (12,), None),
    "resnet": ("resnet20v2", {}, (16, 16, 3), 3),
    "resnet_1d": ("resnet_1d", {"width": 0.25}, (24, 3), 3),
    "transformer": ("transformer_tiny", {"vocabulary": 20, "width": 16, "heads": 2, "hidden": 16}, (12,), 3),
    "translator": ("translator_tiny", {"vocabulary": 20, "width": 16, "heads": 2, "hidden": 16}, (8, 6), None),
    "unet": ("unet_tiny", {}, (32, 32, 1), 2),
    "vgg": ("vgg11", {"width": 8, "fc": (16, 8)}, (32, 32, 3), 3),
    "word2vec": ("word2vec_cbow", {"vocabulary": 20, "width": 8}, (4, 6), None),
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """What each backend answered, by backend and name; each backend runs once, when it is first asked for."""
    answers = {}

    def of(backend):
        if backend not in answers:
            folder = tmp_path_factory.mktemp(backend)
            cases = [
                {"name": name, "changes": changes, "input_shape": shape, "classes": classes}
                for name, changes, shape, classes in CASES.values()
            ]
            ran = subprocess.run(
                [sys.executable, WORKER, folder],
                input=json.dumps(cases),
                env={**os.environ, "KERAS_BACKEND": backend, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
                text=True,
                capture_output=True,
                check=False,
            )
            assert ran.returncode == 0, ran.stderr[-3000:]
            answers[backend] = {path.stem: dict(np.load(path)) for path in folder.glob("*.npz")}
        return answers[backend]

    return of


def test_every_family_has_its_case():
    assert set(CASES) == set(zoo.FAMILIES)


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
@pytest.mark.parametrize("family", CASES)
def test_the_contract_on_each_backend(done, backend, family):
    name = CASES[family][0]
    answer, reference = done(backend)[name], done("tensorflow")[name]
    assert answer["backend"] == backend
    scale = np.abs(reference["predicted"]).max()
    np.testing.assert_allclose(answer["predicted"], reference["predicted"], rtol=1e-4, atol=1e-4 * scale)
    np.testing.assert_array_equal(answer["reloaded"], answer["predicted"])
    np.testing.assert_allclose(answer["losses"][0], reference["losses"][0], rtol=1e-3)
    assert min(answer["losses"][1:]) < answer["losses"][0]
    assert bool(len(answer["moved"])) == bool(len(answer["head"])), "the head trains, where it has weights of its own"
    assert set(answer["moved"]) <= set(answer["head"]), "the frozen backbone stays as it is"
    assert list(answer["endpoints"]) == list(reference["endpoints"])
