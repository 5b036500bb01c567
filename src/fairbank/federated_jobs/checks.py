"""Which check stopped a job at a site: words for the site's own people, never for the hub."""

from __future__ import annotations

from enum import StrEnum


class Check(StrEnum):
    """The checks of a site, in the order in which a job meets them; the word stays at the site."""

    OBJECTS = "objects"
    VISA_SEAL = "visa-seal"
    VISA_SCHEMA = "visa-schema"
    REQUEST_SEAL = "request-seal"
    REQUEST_SCHEMA = "request-schema"
    MANIFEST_SEAL = "manifest-seal"
    MANIFEST_SCHEMA = "manifest-schema"
    REQUEST_DIGEST = "request-digest"
    VISA_DIGEST = "visa-digest"
    REQUESTER_KEY = "requester-key"
    HUB_ADDRESS = "hub-address"
    VISA_WITHIN_REQUEST = "visa-within-request"
    MANIFEST_WITHIN_VISA = "manifest-within-visa"
    CODE = "code"
    DATASET = "dataset"
    VISA_DATES = "visa-dates"
    JOB_ID = "job-id"
    REPLAY = "replay"
    NEWEST_VISA = "newest-visa"
    RUNS = "runs"
    TRANSFER = "transfer"
    COHORT = "cohort"
    TRAINING_RULES = "training-rules"
    COUNTERSIGNATURE = "countersignature"
    APPROVAL = "approval"
    PERSON = "person"
    APPROVAL_DATES = "approval-dates"
    COHORT_LIST = "cohort-list"
    PLAN = "plan"
    MODEL = "model"
