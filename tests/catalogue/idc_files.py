"""Small indexes of the Imaging Data Commons for the tests, with what is dirty in the real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = (
    "collection_id", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "source_DOI", "PatientAge", "PatientSex",
    "StudyDate", "BodyPartExamined", "Modality", "Manufacturer", "ManufacturerModelName", "SeriesDescription",
    "license_short_name",
)  # fmt: skip
NUMBERS = ("instanceCount", "series_init_idc_version", "series_revised_idc_version")
CC_BY = "https://creativecommons.org/licenses/by/4.0/"


def series(number: int, **changes: Any) -> dict[str, Any]:
    """One row of the index; the fourth series is of the second study, and so on."""
    row: dict[str, Any] = {
        "collection_id": "lung_ct",
        "PatientID": f"LUNG-{number // 4}",
        "StudyInstanceUID": f"1.2.{number // 3}",
        "SeriesInstanceUID": f"1.2.3.{number}",
        "source_DOI": "10.7937/K9/TCIA.LUNG",
        "PatientAge": "062Y",
        "PatientSex": "F",
        "StudyDate": "1999-01-02",
        "BodyPartExamined": "CHEST",
        "Modality": "CT",
        "Manufacturer": "SIEMENS",
        "ManufacturerModelName": "Sensation 16",
        "SeriesDescription": "Thorax",
        "instanceCount": 100,
        "license_short_name": "CC BY 4.0",
        "series_init_idc_version": 2,
        "series_revised_idc_version": 3,
    }
    return row | changes


LUNGS = [series(number) for number in range(12)]
BRAINS = [
    series(100, collection_id="brain_mr", Modality="MR", BodyPartExamined=None, Manufacturer="GE MEDICAL SYSTEMS"),
    series(101, collection_id="brain_mr", Modality="MR", BodyPartExamined="HEAD", license_short_name="CC BY-NC 3.0"),
]  # fmt: skip


def write_index(
    folder: Path, rows: list[dict[str, Any]], *, version: str = "25.0.5", about: bool = True
) -> Path:
    """Write an index, and beside it what is known of its collections and of the releases."""
    folder.mkdir(parents=True, exist_ok=True)
    columns: dict[str, pa.Array] = {
        **{name: pa.array([row[name] for row in rows], pa.large_string()) for name in TEXTS},
        **{name: pa.array([row[name] for row in rows], pa.int64()) for name in NUMBERS},
    }
    table = pa.table(columns).replace_schema_metadata({"idc_index_data_version": f"{version}-0-gabc"})
    pq.write_table(table, folder / "idc_index.parquet")
    if about:
        pq.write_table(
            pa.Table.from_pylist([about_lungs(), about_brains()]), folder / "collections_index.parquet"
        )
        releases = [
            {"idc_version": number, "version_timestamp": f"202{number}-06-01"} for number in (1, 2, 3)
        ]
        pq.write_table(pa.Table.from_pylist(releases), folder / "version_metadata_index.parquet")
    return folder / "idc_index.parquet"


def about_lungs() -> dict[str, Any]:
    return {
        "collection_name": "Lung-CT",
        "collection_id": "lung_ct",
        "cancer_types": "Lung Cancer, Non-small Cell Lung Cancer",
        "tumor_locations": "Lung",
        "species": "Human",
        "program_id": "nci_trials",
        "description": "CT of lungs,\nin a trial.\x00",
        "sources": [
            source("10.7937/k9/tcia.lung", "Lungs of a trial", "original_data"),
            source("10.5281/zenodo.1", "Outlines of lungs", "analysis_result"),
        ],
    }


def about_brains() -> dict[str, Any]:
    return {**about_lungs(), "collection_name": "Brain-MR", "collection_id": "brain_mr", "program_id": "rider"} | {
        "cancer_types": "Phantom", "sources": [source("10.7937/brain", "Brains", "original_data")],
    }  # fmt: skip


def source(doi: str, title: str, kind: str) -> dict[str, Any]:
    return {
        "source_doi": doi,
        "source_title": title,
        "source_type": kind,
        "source_url": f"https://doi.org/{doi}",
        "provenance": {
            "source_data_provider": "TCIA",
            "deidentification_party": "TCIA" if kind == "original_data" else None,
            "dicom_conversion_by": "NOT_APPLICABLE",
        },
    }
