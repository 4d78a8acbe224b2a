"""Write the Python code of agent.proto, or with ``--check`` say whether the committed code is it.

For whoever changes the contract. Compiling from the folder above ``core_platform`` makes protoc
write absolute imports itself, so the generated files are committed exactly as they come.
"""

import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).parent
SOURCE_ROOT = HERE.parents[2]
PROTO = HERE.relative_to(SOURCE_ROOT) / "agent.proto"
GENERATED = ("agent_pb2.py", "agent_pb2.pyi", "agent_pb2_grpc.py")


def generate(into: Path) -> None:
    """Compile agent.proto below ``into``, keeping the package path.

    Raises:
        SystemExit: protoc refused the file; it has printed why.
    """
    status = protoc.main(
        [
            "protoc",
            f"-I{SOURCE_ROOT}",
            f"-I{resources.files('grpc_tools') / '_proto'}",
            f"--python_out={into}",
            f"--pyi_out={into}",
            f"--grpc_python_out={into}",
            str(SOURCE_ROOT / PROTO),
        ]
    )
    if status:
        sys.exit(status)
    stub = into / PROTO.with_name("agent_pb2.pyi")
    stub.write_text("# ruff: noqa\n# fmt: off\n" + stub.read_text(encoding="utf-8"), encoding="utf-8")


def stale() -> list[str]:
    """Names of committed files that differ from what agent.proto compiles to now."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = Path(folder) / PROTO.parent
        return [name for name in GENERATED if (fresh / name).read_bytes() != (HERE / name).read_bytes()]


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        old = stale()
        sys.exit(f"stale: {', '.join(old)}; run python -m core_platform.ingress.proto" if old else 0)
    generate(SOURCE_ROOT)
