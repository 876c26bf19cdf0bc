"""The part of the Networks page for ONNX files that users bring."""

from typing import TYPE_CHECKING, Any

import streamlit as st

from se_viz.errors import SeVizError
from se_viz.inputs import READY, can_make
from se_viz.networks.labels import parse_labels
from se_viz.networks.onnx.guesses import NORMALISATIONS, Guess
from se_viz.networks.onnx.loading import MAX_BYTES, look_at_onnx, read_onnx
from se_viz.networks.sources import read_input
from se_viz.ui.networks.taking import ask_for_all, new_key, take
from se_viz.ui.session import keys, stop_if_unwanted
from se_viz.ui.words import as_markdown

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

_LARGEST_SIDE = 1024
_LAYOUTS = {
    False: "channels first: (batch, channels, …)",
    True: "channels last: (batch, …, channels)",
}


def show_onnx_upload() -> None:
    """Take an ONNX file, say what it seems to take, check it, hold it and use it."""
    st.caption(
        "One file with architecture and weights, from PyTorch, Keras, Paddle or others; no code in "
        "it is run. Only you see the network, and it is deleted when you leave.",
        help="Write one by `torch.onnx.export(model, (images,), 'net.onnx', "
        "external_data=False)`. Its answers are compared with onnxruntime's before it is used.",
    )
    file = st.file_uploader(
        f"ONNX file (up to {MAX_BYTES // 2**30} GB)", type=["onnx"], key=new_key(keys.OWN_ONNX)
    )
    if file is None:
        return
    try:
        guess = _look(file)
    except SeVizError as error:
        st.error(as_markdown(error))
        return
    options = _ask(file, guess)
    for_all = ask_for_all(keys.OWN_ONNX)
    if not st.button("Check and use this network", type="primary"):
        return
    try:
        with st.spinner("Converting the network, and comparing it with onnxruntime…"):
            # Here, since a list that cannot be read is told like a file that cannot.
            options["labels"] = parse_labels(options["labels"])
            if "shape" in options:
                options["shape"] = read_input(options["shape"])
            options |= {"name": file.name, "watch": stop_if_unwanted}
            take(read_onnx(file.getvalue(), **options), for_all=for_all)
    except SeVizError as error:
        st.error(as_markdown(error))
        return
    st.rerun()


def _ask(file: "UploadedFile", guess: Guess) -> dict[str, Any]:
    """Let people say what the file leaves open; return the options of `read_onnx`."""
    layout = st.selectbox(
        "Layout of the input",
        [False, True],
        index=int(guess.channels_last),
        format_func=_LAYOUTS.__getitem__,
        key=f"{keys.OWN_LAYOUT}-{file.file_id}",
        help=f"The file declares {guess.declared}: PyTorch and Paddle write channels first, Keras "
        "channels last.",
    )
    guess = guess.laid(layout)
    # Another layout, other guesses.
    mark = f"{file.file_id}-{layout}"
    options = _ask_photo(mark, guess) if guess.photo else _ask_other(mark, guess)
    labels = st.text_area(
        "Labels, one a line (optional)",
        "\n".join(guess.labels),
        key=f"{keys.OWN_LABELS}-{file.file_id}",
        height=100,
    )
    return {**options, "labels": labels, "channels_last": layout}


def _ask_photo(mark: str, guess: Guess) -> dict[str, Any]:
    left, right = st.columns(2)
    side = left.number_input(
        "Side of the image, in pixels",
        1,
        _LARGEST_SIDE,
        guess.size,
        key=f"{keys.OWN_SIZE}-{mark}",
        disabled=guess.fixed,
        help="The file says it." if guess.fixed else "The file leaves it open.",
    )
    pixels = right.selectbox(
        "Pixel values",
        [*NORMALISATIONS],
        index=[*NORMALISATIONS].index(guess.normalisation),
        key=f"{keys.OWN_PIXELS}-{mark}",
        help="As in training: other values give other answers, and no error.",
    )
    mean, std = NORMALISATIONS[pixels]
    return {"size": side, "mean": mean, "std": std}


def _ask_other(mark: str, guess: Guess) -> dict[str, Any]:
    """Ask what makes inputs that are no photos, and for sides that the file leaves open."""
    declared = "x".join(str(side or "?") for side in guess.shape)
    shape = st.text_input(
        "Shape of one input",
        declared,
        key=f"{keys.OWN_SIZE}-{mark}",
        help="Channels first, without the batch. Put numbers in place of ?, which the file leaves "
        "open.",
    )
    ways = [name for name in READY if name != "rgb" and can_make(name, guess.shape)]
    # Where it fits, one row of samples is likelier than a spectrogram of one band.
    ways.sort(key=lambda name: name != "waveform")
    way = st.selectbox(
        "Preprocessing",
        ways,
        format_func=lambda name: f"{name}: {READY[name].words}",
        key=f"{keys.OWN_PIXELS}-{mark}",
        help="As in training: other values give other answers, and no error.",
    )
    options = st.text_input(
        "Options of the preprocessing",
        "",
        placeholder=",".join(f"{key}={value:g}" for key, value in READY[way].options.items())
        or "none",
        key=f"{keys.OWN_WAY}-{mark}",
    )
    return {"shape": shape, "preprocess": f"{way}:{options}" if options else way}


def _look(file: "UploadedFile") -> Guess:
    """Return what a file seems to take; it is looked at once."""
    kept = keys.OWN_ONNX_GUESS.get()
    if kept and kept[0] == file.file_id:
        return kept[1]
    with st.spinner("Reading the file…"):
        guess = look_at_onnx(file.getvalue(), name=file.name, watch=stop_if_unwanted)
    keys.OWN_ONNX_GUESS.set((file.file_id, guess))
    return guess
