"""Plans in which sites give their models to each other: BrainTorrent, random order, all to all, a ring.

What a site makes goes sealed to all others that take part; the hub only keeps it until it is asked for. So a step can
name for each site what it takes, and a lost or late one is passed over without asking anybody to send again. Only the
last round's model, of one site, comes in the open: it is the job's.
"""

from __future__ import annotations

from pydantic import JsonValue

from fairbank.federated_jobs.algorithms.seeds import derive_seed
from fairbank.federated_jobs.axes.plan_options import PeerOptions, Topology
from fairbank.federated_jobs.plans.machine import (
    Closed,
    Done,
    Ending,
    Mail,
    Merging,
    Parcel,
    PlanState,
    Setting,
    Step,
)

# The last round may be tried at so many sites more: of a job whose last site drops out nothing would be left.
SPARE_ROUNDS = 3
# How many models back a site may fall where the newest that walked cannot be used.
TRAIL = 8


class PeerToPeer:
    """Each site keeps a model of its own and hands it to its peers.

    Sources: Roy et al. 2019, BrainTorrent: A Peer-to-Peer Environment for Decentralized Federated Learning, section 2
    (all train once; then one site at a time, drawn at random, takes what is newer at its peers, averages it with its
    own by samples, and trains); Chang et al. 2018, Distributed deep learning networks among institutions for medical
    imaging, cyclic weight transfer (the ring, and the walk in random order); McMahan et al. 2017,
    Communication-Efficient Learning of Deep Networks, algorithm 1, computed at every site instead of a server (all to
    all).
    """

    def first(self, setting: Setting) -> Step:
        """Return the first round: nobody has a model yet."""
        return _step(
            setting, 1, {"versions": {}, "taken": {}, "newest": [], "turn": "", "cycle": 0, "left": []}
        )

    def next(self, setting: Setting, state: PlanState, closed: Closed) -> Step | Done:
        """Return the next round, unless the model of the last one is there."""
        number = closed.round + 1
        if _is_last(setting, closed.round) and (closed.arrived or number > last_round(setting.rounds)):
            return Done(Ending.ALL_ROUNDS, closed.result)
        return _step(setting, number, _after(setting, state, closed))


def last_round(rounds: int) -> int:
    """Return the highest number that a round of a job may have.

    Args:
        rounds: as the sealed manifest says.
    """
    return rounds + SPARE_ROUNDS


def is_plain(rounds: int, number: int) -> bool:
    """Tell whether the model of a round comes to the hub in the open: that of the last one does, and no other.

    >>> is_plain(3, 2), is_plain(3, 3)
    (False, True)
    """
    return number >= rounds


def is_walk(topology: Topology) -> bool:
    """Tell whether one model goes from site to site; else each site puts those of others together with its own."""
    return topology in (Topology.RING, Topology.RANDOM_ORDER)


def _is_last(setting: Setting, number: int) -> bool:
    return is_plain(setting.rounds, number)


def _after(setting: Setting, state: PlanState, closed: Closed) -> PlanState:
    """Return the state after a round: whose versions there are, who has taken which, and which are the newest."""
    versions = {**_versions(state["versions"]), **dict.fromkeys(closed.arrived, closed.round)}
    arrived: list[list[str | int]] = [[site, closed.round] for site in closed.arrived]
    newest = _pairs(state["newest"])
    if is_walk(_topology(setting)):
        newest = [*arrived, *newest][:TRAIL]
    elif arrived:
        newest = arrived
    # Who has delivered has taken all that there was when it was asked.
    taken = {**_table(state["taken"]), **dict.fromkeys(closed.arrived, state["versions"])}
    after: PlanState = {**state, "versions": dict(versions), "taken": taken}
    after["newest"] = [list(each) for each in newest]
    return after


