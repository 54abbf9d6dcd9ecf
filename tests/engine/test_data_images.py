import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from recipes.engine.errors import UserError
from recipes.engine.sources import images
from recipes.engine.sources.images import BadImage

rng = np.random.default_rng(7)
COLOUR = rng.integers(0, 256, (12, 20, 3), dtype=np.uint8)
GREY = COLOUR[..., 0]


def read(path, channels, size=(12, 20)):
    return images.to_array(path, size=size, channels=channels)


def huge_png(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp"])
def test_lossless_formats_come_back_exactly(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(COLOUR).save(path, lossless=True)
    np.testing.assert_array_equal(read(path, 3), COLOUR)


def test_jpeg_is_what_pillow_decodes(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(COLOUR).save(path, quality=90)
    with Image.open(path) as image:
        np.testing.assert_array_equal(read(path, 3), np.asarray(image))


def test_grey_is_kept_and_repeated_for_rgb(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(GREY).save(path)
    np.testing.assert_array_equal(read(path, 1)[..., 0], GREY)
    np.testing.assert_array_equal(read(path, 3), np.repeat(GREY[..., None], 3, axis=-1))
    assert images.header(path).grey


def test_colour_becomes_grey_by_the_luma_weights_of_bt_601(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(COLOUR).save(path)
    luma = COLOUR @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read(path, 1)[..., 0] - luma).max() <= 1
    assert not images.header(path).grey


def test_a_palette_image_has_the_colours_of_its_palette(tmp_path):
    path = tmp_path / "a.png"
    palette = Image.fromarray(COLOUR).quantize(256)
    palette.save(path)
    np.testing.assert_array_equal(read(path, 3), np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("grey", [False, True])
def test_transparency_is_put_on_white(tmp_path, grey):
    path = tmp_path / "a.png"
    alpha = np.tile(np.array([[0], [255]], np.uint8), (6, 20))
    base = np.repeat(GREY[..., None], 3, axis=-1) if grey else COLOUR
    if grey:
        Image.merge("LA", (Image.fromarray(GREY), Image.fromarray(alpha))).save(path)
    else:
        Image.fromarray(np.dstack([COLOUR, alpha])).save(path)
    expected = np.where(alpha[..., None] == 0, 255, base)
    np.testing.assert_array_equal(read(path, 3), expected)


def test_a_transparent_palette_entry_is_put_on_white(tmp_path):
    path = tmp_path / "a.png"
    image = Image.new("P", (20, 12), 1)
    image.putpalette([9, 9, 9, 10, 20, 30])
    image.paste(0, (0, 0, 10, 12))
    image.save(path, transparency=0)
    found = read(path, 3)
    assert (found[:, :10] == 255).all()
    assert (found[:, 10:] == [10, 20, 30]).all()


def test_sixteen_bits_become_eight(tmp_path):
    path = tmp_path / "a.png"
    wide = np.linspace(0, 65535, 240).round().astype(np.uint16).reshape(12, 20)
    Image.fromarray(wide).save(path)
    np.testing.assert_array_equal(read(path, 1)[..., 0], np.rint(wide / 257))
    assert images.header(path).grey


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.swapaxes(0, 1)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).swapaxes(0, 1)),
        (8, lambda a: np.rot90(a, 1)),
    ],
)
def test_exif_orientation_is_applied(tmp_path, orientation, undo):
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COLOUR).save(path, exif=exif)
    expected = undo(COLOUR)
    head = images.header(path)
    assert (head.height, head.width) == expected.shape[:2]
    np.testing.assert_array_equal(read(path, 3, size=expected.shape[:2]), expected)


def test_resizing_is_pillows_antialiased_bilinear(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(COLOUR).save(path)
    expected = Image.fromarray(COLOUR).resize((7, 5), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(read(path, 3, size=(5, 7)), np.asarray(expected))


def test_a_large_jpeg_is_decoded_at_less_than_full_size_and_looks_the_same(tmp_path):
    path = tmp_path / "a.jpg"
    smooth = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize(
        (640, 480), Image.Resampling.BICUBIC
    )
    smooth.save(path, quality=95)
    expected = np.asarray(smooth.resize((32, 24), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(read(path, 3, size=(24, 32)) - expected).max() <= 6


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp"])
def test_a_file_cut_short_is_bad(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=rf"a\.{suffix} cannot be read: it is (cut short|damaged)"):
        read(path, 3)


def test_a_progressive_jpeg_cut_short_is_bad(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path, progressive=True)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(UserError, match="cut short"):
        read(path, 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "the file is empty"), (b"just some text\n", "no image"), (b"\x89PNG\r\n\x1a\n????", "image|damaged|cut")],
)
def test_what_is_no_image_is_bad(tmp_path, content, reason):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(BadImage, match=reason):
        images.header(path)


def test_missing_files_folders_and_permissions(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"gone\.png cannot be read: there is no such file"):
        read(tmp_path / "gone.png", 3)
    with pytest.raises(UserError, match="it is a folder"):
        read(tmp_path, 3)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(UserError, match="no permission"):
        read(tmp_path / "secret.png", 3)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (10_001, 10_000)])
def test_too_many_pixels_are_refused_from_the_header(tmp_path, monkeypatch, width, height):
    path = tmp_path / "bomb.png"
    path.write_bytes(huge_png(width, height))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    with pytest.raises(BadImage, match="100 megapixels"):
        images.header(path)


def test_damaged_bytes_never_raise_anything_else():
    for suffix in ("JPEG", "PNG", "BMP", "WEBP"):
        stream = io.BytesIO()
        Image.fromarray(COLOUR).save(stream, suffix)
        good = stream.getvalue()
        for _ in range(60):
            bad = bytearray(good)
            for place in rng.integers(0, len(bad), 4):
                bad[place] = rng.integers(0, 256)
            try:
                found = images.pixels(io.BytesIO(bytes(bad)), size=(12, 20), channels=3)
            except BadImage:
                continue
            assert found.shape == (12, 20, 3)
