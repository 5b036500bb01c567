"""Imaging biomarkers that a dataset may come with: a closed list, each with its code.

Names are ours and never change; codes are those of DICOM (coding schemes DCM and SCT), or of the Image Biomarker
Standardisation Initiative for its families of radiomic features, which have a permanent identifier and no IRI.

Sources: DICOM PS3.16 2024b, annex D and the context groups that hold the codes; Zwanenburg et al. 2016, The image
biomarker standardisation initiative (arXiv:1612.07003), section 3, identifiers of the feature families.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fairbank.ontology import terms


@dataclass(frozen=True, slots=True)
class Biomarker:
    """A quantity that is measured in images.

    Attributes:
        name: how a record names it.
        label: how readers know it.
        scheme: coding scheme: `DCM`, `SCT` or `IBSI`.
        code: its code there.
    """

    name: str
    label: str
    scheme: str
    code: str

    @property
    def notation(self) -> str:
        """Return scheme and code as one word, such as `IBSI:LFYI`."""
        return f"{self.scheme}:{self.code}"

    @property
    def iri(self) -> str | None:
        """Return the IRI of the code; IBSI has none."""
        if self.scheme == "IBSI":
            return None
        return terms.dicom_code(self.code) if self.scheme == "DCM" else terms.snomed_code(self.code)


BIOMARKERS: Final[dict[str, Biomarker]] = {
    each.name: each
    for each in (
        Biomarker("adc", "Apparent Diffusion Coefficient", "DCM", "113041"),
        Biomarker("attenuation", "X-Ray Attenuation Coefficient", "DCM", "110851"),
        Biomarker("breast-density", "Mammography breast density", "SCT", "129793001"),
        Biomarker("calcium-score", "Calcium score", "DCM", "112058"),
        Biomarker("ejection-fraction", "Cardiac ejection fraction", "SCT", "70822001"),
        Biomarker("fat-fraction", "Fat fraction", "DCM", "129100"),
        Biomarker("fractional-anisotropy", "Fractional Anisotropy", "DCM", "110808"),
        Biomarker("ktrans", "Ktrans", "DCM", "126312"),
        Biomarker("mean-transit-time", "Mean Transit Time", "DCM", "113052"),
        Biomarker("metabolic-volume", "Metabolic Volume", "DCM", "126032"),
        Biomarker("rcbf", "Regional Cerebral Blood Flow", "DCM", "113055"),
        Biomarker("rcbv", "Regional Cerebral Blood Volume", "DCM", "113056"),
        Biomarker("recist", "RECIST 1.1", "DCM", "126081"),
        Biomarker("suv", "Standardized Uptake Value", "DCM", "126400"),
        Biomarker("t2", "T2", "DCM", "113065"),
        Biomarker("t2-star", "T2*", "DCM", "113064"),
        Biomarker("total-lesion-glycolysis", "Total Lesion Glycolysis", "DCM", "126033"),
        Biomarker("ibsi-morphology", "IBSI morphological features", "IBSI", "HCUG"),
        Biomarker("ibsi-local-intensity", "IBSI local intensity features", "IBSI", "9ST6"),
        Biomarker("ibsi-statistics", "IBSI intensity-based statistical features", "IBSI", "UHIW"),
        Biomarker("ibsi-histogram", "IBSI intensity histogram features", "IBSI", "ZVCW"),
        Biomarker("ibsi-volume-histogram", "IBSI intensity-volume histogram features", "IBSI", "P88C"),
        Biomarker("ibsi-glcm", "IBSI grey level co-occurrence features", "IBSI", "LFYI"),
        Biomarker("ibsi-glrlm", "IBSI grey level run length features", "IBSI", "TP0I"),
        Biomarker("ibsi-glszm", "IBSI grey level size zone features", "IBSI", "9SAK"),
        Biomarker("ibsi-gldzm", "IBSI grey level distance zone features", "IBSI", "VMDZ"),
        Biomarker("ibsi-ngtdm", "IBSI neighbourhood grey tone difference features", "IBSI", "IPET"),
        Biomarker("ibsi-ngldm", "IBSI neighbouring grey level dependence features", "IBSI", "REK0"),
    )
}
