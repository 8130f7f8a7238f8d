import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sonoprior.cases.images import read_grey, read_indexed, read_mask, read_shape, write_indexed, write_png
from sonoprior.core.errors import DataError

RAMP = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30)


def saved(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_that_claims(path: Path, width: int, height: int) -> Path:
    """A PNG of a few bytes whose header promises a huge image."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    path.write_bytes(start + png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".gif"])
def test_grey_levels_come_back_as_they_were(tmp_path, suffix):
    assert np.array_equal(read_grey(saved(tmp_path / f"a{suffix}", Image.fromarray(RAMP))), RAMP)


def test_what_is_written_is_read(tmp_path):
    write_png(tmp_path / "a.png", RAMP)
    assert np.array_equal(read_grey(tmp_path / "a.png"), RAMP)


def test_sixteen_bits_are_scaled_by_their_full_range(tmp_path):
    deep = RAMP.astype(np.uint16) * 257
    assert np.array_equal(read_grey(saved(tmp_path / "a.png", Image.fromarray(deep))), RAMP)


def test_colours_become_luminance(tmp_path):
    colours = np.zeros((20, 30, 3), np.uint8)
    colours[..., 0], colours[..., 1], colours[..., 2] = 200, 100, 50
    expected = round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    assert (read_grey(saved(tmp_path / "a.png", Image.fromarray(colours))) == expected).all()


def test_a_palette_is_looked_up(tmp_path):
    image = Image.fromarray(RAMP % 3).convert("P")
    image.putpalette([10, 10, 10, 90, 90, 90, 200, 200, 200])
    expected = np.array([10, 90, 200], np.uint8)[RAMP % 3]
    assert np.array_equal(read_grey(saved(tmp_path / "a.png", image)), expected)


def test_what_is_transparent_is_black(tmp_path):
    pixels = np.full((20, 30, 4), 255, np.uint8)
    pixels[:10, :, 3] = 0
    grey = read_grey(saved(tmp_path / "a.png", Image.fromarray(pixels)))
    assert (grey[:10] == 0).all()
    assert (grey[10:] == 255).all()


def test_black_and_white_images_use_the_whole_range(tmp_path):
    image = Image.fromarray(RAMP > 100)
    assert np.array_equal(read_grey(saved(tmp_path / "a.png", image)), np.where(RAMP > 100, 255, 0))


def test_an_image_that_lies_on_its_side_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate clockwise to view
    path = saved(tmp_path / "a.jpg", Image.fromarray(np.full((20, 30), 90, np.uint8)), exif=exif)
    assert read_grey(path).shape == read_shape(path) == (30, 20)


def test_one_pixel_is_an_image(tmp_path):
    assert read_grey(saved(tmp_path / "a.png", Image.new("L", (1, 1), 7))).tolist() == [[7]]


def test_a_header_is_enough_for_the_shape(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(RAMP))
    assert read_shape(path) == (20, 30)


def damaged(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def good_png(folder: Path) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    return saved(folder / "good.png", Image.fromarray(noise)).read_bytes()


def test_a_header_that_promises_too_much_gives_no_shape(tmp_path):
    with pytest.raises(DataError, match="must not have more than 67,108,864 pixels, but has 9000 x 9000"):
        read_shape(png_that_claims(tmp_path / "big.png", 9_000, 9_000))


@pytest.mark.parametrize("read", [read_grey, lambda path: read_mask(path, (40, 40))])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: d / "none.png", r"none\.png is missing or is not a file"),
        (lambda d: d, r"is missing or is not a file"),
        (lambda d: damaged(d, "zero.png", b""), r"zero\.png must be an image, but is empty \(0 bytes\)"),
        (lambda d: damaged(d, "text.png", b"hello, world"), r"text\.png must be a PNG, JPEG, .* but is none"),
        (lambda d: damaged(d, "cut.png", good_png(d)[:900]), r"cut\.png is damaged or cut short"),
        (
            lambda d: damaged(d, "head.png", good_png(d)[:20]),
            r"head\.png (is damaged or cut short|must be a PNG)",
        ),
        (
            lambda d: png_that_claims(d / "bomb.png", 60_000, 60_000),
            r"bomb\.png must not have more than 67,108,864 pix",
        ),
        (lambda d: png_that_claims(d / "big.png", 9_000, 9_000), r"big\.png must not .* but has 9000 x 9000"),
        (
            lambda d: saved(
                d / "film.gif",
                Image.new("L", (9, 9)),
                save_all=True,
                append_images=[Image.new("L", (9, 9), 9)],
            ),
            r"film\.gif must be one still image, but holds 2 frames",
        ),
    ],
)
def test_what_is_not_an_image_is_named(tmp_path, read, make, message):
    with pytest.raises(DataError, match=message):
        read(make(tmp_path))


def test_an_image_of_too_many_bytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sonoprior.cases.images._MOST_BYTES", 10)
    with pytest.raises(DataError, match=r"a\.png must not be larger than 10 bytes, but has \d+"):
        read_grey(saved(tmp_path / "a.png", Image.fromarray(RAMP)))


@pytest.mark.parametrize(
    ("top", "message"), [(np.float32(0.5), "floating point"), (np.int32(99_999), "up to 99999")]
)
def test_other_depths_are_refused(tmp_path, top, message):
    path = saved(tmp_path / "a.tif", Image.fromarray(np.full((20, 30), top)))
    with pytest.raises(DataError, match=f"must have 8 or 16 bits a channel, .*{message}"):
        read_grey(path)


@settings(max_examples=60, deadline=None)
@given(
    place=st.integers(0, 10_000),
    value=st.integers(0, 255),
    suffix=st.sampled_from(["png", "jpg", "tif", "bmp", "gif", "webp"]),
)
def test_a_changed_byte_gives_an_image_or_a_data_error(tmp_path_factory, place, value, suffix):
    folder = tmp_path_factory.mktemp("flip")
    content = bytearray(saved(folder / f"good.{suffix}", Image.fromarray(RAMP)).read_bytes())
    content[place % len(content)] = value
    path = damaged(folder, f"bad.{suffix}", bytes(content))
    outcome = read_or_refused(path)
    assert outcome.startswith(f"{path} ") or outcome == "uint8"


def read_or_refused(path: Path) -> str:
    try:
        return str(read_grey(path).dtype)
    except DataError as error:
        return str(error)


@pytest.mark.parametrize("inside", [1, 255])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_mask_is_what_is_not_black(tmp_path, inside, kind):
    drawn = RAMP > 200
    path = saved(tmp_path / "m.png", Image.fromarray((drawn * inside).astype(kind)))
    assert np.array_equal(read_mask(path, (20, 30)), drawn)


def test_the_noise_of_a_jpeg_is_outside(tmp_path):
    drawn = np.zeros((64, 64), np.uint8)
    drawn[20:40, 20:40] = 255
    path = saved(tmp_path / "m.jpg", Image.fromarray(drawn), quality=40)
    assert np.array_equal(read_mask(path, (64, 64)), drawn > 0)


def test_an_outline_of_another_size_names_both(tmp_path):
    path = saved(tmp_path / "m.png", Image.fromarray(RAMP))
    with pytest.raises(
        DataError, match=r"m\.png must have the size of its image, 31 x 20 pixels .* but has 30 x 20"
    ):
        read_mask(path, (20, 31))


def test_indices_survive_whatever_the_palette(tmp_path):
    write_indexed(tmp_path / "z.png", RAMP)
    assert Image.open(tmp_path / "z.png").mode == "P"
    assert np.array_equal(read_indexed(tmp_path / "z.png", (20, 30)), RAMP)
    plain = saved(tmp_path / "grey.png", Image.fromarray(RAMP))
    assert np.array_equal(read_indexed(plain, (20, 30)), RAMP)


def test_a_coloured_zone_map_is_refused(tmp_path):
    path = saved(tmp_path / "z.png", Image.new("RGB", (30, 20)))
    with pytest.raises(
        DataError, match=r"z\.png must be an indexed or an 8-bit grey PNG, but has the mode 'RGB'"
    ):
        read_indexed(path, (20, 30))
