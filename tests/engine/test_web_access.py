"""Who may ask the page's server: names, origins, and the token."""

import stat
from pathlib import Path

import pytest

from effects.base.paths import state_dir
from engine.web.access import Access, kept_token, names_of

OPEN = Access(names=names_of(["radio.test"]))


@pytest.mark.parametrize(
    "host",
    ["localhost:8080", "127.0.0.1", "192.168.1.7:8080", "[::1]:8080", "radio.test:80"],
)
def test_an_own_name_is_answered(host: str) -> None:
    assert OPEN.refusal({"host": host}) is None
    assert OPEN.refusal({"host": host, "origin": f"http://{host}"}) is None


@pytest.mark.parametrize(
    "host", ["evil.test", "localhost.evil.test", "127.0.0.1.evil.test", "a b", "", "@"]
)
def test_another_name_is_refused(host: str) -> None:
    assert OPEN.refusal({"host": host}) is not None


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.test",
        "http://localhost:8081",
        "http://localhost",
        "null",
        "",
        "file://localhost:8080",
        "http://[",
    ],
)
def test_another_origin_is_refused(origin: str) -> None:
    assert OPEN.refusal({"host": "localhost:8080", "origin": origin}) is not None


def test_a_token_is_asked_for_where_there_is_one() -> None:
    access = Access("secret", names_of())
    assert OPEN.allows("")
    assert access.allows("secret")
    assert not access.allows("")
    assert not access.allows("sécret")
    assert access.allows_request({"authorization": "Bearer secret"}, {})
    assert access.allows_request({}, {"token": "secret"})
    assert not access.allows_request({"authorization": "Bearer x"}, {})


def test_the_token_is_kept_for_the_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENT_HOME", str(tmp_path))
    token = kept_token()
    assert kept_token() == token
    path = state_dir() / "web-token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("short")
    assert kept_token() not in ("short", token)
