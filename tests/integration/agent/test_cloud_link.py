"""The link's own promises: certificates are verified, a private CA can be pinned, answers are bounded."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hashyard_agent.adapters import cloud_link
from hashyard_agent.adapters.cloud_link import CloudHttp
from hashyard_agent.errors import CloudRefusedError, CloudUnreachableError, SettingsError
from hashyard_shared.clock import SystemClock, utc
from hashyard_shared.errors import ErrorCode
from hashyard_shared.protocol import ChallengeAnswer, ChallengeRequest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ASKED = ChallengeRequest(agent_id="agent")


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cloud")])
    now = utc(SystemClock().now_us())
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "ca.pem"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret = folder / "key.pem"
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pem, secret


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_post("/agent/v1/challenge", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def ask(url: str, ca_file: Path | None = None, timeout_s: float = 5) -> ChallengeAnswer:
    async with CloudHttp(url, ca_file, timeout_s) as http:
        return await http.post("/agent/v1/challenge", ASKED, ChallengeAnswer)


async def good(_: web.Request) -> web.StreamResponse:
    return web.json_response({"nonce": "bm9uY2U="})


async def test_an_unknown_certificate_is_refused_and_a_pinned_one_accepted(tmp_path: Path) -> None:
    pem, secret = certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pem, secret)
    async with serving(good, tls) as port:
        with pytest.raises(CloudUnreachableError, match=r"not trusted.*ca_file"):
            await ask(f"https://127.0.0.1:{port}")
        assert (await ask(f"https://127.0.0.1:{port}", pem)).nonce == "bm9uY2U="
        # The name on the certificate counts too.
        with pytest.raises(CloudUnreachableError, match="not trusted"):
            await ask(f"https://localhost:{port}", pem)


def test_a_ca_file_that_is_none_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate", encoding="ascii")
    with pytest.raises(SettingsError, match=r"cloud\.ca_file"):
        CloudHttp("https://127.0.0.1", tmp_path / "ca.pem", 5)
    with pytest.raises(SettingsError, match=r"cloud\.ca_file"):
        CloudHttp("https://127.0.0.1", tmp_path / "none.pem", 5)


async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_link, "MAX_ANSWER_BYTES", 100_000)

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 10_000)
        except (ConnectionError, RuntimeError):
            return response

    async with serving(endless) as port:
        with pytest.raises(CloudUnreachableError, match="over 100000 bytes"):
            await ask(f"http://127.0.0.1:{port}")


async def test_what_is_no_answer_of_this_protocol_is_told() -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>welcome</html>", content_type="text/html")

    async with serving(page) as port:
        with pytest.raises(CloudUnreachableError, match="not a ChallengeAnswer"):
            await ask(f"http://127.0.0.1:{port}")


async def test_a_redirect_is_not_followed() -> None:
    async def elsewhere(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "http://127.0.0.1:1/"})

    async with serving(elsewhere) as port:
        with pytest.raises(CloudRefusedError, match=r"cloud\.url") as caught:
            await ask(f"http://127.0.0.1:{port}")
        assert caught.value.status == 307


async def test_a_refusal_carries_its_code() -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        body = {"type": "urn:hashyard:error:agent-revoked", "title": "No", "status": 403, "detail": "revoked"}
        return web.json_response(body, status=403)

    async with serving(refuse) as port:
        with pytest.raises(CloudRefusedError, match="revoked") as caught:
            await ask(f"http://127.0.0.1:{port}")
        assert caught.value.code is ErrorCode.AGENT_REVOKED


async def test_nobody_there_says_what_to_check() -> None:
    async with serving(good) as port:
        pass
    with pytest.raises(CloudUnreachableError, match=r"check the network, DNS and cloud\.url"):
        await ask(f"http://127.0.0.1:{port}")
