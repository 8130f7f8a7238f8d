import subprocess
import sys
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from import_trees import grey, reasons, run, text
from sonoprior.core.errors import DataError

SHAPE = (24, 20)
FRAMES = np.stack([grey() for _ in range(5)])
COLOURS = np.random.default_rng(3).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
KEEP = {"keep_identifiers": True}


def luminance(rgb: np.ndarray) -> np.ndarray:
    """ITU-R 601."""
    return rgb.astype(float) @ [0.299, 0.587, 0.114]


def dataset(pixels: np.ndarray, kind: str = "MONOCHROME2", bits: int = 8, **fields) -> pydicom.Dataset:
    """An ultrasound image or clip as a machine would write it; pixels are (frames, H, W) or (H, W[, 3])."""
    channels = 3 if pixels.shape[-1] == 3 else 1
    many = pixels.ndim - (channels == 3) == 3
    made = pydicom.Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    storage = UltrasoundMultiFrameImageStorage if many else UltrasoundImageStorage
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = storage
    made.SOPInstanceUID = "1.2.3.4.5"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    made.PatientID, made.PatientName = "77-1", "Nobody^Known"
    made.ManufacturerModelName = "Model T"
    made.Rows, made.Columns = pixels.shape[1:3] if many else pixels.shape[:2]
    if many:
        made.NumberOfFrames = len(pixels)
    made.SamplesPerPixel, made.PhotometricInterpretation = channels, kind
    if channels == 3:
        made.PlanarConfiguration = 0
    made.BitsAllocated = pixels.dtype.itemsize * 8
    made.BitsStored, made.HighBit, made.PixelRepresentation = bits, bits - 1, 0
    made.PixelData = pixels.tobytes()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def save(made: pydicom.Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made["PixelData"].VR = "OW" if made.BitsAllocated > 8 else "OB"
    made.save_as(path, enforce_file_format=True)
    return path


def bring(made: pydicom.Dataset, tmp_path: Path, **options):
    save(made, tmp_path / "in" / "file.dcm")
    return run("dicom", tmp_path / "in", tmp_path / "out", **(KEEP | options))


# Pixels


def test_a_still_image(tmp_path):
    report, case_set = bring(dataset(FRAMES[0], BurnedInAnnotation="YES"), tmp_path)
    assert report.left_out == []
    assert case_set.ids == ["1.2.3.4.5"]
    assert np.array_equal(case_set.read_image(0), FRAMES[0])
    assert case_set.column("patient")[0] == "77-1"
    assert case_set.column("exam")[0] == "1.2.3"
    assert case_set.column("device")[0] == "Model T"
    assert case_set.column("extra.series")[0] == "1.2.3.4"
    assert case_set.column("extra.burned_in")[0] == "yes"
    assert case_set.column("clip")[0] is None
    assert case_set.column("frame")[0] is None
    assert "1 files say so, 0 deny it, 0 do not say" in case_set.info.about


def test_the_frames_of_a_clip(tmp_path):
    _, case_set = bring(dataset(FRAMES), tmp_path)
    assert case_set.ids == [f"1.2.3.4.5/{n:05}" for n in range(5)]
    assert case_set.column("clip").tolist() == ["1.2.3.4/1.2.3.4.5"] * 5
    assert case_set.column("frame").tolist() == list("01234")
    assert all(np.array_equal(case_set.read_image(n), FRAMES[n]) for n in range(5))
    assert set(case_set.groups()) == {"patient:77-1"}


def test_every_second_frame(tmp_path):
    _, case_set = bring(dataset(FRAMES), tmp_path, every=2)
    assert case_set.column("frame").tolist() == ["0", "2", "4"]
    assert np.array_equal(case_set.read_image(2), FRAMES[4])


def test_monochrome1_is_the_negative(tmp_path):
    _, case_set = bring(dataset(FRAMES[0], "MONOCHROME1"), tmp_path)
    assert np.array_equal(case_set.read_image(0), 255 - FRAMES[0])


def test_twelve_bits_in_sixteen_are_scaled_by_their_range(tmp_path):
    pixels = np.linspace(0, 4095, 480).astype(np.uint16).reshape(SHAPE)
    _, case_set = bring(dataset(pixels, bits=12), tmp_path)
    assert np.array_equal(case_set.read_image(0), np.rint(pixels / 4095 * 255).astype(np.uint8))


def test_a_window_is_applied(tmp_path):
    ramp = np.arange(480).reshape(SHAPE).clip(0, 255).astype(np.uint8)
    _, case_set = bring(dataset(ramp, WindowCenter=100, WindowWidth=51), tmp_path)
    shown = case_set.read_image(0)
    # PS3.3 C.11.2.1.2: black up to 74.5, white above 124.5, and a line between them.
    assert shown[ramp <= 74].max() == 0
    assert shown[ramp >= 125].min() == 255
    middle = (ramp > 74) & (ramp < 125)
    assert np.allclose(shown[middle], ((ramp[middle] - 99.5) / 50 + 0.5) * 255, atol=0.51)


@pytest.mark.parametrize("planar", [0, 1])
def test_rgb_becomes_luminance(tmp_path, planar):
    made = dataset(COLOURS, "RGB")
    if planar:
        made.PlanarConfiguration, made.PixelData = 1, COLOURS.transpose(2, 0, 1).tobytes()
    _, case_set = bring(made, tmp_path)
    assert np.abs(case_set.read_image(0) - luminance(COLOURS)).max() < 1


def ycbcr() -> np.ndarray:
    smooth = np.kron(COLOURS[::4, ::4], np.ones((4, 4, 1), np.uint8))
    return np.array(Image.fromarray(smooth).convert("YCbCr"))


def test_the_luminance_of_ybr_is_its_y(tmp_path):
    _, case_set = bring(dataset(ycbcr(), "YBR_FULL"), tmp_path)
    assert np.abs(case_set.read_image(0).astype(int) - ycbcr()[..., 0]).max() <= 2


def test_ybr_422_shares_its_colours(tmp_path):
    full = ycbcr()
    shared = np.stack([full[:, ::2, 0], full[:, 1::2, 0], full[:, ::2, 1], full[:, ::2, 2]], axis=-1)
    made = dataset(full, "YBR_FULL_422", PixelData=shared.tobytes())
    _, case_set = bring(made, tmp_path)
    assert np.abs(case_set.read_image(0).astype(int) - full[..., 0]).max() <= 2


def test_a_palette(tmp_path):
    levels = np.arange(256, dtype=np.uint16) * 257
    fields = {
        f"{colour}PaletteColorLookupTable{what}": [256, 0, 16] if what == "Descriptor" else levels.tobytes()
        for colour in ("Red", "Green", "Blue")
        for what in ("Descriptor", "Data")
    }
    _, case_set = bring(dataset(FRAMES[0], "PALETTE COLOR", **fields), tmp_path)
    assert np.abs(case_set.read_image(0).astype(int) - FRAMES[0]).max() <= 1


def jpeg(pixels: np.ndarray) -> bytes:
    packed = BytesIO()
    Image.fromarray(pixels).save(packed, "JPEG", quality=95)
    return packed.getvalue()


def test_a_clip_in_jpegs(tmp_path):
    smooth = np.stack([np.full(SHAPE, 40 * n, np.uint8) for n in range(5)])
    made = dataset(smooth, PixelData=encapsulate([jpeg(frame) for frame in smooth]))
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    _, case_set = bring(made, tmp_path)
    assert [round(case_set.read_image(n).mean()) for n in range(5)] == [0, 40, 80, 120, 160]


def test_a_clip_in_run_lengths(tmp_path):
    made = dataset(FRAMES)
    made.compress(RLELossless, generate_instance_uid=False)
    _, case_set = bring(made, tmp_path)
    assert all(np.array_equal(case_set.read_image(n), FRAMES[n]) for n in range(5))


# Identifiers


def columns_of(case_set) -> str:
    return " ".join(str(cell) for name in case_set.table.columns for cell in case_set.column(name))


def test_identifiers_become_pseudonyms(tmp_path):
    save(dataset(FRAMES), tmp_path / "in" / "Known_Nobody" / "77-1.dcm")
    save(dataset(FRAMES[0], SOPInstanceUID="1.2.3.9"), tmp_path / "in" / "Known_Nobody" / "b")
    other = dataset(FRAMES[1], SOPInstanceUID="1.9", StudyInstanceUID="1.8", PatientID="78")
    save(other, tmp_path / "in" / "c.dcm")
    _, case_set = run("dicom", tmp_path / "in", tmp_path / "out")
    said = columns_of(case_set)
    for secret in ("77-1", "1.2.3", "1.9", "1.8", "Nobody", "Known"):
        assert secret not in said
    # A whole cell: drawn digits may well hold these two.
    assert "78" not in {str(cell) for name in case_set.table.columns for cell in case_set.column(name)}
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    content = b"".join(path.read_bytes() for path in files)
    assert not any(secret in content for secret in (b"77-1", b"1.2.3", b"Nobody", b"Known"))
    assert len(set(case_set.column("patient"))) == 2
    assert len(set(case_set.column("exam"))) == 2
    assert all(len(name) == 16 for name in case_set.column("patient"))


def test_the_same_salt_gives_the_same_names_and_another_others(tmp_path):
    save(dataset(FRAMES[0]), tmp_path / "in" / "a.dcm")
    salt = text(tmp_path / "salt", "a secret of the department")
    patients = []
    for number, options in enumerate(({"salt": salt}, {"salt": salt}, {}, {})):
        _, case_set = run("dicom", tmp_path / "in", tmp_path / f"out{number}", **options)
        patients.append(case_set.column("patient")[0])
    assert patients[0] == patients[1]
    assert len(set(patients)) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"salt": "short"}, "--salt: .*short must hold between 16 and 1,000,000 bytes, but has 4"),
        ({"salt": "none"}, "--salt: .*none is missing or is not a file"),
        ({"salt": "short", **KEEP}, "--salt makes pseudonyms, but --keep-identifiers wants none"),
    ],
)
def test_a_wrong_salt_is_refused(tmp_path, options, message):
    save(dataset(FRAMES[0]), tmp_path / "in" / "a.dcm")
    text(tmp_path / "short", "abcd")
    options = {**options, "salt": tmp_path / options["salt"]}
    with pytest.raises(DataError, match=message):
        run("dicom", tmp_path / "in", tmp_path / "out", **options)


