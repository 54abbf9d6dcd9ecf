"""The packaged data sets with masks, read from small stand-ins."""

import gzip
import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from recipes.engine import Data, data, datasets
from recipes.engine.errors import UserError
from recipes.engine.sources import volumes
from recipes.engine.sources.registry import TABLE, Copy
from zoo.fetch import File

rng = np.random.default_rng(0)


def nifti(values, *, order="<", slope=0.0, offset=0.0):
    """A NIfTI-1 file, field by field from the standard's table of the header."""
    code = {"u1": 2, "i2": 4, "f4": 16}[values.dtype.str[1:]]
    header = bytearray(352)
    struct.pack_into(f"{order}i", header, 0, 348)
    struct.pack_into(f"{order}8h", header, 40, values.ndim, *values.shape, *[1] * (7 - values.ndim))
    struct.pack_into(f"{order}2h", header, 70, code, 8 * values.dtype.itemsize)
    struct.pack_into(f"{order}3f", header, 108, 352.0, slope, offset)
    header[344:348] = b"n+1\x00"
    return bytes(header) + values.astype(values.dtype.newbyteorder(order)).tobytes(order="F")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_nifti_values_come_back(order, dtype):
    values = rng.integers(0, 200, (3, 4, 5)).astype(dtype)
    np.testing.assert_array_equal(volumes.nifti(nifti(values, order=order)), values)
    scaled = volumes.nifti(nifti(values, order=order, slope=0.5, offset=3.0))
    np.testing.assert_allclose(scaled, values * 0.5 + 3.0)


@pytest.mark.parametrize("content", [b"", b"x" * 400, nifti(np.zeros((2, 2), "u1"))[:344] + b"ni1\x00" + bytes(4)])
def test_what_is_no_nifti_file_is_refused(content):
    with pytest.raises(ValueError, match="no NIfTI-1 file"):
        volumes.nifti(content)


def place(monkeypatch, tmp_path, name, reader, files):
    """Put `files` into the cache as the only copy of the data set `name`."""
    monkeypatch.setenv("EDGEZOO_CACHE", str(tmp_path))
    (tmp_path / name).mkdir()
    known = []
    for file, content in files.items():
        (tmp_path / name / file).write_bytes(content)
        inside = gzip.decompress(content) if file.endswith(".gz") else content
        known.append(File(file, 1, hashlib.sha256(inside).hexdigest(), ""))
    copies = (Copy("home", "", tuple(known), reader),)
    changed = tuple(replace(card, copies=copies) if card.name == name else card for card in TABLE)
    monkeypatch.setattr(datasets, "TABLE", changed)


def brain(monkeypatch, tmp_path):
    """A volume whose grey value tells the slice, with grey matter left and white matter right of the middle."""
    shape = (197, 233, 60)
    t1 = np.broadcast_to(np.arange(60, dtype="u1") + 100, shape)
    grey, white = np.zeros(shape, "u1"), np.zeros(shape, "u1")
    grey[60:98, 100:130, 5:], white[98:136, 100:130, 5:] = 250, 200
    names = ("t1.nii.gz", "gm.nii.gz", "wm.nii.gz")
    files = {name: gzip.compress(nifti(part), 1) for name, part in zip(names, (t1, grey, white), strict=True)}
    place(monkeypatch, tmp_path, "mni152_brain", "brain", files)
    return data.load(Data(source="mni152_brain"), progress=False)


def test_brain_slices_lie_in_blocks_with_gaps(monkeypatch, tmp_path):
    examples = brain(monkeypatch, tmp_path)
    assert examples.task == "segment"
    assert examples.shape == (112, 96, 1)
    assert examples.classes == ("background", "grey matter", "white matter")
    place_of = {
        split: [int(name.rpartition("z")[2]) for name in part.names] for split, part in examples.splits().items()
    }
    # The five empty slices are left out; then 17, 4 lost, 4, 4 lost, 7, 4 lost, and again.
    assert place_of["train"] == [*range(5, 22), *range(45, 60)]
    assert place_of["validation"] == [26, 27, 28, 29]
    assert place_of["test"] == [*range(34, 41)]
    for one in place_of.values():
        for other in place_of.values():
            assert one is other or min(abs(a - b) for a in one for b in other) >= 5
    for image, name in zip(examples.test.inputs, examples.test.names, strict=True):
        assert set(np.unique(image)) == {100 + int(name.rpartition("z")[2])}


def test_brain_masks_lie_where_the_tissue_is(monkeypatch, tmp_path):
    mask = brain(monkeypatch, tmp_path).test.labels[0]
    # x 60 to 97 of 197 are 58 to 95 of the middle 192: columns 29 to 47 of 2 mm, and 48 to 66 on the right.
    # y 100 to 129 of 233 are 96 to 125 of the middle 224: rows 48 to 62 from the back, 49 to 63 from the front.
    grey, white = np.argwhere(mask == 1), np.argwhere(mask == 2)
    assert (grey[:, 1].min(), grey[:, 1].max()) == (29, 47)
    assert (white[:, 1].min(), white[:, 1].max()) == (48, 66)
    assert (grey[:, 0].min(), grey[:, 0].max()) == (49, 63)


def test_nuclei_are_cut_into_tiles_in_order(monkeypatch, tmp_path):
    numbers = np.zeros((512, 512), np.uint16)
    numbers[70:80, 10:20] = 7
    picture = np.zeros((512, 512), np.uint16)
    picture[70:80, 10:20], picture[448:, 448:] = 100, 200
    files = {}
    for name, values in (("img2d.tif", picture), ("mask2d.tif", numbers)):
        Image.fromarray(values).save(tmp_path / name)
        files[name] = (tmp_path / name).read_bytes()
    place(monkeypatch, tmp_path, "nuclei", "nuclei", files)
    examples = data.load(Data(source="nuclei"), progress=False)
    assert examples.shape == (64, 64, 1)
    assert [len(part) for part in examples.splits().values()] == [48, 8, 8]
    assert examples.train.names[8] == "nuclei#row1-column0"
    np.testing.assert_array_equal(np.argwhere(examples.train.labels[8])[[0, -1]], [[6, 10], [15, 19]])
    assert examples.train.labels.sum() == 100
    assert examples.test.inputs[-1].min() == 255
    assert examples.test.inputs[:-1].max() == 0


def test_files_that_are_something_else_are_one_sentence(monkeypatch, tmp_path):
    files = {f"{kind}.nii.gz": gzip.compress(b"spoilt") for kind in ("t1", "gm", "wm")}
    place(monkeypatch, tmp_path, "mni152_brain", "brain", files)
    with pytest.raises(UserError, match=r"the files of mni152_brain in .* are not what they should be \(no NIfTI-1"):
        data.load(Data(source="mni152_brain"), progress=False)
