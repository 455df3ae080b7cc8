"""``POST /v1/convert``: what another library has, as definitions and controllers."""

from __future__ import annotations

from typing import Annotated, Any, cast

import anyio.to_thread
from pydantic import ConfigDict, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.converters import config_conversion
from rheostat.converters import conversion as conversion_of
from rheostat.converters.core import Context
from rheostat.errors import FieldError, Invalid
from rheostat.server.docstrings import Documented
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer, either
from rheostat.server.http.auditing import unaudited
from rheostat.server.http.requests import body_examples
from rheostat.server.http.route import router
from rheostat.server.runs.fragments import as_json
from rheostat.server.tokens import Role

conversion = router("definitions")

_BESIDE_CONFIG = frozenset({"library", "config", "file", "total", "steps_per_epoch"})
COSINE = {
    "kind": "cosine",
    "start": 0.1,
    "end": 0.0,
    "steps": 100,
    "periodic": True,
}

SCHEDULER = JsonAnswer(wire.Converted, {"definition": COSINE})
PLATEAU = JsonAnswer(
    wire.ConvertedController,
    {
        "controller": {
            "kind": "plateau",
            "reading": "torch",
            "metric": "val_loss",
            "mode": "min",
            "factor": 0.5,
            "patience": 3,
            "threshold": 1e-4,
            "threshold_mode": "rel",
            "cooldown": 0,
            "min": 1e-6,
            "eps": 1e-8,
            "parameters": ["lr"],
        }
    },
)
FILE = JsonAnswer(
    wire.ConvertedConfig,
    {"library": "transformers", "parameters": {"lr": COSINE}, "total": 100},
)

CONFIG: dict[str, Any] = {
    "anyOf": [
        {"type": "object"},
        {"type": "array", "items": {"type": "string"}},
        {"type": "string"},
        {"type": "null"},
    ]
}


class Conversion(Documented, Context):
    """A scheduler or an early stopping of another library, or a whole configuration file."""

    model_config = ConfigDict(extra="allow")

    library: str | None = None
    """
    The library, by its import name or its package's name. A file's may be left out: then fields
    that no other project has must tell it.
    """

    name: str | None = None
    """The name of the scheduler or of the early stopping there."""

    params: dict[str, Any] | None = None
    """What its constructor is given; a scheduler inside is ``{"name", "params"}``."""

    base_value: float | None = None
    """The value that the optimizer starts from, for libraries that take it from there."""

    hyperparameter: str = "lr"
    """The field that is wanted of a scheduler that sets several."""

    config: Annotated[Any, WithJsonSchema(CONFIG)] = None
    """
    In place of a scheduler, a whole configuration file: its content, or its text as YAML, TOML,
    JSON, Python literals or a shell script; a command line may also be a list of its words.
    """

    file: str | None = None
    """The name of the file whose text is given: its ending tells the syntax."""

    def convert(self) -> wire.Converted | wire.ConvertedController | wire.ConvertedConfig:
        """Return the answer; what the library does not know is refused."""
        self._check()
        if self.config is None:
            return self._converted()
        lengths = {"total": self.total, "steps_per_epoch": self.steps_per_epoch}
        found = config_conversion(self.library, self.config, file=self.file, **lengths)
        return cast(wire.ConvertedConfig, found.to_json())

    def _converted(self) -> wire.Converted | wire.ConvertedController:
        found = conversion_of(**{"params": {}, **self._given()})
        if found.controller is None:
            return {"definition": as_json(found.curve)}
        if found.definition is None:
            return {"controller": found.controller.document}
        return {"controller": found.controller.document, "definition": as_json(found.definition)}

    def _given(self) -> dict[str, Any]:
        """Return what was sent, without fields that are null: they might as well be left out."""
        sent, known = self.model_dump(exclude_unset=True), type(self).model_fields
        return {
            name: value for name, value in sent.items() if value is not None or name not in known
        }

    def _check(self) -> None:
        """Refuse what is neither a scheduler nor a file, or both."""
        if self.config is None:
            wrong = [name for name in ("library", "name") if getattr(self, name) is None]
            message, bound = "is required, unless config is given", "required"
        else:
            wrong = sorted(self._given().keys() - _BESIDE_CONFIG)
            message, bound = "cannot stand beside config", ", ".join(sorted(_BESIDE_CONFIG))
        if wrong:
            errors = [FieldError(field, message, None, bound) for field in wrong]
            raise Invalid("The request is neither a scheduler nor a file.", errors=errors)


@conversion.post(
    "/v1/convert",
    summary="Convert another library's scheduler",
    responses={
        200: either(SCHEDULER, PLATEAU, FILE),
    },
    openapi_extra=body_examples(
        torch={
            "library": "torch",
            "name": "CosineAnnealingLR",
            "params": {"T_max": 100},
            "base_value": 0.1,
        },
        nested={
            "library": "torch",
            "name": "SequentialLR",
            "params": {
                "schedulers": [
                    {"name": "LinearLR", "params": {"total_iters": 5}},
                    {"name": "CosineAnnealingLR", "params": {"T_max": 95}},
                ],
                "milestones": [5],
            },
            "base_value": 0.1,
        },
        momentum={
            "library": "torch",
            "name": "OneCycleLR",
            "params": {"max_lr": 0.1, "total_steps": 1000},
            "hyperparameter": "momentum",
        },
        plateau={
            "library": "torch",
            "name": "ReduceLROnPlateau",
            "params": {"factor": 0.5, "patience": 3, "min_lr": 1e-6},
            "metric": "val_loss",
        },
        file={
            "library": "deepspeed",
            "config": {
                "optimizer": {"type": "AdamW", "params": {"lr": 1e-3, "weight_decay": 0.1}},
                "scheduler": {
                    "type": "WarmupCosineLR",
                    "params": {"total_num_steps": 10000, "warmup_num_steps": 500},
                },
            },
        },
        text={
            "config": "optimizer:\n  type: AdamW\n  params: {lr: 1e-3}\nzero_optimization: {}\n",
            "file": "ds_config.yaml",
        },
        command_line={
            "library": "megatron",
            "config": "--lr 6e-5 --min-lr 6e-6 --lr-decay-style cosine --train-samples 220000000",
        },
    ),
)
@needs(Role.VIEWER)
@unaudited("it only computes")
async def convert_scheduler(asked: Conversion, request: Request) -> Response:
    """
    Return the definition that gives the values of another library's scheduler.

    For what reacts to a metric, a plateau or an early stopping, the answer has its ``controller``,
    and a ``definition`` beside it where its library has a warm-up in it.

    With ``config``, a whole configuration file, the answer is the run that the file describes:
    ``parameters``, a definition for each, ``controllers`` where something in it reacts to a
    metric, and the lengths that are known. Nothing in a file is executed.

    Nothing is stored. What has no definition, as a function, is refused with the way out.
    """
    limiter = request.app.state.conversion_limiter
    answer = await anyio.to_thread.run_sync(asked.convert, limiter=limiter)
    if "parameters" in answer:
        return FILE.send(answer, headers={})
    if "controller" in answer:
        return PLATEAU.send(answer, headers={})
    return SCHEDULER.send(answer, headers={})
