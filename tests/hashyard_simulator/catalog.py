"""The models that the simulated families come in, with plausible nameplate figures."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    """What is printed on the box and what the firmware calls itself.

    `name` is the device's own word for its model, `label` what people say.
    """

    name: str
    label: str
    hashrate_ths: float
    power_w: int
    boards: int
    chips_per_board: int
    fans: int
    firmware: str


_AM_FW = "Fri Dec 08 17:02:11 CST 2023"
_AM_OLD_FW = "Tue Oct 22 11:05:03 CST 2019"
_WM_FW = "20230224.14.1.REL"
_WM3_FW = "20250214.09.REL"
_LUX_FW = "2024.5.1.155432-d9b3eae8"
_VNISH_FW = "1.2.6-rc5"
_AXE_FW = "v2.4.1"
_BOS_FW = "24.06"
_AVALON_FW = "23010901_4ec6bb0_211fc83"
_CGMINER_FW = "4.11.1"

MODELS: dict[str, tuple[Model, ...]] = {
    "antminer-s19": (
        Model("Antminer S19", "S19", 95.0, 3250, 3, 76, 4, _AM_FW),
        Model("Antminer S19j Pro", "S19j Pro", 104.0, 3068, 3, 126, 4, _AM_FW),
        Model("Antminer S21", "S21", 200.0, 3500, 3, 108, 4, _AM_FW),
    ),
    "antminer-old": (
        Model("Antminer S9", "S9", 13.5, 1323, 3, 63, 2, _AM_OLD_FW),
        Model("Antminer S17", "S17", 53.0, 2385, 3, 48, 4, _AM_OLD_FW),
    ),
    "whatsminer-v2": (
        Model("M30S++VH40", "M30S++", 112.0, 3472, 3, 70, 2, _WM_FW),
        Model("M50VH50", "M50", 118.0, 3276, 3, 105, 2, _WM_FW),
        Model("M60VK30", "M60", 172.0, 3422, 3, 215, 2, _WM_FW),
    ),
    "whatsminer-v3": (
        Model("M60VK30", "M60", 172.0, 3422, 3, 215, 2, _WM3_FW),
        Model("M50VH50", "M50", 118.0, 3276, 3, 105, 2, _WM3_FW),
    ),
    "luxos": (
        Model("Antminer S19", "S19", 95.0, 3250, 3, 76, 4, _LUX_FW),
        Model("Antminer S19j Pro", "S19j Pro", 104.0, 3068, 3, 126, 4, _LUX_FW),
    ),
    "vnish": (
        Model("Antminer S19", "S19", 95.0, 3250, 3, 76, 4, _VNISH_FW),
        Model("Antminer S19j Pro", "S19j Pro", 104.0, 3068, 3, 126, 4, _VNISH_FW),
    ),
    "bitaxe": (
        Model("BM1366", "BitAxe Ultra", 0.5, 12, 1, 1, 1, _AXE_FW),
        Model("BM1370", "BitAxe Gamma", 1.2, 18, 1, 1, 1, _AXE_FW),
    ),
    "braiins": (
        Model("Antminer S19", "S19", 95.0, 3250, 3, 76, 4, _BOS_FW),
        Model("Antminer S19j Pro", "S19j Pro", 104.0, 3068, 3, 126, 4, _BOS_FW),
    ),
    "avalon": (Model("AvalonMiner 1246", "Avalon 1246", 90.0, 3420, 3, 120, 4, _AVALON_FW),),
    "cgminer": (Model("cgminer rig", "cgminer", 14.0, 1350, 3, 63, 2, _CGMINER_FW),),
}


def model_for(family: str, index: int, label: str | None = None) -> Model:
    """The `index`-th model of a family, round robin, or the one with that label or name.

    Raises `KeyError` with a message naming what exists.
    """
    models = MODELS.get(family)
    if models is None:
        raise KeyError(f"unknown family {family!r}; there are {', '.join(sorted(MODELS))}")
    if label is None:
        return models[index % len(models)]
    for model in models:
        if label.lower() in {model.label.lower(), model.name.lower()}:
            return model
    raise KeyError(f"{family} has no model {label!r}; there are {', '.join(m.label for m in models)}")
