"""Names of parameters: those of Phoenix WinNonlin, which are used here, and the PKPARMCD codes of CDISC."""

from __future__ import annotations

import re

__all__ = ["KINDS", "cdisc", "kind"]

_CDISC = {
    "Rsq": "R2", "Rsq_adjusted": "R2ADJ", "Corr_XY": "CORRXY", "No_points_lambda_z": "LAMZNPT", "Lambda_z": "LAMZ",
    "Lambda_z_intercept": "LAMZICPT", "Lambda_z_lower": "LAMZLL", "Lambda_z_upper": "LAMZUL", "HL_Lambda_z": "LAMZHL",
    "Tlag": "TLAG", "Tmax": "TMAX", "Cmax": "CMAX", "Cmax_D": "CMAXD", "C0": "C0", "Tlast": "TLST", "Clast": "CLST",
    "Clast_pred": "CLSTP", "AUClast": "AUCLST", "AUCall": "AUCALL", "AUCINF_obs": "AUCIFO", "AUCINF_D_obs": "AUCIFOD",
    "AUC_%Extrap_obs": "AUCPEO", "AUC_%Back_Ext_obs": "AUCPBEO", "Vz_obs": "VZO", "Cl_obs": "CLO", "Vz_F_obs": "VZFO",
    "Cl_F_obs": "CLFO", "AUCINF_pred": "AUCIFP", "AUCINF_D_pred": "AUCIFPD", "AUC_%Extrap_pred": "AUCPEP",
    "AUC_%Back_Ext_pred": "AUCPBEP", "Vz_pred": "VZP", "Cl_pred": "CLP", "Vz_F_pred": "VZFP", "Cl_F_pred": "CLFP",
    "AUMClast": "AUMCLST", "AUMCINF_obs": "AUMCIFO", "AUMC_%Extrap_obs": "AUMCPEO", "AUMCINF_pred": "AUMCIFP",
    "AUMC_%Extrap_pred": "AUMCPEP", "Vss_obs": "VSSO", "Vss_pred": "VSSP", "AUC_TAU": "AUCTAU", "AUC_TAU_D": "AUCTAUD",
    "Cmin": "CMIN", "Tmin": "TMIN", "Cavg": "CAVG", "Fluctuation%": "FLUCP", "Swing": "SWING", "AUMC_TAU": "AUMCTAU",
    "CLss": "CLSS", "CLss_F": "CLSSF", "Vz": "VZ", "Vz_F": "VZF", "Accumulation_Index": "AILAMZ",
}  # fmt: skip
#: mean residence times have another code after a dose into a vein
_MRT = {"MRTlast": "MRT{}LST", "MRTINF_obs": "MRT{}IFO", "MRTINF_pred": "MRT{}IFP"}

#: what a parameter measures
KINDS = ("time", "rate", "conc", "area", "moment", "volume", "clearance", "per dose", "number")


def cdisc(name: str, route: str = "extravascular") -> str:
    """The PKPARMCD code of a parameter.

    Examples
    --------
    >>> cdisc("AUCINF_obs"), cdisc("MRTlast", "bolus"), cdisc("AUC0_4")
    ('AUCIFO', 'MRTIVLST', 'AUCINT_0_4')
    """
    if name in _MRT:
        return _MRT[name].format("EV" if route == "extravascular" else "IV")
    part = re.fullmatch(r"AUC([0-9.]+)_([0-9.]+)", name)
    if part:
        return f"AUCINT_{part[1]}_{part[2]}"
    return _CDISC.get(name, name)


def kind(name: str) -> str:
    """What a parameter measures, one of `KINDS`.

    Examples
    --------
    >>> kind("Cl_F_obs"), kind("AUC0_4"), kind("AUC_%Extrap_obs")
    ('clearance', 'area', 'number')
    """
    if "%" in name or name.startswith(("Rsq", "Corr", "No_", "Swing", "Accum", "Lambda_z_intercept")):
        return "number"
    if name in ("Cmax_D", "AUC_TAU_D") or name.startswith("AUCINF_D"):
        return "per dose"
    for start, what in (
        ("AUMC", "moment"), ("AUC", "area"), ("MRT", "time"), ("T", "time"), ("HL_", "time"), ("Lambda_z_", "time"),
        ("Lambda_z", "rate"), ("V", "volume"), ("Cl_", "clearance"), ("CLss", "clearance"), ("C", "conc"),
    ):  # fmt: skip
        if name.startswith(start):
            return what
    return "number"
