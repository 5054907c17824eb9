from pathlib import Path

from hashyard_simulator import memory
from hashyard_simulator.device import Pool
from hashyard_simulator.farm import Farm
from hashyard_simulator.spec import FarmSpec, parse_site

SPEC = FarmSpec(sites=(parse_site("name=m,subnet=127.10.250.0/24,avalon=2"),))


async def test_pools_and_settings_outlive_the_process(tmp_path: Path) -> None:
    kept = tmp_path / "state.json"
    async with Farm(SPEC) as farm:
        device = farm.devices[0]
        device.replace_pools([Pool("stratum+tcp://elsewhere:1", "w", "secret")])
        memory.save(farm, kept)
    async with Farm(SPEC) as farm:
        assert memory.load(farm, kept) == 2
        changed, untouched = farm.devices
        assert [(p.url, p.user, p.password) for p in changed.pools] == [
            ("stratum+tcp://elsewhere:1", "w", "secret")
        ]
        assert untouched.pools[0].url == "stratum+tcp://pool-a.example:3333"


async def test_a_first_start_has_nothing_to_recall(tmp_path: Path) -> None:
    async with Farm(SPEC) as farm:
        assert memory.load(farm, tmp_path / "none.json") == 0
