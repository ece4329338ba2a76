"""Metalinks: what good ones say, what bad ones cannot do, and that what is written is read back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stopwatch import Stopwatch
from thunderdl.errors import UsageError
from thunderdl.formats.metalink import parse_metalink
from thunderdl.formats.metalink_file import relative_name
from thunderdl.formats.metalink_model import (
    LOWEST_PRIORITY,
    MAX_MIRRORS,
    METALINK4,
    Metalink,
    MetalinkFile,
    MetaUrl,
    Mirror,
    Publisher,
    Signature,
)
from thunderdl.formats.metalink_writer import write_metalink4
from thunderdl.formats.strength import STRENGTH, strongest_first
from thunderdl.model import Digest, PieceHashes
from thunderdl.storage.paths import safe_name

V4 = '<metalink xmlns="urn:ietf:params:xml:ns:metalink">{}</metalink>'
V3 = '<metalink version="3.0" xmlns="http://www.metalinker.org/">{}</metalink>'
URL = "<url>http://m.example/a</url>"


def read(text: str) -> Metalink:
    return parse_metalink(text.encode(), safe_name, "list.meta4")


def file4(inner: str, name: str = "a") -> MetalinkFile:
    return read(V4.format(f'<file name="{name}">{inner}</file>')).files[0]


def file3(inner: str) -> MetalinkFile:
    return read(V3.format(f'<files><file name="a">{inner}</file></files>')).files[0]


def test_version_4() -> None:
    document = V4.format(
        "<generator>g/1</generator><origin dynamic='true'>http://o.example/a.meta4</origin>"
        "<published>2026-11-24T20:00:00Z</published><updated>2026-11-25T20:00:00Z</updated>"
        "<file name='d/a.iso'><size>2048</size><identity>I</identity><version>1.2</version><description>a\n b"
        "</description><copyright>c</copyright><publisher name='P' url='http://p.example'/>"
        f"<hash type='md5'>{'00' * 16}</hash><hash type='sha-256'>{'AB' * 32}</hash><hash type='ed2k'>xyz</hash>"
        f"<pieces length='1024' type='sha-1'><hash>{'01' * 20}</hash><hash>{'02' * 20}</hash></pieces>"
        "<url priority='3'>http://c.example/</url><url>http://last.example/</url>"
        "<url priority='1' location='DE'> ftp://a.example/ </url><url priority='3'>http://d.example/</url>"
        "<metaurl mediatype='torrent' priority='2' name='d/a.iso'>http://t.example/a.torrent</metaurl>"
        f"<metaurl mediatype='{METALINK4}' priority='1'>http://t.example/other.meta4</metaurl>"
        "<signature mediatype='application/pgp-signature'>-----BEGIN\nx</signature></file>"
    )
    assert read(document) == Metalink(
        version=4,
        origin="http://o.example/a.meta4",
        is_dynamic=True,
        generator="g/1",
        published="2026-11-24T20:00:00Z",
        updated="2026-11-25T20:00:00Z",
        files=(
            MetalinkFile(
                name="d/a.iso",
                size=2048,
                digests=(Digest("sha256", b"\xab" * 32), Digest("md5", bytes(16))),
                pieces=PieceHashes(algorithm="sha1", piece_length=1024, digests=(b"\x01" * 20, b"\x02" * 20)),
                mirrors=(
                    Mirror(url="ftp://a.example/", priority=1, location="de"),
                    Mirror(url="http://c.example/", priority=3),
                    Mirror(url="http://d.example/", priority=3),
                    Mirror(url="http://last.example/"),
                ),
                metaurls=(
                    MetaUrl(url="http://t.example/other.meta4", mediatype=METALINK4, priority=1),
                    MetaUrl(url="http://t.example/a.torrent", mediatype="torrent", priority=2, name="d/a.iso"),
                ),
                signatures=(Signature(mediatype="application/pgp-signature", text="-----BEGIN\nx"),),
                publisher=Publisher(name="P", url="http://p.example"),
                identity="I",
                version="1.2",
                description="a b",
                copyright="c",
            ),
        ),
    )
    assert read(document).files[0].torrents == ("http://t.example/a.torrent",)


def test_version_3() -> None:
    document = (
        '<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic" origin="http://o.example/m" '
        'generator="g" pubdate="yesterday"><publisher><name>P</name><url>http://p.example</url></publisher>'
        "<identity>I</identity><version>7</version><files><file name='a'><size>2500</size><version>8</version>"
        f"<verification><hash type='sha1'>{'11' * 20}</hash><pieces length='1024' type='sha1'>"
        f"<hash piece='2'>{'03' * 20}</hash><hash piece='0'>{'01' * 20}</hash><hash piece='1'>{'02' * 20}</hash>"
        "</pieces><signature type='pgp'>s</signature></verification><resources maxconnections='2'>"
        "<url type='http' preference='50' location='us'>http://b.example/a</url>"
        "<url type='ftp' preference='100' maxconnections='1'>ftp://a.example/a</url><url>http://c.example/a</url>"
        "<url type='bittorrent' preference='100'>http://t.example/a.torrent</url>"
        "<url type='magnet'>magnet:?xt=urn:btih:00</url><url type='magnet'>magnet:?xt=urn:sha1:00</url>"
        "</resources></file></files></metalink>"
    )
    found = read(document)
    file = found.files[0]
    assert (found.version, found.is_dynamic, found.origin, found.generator) == (3, True, "http://o.example/m", "g")
    assert [(one.url, one.priority) for one in file.mirrors] == [
        ("ftp://a.example/a", 1),
        ("http://b.example/a", 51),
        ("http://c.example/a", LOWEST_PRIORITY),
    ]
    assert (file.mirrors[0].max_connections, file.max_connections, file.mirrors[1].location) == (1, 2, "us")
    assert file.pieces is not None
    assert [digest[0] for digest in file.pieces.digests] == [1, 2, 3]
    assert file.torrents == ("http://t.example/a.torrent", "magnet:?xt=urn:btih:00")
    assert file.signatures == (Signature(mediatype="application/pgp-signature", text="s"),)
    assert (file.publisher, file.identity, file.version) == (Publisher(name="P", url="http://p.example"), "I", "8")


def test_what_stands_elsewhere_does_not_count() -> None:
    """Fedora's alternates are older versions of the file; a URL outside of resources is none."""
    file = file3(
        f"<size>5</size><m:alternate xmlns:m='http://f.example'><size>6</size><hash type='md5'>{'00' * 16}</hash>"
        f"<verification><hash type='md5'>{'00' * 16}</hash></verification></m:alternate>{URL}"
    )
    assert (file.size, file.digests, file.mirrors) == (5, (), ())
    assert file4(f"<size>5</size><m:url xmlns:m='http://f.example'>http://x.example/</m:url>{URL}").mirrors == (
        Mirror(url="http://m.example/a"),
    )
    assert file4(f"<files><url>http://x.example/</url></files>{URL}").mirrors == (Mirror(url="http://m.example/a"),)


