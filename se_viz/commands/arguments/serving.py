"""The arguments of `app`, and of the commands that say what there is."""

from argparse import ArgumentParser

from se_viz.commands.arguments.words import read_port


def add_app(command: ArgumentParser) -> None:
    """Add where the app listens."""
    # Streamlit's own spellings too, so that nobody gives a port twice.
    command.add_argument(
        "--port", "--server.port", type=read_port, help="default: 8501, or the next that is free"
    )
    command.add_argument(
        "--address",
        "--server.address",
        help="where to listen, e.g. localhost to keep the app to this machine (default: "
        "everywhere)",
    )
    command.usage = (
        "se_viz app [-h] [--port PORT] [--address ADDRESS] [--network NAME] [--config FILE] "
        "[--SECTION.OPTION VALUE ...]"
    )
    command.epilog = (
        "Options with a dot go to Streamlit, e.g. --server.allowedHosts se.example.org, or "
        "--server.headless true to open no browser; `streamlit run --help` lists them. A class on "
        "the same network opens the address that is printed as Network URL. Ctrl-C ends the app."
    )


def add_networks(command: ArgumentParser) -> None:
    """Add what a list of networks is cut to."""
    command.add_argument(
        "pattern", nargs="?", default="", help="part of a name, e.g. regnet, or 'timm/se*'"
    )


def add_download(command: ArgumentParser) -> None:
    """Add the network that is fetched."""
    command.add_argument(
        "network", metavar="NAME", help="name of the network, as `se_viz networks` prints it"
    )


def add_cache(command: ArgumentParser) -> None:
    """Add that the cache is emptied."""
    command.add_argument("--empty", action="store_true", help="delete every download")


def add_info(command: ArgumentParser) -> None:
    """Add that PyTorch is asked."""
    command.add_argument(
        "--check", action="store_true", help="ask PyTorch itself for the devices (takes seconds)"
    )


def is_streamlit_option(word: str) -> bool:
    """Tell whether a word is an option of Streamlit's."""
    return word.startswith("--") and "." in word.partition("=")[0]
