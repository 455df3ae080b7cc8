"""Planted bugs of what bounds agents: each breaks one rule, in a test alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rheostat.server.runs.revision import RevisionKind
from rheostat.server.store.operations import limiting, revise, stop, taking_back
from rheostat.server.store.operations.limiting import Use
from rheostat.server.store.revisions import Contribution, Revisions

deeds = Revisions.deeds


def counted_before_the_lock(patch: pytest.MonkeyPatch) -> None:
    """Count what was done before others that ask at the same time were through."""

    def earlier(revisions: Revisions, *asked: Any, **rest: Any) -> list[Contribution]:
        return deeds(revisions, *asked, **rest)[:-1]

    patch.setattr(Revisions, "deeds", earlier)


def cancelled_were_nothing(patch: pytest.MonkeyPatch) -> None:
    """Count no change that was cancelled."""
    _only(patch, lambda deed: not deed.cancelled)


def rewound_were_nothing(patch: pytest.MonkeyPatch) -> None:
    """Count what was done in the newest generation alone."""

    def newest(revisions: Revisions, *asked: Any, **rest: Any) -> list[Contribution]:
        done = deeds(revisions, *asked, **rest)
        last = max((deed.generation for deed in done), default=0)
        return [deed for deed in done if deed.generation == last > 1 or last == 1]

    patch.setattr(Revisions, "deeds", newest)


def words_were_nothing(patch: pytest.MonkeyPatch) -> None:
    """Count changes alone, and neither stops nor signals."""
    _only(patch, lambda deed: deed.kind is RevisionKind.CHANGE)


def taken_back_counts(patch: pytest.MonkeyPatch) -> None:
    """Count what takes back."""

    def all_count(revisions: Revisions, *asked: Any, **rest: Any) -> list[Contribution]:
        done = deeds(revisions, *asked, **rest)
        return [deed._replace(takes_back=False) for deed in done]

    patch.setattr(Revisions, "deeds", all_count)


def _only(patch: pytest.MonkeyPatch, counts: Any) -> None:
    def some(revisions: Revisions, *asked: Any, **rest: Any) -> list[Contribution]:
        return [deed for deed in deeds(revisions, *asked, **rest) if counts(deed)]

    patch.setattr(Revisions, "deeds", some)


def near_what_waits(patch: pytest.MonkeyPatch) -> None:
    """Keep a distance from changes that are in force, and none from those that wait."""
    places = vars(Use)["places"].fget

    def in_force(use: Use) -> list[int]:
        settled = use.lineage[use.run.generation].settled_until
        return [place for place in places(use) if place < settled]

    patch.setattr(Use, "places", property(in_force))


def far_from_what_was_left(patch: pytest.MonkeyPatch) -> None:
    """Keep a distance from what a rewind has dropped."""
    patch.setattr(limiting, "lasts", lambda *_: _Everything())


class _Everything(dict[int, int]):
    def __contains__(self, _: object) -> bool:
        return True

    def __missing__(self, _: int) -> int:
        return 2**53


def anybodys(patch: pytest.MonkeyPatch) -> None:
    """Let an agent take back what others have done."""
    for module in (revise, stop):
        patch.setattr(module, "require_own", lambda *_: None)


def to_and_fro(patch: pytest.MonkeyPatch) -> None:
    """Let what was taken back be brought back for nothing, and again."""
    standing = taking_back._standing

    def any_number(laid: Any, *asked: Any) -> Any:
        return standing([each._replace(takes_back=False) for each in laid], *asked)

    patch.setattr(taking_back, "_standing", any_number)


def over_others(patch: pytest.MonkeyPatch) -> None:
    """Let an agent go back to before what others have changed, for nothing."""
    standing = taking_back._standing

    def mine(laid: Any, name: str, to: Any, places: Any, token: str) -> Any:
        return standing([each._replace(author=token) for each in laid], name, to, places, token)

    patch.setattr(taking_back, "_standing", mine)


def any_parameter(patch: pytest.MonkeyPatch) -> None:
    """Let an agent change parameters that it may not."""
    names = limiting._require_names

    def lenient(use: Use, changes: Any) -> None:
        names(replace(use, limit=replace(use.limit, parameters=None)), changes)

    patch.setattr(limiting, "_require_names", lenient)