def test_without_a_namespace_the_version_tells() -> None:
    assert read(f"<metalink><file name='a'>{URL}</file></metalink>").version == 4
    assert read("<metalink version='3.0'><files><file name='a'/></files></metalink>").version == 3


BOMB = "<!DOCTYPE metalink [" + "".join(
    f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" if n else "<!ENTITY e0 'ha'>" for n in range(12)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{BOMB}]>" + V4.format("<file name='a'><identity>&e11;</identity></file>"), "document type"),
        ("<!DOCTYPE m SYSTEM 'file:///etc/passwd'>" + V4.format("<file name='a'/>"), "document type"),
        ("<!DOCTYPE m [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" + V4.format("<file name='&x;'/>"), "document type"),
        (V4.format("<file name='a'>&x;</file>"), "undefined entity"),
        (V4.format("<a>" * 100 + "</a>" * 100), "nested"),
        ("", "it is empty"),
        (" \n", "it is empty"),
        (V4.format("<file name='a'>")[: -len("</metalink>")], "it ends early"),
        (V4.format("")[: -len("</metalink>")] + "<file nam", "it ends early"),
        (V4.format("")[: -len("</metalink>")] + "<!-- two", "it ends early"),
        ("not xml", "syntax error"),
        ("d8:announce1:xe", "syntax error"),
        ("<html><body>404</body></html>", "another element"),
        ("<metalink xmlns='urn:other'><file name='a'/></metalink>", "another element"),
        (V4.format(""), "names no file"),
        (V4.format("<file/><file name=''/><file name='d/'/>"), "names no file"),
        (V4.format("<file name='a'>"), "mismatched tag"),
        ("<?xml version='1.0' encoding='x-none'?>" + V4.format("<file name='a'/>"), "encoding"),
        ("<?xml version='1.0' encoding='idna'?>" + V4.format("<file name='a'/>"), "encoding"),
    ],
)
def test_what_is_no_metalink_is_refused_in_one_sentence(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        read(text)
    told = str(caught.value)
    assert told.startswith("list.meta4 is no usable Metalink: ")
    assert told.endswith(".")
    assert "\n" not in told
    assert caught.value.__cause__ is None


def test_the_message_holds_no_credentials_and_no_control_bytes() -> None:
    with pytest.raises(UsageError) as caught:
        parse_metalink(b"", safe_name, "http://user:secret@h.example/a\x1b[31m")
    assert "secret" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thunderdl.formats.metalink.MAX_DOCUMENT_BYTES", 1 << 20)
    with pytest.raises(UsageError, match="larger than 1 MiB"):
        parse_metalink(b" " * ((1 << 20) + 1), safe_name)


@pytest.mark.parametrize("text", ["<a b='{}'/>", "<!--{}-->", "<?a {}?>", "<a {}/>"])
def test_a_token_that_would_be_read_again_and_again_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="longer than 1 MiB"):
        read(V4.format("<file name='a'/>" + text.format(" " * (3 << 19))))
    assert read(V4.format("<file name='a'/>" + text.format(" " * (3 << 18)))).files


