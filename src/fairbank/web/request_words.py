"""What people read of a request's closed words: verdicts, votes, commands, kinds, outputs. No page shows a raw one."""

from __future__ import annotations

from typing import Final

from fairbank.ontology import duo
from fairbank.web.languages import mark as _

# How a purpose fits the terms of use of a collection, with the look of its tag.
VERDICTS: Final[dict[str, tuple[str, str]]] = {
    "compatible": (_("Fits the terms of use"), "good"),
    "needs-review": (_("The committee has to judge"), "wait"),
    "incompatible": (_("Does not fit the terms of use"), "bad"),
    "": (_("Not compared yet"), ""),
}
# What one may ask for, the most usual first.
PURPOSES: Final[dict[str, str]] = {
    duo.HMB: _("Health, medical or biomedical research"),
    duo.DS: _("Research on a disease that I name"),
    duo.METHODS: _("Development of methods"),
    duo.GRU: _("Research of any kind"),
    duo.POA: _("Research on origins or ancestry"),
    duo.CC: _("Care of patients"),
}
OUTPUTS: Final[dict[str, str]] = {
    "aggregate": _("Counts and statistics of many subjects"),
    "measurements": _("Measurements of single images, without names"),
    "model-update": _("Updates of a model that is trained at the biobanks"),
    "download": _("The images themselves, handed over by the biobank"),
}
KINDS: Final[dict[str, str]] = {
    "public": _("Public"),
    "not-for-profit": _("Not for profit"),
    "for-profit": _("For profit"),
}
EVIDENCE: Final[dict[str, str]] = {
    "ethics-approval": _("Ethics approval"),
    "data-management-plan": _("Data-management plan"),
    "funding": _("Funding"),
    "publication-plan": _("Publication plan"),
    "agreement": _("Agreement"),
    "other": _("Another document"),
}
VOTES: Final[dict[str, str]] = {
    "approve": _("Approve"),
    "decline": _("Decline"),
    "return": _("Send back for a correction"),
    "abstain": _("Abstain"),
}
# Reasons that committees give most; the text beside them says the rest.
REASONS: Final[dict[str, str]] = {
    "fits": _("The purpose fits the terms of use."),
    "outside": _("The purpose goes beyond the terms of use."),
    "evidence": _("A document is missing or has run out."),
    "unclear": _("It is not clear enough what will be done."),
    "too-much": _("More is asked for than the purpose needs."),
    "other": _("Another reason, which the text says."),
}
STAGES: Final[dict[str, str]] = {
    "ethics": _("ethics"),
    "technical": _("technical"),
    "data": _("data access"),
}
# What happened, as the history of a request says it.
HAPPENED: Final[dict[str, str]] = {
    "create": _("Draft begun"),
    "edit": _("Draft changed"),
    "discard": _("Draft thrown away"),
    "attach": _("Document attached"),
    "detach": _("Document taken out"),
    "submit": _("Sent"),
    "resubmit": _("Sent again"),
    "amend": _("Changed after the decision"),
    "restate": _("Changed during the review"),
    "comment": _("Message written"),
    "pause": _("Paused"),
    "resume": _("Resumed"),
    "withdraw": _("Withdrawn"),
    "close": _("Closed"),
    "triage": _("Compared with the terms of use"),
    "assign": _("Given to the committee"),
    "take-up": _("Taken up by the committee"),
    "return": _("Sent back"),
    "send-back": _("Sent back by vote"),
    "propose": _("Terms proposed"),
    "vote": _("Vote cast"),
    "appoint": _("Substitute appointed"),
    "declare-conflict": _("Conflict of interest declared"),
    "next-stage": _("Passed to the next stage"),
    "approve": _("Approved"),
    "approve-with-conditions": _("Approved with conditions"),
    "decline": _("Declined"),
    "activate": _("Permit in force"),
    "accept-conditions": _("Conditions accepted"),
    "refuse-conditions": _("Conditions refused"),
    "countersign": _("Agreement countersigned"),
    "suspend": _("Paused"),
    "revoke": _("Permit taken back"),
    "expire": _("Permit ended"),
    "run-out": _("Changed terms ran out"),
    "complete": _("Completed"),
    "lapse": _("Ended, because the collection was withdrawn"),
}
# What buttons say, and whether what they do ends something.
COMMANDS: Final[dict[str, tuple[str, bool]]] = {
    "take-up": (_("Take it up"), False),
    "assign": (_("Give it to the committee"), False),
    "accept-conditions": (_("Accept the conditions"), False),
    "pause": (_("Pause everything"), False),
    "resume": (_("Resume"), False),
    "complete": (_("Complete"), False),
    "return": (_("Send back for a correction"), False),
    "refuse-conditions": (_("Refuse the conditions"), True),
    "revoke": (_("Take the permit back"), True),
    "withdraw": (_("Withdraw"), True),
}
PLACES: Final[dict[str, str]] = {
    "requester": _("the requester"),
    "member": _("a member of the committee"),
    "chair": _("the chair of the committee"),
    "curator": _("the biobank’s curator"),
    "countersigner": _("who countersigns"),
    "admin": _("an administrator"),
    "auditor": _("an auditor"),
    "hub": _("the hub"),
}
# What leaves a node, by the class in which it does.
CLASSES: Final[dict[str, str]] = {
    "record": _("Descriptions of collections"),
    "count": _("Counts and statistics"),
    "result": _("Results"),
    "update": _("Updates of models"),
    "control": _("Messages about jobs"),
    "error": _("Messages about faults"),
}
