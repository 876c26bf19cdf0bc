"""What answering takes beside the question."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from se_viz.devices import Report, Watch
from se_viz.engine.questions import Question
from se_viz.engine.views import Seen
from se_viz.networks import Network


@dataclass(frozen=True, slots=True)
class Work:
    """What answering takes: the network, what it looks at, and the callbacks."""

    network: Network
    """The network, which stays on its device meanwhile."""
    digest: str
    """SHA-256 of the file of the image that is asked about."""
    photos: Mapping[str, Seen]
    """What the network looks at, by digest."""
    watch: Watch
    """Told how many run before."""
    report: Report
    """Told how far it is."""
    go_back: Callable[["Work", Question, str], Any]
    """See `recall`."""

    @property
    def photo(self) -> Seen:
        """Return the image that is asked about, or the input of another file."""
        return self.photos[self.digest]

    @property
    def inputs(self) -> Float[Tensor, "1 channels *sides"]:
        """Return it as the network's input."""
        return self.network.take(self.photo, whole=True)

    def recall(self, question: Question, digest: str) -> Any:
        """Return what was answered to a question about an image, or answer it now."""
        return self.go_back(self, question, digest)

    @property
    def callbacks(self) -> dict[str, Any]:
        """Return both callbacks, as keyword arguments."""
        return {"watch": self.watch, "report": self.report}
