"""``libtorrent_client.py TORRENT FOLDER [URL...]``: plain libtorrent downloads, with web seeds or not.

Its settings are the library's own, but for the ways of finding peers other than the tracker.
"""

from __future__ import annotations

import sys

import libtorrent as lt

QUIET: lt.settings_pack = {"enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False}
"""Nobody is to be found but by the tracker."""
_LOOK_MS = 1000


def main(torrent: str, folder: str, *web_seeds: str) -> None:
    wanted = lt.alert.category_t.status_notification | lt.alert.category_t.error_notification
    # The goodbye to the tracker is no part of the download: by itself libtorrent waits 5 s for one that is dead.
    session = lt.session({**QUIET, "alert_mask": wanted, "stop_tracker_timeout": 1})
    params = lt.load_torrent_file(torrent)
    params.save_path = folder
    params.url_seeds = list(web_seeds)
    params.flags &= ~lt.torrent_flags.paused & ~lt.torrent_flags.auto_managed
    session.add_torrent(params)
    while True:
        session.wait_for_alert(_LOOK_MS)
        for alert in session.pop_alerts():
            if isinstance(alert, lt.torrent_finished_alert):
                return
            if isinstance(alert, lt.torrent_error_alert | lt.file_error_alert):
                raise SystemExit(alert.message())


if __name__ == "__main__":
    main(*sys.argv[1:])
