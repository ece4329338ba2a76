"""Queues to look at and to test with."""

from __future__ import annotations

import math

from tests.web.world import Json, Origin, Script, World

HASH = "c9e15763f722f23e98a29decdfae341b98d53056"


def empty() -> World:
    return World()


def busy() -> World:
    """Three active, one sharing, a queue and a history with an error."""
    world = World()
    _add_active(world)
    for number in range(1, 13):
        name = f"episode-{number:02d}.mkv"
        world.add({"urls": [f"https://media.example.net/season-3/{name}"], "category": "films", "why": _TURN})
    world.become(world.waiting[3], "paused")
    _add_history(world)
    return world


_TURN = "Waits for its turn: 3 downloads run, which is the most."


def many(count: int = 10_000) -> World:
    world = World()
    _add_active(world)
    for number in range(1, count + 1):
        world.add({"urls": [f"https://archive.example.org/set/file-{number:05d}.bin"], "why": _TURN})
    return world


def _add_active(world: World) -> None:
    torrent = _torrent(world)
    iso = world.add(
        {
            "urls": ["https://cdimage.debian.org/debian-cd/current/amd64/iso-dvd/debian-13.2.0-amd64-DVD-1.iso"],
            "size_bytes": 3_990_000_000,
            "category": "isos",
            "script": Script(
                origins=[
                    Origin(url="https://cdimage.debian.org/debian-cd/current/", bytes_per_s=9.1e6,
                           why="No more connections: more did not help."),
                    Origin(url="https://ftp.halifax.rwth-aachen.de/debian-cd/", bytes_per_s=14.2e6),
                    Origin(url="ftp://ftp.uni-stuttgart.de/debian-cd/", bytes_per_s=2.3e6, kind="ftp",
                           why="Slow, so it gets little: it holds nobody up."),
                    Origin(url="https://mirror.example.net/debian-cd/", bytes_per_s=0, state="backing off",
                           note="HTTP 503", why="Left alone for a while: the server answered 503; again in 12 s."),
                    Origin(url="https://old.example.org/debian-cd/", bytes_per_s=0, state="banned",
                           why="Banned: it served bytes of another version."),
                ],
                resumed_bytes=200 << 20,
            ),
        }
    )  # fmt: skip
    slow = world.add(
        {
            "urls": ["https://downloads.example.com/firmware/router-ax6000-2.4.1-full-image.bin"],
            "size_bytes": 214_000_000, "limit": "250K", "priority": "low",
            "options": {"task_limit": "250K"},
            "why": "It has a limit of 250 KiB/s of its own.",
            "script": Script(origins=[Origin(url="https://downloads.example.com/firmware/", bytes_per_s=2.4e5)]),
        }
    )  # fmt: skip
    shared = world.add({"urls": ["magnet:?xt=urn:btih:" + HASH], "name": "archlinux-2026.11.01-x86_64.iso",
                        "size_bytes": 1_240_000_000, "kind": "torrent"})  # fmt: skip
    for task, share in ((torrent, 0.64), (iso, 0.41), (slow, 0.07)):
        world.become(task["gid"], "active")
        world.advance(task["gid"], share)
    world.rates = [(int(4.1e7 * hill(second)), 210_000 + 900 * second) for second in range(180)]
    world.advance(shared["gid"], 1)
    world.become(shared["gid"], "sharing", done_bytes=1_240_000_000, uploaded_bytes=803_000_000,
                 upload_rate_bytes_per_s=410_000)  # fmt: skip


def hill(second: int) -> float:
    """How busy the line was, 0..1, in each of the last minutes' seconds."""
    rise = min(1.0, max(0.0, (second - 22) / 30))
    dip = 0.55 * math.exp(-(((second - 105) / 9) ** 2))
    return rise * (0.9 + 0.08 * math.sin(second / 4) + 0.05 * math.sin(second / 1.7) - dip)


