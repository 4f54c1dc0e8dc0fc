"""Play a session from another program over OSC: turn controls, and see the answers.

    bin/latent play &
    python examples/osc_remote.py wiggle/amount 1.2
    python examples/osc_remote.py next
    python examples/osc_remote.py status

Without a value a control or a reading is asked for; the answer is printed. A list of
what there is: `bin/latent controls`, or GET http://127.0.0.1:9471/ with OSCQuery.
"""

import argparse
import socket

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

WAIT_S = 2.0


def typed(text: str) -> float | str:
    """A number if it is one."""
    try:
        return float(text)
    except ValueError:
        return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of a control, command or reading")
    parser.add_argument("value", nargs="*", help="arguments, if there are any")
    parser.add_argument("--port", type=int, default=9470)
    args = parser.parse_args()

    builder = OscMessageBuilder(f"/latent/{args.name}")
    for value in args.value:
        builder.add_arg(typed(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(WAIT_S)
        sock.connect(("127.0.0.1", args.port))
        sock.send(builder.build().dgram)
        try:
            answer = OscMessage(sock.recv(65_536))
        except TimeoutError:
            print("no answer: a command that was taken gives none")
        except ConnectionRefusedError:
            raise SystemExit(
                f"nothing plays on port {args.port}: bin/latent play"
            ) from None
        else:
            print(answer.address, *answer.params)


if __name__ == "__main__":
    main()
