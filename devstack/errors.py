"""The one error of the embedded platform."""


class DevstackError(Exception):
    """A service cannot start, stop or be found; the message is one sentence for a person."""