@pytest.mark.parametrize("text", ["{}", "<a>{}</a>", "<![CDATA[{}]]>"])
def test_text_may_be_long(text: str) -> None:
    assert read(V4.format("<file name='a'/>" + text.format(" \n" * (3 << 19)))).files


def test_too_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thunderdl.formats.metalink.MAX_FILES", 10)
    with pytest.raises(UsageError, match="more than 10 files"):
        read(V4.format("".join(f"<file name='f{n}'/>" for n in range(11))))


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a/b/c.iso", "a/b/c.iso"),
        ("./a//b", "a/b"),
        ("../x", "x"),
        ("a/../../x", "x"),
        ("/etc/passwd", "passwd"),
        ("~/x", "x"),
        ("~root/x", "x"),
        ("..\\..\\x", "x"),
        ("C:\\x", "x"),
        ("C:/x", "x"),
        ("a\\b", "b"),
        ("a/.ssh/x", "a/ssh/x"),
        (".bashrc", "bashrc"),
        ("-rf", "_rf"),
        ("con", "_con"),
        ("a/\x1b[31mx", "a/[31mx"),
        ("a\n/b", "a/b"),
        ("x" * 300, None),
        ("d/" * 40 + "x", "x"),
        ("\u202egpj.exe", "gpj.exe"),
        (".. /x", None),
        ("", ""),
        ("..", ""),
        ("/", ""),
        ("d/", ""),
    ],
)
def test_names_lead_nowhere_else(name: str, safe: str | None) -> None:
    found = relative_name(name, safe_name)
    parts = found.split("/")
    assert ".." not in parts
    assert not found.startswith(("/", "~", "-", "."))
    assert all(len(part.encode()) <= 240 for part in parts)
    assert safe in (None, found)


