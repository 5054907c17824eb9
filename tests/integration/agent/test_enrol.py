"""Enrolment: what the code names is what is pinned, and nothing is pinned without a yes."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hashyard_agent.adapters.identity import FileIdentityStore
from hashyard_agent.adapters.trust_file import TrustFile
from hashyard_agent.enrol import Enrolment, EnrolmentRefusedError, Offer
from hashyard_agent.errors import CloudRefusedError, StoreError
from hashyard_agent.identity import NotEnrolledError
from hashyard_shared.clock import SystemClock
from hashyard_shared.enrolment import EnrolmentCode, EnrolmentCodeError
from hashyard_shared.errors import ErrorCode
from hashyard_shared.protocol import EnrolAnswer, EnrolRequest
from hashyard_shared.signing import decode_base64, encode_base64, fingerprint, new_private_key, public_bytes
from hashyard_shared.trust import HoldingPool

KEY = public_bytes(new_private_key())
OTHER_KEY = public_bytes(new_private_key())
POOL = HoldingPool(reference="main", url="stratum+tcp://pool.example:3333", worker="acct.{unit}", password="x")


@dataclass
class FakeCloud:
    """Answers as the cloud would, with the keys it is told to send."""

    keys: tuple[bytes, ...] = (KEY, OTHER_KEY)
    pools: tuple[HoldingPool, ...] = (POOL,)
    epoch: int = 1
    asked: list[EnrolRequest] = field(default_factory=list)
    knows_former: bool = True

    async def enrol(self, request: EnrolRequest) -> EnrolAnswer:
        self.asked.append(request)
        if request.replaces_agent_id and not self.knows_former:
            raise CloudRefusedError(ErrorCode.NOT_FOUND, "no such agent at this site", 404)
        return EnrolAnswer(
            agent_id="agent-1",
            organisation_id="org-1",
            organisation_name="Pecos",
            site_id="site-1",
            site_name="North",
            timezone="America/Chicago",
            epoch=self.epoch,
            signing_keys=[encode_base64(key) for key in self.keys],
            holding_pools=list(self.pools),
        )


@dataclass
class Epochs:
    """Remembers what was adopted."""

    adopted: list[int] = field(default_factory=list)

    def adopt_epoch(self, epoch: int) -> None:
        self.adopted.append(epoch)


@dataclass
class Box:
    """A machine to enrol."""

    folder: Path
    cloud: FakeCloud = field(default_factory=FakeCloud)
    epochs: Epochs = field(default_factory=Epochs)
    offers: list[Offer] = field(default_factory=list)
    says_yes: bool = True

    @property
    def identities(self) -> FileIdentityStore:
        return FileIdentityStore(self.folder)

    @property
    def trusts(self) -> TrustFile:
        return TrustFile(self.folder / "trust.json", self.folder)

    async def enrol(self, code: str) -> None:
        def confirm(offer: Offer) -> bool:
            self.offers.append(offer)
            return self.says_yes

        enrolment = Enrolment(self.cloud, self.identities, self.trusts, self.epochs, SystemClock(), confirm)
        await enrolment.enrol(
            code, name="pn-01", version="1", cloud_url="https://cloud.example", replaces_agent_id=None
        )


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def code() -> str:
    return str(EnrolmentCode.mint(fingerprint(KEY)))


async def test_keys_and_pools_are_pinned_and_the_key_is_private(box: Box) -> None:
    await box.enrol(code().lower())
    credentials = box.identities.load()
    assert credentials.identity.site_name == "North"
    assert decode_base64(box.cloud.asked[0].public_key) == public_bytes(credentials.key)
    assert box.offers[0].agent_fingerprint == credentials.fingerprint
    trust = box.trusts.read()
    assert trust is not None
    assert [decode_base64(key) for key in trust.signing_keys] == [KEY, OTHER_KEY]
    assert trust.holding_pools == (POOL,)
    assert box.epochs.adopted == [1]
    key_file = next(box.folder.glob("agent-*.key"))
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert not stat.S_IMODE((box.folder / "trust.json").stat().st_mode) & 0o022


async def test_a_cloud_with_another_key_is_refused_before_anything_is_pinned(box: Box) -> None:
    box.cloud.keys = (OTHER_KEY,)
    with pytest.raises(EnrolmentRefusedError, match="in between"):
        await box.enrol(code())
    assert box.trusts.read() is None
    assert box.offers == []
    with pytest.raises(NotEnrolledError):
        box.identities.load()


async def test_a_no_pins_nothing(box: Box) -> None:
    box.says_yes = False
    with pytest.raises(EnrolmentRefusedError, match="revoke the agent agent-1"):
        await box.enrol(code())
    assert box.trusts.read() is None
    assert box.identities.enrolled() is None


async def test_a_mistyped_code_is_told_without_asking_the_cloud(box: Box) -> None:
    with pytest.raises(EnrolmentCodeError, match="HY1-"):
        await box.enrol("HY1-NOT-A-CODE")
    assert box.cloud.asked == []


async def test_enrolling_again_names_the_former_identity_and_keeps_what_people_entered(box: Box) -> None:
    await box.enrol(code())
    first = box.identities.load()
    trust = box.trusts.read()
    assert trust is not None
    box.trusts.write(trust.model_copy(update={"revoked_keys": (fingerprint(OTHER_KEY),)}))
    fresh_pool = POOL.model_copy(update={"reference": "second"})
    box.cloud.pools, box.cloud.epoch = (fresh_pool,), 2
    await box.enrol(code())
    assert box.cloud.asked[1].replaces_agent_id == "agent-1"
    again = box.trusts.read()
    assert again is not None
    assert again.revoked_keys == (fingerprint(OTHER_KEY),)
    assert again.retired_pools == (POOL,)
    assert box.identities.load().fingerprint != first.fingerprint
    assert len(list(box.folder.glob("agent-*.key"))) == 1
    assert box.epochs.adopted == [1, 2]


async def test_an_enrolment_that_breaks_off_leaves_the_old_identity_working(box: Box) -> None:
    await box.enrol(code())
    before = box.identities.load().fingerprint
    box.says_yes = False
    with pytest.raises(EnrolmentRefusedError):
        await box.enrol(code())
    assert box.identities.load().fingerprint == before


async def test_a_machine_moved_to_another_site_enrols_as_a_new_one(box: Box) -> None:
    await box.enrol(code())
    box.cloud.knows_former = False
    await box.enrol(code())
    assert [request.replaces_agent_id for request in box.cloud.asked] == [None, "agent-1", None]


async def test_a_key_that_others_can_read_is_refused(box: Box) -> None:
    await box.enrol(code())
    key_file = next(box.folder.glob("agent-*.key"))
    key_file.chmod(0o644)
    with pytest.raises(StoreError, match="chmod 600"):
        box.identities.load()
    key_file.chmod(0o600)
    key_file.write_bytes(os.urandom(100))
    with pytest.raises(StoreError, match="damaged"):
        box.identities.load()
