from __future__ import annotations

import asyncio
import xmlrpc.client
from pathlib import Path
from typing import Any

import pytest

from tests.rpc.aria2.service import SECRET, Service
from tests.rpc.aria2.test_adding import TORRENT
from tests.rpc.aria2.test_calling import URI, ran

TOKEN = f"token:{SECRET}"
CALL = "<methodCall><methodName>system.listMethods</methodName><params>{}</params></methodCall>"


async def ask(service: Service, method: str, *params: Any) -> Any:
    body = xmlrpc.client.dumps(params, method)
    reply = await service.post(body, "/rpc")
    assert (reply.status, reply.type) == (200, "text/xml")
    return xmlrpc.client.loads(reply.body)[0][0]


def test_the_same_methods_answer(tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        gid = await ask(service, "aria2.addUri", TOKEN, [URI], {"pause": "true"})
        status: Any = await ask(service, "aria2.tellStatus", TOKEN, gid, ["gid", "status", "files"])
        assert status["status"] == "paused"
        assert status["files"][0]["uris"][0]["uri"] == URI
        torrent = xmlrpc.client.Binary(TORRENT)
        other = await ask(service, "aria2.addTorrent", TOKEN, torrent, [], {"pause": "true"})
        assert await ask(service, "aria2.changePosition", TOKEN, other, 0, "POS_SET") == 0
        calls = [{"methodName": "aria2.getVersion", "params": [TOKEN]}, {"methodName": "x", "params": [TOKEN]}]
        version, fault = await ask(service, "system.multicall", calls)
        assert version[0]["version"]
        assert fault == {"faultCode": 1, "faultString": "No such method: x"}
        for wrong, told in [(("aria2.tellStatus", TOKEN, "zz"), "Invalid GID zz"), (("x",), "Unauthorized")]:
            with pytest.raises(xmlrpc.client.Fault) as caught:
                await ask(service, *wrong)
            assert (caught.value.faultCode, caught.value.faultString) == (1, told)

    ran(tmp_path, what)


@pytest.mark.parametrize(
    "body",
    [
        "", "x", "<x/>", "<methodCall/>", "<methodResponse><params/></methodResponse>", "[" * 100_000,
        "<methodCall>" * 100_000, "<methodCall><methodName>x", '<?xml version="1.0" encoding="nope"?>' + CALL,
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + CALL.format("<param><value>&b;</value></param>"),
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">' + CALL.format(""), "<!DOCTYPE x>" + CALL.format(""),
        CALL.format("<param><value><int>x</int></value></param>"),
        CALL.format("<param>" + "<value><array><data>" * 100 + "</data></array></value>" * 100 + "</param>"),
        CALL.format("<param><value><nope>1</nope></value></param>"),
    ],
)  # fmt: skip
def test_what_is_no_call_is_a_fault_and_no_document_type_is_read(body: str, tmp_path: Path) -> None:
    async def what(service: Service) -> None:
        reply = await service.post(body, "/rpc")
        with pytest.raises(xmlrpc.client.Fault) as caught:
            xmlrpc.client.loads(reply.body)
        assert caught.value.faultCode == 1

    ran(tmp_path, what)


def test_names_that_xml_cannot_hold_are_told(tmp_path: Path) -> None:
    from thunderdl.rpc.aria2.xmlrpc import answer

    class Caller:
        async def answer(self, call: object) -> dict[str, object]:
            return {"result": [{"path": "a\x00\x1b\ud800<&"}]}

    told = asyncio.run(answer(Caller(), CALL.format("").encode()))  # type: ignore[arg-type]
    assert xmlrpc.client.loads(told)[0][0] == [{"path": "a���<&"}]
