"""A property that is computed once, without a lock.

Up to Python 3.11 `functools.cached_property` holds one lock for all instances while it computes. A
child that is forked meanwhile waits for it without end.
"""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property
else:

    class cached_property:
        """As of Python 3.12: threads that ask at the same time may each compute it."""

        def __init__(self, function):
            self.function, self.__doc__ = function, function.__doc__

        def __set_name__(self, owner, name):
            self.attrname = name

        def __get__(self, instance, owner=None):
            if instance is None:
                return self
            return vars(instance).setdefault(self.attrname, self.function(instance))


__all__ = ["cached_property"]
