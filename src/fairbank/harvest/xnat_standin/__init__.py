"""A stand-in for an XNAT archive, for tests and the demonstration: a folder of DICOM behind XNAT's REST addresses.

It is not XNAT and not meant for patients' data: nothing is ever written, and its users are named by who starts it. It
never leaves the machine unless told to listen elsewhere.
"""
