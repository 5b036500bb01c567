"""One attempt as the hub takes part in it: it carries messages, adds masked updates, and takes the masks off the sum.

The hub is not trusted by the sites: what it checks here protects the run, not the sites' secrets. It keeps one sum, and
no masked update by itself.

Source: Bonawitz et al. 2017, figure 4.
"""

from __future__ import annotations

import base64
from collections.abc import Container, Mapping
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from fairbank.federated_jobs.secagg.errors import Fault, SharesUnfit, refused
from fairbank.federated_jobs.secagg.fixed_point import Ring, Whole
from fairbank.federated_jobs.secagg.limits import fewest_survivors, threshold
from fairbank.federated_jobs.secagg.masks import Mask, agreed, derived, put_on
from fairbank.federated_jobs.secagg.messages import (
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
)
from fairbank.federated_jobs.secagg.shamir import joined
from fairbank.federated_jobs.secagg.site import too_few
from fairbank.signing import KeyId, sha256_digest


class _Step(IntEnum):
    KEYS, SHARES, MASKED, SURVIVORS, UNMASKING, DONE = range(6)


class Collecting:
    """The hub's part in one attempt; each step is closed when enough sites, or all, have answered.

    Args:
        roster: all sites of the job and their identity keys.
    """

    def __init__(self, context: Context, roster: Mapping[str, KeyId], ring: Ring) -> None:
        self._context, self._roster, self._ring = context, dict(roster), ring
        self._salt = context.digest()
        self._step = _Step.KEYS
        self._keys: dict[str, Keys] = {}
        self._shares: dict[str, Shares] = {}
        self._envelopes: dict[str, dict[str, bytes]] = {}
        self._sum: Whole | None = None
        self._masked: list[str] = []
        self._confirmed: dict[str, Survivors] = {}
        self._answers: dict[str, Unmasking] = {}

    def add_keys(self, envelope: bytes) -> None:
        """Take the public keys of a site.

        Raises:
            MessageUnfit: as of all messages, if it is not what is due.
        """
        message = self._taken(Keys, envelope, _Step.KEYS, among=self._roster)
        self._keys[message.node] = message

    def close_keys(self) -> list[bytes]:
        """Return the keys of all sites that are here, for each of them.

        Raises:
            TooFewSites: as at each step that is closed, if there are fewer than a sum may be made of.
        """
        return self._closed(Keys, _Step.KEYS)

    def add_shares(self, envelope: bytes) -> None:
        """Take the sealed shares of a site."""
        message = self._taken(Shares, envelope, _Step.SHARES, among=self._keys)
        self._shares[message.node] = message

    def close_shares(self) -> list[bytes]:
        """Return the sealed shares of all sites that sent some, for each of them."""
        return self._closed(Shares, _Step.SHARES)

    def add_masked(self, envelope: bytes, numbers: Whole) -> None:
        """Take a masked update and add it to the sum.

        Args:
            numbers: of the ring, as long as the context says.
        """
        if numbers.dtype != self._ring.dtype or numbers.shape != (self._context.length,):
            raise refused(Fault.DAMAGED)
        message = self._taken(Masked, envelope, _Step.MASKED, among=self._shares, keep=False)
        if message.digest != sha256_digest(numbers.tobytes()):
            raise refused(Fault.DAMAGED)
        self._remember(Masked, message, envelope)
        self._masked.append(message.node)
        if self._sum is None:
            self._sum = numbers.copy()
        else:
            self._sum += numbers

    def close_masked(self) -> tuple[str, ...]:
        """Return the sites whose updates are in the sum, for each of them to sign."""
        self._closed(Masked, _Step.MASKED)
        return self.survivors

    @property
    def survivors(self) -> tuple[str, ...]:
        """Return the sites whose updates are in the sum."""
        return tuple(sorted(self._masked))

    def add_survivors(self, envelope: bytes) -> None:
        """Take a site's signature of the list of survivors."""
        message = self._taken(Survivors, envelope, _Step.SURVIVORS, among=self._masked, keep=False)
        if message.survivors != self.survivors:
            raise refused(Fault.OTHER_SURVIVORS)
        self._remember(Survivors, message, envelope)

    def close_survivors(self) -> list[bytes]:
        """Return the signatures, for each of the survivors."""
        return self._closed(Survivors, _Step.SURVIVORS, least=threshold(len(self._roster)))

    def add_unmasking(self, envelope: bytes) -> None:
        """Take a site's shares."""
        message = self._taken(Unmasking, envelope, _Step.UNMASKING, among=self._masked, keep=False)
        lost = set(self._shares) - set(self._masked)
        if set(message.seeds) != set(self._masked) or set(message.keys) != lost:
            raise refused(Fault.OTHER_SURVIVORS)
        self._remember(Unmasking, message, envelope)
        self._answers[message.node] = message

    def check_unmasking(self) -> None:
        """Refuse to open a sum for which too few shares came.

        Raises:
            TooFewSites: if fewer than the threshold of sites gave shares.
        """
        needed = threshold(len(self._roster))
        if len(self._answers) < needed:
            raise too_few(len(self._answers), needed)

    def total(self) -> Whole:
        """Return the sum of the survivors' updates, in the ring.

        Raises:
            TooFewSites: if fewer than the threshold of sites gave shares.
            SharesUnfit: if shares do not belong together.
        """
        self._closed(Unmasking, _Step.UNMASKING, least=threshold(len(self._roster)))
        assert self._sum is not None
        masks = [
            Mask(derived(self._secret(name, "seeds"), context=self._salt, info="secagg self"), added=False)
            for name in self.survivors
        ]
        for lost in sorted(set(self._shares) - set(self._masked)):
            private = self._secret(lost, "keys")
            public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
            if key_text(public) != self._keys[lost].masking:
                raise _shares_unfit()
            # Each survivor put on its mask with the lost site: it was added where the lost one's name comes later.
            masks += [
                Mask(
                    agreed(
                        private, key_bytes(self._keys[name].masking), context=self._salt, info="secagg pair"
                    ),
                    added=lost < name,
                )
                for name in self.survivors
            ]
        summed, self._sum = self._sum, None
        put_on(summed, masks)
        return summed

    def _secret(self, name: str, which: str) -> bytes:
        places = {site: place for place, site in enumerate(sorted(self._keys), 1)}
        shares = {
            places[site]: base64.b64decode(getattr(answer, which)[name])
            for site, answer in self._answers.items()
        }
        secret = joined(shares, threshold=threshold(len(self._roster)))
        if secret is None:
            raise _shares_unfit()
        return secret

    def _taken(
        self, kind: type[Message], envelope: bytes, step: _Step, *, among: Container[str], keep: bool = True
    ) -> Message:
        if self._step is not step:
            raise refused(Fault.OUT_OF_TURN)
        message = opened(kind, envelope, context=self._context, roster=self._roster)
        if message.node not in among:
            raise refused(Fault.UNKNOWN_SITE)
        if message.node in self._envelopes.get(kind.kind, {}):
            raise refused(Fault.TWICE)
        if keep:
            self._remember(kind, message, envelope)
        return message

    def _remember(self, kind: type[OfSite], message: OfSite, envelope: bytes) -> None:
        self._envelopes.setdefault(kind.kind, {})[message.node] = envelope

    def _closed(self, kind: type[OfSite], step: _Step, *, least: int | None = None) -> list[bytes]:
        if self._step is not step:
            raise refused(Fault.OUT_OF_TURN)
        there = self._envelopes.get(kind.kind, {})
        needed = fewest_survivors(len(self._roster)) if least is None else least
        if len(there) < needed:
            raise too_few(len(there), needed)
        self._step = _Step(step + 1)
        return [there[name] for name in sorted(there)]


def _shares_unfit() -> SharesUnfit:
    return SharesUnfit(
        "The shares that sites gave open nothing.",
        why="At least one of them is not what was shared; which one cannot be told.",
        todo="Begin a new round. If it happens again, leave out one site after the other.",
    )
