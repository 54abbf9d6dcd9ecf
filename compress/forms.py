"""The number formats of a file, and ai-edge-quantizer, which brings a float file into them."""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from compress import flatbuffer

Quantize = Literal["int8", "int16x8", "float16", "dynamic", "dynamic4", "weights8", "weights4", "none"]

FORMS: tuple[Quantize, ...] = get_args(Quantize)
STATIC: tuple[Quantize, ...] = ("int8", "int16x8")
"""Integers throughout, by ranges of the activations that someone has measured or trained."""

SIGNATURE = "serve"

Example = dict[str, np.ndarray]
"""One example: for each input, by name, an array whose first axis is 1."""


def quantized(
    content: bytes,
    form: Quantize | Mapping[str, Quantize],
    examples: Sequence[Example] = (),
    ranges: Mapping[str, Any] | None = None,
    left: Sequence[str] = (),
) -> bytes:
    """A float file in a number format, by ai-edge-quantizer.

    Args:
        content: the file.
        form: for all of it; or for each operator by the names of its outputs, as ai-edge-quantizer joins them. One
            that is not told stays float.
        examples: of what the model will see, where a form is `STATIC`.
        ranges: trained ones in their place, of tensors by name; the weights then lie on their steps, one a tensor in
            Dense and Conv2DTranspose.
        left: names of tensors whose operators stay float, where the form is one for all.
    """
    from ai_edge_quantizer import quantizer, recipe_manager

    manager, names = recipe_manager.RecipeManager(), quantizer.qtyping.TFLOperationName
    if isinstance(form, str):
        _ask(manager, ".*", form)
        if ranges is not None:
            one_step = quantizer.qtyping.QuantGranularity.TENSORWISE
            for name in (names.FULLY_CONNECTED, names.CONV_2D_TRANSPOSE):
                manager.add_static_config(".*", name, 8 if form == "int8" else 16, 8, one_step)
        inside = flatbuffer.computed_in_loops(content) if form in STATIC else []  # there are no ranges inside
        for outputs in filter(None, (inside, left)):
            no = quantizer.AlgorithmName.NO_QUANTIZE
            manager.add_quantization_config(_one_of(outputs), names.ALL_SUPPORTED, algorithm_key=no)
        if inside:
            manager.add_dynamic_config(_one_of(inside), names.FULLY_CONNECTED, num_bits=8)
    else:
        for each in dict.fromkeys(form.values()):
            _ask(manager, _any_of(scope for scope, its in form.items() if its == each), each)
    rewriter = quantizer.Quantizer(bytearray(content), manager.get_quantization_recipe())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the interpreter, about keeping intermediate tensors
        if examples:
            ranges = extremes(content, examples, manager)
        return bytes(rewriter.quantize(ranges, enable_progress_report=False).quantized_model)


def _one_of(outputs: Iterable[str]) -> str:
    """A pattern for the operators that give one of the tensors named."""
    return "|".join(f"(^|;){re.escape(name)};" for name in outputs)


def _any_of(scopes: Iterable[str]) -> str:
    return f"^({'|'.join(map(re.escape, scopes))})$"


def _ask(manager: Any, where: str, form: Quantize) -> None:
    """Add to a recipe what a form asks of the operators whose outputs' names match `where`.

    Of two rules that match an operator the later counts, if the quantizer has it for that operator: where it has no 4
    bits (in version 0.10: depthwise and transposed convolutions), the 8 bits before do. Rows of a table come as floats
    from EMBEDDING_LOOKUP whatever the form is: to restore the whole table first, as for a kernel, would be waste.
    """
    from ai_edge_quantizer import quantizer

    names, algorithms = quantizer.qtyping.TFLOperationName, quantizer.AlgorithmName
    everything, rows = names.ALL_SUPPORTED, names.EMBEDDING_LOOKUP
    if form in STATIC:
        bits = 8 if form == "int8" else 16
        manager.add_static_config(where, everything, activation_num_bits=bits, weight_num_bits=8)
        manager.add_dynamic_config(where, rows, num_bits=8)
    elif form == "float16":
        manager.add_weight_only_config(where, everything, num_bits=16, algorithm_key=algorithms.FLOAT_CASTING)
    else:
        add = manager.add_dynamic_config if form.startswith("dynamic") else manager.add_weight_only_config
        add(where, everything, num_bits=8)
        manager.add_dynamic_config(where, rows, num_bits=8)
        if form.endswith("4"):
            again = f"(?:{where})"  # a rule for the same words would replace the first
            add(again, everything, num_bits=4)
            manager.add_dynamic_config(again, rows, num_bits=4)


def extremes(content: bytes, examples: Sequence[Example], recipe: Any) -> Any:
    """Lowest and highest value of every tensor over all examples.

    The quantizer's own `calibrate` averages over single images, which clips the extremes of most. Of a file with a
    loop only its calibration by profile can read the tensors.
    """
    from ai_edge_quantizer.calibrator import CalibrationMode, Calibrator
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    modes = CalibrationMode
    looped = "WHILE" in flatbuffer.operators(content)
    mode = modes.CALIBRATION_PROFILER_BASED if looped else modes.CALIBRATION_PRESERVE_ALL_TENSORS
    calibrator = Calibrator(content, num_threads=1, mode=mode, qsv_update_func=min_max_update)
    calibrator.calibrate({SIGNATURE: examples}, recipe)
    return calibrator.get_model_qsvs()
