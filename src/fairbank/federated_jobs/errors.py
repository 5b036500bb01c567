"""The errors of the job protocol, at the hub, at a node and in a manifest.

    JobsError                        FB-JOBS-001
    ├── SubmissionRefused            FB-JOBS-010
    │   ├── ManifestRefused          FB-JOBS-011
    │   ├── VisaRefused              FB-JOBS-012
    │   ├── BeyondVisa               FB-JOBS-013
    │   ├── CodeUnknown              FB-JOBS-014
    │   ├── OptionRefused            FB-JOBS-015
    │   ├── RunsSpent                FB-JOBS-016
    │   ├── ToolRevoked              FB-JOBS-265
    │   └── ModelFileUnknown         FB-JOBS-271
    ├── JobNotFound                  FB-JOBS-020
    ├── StateRefused                 FB-JOBS-021
    ├── LeaseGone                    FB-JOBS-022
    ├── RoundClosed                  FB-JOBS-023
    ├── OutputRefused                FB-JOBS-024
    ├── NotYetMerged                 FB-JOBS-025
    ├── NotesUnreadable              FB-JOBS-026
    ├── RuleRefused                  FB-JOBS-027
    ├── HubLogForked                 FB-CORE-054
    ├── GrantEnded                   FB-JOBS-050
    ├── GrantPaused                  FB-JOBS-051
    ├── TransferRuleRefused          FB-JOBS-053
    ├── ReportRefused                FB-JOBS-056
    ├── HubLogUnsealed               FB-JOBS-057
    ├── PriorityRefused              FB-JOBS-160
    ├── NodeDoubled                  FB-JOBS-162
    ├── Crowded                      FB-JOBS-163
    ├── RetryRefused                 FB-JOBS-164
    ├── SandboxSettingRefused        FB-JOBS-181
    ├── JobPausedHere                FB-JOBS-182
    ├── SitePolicyRefused            FB-JOBS-183
    ├── ClusterRefused               FB-JOBS-285
    ├── ClusterUnusable              FB-JOBS-286
    ├── DraftRefused                 FB-JOBS-210
    ├── CountRefused                 FB-JOBS-211
    ├── CountNotFound                FB-JOBS-212
    ├── CountAnswerRefused           FB-JOBS-213
    ├── TwinRefused                  FB-JOBS-214
    ├── MeasurementsRefused          FB-JOBS-250
    ├── ToolRefused                  FB-JOBS-260
    ├── ToolNotFound                 FB-JOBS-261
    ├── ToolStateRefused             FB-JOBS-262
    ├── ReviewIncomplete             FB-JOBS-263
    ├── ReviewNotYours               FB-JOBS-264
    ├── ModelFileRefused             FB-JOBS-270
    ├── NoOverlays                   FB-JOBS-277
    └── SiteRefusal                  FB-JOBS-040
        ├── ChainBroken              FB-JOBS-041
        ├── Replayed                 FB-JOBS-042
        ├── CohortInsufficient       FB-JOBS-044
        ├── NotApproved              FB-JOBS-045
        ├── ApprovalOver             FB-JOBS-046
        ├── NotForThisSite           FB-JOBS-047
        ├── RoundRefused             FB-JOBS-048
        ├── TransferRefused          FB-JOBS-052
        ├── VisaSuperseded           FB-JOBS-054
        ├── NotForThisHub            FB-JOBS-055
        ├── NoRoom                   FB-JOBS-161
        ├── ContainerNotAllowed      FB-JOBS-272
        └── GrantNotCountersigned    FB-REL-037

What runs inside a site (sandbox, worker, training) has its own subtree from FB-JOBS-100 in `node/errors.py`.
"""

from __future__ import annotations

from typing import Self

from fairbank.errors import FairbankError, Kind
from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.reasons import Reason


class JobsError(FairbankError):
    """Something about a job is not as it must be; `reason` is the one word about it that may leave a site.

    `check` names the check that found it, for the site's own people.
    """

    code = "FB-JOBS-001"
    reason: Reason = Reason.NODE_FAULT
    check: Check | None = None

    def because(self, reason: Reason) -> Self:
        """Return this error with another word for what leaves a site."""
        self.reason = reason
        return self

    def at(self, check: Check) -> Self:
        """Return this error with the check that found it; the first to name one is right."""
        self.check = self.check or check
        return self


class SubmissionRefused(JobsError):
    """A job cannot be submitted as it is."""

    code = "FB-JOBS-010"
    kind = Kind.REFUSED


class ManifestRefused(SubmissionRefused):
    """A manifest is not sealed by the right key, or contradicts itself."""

    code = "FB-JOBS-011"
    reason = Reason.MANIFEST_INVALID


class VisaRefused(SubmissionRefused):
    """The visa that a manifest names is unknown, over, not yet valid, or withdrawn."""

    code = "FB-JOBS-012"
    kind = Kind.FORBIDDEN
    reason = Reason.VISA_INVALID


class BeyondVisa(SubmissionRefused):
    """A manifest asks for more than its visa grants."""

    code = "FB-JOBS-013"
    kind = Kind.FORBIDDEN
    reason = Reason.MANIFEST_INVALID


