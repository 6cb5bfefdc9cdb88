"""The one exception that Sunhwan raises for problems that a user can fix."""


class SunhwanError(Exception):
    """A problem that the user can fix.

    The message is one or two plain sentences: what was received, what was expected, and what to do. The
    command line prints it without a traceback and exits with status 2.

    Example:
        >>> raise SunhwanError("no study 'jna'; `sunhwan study list` lists them")
        Traceback (most recent call last):
        ...
        sunhwan.errors.SunhwanError: no study 'jna'; `sunhwan study list` lists them
    """
