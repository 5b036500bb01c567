"""Clinical variables of subjects: read from tables, REDCap and FHIR, coded, and kept at the node under pseudonyms.

It knows which column means what. It never keeps a hospital number, a date or a text as it stands there.
"""
