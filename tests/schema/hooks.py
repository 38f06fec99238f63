"""What the OpenAPI documents cannot say, for Schemathesis. A request that fits its schema is made to fit the rules beside
the schema too, or few would get past them; and an answer that follows from such a rule is no failure. Each rule is here
with its reason; what fits none is a failure. "Decision" is the number that the names of the tests in tests/it/ have."""

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import JsonSchemaError, RejectedPositiveData, UndefinedStatusCode

PAIR = (Path(__file__).parent.parent / "data" / "apns-pair.pem").read_text()
SECRETS_OF = {"apn": ("Certificate", "PrivateKey"), "gcm": ("ApiKey",), "fcm": ("Secret",)}
SECRETS = tuple(itertools.chain.from_iterable(SECRETS_OF.values()))
LARGEST_NAME = 64
KNOWN = {"Action": "credential.update", "EventType": "credential.updated", "SourceIpAddress": "127.0.0.1"}

key_numbers = itertools.count()


@schemathesis.hook
def filter_case(context: HookContext, case: Case) -> bool:
    """Without a body there is no Type; Twilio's documents require the parameter, but not the body that it stands in."""
    return operation_of(case) != "CreateCredential" or not is_positive(case) or isinstance(case.body, dict)


@schemathesis.hook
def map_case(context: HookContext, case: Case) -> Case:
    if not is_positive(case):
        return case
    if isinstance(case.body, dict):
        case.body = fitting(case.body)
    for name in KNOWN.keys() & case.query.keys():
        # A filter that no event could have is refused, and one of these words is not guessed.
        case.query[name] = KNOWN[name]
    if "Idempotency-Key" in case.headers:
        # Else most requests would come with the same key, and be refused with 409.
        case.headers["Idempotency-Key"] = f"key-{next(key_numbers)}"
    if "If-Match" in case.headers:
        # Schemathesis puts `0` here, whatever the pattern says, and could not guess the ETag of a credential anyway.
        case.headers["If-Match"] = "*"
    return case


def is_positive(case: Case) -> bool:
    return case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE


def operation_of(case: Case) -> str:
    """Twilio's name for it; our document puts the surface in front."""
    return case.operation.definition.raw["operationId"].split("-")[-1]


def fitting(body: dict) -> dict:
    """The body with no other secrets than its type takes (decision 13), and PEM where PEM belongs (decision 5)."""
    taken = SECRETS_OF.get(body.get("Type"), SECRETS)
    body = {name: value for name, value in body.items() if name in taken or name not in SECRETS}
    body |= {name: PAIR for name in SECRETS_OF["apn"] if body.get(name)}
    if isinstance(name := body.get("FriendlyName"), str):
        # Twilio's documents tell the limit in prose alone, and do not know U+0000 (decision 4).
        body["FriendlyName"] = name.replace("\0", "")[:LARGEST_NAME]
    return body


def is_twilios(case: Case, response: Response) -> bool:
    return case.operation.schema.raw_schema["info"]["title"].startswith("Twilio")


def is_right_as_sent(case: Case, response: Response) -> bool:
    """Whether each parameter is as docs/api.md has it, although not as its schema has it: an empty value counts as none
    (decision 13), too large a PageSize is clamped (decision 6), Type and Sandbox may have any case (decision 23)."""
    request = response.request
    # Of a name that comes twice the first counts in a query, and the last in a form (decision 22).
    sent = dict(request.headers) | dict(reversed(pairs(urlsplit(request.url).query)))
    if request.headers.get("Content-Type") == "application/json":
        body = json.loads(request.body)
        if not isinstance(body, dict):
            return False
        if isinstance(body.get("Sandbox"), bool):
            body["Sandbox"] = str(body["Sandbox"])
        sent |= body
    elif request.body:
        sent |= pairs(request.body if isinstance(request.body, str) else request.body.decode())
    sent = {name: value for name, value in sent.items() if value not in ("", None)}
    return (operation_of(case) != "CreateCredential" or "Type" in sent) and all(
        isinstance(value, str) and re.fullmatch(RIGHT[name], value) for name, value in sent.items() if name in RIGHT
    )


def pairs(form: str) -> list[tuple[str, str]]:
    return parse_qsl(form, keep_blank_values=True)


