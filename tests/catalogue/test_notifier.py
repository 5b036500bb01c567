"""Those who wait are woken by a commit, in this process or another, and hold nothing meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from fairbank import events
from fairbank.catalogue import notifier, routes
from fairbank.catalogue.context import Hub, open_hub
from fairbank.catalogue.nodes import invite
from fairbank.catalogue.notifier import Concern
from fairbank.database import writing


def test_a_notification_wakes_those_who_wait(hub: Hub) -> None:
    async def both() -> int:
        seen = hub.notifier.seen
        waiting = asyncio.create_task(hub.notifier.wait(seen, 30))
        await asyncio.sleep(0)
        await asyncio.to_thread(hub.notifier.notify)
        return await waiting - seen

    assert asyncio.run(both()) == 1


def test_what_was_missed_is_not_waited_for(hub: Hub) -> None:
    seen = hub.notifier.seen
    hub.notifier.notify()
    assert asyncio.run(hub.notifier.wait(seen, 30)) == seen + 1


def test_who_waits_for_work_sleeps_through_the_outputs_of_others(hub: Hub) -> None:
    async def both() -> tuple[int, int]:
        seen = hub.notifier.seen
        waiting = asyncio.create_task(hub.notifier.wait(seen, 30, Concern.WORK))
        await asyncio.sleep(0)
        await asyncio.to_thread(hub.notifier.notify, work=False)
        done, _ = await asyncio.wait({waiting}, timeout=0.2)
        assert not done
        await asyncio.to_thread(hub.notifier.notify, work=True)
        return await waiting, seen

    found, seen = asyncio.run(both())
    assert found == seen + 2


def test_who_waits_for_questions_sleeps_through_all_other_work(hub: Hub) -> None:
    async def both() -> None:
        waiting = asyncio.create_task(hub.notifier.wait(hub.notifier.seen, 30, Concern.QUESTIONS))
        await asyncio.sleep(0)
        await asyncio.to_thread(hub.notifier.notify, work=True)
        done, _ = await asyncio.wait({waiting}, timeout=0.2)
        assert not done
        await asyncio.to_thread(hub.notifier.notify, questions=True)
        await asyncio.wait_for(waiting, 10)

    asyncio.run(both())


def test_work_that_came_before_the_waiting_is_not_missed(hub: Hub) -> None:
    seen = hub.notifier.seen
    hub.notifier.notify(work=["north"])
    hub.notifier.notify()
    assert asyncio.run(hub.notifier.wait(seen, 30, Concern.WORK, node="north")) == seen + 2
    hub.notifier.notify(work=True)
    seen += 1
    assert asyncio.run(hub.notifier.wait(seen, 30, Concern.WORK)) == seen + 2


def test_a_node_is_woken_by_what_concerns_it_alone(hub: Hub) -> None:
    async def both() -> None:
        seen = hub.notifier.seen
        north, east = (
            asyncio.create_task(hub.notifier.wait(seen, 30, Concern.WORK, node=node))
            for node in ("north", "east")
        )
        await asyncio.sleep(0)
        await asyncio.to_thread(hub.notifier.notify, work=["north", "west"])
        await asyncio.wait_for(north, 10)
        done, _ = await asyncio.wait({east}, timeout=0.2)
        assert not done
        await asyncio.to_thread(hub.notifier.notify, work=True)
        await asyncio.wait_for(east, 10)

    asyncio.run(both())


@pytest.mark.parametrize("nodes", [["north"], [f"node-{number:060}" for number in range(1000)]])
def test_other_processes_are_told_which_nodes_a_change_concerns(hub: Hub, nodes: list[str]) -> None:
    payload = notifier._payload("another process", {Concern.EVENTS}, nodes)
    assert len(payload) < 8000

    async def both() -> set[str]:
        seen = hub.notifier.seen
        waiting = {
            asyncio.create_task(hub.notifier.wait(seen, 30, Concern.WORK, node=node), name=node)
            for node in (nodes[0], "east")
        }
        await asyncio.sleep(0)
        hub.notifier._hear(payload)
        done, others = await asyncio.wait(waiting, timeout=0.2)
        for task in others:
            task.cancel()
        return {task.get_name() for task in done}

    # A list that is too long for one message wakes everybody.
    assert asyncio.run(both()) == ({"north"} if len(nodes) == 1 else {nodes[0], "east"})


def test_a_process_of_the_version_before_wakes_everybody_and_one_s_own_words_nobody(hub: Hub) -> None:
    async def woken(payload: str) -> bool:
        waiting = asyncio.create_task(hub.notifier.wait(hub.notifier.seen, 0.2, Concern.WORK, node="north"))
        await asyncio.sleep(0)
        seen = hub.notifier.seen
        hub.notifier._hear(payload)
        await waiting
        return hub.notifier.seen > seen

    assert asyncio.run(woken(""))
    assert not asyncio.run(woken(notifier._payload(hub.notifier._name, set(Concern), ["north"])))


def test_who_waits_for_events_is_woken_by_events_alone(hub: Hub) -> None:
    async def both() -> None:
        poll = asyncio.create_task(hub.notifier.poll())
        await asyncio.sleep(0.2)
        waiting = asyncio.create_task(hub.notifier.wait(hub.notifier.seen, 30, Concern.EVENTS))
        await asyncio.sleep(0)
        await asyncio.to_thread(note, hub)
        done, _ = await asyncio.wait({waiting}, timeout=0.3)
        assert bool(done) == (hub.engine.dialect.name == "postgresql")
        await asyncio.to_thread(happen, hub)
        await asyncio.wait_for(waiting, 10)
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)

    asyncio.run(both())


def test_waiting_ends_without_news(hub: Hub) -> None:
    assert asyncio.run(hub.notifier.wait(hub.notifier.seen, 0.01)) == hub.notifier.seen


def test_a_commit_of_another_process_is_seen(hub: Hub) -> None:
    other = open_hub(hub.settings, hub.clock)

    async def both() -> int:
        poll = asyncio.create_task(hub.notifier.poll())
        # The poller first takes note of where the database stands.
        await asyncio.sleep(0.2)
        seen = hub.notifier.seen
        waiting = asyncio.create_task(hub.notifier.wait(seen, 30))
        await asyncio.to_thread(commit, other)
        found = await waiting
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)
        return found - seen

    assert asyncio.run(both()) >= 1
    other.engine.dispose()


def test_the_background_brings_the_view_up_and_ends_cleanly(hub: Hub) -> None:
    async def run() -> None:
        tasks = [asyncio.create_task(work()) for work in routes.background(hub)]  # type: ignore[arg-type]
        while not (hub.rdf / "current").exists():
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())


def note(hub: Hub) -> None:
    with writing(hub.engine) as session:
        invite(session, hub, actor="admin")
    hub.notifier.notify()


def happen(hub: Hub) -> None:
    with writing(hub.engine) as session:
        events.append(session, events.HubEvent, clock=hub.clock, kind="node.enrolled", subject="north")
    hub.notifier.notify()


def commit(hub: Hub) -> None:
    with writing(hub.engine) as session:
        invite(session, hub, actor="admin")
    # On PostgreSQL the other process has to say so; on SQLite its commit shows by itself.
    if hub.engine.dialect.name == "postgresql":
        hub.notifier.notify()


def test_many_threads_tell_while_the_poller_looks(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "POLL_S", 0)

    def tell() -> None:
        for _ in range(300):
            hub.notifier.notify()

    async def both() -> None:
        poll = asyncio.create_task(hub.notifier.poll())
        await asyncio.sleep(0.1)
        await asyncio.gather(*(asyncio.to_thread(tell) for _ in range(3)))
        assert not poll.done()
        poll.cancel()
        with suppress(asyncio.CancelledError):
            await poll

    asyncio.run(both())
