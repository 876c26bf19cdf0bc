"""Networks of libraries, with the table of spellings switched off."""

import pytest
import timm
import torch
import torchvision

from benchmarks.coverage_oracle import randomise, settle
from se_viz import capture_gates, inspect_gates

pytestmark = pytest.mark.slow

SAME = ("function", "hidden", "low", "high", "closed", "averaged", "channels", "stage", "pooled")
"""What a site tells whichever way it was found; what it is called is the table's."""

WITH_GATES = {
    "torchvision mobilenet_v3_small": 64,
    "torchvision efficientnet_b0": 64,
    "torchvision regnet_y_400mf": 64,
    "timm seresnet18": 64,
    "timm legacy_seresnet18": 64,
    "timm ecaresnet26t": 64,
    "timm seresnet33ts": 64,
    "timm mobilenetv3_small_050": 64,
    "timm ghostnet_050": 64,
    "timm ghostnetv2_100": 64,
    "timm hgnet_tiny": 64,
    "timm ese_vovnet19b_slim": 64,
    "timm rexnet_100": 64,
    "timm cspnext_tiny": 64,
    "timm repvit_m0_9": 64,
    "timm nf_seresnet26": 64,
    "timm regnetz_b16": 64,
    "timm fastvit_t8": 128,
}
WITHOUT = {
    "torchvision resnet18": 64,
    "torchvision shufflenet_v2_x0_5": 64,
    "torchvision vit_b_16": 224,
    "timm convnextv2_atto": 64,
    "timm davit_tiny": 224,
    "timm gcresnet33ts": 64,
    "timm skresnet18": 64,
    "timm resnest14d": 64,
    "timm gmlp_ti16_224": 224,
    "timm xcit_nano_12_p16_224": 224,
    "timm focalnet_tiny_srf": 224,
    "timm poolformer_s12": 64,
}


def build(name: str) -> torch.nn.Module:
    library, name = name.split()
    torch.manual_seed(0)
    if library == "timm":
        return timm.create_model(name)
    return torchvision.models.get_model(name, weights=None)


@pytest.mark.parametrize("name", WITH_GATES)
def test_what_is_right_by_the_table_is_right_by_what_it_does(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    """The same uses with the same values, bit for bit, where no class is known."""
    size = WITH_GATES[name]
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    model = randomise(build(name)).eval()
    settle(model, images)
    values = []
    sites = []
    for table in (True, False):
        if not table:
            monkeypatch.setattr("se_viz.gates.spellings.SPELLINGS", [])
        inspection = inspect_gates(model, size=size)
        assert inspection.refused == {}
        sites.append({site.name: site for site in inspection.sites})
        with torch.no_grad(), capture_gates(model) as records:
            model(images)
        values.append({record.name: record for record in records})
    assert values[0].keys() == values[1].keys() == sites[0].keys() == sites[1].keys()
    for use, record in values[0].items():
        assert torch.equal(record.gate, values[1][use].gate)
        assert torch.equal(record.squeeze, values[1][use].squeeze)
        told = [{key: getattr(site[use], key) for key in SAME} for site in sites]
        assert told[0] == told[1]


@pytest.mark.parametrize("name", WITHOUT)
def test_networks_without_gates_have_none(name: str, monkeypatch: pytest.MonkeyPatch):
    """Attention of every other kind, norms and gated units are no SE gates."""
    monkeypatch.setattr("se_viz.gates.spellings.SPELLINGS", [])
    model = randomise(build(name)).eval()
    assert inspect_gates(model, size=WITHOUT[name]).sites == ()
