"""How much a channel matters: by its weights, by the scale of its normalisation, or by what its loss would cost."""

from collections.abc import Iterable
from typing import Any, Literal

import keras
import numpy as np

from compress.batches import arranged, labelled
from compress.channel_groups import Structure
from compress.channel_ties import Cut
from compress.errors import CompressError
from compress.trace import trace

Importance = Literal["l1", "l2", "bn_scale", "taylor"]
Products = list[dict[tuple[str, str], np.ndarray]]


def importances(structure: Structure, how: Importance, products: Products | None = None) -> list[np.ndarray]:
    """For each group, the importance of each of its sets of tied channels; NaN where the criterion says nothing.

    `l1`, `l2`: the norm of the kernel that makes a channel (Li et al. 2017, "Pruning Filters for Efficient ConvNets",
    section 3.1), over the mean of its layer. `bn_scale`: |gamma| of its batch normalisations (Liu et al. 2017,
    "Network Slimming", section 3). `taylor`: the squared change of the loss, to first order, when the channel is
    switched off by a gate behind it (Molchanov et al. 2019, arXiv:1906.10771): weights times gradients, summed
    over what makes or scales the channel in a layer, squared, averaged over the batches. All are summed over the layers
    that a channel is tied in, for all of these lose it (as in DepGraph, Fang et al. 2023, section 3.3).

    Args:
        structure: of the model.
        how: the criterion.
        products: for `taylor`, what `gate_products` gave.
    """
    total = np.zeros(len(structure.root))
    judged = np.zeros(len(structure.root), dtype=bool)
    for layer, cut in structure.cuts:
        labels, values = _marks(layer, cut, how, products or [])
        numbers = structure.root[labels]
        np.add.at(total, numbers, values)
        judged[numbers] = True
    if how == "bn_scale":  # by the others, what no kernel makes, as zeros beside channels, is worth nothing
        total[~judged] = np.nan
    return [total[group.roots] for group in structure.groups]


def _marks(layer: Any, cut: Cut, how: Importance, products: Products) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the channels that a layer makes or scales, and what it says of each."""
    values: dict[str, np.ndarray] = {}
    for weight in getattr(layer, "weights", ()) if how != "taylor" else ():
        values[weight.name] = keras.ops.convert_to_numpy(weight)
    norm = isinstance(layer, keras.layers.BatchNormalization)
    if how == "taylor":
        names = list(cut.own)
    elif how == "bn_scale":
        names = ["gamma"] if norm and "gamma" in values else []
    else:
        names = [name for name in cut.own if name in cut.kernels]
    if not names:
        return np.array([], dtype=int), np.array([])
    labels = cut.weights[names[0]][cut.own[names[0]]]
    if how == "bn_scale":
        return labels, np.abs(values["gamma"])
    if how == "taylor":
        sums = np.zeros((len(products), len(labels)))
        for row, product in zip(sums, products, strict=True):
            for name in names:
                if (layer.name, name) in product:
                    row += _over_others(product[layer.name, name], cut.own[name])
        return labels, np.square(sums).mean(axis=0)
    norms = _over_others(np.abs(values[names[0]]) ** (1 if how == "l1" else 2), cut.own[names[0]])
    norms = norms if how == "l1" else np.sqrt(norms)
    return labels, norms / (norms.mean() or 1.0)


def _over_others(array: np.ndarray, axis: int) -> np.ndarray:
    """Sums over all axes but one."""
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1).sum(axis=1)


class _Recorder(keras.optimizers.Optimizer):
    """An optimizer that changes nothing and notes weight times gradient: gradients alike on every backend."""

    def __init__(self) -> None:
        super().__init__(learning_rate=0.0, name="recorder")
        self.products: list[keras.Variable] = []

    def build(self, variables: list[keras.Variable]) -> None:
        """Make room for one product a weight."""
        if not self.built:
            super().build(variables)
            self.products = self.add_optimizer_variables(variables, "product")

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Any) -> None:
        """Note a product."""
        product = keras.ops.cast(gradient, variable.dtype) * keras.ops.convert_to_tensor(variable)
        self.assign(self.products[self._get_variable_index(variable)], product)


def gate_products(model: keras.Model, batches: Iterable[Any], loss: Any) -> Products:
    """For each batch, weight times gradient of the loss, by the names of layer and weight.

    Args:
        model: not changed.
        batches: pairs `(inputs, labels)` as the model is trained on; some hundred examples in all.
        loss: as for `compile`.

    Raises:
        CompressError: there is no batch, or one is no pair or does not fit the model.
    """
    graph = trace(model, simpler=False)
    probe = keras.Model(graph.inputs, graph.outputs)
    for layer in probe.layers:
        layer.trainable = True  # frozen layers are pruned too
    names = {id(weight): (layer.name, weight.name) for layer in probe.layers for weight in layer.weights}
    recorder = _Recorder()
    probe.compile(recorder, loss)
    pairs = labelled(probe, batches, place="importance='taylor': calibration batch")
    found = [_noted(probe, recorder, names, (arranged(probe, arrays), labels)) for arrays, labels in pairs]
    if not found:
        raise CompressError("importance='taylor' got no batch; give pairs of inputs and labels in calibration=")
    return found


def _noted(
    probe: keras.Model, recorder: _Recorder, names: dict[int, tuple[str, str]], pair: tuple[Any, Any]
) -> dict[tuple[str, str], np.ndarray]:
    probe.train_on_batch(*pair)
    noted = zip(probe.trainable_variables, recorder.products, strict=True)
    return {names[id(weight)]: keras.ops.convert_to_numpy(product).copy() for weight, product in noted}
