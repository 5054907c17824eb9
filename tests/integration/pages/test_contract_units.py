"""Step 2 of the contract wizard: what the filters show of the units, and what of them can be picked."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hashyard_cloud.services import contracts
from hashyard_cloud.services.inputs import read
from hashyard_support.pages import MODELS, Pages

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def step_two(furnished: Pages) -> AsyncIterator[str]:
    """The address of a draft's second step."""
    row = await contracts.draft(
        furnished.database,
        furnished.clock,
        furnished.organisation_id,
        furnished.actor,
        furnished.customers["Bluff Ridge Capital LLC"],
        read(contracts.TermsInput, {"rate": "0.08"}),
    )
    yield f"/contracts/{row.contract_id}/units"


async def shown(furnished: Pages, address: str) -> tuple[set[str], set[str]]:
    """The labels of the units that are shown, and of those that can be picked."""
    async with furnished.browser() as owner:
        text = await owner.get(address)
    boxes = re.findall(r'<input type="checkbox" name="unit_id"[^>]*aria-label="Select ([^"]+)"([^>]*)>', text)
    return {label for label, _ in boxes}, {label for label, rest in boxes if "disabled" not in rest}


async def test_only_free_units_can_be_picked(furnished: Pages, step_two: str) -> None:
    free = {unit.label for unit in furnished.sites["PN"].units if "-A01-" in unit.label}
    every, can = await shown(furnished, step_two)
    assert len(every) == sum(len(site.units) for site in furnished.sites.values())
    assert can == free
    assert await shown(furnished, f"{step_two}?status=assignable") == (free, free)
    assert await shown(furnished, f"{step_two}?status=repair") == (set(), set())


async def test_the_filters_narrow_each_other(furnished: Pages, step_two: str) -> None:
    site, model = furnished.sites["PN"], MODELS[0][0]
    at_site = {unit.label for unit in site.units}
    of_model = {unit.label for each in furnished.sites.values() for unit in each.units if unit.model == model}
    assert (await shown(furnished, f"{step_two}?site={site.site_id}"))[0] == at_site
    assert (await shown(furnished, f"{step_two}?model={model}"))[0] == of_model
    both, can = await shown(furnished, f"{step_two}?site={site.site_id}&model={model}&status=assignable")
    assert both == can == {label for label in at_site & of_model if "-A01-" in label}
    assert both


async def test_models_are_offered_whatever_else_is_filtered(furnished: Pages, step_two: str) -> None:
    async with furnished.browser() as owner:
        text = await owner.get(f"{step_two}?q=nothing-like-this&status=nonsense")
    assert "No unit matches" in text
    for name, _, _ in MODELS:
        assert f"<option>{name}</option>" in text
