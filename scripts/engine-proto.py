"""Takes the protobuf descriptors out of the unpacked `livekit` wheel and writes them as one FileDescriptorSet.

usage: python3 scripts/engine-proto.py <wheel's livekit/rtc/_proto> <output .fds>

Decides nothing about the types: tests/engine_proto.rs turns the set into Rust. Refuses to import the wheel's
Python (it would need the protobuf package): the descriptors are byte literals, read from the syntax tree.
"""

import ast
import pathlib
import sys


def descriptor(path):
    """The serialized FileDescriptorProto in one generated `*_pb2.py`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "AddSerializedFile":
            return node.args[0].value
    sys.exit(f"{path.name}: expected a call of AddSerializedFile, found none; is this the pinned wheel?")


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: engine-proto.py <livekit/rtc/_proto> <output .fds>")
    source, target = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    files = sorted(source.glob("*_pb2.py"))
    if not files:
        sys.exit(f"{source}: expected the wheel's *_pb2.py files, found none; unpack the livekit wheel first")
    # FileDescriptorSet { repeated FileDescriptorProto file = 1; }
    parts = []
    for path in files:
        data = descriptor(path)
        parts.append(b"\x0a" + varint(len(data)) + data)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".part")
    partial.write_bytes(b"".join(parts))
    partial.replace(target)


main()
