"""Published image sets as DICOM with a table of labels, so that a benchmark trains on them through real nodes.

Each image becomes a secondary capture of a subject of its own, in the folder `images`; `labels.csv` has one line for
each subject, and `mapping.toml` says to `fairbank harvest variables import` what its column means. A node takes both
as a hospital's: the images through de-identification and harvest, the table as a clinical variable.

    python -m bench.parts.labelled_images mnist FOLDER --into north --part 0 --parts 3 --count 600
"""

from __future__ import annotations

import argparse
import csv
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)

Images = NDArray[np.uint8]
VARIABLE = "digit"
_SEED = "fairbank bench"


def write_labelled(images: Images, labels: Sequence[str], into: Path, *, first: int = 0) -> int:
    """Write images, (n, rows, columns) uint8, as DICOM with a table of their labels; return how many.

    Args:
        first: number of the first subject, so that sites have different ones.
    """
    folder = into / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with (into / "labels.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["patient", VARIABLE])
        for number, (image, label) in enumerate(zip(images, labels, strict=True), first):
            capture(image, f"S{number:06d}").save_as(folder / f"{number:06d}.dcm", enforce_file_format=True)
            table.writerow([f"S{number:06d}", label])
    (into / "mapping.toml").write_text(mapping(sorted(set(labels))))
    return len(labels)


def write_bundled(
    images: Images,
    labels: Sequence[str],
    into: Path,
    *,
    first: int = 0,
    most: int = 100,
    about: str = "Digit",
) -> int:
    """Write images, (n, rows, columns) uint8, as one multi-frame file for up to `most` of them of one label.

    Each file is a subject of its own. The files lie in `into`; the table of labels and its mapping lie beside it.

    Returns:
        How many files there are.
    """
    into.mkdir(parents=True, exist_ok=True)
    words, number = np.array(labels), first
    with (into.parent / "labels.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["patient", VARIABLE])
        for word in sorted(set(labels)):
            places = np.flatnonzero(words == word)
            for start in range(0, len(places), most):
                frames = images[places[start : start + most]]
                subject = f"S{number:06d}"
                capture(frames, subject).save_as(into / f"{number:06d}.dcm", enforce_file_format=True)
                table.writerow([subject, word])
                number += 1
    (into.parent / "mapping.toml").write_text(mapping(sorted(set(labels)), about=about))
    return number - first


def capture(image: Images, subject: str) -> Dataset:
    """Return one image, (rows, columns) uint8, as a secondary capture, or several, (n, rows, columns), as one of many
    frames; equal subjects have equal UIDs.
    """
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.SOPClassUID = SecondaryCaptureImageStorage
    if image.ndim == 3:
        found.SOPClassUID = MultiFrameGrayscaleByteSecondaryCaptureImageStorage
        found.NumberOfFrames = len(image)
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID
    uid = {kind: generate_uid(entropy_srcs=[_SEED, subject, kind]) for kind in ("study", "series", "image")}
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID = uid["image"]
    found.StudyInstanceUID, found.SeriesInstanceUID = uid["study"], uid["series"]
    found.PatientID = found.PatientName = subject
    found.Modality, found.ConversionType, found.InstanceNumber = "OT", "WSD", 1
    found.BurnedInAnnotation = "NO"
    found.StudyDate, found.StudyTime = "20200101", "120000"
    found.Rows, found.Columns = image.shape[-2:]
    found.SamplesPerPixel, found.PhotometricInterpretation, found.PixelRepresentation = 1, "MONOCHROME2", 0
    found.BitsAllocated, found.BitsStored, found.HighBit = 8, 8, 7
    pixels = image.tobytes()
    found.PixelData = pixels + b"\0" * (len(pixels) % 2)
    return found


def mapping(words: Sequence[str], *, about: str = "Digit") -> str:
    """Return the mapping file of the table: each word is a code of its own; no terminology knows such a variable."""
    values = ", ".join(f'"{word}" = "{word}"' for word in words)
    return (
        'source = "published-labels"\n\n[subject]\ncolumn = "patient"\n\n'
        f"[variables.{VARIABLE}]\n"
        f'column = "{VARIABLE}"\nlabel = "{about} that the image shows"\ncode = "LOINC:8251-1"\n'
        f'kind = "coded"\nvalues = {{ {values} }}\n'
    )


def idx(file: Path) -> NDArray[np.uint8]:
    """Return the array of an idx file, packed or not.

    Source: LeCun, Cortes & Burges, the MNIST database, "File formats".
    """
    stored = file.read_bytes()
    body = gzip.decompress(stored) if file.suffix == ".gz" else stored
    dimensions = body[3]
    shape = tuple(int.from_bytes(body[4 + 4 * n : 8 + 4 * n], "big") for n in range(dimensions))
    return np.frombuffer(body, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def thirds(labels: NDArray[np.uint8], part: int, parts: int) -> NDArray[np.int64]:
    """Return the places of one of several parts with the same share of each class."""
    found = [np.flatnonzero(labels == label)[part::parts] for label in np.unique(labels)]
    return np.sort(np.concatenate(found))


def main() -> None:
    """Write one site's part of a published set."""
    said = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    said.add_argument("name", choices=["mnist"])
    said.add_argument("folder", type=Path, help="where the idx files lie")
    said.add_argument("--into", type=Path, required=True)
    said.add_argument("--part", type=int, default=0)
    said.add_argument("--parts", type=int, default=3)
    said.add_argument("--count", type=int, default=20_000)
    given = said.parse_args()
    images, labels = (idx(_one(given.folder, pattern)) for pattern in ("train-images*", "train-labels*"))
    places = thirds(labels, given.part, given.parts)[: given.count]
    words = [str(label) for label in labels[places]]
    written = write_labelled(images[places], words, given.into, first=given.part * 100_000)
    print(f"{written} images in {given.into}")


def _one(folder: Path, pattern: str) -> Path:
    found: Iterator[Path] = iter(sorted(folder.glob(pattern)))
    return next(found)


if __name__ == "__main__":
    main()
