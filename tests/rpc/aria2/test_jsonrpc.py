from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thunderdl.rpc.aria2.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    MOST_DEEP,
    PARSE_ERROR,
    Call,
    Fault,
    answered,
    encode,
    parse,
    refused,
    status_of,
)

# Whoever writes JSON need not refuse them; aria2's numbers end at 64 bits.
CALL = '{{"jsonrpc":"2.0","id":{},"method":"m","params":[]}}'


def code_of(body: bytes | str) -> int:
    with pytest.raises(Fault) as caught:
        parse(body)
    return caught.value.code


@pytest.mark.parametrize("id", ["0", "1", '"q"', '""', "null", "true", "1.5", '{"a":1}', "[1]", "9223372036854775807"])
def test_the_id_is_given_back_as_it_is(id: str) -> None:
    call = parse(CALL.format(id))
    assert isinstance(call, Call)
    assert json.loads(encode(answered(call.id, None)))["id"] == json.loads(id)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", PARSE_ERROR), (" ", PARSE_ERROR), ("[", PARSE_ERROR), ("{]", PARSE_ERROR), ('{"id":1} x', PARSE_ERROR),
        ("[" * 100_000, PARSE_ERROR), ('{"a":' * 100_000, PARSE_ERROR), ("[" * 70 + "]" * 70, PARSE_ERROR),
        (CALL.format("[" * MOST_DEEP + "]" * MOST_DEEP), PARSE_ERROR),
        (b'{"id":0,"method":"\xff"}', PARSE_ERROR), (b"\xef\xbb\xbf{}", PARSE_ERROR),
        ('{"id":0}'.encode("utf-16"), PARSE_ERROR), ('{"id":0}'.encode("utf-32"), PARSE_ERROR),
        (CALL.format("9" * 20), PARSE_ERROR), (CALL.format("9" * 100_000), PARSE_ERROR),
        (CALL.format("1e999"), PARSE_ERROR), (CALL.format("NaN"), PARSE_ERROR), (CALL.format("-Infinity"), PARSE_ERROR),
        (CALL.format(r'"\ud800"'), PARSE_ERROR), (CALL.format(r'"\uDC00\uD800"'), PARSE_ERROR),
        ("1", INVALID_REQUEST), ('"x"', INVALID_REQUEST), ("null", INVALID_REQUEST), ("{}", INVALID_REQUEST),
        ('{"id":1}', INVALID_REQUEST), ('{"method":"m"}', INVALID_REQUEST), ('{"id":1,"method":1}', INVALID_REQUEST),
        ('{"id":0,"id":1,"method":"m"}', INVALID_REQUEST),
        ('{"id":0,"method":"m","params":[{"a":1,"a":2}]}', INVALID_REQUEST),
        ('{"id":0,"method":"m","params":{}}', INVALID_PARAMS), ('{"id":0,"method":"m","params":null}', INVALID_PARAMS),
    ],
)  # fmt: skip
def test_what_is_no_call_is_refused_with_the_code_of_what_is_wrong(body: bytes | str, code: int) -> None:
    assert code_of(body) == code


def test_a_whole_character_of_two_escapes_is_one() -> None:
    call = parse(CALL.format(r'"\ud83d\ude00"'))
    assert isinstance(call, Call)
    assert call.id == "😀"


def test_a_batch_is_answered_call_by_call_and_what_is_no_object_is_passed_over() -> None:
    batch = parse('[{"id":0,"method":"m"},1,{},[],{"id":2,"method":"n","params":[3]}]')
    assert isinstance(batch, list)
    assert [each if isinstance(each, Call) else each.code for each in batch] == [
        Call(0, "m", []), INVALID_REQUEST, Call(2, "n", [3]),
    ]  # fmt: skip
    assert parse("[]") == []


@pytest.mark.parametrize(
    ("code", "status"), [(PARSE_ERROR, 500), (INVALID_REQUEST, 400), (INVALID_PARAMS, 500), (1, 400)]
)
def test_an_error_has_a_status_that_is_one_since_some_clients_look_at_nothing_else(code: int, status: int) -> None:
    answer = refused(Fault(code, "x", 7))
    assert status_of(answer) == status
    assert answer["id"] == 7
    assert status_of(answered(0, {})) == status_of([answer]) == 200


def test_an_answer_is_json_whatever_a_file_is_called() -> None:
    assert json.loads(encode(answered(0, "a\udc80\x00é"))) == {"id": 0, "jsonrpc": "2.0", "result": "a\udc80\x00é"}
    assert encode("\udc80é").isascii()


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:0123eE.-\\u"idmethod ', max_size=40).map(str.encode))
def test_no_bytes_make_anything_but_calls_or_a_fault(body: bytes) -> None:
    try:
        found = parse(body)
    except Fault as fault:
        json.loads(encode(refused(fault)))
        return
    for each in found if isinstance(found, list) else [found]:
        assert isinstance(each, Call | Fault)
        json.loads(encode(each.id))


def suite(testdata: Path) -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in sorted((testdata / "json_test_suite").glob("*.json"))}
    assert len(files) > 150
    return files


def is_json(body: bytes) -> bool:
    try:
        parse(body)
    except Fault as fault:
        return fault.code != PARSE_ERROR
    return True


def test_the_json_test_suite(testdata: Path) -> None:
    found = {name: is_json(body) for name, body in suite(testdata).items()}
    wrong = [name for name, taken in found.items() if taken != name.startswith("y_") and not name.startswith("i_")]
    assert wrong == []
