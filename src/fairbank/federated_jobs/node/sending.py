"""Send what is ready and was not sent: after a crash, or because the site's people have let it go."""

from __future__ import annotations

import logging
from collections.abc import Container

from fairbank.database import reading
from fairbank.errors import RemoteError
from fairbank.federated_jobs.node import rounds
from fairbank.federated_jobs.node.live_counts import is_live_count
from fairbank.federated_jobs.node.pausing import paused_jobs
from fairbank.release.errors import BadAnswer, DecisionUntrusted, ReleaseConflict

log = logging.getLogger(__name__)


def send_ready(site: rounds.Site, *, under_way: Container[str]) -> None:
    """Send each release that is ready; what cannot leave now stays ready, and keeps nothing else from leaving.

    Args:
        under_way: jobs whose lanes send what they have just staged themselves.
    """
    engine = site.node.engine
    with reading(engine) as session:
        paused = paused_jobs(session)
    for release in site.outbox.pending():
        if release.job in paused or (release.job is not None and release.job in under_way):
            continue
        with reading(engine) as session:
            if is_live_count(session, release):
                continue  # the count desk sends it
        try:
            if release.job is None:
                site.outbox.send(release.id)
            else:
                rounds.deliver(site, release.job, release.round)
        except (RemoteError, BadAnswer, ReleaseConflict, DecisionUntrusted) as err:
            log.warning("a release does not leave for now: %s", err.what)