DATE = r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"
RIGHT = {
    "Idempotency-Key": r"[!-~]{1,255}",
    "If-Match": r'\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*',
    "PageSize": r"0*[1-9][0-9]*",
    "Page": r"[0-9]+",
    "PageToken": r"[A-Za-z0-9_-]+",
    "Type": r"(?i)apn|gcm|fcm",
    "Sandbox": r"(?i)true|false",
    "FriendlyName": r"[^\0]{1,64}",
    "Credential": r"CR[0-9a-f]{32}",
    "Action": r"[a-z_]+\.[a-z_]+",
    "Actor": r"[^\0]{1,64}",
    "ActorSid": r"[A-Za-z]{2}[0-9A-Fa-f]{32}",
    "ResourceSid": r"[A-Za-z]{2}[0-9A-Fa-f]{32}",
    "EventType": r"[a-z-]+(\.[a-z-]+){1,2}",
    "SourceIpAddress": r"[0-9A-Fa-f.:]+",
    "StartDate": DATE,
    "EndDate": DATE,
} | {name: r"(?s).+" for name in SECRETS}


@dataclass
class Rule:
    """A failure that is none: of this kind, at this operation of any surface, with this answer."""

    reason: str
    kind: type[Failure]
    operation: str
    status: int
    # Found in the error's message.
    message: str = ""
    # The key that is at fault, in an answer that its schema does not fit.
    place: str = ""
    # What else must be so.
    condition: Callable[[Case, Response], bool] = lambda case, response: True


LISTS = ("ListCredential", "ListEvent", "ListAuditEvent")

RULES = [
    Rule(
        "Which type the credential has is not known to who makes the request (decision 12).",
        RejectedPositiveData,
        "UpdateCredential",
        400,
        r"^Invalid value for parameter Type: the type of a credential cannot change",
    ),
    Rule(
        "Nor which secrets it takes (decision 13).",
        RejectedPositiveData,
        "UpdateCredential",
        400,
        r"^Invalid value for parameter \w+: a credential of Type \w+ takes ",
    ),
]
RULES += [
    Rule(
        "A token is opaque, and none can be made up (decisions 8 and 9).",
        RejectedPositiveData,
        operation,
        400,
        r"^(PageToken is required for paging\.|Invalid value for parameter PageToken: .*)$",
    )
    for operation in LISTS
]
RULES += [
    Rule("What no event can have is no filter, or nothing found would mean nothing done.", RejectedPositiveData, *answer)
    for answer in [
        ("ListAuditEvent", 400, r"^Invalid value for parameter (Action|Actor|Credential|StartDate|EndDate): "),
        ("ListEvent", 400, r"^Invalid value for parameter (EventType|SourceIpAddress|StartDate|EndDate): "),
    ]
]
RULES += [
    Rule("The contract takes more than the schema says.", AcceptedNegativeData, *answer, condition=is_right_as_sent)
    for answer in [(operation, 200) for operation in LISTS] + [("CreateCredential", 201), ("UpdateCredential", 200)]
]
RULES += [
    Rule(
        "Twilio's pattern for an actor has users alone; its prose, and the vault, have accounts too.",
        JsonSchemaError,
        operation,
        200,
        place="actor_sid",
        condition=is_twilios,
    )
    for operation in ("ListEvent", "FetchEvent")
]
RULES += [
    Rule("Twilio's documents name the status of success alone.", UndefinedStatusCode, *answer, condition=is_twilios)
    for answer in [
        ("ListCredential", 400),
        ("ListCredential", 401),
        ("CreateCredential", 400),
        ("CreateCredential", 401),
        ("FetchCredential", 401),
        ("FetchCredential", 404),
        ("UpdateCredential", 400),
        ("UpdateCredential", 401),
        ("UpdateCredential", 404),
        ("DeleteCredential", 401),
        ("DeleteCredential", 404),
        ("ListEvent", 400),
        ("ListEvent", 401),
        ("FetchEvent", 401),
        ("FetchEvent", 404),
    ]
]


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    return not any(is_of(rule, failure, case, response) for rule in RULES)


def is_of(rule: Rule, failure: Failure, case: Case, response: Response) -> bool:
    message = response.json()["message"] if response.status_code >= 400 else ""
    return (
        type(failure) is rule.kind
        and operation_of(case) == rule.operation
        and response.status_code == rule.status
        and re.search(rule.message, message) is not None
        and (not rule.place or list(failure.instance_path)[-1:] == [rule.place])
        and rule.condition(case, response)
    )


@schemathesis.check
def what_every_answer_has(ctx: CheckContext, response: Response, case: Case) -> None:
    """What holds of each answer, which no document can say in one place (decision 29)."""
    (request_id,) = response.headers["twilio-request-id"]
    assert re.fullmatch("RQ[0-9a-f]{32}", request_id), f"Twilio-Request-Id is {request_id}"
    assert response.headers["cache-control"] == ["no-store"], "an answer may be kept"
    if response.status_code >= 400 and case.operation.path not in ("/healthz", "/readyz") and response.content:
        error = response.json()
        assert list(error) == ["code", "message", "more_info", "status"], f"the error's keys are {list(error)}"
        assert error["status"] == response.status_code, f"the error says {error['status']}"
        assert error["more_info"].endswith(f"/{error['code']}"), "the error leads to the page of another"
