"""One attempt as a site takes part in it. Its keys are in memory alone: a restart loses the attempt, and no secret.

The steps come in this order, each once: `advertise`, `share`, `mask`, `confirm`, `unmask`. What a hub that lies can do
is end the attempt. It never gets both secrets of a site: which of them a site helps to open depends on a list of
survivors that a threshold of sites has signed, and a site answers once in a round, for ever.

Source: Bonawitz et al. 2017, figure 4, with the steps against an active server.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from fairbank.federated_jobs.secagg.errors import Fault, TooFewSites, refused
from fairbank.federated_jobs.secagg.fixed_point import Whole
from fairbank.federated_jobs.secagg.limits import FEWEST, fewest_survivors, threshold
from fairbank.federated_jobs.secagg.masks import Mask, agreed, derived, put_on
from fairbank.federated_jobs.secagg.messages import (
    Box,
    Context,
    Keys,
    Masked,
    Message,
    OfSite,
    Shares,
    Survivors,
    Unmasking,
    key_bytes,
    key_text,
    opened,
    roster_digest,
)
from fairbank.federated_jobs.secagg.shamir import SECRET_BYTES, SHARE_BYTES, split
from fairbank.signing import KeyId, SigningKey, canonical, sha256_digest

_NONCE: Final = bytes(12)


class Answers(Protocol):
    """Remembers, for ever, in which rounds this site has helped to unmask a sum."""

    def first(self, job: str, number: int) -> bool:
        """Note a round; tell whether it was not noted before. What is noted has to last when this returns."""
        ...


class _Step(IntEnum):
    ADVERTISE, SHARE, MASK, CONFIRM, UNMASK, DONE = range(6)


class Site:
    """A site's part in one attempt.

    Args:
        context: of the attempt.
        roster: all sites of the job and their identity keys, as every site approved them.
        node: the name of this one.
        key: its identity key.
        draw: returns so many random bytes; the operating system's outside tests.

    Raises:
        TooFewSites: if the job has fewer than three sites.
        MessageUnfit: if the context names another list of sites, or this site is not in it.
    """

    def __init__(
        self,
        context: Context,
        roster: Mapping[str, KeyId],
        *,
        node: str,
        key: SigningKey,
        answers: Answers,
        draw: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if len(roster) < FEWEST:
            raise too_few(len(roster), FEWEST)
        if context.roster != roster_digest(roster):
            raise refused(Fault.OTHER_CONTEXT)
        if roster.get(node) != key.key_id:
            raise refused(Fault.UNKNOWN_SITE)
        self._context, self._roster, self._node, self._key = context, dict(roster), node, key
        self._answers, self._draw = answers, draw
        self._salt = context.digest()
        self._step = _Step.ADVERTISE
        self._sealing, self._masking, self._seed = (bytearray(draw(SECRET_BYTES)) for _ in range(3))
        self._keys: dict[str, Keys] = {}
        self._received: dict[str, bytes] = {}
        self._own: bytes = b""
        self._survivors: tuple[str, ...] = ()

    def advertise(self) -> bytes:
        """Return the envelope with this site's public keys."""
        self._begin(_Step.ADVERTISE)
        return self._sealed(
            Keys(
                context=self._context,
                node=self._node,
                sealing=key_text(_public(self._sealing)),
                masking=key_text(_public(self._masking)),
            )
        )

    def share(self, keys: Sequence[bytes]) -> bytes:
        """Take the keys of all sites that are here; return the envelope with a share of both secrets for each of them.

        Raises:
            MessageUnfit: if they are not what sites of this job signed for this attempt.
            TooFewSites: if there are fewer than the threshold.
        """
        self._begin(_Step.SHARE)
        given = self._opened(Keys, keys)
        if self._node not in given:
            raise refused(Fault.NOT_AMONG_THEM)
        texts = [text for one in given.values() for text in (one.sealing, one.masking)]
        if len(set(texts)) != len(texts):
            raise refused(Fault.SAME_KEY)
        own = given[self._node]
        if (own.sealing, own.masking) != (key_text(_public(self._sealing)), key_text(_public(self._masking))):
            raise refused(Fault.DAMAGED)
        least = threshold(len(self._roster))
        if len(given) < fewest_survivors(len(self._roster)):
            raise too_few(len(given), fewest_survivors(len(self._roster)))
        self._keys = given
        names = sorted(given)
        of_key = split(bytes(self._masking), threshold=least, count=len(names), draw=self._draw)
        of_seed = split(bytes(self._seed), threshold=least, count=len(names), draw=self._draw)
        boxes = []
        for name, *pair in zip(names, of_key, of_seed, strict=True):
            if name == self._node:
                self._own = b"".join(pair)
            else:
                boxes.append(Box(to=name, sealed=self._boxed(name, b"".join(pair))))
        return self._sealed(Shares(context=self._context, node=self._node, boxes=tuple(boxes)))

    def mask(self, shares: Sequence[bytes], numbers: Whole) -> bytes:
        """Take the shares of all sites that sent some; mask the update, in place, and return the envelope beside it.

        Args:
            shares: the envelopes of the other sites, as they sent them.
            numbers: the update in the ring, as long as the context says.

        Raises:
            MessageUnfit: if they are not what sites signed for this attempt, or none is for this site.
            TooFewSites: if there are fewer than the threshold with this one.
        """
        self._begin(_Step.MASK)
        if numbers.ndim != 1 or numbers.size != self._context.length:
            raise refused(Fault.OTHER_CONTEXT)
        given = self._opened(Shares, shares)
        given.pop(self._node, None)
        if not set(given) <= set(self._keys):
            raise refused(Fault.UNKNOWN_SITE)
        if len(given) + 1 < fewest_survivors(len(self._roster)):
            raise too_few(len(given) + 1, fewest_survivors(len(self._roster)))
        self._received = {name: self._unboxed(name, one) for name, one in given.items()}
        self._received[self._node] = self._own
        masks = [Mask(derived(bytes(self._seed), context=self._salt, info="secagg self"), added=True)]
        masks += [
            Mask(
                self._agreed(self._masking, self._keys[name].masking, "secagg pair"), added=name > self._node
            )
            for name in sorted(given)
        ]
        put_on(numbers, masks)
        return self._sealed(
            Masked(context=self._context, node=self._node, digest=sha256_digest(numbers.tobytes()))
        )

    def confirm(self, survivors: Sequence[str]) -> bytes:
        """Take the list of sites whose masked updates there are; return this site's signature of it.

        Raises:
            MessageUnfit: if it leaves this site out or names one that sealed no shares.
            TooFewSites: if there are fewer than a sum may be made of.
        """
        self._begin(_Step.CONFIRM)
        if len(set(survivors)) != len(survivors):
            raise refused(Fault.TWICE)
        if self._node not in survivors or not set(survivors) <= set(self._received):
            raise refused(Fault.NOT_AMONG_THEM)
        if len(survivors) < fewest_survivors(len(self._roster)):
            raise too_few(len(survivors), fewest_survivors(len(self._roster)))
        self._survivors = tuple(sorted(survivors))
        return self._sealed(Survivors(context=self._context, node=self._node, survivors=self._survivors))

    def unmask(self, confirmations: Sequence[bytes]) -> bytes:
        """Take the signatures of the survivors; return shares that open the seeds of survivors and the keys of others.

        It is noted before anything is returned that this site has answered in this round.

        Raises:
            MessageUnfit: if another list was signed, or this site has answered in this round before.
            TooFewSites: if fewer than the threshold signed it.
        """
        self._begin(_Step.UNMASK)
        given = self._opened(Survivors, confirmations)
        if any(one.survivors != self._survivors for one in given.values()):
            raise refused(Fault.OTHER_SURVIVORS)
        if not set(given) <= set(self._survivors):
            raise refused(Fault.NOT_AMONG_THEM)
        least = threshold(len(self._roster))
        if len(given) < least:
            raise too_few(len(given), least)
        if not self._answers.first(self._context.job, self._context.round):
            raise refused(Fault.ANSWERED)
        seeds, keys = {}, {}
        for name, pair in self._received.items():
            if name in self._survivors:
                seeds[name] = base64.b64encode(pair[SHARE_BYTES:]).decode()
            else:
                keys[name] = base64.b64encode(pair[:SHARE_BYTES]).decode()
        answer = self._sealed(Unmasking(context=self._context, node=self._node, seeds=seeds, keys=keys))
        self.forget()
        return answer

    def forget(self) -> None:
        """Overwrite this attempt's secrets; nothing more comes of it."""
        self._step = _Step.DONE
        for secret in (self._sealing, self._masking, self._seed):
            secret[:] = bytes(len(secret))
        self._received, self._own = {}, b""

    def _begin(self, step: _Step) -> None:
        """Go on to the step after this one; whatever fails in it ends the attempt."""
        due, self._step = self._step, _Step.DONE
        if due is not step:
            self.forget()
            raise refused(Fault.OUT_OF_TURN)
        self._step = _Step(step + 1)

    def _sealed(self, message: OfSite) -> bytes:
        return message.seal(self._key)

    def _opened(self, kind: type[Message], envelopes: Sequence[bytes]) -> dict[str, Message]:
        found: dict[str, Message] = {}
        for envelope in envelopes:
            message = opened(kind, envelope, context=self._context, roster=self._roster)
            if message.node in found:
                raise refused(Fault.TWICE)
            found[message.node] = message
        return found

    def _agreed(self, private: bytearray, public: str, info: str) -> bytes:
        try:
            return agreed(bytes(private), key_bytes(public), context=self._salt, info=info)
        except ValueError as err:
            raise refused(Fault.DAMAGED) from err

    def _boxed(self, to: str, pair: bytes) -> str:
        key = self._agreed(self._sealing, self._keys[to].sealing, f"secagg share {self._node}>{to}")
        return base64.b64encode(
            ChaCha20Poly1305(key).encrypt(_NONCE, pair, self._about(self._node, to))
        ).decode()

    def _unboxed(self, sender: str, message: Shares) -> bytes:
        boxes = {box.to: box.sealed for box in message.boxes}
        if len(boxes) != len(message.boxes):
            raise refused(Fault.TWICE)
        key = self._agreed(self._sealing, self._keys[sender].sealing, f"secagg share {sender}>{self._node}")
        try:
            raw = base64.b64decode(boxes[self._node], validate=True)
            pair = ChaCha20Poly1305(key).decrypt(_NONCE, raw, self._about(sender, self._node))
        except (KeyError, InvalidTag, ValueError, binascii.Error) as err:
            raise refused(Fault.DAMAGED) from err
        if len(pair) != 2 * SHARE_BYTES:
            raise refused(Fault.DAMAGED)
        return pair

    def _about(self, sender: str, to: str) -> bytes:
        return self._salt + canonical({"type": Shares.schema_name, "from": sender, "to": to})


def too_few(have: int, least: int) -> TooFewSites:
    """Return the error for an attempt with too few sites."""
    return TooFewSites(
        f"{have} sites take part in secure aggregation, and it takes {least}.",
        why="With fewer, somebody could work out what a single site sent.",
        todo="Wait for more sites, or begin a new attempt.",
    )


def _public(private: bytearray) -> bytes:
    return X25519PrivateKey.from_private_bytes(bytes(private)).public_key().public_bytes_raw()
