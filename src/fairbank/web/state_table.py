"""What people read of every state of every machine; `words_of` is what pages ask.

The keys are those of the machines themselves; a test holds every state of every machine against this table. How long
something usually takes is what the people or programs concerned are asked to keep to, not a measurement.
"""

from __future__ import annotations

from typing import Final

from fairbank.web.languages import mark as _
from fairbank.web.state_words import Look, StateWords

REQUESTER, _COMMITTEE, _HUB = _("the requester"), _("the access committee"), _("the hub")
_SITE, _CURATOR, _NODE = _("the biobank"), _("the biobank’s curator"), _("the biobank’s node")
_ADMIN, _PUBLISHER, _NOBODY = _("the hub’s administrators"), _("who published it"), ""
_SECONDS, _MINUTES, _DAYS = _("seconds"), _("minutes"), _("some working days")
_WEEKS, _SELF = _("two to six weeks"), ""
_RUN = _("minutes to hours, by the amount of work")
_W, _L = StateWords, Look

STATES: Final[dict[str, dict[str, StateWords]]] = {
    "request": {
        "draft": _W(
            _("Draft"),
            _("It is being written and nobody else sees it."),
            REQUESTER,
            _("It is completed and sent."),
            _SELF,
        ),
        "open": _W(
            _("Sent"),
            _("It was sent, and each collection in it is decided about on its own."),
            _COMMITTEE,
            _("Each biobank’s committee decides."),
            _WEEKS,
            _L.WAIT,
        ),
        "paused": _W(
            _("Paused"),
            _("Everything about it rests, and its jobs do too."),
            REQUESTER,
            _("Who paused it resumes it."),
            "",
            _L.WAIT,
        ),
        "withdrawn": _W(
            _("Withdrawn"),
            _("The requester no longer asks for it."),
            _NOBODY,
            _("Nothing; a new request can be made."),
        ),
        "closed": _W(_("Closed"), _("Everything in it is decided and done."), _NOBODY, _("Nothing.")),
    },
    "leg": {
        "draft": _W(
            _("Draft"),
            _("It is being written and nobody else sees it."),
            REQUESTER,
            _("It is completed and sent."),
            _SELF,
        ),
        "submitted": _W(
            _("Sent"),
            _("It has arrived, and the purpose is compared with the terms of use."),
            _HUB,
            _("The committee gets it."),
            _SECONDS,
            _L.WAIT,
        ),
        "triage": _W(
            _("Waits to be taken up"),
            _("The committee has it and has not begun."),
            _COMMITTEE,
            _("A member takes it up."),
            _DAYS,
            _L.WAIT,
        ),
        "in_review": _W(
            _("In review"),
            _("The committee’s members read it and vote."),
            _COMMITTEE,
            _("The votes decide."),
            _WEEKS,
            _L.WAIT,
        ),
        "returned": _W(
            _("Sent back"),
            _("The committee asks for a correction."),
            REQUESTER,
            _("It is corrected and sent again."),
            _SELF,
            _L.WAIT,
        ),
        "approved_with_conditions": _W(
            _("Approved with conditions"),
            _("The committee says yes, if the conditions are accepted."),
            REQUESTER,
            _("The conditions are accepted, or refused."),
            _SELF,
            _L.WAIT,
        ),
        "approved": _W(
            _("Approved"),
            _("The committee says yes, and the hub makes the permit."),
            _HUB,
            _("The permit comes into force."),
            _SECONDS,
            _L.GOOD,
        ),
        "declined": _W(
            _("Declined"),
            _("The committee says no; its letter says why."),
            _NOBODY,
            _("Nothing; a new request can be made."),
            "",
            _L.BAD,
        ),
        "conditions_accepted": _W(
            _("Conditions accepted"),
            _("The conditions are accepted; an agreement may still have to be signed."),
            _SITE,
            _("The agreement is signed where there is one, and the permit comes into force."),
            _DAYS,
            _L.WAIT,
        ),
        "active": _W(
            _("Granted"),
            _("The permit is in force, and jobs may run."),
            REQUESTER,
            _("It ends on its date; then the requester reports what came of it, or renews it."),
            "",
            _L.GOOD,
        ),
        "expired": _W(
            _("Ended"),
            _("The permit’s time is over, and no job runs under it."),
            REQUESTER,
            _("The requester reports what came of it, or renews it."),
            _SELF,
            _L.WAIT,
        ),
        "revoked": _W(
            _("Taken back"),
            _("The permit was taken back, and its jobs were stopped."),
            _NOBODY,
            _("Nothing."),
            "",
            _L.BAD,
        ),
        "completed": _W(
            _("Completed"), _("The project is done and reported."), _NOBODY, _("Nothing."), "", _L.GOOD
        ),
        "withdrawn": _W(
            _("Withdrawn"),
            _("The requester no longer asks for it."),
            _NOBODY,
            _("Nothing; a new request can be made."),
        ),
    },
    "job": {
        "running": _W(
            _("Running"),
            _("The biobanks that said yes work on it, or still decide."),
            _SITE,
            _("Results come as each biobank lets them go."),
            _RUN,
            _L.WAIT,
        ),
        "degraded": _W(
            _("Running with fewer"),
            _("A biobank that said yes has dropped out or come late; the others go on."),
            _SITE,
            _("It goes on while enough are left."),
            _RUN,
            _L.WAIT,
        ),
        "completed": _W(
            _("Completed"),
            _("All rounds are done, and the results are here."),
            _NOBODY,
            _("Look at the results."),
            "",
            _L.GOOD,
        ),
        "failed": _W(
            _("Failed"),
            _("It could not go on; the reason stands beside it."),
            REQUESTER,
            _("Mend what the reason names and send it again."),
            _SELF,
            _L.BAD,
        ),
        "cancelled": _W(_("Stopped"), _("Somebody stopped it, or its permit ended."), _NOBODY, _("Nothing.")),
    },
    "site": {
        "pending_review": _W(
            _("Waits for the biobank’s yes"),
            _("The biobank’s people look at what it would do and what may leave."),
            _CURATOR,
            _("They approve it or refuse it."),
            _DAYS,
            _L.WAIT,
        ),
        "approved": _W(
            _("Approved here"),
            _("The biobank said yes; the work begins when its turn comes."),
            _HUB,
            _("It is put in the queue."),
            _MINUTES,
            _L.WAIT,
        ),
        "rejected": _W(
            _("Refused here"),
            _("The biobank said no; the job goes on without it."),
            _NOBODY,
            _("Nothing."),
            "",
            _L.BAD,
        ),
        "expired": _W(
            _("Not decided in time"),
            _("The biobank did not decide before the job’s date."),
            _NOBODY,
            _("Nothing."),
            "",
            _L.BAD,
        ),
        "queued": _W(
            _("In the queue"),
            _("It waits for its turn at the biobank."),
            _NODE,
            _("The node fetches it."),
            _MINUTES,
            _L.WAIT,
        ),
        "leased": _W(
            _("Fetched"),
            _("The node has it and prepares the images."),
            _NODE,
            _("The work begins."),
            _MINUTES,
            _L.WAIT,
        ),
        "running": _W(
            _("At work"),
            _("The tool works on the images at the biobank."),
            _NODE,
            _("What it found is checked."),
            _RUN,
            _L.WAIT,
        ),
        "output_review": _W(
            _("Results are checked"),
            _("The biobank’s people look at what would leave."),
            _CURATOR,
            _("They let it go or keep it back."),
            _DAYS,
            _L.WAIT,
        ),
        "released": _W(
            _("Sent"),
            _("The results have left the biobank and are at the hub."),
            _NOBODY,
            _("The next round, or the end of the job."),
            "",
            _L.GOOD,
        ),
        "withheld": _W(
            _("Kept back"),
            _("The biobank keeps the results; they do not leave."),
            _NOBODY,
            _("Nothing."),
            "",
            _L.BAD,
        ),
        "failed": _W(
            _("Failed here"),
            _("The work at the biobank broke off; the reason stands beside it."),
            _NODE,
            _("It is tried again where that can help."),
            _MINUTES,
            _L.BAD,
        ),
    },
    "round": {
        "open": _W(
            _("Under way"),
            _("The biobanks work on this round."),
            _SITE,
            _("It is closed when enough have answered."),
            _RUN,
            _L.WAIT,
        ),
        "closed": _W(
            _("Done"),
            _("What the biobanks sent was put together."),
            _NOBODY,
            _("The next round, or the end of the job."),
            "",
            _L.GOOD,
        ),
        "abandoned": _W(
            _("Given up"),
            _("Too few biobanks answered in time."),
            _NOBODY,
            _("The job ends, or goes on as its plan says."),
            "",
            _L.BAD,
        ),
    },
    "output": {
        "held": _W(
            _("Waits for a yes"),
            _("It is complete, and the biobank’s people have not let it go yet."),
            _CURATOR,
            _("They let it go or keep it back."),
            _DAYS,
            _L.WAIT,
        ),
        "ready": _W(
            _("May leave"),
            _("It may leave, and is sent when the hub can be reached."),
            _NODE,
            _("It is sent."),
            _MINUTES,
            _L.WAIT,
        ),
        "sent": _W(_("Sent"), _("The hub has all of it."), _NOBODY, _("Nothing."), "", _L.GOOD),
        "withheld": _W(
            _("Kept back"),
            _("The biobank’s people keep it; it does not leave."),
            _NOBODY,
            _("Nothing."),
            "",
            _L.BAD,
        ),
    },
    "ledger": {
        "pending": _W(_("Waits"), _("It has not left yet."), _NODE, _("It is sent."), _MINUTES, _L.WAIT),
        "sent": _W(_("Sent"), _("The hub has all of it."), _NOBODY, _("Nothing."), "", _L.GOOD),
        "undelivered": _W(
            _("Not delivered"),
            _("The hub could not be reached."),
            _NODE,
            _("It is sent again where it still matters."),
            _MINUTES,
            _L.WAIT,
        ),
        "refused": _W(
            _("Refused by the gate"),
            _("The rules of what may leave forbid it; the reasons stand beside it."),
            _CURATOR,
            _("It stays, unless what it holds is changed."),
            "",
            _L.BAD,
        ),
        "withheld": _W(
            _("Kept back"),
            _("The biobank’s people keep it; it does not leave."),
            _NOBODY,
            _("Nothing."),
            "",
            _L.BAD,
        ),
    },
    "model": {
        "registered": _W(
            _("Registered"),
            _("It was made by a job, and is its owner’s alone."),
            REQUESTER,
            _("Its owner looks at its card, and uses it or withdraws it."),
            _SELF,
        ),
        "quarantined": _W(
            _("Set aside"),
            _("There is a doubt about it, and nobody may use it for now."),
            _ADMIN,
            _("The doubt is cleared up."),
            _DAYS,
            _L.WAIT,
        ),
        "released": _W(
            _("Released"), _("Those who may use it can fetch it."), _NOBODY, _("Nothing."), "", _L.GOOD
        ),
        "withdrawn": _W(
            _("Withdrawn"), _("It is no longer given to anybody."), _NOBODY, _("Nothing."), "", _L.BAD
        ),
    },
    "tool": {
        "draft": _W(
            _("Draft"),
            _("It was published for its own publisher only."),
            _PUBLISHER,
            _("It is sent for review."),
            _SELF,
        ),
        "submitted": _W(
            _("Sent for review"),
            _("It waits for a reviewer."),
            _ADMIN,
            _("A reviewer takes it up."),
            _DAYS,
            _L.WAIT,
        ),
        "in-review": _W(
            _("In review"),
            _("A reviewer looks at it."),
            _ADMIN,
            _("It is accepted or sent back."),
            _DAYS,
            _L.WAIT,
        ),
        "accepted": _W(
            _("Accepted"), _("Jobs may use it, where biobanks allow it."), _NOBODY, _("Nothing."), "", _L.GOOD
        ),
        "returned": _W(
            _("Sent back"),
            _("The reviewer asks for a correction."),
            _PUBLISHER,
            _("It is corrected and sent again."),
            _SELF,
            _L.WAIT,
        ),
        "deprecated": _W(
            _("Superseded"), _("It still works, and a later version should be used."), _NOBODY, _("Nothing.")
        ),
        "revoked": _W(_("Taken back"), _("No job may use it any more."), _NOBODY, _("Nothing."), "", _L.BAD),
    },
    "count": {
        "waiting": _W(
            _("No answer yet"),
            _("The biobank has not answered."),
            _SITE,
            _("It answers, or declines."),
            _DAYS,
            _L.WAIT,
        ),
        "ready": _W(
            _("Answer ready"),
            _("The number is known at the biobank and on its way."),
            _NODE,
            _("It is sent."),
            _SECONDS,
            _L.WAIT,
        ),
        "told": _W(_("Answered"), _("The biobank told a number."), _NOBODY, _("Nothing."), "", _L.GOOD),
        "below-k": _W(
            _("Too few to tell"),
            _("The number is smaller than the biobank tells."),
            _NOBODY,
            _("Ask a wider question."),
        ),
        "declined": _W(_("Declined"), _("The biobank does not tell it."), _NOBODY, _("Nothing."), "", _L.BAD),
    },
    "overlap": {
        "asked": _W(
            _("Asked"),
            _("The other biobank has been asked and has not answered."),
            _SITE,
            _("A person there answers, or declines."),
            _DAYS,
            _L.WAIT,
        ),
        "decide": _W(
            _("Waits for a decision here"),
            _("Another biobank asks how many subjects both have."),
            _CURATOR,
            _("A person here answers, or declines."),
            _DAYS,
            _L.WAIT,
        ),
        "sent": _W(
            _("Being counted"),
            _("Both biobanks compare what neither can read."),
            _NODE,
            _("Both are told the same count."),
            _MINUTES,
            _L.WAIT,
        ),
        "done": _W(_("Counted"), _("Both biobanks know the count."), _NOBODY, _("Nothing."), "", _L.GOOD),
        "declined": _W(
            _("Declined"), _("One of the biobanks does not count it."), _NOBODY, _("Nothing."), "", _L.BAD
        ),
        "failed": _W(
            _("Failed"),
            _("It ended without a count."),
            _NOBODY,
            _("The node’s log says why; another project can ask anew."),
            "",
            _L.BAD,
        ),
    },
    "described": {
        "DRAFT": _W(
            _("Draft"),
            _("It is described here and nobody else sees it."),
            _ADMIN,
            _("It is published."),
            _SELF,
        ),
        "PUBLISHED": _W(
            _("Published"), _("Everybody can read the description."), _NOBODY, _("Nothing."), "", _L.GOOD
        ),
        "DELETED": _W(_("Removed"), _("The description was removed."), _NOBODY, _("Nothing.")),
    },
    "harvest": {
        "running": _W(
            _("Under way"),
            _("The archive is being read; one that broke off is simply run again."),
            _NODE,
            _("It finishes."),
            _RUN,
            _L.WAIT,
        ),
        "finished": _W(
            _("Finished"),
            _("The archive was read to its end."),
            _NOBODY,
            _("The next one, by its timetable."),
            "",
            _L.GOOD,
        ),
        "failed": _W(
            _("Failed"),
            _("The archive could not be read; the reason stands beside it."),
            _CURATOR,
            _("Mend what the reason names and run it again."),
            _SELF,
            _L.BAD,
        ),
    },
    "item": {
        "live": _W(
            _("There"), _("The archive has it, and it is in the index."), _NOBODY, _("Nothing."), "", _L.GOOD
        ),
        "missing": _W(
            _("Not found"),
            _("The last complete look at the archive did not find it."),
            _CURATOR,
            _("The next look finds it, or it is taken for gone."),
            _DAYS,
            _L.WAIT,
        ),
        "tombstoned": _W(
            _("Gone"),
            _("It is no longer in the archive; only its number, the moment and the reason are kept."),
            _NOBODY,
            _("Nothing."),
        ),
        "left-out": _W(
            _("Left out"),
            _("It may not be in the index, such as for want of consent."),
            _NOBODY,
            _("Nothing."),
        ),
    },
}


def words_of(machine: str, state: str) -> StateWords:
    """Return the words for a state of a machine: `words_of("leg", "in_review")`.

    Raises:
        KeyError: if there is no such machine or state.
    """
    return STATES[machine][state]
