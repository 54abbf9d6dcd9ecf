"""The spec that published weights were trained with."""

import dataclasses
from pathlib import Path

from zoo.contract import Spec
from zoo.families import FAMILIES
from zoo.models import resolve
from zoo.weights.table import NEUTRAL, published


def adapted(spec: Spec, source: str) -> Spec:
    """`spec` with the changes that the weights `source` need, as the padding of another framework.

    A spec that is no variant of the zoo, but for its dropout, and one for a file are given back as they are.

    Args:
        spec: what is to be built.
        source: a name from `published`, or the path of a file.
    """
    if Path(source).expanduser().is_file():
        return spec
    family, _, _ = resolve(spec)
    neutral = {name: getattr(spec, name) for name in NEUTRAL if hasattr(spec, name)}
    for name, variant in FAMILIES[family].VARIANTS.items():
        if dataclasses.replace(variant, **neutral) == spec:
            changes = next((entry.changes for entry in published(name) if entry.name == source), {})
            return dataclasses.replace(spec, **changes)
    return spec
