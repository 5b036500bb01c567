"""The errors of training jobs: their choices, their models, the settings that sites sign, and peers.

JobsError
├── LabelRefused             FB-JOBS-329
├── NotATraining             FB-JOBS-345
├── ModelStateRefused        FB-JOBS-346
├── SettingsDeviate          FB-JOBS-347
├── SettingsMissing          FB-JOBS-348
├── CardUntrusted            FB-JOBS-349
├── OnnxDiffers              FB-JOBS-350
├── NoOnnx                   FB-JOBS-351
├── EvaluationRefused        FB-JOBS-352
├── ParcelRefused            FB-JOBS-360
├── SealingKeyRefused        FB-JOBS-363
├── NoiseLedgerRefused       FB-JOBS-391
├── ModelHeld                FB-JOBS-460
├── NothingToDecide          FB-JOBS-461
├── NotOnItsCommittee        FB-JOBS-462
├── NoiseLedgerBroken        FB-JOBS-392
└── JobPausedHere
    └── TrainingHalted       FB-JOBS-440
ManifestRefused
├── PlanRefused              FB-JOBS-300
├── LocalStepUnfit           FB-JOBS-325
└── GroupMetricsRefused      FB-JOBS-380
SiteRefusal
├── SettingsRefused          FB-JOBS-353
├── PeersUnknown             FB-JOBS-361
├── PeerModelsMissing        FB-JOBS-362
├── BundleNotTaken           FB-JOBS-373
├── BundleNotHere            FB-JOBS-374
├── BudgetExceeded           FB-JOBS-390
├── NoiseRefused             FB-JOBS-420
├── TrainingRuleBroken       FB-JOBS-441
└── ModelRefused             FB-JOBS-442
SubmissionRefused
└── StartRefused             FB-JOBS-310
"""

from __future__ import annotations

from fairbank.errors import Kind
from fairbank.federated_jobs.errors import (
    JobPausedHere,
    JobsError,
    ManifestRefused,
    SiteRefusal,
    SubmissionRefused,
)
from fairbank.federated_jobs.parcel_faults import ParcelFault
from fairbank.federated_jobs.reasons import Reason


class PlanRefused(ManifestRefused):
    """A training job mixes a plan, an aggregator, a local step and filters that do not go together."""

    code = "FB-JOBS-300"


class StartRefused(SubmissionRefused):
    """A job would start from a model that its requester may not use."""

    code = "FB-JOBS-310"
    kind = Kind.FORBIDDEN
    reason = Reason.MANIFEST_INVALID


class LocalStepUnfit(ManifestRefused):
    """A local step, or frozen layers, are asked of an algorithm that has not what they need."""

    code = "FB-JOBS-325"


class NoiseRefused(ManifestRefused):
    """Noise in training is asked for as it cannot be carried out, or as it would promise nothing."""

    code = "FB-JOBS-420"


class GroupMetricsRefused(ManifestRefused):
    """Metrics by group are asked of a tool or plan that cannot bring them."""

    code = "FB-JOBS-380"
    reason = Reason.OUTPUT_NOT_ALLOWED


class LabelRefused(JobsError):
    """What a site's code shall mean to jobs cannot be set as it is said."""

    code = "FB-JOBS-329"
    kind = Kind.REFUSED


class NotATraining(JobsError):
    """Rounds, curves or settings are asked of a job that trains no model."""

    code = "FB-JOBS-345"
    kind = Kind.CONFLICT


class ModelStateRefused(JobsError):
    """Somebody would move a model to a state that its own, or their role, does not allow; or use one kept back."""

    code = "FB-JOBS-346"
    kind = Kind.CONFLICT


class ModelHeld(JobsError):
    """A model failed its release check, and somebody would have it before the committees have let it go."""

    code = "FB-JOBS-460"
    kind = Kind.CONFLICT


class NothingToDecide(JobsError):
    """Somebody would release or hold a model that did not fail its check, or about which all is decided."""

    code = "FB-JOBS-461"
    kind = Kind.CONFLICT


