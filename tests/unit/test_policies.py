"""What IAM and S3 take in a statement; no provider is imported."""

from __future__ import annotations

from typing import Any

import pytest

from spark_cluster import policies

SHARE: dict[str, Any] = {
    "Sid": "Share",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::bucket/data/*",
}


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Deny", "Principal": "*"},
        {"Principal": "*", "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}},
        {"Principal": {"AWS": ["111122223333", "arn:aws-cn:iam::111122223333:role/team/x", "AROAEXAMPLEEXAMPLE12"]}},
        {"Principal": {"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"}},
        {"Principal": {"AWS": "arn:aws:sts::111122223333:assumed-role/x/session"}},
        {"Principal": {"Service": ["logging.s3.amazonaws.com"], "CanonicalUser": "79a5"}},
        {"Action": ["S3:GetObject", "s3:List*"], "Condition": {"NumericLessThan": {"s3:max-keys": 5}}},
        {"Action": "s3:*", "Condition": {}},
        {"Condition": {"Null": {"s3:if-none-match": [True]}}},
        {"Sid": "what others may read"},
        {"Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]},
        {"Resource": "*"},
    ],
)
def test_takes_what_s3_takes(change: dict[str, Any]) -> None:
    policies.statement("statement", {**SHARE, **change})


DENY: dict[str, Any] = {
    "Sid": "No",
    "Effect": "Deny",
    "NotPrincipal": {"AWS": "arn:aws:iam::444455556666:root"},
    "NotAction": "s3:GetObject",
    "NotResource": "arn:aws:s3:::bucket/data/*",
}


def test_takes_the_negations_of_iam() -> None:
    policies.statement("statement", DENY)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("Allow", "statement must be a mapping with Sid, Effect, Principal or NotPrincipal, Action or NotAction, "),
        ({"Sid": "x"}, "statement must have Effect, got {'Sid': 'x'}"),
        ({**SHARE, "Sid": ""}, "statement['Sid'] must be a text that is not empty, got ''"),
        ({**SHARE, "Sid": 5}, "statement['Sid'] must be a text that is not empty, got 5"),
        (
            {**SHARE, "Principal": {"AWS": object()}},
            "statement must hold texts, numbers, booleans, lists and ",
        ),
        ({**SHARE, "Effect": "allow"}, "statement['Effect'] must be 'Allow' or 'Deny', got 'allow'"),
        ({**SHARE, "Effect": ["Allow"]}, "statement['Effect'] must be 'Allow' or 'Deny', got ['Allow']"),
        ({**SHARE, "Conditon": {}}, "statement must have keys that IAM knows, such as 'Condition', got 'Conditon'"),
        ({**SHARE, "action": "s3:*"}, "statement must have keys that IAM knows, such as 'Action', got 'action'"),
        (
            {**SHARE, "NotAction": "s3:*"},
            "statement must have either Action or NotAction, got ['Action', 'NotAction']",
        ),
        (
            {**SHARE, "NotPrincipal": "*"},
            "statement must have either Principal or NotPrincipal, got ['Principal', 'NotPrincipal']",
        ),
        (
            {**SHARE, "NotResource": "*"},
            "statement must have either Resource or NotResource, got ['Resource', 'NotResource']",
        ),
        ({**DENY, "Effect": "Allow"}, "statement must have Principal if it allows, since IAM takes NotPrincipal in a "),
        ({**SHARE, "Action": "GetObject"}, "statement['Action'][0] must be an action such as 's3:GetObject', got 'Get"),
        (
            {**DENY, "NotAction": ["s3:*", "x"]},
            "statement['NotAction'][1] must be an action such as 's3:GetObject', got 'x'",
        ),
        ({**SHARE, "Action": []}, "statement['Action'] must be a list of actions such as ['s3:GetObject'], got []"),
        ({**SHARE, "Resource": []}, "statement['Resource'] must be a list of ARNs, or ['*'], got []"),
        (
            {**SHARE, "Resource": "bucket/*"},
            "statement['Resource'][0] must be an ARN such as 'arn:aws:s3:::b",
        ),
        (
            {**SHARE, "Principal": "arn:aws:iam::444455556666:root"},
            "statement['Principal'] must be '*', or a mapping such as {'AWS': 'arn:aws:iam::111122223333:root'}, got ",
        ),
        ({**SHARE, "Principal": {}}, "statement['Principal'] must be '*', or a mapping such as "),
        (
            {**SHARE, "Principal": {"Aws": "*"}},
            "statement['Principal'] must have keys that IAM knows, such as 'AWS', got 'Aws'",
        ),
        ({**SHARE, "Principal": {"AWS": []}}, "statement['Principal']['AWS'] must be a list of principals, got []"),
        (
            {**SHARE, "Principal": {"AWS": "job-role"}},
            "statement['Principal']['AWS'][0] must be an account's 12 digits, or an ARN without wildcards such ",
        ),
        (
            {**SHARE, "Principal": {"AWS": "arn:aws:iam::444455556666:role/*"}},
            "statement['Principal']['AWS'][0] must be an account's 12 digits, or an ARN without wildcards such ",
        ),
        (
            {**SHARE, "Condition": {"StringEqual": {"aws:SourceVpc": "vpc-1"}}},
            "statement['Condition'] must have operators that IAM knows, such as 'StringEquals', got 'StringEqual'",
        ),
        (
            {**SHARE, "Condition": {"StringEquals": {}}},
            "statement['Condition']['StringEquals'] must be a mapping of condition keys such as 'aws:SourceVpc', of ",
        ),
        (
            {**SHARE, "Condition": {"StringEquals": {"aws:SourceVpc": []}}},
            "statement['Condition']['StringEquals']['aws:SourceVpc'] must be a list of texts, numbers or booleans, ",
        ),
        (
            {**SHARE, "Condition": {"StringEquals": {"aws:SourceVpc": {"vpc-1": 1}}}},
            "statement['Condition']['StringEquals']['aws:SourceVpc'][0] must be a text, a number or a boolean, got ",
        ),
        (
            {**SHARE, "Principal": "*"},
            "statement must not allow everybody something without a Condition, since S3 refuses a public policy for ",
        ),
        ({**SHARE, "Principal": {"AWS": ["*"]}, "Condition": {}}, "statement must not allow everybody something "),
    ],
)
def test_refuses_a_statement_that_s3_would_not_take(statement: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - compared below
        policies.statement("statement", statement)
    assert str(error.value).startswith(message)
