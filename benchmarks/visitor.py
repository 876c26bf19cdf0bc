"""A visit without a browser: the messages that a tab and Streamlit exchange, for many visits on one machine."""

import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileUploaderState, UploadedFileInfo
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_SIDEBAR = 1


class Visitor:
    """One tab that is open; it reads all that the app sends and paints nothing."""

    def __init__(self, url: str, socket: ClientConnection, token: str) -> None:
        """Take an open connection; `visit` makes one."""
        self._url, self._socket, self._token = url, socket, token
        self._session, self._uploader = "", ""
        self._ask(BackMsg())
        self._read(until=lambda message: message.WhichOneof("type") == "script_finished")

    def show(self, photo: bytes) -> float:
        """Upload a photo through the sidebar; return the seconds until its gates were received."""
        started = time.perf_counter()
        file = UploadedFileInfo(file_id=str(uuid.uuid4()), name="photo.jpg", size=len(photo))
        self._put(file.file_id, photo)
        message = BackMsg()
        widget = message.rerun_script.widget_states.widgets.add(id=self._uploader)
        widget.file_uploader_state_value.CopyFrom(FileUploaderState(uploaded_file_info=[file]))
        self._ask(message)
        self._read(until=lambda message: message.delta.new_element.plotly_chart.id.endswith("-gates"))
        return time.perf_counter() - started

    def _ask(self, message: BackMsg) -> None:
        message.rerun_script.query_string = ""
        self._socket.send(message.SerializeToString())

    def _read(self, *, until: Callable[[ForwardMsg], bool], patience: float = 300.0) -> None:
        end = time.monotonic() + patience
        while True:
            content = self._socket.recv(timeout=end - time.monotonic())
            assert isinstance(content, bytes)
            message = ForwardMsg.FromString(content)
            self._session = message.new_session.initialize.session_id or self._session
            if message.delta.new_element.HasField("file_uploader") and message.metadata.delta_path[0] == _SIDEBAR:
                self._uploader = message.delta.new_element.file_uploader.id
            if message.delta.new_element.HasField("exception"):
                raise RuntimeError(f"The app failed: {message.delta.new_element.exception.message}")
            if until(message):
                return

    def _put(self, name: str, content: bytes) -> None:
        border = uuid.uuid4().hex
        head = f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
        body = f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + content + f"\r\n--{border}--\r\n".encode()
        headers = {
            "Content-Type": f"multipart/form-data; boundary={border}",
            "Cookie": f"_streamlit_xsrf={self._token}",
            "X-Xsrftoken": self._token,
        }
        address = f"{self._url}/_stcore/upload_file/{self._session}/{name}"
        with _DIRECT.open(urllib.request.Request(address, body, headers, method="PUT"), timeout=120):
            pass


@contextmanager
def visit(url: str) -> Iterator[Visitor]:
    """Open the app in a new tab, wait until its first page is complete, and close the tab afterwards."""
    with _DIRECT.open(f"{url}/_stcore/health", timeout=30) as answer:
        token = answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
    address = url.replace("http", "ws", 1) + "/_stcore/stream"
    # Nobody reads once the last gates are there: a bounded queue would hold up the server, pings and the farewell.
    options = {"max_size": None, "max_queue": None, "ping_interval": None, "proxy": None}
    with connect(address, subprotocols=["streamlit"], **options) as socket:  # pyright: ignore
        yield Visitor(url, socket, token)
