"""Words that say nothing of a person wherever they stand: of DICOM, of medicine, of archives that took names away."""

from __future__ import annotations

import re
from functools import cache

from pydicom._dicom_dict import DicomDictionary
from pydicom._uid_dict import UID_dictionary

from fairbank.deid.descriptor_words import WORDS

# What archives write in the place of a name; forms of address; makers; what cleaning itself writes; particles of names.
_NO_NAME_LIST = """
anon anonym anonymous anonymize anonymized anonymised anonimo anonyme deidentified unknown unspecified patient pat name
removed empty null none nobody noname test tester testing dummy phantom fantome phantome sample example case subject
volunteer control xnat subj sub ses pseudonym pseudonymised pseudonymized redacted masked withheld
mrs miss mister madame monsieur herr frau doctor prof professor dipl ing med jun sen junior senior first last mid middle
pre suf prefix suffix baby boy girl male female twin infant son daughter
siemens philips healthineers healthcare general electric toshiba canon hitachi fuji fujifilm agfa kodak hologic varian
elekta samsung esaote mindray shimadzu konica minolta carestream acuson medison aloka varian brainlab united imaging
uih ge medical systems dicom pacs ris his mwl worklist workstation console
fairbank basic research clean option options retain modified dates information longitudinal
max min mid std avg abs raw sum log exp top bottom upper lower out via mono rgb grey gray color colour true false yes
van von vom zum zur den der des ter ten tot det del dal dalla degli della dela dos das los las les san sta saint
bin bint ibn abu umm ben bat ali mac una und
"""


@cache
def terms() -> frozenset[str]:
    """Return the words, in lower case; those of DICOM are of the names of its attributes and UIDs (PS3.6)."""
    names = [entry[2] for entry in DicomDictionary.values()] + [entry[0] for entry in UID_dictionary.values()]
    of_dicom = {word.lower() for name in names for word in re.findall(r"[A-Za-z]{3,}", name)}
    return WORDS | of_dicom | frozenset(_NO_NAME_LIST.split())
