"""What people, drivers and profilers call a device leads to it; what may be several is refused with the names."""

import pytest

from perfmodel.errors import UnknownNameError
from perfmodel.specifications.catalogue import find_hardware, names
from perfmodel.specifications.spellings import device_meant, spelled

# As torch.cuda.get_device_name, nvidia-smi, rocminfo, npu-smi, jax and /proc/cpuinfo print them, and as people type
# them.
SPELLINGS = {
    "NVIDIA H100 80GB HBM3": "h100-sxm",
    "NVIDIA H100 PCIe": "h100-pcie",
    "NVIDIA H100 NVL": "h100-nvl",
    "NVIDIA H200": "h200-sxm",
    "NVIDIA H20": "h20",
    "NVIDIA H800": "h800-sxm",
    "NVIDIA A100-SXM4-80GB": "a100-sxm-80gb",
    "NVIDIA A100-SXM4-40GB": "a100-sxm-40gb",
    "NVIDIA A100 80GB PCIe": "a100-pcie-80gb",
    "NVIDIA A100-PCIE-40GB": "a100-pcie-40gb",
    "NVIDIA A800-SXM4-80GB": "a800-sxm-80gb",
    "NVIDIA GH200 480GB": "gh200",
    "NVIDIA B200": "b200",
    "NVIDIA GB10": "dgx-spark",
    "NVIDIA Thor": "jetson-agx-thor",
    "Tesla T4": "t4",
    "Tesla V100-SXM2-16GB": "v100-sxm-16gb",
    "Tesla V100-SXM2-32GB": "v100-sxm-32gb",
    "NVIDIA L40S": "l40s",
    "NVIDIA GeForce RTX 4090": "rtx-4090",
    "NVIDIA GeForce RTX 4090 D": "rtx-4090-d",
    "NVIDIA GeForce RTX 4090 Laptop GPU": "rtx-4090-laptop",
    "NVIDIA GeForce RTX 5070 Ti": "rtx-5070-ti",
    "NVIDIA RTX A6000": "rtx-a6000",
    "NVIDIA RTX 6000 Ada Generation": "rtx-6000-ada",
    "NVIDIA RTX PRO 6000 Blackwell Workstation Edition": "rtx-pro-6000",
    "NVIDIA RTX PRO 6000 Blackwell Server Edition": "rtx-pro-6000-server",
    "Quadro RTX 8000": "quadro-rtx-8000",
    "AMD Instinct MI300X": "mi300x",
    "AMD Radeon RX 7900 XTX": "rx-7900-xtx",
    "AMD Radeon PRO W7900": "radeon-pro-w7900",
    "AMD Radeon 8060S Graphics": "strix-halo",
    "AMD Ryzen 9 7950X 16-Core Processor": "ryzen-9-7950x",
    "13th Gen Intel(R) Core(TM) i9-13900K": "core-i9-13900k",
    "Intel(R) Core(TM) Ultra 9 285K": "core-ultra-9-285k",
    "Intel(R) Xeon(R) Platinum 8480+": "xeon-8480",
    "Intel(R) Arc(TM) Pro B60 Graphics": "arc-pro-b60",
    "Intel(R) Data Center GPU Max 1550": "max-1550",
    "Apple M2 Ultra": "m2-ultra",
    "TPU v5 lite": "tpu-v5e",
    "Ascend910B3": "ascend-910b3",
    "rtx-4090d": "rtx-4090-d",
    "4090": "rtx-4090",
    "RTX_4090": "rtx-4090",
    "rtx4090": "rtx-4090",
    "3090 ti": "rtx-3090-ti",
    "7900xtx": "rx-7900-xtx",
    "h100": "h100-sxm",
    "h100-80gb": "h100-sxm",
    "H100 SXM": "h100-sxm",
    "ascend-910b": "ascend-910b2",
    "910b": "ascend-910b2",
    "b60": "arc-pro-b60",
    "thor": "jetson-agx-thor",
    "pi5": "raspberry-pi-5",
    "GB10 (DGX Spark)": "dgx-spark",
    "Apple M2 Ultra 76c": "m2-ultra",
    "Apple M4 Max 64GB": "m4-max",
    "Apple M2 (100 GB/s)": "m2",
    "AMD Instinct MI250X / MI250": "mi250x-gcd",
    "Apple M1 7c": "m1-7c",
    "Tenstorrent Blackhole p150": "tenstorrent-p150",
}
SEVERAL = {
    "NVIDIA GeForce RTX 4060 Ti": ("rtx-4060-ti-8gb", "rtx-4060-ti-16gb"),
    "4060ti": ("rtx-4060-ti-8gb", "rtx-4060-ti-16gb"),
    "rtx-6000": ("quadro-rtx-6000", "rtx-6000-ada", "rtx-pro-6000"),
    "Orin": ("jetson-agx-orin", "jetson-orin-nx-16gb"),
    "ultra": ("m1-ultra", "m3-ultra"),
    "epyc": ("epyc-9654", "more"),
}


@pytest.mark.parametrize(("name", "device"), SPELLINGS.items())
def test_a_device_is_found_as_it_is_spelled(name, device):
    assert find_hardware(name).name == device


@pytest.mark.parametrize(("name", "members"), SEVERAL.items())
def test_a_name_of_several_devices_is_refused_with_them(run, name, members):
    answer = run("estimate", "llama-3.2-1b", name)
    assert answer.code == 1
    assert answer.err.count("\n") == 1
    assert all(member in answer.err for member in members), answer.err


@pytest.mark.parametrize("name", ["x", "ti", "no-such-card", "h100-sx"])
def test_a_name_of_no_device_is_not_guessed(name):
    with pytest.raises(UnknownNameError, match="is not a device"):
        find_hardware(name)


def test_every_nvidia_and_amd_product_name_leads_to_its_file():
    """The title of a file is the product's full name, but for what is said of its memory or place."""
    missed = {}
    for name in names("hardware"):
        device = find_hardware(name)
        if device.vendor in ("NVIDIA", "AMD", "Intel", "Apple") and not any(sign in device.title for sign in ",("):
            try:
                found = find_hardware(device.title).name
            except UnknownNameError as error:
                found = str(error)
            # Two memories of one name: the driver prints no more.
            if found != name and name not in found:
                missed[device.title] = found
    assert missed == {}


def test_no_two_devices_share_a_spelling():
    stands: dict[str, str] = {}
    for name in names("hardware"):
        for alias in (name, *find_hardware(name).aliases):
            assert stands.setdefault(spelled(alias), name) == name, alias


def test_what_a_whole_name_means_is_not_what_it_ends():
    known = {"rtx-a400": "rtx-a400", "a400": "other", "mi25": "mi25", "mi250": "mi250"}
    assert device_meant("A400", known) == "other"
    assert device_meant("mi25", known) == "mi25"
    assert device_meant("mi2", known) is None
