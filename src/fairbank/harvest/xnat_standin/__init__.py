"""A stand-in for an XNAT archive, for tests and the demonstration: a folder of DICOM behind XNAT's REST addresses.

It is not XNAT and not meant for patients' data: one user, one password, nothing is ever written. It never leaves the
machine unless told to listen elsewhere.
"""
