"""What may stand on the command line of ssh, and what always does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.errors import InvalidUrl
from thunderdl.sources.http.wire import Address, Endpoint, parse_url
from thunderdl.sources.sftp.command import check_names, command, faster_ciphers, question


def address(host: str = "example.org", user: str | None = None, password: str = "") -> Address:
    return Address(Endpoint("sftp", host, 22), "/x", user, password)


def line(endpoint: Endpoint, *, has_password: bool = False, trust_new: bool = False) -> list[str]:
    return command("ssh", endpoint, has_password=has_password, trust_new=trust_new, timeout_s=30)


@pytest.mark.parametrize("user", [
    "-oProxyCommand=touch /tmp/x", "-l", "a b", "a\nb", "a\x1b", "$(id)", "`id`", "a;b", "a|b", "a&b", "a'b", 'a"b',
    "a>b", "a<b", "a(b", "a{b", "a\\", "%h", "a*b", "a?b", "a!b", "", "a" * 257, "\0", "a\u202eb", "a\u2028b",
])  # fmt: skip
def test_a_user_that_a_shell_or_ssh_could_read_is_refused(user: str) -> None:
    with pytest.raises(InvalidUrl, match="user"):
        check_names("sftp://u@h/x", address(user=user))


@pytest.mark.parametrize("user", ["root", "a.b-c_d", "DOMAIN\\me", "me@corp", "me+host", "jörg", "a#b"])
def test_users_as_they_are_called(user: str) -> None:
    check_names("sftp://u@h/x", address(user=user))


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "-x", "a b", "a;b", "$(id)", "a\nb", "", "a/b", "_x", "a" * 256])
def test_a_host_that_is_no_name_is_refused(host: str) -> None:
    with pytest.raises(InvalidUrl, match="host"):
        check_names("sftp://h/x", address(host))


@pytest.mark.parametrize("host", ["example.org", "::1", "192.0.2.1", "xn--bcher-kva.example"])
def test_hosts_as_they_are_called(host: str) -> None:
    check_names("sftp://h/x", address(host))


@pytest.mark.parametrize("url", [
    "sftp://-oProxyCommand=touch%20x/x", "sftp://-oProxyCommand/x", "sftp://-oProxyCommand%3Dx/y",
    "sftp://-oProxyCommand=x@example.org/y", "sftp://-oProxyCommand%3Dx@example.org/y", "sftp://a%0ab@example.org/y",
])  # fmt: skip
def test_urls_that_inject_an_option_are_refused(url: str) -> None:
    with pytest.raises(InvalidUrl):
        check_names(url, parse_url(url, ports={"sftp": 22}))


def test_a_password_of_two_lines_is_refused() -> None:
    with pytest.raises(InvalidUrl, match="password"):
        check_names("sftp://h/x", address(user="u", password="a\nb"))


@given(st.text(max_size=12), st.text(max_size=12))
def test_what_passes_is_one_plain_argument(host: str, user: str) -> None:
    try:
        check_names("sftp://h/x", address(host, user))
    except InvalidUrl:
        return
    for name in (host, user):
        assert not name.startswith("-")
        assert not set(name) & set(" \t\r\n'\"`$&;|<>(){}*?!%\0")


def test_names_stand_where_ssh_reads_no_options() -> None:
    told = line(Endpoint("sftp", "example.org", 2222, login=("me", "")))
    assert told[-8:] == ["-s", "-p", "2222", "-l", "me", "--", "example.org", "sftp"]


def test_the_password_is_not_on_the_command_line() -> None:
    told = line(Endpoint("sftp", "example.org", 22, login=("me", "hunter2")), has_password=True)
    assert "hunter2" not in " ".join(told)
    assert "-oBatchMode=no" in told


def test_new_hosts_are_refused_unless_wanted_and_nothing_is_lent_to_the_server() -> None:
    told = line(Endpoint("sftp", "example.org", 22))
    assert "-oStrictHostKeyChecking=yes" in told
    assert {"-oForwardAgent=no", "-oClearAllForwardings=yes", "-oBatchMode=yes", "-oControlMaster=no"} <= set(told)
    assert "-p" not in told
    assert "-l" not in told
    assert "-oStrictHostKeyChecking=accept-new" in line(Endpoint("sftp", "example.org", 22), trust_new=True)


def test_ciphers_change_their_order_alone() -> None:
    told = "host h\nciphers chacha20-poly1305@openssh.com,aes128-ctr,aes256-gcm@openssh.com,aes128-gcm@openssh.com\n"
    assert faster_ciphers(told) == (
        "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr"
    )


@pytest.mark.parametrize("told", [
    "", "ciphers ", "ciphers chacha20-poly1305@openssh.com,aes128-ctr", "ciphers aes128-gcm@openssh.com,$(id)", "x",
])  # fmt: skip
def test_ciphers_that_a_policy_leaves_out_stay_out(told: str) -> None:
    assert faster_ciphers(told) is None


def test_what_is_asked_of_the_configuration_is_about_the_same_server() -> None:
    endpoint = Endpoint("sftp", "example.org", 2222, login=("me", "x"))
    assert question("ssh", endpoint) == ["ssh", "-G", "-p", "2222", "-l", "me", "--", "example.org"]
