# ruff: noqa: INP001, T201 - a program that verify runs in a pod; what it prints is its answer
"""Puts an object into the lake's bucket, gets it back, and removes every version of it."""

import os
import secrets

import boto3

bucket, key = os.environ["IOT_S3__BUCKET"], f"platform-verify/{secrets.token_hex(8)}"
s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["IOT_S3__ENDPOINT"],
    region_name=os.environ.get("IOT_S3__REGION", "us-east-1"),
    aws_access_key_id=os.environ["IOT_S3__ACCESS_KEY"],
    aws_secret_access_key=os.environ["IOT_S3__SECRET_KEY"],
)
content = secrets.token_bytes(4096)
version = s3.put_object(Bucket=bucket, Key=key, Body=content).get("VersionId")
try:
    if s3.get_object(Bucket=bucket, Key=key)["Body"].read() != content:
        raise SystemExit("another object came back than was put")
finally:
    s3.delete_object(Bucket=bucket, Key=key, **({"VersionId": version} if version else {}))
if not version:
    raise SystemExit(f"bucket {bucket} keeps no versions, expected versioning on")
print(f"4096 bytes came back from {bucket}, version {version}; removed")
