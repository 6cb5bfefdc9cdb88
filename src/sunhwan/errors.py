"""The one exception that Sunhwan raises for what a user can mend."""


class SunhwanError(Exception):
    """A problem that the reader of the message can mend.

    The message is one plain sentence (or two): what was received, what was expected, and what to do. The
    command line prints it without a traceback and exits with status 2.

    Example:
        >>> raise SunhwanError("there is no study 'jna'; `sunhwan study list` shows them")
        Traceback (most recent call last):
        ...
        sunhwan.errors.SunhwanError: there is no study 'jna'; `sunhwan study list` shows them
    """
