"""Models by name or by spec: list them, look one up, build it, find its features."""

import difflib
import fnmatch
import re

import keras

from zoo import check
from zoo.contract import CLASSLESS, SERIES, TOKENS, Spec
from zoo.errors import ZooError
from zoo.families import FAMILIES


def list_models(pattern: str = "*", *, task: str | None = None) -> list[str]:
    """Names of models, sorted.

    Args:
        pattern: a name with the wildcards `*`, `?` and `[…]`.
        task: only models for this task, for instance `classify`; None is all.

    Raises:
        ZooError: no family has that task.
    """
    if task is not None:
        check.one_of(task, "task", sorted({family.TASK for family in FAMILIES.values()}))
    return sorted(
        name
        for family in FAMILIES.values()
        if task in (None, family.TASK)
        for name in family.VARIANTS
        if fnmatch.fnmatchcase(name, pattern)
    )


def spec(name: str) -> Spec:
    """The numbers of the architecture `name`; change them with `dataclasses.replace`.

    Raises:
        ZooError: there is no such model; the message names similar ones.
    """
    for family in FAMILIES.values():
        if isinstance(name, str) and name in family.VARIANTS:
            return family.VARIANTS[name]
    near = difflib.get_close_matches(str(name).lower().replace("-", "_"), list_models(), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`python -m zoo list` shows all"
    raise ZooError(f"there is no model {name!r}; {hint}")


def resolve(name_or_spec: str | Spec) -> tuple[str, str, Spec]:
    """Name of the family, name of the model, spec; a spec that is no variant is called like its family."""
    settings = spec(name_or_spec) if isinstance(name_or_spec, str) else name_or_spec
    for family_name, family in FAMILIES.items():
        if isinstance(settings, family.SPEC):
            same = (name for name, variant in family.VARIANTS.items() if variant == settings)
            return family_name, next(same, family_name), settings
    raise ZooError(f"a model is a name or a spec of the zoo, not {name_or_spec!r}")


def build(
    name_or_spec: str | Spec,
    *,
    input_shape: tuple[int, ...],
    classes: int | None = None,
    activation: str | None = None,
    weights: str | None = None,
    offline: bool = False,
) -> keras.Model:
    """A new model: a flat Functional graph of stock Keras layers.

    `keras.utils.set_random_seed` makes the weights repeatable. The layer that ends a stage carries its name
    (`stem`, `stage1`, … `head`): see `endpoints`.

    Args:
        name_or_spec: a name from `list_models`, or a spec.
        input_shape: shape of one example: `(height, width, channels)` of the images, any size that the strides
            leave something of; `(steps, channels)` of a series; `(steps,)` of tokens, where the spec has a
            vocabulary; `(features,)` for an autoencoder. `spec.axes` names them.
        classes: number of classes, or of numbers to forecast; None for a task without classes.
        activation: None gives logits, `softmax` probabilities.
        weights: None draws them; a name from `zoo.weights.published`, which is fetched into the cache unless it is
            there, or the path of a file. The spec gets the changes that named weights need. A head for another
            number of classes stays random. `zoo.weights.load` also tells the normalisation that belongs to them.
        offline: fetch nothing; so does the environment variable `EDGEZOO_OFFLINE=1`.

    Returns:
        A model from float32 examples `(batch, *input_shape)`, already normalised, or int32 tokens `(batch, steps)`,
        to `(batch, classes)` (task `classify`), `(batch, height, width, classes)` (`segment`), `(batch, *input_shape)`
        (`anomaly`) or `(batch, steps, vocabulary)` (`generate`, `translate`); see the family for `embed`.
        Under a mixed precision policy the outputs stay float32.

    Raises:
        ZooError: the model is not known, the shape, classes or activation cannot be, or the weights do not fit.
    """
    if weights is not None:
        # The room of the weights reads this module's names, so it can be asked only when it is needed.
        from zoo.weights import adapted, load

        _, _, plain = resolve(name_or_spec)
        settings = adapted(plain, weights)
        model = build(settings, input_shape=input_shape, classes=classes, activation=activation)
        load(model, weights, spec=settings, offline=offline)
        return model
    family_name, name, settings = resolve(name_or_spec)
    family = FAMILIES[family_name]
    axes = settings.axes
    shape = check.wholes(input_shape, f"input_shape ({', '.join(axes)})", count=len(axes))
    if family.TASK in CLASSLESS:
        if classes is not None or activation is not None:
            raise ZooError(f"{name} is a model for {family.TASK}: it has no classes and no activation; leave both out")
    else:
        classes = check.whole(classes, "classes", least=1 if axes in (SERIES, TOKENS) else 2)
        check.one_of(activation, "activation", (None, "softmax"))
    return family.build(settings, input_shape=shape, classes=classes, activation=activation, name=name)


def endpoints(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """The features of a model of the zoo, in the order of the network: `stem`, `stage1`, … `head`.

    The last `stageN` is what the head pools: `(batch, height, width, channels)`.

    Raises:
        ZooError: the model has no such layers.
    """
    found = {layer.name: layer.output for layer in model.layers if re.fullmatch(r"stem|stage\d+|head", layer.name)}
    if not found:
        raise ZooError(f"{model.name} has no layers named stem, stage1, … head; was it built by the zoo?")
    return found