def _torrent(world: World) -> Json:
    peers = [
        {"address": f"{203 + n % 7}.0.{113 + n}.{17 * n % 250}:{6881 + n}", "client": client, "rate_bytes_per_s": rate,
         "upload_rate_bytes_per_s": up, "progress": progress, "seeder": progress == 1, "choking": not rate}
        for n, (client, rate, up, progress) in enumerate([
            ("qBittorrent 5.1.2", 2_400_000, 40_000, 1), ("Transmission 4.0.6", 1_200_000, 0, 1),
            ("libtorrent 2.0.11", 880_000, 120_000, 0.83), ("µTorrent 3.6", 0, 64_000, 0.37),
            ("Deluge 2.2.0", 0, 0, 0.91),
        ])
    ]  # fmt: skip
    files = [
        {"index": n, "path": f"Sintel 4K/{path}", "size_bytes": size, "done_bytes": 0, "selected": chosen}
        for n, (path, size, chosen) in enumerate([
            ("Sintel.2010.2160p.mkv", 5_110_000_000, True), ("Sintel.2010.2160p.en.srt", 9_300, True),
            ("Sintel.2010.2160p.zh-Hans.srt", 9_900, True), ("extras/making-of.mp4", 733_000_000, False),
            ("extras/poster.jpg", 2_480_000, True),
        ], 1)
    ]  # fmt: skip
    return world.add(
        {
            "urls": ["magnet:?xt=urn:btih:" + HASH + "&dn=Sintel"],
            "name": "Sintel 4K",
            "kind": "torrent",
            "size_bytes": 5_122_000_000,
            "uploaded_bytes": 420_000_000,
            "upload_rate_bytes_per_s": 224_000,
            "notes": ["Tracker udp://tracker.example.net:80 does not answer; the others do."],
            "script": Script(
                origins=[
                    Origin(url="peers", bytes_per_s=5.2e6, kind="peers"),
                    Origin(url="https://media.xiph.org/sintel/", bytes_per_s=7.7e6),
                    Origin(url="https://download.blender.org/durian/", bytes_per_s=3.1e6),
                ],
                files=files, peers=peers, info_hash=HASH,
                trackers=[
                    {"url": "udp://tracker.opentrackr.org:1337/announce", "message": "", "next_s": 1312, "seeds": 48},
                    {"url": "udp://tracker.example.net:80", "message": "timed out", "next_s": 55, "seeds": None},
                ],
            ),
        }
    )  # fmt: skip


def _add_history(world: World) -> None:
    for number, name in enumerate(
        ("linux-6.18.tar.xz", "ubuntu-26.04-desktop-amd64.iso", "四库全书·目录.pdf", "notes.txt")
    ):
        task = world.add({"urls": [f"https://example.org/{name}"], "size_bytes": 154_000_000 * (number + 1)})
        world.become(task["gid"], "complete", done_bytes=task["size_bytes"], ended_at=world.now - 86400 * (4 - number),
                     path=f"/srv/downloads/{name}", verified=["sha-256"])  # fmt: skip
    task = world.add({"urls": ["https://gone.example.org/dataset-2019.tar.zst"], "size_bytes": 8_800_000_000})
    message = "https://gone.example.org/dataset-2019.tar.zst: the server answered 404; look for another link."
    world.become(task["gid"], "failed", error={"kind": "SourceError", "message": message, "code": 404})


NASTY = (
    "<img src=x onerror=window.hacked=1>.iso",
    "\u202egpj.exe\u2066\u0000invoice",
    "</script><script>window.hacked=1</script>",
    "x" * 10_000,
    "名" * 3_000 + "\r\n\u2028.txt",
    "javascript:window.hacked=1",
)


def nasty() -> World:
    """Every text that a stranger can choose holds something bad."""
    world = World()
    world.settings["active"] = 2
    for at, name in enumerate(NASTY):
        for number in range(3):
            task = world.add({
                "urls": [f"https://evil.example/{name}"], "name": name, "why": name, "notes": [name], "category": name,
                "script": Script(
                    origins=[Origin(url=name, bytes_per_s=1e5, why=name, note=name, kind=name)],
                    files=[{"index": 1, "path": name, "size_bytes": 9, "done_bytes": 0, "selected": True}],
                    peers=[{"address": name, "client": name, "rate_bytes_per_s": 1, "upload_rate_bytes_per_s": 1,
                            "progress": 0.5, "seeder": False, "choking": True}],
                    trackers=[{"url": name, "message": name, "next_s": None, "seeds": None}],
                    options={"out": name},
                ),
            })  # fmt: skip
            if number == 1:
                error = {"kind": name, "message": name, "code": 1}
                world.become(task["gid"], "failed", error=error, ended_at=world.now - at)
            if number == 2 and at < 2:
                world.become(task["gid"], "active")
    return world


SCENES = {"empty": empty, "busy": busy, "many": many, "nasty": nasty}
