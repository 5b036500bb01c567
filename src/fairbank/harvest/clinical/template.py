"""The mapping file to begin with: every field once, with what it means."""

from __future__ import annotations

from typing import Final

TEMPLATE: Final = """\
# Which column is which clinical variable. Then: fairbank harvest variables import PROJECT FILE --mapping THIS-FILE
# A column that is not named here is ignored. Nothing of a row is kept but the codes and bands below, under a pseudonym.

# What this node calls where the variables come from.
source = "registry"
# What stands for "not known" in a cell, beside nothing at all.
missing = ["NA", "k.A.", "unbekannt"]

[subject]
# The hospital number, as Patient ID (0010,0020) of the images has it before de-identification. It is not kept.
column = "Fallnummer"
# Issuer of Patient ID (0010,0021), where the images have one.
issuer = ""
# Where a spreadsheet keeps the numbers as numbers: how many digits they have; 0 if none ever begins with a zero.
# width = 8

[table]
# All of this is found out where it can be; say it where it cannot.
# encoding = "cp1252"     # utf-8, utf-8-sig, utf-16, cp1252, latin-1
# delimiter = "semicolon" # comma, semicolon, tab
# sheet = "Tabelle1"      # of an Excel file
# header_row = 1          # the row with the names of the columns

# A server in the place of a file; columns are then its fields, or paths as shown at the end.
# [redcap]
# url = "https://redcap.example.org/api/"
# token_file = "redcap.token"            # mode 0600
# [fhir]
# url = "https://fhir.example.org/r4"
# user = "reader"                        # leave it out where the file holds a bearer token
# password_file = "fhir.secret"          # mode 0600
# identifier_system = "urn:oid:1.2.3"    # of the hospital number, among the identifiers of a patient
# [archive]                              # custom variables and forms of an XNAT that the node reads
# name = "archive"
# container = "THORAX"

# A coded variable: what stands in a cell, and the code that it means.
[variables.smoking]
column = "Raucher"
label = "Tobacco smoking status"
code = "LOINC:72166-2"                   # LOINC, ICD-10, ICD-10-CM, ICD-10-GM or SNOMED-CT
kind = "coded"
value_system = "SNOMED-CT"               # leave it out where values are words, such as "never"
[variables.smoking.values]
"ja" = { code = "77176002", label = "Smoker" }
"nein" = { code = "8392000", label = "Non-smoker" }

# A quantity: its UCUM unit, and the edges of the bands that are kept in the place of the number.
[variables.creatinine]
column = "Krea"
label = "Creatinine in serum"
code = "LOINC:2160-0"
kind = "quantity"
unit = "mg/dL"
bands = [0.7, 1.2, 2, 5]                 # makes <0.7, 0.7-1.2, 1.2-2, 2-5, >=5; the lower edge belongs to the band
decimal = ","
# factor = 0.0113                        # where the cells are in another unit
minimum = 0.1                            # outside of these a number is a mistake
maximum = 30
several = "last"                         # which of several rows of a subject counts: last or first

# Whole numbers are kept as bands as well.
[variables.gleason]
column = "Gleason"
label = "Gleason score"
code = "LOINC:35266-6"
kind = "integer"
bands = [7, 8, 9]

[variables.diabetes]
column = "Diabetes"
label = "Diabetes mellitus"
code = "ICD-10:E14"
kind = "boolean"
[variables.diabetes.values]
"ja" = "yes"
"nein" = "no"

# Of a date only the year is kept, or an age in bands of five years at the date of another column.
[variables.diagnosis-year]
column = "Erstdiagnose"
label = "Year of diagnosis"
code = "LOINC:63931-0"
kind = "year"

[variables.diagnosis-age]
column = "Geburtsdatum"
reference = "Erstdiagnose"
label = "Age at diagnosis"
code = "SNOMED-CT:423493009"
kind = "age-band"

# From FHIR: column = "Patient.gender", "Patient.birthDate", "Observation:http://loinc.org|2160-0" or
# "Condition:http://hl7.org/fhir/sid/icd-10"; of a condition that is not among the values nothing is said.
"""