class NotOnItsCommittee(JobsError):
    """Somebody would decide about a model whose datasets are not hers to decide about, or that she asked for."""

    code = "FB-JOBS-462"
    kind = Kind.FORBIDDEN


class SettingsDeviate(JobsError):
    """What a site signed as its effective settings is not what the manifest fixes."""

    code = "FB-JOBS-347"
    kind = Kind.REFUSED
    reason = Reason.SETTINGS_DEVIATE


class SettingsMissing(JobsError):
    """A site sends an update before it has signed its effective settings."""

    code = "FB-JOBS-348"
    kind = Kind.REFUSED
    reason = Reason.SETTINGS_DEVIATE


class CardUntrusted(JobsError):
    """A model's card is not sealed by the hub, or names other files than came."""

    code = "FB-JOBS-349"
    kind = Kind.FORBIDDEN


class OnnxDiffers(JobsError):
    """A model computes something else as ONNX than it does in PyTorch."""

    code = "FB-JOBS-350"
    kind = Kind.FAILED


class NoOnnx(JobsError):
    """A model has no network that could be written as ONNX."""

    code = "FB-JOBS-351"
    kind = Kind.REFUSED


class EvaluationRefused(JobsError):
    """A model cannot be evaluated as it is asked."""

    code = "FB-JOBS-352"
    kind = Kind.REFUSED


class SettingsRefused(SiteRefusal):
    """The hub refuses the settings that this site signed."""

    code = "FB-JOBS-353"
    reason = Reason.SETTINGS_DEVIATE


class ParcelRefused(JobsError):
    """What a peer sealed to this site cannot be used; `fault` is the word that the hub is told."""

    code = "FB-JOBS-360"
    kind = Kind.REFUSED
    reason = Reason.UPDATE_REFUSED

    def __init__(self, what: str, *, fault: ParcelFault, why: str = "", todo: str = "") -> None:
        super().__init__(what, why=why, todo=todo)
        self.fault = fault


class PeersUnknown(SiteRefusal):
    """This site cannot tell which keys of peers it trusts."""

    code = "FB-JOBS-361"
    reason = Reason.PEERS_UNKNOWN


class PeerModelsMissing(SiteRefusal):
    """Too few of the models that a round is made of can be used at this site."""

    code = "FB-JOBS-362"
    reason = Reason.PEER_MODELS_MISSING


class BundleNotTaken(SiteRefusal):
    """A job would train a bundle that names code, files or forms which this site does not take."""

    code = "FB-JOBS-373"
    reason = Reason.OPTION_REFUSED


class BundleNotHere(SiteRefusal):
    """A job would train a bundle whose file did not come to this site, so nobody could look at it."""

    code = "FB-JOBS-374"
    reason = Reason.OPTION_REFUSED


class SealingKeyRefused(JobsError):
    """A node tells a key for a job that it did not sign, or that is not its own."""

    code = "FB-JOBS-363"
    kind = Kind.FORBIDDEN


class BudgetExceeded(SiteRefusal):
    """What a round would spend goes beyond the site's budget for a patient."""

    code = "FB-JOBS-390"
    reason = Reason.POLICY_DECLINED


class TrainingHalted(JobPausedHere):
    """What a site asks of trainings is not known, so none goes on there."""

    code = "FB-JOBS-440"


class TrainingRuleBroken(SiteRefusal):
    """A training does not keep a rule of the site's policy."""

    code = "FB-JOBS-441"
    reason = Reason.POLICY_DECLINED


class ModelRefused(SiteRefusal):
    """A model that came is made so that what is trained on could be read from the update."""

    code = "FB-JOBS-442"
    reason = Reason.MODEL_REFUSED


class NoiseLedgerRefused(JobsError):
    """A line of the ledger of noisy training does not follow from the lines before."""

    code = "FB-JOBS-391"
    kind = Kind.FORBIDDEN


class NoiseLedgerBroken(JobsError):
    """Lines of the ledger of noisy training were changed, or are gone."""

    code = "FB-JOBS-392"
    kind = Kind.FAILED
