"""One listener over HTTP: bytes of a stream, with ICY titles if it asked for them."""

import asyncio
from dataclasses import dataclass, field

META_EVERY = 16_000  # bytes of sound between two places for a title
MAX_TITLE = 255 * 16  # bytes that a title block can hold


@dataclass(eq=False)
class Listener:
    """A listener of one stream.

    What it has not taken waits in its transport; `Channel` drops it when that is too
    much.

    Attributes:
        transport: of its connection.
        wants_titles: whether titles are put between the bytes of sound.
        host: as it names this server, for the URL of covers.
        has_begun: whether it has got the header of the stream.
    """

    transport: asyncio.WriteTransport
    wants_titles: bool = False
    host: str = ""
    has_begun: bool = False
    _until_title: int = field(default=META_EVERY, init=False)
    _told: bytes = field(default=b"", init=False)

    @property
    def waiting(self) -> int:
        """Bytes that it has not taken yet."""
        return self.transport.get_write_buffer_size()

    def send(self, data: bytes, title: str, song: int) -> None:
        """Give it more of the stream.

        Args:
            data: encoded sound.
            title: of the song that plays.
            song: number of it.
        """
        if self.transport.is_closing():
            return
        if not self.wants_titles:
            self.transport.write(data)
            return
        out = bytearray()
        while len(data) >= self._until_title:
            out += data[: self._until_title]
            data = data[self._until_title :]
            out += self._title(title, song)
            self._until_title = META_EVERY
        out += data
        self._until_title -= len(data)
        self.transport.write(bytes(out))

    def _title(self, title: str, song: int) -> bytes:
        """The block for a title: empty while it is the one that was told last."""
        block = title_block(title, f"http://{self.host}/cover.png?song={song}")
        if block == self._told:
            return b"\0"
        self._told = block
        return block


def title_block(title: str, url: str) -> bytes:
    """A block of ICY metadata: its length in units of 16 bytes, then the text.

    Players end a value at the next `';`, so quotes become typographic ones.
    """
    plain = title.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
    text = f"StreamTitle='{plain}';StreamUrl='{url}';".encode()[:MAX_TITLE]
    length = -(-len(text) // 16)
    return bytes([length]) + text.ljust(16 * length, b"\0")
