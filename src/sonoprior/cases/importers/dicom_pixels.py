"""What is read of a DICOM file: a few fields of its header, and its frames as grey levels."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoprior.cases.images import Grey
from sonoprior.core.checks import one_of
from sonoprior.core.errors import DataError, MissingExtraError

try:
    from pydicom import Dataset, dcmread
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_file_meta_info
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.processing import apply_color_lut, apply_voi, apply_windowing
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import UID
except ModuleNotFoundError as error:
    if error.name != "pydicom":
        raise
    raise MissingExtraError(
        "the importer 'dicom' needs pydicom, which comes with the extra 'dicom'; install it with"
        " pip install 'sonoprior[dicom]'."
    ) from error

_MOST_BYTES = 1024**3
_MOST_PIXELS = 64 * 1024**2
_GREYS = ("MONOCHROME1", "MONOCHROME2")
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR")
# What decodes transfer syntaxes that Pillow does not.
_PACKAGES = {
    "1.2.840.10008.1.2.4.51": "python-gdcm",
    "1.2.840.10008.1.2.4.57": "python-gdcm",
    "1.2.840.10008.1.2.4.70": "python-gdcm",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.201": "pylibjpeg and pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.202": "pylibjpeg and pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg and pylibjpeg-openjpeg",
}
# What pydicom and its decoders raise on damaged files.
_DAMAGE = (
    InvalidDicomError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class Header:
    """The fields of a header that are used; "" where one is missing.

    Attributes:
        instance, series, study: UIDs. patient: PatientID.
        model: of the machine.
        burned_in: BurnedInAnnotation, "YES" or "NO".
        frames: how many.
    """

    instance: str
    series: str
    study: str
    patient: str
    model: str
    burned_in: str
    frames: int


def read_header(path: Path) -> Header:
    """The header of a file with pixels that can be read.

    Raises:
        DataError: if it is too large, damaged, no DICOM file, or holds no image of a kind that is read.
    """
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise DataError(f"{path} must not be larger than {_MOST_BYTES:,} bytes, but has {size:,}.")
    try:
        _check_syntax(read_file_meta_info(path).TransferSyntaxUID, path)
        dataset = dcmread(path, stop_before_pixels=True)
        _check_pixels(dataset, path)
        return _header(dataset, path)
    except DataError:
        raise
    except _DAMAGE as error:
        raise DataError(f"{path} is no DICOM file, or a damaged one: {_short(error)}.") from error


class DicomFilm:
    """The frames of a file.

    Args:
        path: of the file.

    Raises:
        DataError: if it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._dataset = dcmread(path)
        except _DAMAGE as error:
            raise DataError(f"{path} is no DICOM file, or a damaged one: {_short(error)}.") from error

    def frame(self, number: int) -> Grey:
        """One frame, (H, W) uint8.

        Raises:
            DataError: if it cannot be decoded.
        """
        try:
            return _grey(pixel_array(self._dataset, index=number), self._dataset)
        except _DAMAGE as error:
            raise DataError(f"{self._path}, frame {number} cannot be decoded: {_short(error)}.") from error


def _header(dataset: Dataset, path: Path) -> Header:
    def text(name: str) -> str:
        return str(dataset.get(name) or "").strip()

    if not text("SOPInstanceUID"):
        raise DataError(f"{path} must have a SOPInstanceUID, but has none.")
    return Header(
        instance=text("SOPInstanceUID"),
        series=text("SeriesInstanceUID"),
        study=text("StudyInstanceUID"),
        patient=text("PatientID"),
        model=text("ManufacturerModelName"),
        burned_in=text("BurnedInAnnotation").upper(),
        frames=int(dataset.get("NumberOfFrames") or 1),
    )


def _check_syntax(syntax: UID, path: Path) -> None:
    if syntax.is_deflated:
        # It is inflated whole before anything can be checked.
        raise DataError(f"{path} is deflated as a whole ({syntax.name}); save it without that.")
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError as error:
        raise DataError(f"{path} is compressed as {syntax.name}, which is not read.") from error
    if not available:
        package = _PACKAGES.get(str(syntax), "python-gdcm")
        raise DataError(
            f"{path} is compressed as {syntax.name}, and no decoder for that is installed; install {package}."
        )


def _check_pixels(dataset: Dataset, path: Path) -> None:
    if "Rows" not in dataset or "Columns" not in dataset:
        raise DataError(f"{path} holds no image.")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if rows * columns > _MOST_PIXELS:
        raise DataError(
            f"{path} must not have more than {_MOST_PIXELS:,} pixels a frame, but has {columns} x {rows}."
        )
    kind = str(dataset.PhotometricInterpretation)
    one_of(f"{path}: the photometric interpretation", kind, (*_GREYS, *_COLOURS), DataError)
    allocated, signed = int(dataset.BitsAllocated), int(dataset.get("PixelRepresentation") or 0)
    if allocated not in (8, 16) or signed:
        came = f"{allocated} {'signed' if signed else 'unsigned'} ones"
        raise DataError(f"{path} must have 8 or 16 unsigned bits a channel, but has {came}.")
    slope, intercept = float(dataset.get("RescaleSlope") or 1), float(dataset.get("RescaleIntercept") or 0)
    if kind in _GREYS and (slope != 1 or intercept != 0 or dataset.get("ModalityLUTSequence")):
        raise DataError(f"{path} must hold grey levels, but holds measurements (its values are rescaled).")


def _grey(pixels: NDArray[np.generic], dataset: Dataset) -> Grey:
    """Grey levels of a decoded frame; pydicom has brought YBR to RGB."""
    kind = str(dataset.PhotometricInterpretation)
    bits = int(dataset.BitsStored)
    if kind == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
        bits = pixels.dtype.itemsize * 8
    expected = (int(dataset.Rows), int(dataset.Columns), *(() if kind in _GREYS else (3,)))
    if pixels.shape != expected:
        raise ValueError(f"its pixels have the shape {pixels.shape}, and the header says {expected}")
    if kind not in _GREYS:
        return np.array(Image.fromarray(_scaled(pixels, bits)).convert("L"))
    levels, bits = _shown(pixels, dataset)
    grey = _scaled(levels, bits)
    return 255 - grey if kind == "MONOCHROME1" else grey


def _shown(pixels: NDArray[np.generic], dataset: Dataset) -> tuple[NDArray[np.generic], int]:
    """Grey levels as the machine meant them to be shown, and how many bits they have."""
    if dataset.get("VOILUTSequence"):
        return apply_voi(pixels, dataset), int(dataset.VOILUTSequence[0].LUTDescriptor[2])
    return apply_windowing(pixels, dataset), int(dataset.BitsStored)


def _scaled(levels: NDArray[np.generic], bits: int) -> Grey:
    highest = 2**bits - 1
    if levels.dtype == np.uint8 and bits == 8:
        return levels.astype(np.uint8, copy=False)
    return np.rint(np.clip(levels.astype(np.float64) / highest, 0, 1) * 255).astype(np.uint8)


def _short(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:300] or type(error).__name__
