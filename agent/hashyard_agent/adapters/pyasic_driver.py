"""The miner driver over pyasic: which family a device is of, and the slow lane. The only importer of pyasic.

pyasic is imported when the first call needs it (0.9 s, 65 MiB), and what its import does to the root logger is
undone. None of its types leaves this module, and none of its return values is believed.
"""

import asyncio
import logging
import sys
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from hashyard_agent import documents
from hashyard_agent.adapters import wire
from hashyard_agent.adapters.arp import link_mac
from hashyard_agent.adapters.fast_reader import ProfileReader
from hashyard_agent.adapters.fingerprint import Evidence, Fingerprinter
from hashyard_agent.errors import MinerConnectionError, MinerError, MinerRefusedError
from hashyard_agent.ports import Details, Identity
from hashyard_profiles import Profile, Profiles
from hashyard_shared.events import Board
from hashyard_shared.ids import MalformedIdError, normalise_mac

MAX_CACHED_MINERS: Final = 8_192
MAX_BOARDS: Final = 64
MAX_FANS: Final = 16
MAX_ERRORS: Final = 50
MAX_ERROR_CHARS: Final = 200
CALL_TIMEOUT_S: Final = 15.0
IDENTIFY_TIMEOUT_S: Final = 10.0
IDENTIFY_ATTEMPTS: Final = 2
FACTORY_TIMEOUT_S: Final = 8
"""pyasic drops a host whose port 80 is silent for 3 s without asking the other ports."""
_IMPORT_LOCK: Final = threading.Lock()


