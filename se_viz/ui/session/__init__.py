"""What one browser session remembers; needs no PyTorch."""

from se_viz.ui.session import keys
from se_viz.ui.session.photos import get_photo
from se_viz.ui.session.spinner import Report, Watch, stop_if_unwanted, waiting
from se_viz.ui.session.state import (
    ChosenImage,
    choose_file,
    choose_sample,
    chosen_image,
    gates_are_new,
    image_problem,
    is_chosen,
    list_gallery,
    open_block,
    open_block_on,
    open_channel,
    open_channel_on,
    open_first_block,
    open_first_channel,
    read_file,
    use_network,
)
from se_viz.ui.session.uploads import bound_uploads

__all__ = [
    "ChosenImage",
    "Report",
    "Watch",
    "bound_uploads",
    "choose_file",
    "choose_sample",
    "chosen_image",
    "gates_are_new",
    "get_photo",
    "image_problem",
    "is_chosen",
    "keys",
    "list_gallery",
    "open_block",
    "open_block_on",
    "open_channel",
    "open_channel_on",
    "open_first_block",
    "open_first_channel",
    "read_file",
    "stop_if_unwanted",
    "use_network",
    "waiting",
]