def test_what_is_missing_stays_missing(tmp_path):
    made = dataset(FRAMES)
    for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "ManufacturerModelName"):
        delattr(made, name)
    _, case_set = bring(made, tmp_path)
    assert list(case_set.table.columns) == ["case", "image", "clip", "frame"]
    assert case_set.column("clip")[0] == "1.2.3.4.5"


def test_labels_from_a_csv(tmp_path):
    table = text(tmp_path / "t.csv", "image,label.view,split\nfile.dcm,sac,test\n")
    _, case_set = bring(dataset(FRAMES), tmp_path, labels=str(table))
    assert case_set.labels("view").tolist() == [0] * 5
    assert case_set.column("split").tolist() == ["test"] * 5


# What cannot be used


def with_syntax(uid, **fields) -> pydicom.Dataset:
    made = dataset(FRAMES[0], **fields)
    made.PixelData = encapsulate([b"\0" * 64])
    made.file_meta.TransferSyntaxUID = uid
    return made


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        pytest.param(
            with_syntax(JPEGLSLossless),
            "JPEG-LS Lossless Image Compression, and no decoder for that is installed; install pyjpegls",
            marks=pytest.mark.skipif(
                any(map(find_spec, ("jpeg_ls", "gdcm"))), reason="a decoder is installed"
            ),
        ),
        (with_syntax(MPEG2MPML), "is compressed as MPEG2 Main Profile / Main Level, which is not read"),
        (dataset(FRAMES[0], "YBR_PARTIAL_420"), "the photometric interpretation must be one of MONOCHROME1"),
        (
            dataset(FRAMES[0], PixelRepresentation=1),
            "must have 8 or 16 unsigned bits a channel, but has 8 signed",
        ),
        (
            dataset(FRAMES[0], BitsAllocated=32),
            "must have 8 or 16 unsigned bits a channel, but has 32 unsigned",
        ),
        (
            dataset(FRAMES[0], RescaleSlope=2, RescaleIntercept=-1024),
            "must hold grey levels, but holds measurements",
        ),
        (
            dataset(FRAMES[0], Rows=60000, Columns=60000),
            "67,108,864 pixels a frame, but has 60000 x 60000",
        ),
        (
            dataset(FRAMES[0], NumberOfFrames=30000),
            "must have between 1 and 20,000 frames, but says it has 30,000",
        ),
        (dataset(FRAMES[0], PixelData=bytes(100)), "frame 0 cannot be decoded"),
        (dataset(FRAMES[0], BitsStored=99), "frame 0 cannot be decoded"),
        (dataset(FRAMES[0][:10, :10].copy()), "must have at least 16 x 16 pixels, but has 10 x 10"),
    ],
)
def test_a_file_that_cannot_be_used_is_listed(tmp_path, made, reason):
    save(dataset(FRAMES[1], SOPInstanceUID="1.2.9"), tmp_path / "in" / "good")
    report, case_set = bring(made, tmp_path)
    assert case_set.ids == ["1.2.9"]
    assert reason in reasons(report)
    assert "file.dcm" in reasons(report)
    with pytest.raises(DataError):
        run("dicom", tmp_path / "in", tmp_path / "strict", strict=True)


