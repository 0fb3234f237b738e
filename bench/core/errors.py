"""The errors of the harness."""

from __future__ import annotations


class BenchError(Exception):
    """An error whose message tells the user what is wrong and the way out."""


class BenchWarning(UserWarning):
    """What a user should know of a request that is carried out."""


class RequestError(BenchError):
    """The request itself is wrong (an unknown name, a bad option): exit code 2."""


class DataMissing(BenchError):
    """The data of a task is not on this machine and cannot be fetched: the task is skipped."""


class NotApplicable(BenchError):
    """A task cannot serve a plug-in (no pooled features, an operation without a rule, ...): status `skipped`."""


class ContractError(BenchError):
    """A plug-in broke a promise of the harness (shape, hooks, weights, ...): status `failed`."""
