"""Setting committees up: at the hub in the home folder by whoever runs it, else over the hub one is logged in to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from fairbank.cli.session import api, hub, settings

if TYPE_CHECKING:
    import typer

    from fairbank.catalogue.context import Hub
    from fairbank.web.api_client import HubApi

# The actor that the log names, as for the other acts of whoever runs the hub.
OPERATOR = "operator"


class Setup(Protocol):
    """What an administrator does to committees; bodies are those of the routes."""

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Set a committee up and return it."""
        ...

    def scope(self, committee: str, body: Mapping[str, Any], *, remove: bool) -> None:
        """Say what it decides about, or no longer."""
        ...

    def member(self, committee: str, account: str, *, chair: bool | None) -> None:
        """Let somebody sit on it, or leave it (`chair` None)."""
        ...

    def dissolve(self, committee: str) -> None:
        """End it."""
        ...

    def every(self) -> list[dict[str, Any]]:
        """Return all that one may see, in full."""
        ...

    def one(self, committee: str) -> dict[str, Any]:
        """Return one, in full."""
        ...

    def test_notice(self, committee: str) -> list[dict[str, Any]]:
        """Send each member a notice that only tries the way to her; return what became of them."""
        ...


def setup(ctx: typer.Context) -> Setup:
    """Return the way to committees that this home folder has."""
    from fairbank.catalogue.context import KEY_FILE

    return _Here(hub(ctx)) if (settings(ctx).keys_path / KEY_FILE).exists() else _There(api(ctx))


class _There:
    """A hub that one is logged in to."""

    def __init__(self, hub_api: HubApi) -> None:
        self._api = hub_api

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._api.post("/v1/committees", body, signed_in=True)

    def scope(self, committee: str, body: Mapping[str, Any], *, remove: bool) -> None:
        path = f"/v1/committees/{committee}/scopes"
        self._api.post(f"{path}/remove" if remove else path, body, signed_in=True)

    def member(self, committee: str, account: str, *, chair: bool | None) -> None:
        path = f"/v1/committees/{committee}/members/{account}"
        if chair is None:
            self._api.delete(path)
        else:
            self._api.put(path, {"schema": "committee-member/1", "chair": chair}, signed_in=True)

    def dissolve(self, committee: str) -> None:
        self._api.post(f"/v1/committees/{committee}/dissolve", {}, signed_in=True)

    def every(self) -> list[dict[str, Any]]:
        ids = [each["id"] for each in self._api.get("/v1/committees", signed_in=True)["committees"]]
        return [self.one(each) for each in ids]

    def one(self, committee: str) -> dict[str, Any]:
        found: dict[str, Any] = self._api.get(f"/v1/committees/{committee}", signed_in=True)
        return found

    def test_notice(self, committee: str) -> list[dict[str, Any]]:
        answer = self._api.post(f"/v1/committees/{committee}/test-notice", {}, signed_in=True)
        sent: list[dict[str, Any]] = answer["sent"]
        return sent


class _Here:
    """The hub in the home folder."""

    def __init__(self, opened: Hub) -> None:
        self._hub = opened

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        from fairbank.catalogue.governance import membership, reviews
        from fairbank.database import writing

        with writing(self._hub.engine) as session:
            wish = membership.NewCommittee.parse(dict(body))
            made = membership.create(session, self._hub, wish, actor=OPERATOR)
            return reviews.committee_in_full(session, made, now=self._hub.clock.now())

    def scope(self, committee: str, body: Mapping[str, Any], *, remove: bool) -> None:
        from fairbank.catalogue.governance import membership
        from fairbank.database import writing

        act = membership.remove_scope if remove else membership.add_scope
        with writing(self._hub.engine) as session:
            act(session, self._hub, committee, membership.Scope.parse(dict(body)), actor=OPERATOR)

    def member(self, committee: str, account: str, *, chair: bool | None) -> None:
        from fairbank.catalogue.governance import membership
        from fairbank.database import writing

        with writing(self._hub.engine) as session:
            if chair is None:
                membership.remove_member(session, self._hub, committee, account, actor=OPERATOR)
            else:
                membership.add_member(session, self._hub, committee, account, chair=chair, actor=OPERATOR)

    def dissolve(self, committee: str) -> None:
        from fairbank.catalogue.governance import membership
        from fairbank.database import writing

        with writing(self._hub.engine) as session:
            membership.dissolve(session, self._hub, committee, actor=OPERATOR)

    def every(self) -> list[dict[str, Any]]:
        from fairbank.catalogue.governance import reviews
        from fairbank.database import reading

        with reading(self._hub.engine) as session:
            return reviews.all_committees(session, now=self._hub.clock.now())

    def one(self, committee: str) -> dict[str, Any]:
        from fairbank.catalogue.governance import membership, reviews
        from fairbank.database import reading

        with reading(self._hub.engine) as session:
            found = membership.find(session, committee)
            return reviews.committee_in_full(session, found, now=self._hub.clock.now())

    def test_notice(self, committee: str) -> list[dict[str, Any]]:
        from fairbank.catalogue.governance import mail, membership, notices
        from fairbank.database import reading, writing

        mail.check(self._hub.settings)
        with writing(self._hub.engine) as session:
            membership.find(session, committee)
            keys = notices.write_test(session, self._hub, committee, actor=OPERATOR)
        mail.send_waiting(self._hub)
        with reading(self._hub.engine) as session:
            return notices.how_sent(session, keys)
