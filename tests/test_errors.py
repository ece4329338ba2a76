"""Messages carry no credentials and no control bytes."""

from thunderdl import errors


def test_userinfo_and_control_bytes_never_reach_a_message() -> None:
    shown = str(errors.ConnectFailed("http://me:secret@host/a\x1b[31m", "refused\r\n"))
    assert "secret" not in shown
    assert not any(ord(c) < 32 for c in shown)


def test_the_most_telling_attempt_decides_the_exit_code() -> None:
    attempts = (errors.NotFound("http://a/", "404"), errors.ConnectFailed("http://b/", "refused"))
    assert errors.DownloadFailed("http://a/", attempts).exit_code == 3