class CodeUnknown(SubmissionRefused):
    """The code that a manifest names is not known here under that digest."""

    code = "FB-JOBS-014"
    reason = Reason.CODE_UNKNOWN


class OptionRefused(SubmissionRefused):
    """A parameter of a job is unknown, missing, or out of its range."""

    code = "FB-JOBS-015"
    reason = Reason.OPTION_REFUSED


class RunsSpent(SubmissionRefused):
    """All runs that a visa allows have been used."""

    code = "FB-JOBS-016"
    kind = Kind.TOO_MANY
    reason = Reason.RUNS_SPENT


class ModelFileUnknown(SubmissionRefused):
    """A job names the file of a model that its account has not brought to the hub."""

    code = "FB-JOBS-271"
    reason = Reason.OPTION_REFUSED


class ModelFileRefused(JobsError):
    """The file of a model is too large, or not what it is said to be."""

    code = "FB-JOBS-270"
    kind = Kind.REFUSED


class NoOverlays(JobsError):
    """There are no pictures of a job at this site, or they cannot be written where somebody wants them."""

    code = "FB-JOBS-277"
    kind = Kind.NOT_FOUND


class DraftRefused(JobsError):
    """A draft of a job cannot be read, or does not go with what else was said."""

    code = "FB-JOBS-210"
    kind = Kind.MISUSE


class CountRefused(JobsError):
    """A question for live counts cannot be asked as it is."""

    code = "FB-JOBS-211"
    kind = Kind.REFUSED


class CountNotFound(JobsError):
    """There is no such question for live counts here."""

    code = "FB-JOBS-212"
    kind = Kind.NOT_FOUND


class CountAnswerRefused(JobsError):
    """What a node sent as a live count is none."""

    code = "FB-JOBS-213"
    kind = Kind.REFUSED


class TwinRefused(JobsError):
    """No mock twin can be made of a selection, or a tool is not tried on one."""

    code = "FB-JOBS-214"
    kind = Kind.REFUSED


class JobNotFound(JobsError):
    """There is no such job, or it is not for the eyes of who asks."""

    code = "FB-JOBS-020"
    kind = Kind.NOT_FOUND


class StateRefused(JobsError):
    """A job or a site is in a state that does not allow this step."""

    code = "FB-JOBS-021"
    kind = Kind.CONFLICT


class LeaseGone(JobsError):
    """A lease has run out, been handed on, or never existed."""

    code = "FB-JOBS-022"
    kind = Kind.GONE


class RoundClosed(JobsError):
    """An output arrived for a round that is not open."""

    code = "FB-JOBS-023"
    kind = Kind.GONE


class OutputRefused(JobsError):
    """An output is not one that the job declared, or breaks its limits."""

    code = "FB-JOBS-024"
    kind = Kind.REFUSED


class NotYetMerged(JobsError):
    """The result or model that is asked for does not exist yet."""

    code = "FB-JOBS-025"
    kind = Kind.NOT_FOUND


class NotesUnreadable(JobsError):
    """A model update has no header that can be read."""

    code = "FB-JOBS-026"
    kind = Kind.REFUSED
    reason = Reason.UPDATE_REFUSED


class RuleRefused(JobsError):
    """A rule of automatic approval cannot be made, or does not exist."""

    code = "FB-JOBS-027"
    kind = Kind.MISUSE


class GrantEnded(JobsError):
    """An output arrived after the grant that it rests on had been taken back, or had ended."""

    code = "FB-JOBS-050"
    kind = Kind.GONE
    reason = Reason.GRANT_REVOKED


class GrantPaused(JobsError):
    """An output arrived while the grant that it rests on is paused."""

    code = "FB-JOBS-051"
    kind = Kind.FORBIDDEN
    reason = Reason.GRANT_PAUSED


class TransferRuleRefused(JobsError):
    """A site's country, or its rule of transfers, cannot be read."""

    code = "FB-JOBS-053"
    kind = Kind.MISUSE


class ReportRefused(JobsError):
    """The hub refuses to take what a site decided about a job; it is kept and told again. Shown, not raised."""

    code = "FB-JOBS-056"
    kind = Kind.UNAVAILABLE


class SandboxSettingRefused(JobsError):
    """A setting of the sandbox cannot be read."""

    code = "FB-JOBS-181"
    kind = Kind.MISUSE


class ClusterRefused(JobsError):
    """The settings of a node describe a cluster that no job of it could use."""

    code = "FB-JOBS-285"
    kind = Kind.MISUSE
    reason = Reason.NODE_FAULT


class ClusterUnusable(JobsError):
    """The batch queue of a site takes no work from its node."""

    code = "FB-JOBS-286"
    kind = Kind.UNAVAILABLE
    reason = Reason.NODE_FAULT


class JobPausedHere(JobsError):
    """A person of this site paused a job: nothing of it is computed or sent for now."""

    code = "FB-JOBS-182"
    kind = Kind.CONFLICT


class SitePolicyRefused(JobsError):
    """A site's policy file cannot be used; nothing is approved by itself."""

    code = "FB-JOBS-183"
    kind = Kind.MISUSE


