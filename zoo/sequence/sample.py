"""Choose the next token from its logits; in numpy, so that a seed means the same on every backend."""

from collections.abc import Callable

import numpy as np

from zoo import check
from zoo.errors import ZooError

Choose = Callable[[np.ndarray], int]


def sampler(*, temperature: float, top_k: int | None, top_p: float | None, seed: int) -> Choose:
    """What chooses a token from logits `(vocabulary,)`: see `zoo.generate` for the arguments.

    Raises:
        ZooError: an argument has an impossible value.
    """
    check.real(temperature, "temperature", least=0.0)
    if top_k is not None:
        check.whole(top_k, "top_k")
    if top_p is not None and top_p != 1.0:
        check.real(top_p, "top_p", above=0.0, below=1.0)
    rng = np.random.default_rng(check.whole(seed, "seed", least=0))

    def choose(logits: np.ndarray) -> int:
        logits = logits.astype(np.float64)
        if not np.isfinite(logits).all():
            raise ZooError("the model's answer holds values that are no finite numbers; was its training stable?")
        if temperature == 0.0:
            return int(logits.argmax())
        likely = np.argsort(-logits, kind="stable")[:top_k]
        shares = np.exp((logits[likely] - logits[likely[0]]) / temperature)
        shares /= shares.sum()
        if top_p is not None:
            # Holtzman et al. 2020, arXiv:1904.09751, section 3.1: the smallest set that has this share.
            kept = int(np.searchsorted(shares.cumsum(), top_p)) + 1
            likely, shares = likely[:kept], shares[:kept] / shares[:kept].sum()
        return int(rng.choice(likely, p=shares))

    return choose
