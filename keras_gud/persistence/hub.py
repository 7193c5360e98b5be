"""Files of models on Hugging Face's hub, by `huggingface_hub`: their addresses, up and down."""

import importlib
import re
from pathlib import Path
from typing import Any

from keras_gud.core import optional

PREFIX = "hf://"
MODEL, CARD = "model.keras", "README.md"
_ADDRESS = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


def is_address(name: Any) -> bool:
    """Whether this is meant to be an address on the hub.

    >>> is_address("hf://user/digits"), is_address("digits.keras")
    (True, False)
    """
    return isinstance(name, str) and name.startswith(PREFIX)


def parse(address: str) -> tuple[str, str | None]:
    """The repository of an address, ``"user/name"``, and the revision after an ``@``, or `None`.

    Raises:
        ValueError: for anything else.

    Example:

    >>> parse("hf://user/digits@v1")
    ('user/digits', 'v1')
    """
    found = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
    if found is None:
        raise ValueError(
            "Expected an address such as 'hf://user/name', or 'hf://user/name@revision'. "
            f"Received: {address!r}."
        )
    return found[1], found[2]


def upload(folder: Path, address: str, private: bool, message: str) -> None:
    """Writes the files of a folder to a repository, which is made if it does not exist.

    Args:
        folder: A local folder.
        address: See `parse`; a revision has to be a branch that exists.
        private: Whether a new repository is private.
        message: Of the commit.

    Raises:
        ImportError: without huggingface_hub.
        huggingface_hub.errors.HfHubHTTPError: if the hub refuses, without a login for example.
    """
    repository, revision = parse(address)
    api = _library().HfApi()
    api.create_repo(repo_id=repository, private=private, exist_ok=True)
    api.upload_folder(
        repo_id=repository, folder_path=folder, commit_message=message, revision=revision
    )


def download(address: str) -> Path:
    """The local copy of a model's file, in the cache of `huggingface_hub`.

    Args:
        address: See `parse`.

    Raises:
        ImportError: without huggingface_hub.
        ValueError: for a repository that holds no such file.
        ConnectionError: if the hub cannot be reached, and nothing was downloaded before.
    """
    repository, revision = parse(address)
    library = _library()
    errors = importlib.import_module("huggingface_hub.errors")
    try:
        found = library.HfApi().hf_hub_download(
            repo_id=repository, filename=MODEL, revision=revision
        )
    except errors.LocalEntryNotFoundError as error:
        raise ConnectionError(
            "Expected the hub to be reached, or an earlier download in its cache. "
            f"Received: {address!r}, of which there is neither ({error.__cause__ or error})."
        ) from error
    except errors.EntryNotFoundError as error:
        raise ValueError(
            f"Expected a repository that `model.push` wrote, with a file {MODEL!r}. "
            f"Received: {address!r}, which has none."
        ) from error
    return Path(found)


def _library() -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise optional.missing("huggingface_hub", "models on its hub", "hub") from error