@given(st.text("./\\~:abC\x00\n \u202e-", max_size=20))
def test_no_name_escapes(name: str) -> None:
    found = relative_name(name, safe_name)
    assert found == "/".join(safe_name(part) for part in found.split("/")) or not found


def test_a_name_counts_once() -> None:
    found = read(V4.format("".join(f"<file name='{name}'/>" for name in ("a/X", "a/x", "../x", "/y/x", "b"))))
    assert [file.name for file in found.files] == ["a/X", "x", "b"]
    assert found.notes == ("a file has a name that another has already, and is left out (2 times)",)


@pytest.mark.parametrize(
    "inner",
    [
        "<size>-1</size>", "<size>1e3</size>", "<size>9223372036854775808</size>", "<size>²</size>", "<size/>",
        "<size>1</size><size>2</size>",
        "<hash type='sha-256'>zz</hash>", f"<hash type='sha-256'>{'g' * 64}</hash>", f"<hash>{'0' * 64}</hash>",
        f"<hash type='md5'>{'00' * 16}</hash><hash type='md5'>{'01' * 16}</hash>",
        "<url>file:///etc/passwd</url>", "<url>x</url>", "<url/>", "<url>http://a.example/\nb</url>",
        "<metaurl mediatype='torrent'>file:///x.torrent</metaurl>", "<metaurl>http://a.example/x</metaurl>",
        "<metaurl mediatype='a b'>http://a.example/x</metaurl>", "<metaurl mediatype='torrent'>magnet:?a b</metaurl>",
        "<signature>x</signature>", "<signature mediatype='a/b'/>",
        f"<size>5000</size><pieces length='1024' type='sha-1'><hash>{'00' * 20}</hash></pieces>",
        f"<pieces length='0' type='sha-1'><hash>{'00' * 20}</hash></pieces>",
        f"<pieces length='-1024' type='sha-1'><hash>{'00' * 20}</hash></pieces>",
        f"<pieces length='1024' type='none'><hash>{'00' * 20}</hash></pieces>",
        f"<pieces length='1024' type='sha-1'><hash>{'00' * 19}</hash></pieces>",
        "<pieces length='1024' type='sha-1'><hash>zz</hash></pieces>", "<pieces/>",
    ],
)  # fmt: skip
def test_what_is_malformed_is_left_out_and_the_rest_stays(inner: str) -> None:
    file = file4(f"{inner}{URL}")
    assert file.mirrors == (Mirror(url="http://m.example/a"),)
    assert (file.digests, file.pieces, file.metaurls, file.signatures) == ((), None, (), ())
    assert file.size in (None, 5000)


@pytest.mark.parametrize("hashes", [["0", "2"], ["1", "2"], ["0", "0"], ["x", "1"], ["0", "99999999999999999999"]])
def test_pieces_of_version_3_with_a_hole_are_none(hashes: list[str]) -> None:
    listed = "".join(f"<hash piece='{at}'>{'00' * 20}</hash>" for at in hashes)
    assert file3(f"<verification><pieces length='1024' type='sha1'>{listed}</pieces></verification>").pieces is None


def test_the_strongest_sound_list_of_pieces_is_taken() -> None:
    file = file4(
        f"<pieces length='1024' type='md5'><hash>{'00' * 16}</hash></pieces>"
        f"<pieces length='2048' type='sha-256'><hash>{'00' * 32}</hash></pieces>"
        "<pieces length='1024' type='sha-512'><hash>00</hash></pieces>"
    )
    assert file.pieces is not None
    assert file.pieces.algorithm == "sha256"


