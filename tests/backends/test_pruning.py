"""Pruning and clustering on each backend of Keras: the same masks and losses, zeros that stay, equal after loading."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.backends

WORKER = Path(__file__).with_name("pruning_worker.py")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """What each backend answered; each runs once, when it is first asked for."""
    answers = {}

    def of(backend):
        if backend not in answers:
            path = tmp_path_factory.mktemp(backend) / "answer.npz"
            env = {**os.environ, "KERAS_BACKEND": backend}
            ran = subprocess.run([sys.executable, WORKER, path], env=env, text=True, capture_output=True, check=False)
            assert ran.returncode == 0, ran.stderr[-3000:]
            answers[backend] = dict(np.load(path))
        return answers[backend]

    return of


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_prunes_and_clusters_the_same_on_each_backend(done, backend):
    answer, reference = done(backend), done("tensorflow")
    assert answer["backend"] == backend
    for pattern, share in (("unstructured", 0.75), ("2:4", 0.5), ("2x2", 0.75)):
        np.testing.assert_allclose(answer[f"{pattern} losses"], reference[f"{pattern} losses"], rtol=1e-3)
        for index in range(3):
            mask, expected = (each[f"{pattern} mask {index}"] for each in (answer, reference))
            assert abs(1 - mask.mean() - share) < 0.05
            assert (mask == expected).mean() > 0.98  # a weight at the border may fall either way
    for per_channel in (False, True):
        name = f"clustered losses {per_channel}"
        np.testing.assert_allclose(answer[name], reference[name], rtol=1e-3)
        kernel = answer[f"clustered kernel {per_channel}"]
        assert (kernel == 0).mean() >= 0.5
        sets = kernel.reshape(-1, 8).T if per_channel else [kernel]
        assert max(len(np.unique(values)) for values in sets) <= 6
        assert not answer[f"difference {per_channel}"].any()
        assert answer[f"stripped {per_channel}"] < 1e-5
