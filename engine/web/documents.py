"""Documents of the page that are no messages."""

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from engine.compose import preset as presets
from engine.web.server import WebContext
from engine.web.space_routes import space_routes


def documents(context: WebContext) -> Sequence[BaseRoute]:
    """Routes of all documents."""
    return [Route("/api/presets/{name}", _preset), *space_routes(context)]


async def _preset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in presets.names():  # names only: no path comes over a network
        raise HTTPException(404, "no such preset")
    found = presets.load(name)
    return JSONResponse(
        {
            "name": found.name,
            "description": found.description,
            "controls": dict(found.controls),
        }
    )
