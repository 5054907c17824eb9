"""A simulated site as a process of its own, and its control API."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from typing import Any, Final, Self

START_TIMEOUT_S: Final = 30
STOP_TIMEOUT_S: Final = 10
CALL_TIMEOUT_S: Final = 10


class SimulatedSite:
    """Miners on loopback addresses. Use it as a context manager; the process ends with it."""

    def __init__(self, process: "subprocess.Popen[str]", control: str) -> None:
        self._process = process
        self.control = control

    @classmethod
    def start(cls, subnet: str, families: Mapping[str, int], *options: str) -> "SimulatedSite":
        """Start a site with so many miners of each family, the first at .1; `options` as on the command line."""
        counts = ",".join(f"{family}={count}" for family, count in families.items())
        site = f"name=test,subnet={subnet},{counts}"
        command = [
            sys.executable,
            "-m",
            "hashyard_simulator",
            "--site",
            site,
            "--control",
            "127.0.0.1:0",
            *options,
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line:
            process.wait(timeout=START_TIMEOUT_S)
            raise RuntimeError(f"the simulator did not start (exit code {process.returncode})")
        return cls(process, json.loads(line)["control"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The simulator's process."""
        return self._process.pid

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=STOP_TIMEOUT_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def miners(self) -> list[dict[str, Any]]:
        """id, site, family, ip and mac of each."""
        found = self._call("GET", "/miners")
        return list(found["miners"] if isinstance(found, dict) else found)

    def truth(self, ip: str) -> dict[str, Any]:
        """The whole true state of the miner at this address."""
        return dict(self._call("GET", f"/miners/{ip}"))

    def fault(self, ip: str, kind: str, **params: Any) -> None:
        """Make something go wrong with one miner."""
        self._call("POST", f"/miners/{ip}/faults", {"kind": kind, **params})

    def fault_many(self, kind: str, *, chosen: Mapping[str, Any], **params: Any) -> None:
        """The same with many: `chosen` is a filter by site, family, ips or limit."""
        self._call("POST", "/miners/faults", {"filter": dict(chosen), "kind": kind, **params})

    def heal(self, ip: str) -> None:
        """Clear what was made to go wrong with one miner."""
        self._call("DELETE", f"/miners/{ip}/faults")

    def patch(self, ip: str, **fields: Any) -> None:
        """Bend one miner: factors, password, pools, settings, asleep."""
        self._call("PATCH", f"/miners/{ip}", fields)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.control + path, data=data, method=method)  # noqa: S310 - http on loopback
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=CALL_TIMEOUT_S) as answer:  # noqa: S310 - as above
            text = answer.read()
        return json.loads(text) if text else None
