"""The errors of training algorithms and of the updates that they make; hub and node both know them.

SiteJobError                         FB-JOBS-100
├── sandbox and worker               FB-JOBS-101 … 119   (node/errors.py)
├── AlgorithmError                   FB-JOBS-120
│   ├── AlgorithmUnknown             FB-JOBS-121
│   ├── AlgorithmParametersRefused   FB-JOBS-122
│   ├── AlgorithmDigestMismatch      FB-JOBS-123
│   ├── CheckpointMissing            FB-JOBS-124
│   ├── NothingToTrainOn             FB-JOBS-125
│   ├── TrainingDiverged             FB-JOBS-126
│   ├── LabelsMissing                FB-JOBS-326
│   ├── BatchTooSmall                FB-JOBS-327
│   ├── ModelUnfit                   FB-JOBS-328
│   ├── NotTogether                  FB-JOBS-375
│   ├── NoiseUnplanned               FB-JOBS-421
│   ├── GradientsDead                FB-JOBS-443
│   └── PartnerLost                  FB-JOBS-500
└── UpdateError                      FB-JOBS-130
    ├── UpdateUnfit                  FB-JOBS-131
    ├── NothingToAggregate           FB-JOBS-132
    ├── TooFewUpdates                FB-JOBS-302
    └── NotesMissing                 FB-JOBS-303
"""

from __future__ import annotations

from fairbank.errors import FairbankError, Kind


class SiteJobError(FairbankError):
    """Something inside a site kept a job from running."""

    code = "FB-JOBS-100"


class AlgorithmError(SiteJobError):
    """A training algorithm cannot run as asked."""

    code = "FB-JOBS-120"
    kind = Kind.REFUSED


class AlgorithmUnknown(AlgorithmError):
    """No training algorithm has that name."""

    code = "FB-JOBS-121"
    kind = Kind.NOT_FOUND


class AlgorithmParametersRefused(AlgorithmError):
    """A parameter of a training algorithm is unknown or out of range."""

    code = "FB-JOBS-122"


class AlgorithmDigestMismatch(AlgorithmError):
    """The code at this site is not the code that was approved."""

    code = "FB-JOBS-123"


class GradientsDead(AlgorithmError):
    """Most weights of a model are moved by nothing that a site has."""

    code = "FB-JOBS-443"


class CheckpointMissing(AlgorithmError):
    """A round cannot be continued because the state after the round before is not there."""

    code = "FB-JOBS-124"


class NothingToTrainOn(AlgorithmError):
    """No staged series holds an image that this algorithm can use."""

    code = "FB-JOBS-125"


class TrainingDiverged(AlgorithmError):
    """A loss or a weight stopped being a finite number."""

    code = "FB-JOBS-126"


class LabelsMissing(AlgorithmError):
    """The site knows no usable label of any subject whose images can be used."""

    code = "FB-JOBS-326"


class BatchTooSmall(AlgorithmError):
    """Batch normalisation is asked for, and the site has a single sample to train on."""

    code = "FB-JOBS-327"


class ModelUnfit(AlgorithmError):
    """The model that training shall start from has other tensors than the network."""

    code = "FB-JOBS-328"


class NotTogether(AlgorithmError):
    """The predictions of several models of an algorithm cannot be put together in the way that is asked for."""

    code = "FB-JOBS-375"


class PartnerLost(AlgorithmError):
    """One of several processes that train together has ended."""

    code = "FB-JOBS-500"
    kind = Kind.UNAVAILABLE


class NoiseUnplanned(AlgorithmError):
    """A job asks for noise, and the node did not say how much; or the node says so, and the job does not ask."""

    code = "FB-JOBS-421"


class UpdateError(SiteJobError):
    """Model updates cannot be merged."""

    code = "FB-JOBS-130"
    kind = Kind.REFUSED


class UpdateUnfit(UpdateError):
    """A model update does not have the shape, type, size or values that it must have."""

    code = "FB-JOBS-131"


class NothingToAggregate(UpdateError):
    """A round was closed without any update to merge."""

    code = "FB-JOBS-132"


class TooFewUpdates(UpdateError):
    """A rule that hostile sites cannot lead away got fewer updates than it needs."""

    code = "FB-JOBS-302"


class NotesMissing(UpdateError):
    """The updates of a round do not tell the numbers that they are to be weighed by."""

    code = "FB-JOBS-303"