class SiteRefusal(JobsError):
    """A site does not run a job; `reason` is the word that the hub is told."""

    code = "FB-JOBS-040"
    kind = Kind.FORBIDDEN


class ChainBroken(SiteRefusal):
    """Request, visa, manifest and approval do not follow from each other."""

    code = "FB-JOBS-041"
    reason = Reason.MANIFEST_INVALID


class Replayed(SiteRefusal):
    """A manifest that this site has dealt with already is offered again."""

    code = "FB-JOBS-042"
    reason = Reason.REPLAYED


class CohortInsufficient(SiteRefusal):
    """Too few subjects match, or remain, for anything about them to leave the site."""

    code = "FB-JOBS-044"
    reason = Reason.COHORT_INSUFFICIENT


class NotApproved(SiteRefusal):
    """Nobody at this site has approved the job."""

    code = "FB-JOBS-045"
    reason = Reason.APPROVAL_MISSING


class ApprovalOver(SiteRefusal):
    """A site's approval has ended, was withdrawn, or its runs are used up."""

    code = "FB-JOBS-046"
    reason = Reason.APPROVAL_EXPIRED


class NotForThisSite(SiteRefusal):
    """A job names no dataset of this site."""

    code = "FB-JOBS-047"
    reason = Reason.DATASET_NOT_HERE


class RoundRefused(SiteRefusal):
    """The hub asks for a round that the sealed plan does not have, or that lies behind the site's last one."""

    code = "FB-JOBS-048"
    reason = Reason.MANIFEST_INVALID


class HubLogForked(JobsError):
    """The hub's audit log is not the one that this node has seen before; `audit_forked` in words for people."""

    code = "FB-CORE-054"
    kind = Kind.FORBIDDEN


class HubLogUnsealed(JobsError):
    """The hub's audit log grows, and the hub shows no sealed checkpoint of it. Shown, not raised."""

    code = "FB-JOBS-057"
    kind = Kind.UNAVAILABLE


class TransferRefused(SiteRefusal):
    """What a job computes would go to a country that the site's rule of transfers does not name."""

    code = "FB-JOBS-052"
    reason = Reason.TRANSFER_NOT_ALLOWED


class VisaSuperseded(SiteRefusal):
    """A new job comes under a visa that a later one has replaced."""

    code = "FB-JOBS-054"
    reason = Reason.VISA_SUPERSEDED


class NotForThisHub(SiteRefusal):
    """A visa was made at another hub than the one that the site enrolled with."""

    code = "FB-JOBS-055"
    reason = Reason.VISA_INVALID


class GrantNotCountersigned(SiteRefusal):
    """This site has not countersigned the grant of a job, or has refused it."""

    code = "FB-REL-037"
    reason = Reason.GRANT_NOT_COUNTERSIGNED


class PriorityRefused(JobsError):
    """A requester would let a job of hers go before those of others."""

    code = "FB-JOBS-160"
    kind = Kind.FORBIDDEN


class NoRoom(SiteRefusal):
    """A job asks for more than this site ever gives to a job."""

    code = "FB-JOBS-161"
    reason = Reason.NO_ROOM


class ContainerNotAllowed(SiteRefusal):
    """The tool of a job is a container, and this site runs none."""

    code = "FB-JOBS-272"
    reason = Reason.POLICY_DECLINED


class NodeDoubled(JobsError):
    """Two agents speak as the same node."""

    code = "FB-JOBS-162"
    kind = Kind.FORBIDDEN


class Crowded(JobsError):
    """The hub takes no more of something for now; `retry_after_s` says when to come again."""

    code = "FB-JOBS-163"
    kind = Kind.UNAVAILABLE
    retry_after_s: int = 5


class RetryRefused(JobsError):
    """There is nothing of a job that may be tried again."""

    code = "FB-JOBS-164"
    kind = Kind.CONFLICT


class MeasurementsRefused(JobsError):
    """A question to the measurement database cannot be answered as it is asked."""

    code = "FB-JOBS-250"
    kind = Kind.MISUSE


class ToolRefused(JobsError):
    """A tool manifest cannot be taken into the registry."""

    code = "FB-JOBS-260"
    kind = Kind.REFUSED


class ToolNotFound(JobsError):
    """The registry has no such tool or version for the eyes of who asks."""

    code = "FB-JOBS-261"
    kind = Kind.NOT_FOUND


class ToolStateRefused(JobsError):
    """What somebody wants of a tool's version is not among what its state allows to them."""

    code = "FB-JOBS-262"
    kind = Kind.CONFLICT


class ReviewIncomplete(JobsError):
    """A review does not answer each criterion once, in a sentence, or contradicts its answers."""

    code = "FB-JOBS-263"
    kind = Kind.REFUSED


class ReviewNotYours(JobsError):
    """A publisher would review a tool of their own."""

    code = "FB-JOBS-264"
    kind = Kind.FORBIDDEN


class ToolRevoked(SubmissionRefused):
    """The code that a job names has been revoked in the registry."""

    code = "FB-JOBS-265"
    kind = Kind.FORBIDDEN
    reason = Reason.CODE_UNKNOWN