class PyasicDriver:
    """`MinerDriver` over pyasic, double-checked by evidence of our own."""

    def __init__(
        self,
        profiles: Profiles,
        reader: ProfileReader,
        fingerprinter: Fingerprinter,
        *,
        call_timeout_s: float = CALL_TIMEOUT_S,
        identify_timeout_s: float = IDENTIFY_TIMEOUT_S,
    ) -> None:
        self._profiles = profiles
        self._reader = reader
        self._fingerprinter = fingerprinter
        self._call_timeout_s = call_timeout_s
        self._identify_timeout_s = identify_timeout_s
        self._miners: OrderedDict[str, Any] = OrderedDict()

    async def identify(self, ip: str) -> Identity:
        """Who answers; `family` is "" where no profile fits. Errors: `MinerError` when nobody answers."""
        evidence = await self._fingerprinter.collect(ip)
        miner, profile = await self._agreed(ip, evidence)
        if profile is None:
            if miner is None and all(probe.startswith("http:") for probe in evidence):
                raise MinerConnectionError(ip, "what answers here does not speak as a miner")
            return Identity(ip, None, None, "", _word(miner, "make"), _word(miner, "raw_model"), "")
        if miner is not None:
            self._remember(ip, miner)
        return await self._with_identity(ip, profile, miner)

    async def details(self, identity: Identity) -> Details:
        """Boards, fans and errors from pyasic; pools verbatim from our own reader."""
        own = await self._reader.details(identity, self._call_timeout_s)
        profile = self._profiles.get(identity.family)
        if profile is None or profile.details_driver == "none":
            return own
        miner = await self._miner(identity)
        options = ["hashboards", "fans", "errors", "wattage_limit"]
        data = await self._call(identity.ip, miner.get_data, include=options)
        told = tuple(_board(index, board) for index, board in enumerate(list(data.hashboards)[:MAX_BOARDS]))
        return Details(
            identity=identity,
            boards=documents.merged_boards(own.boards, told),
            fans_rpm=tuple(_whole(fan.speed) for fan in list(data.fans)[:MAX_FANS]),
            pools=own.pools,
            errors=tuple(_error_text(error) for error in list(data.errors or [])[:MAX_ERRORS]),
            power_limit_w=_whole(data.wattage_limit),
        )

    async def set_led(self, identity: Identity, on: bool) -> None:
        """Switch the locating light and read it back; `MinerRefusedError` when the device shows otherwise.

        Where a family does not show its light, only a clear no of the driver counts.
        """
        miner = await self._miner(identity)
        taken = await self._call(identity.ip, miner.fault_light_on if on else miner.fault_light_off)
        miner.light = None  # what it remembers is its own wish, not the device's word
        # Its public call says "off" both for off and for unknown; this one says None for unknown.
        shown = await self._call(identity.ip, miner._get_fault_light)  # noqa: SLF001 - see above
        if shown is not None and bool(shown) is not on:
            raise MinerRefusedError(identity.ip, f"the light stays {'off' if on else 'on'}")
        if shown is None and not taken and on:
            raise MinerRefusedError(identity.ip, "it has no light that can be switched, or did not take it")

    async def reboot(self, identity: Identity) -> None:
        """Ask for a restart; the caller judges by the device's uptime."""
        miner = await self._miner(identity)
        await self._call(identity.ip, miner.reboot)

    async def _agreed(self, ip: str, evidence: Evidence) -> tuple[Any, Profile | None]:
        """The driver's miner and the family; where the evidence differs it is asked again, then evidence wins.

        Known to differ: VNish taken for stock Antminer under latency, a stock S19 with 4028 closed for Marathon,
        a Whatsminer of version 3 with 4028 closed for version 2.
        """
        shown = self._fingerprinter.families(evidence)
        miner, told = None, None
        for _ in range(IDENTIFY_ATTEMPTS):
            miner = await self._get_miner(ip)
            told = None if miner is None else self._profiles.for_driver_class(_class_names(miner))
            if told is not None and (not shown or _best(shown, told) is told):
                return miner, None if self._fingerprinter.contradicts(told, evidence) else told
            if miner is None and (not evidence or (shown and shown[0].details_driver == "none")):
                break  # silent, or of a family that the driver does not know: asking it again tells nothing
        if not shown:
            return miner, None
        best = _best(shown, told)
        if told is None and miner is not None and not await self._answers_as(ip, best):
            return miner, None  # a firmware that we do not know, and that shows the marks of one that we do
        return (miner if told is best else None), best

    async def _answers_as(self, ip: str, profile: Profile) -> bool:
        try:
            return (await self._reader.who(ip, profile, self._call_timeout_s)).mac is not None
        except MinerError:
            return False

    async def _with_identity(self, ip: str, profile: Profile, miner: Any) -> Identity:
        """The device's own words for MAC, serial, model and firmware; the driver's where it has none."""
        make, model = _word(miner, "make") or profile.make, _word(miner, "raw_model")
        try:
            own = await self._reader.who(ip, profile, self._call_timeout_s)
        except MinerError:
            # Recognised, but it does not tell who it is (changed credentials): it goes by its address.
            return Identity(ip, None, None, profile.family, make, model, "")
        if profile.identity.fields.mac is None:
            own = await self._told_by_driver(own, miner)
        return replace(own, mac=own.mac or link_mac(ip), make=make, model=own.model or model)

    async def _told_by_driver(self, own: Identity, miner: Any) -> Identity:
        """MAC, serial and firmware as pyasic reads them, for families that tell them in its protocols only."""
        if miner is None:
            return own
        self._log_in(miner, own)
        options = ["mac", "serial_number", "fw_ver"]
        try:
            data = await self._call(own.ip, miner.get_data, include=options)
            mac = normalise_mac(data.mac) if data.mac else None
        except (MinerError, MalformedIdError):
            return own
        serial = own.serial or data.serial_number
        return replace(own, mac=mac, serial=serial or None, firmware=own.firmware or str(data.fw_ver or "")[:128])

    async def _miner(self, identity: Identity) -> Any:
        """Pyasic's object for this device, with the site's credentials set on the instance."""
        miner = self._miners.get(identity.ip)
        if miner is None:
            miner = await self._get_miner(identity.ip)
            told = None if miner is None else self._profiles.for_driver_class(_class_names(miner))
            if miner is None or told is None or told.family != identity.family:
                raise MinerConnectionError(identity.ip, "the driver does not recognise it now")
            self._remember(identity.ip, miner)
        self._log_in(miner, identity)
        return miner

    def _log_in(self, miner: Any, identity: Identity) -> None:
        profile = self._profiles.get(identity.family)
        credential = None if profile is None else self._reader.credential(identity, profile)
        if credential is None:
            return
        for api in (miner.web, miner.rpc):
            if api is not None:
                api.pwd = credential.password
        if miner.web is not None:
            miner.web.username = credential.username

    def _remember(self, ip: str, miner: Any) -> None:
        self._miners[ip] = miner
        self._miners.move_to_end(ip)
        if len(self._miners) > MAX_CACHED_MINERS:
            self._miners.popitem(last=False)

    async def _get_miner(self, ip: str) -> Any:
        pyasic = await load_pyasic()
        with _quiet():
            try:
                async with asyncio.timeout(self._identify_timeout_s):
                    miner = await pyasic.get_miner(ip)
            except TimeoutError:
                return None
            except Exception:  # noqa: BLE001 - pyasic lets parse errors of any kind through; our evidence decides
                return None
        return None if miner is None or type(miner).__name__ == "UnknownMiner" else miner

    async def _call(self, ip: str, function: Callable[..., Any], **arguments: Any) -> Any:
        """One pyasic call under our deadline; whatever it raises becomes a `MinerError`."""
        with _quiet():
            try:
                async with wire.deadline(ip, self._call_timeout_s):
                    return await function(**arguments)
            except MinerError:
                raise
            except Exception as error:
                raise MinerRefusedError(ip, f"{function.__name__}: {error}") from error


