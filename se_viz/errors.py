"""What users can do wrong, one class each; every message ends in what to do next."""


class SeVizError(ValueError):
    """Anything a user can cause. Its text is fit to be shown as it is."""


class ImageError(SeVizError):
    """A file that cannot be used as an image."""


class InputError(SeVizError):
    """A file that cannot become a network's input."""


class NoSEBlocksError(SeVizError):
    """A model without a squeeze-and-excitation block that se_viz knows."""


class CaptureError(SeVizError):
    """A forward pass that gates cannot be captured from."""


class CaptureWarning(UserWarning):
    """Blocks of a model that no captured pass used, as after an early exit.

    The other records are right.
    """


class EditError(SeVizError):
    """A change of gates that a block cannot go on with."""


class ExcitationError(SeVizError):
    """A block whose gates are not made by the paper's two layers, or not of the squeeze that is
    given.
    """


class NetworkError(SeVizError):
    """A network name, architecture or argument that does not exist."""


class CheckpointError(SeVizError):
    """Weights or their card that are missing, damaged or of another network."""


class AttributionError(SeVizError):
    """A method, target or option that this network cannot be explained with."""


class DeviceError(SeVizError):
    """A device that is not on this machine."""


class TooLittleMemoryError(SeVizError):
    """A device whose memory is too small for what is asked of it."""


class DataError(SeVizError):
    """A folder that does not hold the images it should."""


class BusyError(SeVizError):
    """A device that is asked for more than it has room for just now."""


class SettingError(SeVizError):
    """An environment variable that does not hold what it should."""


class OptionError(SeVizError):
    """Options of a command that do not go together, or hold what they cannot."""


class LimitError(SeVizError):
    """A limit of a judgement that is unknown or outside of its range."""


class OvertakenError(SeVizError):
    """An answer that the same person does not wait for any more."""


class BundleError(SeVizError):
    """A replay bundle that cannot be read or run again."""


class DownloadError(SeVizError):
    """Weights that are not on this disk, or could not be fetched."""