@pytest.mark.parametrize(
    "stated", ["priority='0'", "priority='-1'", "priority='x'", "priority='1000000'", "priority='1.5'", ""]
)
def test_a_priority_that_is_none_is_the_lowest(stated: str) -> None:
    assert file4(f"<url {stated}>http://m.example/a</url>").mirrors[0].priority == LOWEST_PRIORITY


def test_a_hundred_thousand_mirrors_are_bounded_and_fast() -> None:
    urls = "".join(f"<url priority='{n % 99_999 + 1}'>http://h{n}.example/a</url>" for n in range(100_000, 0, -1))
    watch = Stopwatch()
    found = read(V4.format(f"<file name='a'>{urls}</file>"))
    assert watch.took_s < 10
    mirrors = found.files[0].mirrors
    assert len(mirrors) == MAX_MIRRORS
    assert [one.priority for one in mirrors] == sorted(one.priority for one in mirrors)
    assert mirrors[0].priority == 1
    assert found.notes == ("a mirror is beyond the best 10000 and is left out (90000 times)",)


def test_a_mirror_named_twice_counts_once_with_its_better_priority() -> None:
    file = file4("<url priority='5'>http://m.example/a</url><url priority='2'>http://m.example/a</url>")
    assert file.mirrors == (Mirror(url="http://m.example/a", priority=2),)


def test_texts_are_one_printable_line() -> None:
    file = file4(f"<description>a\u202eb&#133;\n[red]{'x' * 5000}</description><identity> </identity>")
    assert file.description is not None
    assert file.description.isprintable()
    assert len(file.description) <= 1000
    assert file.identity is None


texts = st.text(max_size=30).map(lambda raw: " ".join("".join(c for c in raw if c.isprintable()).split()) or None)
names = st.lists(st.text(min_size=1, max_size=12).map(safe_name), min_size=1, max_size=3).map("/".join)
urls = st.integers(0, 10**6).map(lambda n: f"https://h{n}.example/d?a=1&b=<{n}>#x'\"")
orders = st.one_of(st.integers(1, 99), st.just(LOWEST_PRIORITY))


def digests() -> st.SearchStrategy[tuple[Digest, ...]]:
    sizes = {"sha512": 64, "sha256": 32, "sha1": 20, "md5": 16, "sha3_256": 32, "blake3": 32}
    each = [st.binary(min_size=size, max_size=size).map(lambda v, n=name: Digest(n, v)) for name, size in sizes.items()]  # type: ignore[misc]
    return st.lists(st.one_of(each), max_size=4, unique_by=lambda one: one.algorithm).map(strongest_first)


@st.composite
def metalink_files(draw: st.DrawFn) -> MetalinkFile:
    count = draw(st.integers(1, 4))
    hashes = st.lists(st.binary(min_size=32, max_size=32), min_size=count, max_size=count).map(tuple)
    pieces = st.builds(PieceHashes, algorithm=st.just("sha256"), piece_length=st.just(4096), digests=hashes)
    mirrors = st.builds(Mirror, url=urls, priority=orders, location=st.sampled_from([None, "de", "us"]))
    metaurls = st.builds(
        MetaUrl, url=urls, mediatype=st.sampled_from(["torrent", METALINK4]), priority=orders, name=texts
    )
    signed = st.text(min_size=1, max_size=40).map(lambda raw: "".join(c for c in raw if c.isprintable()).strip() or "s")
    return MetalinkFile(
        name=draw(names),
        size=draw(st.one_of(st.none(), st.just(count * 4096))),
        digests=draw(digests()),
        pieces=draw(st.one_of(st.none(), pieces)),
        mirrors=tuple(sorted(draw(st.lists(mirrors, max_size=4, unique_by=lambda m: m.url)), key=lambda m: m.priority)),
        metaurls=tuple(
            sorted(draw(st.lists(metaurls, max_size=3, unique_by=lambda m: m.url)), key=lambda m: m.priority)
        ),
        signatures=tuple(draw(st.lists(st.builds(Signature, mediatype=st.just("a/b"), text=signed), max_size=2))),
        publisher=draw(
            st.one_of(st.none(), st.builds(Publisher, name=st.just("P & Q"), url=st.one_of(st.none(), urls)))
        ),
        identity=draw(texts),
        description=draw(texts),
        version=draw(texts),
        copyright=draw(texts),
    )