def _step(setting: Setting, number: int, state: PlanState) -> Step:
    topology, last = _topology(setting), _is_last(setting, number)
    if is_walk(topology):
        asked, state = _next_in_order(setting, state)
        trail = _parcels(_pairs(state["newest"]))
        mail = Mail({asked: trail}, first_only=True, plain=last)
        return _made(setting, number, state, mail, at_least=0)
    if topology is Topology.ALL_TO_ALL:
        newest = _parcels(_pairs(state["newest"]))
        sites = (_drawn(setting, number),) if last else setting.sites
        mail = Mail(dict.fromkeys(sites, newest), plain=last, trains=not last)
        return _made(setting, number, state, mail, at_least=0 if last else setting.quorum)
    if number == 1:
        mail = Mail(dict.fromkeys(setting.sites, ()), plain=last)
        return _made(setting, number, state, mail, at_least=setting.quorum)
    site = _drawn(setting, number)
    mail = Mail({site: _newer(state, site)}, plain=last)
    return _made(setting, number, state, mail, at_least=0)


def _made(setting: Setting, number: int, state: PlanState, mail: Mail, *, at_least: int) -> Step:
    empty = not any(mail.takes.values())
    return Step(
        participants=tuple(sorted(mail.takes)),
        base=setting.initial if empty else None,
        merging=Merging.HAND_ON if mail.plain else Merging.SEALED,
        at_least=1 if number >= last_round(setting.rounds) else at_least,
        state=state,
        mail=mail,
    )


def _newer(state: PlanState, site: str) -> tuple[Parcel, ...]:
    """Return a site's own version and those of its peers that it has not taken yet, by the names of their sites."""
    taken = _versions(_table(state["taken"]).get(site, {}))
    versions = _versions(state["versions"])
    wanted = {peer: at for peer, at in versions.items() if peer == site or at > taken.get(peer, 0)}
    return _parcels([[peer, wanted[peer]] for peer in sorted(wanted)])


def _next_in_order(setting: Setting, state: PlanState) -> tuple[str, PlanState]:
    """Return whose turn it is, and the state in which that is written down."""
    if _topology(setting) is Topology.RING:
        before = _text(state["turn"])
        asked = next((site for site in setting.sites if site > before), setting.sites[0])
        return asked, {**state, "turn": asked}
    left = [site for site in _list(state["left"]) if site in setting.sites]
    cycle = state["cycle"]
    assert isinstance(cycle, int)
    if not left:
        cycle += 1
        left = sorted(setting.sites, key=lambda site: _draw(setting, site, cycle, "order"))
    return left[0], {**state, "turn": left[0], "cycle": cycle, "left": [*left[1:]]}


def _drawn(setting: Setting, number: int) -> str:
    return min(setting.sites, key=lambda site: _draw(setting, site, number, "turn"))


def _draw(setting: Setting, site: str, number: int, purpose: str) -> tuple[int, str]:
    return derive_seed(setting.seed, site=site, round_number=number, purpose=purpose), site


def _topology(setting: Setting) -> Topology:
    assert isinstance(setting.options, PeerOptions)
    return setting.options.who


def _parcels(pairs: list[list[str | int]]) -> tuple[Parcel, ...]:
    return tuple(Parcel(str(sender), int(number)) for sender, number in pairs)


def _pairs(value: JsonValue) -> list[list[str | int]]:
    assert isinstance(value, list)
    pairs: list[list[str | int]] = []
    for each in value:
        assert isinstance(each, list)
        sender, number = each
        assert isinstance(sender, str) and isinstance(number, int)
        pairs.append([sender, number])
    return pairs


def _versions(value: JsonValue) -> dict[str, int]:
    return {site: number for site, number in _table(value).items() if isinstance(number, int)}


def _table(value: JsonValue) -> dict[str, JsonValue]:
    assert isinstance(value, dict)
    return value


def _list(value: JsonValue) -> list[str]:
    assert isinstance(value, list)
    return [_text(each) for each in value]


def _text(value: JsonValue) -> str:
    assert isinstance(value, str)
    return value
