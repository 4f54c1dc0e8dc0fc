"""Bodies of requests: read up to a limit, whatever their length is said to be."""

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request


async def read_body(request: Request, limit: int) -> bytes:
    """Read a body.

    Raises:
        HTTPException: 413 for one that is longer than `limit` bytes, 400 for one that
            was not sent whole.
    """
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > limit:
                raise HTTPException(413, f"over {limit} bytes")
    except ClientDisconnect:
        raise HTTPException(400, "not whole") from None
    return bytes(body)
