"""A `.tflite` file as C++ source, for firmware that has no file system."""

import re
from pathlib import Path

from compress import flatbuffer, metadata
from compress.export import Artifact
from compress.files import whole
from compress.flatbuffer import Port

_LINE = 16
_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "int32": "int32_t", "float32": "float"}


def c_array(file: Artifact | str | Path, path: str | Path) -> tuple[Path, Path]:
    """Write `path`.h and `path`.cc, which hold the file and what a caller must know of it.

    They compile as C++11. All names begin with `g_` and the stem of `path`; for `model` they are `g_model`, the bytes,
    aligned to 16 as TFLite Micro asks, `g_model_len`, `g_model_input_scale`, `g_model_input_zero_point`, the same of
    the output (real value = (stored - zero point) * scale), `g_model_labels` where the file has labels, and
    `g_model_arena_size` of an artifact for a microcontroller. A comment lists the operators to register.

    Args:
        file: an `Artifact`, or the path of a `.tflite` file.
        path: where to write, with or without a suffix, in a folder that is there.

    Returns:
        The paths of the header and of the source.

    Raises:
        CompressError: the file is missing or damaged, or the two cannot be written.
    """
    source = file.path if isinstance(file, Artifact) else Path(file)
    content = flatbuffer.load(source)
    inside = flatbuffer.inspect(content, origin=str(source))
    about = metadata.read(content)
    path = Path(path)
    header, body = path.with_suffix(".h"), path.with_suffix(".cc")
    name = "g_" + re.sub(r"\W", "_", path.stem, flags=re.ASCII)
    guard = f"{name[2:].upper()}_H_"
    declared = [f"extern const unsigned char {name}[];", f"const unsigned int {name}_len = {len(content)};"]
    if isinstance(file, Artifact) and file.arena_bytes:
        declared += ["// Found in TFLite Micro on a 64-bit machine, with its reference kernels.",
                     f"const unsigned int {name}_arena_size = {file.arena_bytes};"]  # fmt: skip
    for side, ports in (("input", inside.inputs), ("output", inside.outputs)):
        for index, port in enumerate(ports):
            declared += _constants(f"{name}_{side}{index or ''}", port)
    labels = about.labels if about else ()
    if labels:
        declared += [
            f"const unsigned int {name}_label_count = {len(labels)};",
            f"extern const char* const {name}_labels[];",
        ]
    said = [f"// {source.name}: {len(content)} bytes.", f"// Operators: {', '.join(sorted(inside.ops))}."]
    head = [*said, f"#ifndef {guard}", f"#define {guard}", "", *declared, "", f"#endif  // {guard}", ""]
    rows = [content[start : start + _LINE] for start in range(0, len(content), _LINE)]
    lines = [*said, f'#include "{header.name}"', "", f"alignas(16) const unsigned char {name}[] = {{"]
    lines += [f"    {', '.join(f'0x{byte:02x}' for byte in row)}," for row in rows] + ["};", ""]
    if labels:
        lines += [f"const char* const {name}_labels[] = {{", *(f"    {_quoted(label)}," for label in labels), "};", ""]
    with whole(header) as declarations, whole(body) as definitions:  # neither has its name before both are there
        declarations.write_text("\n".join(head), encoding="utf-8")
        definitions.write_text("\n".join(lines), encoding="utf-8")
    return header, body


def _constants(name: str, port: Port) -> list[str]:
    shape = " x ".join(map(str, port.shape)) or "scalar"
    lines = [f"// {_plain(port.name)}: {_TYPES.get(port.dtype, port.dtype)}, {shape}"]
    if port.scale:
        lines += [f"const float {name}_scale = {port.scale:.8e}f;", f"const int {name}_zero_point = {port.zero_point};"]
    return lines


def _plain(text: str) -> str:
    """For a comment of one line: without what could end it, or go on with the next."""
    return "".join(each if each.isprintable() and each != "\\" else "?" for each in text)


def _quoted(text: str) -> str:
    """A C string of UTF-8; escapes are octal, which end after three digits."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}" for byte in text.encode())
    return f'"{"".join(plain)}"'
