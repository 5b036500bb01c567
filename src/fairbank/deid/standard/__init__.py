"""What DICOM says may stand in an object: elements per SOP class, words per attribute. It knows no profile."""