async def load_pyasic() -> Any:
    """pyasic, imported once and off the event loop, its hands taken off the root logger."""
    return await asyncio.to_thread(_import_pyasic)


def _import_pyasic() -> Any:
    with _IMPORT_LOCK:
        if "pyasic" in sys.modules:
            return sys.modules["pyasic"]
        root, asyncssh = logging.getLogger(), logging.getLogger("asyncssh")
        levels, handlers = (root.level, asyncssh.level), list(root.handlers)
        with warnings.catch_warnings():
            # It declares its settings in a way that pydantic has deprecated.
            warnings.simplefilter("ignore")
            import pyasic  # type: ignore[import-untyped]  # noqa: PLC0415 - lazily: most commands never need it
            from pyasic.miners import factory  # type: ignore[import-untyped]  # noqa: PLC0415 - as above
        factory.concurrent_get_first_result = _first_in_order
        pyasic.settings.update("factory_get_timeout", FACTORY_TIMEOUT_S)
        for handler in [each for each in root.handlers if each not in handlers]:
            root.removeHandler(handler)
        root.setLevel(levels[0])
        asyncssh.setLevel(levels[1])
        return pyasic


async def _first_in_order(tasks: list[asyncio.Task[Any]], fits: Callable[[Any], bool]) -> Any:
    """The first of the results, in the order of asking, that fits; else the last.

    pyasic's own takes whichever comes first and cancels the others: under latency a VNish is then taken for a
    stock Antminer, and a TLS handshake that is cancelled leaks its socket.
    """
    results = [await task for task in tasks]
    return next((result for result in results if fits(result)), results[-1])


class _quiet:  # noqa: N801 - reads as a function at its places of use
    """pyasic warns of every unknown model; within it, warnings are nobody's business."""

    def __enter__(self) -> None:
        warnings.filterwarnings("ignore", module=r"(pyasic|passlib)(\.|$)")

    def __exit__(self, *_: object) -> None:
        return


def _best(shown: list[Profile], told: Profile | None) -> Profile:
    """The most specific family shown; among equals the one that the driver told."""
    equals = [profile for profile in shown if profile.recognise.precedence == shown[0].recognise.precedence]
    return told if told is not None and told in equals else shown[0]


def _class_names(miner: Any) -> tuple[str, ...]:
    return tuple(each.__name__ for each in type(miner).__mro__)


def _word(miner: Any, name: str) -> str:
    value = getattr(miner, name, None)
    return "" if value is None else str(value)[:128]


def _board(index: int, board: Any) -> Board:
    rate = board.hashrate
    return Board(
        index=index,
        hashrate_ths=None if rate is None else float(rate),
        chips=_whole(board.chips),
        expected_chips=_whole(board.expected_chips),
        temp_board_c=_real(board.temp),
        temp_chip_c=_real(board.chip_temp),
        serial=None if not board.serial_number else str(board.serial_number)[:128],
        missing=bool(board.missing),
    )


def _whole(value: Any) -> int | None:
    return round(value) if isinstance(value, int | float) else None


def _real(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _error_text(error: Any) -> str:
    text = getattr(error, "error_message", None) or str(error)
    return str(text)[:MAX_ERROR_CHARS]
