"""Runs the commands of README.md that stand in a `sh` block under the line <!-- tested -->, in a scratch folder.

The blocks run in order in one shell with `knotwork` on the PATH, so a later block may use what an earlier one wrote.
"""
import os
import re
import subprocess
from pathlib import Path

from binary import BINARY, SOURCE, BinaryTest, main, patient

BLOCK = re.compile(r"<!-- tested -->\s*\n```sh\n(.*?)```", re.DOTALL)


class Readme(BinaryTest):
    def test_its_commands_work(self):
        blocks = BLOCK.findall((SOURCE / "README.md").read_text())
        self.assertTrue(blocks, "README.md has no tested block")
        environment = dict(os.environ, PATH=f"{Path(BINARY).parent}:{os.environ['PATH']}",
                           OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_ALLOW_RUN_AS_ROOT="1",
                           OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        script = "set -euo pipefail\n" + "\n".join(blocks)
        result = subprocess.run(["bash", "-c", script], cwd=self.folder, env=environment, capture_output=True, text=True,
                                timeout=patient(280))
        self.assertEqual(0, result.returncode, f"{script}\n{result.stdout[-3000:]}{result.stderr[-3000:]}")


if __name__ == "__main__":
    main()