@given(st.lists(metalink_files(), min_size=1, max_size=3, unique_by=lambda file: file.name.casefold()))
def test_what_is_written_is_read_back(files: list[MetalinkFile]) -> None:
    document = write_metalink4(
        files, generator="thunderdl", published="2026-11-24T20:00:00Z", origin="http://o.example/m"
    )
    found = parse_metalink(document, safe_name)
    assert found.files == tuple(files)
    assert (found.generator, found.origin, found.notes) == ("thunderdl", "http://o.example/m", ())


def test_what_xml_cannot_hold_is_replaced() -> None:
    document = write_metalink4([MetalinkFile(name="a\x01\udcff", description="\x0b\ufffe")])
    assert parse_metalink(document, safe_name).files[0].name.startswith("a")


fragments = st.sampled_from(
    ["<file name='a'>", "</file>", "<files>", "</files>", "<size>", "</size>", "1", "<url>", "</url>", "http://h/",
     "<pieces length='1024' type='sha-1'>", "</pieces>", "<hash type='md5'>", "</hash>", "00" * 16, "<resources>",
     "&amp;", "\x00",
     "</resources>", "<verification>", "</verification>", "]]>", "<!--", "-->", "<![CDATA[", "&#x10ffff;", "<?x?>", "é"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(fragments, max_size=25), st.sampled_from([V3, V4]))
def test_nothing_but_the_one_error_comes_out(parts: list[str], frame: str) -> None:
    try:
        found = read(frame.format("".join(parts)))
    except UsageError:
        return
    assert found.files


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(document: bytes) -> None:
    for text in (document, b"<?xml version='1.0' encoding='" + document + b"'?><metalink/>", b"\xff\xfe" + document):
        with pytest.raises(UsageError):
            parse_metalink(text, safe_name)


@pytest.mark.parametrize("algorithm", STRENGTH)
def test_every_known_algorithm_is_read_by_its_common_name(algorithm: str) -> None:
    from thunderdl.formats.hashes import ALGORITHMS, common_name

    digest = Digest(algorithm, b"\x07" * ALGORITHMS[algorithm])
    assert file4(f"<hash type='{common_name(algorithm)}'>{digest.value.hex()}</hash>").digests == (digest,)


def test_metalinks_of_mirror_networks(testdata: Path) -> None:
    """Counts as the other projects' own tests state them; documents only in part of this sample."""
    expected = {
        "metalink_good_01": [("repomd.xml", 4309, 4, 0, 106)],
        "metalink_good_03": [("repomd.xml", None, 0, 0, 0)],
        "metalink_bad_02": [("repomd.xml", None, 1, 0, 0)],
        "metalink_really_bad_01": [("foo.xml", None, 1, 0, 3), ("bar.xml", None, 1, 0, 3)],
        "debian.metalink": [("debian-31r5-i386-binary-1.iso", 4682901504, 2, 140, 94)],
        "metalink.xml": [("repomd.xml", 4834, 4, 0, 5)],
    }
    checked = 0
    for path in (testdata / "mirror_metalinks").rglob("*"):
        if path.name in expected:
            files = parse_metalink(path.read_bytes(), safe_name, path.name).files
            counts = [
                (
                    file.name,
                    file.size,
                    len(file.digests),
                    len(file.pieces.digests) if file.pieces else 0,
                    len(file.mirrors),
                )
                for file in files
            ]
            assert counts == expected[path.name]
            for file in files:
                orders = [mirror.priority for mirror in file.mirrors]
                assert orders == sorted(orders)
            checked += 1
    assert checked
