"""FTP servers that are broken, full, or wish us ill."""

from __future__ import annotations

import itertools
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.runs import LIMIT_S, SHORT_S, content_of, drive, failed, fetch, names, stopped_after
from tests.servers.certificates import Certificates
from tests.servers.fake_ftp import FakeFtp
from tests.servers.proxy import ProxyServer
from thunderdl.errors import (
    AccessDenied,
    BadResponse,
    ConnectFailed,
    ConnectionLost,
    InvalidUrl,
    NotFound,
    ServerBusy,
    SourceError,
    TimedOut,
    TlsFailure,
)

SIZE = 2 * 1024 * 1024 + 99
CONTENT = random.Random(3).randbytes(SIZE)


@pytest.fixture
def ftp() -> Iterator[FakeFtp]:
    with FakeFtp({"f": CONTENT}) as server:
        yield server


# -- what is said


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request", b"", b"\xff\xf4\x00\x1b[2J", b"999 hm", b"22 hm"])
def test_what_answers_otherwise_is_no_ftp_server(ftp: FakeFtp, tmp_path: Path, greeting: bytes) -> None:
    ftp.greeting = greeting
    failed(fetch(ftp.url("f"), tmp_path), BadResponse, 6, "no FTP server")


@pytest.mark.parametrize("endless", [b"220-" + b"x" * 200_000, b"220-hello\r\n" * 20_000])
def test_a_reply_without_end_is_not_held(ftp: FakeFtp, tmp_path: Path, endless: bytes) -> None:
    ftp.greeting = endless
    failed(fetch(ftp.url("f"), tmp_path), BadResponse, 6, "longer than 64 KiB")


def test_a_reply_that_never_ends_in_time_is_given_up(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.greeting = b"220-one\r\n220-two"
    failed(fetch(ftp.url("f"), tmp_path, timeout=SHORT_S), TimedOut, 4, "did not answer in time")


@pytest.mark.parametrize("rubbish", [b"213 -5", b"213 1e9", b"213 " + b"9" * 19, b"213", b"213 \xb2", b"500 no"])
def test_a_size_that_is_none_is_unknown(ftp: FakeFtp, tmp_path: Path, rubbish: bytes) -> None:
    ftp.replies["SIZE"] = rubbish
    result = fetch(ftp.url("f"), tmp_path)
    assert content_of(result) == CONTENT
    assert any("tells no size" in note for note in result.notes)


def test_a_size_told_in_passing_serves(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.replies["SIZE"] = b"502 what?"
    ftp.opening = b"150 Opening BINARY mode data connection for f (%d bytes)." % SIZE
    result = fetch(ftp.url("f"), tmp_path)
    assert content_of(result) == CONTENT
    assert result.notes == ()


def test_where_the_size_is_told_in_passing_alone_nobody_asks_for_a_part(ftp: FakeFtp, tmp_path: Path) -> None:
    """None is told of a part: that was taken for another version."""
    ftp.replies["SIZE"], ftp.pause_s = b"502 what?", 0.001
    ftp.files[b"f"] = CONTENT * 4
    ftp.opening = b"150 Opening BINARY mode data connection for f (%d bytes)." % (4 * SIZE)
    assert content_of(fetch(ftp.url("f"), tmp_path, per_host=8)) == CONTENT * 4
    assert ftp.count("RETR") == 1


@pytest.mark.parametrize("rubbish", [b"213 20241332999999", b"213 yesterday", b"213 191000101000000", b"550 no"])
def test_a_time_that_is_none_is_unknown(ftp: FakeFtp, tmp_path: Path, rubbish: bytes) -> None:
    ftp.replies["MDTM"] = rubbish
    assert content_of(fetch(ftp.url("f"), tmp_path)) == CONTENT


@pytest.mark.parametrize("verb", ["TYPE", "SIZE", "MDTM", "EPSV", "RETR", "USER"])
def test_a_connection_that_ends_anywhere_is_lost(ftp: FakeFtp, tmp_path: Path, verb: str) -> None:
    def hang_up(_: bytes) -> bytes:
        ftp.hang_up_all()
        return b"221 bye"

    ftp.replies[verb] = hang_up
    failed(fetch(ftp.url("f"), tmp_path), ConnectionLost, 4)
    assert names(tmp_path) == []


# -- how large it is


def test_a_file_that_is_larger_than_stated_is_not_cut(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.replies["SIZE"] = b"213 %d" % (SIZE - 1)
    failed(fetch(ftp.url("f"), tmp_path), BadResponse, 6, "more than the size that it stated")
    assert "f" not in names(tmp_path)


def test_what_comes_late_behind_the_stated_end_is_found_out(ftp: FakeFtp, tmp_path: Path) -> None:
    """The last byte waits for the end: what was recorded without it would be believed."""
    ftp.files[b"f"], ftp.more, ftp.stall_after = CONTENT[: 1 << 20], b"more", 1 << 20
    ftp.replies["SIZE"] = b"213 %d" % (1 << 20)
    ftp.release.clear()
    late = threading.Timer(0.2, ftp.release.set)
    late.start()
    failed(fetch(ftp.url("f"), tmp_path, per_host=1), BadResponse, 6, "more than the size that it stated")
    late.join()
    assert "f" not in names(tmp_path)


def test_a_small_file_that_is_larger_than_stated_is_not_cut(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.replies["SIZE"] = b"213 1000"
    failed(fetch(ftp.url("f"), tmp_path), BadResponse, 6, "more than the size that it stated")
    assert names(tmp_path) == []


def test_a_file_that_is_smaller_than_stated_is_refused_at_once(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.replies["SIZE"] = b"213 %d" % (SIZE + 1)
    failed(fetch(ftp.url("f"), tmp_path, retries=50, per_host=1), BadResponse, 6, "shorter than the server stated")
    assert "f" not in names(tmp_path)


def test_a_file_that_shrinks_between_two_runs_is_fetched_anew(ftp: FakeFtp, tmp_path: Path) -> None:
    drive(stopped_after(300_000), ftp.url("f"), tmp_path, limit=1 << 20)
    ftp.files[b"f"] = CONTENT[: SIZE // 2]
    result = fetch(ftp.url("f"), tmp_path)
    assert content_of(result) == CONTENT[: SIZE // 2]
    assert any("thrown away" in note for note in result.notes)


def test_bytes_without_a_good_word_at_the_end_are_not_enough(ftp: FakeFtp, tmp_path: Path) -> None:
    """Where no size is known, nothing else tells a whole file from a part."""
    ftp.replies["SIZE"] = b"502 what?"
    ftp.cut_after = 500_000
    failed(fetch(ftp.url("f"), tmp_path), ConnectionLost, 4, "426")
    assert "f" not in names(tmp_path)


def test_a_range_that_is_not_obeyed_is_found_out(ftp: FakeFtp, tmp_path: Path) -> None:
    """REST is answered well, and all of the file is sent."""
    drive(stopped_after(300_000), ftp.url("f"), tmp_path, limit=1 << 20)
    ftp.replies["REST"] = b"350 as if"
    failed(fetch(ftp.url("f"), tmp_path, per_host=1), BadResponse, 6, "more than the size that it stated")
    assert "f" not in names(tmp_path)


def test_without_ranges_one_connection_brings_it(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.has_rest = False
    assert content_of(fetch(ftp.url("f"), tmp_path)) == CONTENT
    assert ftp.count("RETR") == 1


# -- the data connection


def test_the_address_in_a_passive_answer_is_not_used(ftp: FakeFtp, tmp_path: Path) -> None:
    """Else any server could have us knock at any door inside (curl CVE-2020-8284)."""
    ftp.replies["EPSV"] = b"500 what?"
    ftp.passive_host = b"127,0,0,77"
    with socket.create_server(("127.0.0.77", 0)) as inside:
        inside.settimeout(0.01)
        assert content_of(fetch(ftp.url("f"), tmp_path)) == CONTENT
        with pytest.raises(TimeoutError):
            inside.accept()


@pytest.mark.parametrize(
    "answer",
    [b"229 there (|||0|)", b"229 there (|||99999|)", b"229 there", b"229 (\xb2\xb2\xb2)"],
)
def test_an_answer_without_a_port_is_none(ftp: FakeFtp, tmp_path: Path, answer: bytes) -> None:
    ftp.replies["EPSV"] = answer
    failed(fetch(ftp.url("f"), tmp_path), BadResponse, 6, "names no port")


@pytest.mark.parametrize("answer", [b"227 there (127,0,0,1,1)", b"227 no", b"227 (1,2,3,4,999,999)"])
def test_a_passive_answer_without_a_port_is_none(ftp: FakeFtp, tmp_path: Path, answer: bytes) -> None:
    ftp.replies |= {"EPSV": b"500 what?", "PASV": answer}
    failed(fetch(ftp.url("f"), tmp_path), BadResponse, 6, "names no port")


def test_a_server_without_passive_mode_is_told_of(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.replies |= {"EPSV": b"500 what?", "PASV": b"502 no"}
    failed(fetch(ftp.url("f"), tmp_path), BadResponse, 6, "no passive mode", "502")


def test_a_data_connection_that_nobody_takes_fails(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.opens_data = False
    failed(fetch(ftp.url("f"), tmp_path), ConnectFailed, 4, "data connection")


def test_a_data_connection_on_which_nothing_comes_is_given_up(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.stall_after = 0
    ftp.release.clear()
    failed(fetch(ftp.url("f"), tmp_path, timeout=SHORT_S), TimedOut, 4)


# -- who may


def test_a_wrong_password_is_told_without_it(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.users = {"ann": "right"}
    result = fetch(ftp.url("f", "ann:hunter2"), tmp_path, retries=5)
    failed(result, AccessDenied, 5, "password is wrong", "530")
    assert "hunter2" not in str(result.error)
    assert ftp.count("PASS") == 1


def test_a_server_that_repeats_the_password_is_not_quoted(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.replies["PASS"] = lambda argument: b"530 no entry for " + argument
    result = fetch(ftp.url("f", "ann:hunter2"), tmp_path)
    assert "hunter2" not in repr(result.error)
    assert "hunter2" not in "".join(result.notes)


def test_a_login_from_the_url_is_decoded(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.users = {"ann@example.org": "p:ä/ss"}
    url = ftp.url("f", "ann%40example.org:p%3A%C3%A4%2Fss")
    assert content_of(fetch(url, tmp_path)) == CONTENT


def test_a_login_from_netrc_is_for_its_host_alone(
    ftp: FakeFtp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password right\nmachine other login bob password wrong\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    ftp.users = {"ann": "right"}
    assert content_of(fetch(ftp.url("f"), tmp_path, netrc=True)) == CONTENT
    assert "USER bob" not in ftp.commands


def test_who_gives_no_name_is_anonymous(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.users = {}
    failed(fetch(ftp.url("f"), tmp_path), AccessDenied, 5, "no anonymous user", "--netrc")
    assert ftp.commands[:2] == ["USER anonymous", "PASS anonymous@"]


@pytest.mark.parametrize("full", [b"421 too many", b"530 max of 2 reached", b"530 no"])
def test_a_full_server_is_asked_for_no_more(ftp: FakeFtp, tmp_path: Path, full: bytes) -> None:
    ftp.most, ftp.full = 2, full
    ftp.files[b"f"], ftp.stall_after = CONTENT * 8, 65536
    ftp.release.clear()
    result = fetch(ftp.url("f"), tmp_path, per_host=8)
    assert content_of(result) == CONTENT * 8
    assert 0 < ftp.turned_away < 10


def test_a_login_that_has_worked_is_not_wrong_but_one_too_many(ftp: FakeFtp, tmp_path: Path) -> None:
    """ProFTPD says 530 to both."""
    logins = itertools.count(1)

    def answer(_: bytes) -> bytes:
        if next(logins) <= 2:
            return b"230 in"
        ftp.release.set()
        return b"530 no"

    ftp.replies["PASS"] = answer
    # Those who are in wait until somebody else was refused.
    ftp.files[b"f"], ftp.stall_after = CONTENT * 8, 1000
    ftp.release.clear()
    result = fetch(ftp.url("f", "ann:x"), tmp_path, per_host=8, timeout=LIMIT_S)
    assert content_of(result) == CONTENT * 8
    assert next(logins) > 3
    assert "password" not in "".join([*result.notes, *(source.note for source in result.sources)])


def test_a_server_that_is_full_from_the_first_is_busy(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.most = 0
    failed(fetch(ftp.url("f"), tmp_path), ServerBusy, 6, "421")


# -- names


@pytest.mark.parametrize("name", ["a b", "grüße.txt", "100%", "a;b", "a?b", "#1", "*", "[x]", "-l", "a%0ab"])
def test_names_are_asked_for_as_they_are(tmp_path: Path, name: str) -> None:
    with FakeFtp({name: b"content"}) as ftp:
        assert content_of(fetch(ftp.url(name), tmp_path, out="out")) == b"content"
        assert f"RETR {name}".encode() in [command.encode("latin-1") for command in ftp.commands]


def test_a_slash_of_its_own_names_the_root(tmp_path: Path) -> None:
    with FakeFtp({"/etc/x": b"content"}) as ftp:
        assert content_of(fetch(f"ftp://127.0.0.1:{ftp.port}/%2Fetc/x", tmp_path)) == b"content"


def test_a_type_of_bytes_is_taken_and_any_other_refused(ftp: FakeFtp, tmp_path: Path) -> None:
    assert content_of(fetch(ftp.url("f") + ";type=i", tmp_path, out="f")) == CONTENT
    failed(fetch(ftp.url("f") + ";type=a", tmp_path), InvalidUrl, 2, "type=a")


@pytest.mark.parametrize("name", ["f%0d%0aDELE%20f", "f%0ax", "f%0dx", "f%00x", "a%0a/f"])
@pytest.mark.parametrize("login", ["", "ann%0d%0aDELE f:x@".replace(" ", "%20"), "ann:x%0aDELE@"])
def test_a_line_end_gets_into_no_command(ftp: FakeFtp, tmp_path: Path, name: str, login: str) -> None:
    url = f"ftp://{login}127.0.0.1:{ftp.port}/{name}"
    failed(fetch(url, tmp_path), InvalidUrl, 2, "line end")
    assert ftp.commands == []


def test_a_line_end_in_a_login_alone_gets_into_no_command(ftp: FakeFtp, tmp_path: Path) -> None:
    failed(fetch(f"ftp://ann%0a:x@127.0.0.1:{ftp.port}/f", tmp_path), InvalidUrl, 2, "line end")
    assert ftp.commands == []


@pytest.mark.parametrize("name", ["", "pub/", "pub/;type=i"])
def test_a_folder_is_refused_before_it_is_asked_for(ftp: FakeFtp, tmp_path: Path, name: str) -> None:
    failed(fetch(f"ftp://127.0.0.1:{ftp.port}/{name}", tmp_path), InvalidUrl, 2, "folder")
    assert ftp.commands == []


def test_a_folder_without_a_slash_is_told_of(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.replies["CWD"] = b"250 there"
    failed(fetch(ftp.url("pub"), tmp_path), BadResponse, 6, "it is a folder")


@pytest.mark.parametrize(
    ("reply", "kind", "exit_code"),
    [
        (b"550 no", NotFound, 3), (b"532 no", AccessDenied, 5), (b"450 locked", ConnectionLost, 4),
        (b"425 no way", ConnectionLost, 4), (b"500 what?", BadResponse, 6), (b"226 done", TimedOut, 4),
    ],
)  # fmt: skip
def test_a_refused_retrieval_says_why(
    ftp: FakeFtp, tmp_path: Path, reply: bytes, kind: type[SourceError], exit_code: int
) -> None:
    ftp.replies["RETR"] = reply
    failed(fetch(ftp.url("f"), tmp_path, timeout=SHORT_S), kind, exit_code)


# -- connections


def test_a_connection_is_used_again(ftp: FakeFtp, tmp_path: Path) -> None:
    assert content_of(fetch(ftp.url("f"), tmp_path, per_host=1)) == CONTENT
    assert ftp.count("USER") == 1


def test_the_next_range_comes_on_the_same_stream(ftp: FakeFtp, tmp_path: Path) -> None:
    assert content_of(fetch(ftp.url("f"), tmp_path, per_host=1)) == CONTENT
    assert ftp.count("RETR") == 1


# -- proxies


@pytest.mark.parametrize("way", ["option", "ftp_proxy", "all_proxy"])
def test_both_connections_go_through_the_proxy(
    ftp: FakeFtp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    with ProxyServer() as proxy:
        if way == "option":
            result = fetch(ftp.url("f"), tmp_path, proxy=proxy.url, per_host=1)
        else:
            monkeypatch.setenv(way, proxy.url)
            result = fetch(ftp.url("f"), tmp_path, per_host=1)
        assert content_of(result) == CONTENT
        assert len(proxy.heads) == 2
        assert all(head.startswith("CONNECT 127.0.0.1:") for head in proxy.heads)


def test_a_greeting_that_comes_with_the_proxys_answer_is_heard(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def answer() -> None:
            ours, _ = proxy.accept()
            with ours:
                ours.recv(4096)
                ours.sendall(b"HTTP/1.1 200 OK\r\n\r\n421 full\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        failed(fetch("ftp://ftp.invalid/f", tmp_path, proxy=url), ServerBusy, 6, "421")
        answering.join()


@pytest.mark.parametrize("said", [b"HTTP/1.1 403 No\r\n\r\n", b"220 ready\r\n\r\n", b"", b"x" * 20_000])
def test_a_proxy_that_refuses_is_named(tmp_path: Path, said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def answer() -> None:
            ours, _ = proxy.accept()
            with ours:
                ours.recv(4096)
                ours.sendall(said)

        answering = threading.Thread(target=answer)
        answering.start()
        url = f"http://ann:s3cret@127.0.0.1:{proxy.getsockname()[1]}"
        result = fetch("ftp://ftp.invalid/f", tmp_path, proxy=url)
        answering.join()
    failed(result, ConnectFailed, 4, "by proxy")
    assert "s3cret" not in str(result.error)


# -- TLS


def test_an_unknown_authority_is_refused(certificates: Certificates, tmp_path: Path) -> None:
    with FakeFtp({"f": CONTENT}, tls=certificates.unknown_authority()) as ftp:
        failed(fetch(ftp.url("f", "ann:x"), tmp_path, ca=str(certificates.ca_file)), TlsFailure, 12, "certificate")
        assert not ftp.count("USER")


def test_a_certificate_of_another_host_is_refused(certificates: Certificates, tmp_path: Path) -> None:
    with FakeFtp({"f": CONTENT}, tls=certificates.wrong_host()) as ftp:
        failed(fetch(ftp.url("f", "ann:x"), tmp_path, ca=str(certificates.ca_file)), TlsFailure, 12, "certificate")
        assert not ftp.count("USER")


def test_a_server_without_tls_is_told_no_password(ftp: FakeFtp, tmp_path: Path) -> None:
    url = ftp.url("f", "ann:x").replace("ftp:", "ftpes:")
    failed(fetch(url, tmp_path), TlsFailure, 12, "no TLS")
    assert not ftp.count("USER")


def test_what_is_said_before_tls_does_not_count(certificates: Certificates, tmp_path: Path) -> None:
    """As with STARTTLS (CVE-2011-0411): what somebody put in before the handshake would be heard after it."""
    with FakeFtp({"f": CONTENT}, tls=certificates.good()) as ftp:
        ftp.replies["AUTH"] = b"234 go on\r\n230 in already"
        failed(fetch(ftp.url("f", "ann:x"), tmp_path, ca=str(certificates.ca_file)), BadResponse, 6, "between AUTH")
        assert not ftp.count("USER")


def test_over_tls_it_comes_whole(certificates: Certificates, tmp_path: Path) -> None:
    with FakeFtp({"f": CONTENT}, tls=certificates.good()) as ftp:
        assert content_of(fetch(ftp.url("f"), tmp_path, ca=str(certificates.ca_file))) == CONTENT


def test_a_password_is_written_nowhere(ftp: FakeFtp, tmp_path: Path) -> None:
    ftp.users = {"ann": "hunter2"}
    stopped = drive(stopped_after(300_000), ftp.url("f", "ann:hunter2"), tmp_path, limit=1 << 20)
    assert names(tmp_path) == ["f.part", "f.part.journal"]
    assert b"hunter2" not in (tmp_path / "f.part.journal").read_bytes()
    assert "hunter2" not in str(stopped.error)
    assert "hunter2" not in "".join(stopped.notes)
