"""The archive that `model.save` writes: which files it holds, whether they are whole."""

import json
import os
import shutil
import tempfile
import zipfile
import zlib

from keras_gud.persistence.inspection import build, config
from keras_gud.persistence.inspection.limits import most_bytes, refuse
from keras_gud.persistence.inspection.weights import check_weights

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS = {"metadata.json", _CONFIG, _WEIGHTS}
# A configuration grows a lot when it is parsed: one of a large file may be this part of it.
_SHARE_OF_JSON, _FREE_JSON = 16, 16 * 2**20


def check_model(path, base: type, compile: bool = False, max_bytes: int | None = None):
    """Raises an error unless a file is a saved model that can be loaded without harm.

    Nothing in it is deserialized and no weight is allocated before all of this holds: the archive
    is whole and holds exactly what Keras writes; it does not unpack to more than allowed; its model
    is a `base`; all classes and functions in it are Keras', this library's or registered by the
    user, and none of them runs code or reads files; the weights are plain arrays within the file
    (`check_weights`), as many as the model claims to have.

    Args:
        path: The file.
        base: Class that the model must be an instance of.
        compile: Whether the optimizer is to be loaded too, and so looked at.
        max_bytes: The most that the file may unpack to; default: 32 times its size, at least
            256 MiB.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a file that is refused; the message says why.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"Expected an existing file. Received: {str(path)!r}.")
    most = most_bytes(os.path.getsize(path), max_bytes)
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryFile() as weights:
            _check_members(path, archive, most)
            parsed = {name: _json(path, archive, name) for name in sorted(_MEMBERS - {_WEIGHTS})}
            with archive.open(_WEIGHTS) as member:  # read to its end, it checks its sum
                shutil.copyfileobj(member, weights)
            tree = parsed[_CONFIG]
            if not compile and isinstance(tree, dict):
                tree.pop("compile_config", None)
            config.check_objects(path, tree, base)
            contents = check_weights(weights, max_bytes=most, name=path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        expected = "a whole file that `model.save` wrote (a zip archive)"
        raise refuse(path, expected, f"{type(error).__name__} ({error})") from error
    config.check_shapes(path, tree, contents.elements)
    build.check_size(path, tree, contents.elements)


def _check_members(path, archive, most: int):
    """Exactly the files that Keras writes, none of them encrypted or too large."""
    members = archive.infolist()
    names = sorted(member.filename for member in members)
    if names != sorted(_MEMBERS):
        shown = names if len(names) < 8 else [*names[:7], "..."]
        raise refuse(path, f"a file with exactly the entries {sorted(_MEMBERS)}", f"{shown}")
    most_json = min(most, max(most // _SHARE_OF_JSON, _FREE_JSON))
    for member in members:
        limit = most if member.filename == _WEIGHTS else most_json
        if member.flag_bits & 1:
            raise refuse(path, "a file that is not encrypted", f"encrypted {member.filename}")
        if member.file_size > limit:
            hint = "If you trust it, load it with a larger `max_bytes`."
            raise refuse(
                path,
                f"{member.filename} of at most {limit} bytes",
                f"{member.file_size} bytes, packed into {member.compress_size} ({hint})",
            )


def _json(path, archive, name: str):
    """A parsed entry; what is no JSON is refused, and so are NaN, which Keras never writes."""
    try:
        tree = json.loads(archive.read(name))
    except (ValueError, RecursionError) as error:
        raise refuse(path, f"JSON in {name}", f"{type(error).__name__} ({error})") from error
    config.check_depth(path, name, tree)
    return tree
