from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_transform.errors import TransformError, redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://me:s3cret@db:5432/x", "postgresql://me:***@db:5432/x"),
        (
            "postgresql+psycopg2://me:s3cret@/x?host=/tmp",
            "postgresql+psycopg2://me:***@/x?host=/tmp",
        ),
        ("redis://:s3cret@cache/0", "redis://:***@cache/0"),
        ("from a://u:one@h to b://u:two@h", "from a://u:***@h to b://u:***@h"),
        ("postgresql://u:s:e:c@h/x", "postgresql://u:***@h/x"),
        ("md:x?motherduck_token=abc.def&z=1", "md:x?motherduck_token=***&z=1"),
        ("host=db password=s3cret dbname=x", "host=db password=*** dbname=x"),
        ("host=db password='s3 cret' dbname=x", "host=db password=*** dbname=x"),
        ('password = "s3 cret";', "password = ***;"),
        ("PASSWORD=s3cret", "PASSWORD=***"),
        ("passwd: s3cret, pwd: other", "passwd: ***, pwd: ***"),
        ('{"password": "s3cret", "user": "me"}', '{"password": ***, "user": "me"}'),
        ("{'password': 's3 cret', 'user': 'me'}", "{'password': ***, 'user': 'me'}"),
        ("connect(token=abc)", "connect(token=***)"),
        ("secret=abc", "secret=***"),
        ("api_key: abc-def, x", "api_key: ***, x"),
        ("apiKey=abc", "apiKey=***"),
        ("aws_secret_access_key = wJalr/K7MDENG", "aws_secret_access_key = ***"),
        ("AccountName=me;AccountKey=abc==;x=1", "AccountName=me;AccountKey=***;x=1"),
        ("SharedAccessKey=abc", "SharedAccessKey=***"),
        ("private_key_passphrase: 'two words'", "private_key_passphrase: ***"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("{'Authorization': 'Basic bWU6czNjcmV0'}", "{'Authorization': 'Basic ***'}"),
        ("sent bearer eyJhbGciOi.J9", "sent bearer ***"),
        ("CREATE USER me IDENTIFIED BY 's3 cret';", "CREATE USER me IDENTIFIED BY ***;"),
        ("ALTER USER me IDENTIFIED BY s3cret", "ALTER USER me IDENTIFIED BY ***"),
        ("ALTER ROLE me PASSWORD 'it''s' VALID", "ALTER ROLE me PASSWORD *** VALID"),
        (
            "CREATE SECRET s (TYPE s3, KEY_ID 'AKIA', SECRET 's3cret')",
            "CREATE SECRET s (TYPE s3, KEY_ID 'AKIA', SECRET ***)",
        ),
        ("SET s3_secret_access_key='abc'", "SET s3_secret_access_key=***"),
        ("postgresql://me:s3 cret@db/x", "postgresql://me:***@db/x"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----",
        ),
    ],
)
def test_passwords_are_taken_out(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no such table: flights",
        "postgresql://me@db:5432/x",
        "http://localhost:3000/runs/1",
        "see https://example.com/a:b@c",
        'password authentication failed for user "me"',
        "mail me@example.com",
        "column passwords=1",
        "access_key_id=AKIA, unique_key: [id]",
        "CREATE SECRET my_secret (TYPE s3)",
        "http://localhost:3000/runs/1 was told to me@example.com",
        "http://localhost:3000 asks me@example.com",
        "the bearer of bad news",
        "identified by",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@given(st.text(max_size=60))
def test_redacting_again_changes_nothing(text: str) -> None:
    assert redact(redact(text)) == redact(text)


SECRETS = st.text("abcXYZ0189!$%*+-_.~", min_size=4, max_size=12).map(lambda s: f"q{s}q")


@given(SECRETS, st.sampled_from(("{0}", "error: {0} is wrong", "({0})\n{0}")))
def test_no_part_of_the_secret_is_left(secret: str, around: str) -> None:
    for form in ("postgresql://me:{0}@db/x", "password={0}", "token: '{0}'", '"pwd": "{0}"'):
        assert secret not in redact(around.format(form.format(secret)))


def test_errors_are_redacted_in_what_they_say_and_in_what_they_carry() -> None:
    error = TransformError("no a://u:s3cret@h", remedy="set password=s3cret")
    assert "s3cret" not in f"{error!s} {error!r} {error.cause} {error.remedy}"
    assert str(error) == "no a://u:***@h\nset password=***"


@pytest.mark.parametrize(
    "text",
    ["access_token=s3cret", "client_secret: s3cret", "PGPASSWORD=s3cret psql", "pass: s3cret"],
)
def test_a_password_under_a_longer_name(text: str) -> None:
    assert "s3cret" not in redact(text)


@pytest.mark.parametrize(
    "text", ["postgresql://me:pa@s3cret@db/x", "postgresql://me:pa/s3cret@db/x"]
)
def test_a_password_that_was_not_quoted_for_its_url(text: str) -> None:
    assert "s3cret" not in redact(text)
