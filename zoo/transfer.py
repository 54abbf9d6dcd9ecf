"""Transfer learning: which part of a model trains, at which rate, and how to find that rate.

A model of the zoo is flat and has named endpoints, so its parts are known: `stages`. A schedule is: `train_from`
the head, compile, fit; `train_from` an earlier stage, compile, fit; and so on. Keras takes note of `trainable` in
`compile`, so without a new one nothing changes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from zoo import check, graph
from zoo.errors import ZooError
from zoo.models import endpoints


def stages(model: keras.Model) -> dict[str, list[keras.layers.Layer]]:
    """The layers of each endpoint of a model of the zoo: those that lead to it and to no earlier one.

    Raises:
        ZooError: the model has no endpoints.
    """
    found: dict[str, list[keras.layers.Layer]] = {}
    seen: set[str] = set()
    makers = {id(call.output): call for call in graph.calls(model)}
    for name, features in endpoints(model).items():
        leading = _leading(makers[id(features)], makers)
        found[name] = [layer for layer in model.layers if layer.name in leading - seen]
        seen |= leading
    return found


def train_from(model: keras.Model, endpoint: str) -> None:
    """Let the layers of `endpoint` and of all later ones train, and freeze the others. Compile afterwards.

    Normalisations before the head stay frozen, statistics and scale: a batch of a small data set says too little,
    and the weights after them expect what they were trained with.

    Args:
        model: a model of the zoo.
        endpoint: `head` trains the head alone, `stem` everything; see `zoo.endpoints`.

    Raises:
        ZooError: the model has no such endpoint.
    """
    parts = stages(model)
    _known(endpoint, list(parts))
    names = list(parts)
    trained = {layer.name for name in names[names.index(endpoint) :] for layer in parts[name]}
    head = {layer.name for layer in parts["head"]}
    # Setting the model's own flag would set those of all its layers, in either direction.
    for layer in model.layers:
        frozen_norm = isinstance(layer, keras.layers.BatchNormalization) and layer.name not in head
        layer.trainable = layer.name in trained and not frozen_norm


def layerwise(optimizer: keras.optimizers.Optimizer, model: keras.Model, decay: float) -> keras.optimizers.Optimizer:
    """The same optimizer with a rate that falls from the head to the input by `decay` an endpoint.

    Howard & Ruder 2018 (arXiv:1801.06146, section 3.2) call it discriminative fine-tuning; a decay by layer is that
    of Bao et al. 2022 (arXiv:2106.08254). Decoupled weight decay keeps the undivided rate.

    Args:
        optimizer: not built yet: its settings are taken over.
        model: a model of the zoo.
        decay: above 0 and at most 1; the head has the full rate, the endpoint before it `decay` of it, and so on.

    Raises:
        ZooError: `decay` is out of range, or the model has no endpoints.
    """
    if decay != 1.0:
        check.real(decay, "decay", above=0.0, below=1.0)
    parts = stages(model)
    scales = {
        variable.path: decay**distance
        for distance, name in enumerate(reversed(parts))
        for layer in parts[name]
        for variable in layer.variables
    }
    plain = getattr(keras.optimizers, type(optimizer).__name__)
    kind: Any = type(f"Layerwise{plain.__name__}", (_Layerwise, plain), {"scales": scales})
    return kind.from_config(optimizer.get_config())


class _Layerwise:
    """Scales the learning rate that an optimizer's update sees, by the path of the variable.

    Mixed into a Keras optimizer, which the type checker cannot know.
    """

    scales: dict[str, float]

    def build(self, variables: list[Any]) -> None:
        """Make the slots, and note the scale of each variable: an update may see it as the backend's own object."""
        super().build(variables)  # type: ignore[misc]
        self.order = [self.scales[variable.path] for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One update of one variable."""
        place = self._get_variable_index(variable)  # type: ignore[attr-defined]
        super().update_step(gradient, variable, learning_rate * self.order[place])  # type: ignore[misc]


@dataclass(frozen=True)
class RateTest:
    """What `find_rate` saw.

    Attributes:
        rates: learning rate of each batch, rising.
        losses: smoothed loss after it.
        rate: the suggestion.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    rate: float


def find_rate(
    model: keras.Model,
    batches: Iterable[tuple[Any, ...]],
    *,
    optimizer: Callable[[float], keras.optimizers.Optimizer],
    loss: Any,
    least: float = 1e-6,
    most: float = 1.0,
    steps: int = 100,
) -> RateTest:
    """A learning-rate range test (Smith 2017, arXiv:1506.01186, section 3.3): train while the rate rises.

    The rate grows by the same factor each batch; the test ends early where the smoothed loss is four times its best.
    The suggestion is a tenth of the rate with the least loss, as is customary: that one is at the edge. The model
    ends with the weights it came with, and compiled for this test.

    Args:
        model: trained with what is trainable of it.
        batches: `(inputs, targets)` or `(inputs, targets, weights)`, at least `steps` of them.
        optimizer: makes one for a learning rate.
        loss: what `keras.Model.compile` takes.
        least: the first rate.
        most: the last rate.
        steps: number of batches.

    Raises:
        ZooError: rates or steps cannot be, there are too few batches, or the loss is no number from the start.
    """
    check.real(least, "least", above=0.0)
    check.real(most, "most", above=least)
    check.whole(steps, "steps", least=10)
    # All variables, the states of dropout too: a training after the test is the one without it.
    before = [np.array(variable) for variable in model.variables]
    model.compile(optimizer=optimizer(least), loss=loss)
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    stream = iter(batches)
    for step, rate in enumerate(np.geomspace(least, most, steps)):
        batch = next(stream, None)
        if batch is None:
            raise ZooError(f"the learning-rate test needs {steps} batches, and there were {step}")
        model.optimizer.learning_rate = float(rate)
        value = float(model.train_on_batch(*batch))
        # Smoothed and corrected for its start, as Adam's moments are.
        mean = 0.9 * mean + 0.1 * value
        smooth = mean / (1 - 0.9 ** (step + 1))
        if not np.isfinite(smooth) or (losses and smooth > 4 * min(losses)):
            break
        rates.append(float(rate))
        losses.append(smooth)
    for variable, old in zip(model.variables, before, strict=True):
        variable.assign(old)
    if not losses:
        raise ZooError("the loss is no number at the smallest learning rate; look at the inputs and the targets")
    return RateTest(tuple(rates), tuple(losses), max(rates[int(np.argmin(losses))] / 10, least))


def _leading(call: graph.Call, makers: dict[int, graph.Call]) -> set[str]:
    """Names of the layers that `call` depends on, its own among them."""
    seen: dict[int, str] = {}
    waiting = [call]
    while waiting:
        current = waiting.pop()
        if id(current) not in seen:
            seen[id(current)] = current.layer.name
            waiting += [makers[id(tensor)] for tensor in current.inputs]
    return set(seen.values())


def _known(endpoint: str, names: list[str]) -> None:
    if endpoint not in names:
        raise ZooError(f"there is no endpoint {endpoint!r}; the model has {', '.join(names)}")
