from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hashyard_cloud import app_enforcement
from hashyard_cloud.adapters.secret_box import AesSecretBox
from hashyard_cloud.app import open_database
from hashyard_cloud.settings import GateSettings, Settings
from hashyard_support.money import BOUNCE_WAIT_S, Clock, Host, add_contract, add_unit, seed


@pytest.fixture
def engine() -> str:
    """Which relational engine; modules that prove both override it by a parameter."""
    return "sqlite"


@pytest.fixture
async def host(tmp_path: Path, engine: str, request: pytest.FixtureRequest) -> AsyncIterator[Host]:
    dsn = request.getfixturevalue("postgresql")() if engine == "postgresql" else None
    gate = GateSettings(
        notice_bounce_wait_s=BOUNCE_WAIT_S,
        lease_s=3_600,
        lease_renewal_s=600,
        refused_retry_s=120,
        booking_lag_s=60,
    )
    settings = Settings(data_dir=tmp_path / "data", database_dsn=dsn, gate=gate)
    database = await open_database(settings)
    clock = Clock()
    box = AesSecretBox.from_file(settings.master_key_path)
    made = Host(database, clock, app_enforcement.enforcement(settings, clock, box), settings)
    await seed(made)
    await add_contract(made, made.contract, "HC-2026-0001")
    for number in (1, 2, 3):
        await add_unit(made, number, made.contract)
    yield made
    await database.close()
