"""The archive that `model.save` writes: which files it holds, and whether they are complete."""

import json
import os
import shutil
import tempfile
import zipfile
import zlib
from typing import Any

from keras_gud.persistence.inspection import build, config
from keras_gud.persistence.inspection.limits import allowed_bytes, file_error
from keras_gud.persistence.inspection.weights import check_weights

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_ENTRIES = {"metadata.json", _CONFIG, _WEIGHTS}
# JSON takes much more memory once parsed: it may be 1/16 of what is allowed in all, or 16 MiB.
_JSON_SHARE, _JSON_ALWAYS_ALLOWED = 16, 16 * 2**20


def check_model(
    path: str | os.PathLike, base: type, compile: bool = False, max_bytes: int | None = None
) -> None:
    """Raises an error unless a file is a saved model that can be loaded without harm.

    Nothing in it is deserialized and no weight is allocated before all of this holds: the archive
    is whole and holds exactly what Keras writes; it does not unpack to more than allowed; its model
    is a `base`; all classes and functions in it are Keras', this library's or registered by the
    user, and none of them runs code or reads files; the weights are plain arrays within the file
    (`check_weights`), as many as the model claims to have.

    Args:
        path: The file.
        base: Class that the model must be an instance of.
        compile: Whether the optimizer will be loaded too, and so has to be checked.
        max_bytes: The most bytes that the file may unpack to; default: 32 times its size, at least
            256 MiB.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a file that is refused; the message says why.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"Expected an existing file. Received: {str(path)!r}.")
    most = allowed_bytes(os.path.getsize(path), max_bytes)
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryFile() as weights:
            _check_entries(path, archive, most)
            others = sorted(_ENTRIES - {_WEIGHTS})
            parsed = {name: _read_json(path, archive, name) for name in others}
            with archive.open(_WEIGHTS) as member:  # reading to the end verifies its checksum
                shutil.copyfileobj(member, weights)
            tree = parsed[_CONFIG]
            if not compile and isinstance(tree, dict):
                tree.pop("compile_config", None)
            config.check_objects(path, tree, base)
            contents = check_weights(weights, max_bytes=most, name=path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        expected = "a whole file that `model.save` wrote (a zip archive)"
        raise file_error(path, expected, f"{type(error).__name__} ({error})") from error
    config.check_shapes(path, tree, contents.elements)
    build.check_size(path, tree, contents.elements)


def _check_entries(path: str | os.PathLike, archive: zipfile.ZipFile, most: int) -> None:
    """Refuses an archive unless it holds what Keras writes, not encrypted and not too large."""
    members = archive.infolist()
    names = sorted(member.filename for member in members)
    if names != sorted(_ENTRIES):
        shown = names if len(names) < 8 else [*names[:7], "..."]
        raise file_error(path, f"a file with exactly the entries {sorted(_ENTRIES)}", f"{shown}")
    most_json = min(most, max(most // _JSON_SHARE, _JSON_ALWAYS_ALLOWED))
    for member in members:
        limit = most if member.filename == _WEIGHTS else most_json
        if member.flag_bits & 1:
            raise file_error(path, "a file that is not encrypted", f"encrypted {member.filename}")
        if member.file_size > limit:
            hint = "If you trust it, load it with a larger `max_bytes`."
            raise file_error(
                path,
                f"{member.filename} of at most {limit} bytes",
                f"{member.file_size} bytes, packed into {member.compress_size} ({hint})",
            )


def _read_json(path: str | os.PathLike, archive: zipfile.ZipFile, name: str) -> Any:
    """A parsed entry; refused where it is no JSON or nested too deeply."""
    try:
        tree = json.loads(archive.read(name))
    except (ValueError, RecursionError) as error:
        raise file_error(path, f"JSON in {name}", f"{type(error).__name__} ({error})") from error
    config.check_depth(path, name, tree)
    return tree
