"""The extension beside GenieACS: it hands on what Firstlight answers, and without one holds no session up."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

EXTENSION = Path(__file__).parents[2] / "deploy" / "genieacs" / "ext" / "firstlight.js"
HARNESS = Path(__file__).with_name("firstlight_extension_harness.js")
CODE = "abcdefghijklmnopqrstuvwxyz234567"
API_TOKEN = "fl_of-the-acs"
ARGS = ["south", "HWTC12345678", "TR-098", CODE, "Huawei", ""]
ARGUMENT = '{"rev": "abc", "params": [["Device.A", "s3cret", "xsd:string", true]]}'
GOOD: dict[str, object] = {"status": 200, "body": json.dumps({"revision": "abc", "settings": ARGUMENT})}
NOTHING: dict[str, object] = {"status": 404, "body": '{"code": "acs.first_session_refused"}'}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{API_TOKEN}\n")
    return file


def play(
    token_file: Path,
    *steps: dict[str, object],
    url: str | None = None,
    path: str = "",
    args: list[str] | None = None,
) -> dict[str, Any]:
    """``url``: of a Firstlight that is there, instead of one that says what the steps tell."""
    given = {
        "extension": str(EXTENSION),
        "url": url,
        "path": path,
        "token_file": str(token_file),
        "args": ARGS if args is None else args,
        "steps": steps,
    }
    done = subprocess.run(
        ["node", str(HARNESS)], input=json.dumps(given), capture_output=True, text=True, check=True, timeout=30
    )
    outcome: dict[str, Any] = json.loads(done.stdout)
    assert outcome["errors"] == [], "an error would be a fault of the CPE's session"
    told = json.dumps(outcome["written"])
    assert CODE not in told and API_TOKEN not in told and "s3cret" not in told
    return outcome


def test_it_asks_for_one_cpe_and_hands_the_answer_on_as_it_is(token_file: Path) -> None:
    outcome = play(token_file, {"says": GOOD})
    assert (outcome["answers"], outcome["written"]) == ([[ARGUMENT]], [])
    [asked] = outcome["asked"]
    assert (asked["method"], asked["url"]) == ("POST", "/api/v1/acs/south/first-sessions")
    assert asked["headers"]["authorization"] == f"Bearer {API_TOKEN}"
    assert asked["headers"]["content-type"] == "application/json"
    assert asked["body"] == {
        "serial": "HWTC12345678",
        "data_model": "TR-098",
        "provisioning_code": CODE,
        "manufacturer": "Huawei",
        "product_class": None,
    }


def test_a_cpe_for_which_there_is_nothing_is_no_trouble(token_file: Path) -> None:
    outcome = play(token_file, {"says": NOTHING}, {"says": GOOD})
    assert (outcome["answers"], outcome["written"]) == ([[None], [ARGUMENT]], [])


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ('{"errors": [{"field": "serial", "detail": "s3cret"}, {"pointer": "#/data_model"}]}', "serial, data_model"),
        ('{"errors": [{"field": "S3cret!"}, null]}', "422"),
        ("<html>s3cret</html>", "422"),
    ],
)
def test_what_a_cpe_cannot_be_is_written_by_field_and_holds_up_no_other(token_file: Path, body: str, what: str) -> None:
    outcome = play(token_file, {"says": {"status": 422, "body": body}}, {"says": GOOD})
    assert outcome["answers"] == [[None], [ARGUMENT]]
    assert outcome["written"] == [f"firstlight: nothing for a CPE that says of itself what cannot be: {what}"]


@pytest.mark.parametrize(
    ("says", "what"),
    [
        ("nothing", "no answer within 2 s"),
        ("reset", "ECONNRESET"),
        ("half", "its answer broke off"),
        ({"status": 401, "body": "{}"}, "it answers 401"),
        ({"status": 503, "body": "{}"}, "it answers 503"),
        ({"status": 404, "body": "<html>no s3cret page</html>"}, "it answers 404"),
        ({"status": 404, "body": "null"}, "it answers 404"),
        ({"status": 404, "body": '{"code": "s3cret!"}'}, "it answers 404"),
        ({"status": 404, "body": '{"code": "acs.first_sessions_off"}'}, "it answers 404, acs.first_sessions_off"),
        ({"status": 200, "body": "<html>It works!</html>"}, "its answer cannot be read"),
        ({"status": 200, "body": '{"settings": "{\\"params\\": s3cret"}'}, "its answer cannot be read"),
        ({"status": 200, "body": '{"revision": "abc"}'}, "its answer cannot be read"),
        ({"status": 200, "body": json.dumps({"settings": "x" * 70_000})}, "its answer is too long"),
    ],
    ids=str,
)
def test_without_an_answer_there_is_none_and_nobody_is_held_up_after_it(
    token_file: Path, says: object, what: str
) -> None:
    outcome = play(
        token_file,
        {"says": says},
        {"says": GOOD, "later_ms": 14_900},
        {"says": GOOD, "later_ms": 200},
    )
    assert outcome["answers"] == [[None], [None], [ARGUMENT]]
    assert len(outcome["asked"]) == 2, "it was left in peace for 15 s"
    assert outcome["written"] == [f"firstlight: no settings in first sessions for 15 s: {what}"]


@pytest.mark.parametrize("path", ["/firstlight", "/firstlight/"])
def test_the_path_before_the_api_is_kept(token_file: Path, path: str) -> None:
    outcome = play(token_file, {"says": GOOD}, path=path)
    assert [each["url"] for each in outcome["asked"]] == ["/firstlight/api/v1/acs/south/first-sessions"]
    assert outcome["answers"] == [[ARGUMENT]]


def test_of_a_crowd_eight_are_asked_for_at_once_and_the_others_go_on(token_file: Path) -> None:
    outcome = play(token_file, {"says": GOOD, "times": 30})
    assert (outcome["answers"][0].count(ARGUMENT), outcome["answers"][0].count(None)) == (8, 22)
    assert len(outcome["asked"]) == 8


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://firstlight.isp.example", "FIRSTLIGHT_URL is not https"),
        ("firstlight", "ERR_INVALID_URL"),
        ("http://127.0.0.1:1", "ECONNREFUSED"),
    ],
)
def test_secrets_are_asked_for_over_tls_alone_and_a_wrong_address_harms_nobody(
    token_file: Path, url: str, what: str
) -> None:
    outcome = play(token_file, {"says": GOOD}, url=url)
    assert (outcome["answers"], outcome["asked"]) == ([[None]], [])
    assert outcome["written"][0].endswith(f": {what}")


def test_a_token_file_that_is_not_there_harms_nobody(tmp_path: Path) -> None:
    outcome = play(tmp_path / "none", {"says": GOOD})
    assert (outcome["answers"], outcome["written"][0].rpartition(": ")[2]) == ([[None]], "ENOENT")
