"""The two scanners: `python -m tests.scan`. bandit over the code: a finding of high severity fails. pip-audit over what is required: a known advisory
fails; what it could not ask for is said, and does not fail: bandit and the pins remain."""
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = ("dashboard", "queries", "pages")


def main() -> int:
    """0 where nothing was found, else 1."""
    found = code([ROOT / name for name in CODE])
    print("bandit: nothing of high severity" if not found else "bandit: findings of high severity, above")
    known, said = advisories(ROOT / "requirements.txt")
    print(said)
    return 1 if found or known else 0


def code(folders: Sequence[Path]) -> bool:
    """Whether bandit finds something of high severity; it is printed. Raises RuntimeError where bandit could not look."""
    ran = subprocess.run([sys.executable, "-m", "bandit", "--quiet", "--recursive", "--severity-level", "high", *folders])
    if ran.returncode not in (0, 1):
        raise RuntimeError(f"bandit ended with {ran.returncode}")
    return ran.returncode == 1


def advisories(requirements: Path, *how: str) -> tuple[list[str], str]:
    """(what is known against a required package, the sentence to print). how: more options of pip-audit."""
    ran = subprocess.run([sys.executable, "-m", "pip_audit", "--requirement", requirements, "--disable-pip", "--no-deps", "--progress-spinner", "off",
                          "--format", "json", *how], capture_output=True, text=True)
    try:
        packages = json.loads(ran.stdout)["dependencies"]
    except ValueError:
        reason = (ran.stderr.strip().splitlines() or ["no answer"])[-1]
        return [], f"pip-audit: COULD NOT ASK for advisories ({reason[:200]}); no package was audited"
    known = [f"{one['name']} {one['version']}: {', '.join([found['id'], *found.get('aliases', [])])}, fixed in {', '.join(found['fix_versions']) or 'none'}"
             for one in packages for found in one.get("vulns", [])]
    unasked = [one["name"] for one in packages if "skip_reason" in one]
    said = [f"pip-audit: {one}" for one in known]
    if unasked:
        said.append(f"pip-audit: COULD NOT ASK for advisories of {len(unasked)} of {len(packages)} packages: the index in use has none ({', '.join(unasked)})")
    if len(unasked) < len(packages):
        said.append(f"pip-audit: {len(packages) - len(unasked)} packages asked for, {len(known)} advisories")
    return known, "\n".join(said)


if __name__ == "__main__":
    sys.exit(main())
