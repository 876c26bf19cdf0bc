from se_viz.charts import lay_out_network
from se_viz.gates.records import GateSite

ENDS = ("in", "out")


def site(block: str, stage: int, channels: int, side: int, **more) -> GateSite:
    return GateSite(block, stage, channels, "Sigmoid", sides=(side, side), **more)


def test_stages_stand_in_forward_order_with_their_blocks():
    """A network may come back to a stride, as one with an upward path does."""
    sites = [site("a", 2, 8, 16), site("b", 3, 16, 8), site("c", 3, 16, 7), site("d", 2, 8, 16)]
    data = lay_out_network(sites, ends=ENDS)
    assert [stage["name"] for stage in data["stages"]] == ["Stage 2", "Stage 3", "Stage 2"]
    assert [stage["size"] for stage in data["stages"]] == ["16 × 16", "8 × 8 and 7 × 7", "16 × 16"]
    assert [box["label"] for stage in data["stages"] for box in stage["boxes"]] == [
        "SE_2_1",
        "SE_3_1",
        "SE_3_2",
        "SE_2_2",
    ]
    assert data["ends"] == ["in", "out"]


def test_boxes_grow_with_channels_and_with_the_map():
    """Four times the channels lie halfway between sixteen times and as many, as logarithms do."""
    sites = [site("a", 2, 8, 64), site("b", 3, 32, 16), site("c", 4, 128, 4)]
    boxes = [box for stage in lay_out_network(sites, ends=ENDS)["stages"] for box in stage["boxes"]]
    widths, heights = ([box[side] for box in boxes] for side in ("width", "height"))
    assert widths == [28, 35, 42]
    assert heights == [62, 42, 22]


def test_marks_are_of_blocks_and_the_open_one_of_a_use():
    """A block that is used twice is designed in both, and open in one."""
    sites = [site("a", 2, 8, 16), site("a", 2, 8, 16, call=1), site("b", 3, 8, 8)]
    data = lay_out_network(sites, ends=ENDS, chosen=["a"], bypassed=["b"], opened="a#2")
    boxes = [box for stage in data["stages"] for box in stage["boxes"]]
    marks = [(box["chosen"], box["bypassed"], box["opened"]) for box in boxes]
    assert marks == [(True, False, False), (True, False, True), (False, True, False)]


def test_a_network_without_sides_is_drawn_by_its_strides():
    """Sites of older inspections know no sides: higher still means finer."""
    sites = [GateSite("a", 2, 8, "Sigmoid"), GateSite("b", 5, 8, "Sigmoid")]
    first, second = (stage["boxes"][0] for stage in lay_out_network(sites, ends=ENDS)["stages"])
    assert first["height"] > second["height"]
    assert first["size"] == ""
