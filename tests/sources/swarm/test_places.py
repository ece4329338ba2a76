"""Whose each torrent is: one holder at most, from when it takes it until it leaves."""

from __future__ import annotations

from thunderdl.sources.swarm.places import Places

HYBRID, V1 = ("1" * 40, "2" * 64), ("1" * 40,)


def test_one_that_is_held_is_refused_to_others_until_its_holder_leaves() -> None:
    places = Places()
    assert places.take(HYBRID, "first")
    assert places.take(V1, "first")
    assert not places.take(V1, "second")
    places.leave("second")
    assert not places.take(V1, "second")
    places.leave("first")
    assert places.take(V1, "second")


def test_who_is_refused_one_of_two_gets_neither() -> None:
    places = Places()
    assert places.take(V1, "first")
    assert not places.take(HYBRID, "second")
    assert places.take(HYBRID[1:], "third")


def test_one_that_is_passed_on_is_free_for_nobody() -> None:
    places = Places()
    assert places.take(V1, "first run")
    places.pass_on("first run", "second run")
    assert not places.take(V1, "another")
    places.leave("first run")
    assert not places.take(V1, "another")
    assert places.take(HYBRID, "second run")
