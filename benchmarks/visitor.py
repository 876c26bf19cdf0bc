"""A visit without a browser: the messages that a tab and Streamlit exchange, for many visits on
one machine.
"""

import socket as sockets
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileUploaderState, UploadedFileInfo
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_SIDEBAR = 1
_FIELDS = {
    "button": "trigger_value",
    "checkbox": "bool_value",
    "selectbox": "string_value",
    "button_group": "string_array_value",
    "file_uploader": "file_uploader_state_value",
}
"""What the state of a widget is called, by its kind."""


class Visitor:
    """One tab that is open; it reads all that the app sends and paints nothing."""

    def __init__(self, url: str, socket: ClientConnection, token: str) -> None:
        """Take an open connection; `visit` makes one."""
        self._url = url
        self._socket = socket
        self._token = token
        self._session = ""
        self._uploader = ""
        self._page = ""
        self._pages: dict[str, str] = {}
        self._widgets: dict[str, tuple[str, str]] = {}
        self._ask({})
        self._read(until=_is_finished)

    def show(self, photo: bytes) -> float:
        """Upload a photo through the sidebar of Explore.

        Return the seconds until its gates were received.
        """
        started = time.perf_counter()
        self._page = ""
        self._ask({self._uploader: ("file_uploader_state_value", self._put("photo.jpg", photo))})
        self._read(
            until=lambda message: message.delta.new_element.bidi_component.id.endswith("-gates")
        )
        return time.perf_counter() - started

    def hand_over(self, key: str, name: str, content: bytes) -> None:
        """Upload a file through the uploader with this key, and wait until the page is complete."""
        self.set({key: self._put(name, content)})
        self.finish()

    def open(self, page: str) -> None:
        """Go to a page by the last part of its address, and wait until it is complete."""
        self._page = self._pages[page]
        self._ask({})
        self.finish()

    def set(self, values: Mapping[str, bool | str | FileUploaderState]) -> None:
        """Set widgets of the page, by key or label, all at once.

        A button that is True is pressed.
        """
        states = {}
        for name, value in values.items():
            widget, field = self._widgets[name]
            states[widget] = field, value
        self._ask(states)

    def finish(self) -> None:
        """Wait until the run of the page that was asked for last is complete."""
        self._read(until=lambda message: message.WhichOneof("type") == "new_session")
        self._read(until=_is_finished)

    def keys(self, start: str) -> list[str]:
        """Return the keys of the page's widgets that begin so."""
        return [key for key in self._widgets if key.startswith(start)]

    def vanish(self) -> None:
        """Cut the connection without a farewell, as a laptop that is shut does."""
        with suppress(OSError):
            self._socket.socket.shutdown(sockets.SHUT_RDWR)

    def _ask(self, states: Mapping[str, tuple[str, object]]) -> None:
        message = BackMsg()
        message.rerun_script.query_string = ""
        message.rerun_script.page_script_hash = self._page
        for widget, (field, value) in states.items():
            state = message.rerun_script.widget_states.widgets.add(id=widget)
            if isinstance(value, FileUploaderState):
                state.file_uploader_state_value.CopyFrom(value)
            elif field == "string_array_value":
                state.string_array_value.data.append(str(value))
            else:
                setattr(state, field, value)
        self._socket.send(message.SerializeToString())

    def _read(self, *, until: Callable[[ForwardMsg], bool], patience: float = 300.0) -> None:
        end = time.monotonic() + patience
        while True:
            content = self._socket.recv(timeout=end - time.monotonic())
            assert isinstance(content, bytes)
            message = ForwardMsg.FromString(content)
            self._note(message)
            if message.delta.new_element.HasField("exception"):
                raise RuntimeError(f"The app failed: {message.delta.new_element.exception.message}")
            if until(message):
                return

    def _note(self, message: ForwardMsg) -> None:
        self._session = message.new_session.initialize.session_id or self._session
        self._pages |= {
            page.url_pathname: page.page_script_hash for page in message.navigation.app_pages
        }
        kind = message.delta.new_element.WhichOneof("type")
        if kind not in _FIELDS:
            return
        widget = getattr(message.delta.new_element, kind)
        if kind == "file_uploader" and message.metadata.delta_path[0] == _SIDEBAR:
            self._uploader = widget.id
        # A widget's id ends in its key; one that has none is known by its label.
        key = widget.id.split("-", 2)[-1]
        self._widgets[widget.label if key == "None" else key] = widget.id, _FIELDS[kind]

    def _put(self, name: str, content: bytes) -> FileUploaderState:
        file = UploadedFileInfo(file_id=str(uuid.uuid4()), name=name, size=len(content))
        border = uuid.uuid4().hex
        head = f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        head += "Content-Type: application/octet-stream\r\n\r\n"
        body = head.encode() + content + f"\r\n--{border}--\r\n".encode()
        headers = {
            "Content-Type": f"multipart/form-data; boundary={border}",
            "Cookie": f"_streamlit_xsrf={self._token}",
            "X-Xsrftoken": self._token,
        }
        address = f"{self._url}/_stcore/upload_file/{self._session}/{file.file_id}"
        with _DIRECT.open(
            urllib.request.Request(address, body, headers, method="PUT"), timeout=120
        ):
            return FileUploaderState(uploaded_file_info=[file])


def _is_finished(message: ForwardMsg) -> bool:
    # Not a run that a newer one cut short.
    success = ForwardMsg.ScriptFinishedStatus.FINISHED_SUCCESSFULLY
    return message.WhichOneof("type") == "script_finished" and message.script_finished == success


@contextmanager
def visit(url: str) -> Iterator[Visitor]:
    """Open the app in a new tab, wait until its first page is complete, and close the tab
    afterwards.
    """
    with _DIRECT.open(f"{url}/_stcore/health", timeout=30) as answer:
        token = answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    address = url.replace("http", "ws", 1) + "/_stcore/stream"
    # Nobody reads once the last gates are there: a bounded queue would hold up the server, pings
    # and the farewell.
    options = {"max_size": None, "max_queue": None, "ping_interval": None, "proxy": None}
    with connect(address, subprotocols=["streamlit"], **options) as socket:  # pyright: ignore
        yield Visitor(url, socket, token)
