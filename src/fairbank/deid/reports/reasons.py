"""Why files are held, in words for whoever reads a report: what it means, and what to do."""

from __future__ import annotations

from fairbank.deid.outcomes import Reason

_LOOK = "look at some of the group, then release it or leave it out"
_EXPORT = "export it again from the archive"

MEANINGS: dict[Reason, tuple[str, str]] = {
    Reason.ALREADY_DONE: ("it was cleaned before, and the result is there", "nothing"),
    Reason.ALREADY_DEIDENTIFIED: ("this software has written it", "nothing"),
    Reason.DISCARDED: ("a person decided that its group is not wanted", "nothing"),
    Reason.BURNED_IN: (
        "it says that its pixels hold text, and none was found",
        "leave it out, or mend the mark",
    ),
    Reason.PIXELS_UNVERIFIED: ("a kind of image that often shows text; none was found", _LOOK),
    Reason.PIXELS_REVIEW: ("text was found, and nothing proves that blanking it was enough", _LOOK),
    Reason.PIXELS_UNREADABLE: (
        "no decoder here reads the pixels, which have to be looked at",
        "convert it without loss",
    ),
    Reason.TEXT_REMAINS: (
        "after blanking something like text was still found",
        "blank its place with a recipe",
    ),
    Reason.TEXT_TOOLS_MISSING: ("Tesseract or the extra 'pixels' is not installed", "install them"),
    Reason.IDENTIFIER_IN_PIXELS: ("the subject's own name or number could still be read", "leave it out"),
    Reason.ENCAPSULATED_DOCUMENT: ("a PDF, CDA or other document", "leave it out"),
    Reason.STRUCTURED_REPORT: ("a report, which holds free text", "use the option clean_structured_content"),
    Reason.MEDIA_DIRECTORY: ("a DICOMDIR, which names patients and is no image", "leave it out"),
    Reason.UNKNOWN_SOP_CLASS: ("no kind of object that can be cleaned", "leave it out"),
    Reason.UNKNOWN_TRANSFER_SYNTAX: ("how it is encoded is missing or private", "convert it"),
    Reason.UNKNOWN_CHARACTER_SET: (
        "names in its character set could not be recognised",
        "mend the character set",
    ),
    Reason.UIDS_MISSING: ("study, series or instance have no UID", "mend it"),
    Reason.PIXELS_MISSING: ("an image without pixels", _EXPORT),
    Reason.OVERLAY_IN_PIXELS: ("an overlay inside the pixels could hold text", "clean the pixels first"),
    Reason.UNDECODABLE: ("malformed: elements or frames cannot be walked", _EXPORT),
    Reason.IDENTIFIER_FOUND: (
        "something of the subject was still in the cleaned file",
        "find out in which element",
    ),
    Reason.NOT_VERIFIED: ("the cleaned file breaks a rule of the second look", "tell us which"),
    Reason.SEEN_IDENTIFYING: ("a person saw something identifying in it, or in one of its series", _LOOK),
    Reason.FACE: ("it shows a head from which a face could be made", "decide what becomes of faces"),
    Reason.FACE_REMAINS: (
        "it could not be shown that the face is gone",
        "use another defacer, or leave it out",
    ),
    Reason.FACE_TOOLS_MISSING: (
        "SciPy is missing, so that nobody looked for a face",
        "install the extra 'faces'",
    ),
    Reason.DUPLICATE_INSTANCE: ("another file has the same instance UID", "decide which one is right"),
    Reason.MIXED_SUBJECTS: ("its series names more than one patient", "mend it in the archive"),
    Reason.WITHDRAWN: ("the subject was withdrawn", "leave it out"),
    Reason.NO_CONSENT: ("no consent and no other basis covers the subject", "import the consents"),
    Reason.EMPTY: ("it has no bytes", _EXPORT),
    Reason.NOT_DICOM: ("it is no DICOM file, or nothing in it can be read", "leave it out"),
    Reason.TRUNCATED: ("it ends early", _EXPORT),
    Reason.UNREADABLE: ("the operating system did not give it", "mend the permissions"),
    Reason.WORKER_LOST: ("the process that cleaned it ended twice", "give it more memory, or leave it out"),
}
