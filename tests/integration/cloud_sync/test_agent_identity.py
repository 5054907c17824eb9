"""Enrolment, challenge, token, revocation, over the wire."""

from dataclasses import replace
from typing import Any

from hashyard_cloud.services.enrolment import CODE_LIFETIME_S
from hashyard_cloud.services.rate_limits import RateLimit
from hashyard_cloud.web import keys
from hashyard_shared.clock import US_PER_S
from hashyard_shared.protocol import CloudTime
from hashyard_shared.signing import DocumentType, Envelope, decode_base64, fingerprint, new_private_key, verify


async def test_a_code_enrols_one_agent_once(cloud: Any) -> None:
    secret = await cloud.code()
    first, second = cloud.stranger(), cloud.stranger()
    assert (await first.enrol(secret))[0] == 200
    assert first.enrolled.site_name == "Hall site-1"
    assert first.enrolled.timezone == "Europe/Oslo"
    status, problem = await second.enrol(secret)
    assert (status, problem["type"]) == (403, "code-used")
    assert "new one" in problem["detail"]


async def test_asking_again_after_a_lost_answer_gives_the_same_identity(cloud: Any) -> None:
    secret = await cloud.code()
    agent = cloud.stranger()
    _, first = await agent.enrol(secret)
    _, again = await agent.enrol(secret)
    assert first == again


async def test_the_code_carries_the_fingerprint_of_the_key_that_the_answer_names(cloud: Any) -> None:
    minted = await cloud.app[keys.ENROLMENT].mint_code(cloud.organisation_id, cloud.site_id, "test")
    agent = cloud.stranger()
    await agent.enrol(minted.code.secret)
    assert fingerprint(decode_base64(agent.enrolled.signing_keys[0])) == minted.code.signing_key_fingerprint


async def test_an_expired_and_an_unknown_code_are_told_apart(cloud: Any) -> None:
    secret = await cloud.code()
    cloud.clock.offset_us += CODE_LIFETIME_S * US_PER_S
    assert (await cloud.stranger().enrol(secret))[1]["type"] == "code-expired"
    assert (await cloud.stranger().enrol("AAAAAAAAAAAAAAAA"))[1]["type"] == "code-unknown"


async def test_enrolment_is_rate_limited(cloud: Any) -> None:
    agent = cloud.stranger()
    answers = [await agent.call("POST", "enrol", json={}) for _ in range(11)]
    assert [status for status, _, _ in answers] == [422] * 10 + [429]
    assert int(answers[-1][2]["Retry-After"]) >= 1


async def test_the_token_answer_carries_signed_time(cloud: Any) -> None:
    agent = await cloud.agent()
    _, answer = await agent.login()
    key = decode_base64(agent.enrolled.signing_keys[0])
    signed = CloudTime.model_validate_json(verify(key, DocumentType.TIME, Envelope.model_validate(answer["time"])))
    assert signed.agent_id == agent.enrolled.agent_id
    assert abs(signed.at_us - cloud.clock.now_us()) < 5 * US_PER_S


async def test_another_key_gets_no_token(cloud: Any) -> None:
    agent = await cloud.agent()
    status, problem = await agent.login(new_private_key())
    assert (status, problem["type"]) == (401, "key-mismatch")


async def test_a_signed_challenge_works_once(cloud: Any) -> None:
    agent = await cloud.agent()
    sent: list[Any] = []

    async def recording(method: str, path: str, **more: Any) -> Any:
        sent.append((method, path, more))
        return await type(agent).call(agent, method, path, **more)

    agent.call = recording
    await agent.login()
    method, path, more = sent[-1]
    status, problem, _ = await type(agent).call(agent, method, path, **more)
    assert (status, problem["type"]) == (401, "unauthenticated")


async def test_a_token_ends_after_an_hour(cloud: Any) -> None:
    agent = await cloud.agent()
    cloud.clock.offset_us += 3_601 * US_PER_S
    status, problem, _ = await agent.call("GET", "desired")
    assert (status, problem["type"]) == (401, "unauthenticated")


async def test_a_revoked_agent_is_refused_and_told_so(cloud: Any) -> None:
    agent = await cloud.agent()
    await cloud.app[keys.AGENTS].revoke(cloud.organisation_id, agent.enrolled.agent_id, "rack host stolen")
    for status, problem, _ in (await agent.call("GET", "desired"), await agent.post(b"")):
        assert (status, problem["type"]) == (403, "agent-revoked")
        assert "rack host stolen" in problem["detail"]
    assert (await agent.login())[1]["type"] == "agent-revoked"


async def test_a_new_box_takes_over_the_agent_and_the_old_one_is_out(cloud: Any) -> None:
    old = await cloud.agent()
    new = cloud.stranger()
    status, _ = await new.enrol(await cloud.code(), replaces_agent_id=old.enrolled.agent_id)
    assert status == 200
    assert new.enrolled.agent_id == old.enrolled.agent_id
    assert new.epoch == old.epoch + 1
    assert (await old.call("GET", "desired"))[0] == 401
    assert (await old.login())[1]["type"] == "key-mismatch"
    assert (await new.login())[0] == 200


async def test_a_code_is_bound_to_its_site_and_replaces_nobody_elsewhere(cloud: Any) -> None:
    async with cloud.database.transaction() as tx:
        site = await tx.sites.get(cloud.organisation_id, cloud.site_id)
        await tx.sites.add(replace(site, site_id="site-2", name="Hall 2", code="H2"))
    old = await cloud.agent()
    minted = await cloud.app[keys.ENROLMENT].mint_code(cloud.organisation_id, "site-2", "test")
    new = cloud.stranger()
    status, problem = await new.enrol(minted.code.secret, replaces_agent_id=old.enrolled.agent_id)
    assert (status, problem["type"]) == (404, "not-found")
    # Refused, the code is not spent: the same box enrols as a new agent of the site that the code names.
    assert (await new.enrol(minted.code.secret))[0] == 200
    assert new.enrolled.site_id == "site-2"
    assert (await old.call("GET", "desired"))[0] == 200


async def test_deliveries_are_rate_limited_and_say_when_to_come_again(cloud: Any) -> None:
    agent = await cloud.agent()
    cloud.app[keys.INGEST]._limit = RateLimit(cloud.clock, 60, 2)
    answers = [await agent.post(b"") for _ in range(3)]
    assert [status for status, _, _ in answers] == [200, 200, 429]
    assert answers[-1][1]["type"] == "rate-limited"
    assert int(answers[-1][2]["Retry-After"]) >= 1


async def test_protocol_versions(cloud: Any) -> None:
    agent = cloud.stranger()
    codes = {"0": "protocol-too-old", "9": "protocol-too-new", "x": "malformed", "": "malformed"}
    for version, code in codes.items():
        status, problem, _ = await agent.call(
            "POST", "challenge", json={"agent_id": "x"}, headers={"Hashyard-Protocol": version}
        )
        assert status in {400, 422}
        assert problem["type"] == code


async def test_bad_json_names_the_field(cloud: Any) -> None:
    status, problem, headers = await cloud.stranger().call("POST", "enrol", json={"secret": "x", "name": ""})
    assert status == 422
    assert headers["Content-Type"].startswith("application/problem+json")
    assert problem["field"] in {"public_key", "name"}
