"""The effective settings of trainings: taken in as sites sign them, compared with the manifest and with each other.

A site whose parameters, seed or choices differ from the manifest is taken out, and told in what; versions and hardware
are shown, and refused only where the manifest asks for the same everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.context import Hub
from fairbank.catalogue.nodes import key_of
from fairbank.federated_jobs.hub.dispatch import not_found
from fairbank.federated_jobs.hub.progress import ended, fail_site, manifest_of, sites_of
from fairbank.federated_jobs.hub.store import JobRow, SettingsRow, SiteRow
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import ACTIVE_SITES, SiteState
from fairbank.federated_jobs.training_errors import SettingsDeviate, SettingsMissing
from fairbank.federated_jobs.training_settings import (
    FIXED,
    KIND,
    Difference,
    SettingsOfSite,
    SettingsView,
    SiteSettings,
    deviations,
    envelope_of,
    environment,
    opened_settings,
)
from fairbank.ontology.signed_objects import Manifest
from fairbank.signing import open_sealed


def take_in(
    hub: Hub, session: Session, job_id: str, *, node: str, message: SiteSettings
) -> tuple[Difference, ...]:
    """Keep what a site signed, and return for what it is refused; nothing if it may train.

    The same again changes nothing. A site that is refused is taken out of the job.

    Raises:
        JobNotFound: if this node has no part in the job.
        BadEnvelope: if it is not sealed with the key that the node is enrolled with.
    """
    job, site = session.get(JobRow, job_id), session.get(SiteRow, (job_id, node))
    if job is None or site is None or message.job != job_id:
        raise not_found()
    key = key_of(session, node)
    settings, sealed = opened_settings(
        envelope_of(message, str(key)), trusted=[] if key is None else [str(key)]
    )
    manifest = manifest_of(job)
    deviates, _ = deviations(settings, manifest, job.manifest_digest)
    deviates += _beyond(session, job_id, node, settings, manifest)
    known = session.get(SettingsRow, (job_id, node))
    # A node that was killed tells the same again, at another time; nothing has changed then.
    if known is not None and _same(opened(known), settings):
        return tuple(Difference(each) for each in known.deviates)
    if known is None:
        known = SettingsRow(job=job_id, node=node)
        session.add(known)
    known.digest, known.statement = sealed.digest, sealed.envelope_bytes
    known.deviates = [each.value for each in deviates]
    known.received = hub.clock.now()
    job.changes += 1
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=node,
        act="site.settings",
        target=job_id,
        detail={"settings": sealed.digest, "deviates": known.deviates},
    )
    if deviates and not ended(job) and SiteState(site.state) in ACTIVE_SITES:
        fail_site(hub, session, job, site, reason=Reason.SETTINGS_DEVIATE)
    return deviates


def refused(deviates: Sequence[Difference]) -> SettingsDeviate:
    """Return what a site is told whose settings deviate: in what, in words of a closed list."""
    return SettingsDeviate(
        f"The settings of this site deviate from the job's: {', '.join(deviates)}.",
        why="All sites of a training use what the manifest fixes; another setting would be another training.",
        todo="Install the version of fairbank that the job names, and have the job tried again.",
    )


def check_told(session: Session, manifest: Manifest, node: str) -> None:
    """Refuse an update of a site that has not told its settings, or whose settings deviate.

    A job whose manifest says nothing of its training may come from before statements; its sites need not tell them.

    Raises:
        SettingsMissing: if it has told none.
        SettingsDeviate: if it deviates.
    """
    if manifest.training is None:
        return
    row = session.get(SettingsRow, (manifest.id, node))
    if row is None:
        raise SettingsMissing(
            "This site has not told its effective settings for the training.",
            why="Each site signs them before its first update is accepted, so that all train by the same.",
            todo="Update the node; it tells them by itself.",
        )
    if row.deviates:
        raise refused([Difference(each) for each in row.deviates])


def settings_view(session: Session, job: JobRow) -> SettingsView:
    """Return the settings of all sites of a job, and in what each differs from most."""
    rows = list(
        session.scalars(select(SettingsRow).where(SettingsRow.job == job.id).order_by(SettingsRow.node))
    )
    manifest = manifest_of(job)
    told = {row.node: opened(row) for row in rows}
    usual = _usual([environment(each) for each in told.values()])
    told_by = set(told)
    return SettingsView(
        job=job.id,
        sites=tuple(_of_site(row, told[row.node], job, manifest, usual) for row in rows),
        silent=tuple(site.node for site in sites_of(session, job.id) if site.node not in told_by),
    )


def opened(row: SettingsRow) -> SiteSettings:
    """Return a statement that was verified when it was taken in."""
    return SiteSettings.parse(dict(open_sealed(row.statement, KIND, trusted=None).payload))


def _of_site(
    row: SettingsRow, settings: SiteSettings, job: JobRow, manifest: Manifest, usual: Mapping[str, str]
) -> SettingsOfSite:
    _, parameters = deviations(settings, manifest, job.manifest_digest)
    own = environment(settings)
    return SettingsOfSite(
        node=row.node,
        digest=row.digest,
        versions={each.library.value: str(each) for each in settings.versions},
        processor=settings.processor,
        vendor=settings.vendor,
        gpu=settings.gpu,
        gpus=settings.gpus,
        mixed_precision=settings.mixed_precision,
        deviates=tuple(Difference(each) for each in row.deviates),
        parameters=parameters,
        differs=tuple(name for name in sorted({*own, *usual}) if own.get(name) != usual.get(name)),
        created=settings.created,
    )


def _beyond(
    session: Session, job: str, node: str, settings: SiteSettings, manifest: Manifest
) -> tuple[Difference, ...]:
    """Return in what a site differs from those that told before it, where the manifest asks for the same."""
    training = manifest.training
    asked = set(training.same_everywhere) - {each.value for each in FIXED} if training is not None else set()
    if not asked:
        return ()
    rows = session.scalars(
        select(SettingsRow)
        .where(SettingsRow.job == job, SettingsRow.node != node)
        .order_by(SettingsRow.received, SettingsRow.node)
    )
    first = next((row for row in rows if not row.deviates), None)
    if first is None:
        return ()
    other, found = opened(first), []
    if Difference.VERSIONS.value in asked and other.versions != settings.versions:
        found.append(Difference.VERSIONS)
    hardware = (settings.processor, settings.vendor, settings.gpu, settings.mixed_precision)
    if Difference.HARDWARE.value in asked and hardware != (
        other.processor,
        other.vendor,
        other.gpu,
        other.mixed_precision,
    ):
        found.append(Difference.HARDWARE)
    return tuple(found)


def _same(one: SiteSettings, other: SiteSettings) -> bool:
    return one.model_copy(update={"created": other.created}) == other


def _usual(environments: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the most common word for each name; of equally common ones that of the first site."""
    names = sorted({name for each in environments for name in each})
    return {
        name: Counter(each[name] for each in environments if name in each).most_common(1)[0][0]
        for name in names
    }
