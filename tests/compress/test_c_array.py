"""A file as C++ source: it compiles, and holds every byte, the scales and the labels."""

import dataclasses
import errno
import shutil
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest

import compress

LABELS = ('say "hi"', "naïve ☂", "what??/", "back\\slash", "9")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(5)(inputs))
    x = np.random.default_rng(0).normal(size=(16, 6)).astype(np.float32)
    path = tmp_path_factory.mktemp("files") / "m.tflite"
    made = compress.export(model, path, calibration=[x], metadata=compress.Metadata("net", labels=LABELS))
    return dataclasses.replace(made, arena_bytes=3072)


PROGRAM = """
#include <cstdint>
#include <cstdio>
#include "model.h"
int main() {
    std::printf("%u %u %u\\n", g_model_len, g_model_arena_size, unsigned(reinterpret_cast<uintptr_t>(g_model) % 16));
    std::printf("%.9g %d %.9g %d\\n", g_model_input_scale, g_model_input_zero_point, g_model_output_scale,
                g_model_output_zero_point);
    for (unsigned int i = 0; i < g_model_label_count; ++i) std::printf("%s\\n", g_model_labels[i]);
    for (unsigned int i = 0; i < g_model_len; ++i) std::printf("%02x", g_model[i]);
}
"""


@pytest.mark.skipif(not shutil.which("c++"), reason="there is no C++ compiler")
def test_it_compiles_and_tells_what_the_file_tells(artifact, tmp_path):
    assert compress.c_array(artifact, tmp_path / "model.cc") == (tmp_path / "model.h", tmp_path / "model.cc")
    (tmp_path / "main.cc").write_text(PROGRAM)
    command = ["c++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-variable", "-o", "main"]
    subprocess.run([*command, "main.cc", "model.cc"], cwd=tmp_path, check=True)
    told = subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout.decode().split("\n")
    assert told[0] == f"{artifact.bytes} 3072 0"
    scales = told[1].split()
    assert [np.float32(scales[0]), np.float32(scales[2])] == [artifact.input.scale, artifact.output.scale]
    assert [int(scales[1]), int(scales[3])] == [artifact.input.zero_point, artifact.output.zero_point]
    assert tuple(told[2:7]) == LABELS
    assert bytes.fromhex(told[7]) == artifact.path.read_bytes()


def test_the_bytes_are_all_there_in_order(artifact, tmp_path):
    header, source = compress.c_array(artifact.path, tmp_path / "key word-1")
    text = source.read_text()
    assert "alignas(16) const unsigned char g_key_word_1[] = {" in text and f'#include "{header.name}"' in text
    array = text[text.index("[] = {") + 6 : text.index("};")]
    assert bytes(int(number, 16) for number in array.replace(",", " ").split()) == artifact.path.read_bytes()
    assert "arena_size" not in header.read_text()  # a bare file does not say
    assert "FULLY_CONNECTED" in header.read_text()


def test_what_cannot_be_written_is_said(artifact, tmp_path):
    with pytest.raises(compress.CompressError, match=r"nowhere is no folder, so model\.\w+ cannot be written"):
        compress.c_array(artifact, tmp_path / "nowhere" / "model")
    with pytest.raises(compress.CompressError, match=r"gone\.tflite cannot be read"):
        compress.c_array(tmp_path / "gone.tflite", tmp_path / "model")


def test_a_pair_that_is_cut_off_leaves_the_old_one(artifact, tmp_path, monkeypatch):
    pair = compress.c_array(artifact, tmp_path / "model")
    before = [path.read_bytes() for path in pair]
    write = Path.write_text

    def full(path, text, **settings):
        if ".cc" in path.name:
            write(path, text[:100], **settings)
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, text, **settings)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(compress.CompressError, match=r"model\.cc cannot be written: No space"):
        compress.c_array(dataclasses.replace(artifact, arena_bytes=9), tmp_path / "model")
    assert [path.read_bytes() for path in pair] == before
    assert sorted(tmp_path.iterdir()) == sorted(pair)
