"""Four ranks hear, hold and end at one step each, while one replica of two is killed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.fleet.ranks import listening, training
from tests.fleet.test_holds import held
from tests.fleet.test_kills import go_on

from rheostat import Client

if TYPE_CHECKING:
    from tests.fleet.conftest import StartFleet

RANKS = 4


def test_all_ranks_obey_at_one_step(start_fleet: StartFleet) -> None:
    """P2, P3, P5: a signal, a pause and a stop are at one step on each rank, and none hangs."""
    fleet = start_fleet(2)
    fleet.create("gpt", guards={"lr": {"min": None}})
    with training(RANKS, listening, fleet.url) as ranks, Client(fleet.url, retries=20) as client:
        run = client.control("gpt")
        while not run.show()["settled_until"]:
            time.sleep(0.05)
        go_on(client)
        checkpoint = run.signal("checkpoint")
        go_on(client)
        pause = run.pause(signal="evaluate")
        while sum(map(held, fleet.replicas)) < RANKS:
            time.sleep(0.05)
        with fleet.replicas[0].gone():
            run.resume()
            go_on(client)
            shuffle = run.signal("shuffle")
            go_on(client)
            stop = run.stop(signal="save", message="enough")
            found = ranks.results()
    told = [(checkpoint, "checkpoint"), (pause, "evaluate"), (shuffle, "shuffle"), (stop, "save")]
    assert found[1:] == found[:1] * (RANKS - 1)
    assert found[0]["end"] == stop["effective"] == found[0]["steps"]
    assert found[0]["held"] == [pause["effective"]]
    assert found[0]["heard"] == [(o["effective"], word, o["revision"]) for o, word in told]
    assert found[0]["why"] == "enough"