def test_other_files_damaged_ones_and_copies_are_listed(tmp_path):
    good = save(dataset(FRAMES[0]), tmp_path / "in" / "a.dcm")
    (tmp_path / "in" / "b.dcm").write_bytes(good.read_bytes())
    (tmp_path / "in" / "cut.dcm").write_bytes(good.read_bytes()[:200])
    text(tmp_path / "in" / "no.dcm", "no DICOM")
    text(tmp_path / "in" / "notes.txt", "not looked at")
    text(tmp_path / "in" / "DICOMDIR", "not looked at")
    report_only = dataset(FRAMES[0], SOPInstanceUID="1.7")
    save(report_only, tmp_path / "in" / "report.dcm")
    without = pydicom.dcmread(tmp_path / "in" / "report.dcm")
    for name in ("Rows", "Columns", "PixelData"):
        delattr(without, name)
    without.save_as(tmp_path / "in" / "report.dcm")
    report, case_set = run("dicom", tmp_path / "in", tmp_path / "out", **KEEP)
    assert case_set.ids == ["1.2.3.4.5"]
    said = reasons(report)
    assert "b.dcm is a copy of" in said
    assert "cut.dcm is no DICOM file, or a damaged one" in said
    assert "no.dcm is no DICOM file, or a damaged one" in said
    assert "report.dcm holds no image" in said
    assert len(report.left_out) == 4


def test_a_file_deflated_as_a_whole_is_not_inflated(tmp_path):
    made = dataset(np.zeros(SHAPE, np.uint8))
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    with pytest.raises(DataError, match=r"file\.dcm is deflated as a whole \(Deflated Explicit VR"):
        bring(made, tmp_path)


def test_a_huge_file_is_listed(tmp_path, monkeypatch):
    monkeypatch.setattr("sonoprior.cases.importers.dicom_pixels._MOST_BYTES", 100)
    with pytest.raises(DataError, match=r"file\.dcm must not be larger than 100 bytes"):
        bring(dataset(FRAMES), tmp_path)


def test_a_folder_without_dicom_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match=r"must hold DICOM files .* but has none"):
        run("dicom", tmp_path / "in", tmp_path / "out")


def test_without_pydicom_the_extra_is_named(tmp_path):
    code = (
        "import sys; sys.modules['pydicom'] = None\n"
        "from sonoprior.cli.main import main\n"
        f"main(['data', 'import', 'dicom', {str(tmp_path)!r}, 'out'])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert shown.returncode == 2
    assert "comes with the extra 'dicom'; install it with pip install 'sonoprior[dicom]'" in shown.stderr
