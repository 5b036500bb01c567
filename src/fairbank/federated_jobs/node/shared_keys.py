"""The key that the sites of an encrypted job share: made by the first that needs it, and sealed to the others.

Who can open it are the sites whose keys for the job count here (`peers.py`): pinned in the site's policy, or named by
the hub's directory, where nobody has pinned any.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from fairbank.database import reading
from fairbank.federated_jobs.encrypted_jobs import is_encrypted
from fairbank.federated_jobs.filters.errors import SharedKeyRefused
from fairbank.federated_jobs.node.peers import KnownPeer, known_peers, private_key, shared_key_file
from fairbank.federated_jobs.protocol import SharedKeyAnswer, SharedKeyReport
from fairbank.federated_jobs.training_errors import ParcelRefused
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox

# No round of a job of this kind is ever sealed for peers otherwise, so a key is no model and no model a key.
_AS_ROUND = 1


def shared_key(node: Node, outbox: Outbox, manifest: Manifest) -> bytes | None:
    """Return the key of an encrypted job, asked for or made where this site has none; None for any other job.

    Raises:
        HubUnreachable: if the hub does not answer.
        MissingExtra: if the library is not installed.
        SharedKeyRefused: if the key was not made for this site, or by nobody that it knows.
        PeersUnknown: if the site's policy cannot be read.
    """
    if not is_encrypted(manifest):
        return None
    from fairbank.federated_jobs.filters import encrypting

    encrypting.require_library("The filter 'ckks'")
    path = shared_key_file(node, manifest.id)
    if path.exists():
        return path.read_bytes()
    answer = _exchange(node, outbox, manifest.id, None)
    if answer.parcel is None:
        made = _sealed(node, manifest, _peers(node, manifest, answer), encrypting.new_key())
        answer = _exchange(node, outbox, manifest.id, made)
    key = _opened(node, manifest, answer)
    encrypting.check_key(key)
    fresh = path.with_suffix(".part")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(key)
        opened.flush()
        os.fsync(opened.fileno())
    fresh.replace(path)
    return key


def _exchange(node: Node, outbox: Outbox, job: str, parcel: str | None) -> SharedKeyAnswer:
    path = f"/v1/jobs/{job}/sites/{node.name}/shared-key"
    response = outbox.ask("POST", path, SharedKeyReport(parcel=parcel))
    return SharedKeyAnswer.parse(response.content)


def _peers(node: Node, manifest: Manifest, answer: SharedKeyAnswer) -> Mapping[str, KnownPeer]:
    with reading(node.engine) as session:
        return known_peers(session, node, manifest, answer.peers, number=_AS_ROUND)


def _sealed(node: Node, manifest: Manifest, peers: Mapping[str, KnownPeer], key: bytes) -> str:
    from fairbank.federated_jobs.parcels import Address, public_key
    from fairbank.federated_jobs.small_parcels import seal_text

    # To itself as well, so that the one that counts is opened in one way, whoever made it.
    recipients = {name: peer.sealing for name, peer in peers.items()}
    recipients[node.name] = public_key(private_key(node, manifest.id))
    return seal_text(
        key,
        address=Address(manifest.id, _AS_ROUND, node.name),
        recipients=recipients,
        key=node.key,
        scratch=shared_key_file(node, manifest.id).parent,
    )


def _opened(node: Node, manifest: Manifest, answer: SharedKeyAnswer) -> bytes:
    from fairbank.federated_jobs.parcels import Address
    from fairbank.federated_jobs.small_parcels import open_text, sender_of

    if answer.parcel is None:
        raise _refused("The hub keeps no key of this job.")
    known = {name: peer.identity for name, peer in _peers(node, manifest, answer).items()}
    known[node.name] = str(node.key.key_id)
    scratch = shared_key_file(node, manifest.id).parent
    try:
        sender = sender_of(answer.parcel, trusted=sorted(known.values()), scratch=scratch)
        if sender not in known:
            raise _refused("It was made by a site that does not count here.")
        return open_text(
            answer.parcel,
            address=Address(manifest.id, _AS_ROUND, sender),
            node=node.name,
            private=private_key(node, manifest.id),
            trusted=[known[sender]],
            scratch=scratch,
        )
    except ParcelRefused as err:
        raise _refused(f"The parcel of the key cannot be used: {err.fault.value}.") from err


def _refused(why: str) -> SharedKeyRefused:
    return SharedKeyRefused(
        "This site cannot take the key that the sites of the job share.",
        why=why,
        todo="The site drops out of the job. A site that approves after the first round has begun is given no key; "
        "else compare the pinned keys of peers with theirs.",
    )
