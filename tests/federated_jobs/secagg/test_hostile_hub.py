"""A hub that lies ends an attempt at most: no site gives it what would open a single update."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.federated_jobs.secagg.parties import OTHER_BASE, Party, drawn_from, run

from fairbank.federated_jobs.secagg.collecting import Collecting
from fairbank.federated_jobs.secagg.errors import Fault, MessageUnfit, SharesUnfit, TooFewSites
from fairbank.federated_jobs.secagg.limits import threshold
from fairbank.federated_jobs.secagg.masks import Mask, agreed, derived, put_on
from fairbank.federated_jobs.secagg.messages import (
    Keys,
    Shares,
    Survivors,
    Unmasking,
    key_bytes,
    key_text,
)
from fairbank.federated_jobs.secagg.shamir import joined
from fairbank.federated_jobs.secagg.site import Site
from fairbank.signing import SigningKey


def fault_of(call: Callable[[], object]) -> Fault:
    with pytest.raises(MessageUnfit) as caught:
        call()
    return caught.value.fault


@dataclass
class Scene:
    """An attempt of five sites that has gone as far as a step."""

    party: Party
    sites: dict[str, Site]
    keys: list[bytes]
    shares: list[bytes]
    masked: dict[str, tuple[bytes, NDArray[Any]]]
    survivors: tuple[str, ...]
    signed: list[bytes]

    @property
    def first(self) -> Site:
        return self.sites["site-01"]


def scene(until: str, party: Party | None = None, *, without: tuple[str, ...] = (), **context: Any) -> Scene:
    party = party or Party(5)
    asked = party.context(**context)
    found = Scene(party, {name: party.site(name, asked) for name in party.names}, [], [], {}, (), [])
    found.keys = [site.advertise() for site in found.sites.values()]
    if until == "share":
        return found
    found.shares = [site.share(found.keys) for site in found.sites.values()]
    if until == "mask":
        return found
    here = [name for name in party.names if name not in without]
    for name in here:
        numbers = party.ring.encoded(party.updates[name])
        found.masked[name] = found.sites[name].mask(found.shares, numbers), numbers
    found.survivors = tuple(here)
    if until == "confirm":
        return found
    found.signed = [found.sites[name].confirm(found.survivors) for name in here]
    return found


def changed(envelope: bytes, key: SigningKey, kind: Any, **fields: Any) -> bytes:
    message, _ = kind.open(envelope, trusted=None)
    return message.model_copy(update=fields).seal(key)


def without_context(party: Party, site: str, envelope: bytes, kind: Any, **context: Any) -> bytes:
    message, _ = kind.open(envelope, trusted=None)
    return message.model_copy(update={"context": party.context(**context)}).seal(party.keys[site])


class TestKeys:
    def test_a_key_of_the_hubs_own_in_the_place_of_a_sites(self) -> None:
        at = scene("share")
        forged = changed(at.keys[1], SigningKey.generate(), Keys, sealing=key_text(bytes(range(32))))
        assert fault_of(lambda: at.first.share([at.keys[0], forged, *at.keys[2:]])) is Fault.UNTRUSTED

    def test_one_sites_signature_under_anothers_name(self) -> None:
        at = scene("share")
        forged = changed(at.keys[1], at.party.keys["site-03"], Keys)
        assert fault_of(lambda: at.first.share([at.keys[0], forged, *at.keys[2:]])) is Fault.UNTRUSTED

    def test_sites_that_the_job_has_not(self) -> None:
        at = scene("share")
        stranger = changed(at.keys[1], at.party.keys["site-02"], Keys, node="sybil")
        assert fault_of(lambda: at.first.share([*at.keys, stranger])) is Fault.UNKNOWN_SITE

    @pytest.mark.parametrize(
        "context", [{"attempt": 2}, {"number": 2}, {"base": OTHER_BASE}], ids=["attempt", "round", "model"]
    )
    def test_keys_of_another_attempt_round_or_model(self, context: dict[str, Any]) -> None:
        at = scene("share")
        old = without_context(at.party, "site-02", at.keys[1], Keys, **context)
        assert fault_of(lambda: at.first.share([at.keys[0], old, *at.keys[2:]])) is Fault.OTHER_CONTEXT

    def test_a_site_twice_and_two_keys_that_are_the_same(self) -> None:
        at = scene("share")
        assert fault_of(lambda: at.first.share([*at.keys, at.keys[1]])) is Fault.TWICE
        at = scene("share")
        message, _ = Keys.open(at.keys[1], trusted=None)
        twin = changed(at.keys[2], at.party.keys["site-03"], Keys, masking=message.masking)
        assert fault_of(lambda: at.first.share([*at.keys[:2], twin, *at.keys[3:]])) is Fault.SAME_KEY

    def test_a_list_without_this_site_and_one_that_is_too_short(self) -> None:
        at = scene("share")
        assert fault_of(lambda: at.first.share(at.keys[1:])) is Fault.NOT_AMONG_THEM
        at = scene("share")
        with pytest.raises(TooFewSites):
            at.first.share(at.keys[:3])

    def test_another_list_of_sites_than_was_approved(self) -> None:
        party = Party(5)
        larger = {**party.roster, "sybil": SigningKey.generate().key_id}
        assert (
            fault_of(
                lambda: Site(
                    party.context(),
                    larger,
                    node="site-01",
                    key=party.keys["site-01"],
                    answers=party.noted["site-01"],
                )
            )
            is Fault.OTHER_CONTEXT
        )

    def test_a_public_key_that_gives_no_secret(self) -> None:
        at = scene("share")
        weak = changed(at.keys[1], at.party.keys["site-02"], Keys, sealing=key_text(bytes(32)))
        assert fault_of(lambda: at.first.share([at.keys[0], weak, *at.keys[2:]])) is Fault.DAMAGED


class TestShares:
    def test_a_bit_flipped_in_a_box_by_its_sender(self) -> None:
        at = scene("mask")
        message, _ = Shares.open(at.shares[1], trusted=None)
        raw = bytearray(base64.b64decode(message.boxes[0].sealed))
        raw[5] ^= 1
        box = message.boxes[0].model_copy(update={"sealed": base64.b64encode(raw).decode()})
        forged = changed(at.shares[1], at.party.keys["site-02"], Shares, boxes=(box, *message.boxes[1:]))
        assert (
            fault_of(lambda: at.first.mask([at.shares[0], forged, *at.shares[2:]], np.zeros(8, "<u4")))
            is Fault.DAMAGED
        )

    @pytest.mark.parametrize("place", range(0, 600, 37))
    def test_a_bit_flipped_by_the_hub(self, place: int) -> None:
        at = scene("mask", Party(3))
        broken = bytearray(at.shares[1])
        broken[place % len(broken)] ^= 1
        if bytes(broken) == at.shares[1]:
            return
        with pytest.raises(MessageUnfit):
            at.first.mask([at.shares[0], bytes(broken), at.shares[2]], np.zeros(8, "<u4"))

    def test_a_box_for_another_site(self) -> None:
        at = scene("mask")
        message, _ = Shares.open(at.shares[1], trusted=None)
        boxes = {box.to: box for box in message.boxes}
        moved = boxes["site-03"].model_copy(update={"to": "site-01"})
        others = tuple(box for name, box in boxes.items() if name != "site-01")
        forged = changed(at.shares[1], at.party.keys["site-02"], Shares, boxes=(moved, *others))
        assert (
            fault_of(lambda: at.first.mask([at.shares[0], forged, *at.shares[2:]], np.zeros(8, "<u4")))
            is Fault.DAMAGED
        )

    def test_shares_of_a_site_whose_keys_nobody_was_shown(self) -> None:
        party = Party(5)
        sites = {name: party.site(name) for name in party.names}
        keys = [site.advertise() for site in sites.values()]
        shares = [sites[name].share(keys) for name in party.names[1:]]
        sites["site-01"].share(keys[:4])
        assert fault_of(lambda: sites["site-01"].mask(shares, np.zeros(8, "<u4"))) is Fault.UNKNOWN_SITE

    def test_too_few_shares(self) -> None:
        at = scene("mask")
        with pytest.raises(TooFewSites):
            at.first.mask(at.shares[:3], np.zeros(8, "<u4"))


class TestUnmasking:
    def test_two_lists_of_survivors_shown_to_two_sites(self) -> None:
        at = scene("confirm")
        five, four = at.survivors, at.survivors[:4]
        signed = [at.sites[name].confirm(five if name != "site-02" else four) for name in four]
        assert fault_of(lambda: at.first.unmask(signed)) is Fault.OTHER_SURVIVORS

    def test_neither_list_is_signed_by_a_threshold_where_sites_are_told_different_ones(self) -> None:
        at = scene("confirm")
        five, four = at.survivors, at.survivors[:4]
        told = {name: five if place < 2 else four for place, name in enumerate(four)}
        signed = {name: at.sites[name].confirm(told[name]) for name in four}
        for name in four:
            same = [one for other, one in signed.items() if told[other] == told[name]]
            with pytest.raises(TooFewSites):
                at.sites[name].unmask(same)

    def test_a_survivor_that_sealed_no_shares_and_a_list_without_this_site(self) -> None:
        assert fault_of(
            lambda: scene("confirm").first.confirm(["site-01", "sybil", "site-02", "site-03"])
        ) is (Fault.NOT_AMONG_THEM)
        at = scene("confirm")
        assert fault_of(lambda: at.first.confirm(at.survivors[1:])) is Fault.NOT_AMONG_THEM
        at = scene("confirm")
        assert fault_of(lambda: at.first.confirm([*at.survivors, "site-02"])) is Fault.TWICE

    def test_fewer_survivors_than_a_sum_is_made_of(self) -> None:
        with pytest.raises(TooFewSites):
            scene("confirm").first.confirm(["site-01", "site-02", "site-03"])

    def test_signatures_of_another_attempt(self) -> None:
        party = Party(5)
        old = scene("unmask", party, attempt=2)
        at = scene("unmask", party)
        assert fault_of(lambda: at.first.unmask(old.signed)) is Fault.OTHER_CONTEXT

    def test_nobody_gives_both_secrets_of_a_site(self) -> None:
        at = scene("unmask", without=("site-05",))
        for name in at.survivors:
            answer, _ = Unmasking.open(at.sites[name].unmask(at.signed), trusted=None)
            assert set(answer.seeds) == set(at.survivors) and set(answer.keys) == {"site-05"}

    def test_a_second_question_in_the_same_attempt(self) -> None:
        at = scene("unmask")
        at.first.unmask(at.signed)
        assert fault_of(lambda: at.first.unmask(at.signed)) is Fault.OUT_OF_TURN

    def test_a_second_sum_of_a_round_over_other_sites(self) -> None:
        party = Party(5)
        assert run(party, {"site-05": "masked"}).shape == (8,)
        with pytest.raises(MessageUnfit) as caught:
            run(party, context=party.context(attempt=2))
        assert caught.value.fault is Fault.ANSWERED
        assert run(party, context=party.context(number=2)).shape == (8,)

    def test_an_attempt_that_nobody_unmasked_can_be_begun_anew(self) -> None:
        party = Party(3)
        with pytest.raises(TooFewSites):
            run(party, {"site-03": "masked"})
        found = run(party, context=party.context(attempt=2))
        assert np.abs(found - party.summed(party.names)).max() <= 3 / 2**21

    def test_an_answer_is_noted_before_it_is_given(self) -> None:
        at = scene("unmask")

        def full(job: str, number: int) -> bool:
            raise OSError("no space left on device")

        at.party.noted["site-01"].first = full  # type: ignore[method-assign]
        with pytest.raises(OSError, match="no space"):
            at.first.unmask(at.signed)
        assert fault_of(lambda: at.first.unmask(at.signed)) is Fault.OUT_OF_TURN


@pytest.mark.parametrize("step", ["share", "mask", "confirm", "unmask"])
def test_steps_out_of_their_turn_end_the_attempt(step: str) -> None:
    site = Party(3).site("site-01")
    calls: dict[str, Callable[[], object]] = {
        "share": lambda: site.share([]),
        "mask": lambda: site.mask([], np.zeros(8, "<u4")),
        "confirm": lambda: site.confirm([]),
        "unmask": lambda: site.unmask([]),
    }
    assert fault_of(calls[step]) is Fault.OUT_OF_TURN
    assert fault_of(site.advertise) is Fault.OUT_OF_TURN


def test_sites_that_were_given_different_models_do_not_agree() -> None:
    party = Party(3)
    other = party.context(base=OTHER_BASE)
    contexts = {name: other if name == "site-03" else party.context() for name in party.names}
    sites = {name: party.site(name, contexts[name]) for name in party.names}
    keys = [site.advertise() for site in sites.values()]
    assert {fault_of(lambda site=site: site.share(keys)) for site in sites.values()} == {Fault.OTHER_CONTEXT}


def test_a_sealed_update_that_was_changed_on_its_way_is_refused() -> None:
    at = scene("mask")
    hub = Collecting(at.party.context(), at.party.roster, at.party.ring)
    for envelope in at.keys:
        hub.add_keys(envelope)
    hub.close_keys()
    for envelope in at.shares:
        hub.add_shares(envelope)
    hub.close_shares()
    numbers = at.party.ring.encoded(at.party.updates["site-01"])
    envelope = at.first.mask(at.shares, numbers)
    numbers[3] += 1
    assert fault_of(lambda: hub.add_masked(envelope, numbers)) is Fault.DAMAGED
    numbers[3] -= 1
    hub.add_masked(envelope, numbers)
    assert fault_of(lambda: hub.add_masked(envelope, numbers)) is Fault.TWICE


@pytest.mark.parametrize("secret", ["seeds", "keys"])
def test_shares_that_do_not_belong_together_open_nothing(secret: str) -> None:
    party = Party(7)
    at = scene("unmask", party, without=("site-07",))
    hub = Collecting(party.context(), party.roster, party.ring)
    for envelope in at.keys:
        hub.add_keys(envelope)
    hub.close_keys()
    for envelope in at.shares:
        hub.add_shares(envelope)
    hub.close_shares()
    for envelope, numbers in at.masked.values():
        hub.add_masked(envelope, numbers)
    hub.close_masked()
    for envelope in at.signed:
        hub.add_survivors(envelope)
    hub.close_survivors()
    for name in at.survivors:
        envelope = at.sites[name].unmask(at.signed)
        if name == "site-01":
            answer, _ = Unmasking.open(envelope, trusted=None)
            given = dict(getattr(answer, secret))
            given[min(given)] = base64.b64encode(bytes(33)).decode()
            envelope = changed(envelope, party.keys[name], Unmasking, **{secret: given})
        hub.add_unmasking(envelope)
    with pytest.raises(SharesUnfit):
        hub.total()


@dataclass
class Curious:
    """A hub that keeps every message of an attempt, each masked update too, and takes off whatever mask it can.

    Attributes:
        keys, seeds: the secrets that it has, by site: what shares in its hands open, and what a test tells it.
    """

    at: Scene
    keys: dict[str, bytes]
    seeds: dict[str, bytes]

    @classmethod
    def after(cls, at: Scene) -> Curious:
        """Let the survivors of a scene answer, and open all that their answers open."""
        answers = {
            name: Unmasking.open(at.sites[name].unmask(at.signed), trusted=None)[0] for name in at.survivors
        }
        places = {name: place for place, name in enumerate(at.party.names, 1)}

        def opened(which: str) -> dict[str, bytes]:
            found: dict[str, bytes] = {}
            for name in at.party.names:
                shares = {
                    places[site]: base64.b64decode(getattr(answer, which)[name])
                    for site, answer in answers.items()
                    if name in getattr(answer, which)
                }
                secret = joined(shares, threshold=threshold(len(places)))
                if secret is not None:
                    found[name] = secret
            return found

        return cls(at, opened("keys"), opened("seeds"))

    def unmasked(self, name: str, masked: NDArray[Any]) -> NDArray[Any]:
        """Return what is left of one masked update."""
        salt = self.at.party.context().digest()
        public = {
            message.node: key_bytes(message.masking)
            for message in (Keys.open(envelope, trusted=None)[0] for envelope in self.at.keys)
        }
        masks = []
        if name in self.seeds:
            masks.append(Mask(derived(self.seeds[name], context=salt, info="secagg self"), added=False))
        for other in set(public) - {name}:
            for one, two in ((name, other), (other, name)):
                if one in self.keys:
                    key = agreed(self.keys[one], public[two], context=salt, info="secagg pair")
                    masks.append(Mask(key, added=other < name))
                    break
        numbers = masked.copy()
        put_on(numbers, masks)
        return numbers


def secrets_of(name: str) -> tuple[bytes, bytes]:
    """Return the masking key and the seed of a seeded site; before them it draws its sealing key."""
    _, key, seed = map(drawn_from(name), [32] * 3)
    return key, seed


@pytest.mark.parametrize("without", [(), ("site-07",)], ids=["all are here", "one is lost"])
def test_all_that_a_hub_keeps_opens_no_single_update(without: tuple[str, ...]) -> None:
    """Whatever shares open, the masks between two live sites stay; one secret more and an update lies open."""
    party = Party(7, seeded=True)
    at = scene("unmask", party, without=without)
    curious = Curious.after(at)
    assert set(curious.seeds) == set(at.survivors) and set(curious.keys) == set(without)
    for name in at.survivors:
        update, (_, masked) = party.ring.encoded(party.updates[name]), at.masked[name]
        assert not np.any(curious.unmasked(name, masked) == update), f"{name} lies open"
        told = Curious(at, {**curious.keys, name: secrets_of(name)[0]}, curious.seeds)
        assert np.array_equal(told.unmasked(name, masked), update), "the masks are those that are looked for"
    for site in (at.sites[name] for name in at.survivors):
        for secret in (site._sealing, site._masking, site._seed):
            assert bytes(secret) == bytes(32), "secrets are overwritten after the answer"


def test_an_update_that_comes_after_its_site_was_called_lost_stays_masked() -> None:
    """The hub has the lost site's key then, and so all its masks with others; its own is left."""
    party = Party(7, seeded=True)
    at = scene("unmask", party, without=("site-07",))
    update = party.ring.encoded(party.updates["site-07"])
    late = update.copy()
    at.sites["site-07"].mask(at.shares, late)
    curious = Curious.after(at)
    assert curious.keys == {"site-07": secrets_of("site-07")[0]}
    assert not np.any(curious.unmasked("site-07", late) == update)
    told = Curious(at, curious.keys, {**curious.seeds, "site-07": secrets_of("site-07")[1]})
    assert np.array_equal(told.unmasked("site-07", late), update)


def test_what_a_fault_says_names_no_site() -> None:
    at = scene("unmask")
    with pytest.raises(MessageUnfit) as caught:
        at.first.unmask([changed(at.signed[1], at.party.keys["site-02"], Survivors, survivors=("site-02",))])
    assert "site-0" not in str(caught.value) + caught.value.why
