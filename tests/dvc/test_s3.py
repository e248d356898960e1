"""Push and pull through a server that speaks S3, with credentials from the environment alone."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.dvc.house import KJV_SCORE, Checkout

boto3 = pytest.importorskip("boto3", reason="the extras s3 and dev are not installed")
pytest.importorskip("dvc_s3", reason="the extra s3 is not installed")
pytest.importorskip("moto", reason="the extra dev is not installed")

SECRET = "not-to-be-written-down"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server with a bucket."""
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        output = ""
        while not (actual := re.search(r"Running on (http://\S+)", output)):
            line = running.stderr.readline()
            assert line, output
            output += line
        session = boto3.Session(
            aws_access_key_id="somebody", aws_secret_access_key=SECRET, region_name="us-east-1"
        )
        session.client("s3", endpoint_url=actual[1]).create_bucket(Bucket="tcsm")
        yield actual[1]
        running.terminate()
        running.stderr.close()


def test_a_second_clone_pulls_from_s3(house: Checkout, server: str) -> None:
    house.dvc("remote", "add", "--default", "shelf", "s3://tcsm/cache")
    house.dvc("remote", "modify", "shelf", "endpointurl", server)
    house.commit()
    refused = house.run("dvc", "push", AWS_EC2_METADATA_DISABLED="true")
    assert refused.returncode != 0
    house.dvc("push", **CREDENTIALS)
    second = house.clone(house.folder.parent / "second")
    second.dvc("pull", **CREDENTIALS)
    assert (second.folder / KJV_SCORE).read_text() == "6.0"
    written = [path for path in (second.folder / ".dvc").rglob("*") if path.is_file()]
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
