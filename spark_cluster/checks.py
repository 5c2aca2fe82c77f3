"""What arguments may be: each check raises `ValueError` in the caller's words, and never compares a Terraform token.

A value is looked at here, in Python, before jsii gets it: a number that is no finite one would end jsii's process, and
what JSON does not have is an error of jsii's own.
"""

from __future__ import annotations

import math
import re
import reprlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from cdktf import IResolvable, LazyBase, TerraformProvider, TerraformStack, Token, Tokenization
from constructs import Construct
from jsii import JSIIMeta

from spark_cluster import limits, spark_properties

Whole = float
"""How a whole number is typed: a token that stands for one is a float, and an int may be where a float is wanted."""

Flag = bool | IResolvable
"""How a boolean is typed: a token that stands for one is an object."""

_NAME = re.compile(r"[a-z](-?[a-z0-9])*")
_INSTANCE_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
_TOKEN = re.compile(r"\$\{TfToken\[[^]]*\]\}")
_ID = re.compile(r"[0-9a-z][0-9a-z-]*")
_ZONE_ID = re.compile(rf"Z[0-9A-Z]{{0,{limits.ZONE_ID_CHARACTERS - 1}}}")
_HOST = r"([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?"
_PROXY = re.compile(rf"https?://{_HOST}/?")
_KEY_ARN = re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")
_BOUNDARY_ARN = re.compile(r"arn:[a-z-]+:iam::([0-9]{12}|aws):policy/[\w+=,.@/-]+", re.ASCII)
_INTERPRETER = re.compile(r"#![ \t]*/[^\r\n]+(\n|$)")
_SPARK_KEY = re.compile(r"""spark\.[^\x00-\x20\x7f-\U0010ffff=:\\$%{}"']+""")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LOWEST_TOKEN_NUMBER = -1e280
"""Numbers that are tokens are below this one, far from what anybody writes."""


def is_known(value: object) -> bool:
    """Whether `value` is there at synthesis: neither absent nor a token that Terraform will compute."""
    if value is None:
        return False
    if isinstance(value, str):
        return "${TfToken[" not in value or not Token.is_unresolved(value)
    if isinstance(value, float):
        return value > _LOWEST_TOKEN_NUMBER or not math.isfinite(value) or not Token.is_unresolved(value)
    if isinstance(value, (list, tuple)):
        return not (len(value) == 1 and _stands_for_a_list(value[0]))
    if isinstance(value, dict):
        return not any(isinstance(key, str) and "&{TfToken[" in key for key in value)
    return not is_resolvable(value)


def is_token_alone(value: object) -> bool:
    """Whether `value` is a token and nothing else: what it stands for may be `null`, a text around it may not."""
    if value is None or is_known(value):
        return False
    return not isinstance(value, str) or _TOKEN.fullmatch(value) is not None


def is_lazy(value: object) -> bool:
    """Whether a string or list stands for what Python makes later: cdktf writes that into no expression rightly."""
    if isinstance(value, str):
        return isinstance(Tokenization.reverse_string(value).first_token, LazyBase)
    return isinstance(value, (list, tuple)) and isinstance(Tokenization.reverse_list(list(value)), LazyBase)


def _stands_for_a_list(element: object) -> bool:
    if isinstance(element, float):
        return math.isfinite(element) and element < _LOWEST_TOKEN_NUMBER
    return isinstance(element, str) and element.startswith("#{TfToken[")


def is_resolvable(value: object) -> bool:
    """Whether `value` is a token as an object: the form that booleans, and values of any type, have."""
    return _is_of_jsii(value) and Token.is_unresolved(value)


def _is_of_jsii(value: object) -> bool:
    # What stands for a variable's or a module's value has no interface to know it by, and no class of its own.
    kind = type(value)
    return not isinstance(value, type) and (isinstance(kind, JSIIMeta) or kind.__module__.startswith("jsii."))


class _Shown(reprlib.Repr):
    """A value as an error shows it: on one line and short, whatever it is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 160
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 8

    def repr_int(self, x: int, level: int) -> str:
        """Python itself refuses to write a number of more than 4300 digits."""
        digits = 128
        return super().repr_int(x, level) if x.bit_length() <= digits else f"a number of {x.bit_length()} bits"

    def repr_instance(self, x: object, level: int) -> str:
        """Of an object without words of its own, its class: where it lies in memory says nothing."""
        if _is_of_jsii(x) or type(x).__repr__ is object.__repr__:
            return f"a {type(x).__name__}"
        return super().repr_instance(x, level)


_shown = _Shown()


def is_json(value: object) -> bool:
    """Whether `value` is what JSON has, tokens in texts included."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_json(inner) for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return is_known(value) and all(is_json(inner) for inner in value)
    return isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))


def fail(argument: str, rule: str, got: object) -> ValueError:
    """The error for an argument: its name, the rule, and the value got."""
    shown = _shown.repr(got) if got is None or is_known(got) else "a token"
    return ValueError(f"{argument} must {rule}, got {shown}")


def _fail_form(argument: str, rule: str, got: object, form: str) -> ValueError:
    """As `fail`; if the value is a token in another form, with what converts it."""
    return fail(argument, rule if got is None or is_known(got) else f"{rule} (convert with cdktf's {form})", got)


def place(scope: object, id: object) -> None:
    """Where a construct is made: a construct in a stack, and an id that is free there and gives Terraform a name."""
    if not isinstance(scope, Construct):
        raise fail("scope", "be a stack or a construct in one", scope)
    if not isinstance(id, str) or not is_known(id):
        raise fail("id", "be a literal string, since addresses are built from it", id)
    own = _in_an_address(id)
    if not own:
        raise fail("id", "have letters, digits, '_' or '-', which are what an address keeps of it", id)
    if TerraformStack.is_stack(scope):
        if not re.match(r"[A-Za-z_]", own):
            raise fail("id", "begin with a letter or '_' right below a stack, as Terraform's names do", id)
    elif not any(map(TerraformStack.is_stack, scope.node.scopes)):
        raise fail("scope", "be a stack or a construct in one", scope)
    if any(_in_an_address(one.node.id) == own for one in scope.node.children):
        raise fail("id", "be one that no other construct there has, by what an address keeps of it", id)


def _in_an_address(id: str) -> str:
    # Ids lose what would part their path or a line, then cdktf drops what is left of other characters.
    return re.sub(r"[^A-Za-z0-9_-]", "", re.sub(r"[/\n]", "--", id))


def name(argument: str, value: str) -> None:
    """A cluster's name becomes a DNS label, a bucket's prefix and part of IAM names, so it obeys the strictest."""
    if not isinstance(value, str) or not is_known(value):
        raise fail(argument, "be a literal string, since addresses and names are built from it", value)
    if not value:
        raise fail(argument, "not be empty", value)
    if len(value) > limits.CLUSTER_NAME_CHARACTERS:
        raise fail(argument, f"have at most {limits.CLUSTER_NAME_CHARACTERS} characters", value)
    if not _NAME.fullmatch(value):
        rule = "be lower-case letters, digits and single inner hyphens, beginning with a letter (a DNS and bucket name)"
        raise fail(argument, rule, value)


def text(argument: str, value: object) -> None:
    """A string that is not blank, or a token."""
    if value is None:
        raise fail(argument, "be given", value)
    if not isinstance(value, str) or not value.strip():
        raise _fail_form(argument, "be a string that is not empty", value, "Token.as_string")
    _writable(argument, value)


def _writable(argument: str, value: str) -> None:
    if "#{TfToken[" in value:
        rule = "not be a part of a list that only Terraform knows (join lists with cdktf's Fn.concat)"
        raise fail(argument, rule, value)
    if re.search("[\x00\ud800-\udfff]", value):
        raise fail(argument, "hold no NUL character and no half of a surrogate pair, which no file of text has", value)


def _literal(value: str) -> str:
    """What of a text is known: all but the tokens in it."""
    return _TOKEN.sub("", value)


def line(argument: str, value: object) -> None:
    """A string on one line that is not blank, or a token."""
    text(argument, value)
    if isinstance(value, str) and any(unicodedata.category(one) == "Cc" for one in value):
        raise fail(argument, "hold no line's end and no other control character", value)


def optional_text(argument: str, value: object) -> None:
    """As `text`, or `None`."""
    if value is not None:
        text(argument, value)


def domain(argument: str, value: object) -> None:
    """The name of a domain, without a dot at its end, in which the master's name has room."""
    text(argument, value)
    longest = limits.HOST_NAME_CHARACTERS - len("master.-spark.") - limits.CLUSTER_NAME_CHARACTERS
    if is_known(value) and (len(str(value)) > longest or not _DOMAIN.fullmatch(str(value))):
        raise fail(argument, "be a domain's name in lower case such as 'data.internal'", value)


def prefixed(argument: str, value: object, prefix: str) -> None:
    """An AWS id, which begins with `vpc-`, `subnet-`, `ami-` …, or a token."""
    text(argument, value)
    if not is_known(value):
        return
    if not str(value).startswith(prefix):
        raise fail(argument, f"begin with {prefix!r}", value)
    if not _ID.fullmatch(str(value).removeprefix(prefix)):
        raise fail(argument, f"be an id such as {prefix + '0123456789abcdef0'!r}", value)


def zone_id(argument: str, value: object) -> None:
    """The id of a hosted zone, or a token."""
    text(argument, value)
    if is_known(value) and not _ZONE_ID.fullmatch(str(value)):
        raise fail(argument, "be the id of a hosted zone such as 'Z1D633PJN98FT9'", value)


def key_arn(argument: str, value: object) -> None:
    """The ARN of a KMS key, a token, or `None`: no key of one's own.

    Not an alias: a policy that names one gives nothing (https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html),
    and EC2 answers with the key's ARN, which Terraform would take for another key.
    """
    if value is None:
        return
    text(argument, value)
    rule = "be a KMS key's ARN such as 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab'"
    if "alias/" in _literal(str(value)):
        raise fail(argument, f"{rule}, not an alias, which gives nothing in a policy", value)
    if is_known(value) and not _KEY_ARN.fullmatch(str(value)):
        raise fail(argument, rule, value)


def boundary_arn(argument: str, value: object) -> None:
    """The ARN of a managed policy, a token, or `None`: no boundary."""
    if value is None:
        return
    text(argument, value)
    too_long = len(str(value)) > limits.ARN_CHARACTERS
    if is_known(value) and (too_long or not _BOUNDARY_ARN.fullmatch(str(value))):
        raise fail(argument, "be the ARN of a managed policy, 'arn:aws:iam::<account>:policy/<name>'", value)


def ids(argument: str, values: Sequence[str], prefix: str, *, at_least: int = 0) -> None:
    """A list of AWS ids, as a list of strings or as one list token."""
    if _is_list_token(argument, f"be a list of ids such as [{prefix + '0123'!r}]", values):
        # Their first element, or the cluster's own beside them, is found by a function.
        if is_lazy(list(values)):
            rule = "not be a Lazy list, which cdktf puts into no function (give a TerraformLocal's as_list)"
            raise fail(argument, rule, values)
        return
    if len(values) < at_least:
        raise fail(argument, f"name at least {at_least}", values)
    for index, value in enumerate(values):
        prefixed(f"{argument}[{index}]", value, prefix)
    known = [value for value in values if is_known(value)]
    if len(set(known)) != len(known):
        raise fail(argument, "name each id once", values)


def _is_list_token(argument: str, rule: str, values: Sequence[str]) -> bool:
    """Whether only Terraform knows a list of strings; what is neither that nor a list is refused."""
    is_list = isinstance(values, Sequence) and not isinstance(values, (str, bytes))
    if not is_list or (not is_known(values) and not isinstance(values[0], str)):
        raise _fail_form(argument, rule, values, "Token.as_list")
    return not is_known(values)


def subnets(argument: str, values: Sequence[str]) -> None:
    """The subnets of the group: at least one, and no more than it takes."""
    ids(argument, values, "subnet-", at_least=1)
    if is_known(values) and len(",".join(map(_literal, values))) > limits.SUBNETS_OF_A_GROUP_CHARACTERS:
        rule = f"have at most {limits.SUBNETS_OF_A_GROUP_CHARACTERS} characters, commas between them included"
        raise fail(argument, rule, values)


def security_groups(argument: str, values: Sequence[str]) -> None:
    """The caller's own groups, beside which every node has the cluster's."""
    ids(argument, values, "sg-")
    most = limits.SECURITY_GROUPS_OF_AN_INTERFACE - 1
    if is_known(values) and len(values) > most:
        raise fail(argument, f"name at most {most}, as a node has the cluster's own group besides", len(values))


def instance_types(argument: str, values: Sequence[str]) -> None:
    """A literal list of instance types, each once."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence) or not is_known(values) or not len(values):
        rule = "be a list of instance types such as ['m6i.xlarge'] (its elements may be tokens, the list may not)"
        raise fail(argument, rule, values)
    for index, value in enumerate(values):
        instance_type(f"{argument}[{index}]", value)
    if len(set(values)) != len(values):
        raise fail(argument, "name each type once", list(values))
    if len(values) > limits.INSTANCE_TYPES_OF_A_GROUP:
        raise fail(argument, f"name at most {limits.INSTANCE_TYPES_OF_A_GROUP}", len(values))


def whole(argument: str, value: object, lowest: int, highest: int = limits.API_INTEGER) -> None:
    """A whole number within bounds, or a token of one."""
    if isinstance(value, float) and not is_known(value):
        return
    if type(value) is not int:  # neither a bool nor an enum, which jsii would take for an object
        raise _fail_form(argument, "be a whole number", value, "Token.as_number")
    if value < lowest or value > highest:
        unbounded = highest == limits.API_INTEGER and value < lowest
        rule = f"be a whole number of at least {lowest}" if unbounded else f"be from {lowest} to {highest}"
        raise fail(argument, rule, value)


def literal_whole(argument: str, value: object, lowest: int, highest: int = limits.API_INTEGER) -> None:
    """A whole number within bounds that is there at synthesis."""
    if isinstance(value, float) and not is_known(value):
        raise fail(argument, "be a literal whole number", value)
    whole(argument, value, lowest, highest)


def not_above(lower_argument: str, lower: object, upper_argument: str, upper: object) -> None:
    """Two sizes in order, if both are known."""
    if is_known(lower) and is_known(upper) and lower > upper:  # type: ignore[operator]
        message = f"{lower_argument} must be at most {upper_argument}, got {lower} > {upper}"
        raise ValueError(message)


def flag(argument: str, value: object) -> None:
    """True or False, a token of one, or `None` for AWS's own default."""
    if value is not None and not isinstance(value, bool) and not is_resolvable(value):
        raise _fail_form(argument, "be True or False", value, "Token.as_any")


def literal_flag(argument: str, value: object) -> None:
    """True or False of a choice that shapes the graph."""
    if not isinstance(value, bool):
        raise fail(argument, "be a literal True or False", value)


def instance_type(argument: str, value: object) -> None:
    """An EC2 instance type with room for Spark, such as `m6i.xlarge`.

    A worker leaves 1 GiB to the system, and an executor needs half of one. Those that are smaller are the sizes `nano`
    and `micro` of every family: https://docs.aws.amazon.com/ec2/latest/instancetypes/gp.html.
    """
    text(argument, value)
    if not is_known(value):
        return
    if not _INSTANCE_TYPE.fullmatch(str(value)):
        raise fail(argument, "be an EC2 instance type such as 'm6i.xlarge'", value)
    if str(value).endswith((".nano", ".micro")):
        raise fail(argument, "be an EC2 instance type with 2 GiB of memory or more, which Spark needs", value)


def price(argument: str, value: object) -> None:
    """A price in US dollars an hour as text: a float would reach AWS as 0.009499999."""
    if value is None or (isinstance(value, str) and not is_known(value)):
        return
    # Decimal itself takes more than AWS does: `1e3`, `1_000`, blanks, Arabic digits.
    is_number = isinstance(value, str) and re.fullmatch(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)", value)
    if not is_number or len(str(value)) > limits.SPOT_PRICE_CHARACTERS:
        raise _fail_form(argument, "be US dollars an hour as text, such as '0.0950'", value, "Token.as_string")
    if Decimal(str(value)) < Decimal(limits.LOWEST_SPOT_PRICE_DOLLARS):
        raise fail(argument, f"be at least {limits.LOWEST_SPOT_PRICE_DOLLARS}, the lowest price EC2 takes", value)


def tags(argument: str, values: Mapping[str, str]) -> None:
    """AWS tags as IAM takes them, whose rules are the strictest of those whose resources get them."""
    if not isinstance(values, Mapping) or not is_known(values):
        raise fail(argument, "be a mapping whose keys are literal", values)
    most = limits.TAGS_OF_A_RESOURCE - 1
    if len(values) > most:
        raise fail(argument, f"have at most {most} keys, as AWS takes {most + 1} with 'Name'", len(values))
    for key, value in values.items():
        _tag(argument, key, value)
    folded = [key.lower() for key in values]
    if twice := [key for key in values if folded.count(key.lower()) > 1]:
        raise fail(argument, "have keys that differ in more than upper and lower case, since IAM's do", twice)


def _tag(argument: str, key: object, value: object) -> None:
    longest = limits.TAG_KEY_CHARACTERS
    if not isinstance(key, str) or not is_known(key) or not key or len(key) > longest:
        raise fail(argument, f"have literal keys of 1 to {longest} characters", key)
    if key.lower().startswith("aws:"):
        raise fail(argument, "not use keys that begin with 'aws:', which AWS keeps for itself", key)
    if key == "Name":
        raise fail(argument, "not set 'Name', which each resource gets from the cluster's name", key)
    marks = f"letters, digits, blanks and {limits.TAG_MARKS}"
    if not _is_of_tags(key):
        raise fail(argument, f"have keys of {marks}", key)
    longest = limits.TAG_VALUE_CHARACTERS
    if not isinstance(value, str) or len(_literal(value)) > longest:
        rule = f"be a string of at most {longest} characters"
        raise _fail_form(f"{argument}[{key!r}]", rule, value, "Token.as_string")
    if not _is_of_tags(_literal(value)):
        raise fail(f"{argument}[{key!r}]", f"consist of {marks} (a value of Terraform's is given as a token)", value)


def _is_of_tags(value: str) -> bool:
    # IAM's pattern: \p{L}, \p{Z} and \p{N}, of which a line's end (\p{Zl}) is one that EC2 would not show.
    return all(one in limits.TAG_MARKS or unicodedata.category(one)[0] in "LNZ" for one in value)


def spark_defaults(argument: str, values: Mapping[str, str]) -> None:
    """Spark properties: literal keys, and no secret, since they stand in user data and in Terraform's state."""
    if not isinstance(values, Mapping) or not is_known(values):
        raise fail(argument, "be a mapping of Spark properties", values)
    for key, value in values.items():
        if not isinstance(key, str) or not is_known(key) or not re.fullmatch(r"spark\.[^\s=]+", key):
            raise fail(argument, "have keys that begin with 'spark.' and hold no blank", key)
        if not _SPARK_KEY.fullmatch(key):
            raise fail(argument, "have keys of ASCII without any of = : \\ $ % { } and quotes", key)
        if spark_properties.is_secret(key):
            rule = "hold no secret, because user data and Terraform's state are readable; let a setup_script fetch it"
            raise fail(argument, rule, key)
        _spark_property(f"{argument}[{key!r}]", key, value)
    known = {key: value for key, value in values.items() if is_known(value)}
    if found := spark_properties.clash(known):
        key, rule = found
        raise fail(f"{argument}[{key!r}]", rule, known[key])


def _spark_property(argument: str, key: str, value: object) -> None:
    if key == "spark.master":
        raise fail(
            argument, "be left out, since it is the cluster's own; give a job for another one its --master", value
        )
    if not isinstance(value, str) or re.search(r"[\r\n]", value):
        raise _fail_form(argument, "be a string on one line", value, "Token.as_string")
    _writable(argument, value)
    # As Spark's file is read: what parts key and value may not begin the value, and blanks around it are lost.
    if value != value.strip() or value.startswith(("=", ":")):
        raise fail(argument, "neither begin nor end with a blank, nor begin with '=' or ':'", value)
    if spark_properties.holds_secret(_literal(value)):
        message = f"{argument} must hold no password, because user data and Terraform's state are readable"
        raise ValueError(message)
    if not is_known(value):
        return
    if key in spark_properties.KEPT:
        kept, why = spark_properties.KEPT[key]
        if value.lower() != kept.lower():
            raise fail(argument, f"be {kept!r} or left out, {why}", value)
    form = spark_properties.FORMS.get(key)
    if form is not None and not form.fits(value):
        raise fail(argument, form.rule, value)


def script(argument: str, value: object) -> None:
    """A script that names its interpreter, or `None`. Its line ends are as `unix_lines` makes them."""
    if value is None:
        return
    text(argument, value)
    if not is_known(value) and not _literal(str(value)).startswith("#!"):
        return
    mended = unix_lines(str(value))
    if not mended.startswith("#!"):
        raise fail(argument, "begin with a `#!` line such as '#!/bin/bash'", str(value)[:40])
    if not _INTERPRETER.match(mended):
        rule = "name its interpreter by a whole path in its first line, such as '#!/bin/bash', and end that line"
        raise fail(argument, rule, str(value)[:40])


def unix_lines(script: str) -> str:
    """A script as bash reads it: an editor of another system leaves line ends of two characters, and a first mark.

    With those the kernel looks for an interpreter whose name ends in a carriage return.
    """
    return script.removeprefix("\ufeff").replace("\r\n", "\n")


def proxy(argument: str, value: object) -> None:
    """The address of an HTTP proxy; a password in it would be readable in user data."""
    if value is None:
        return
    if isinstance(value, str) and "@" in _literal(value):
        message = f"{argument} must hold no user or password, because user data is readable"
        raise ValueError(message)
    if isinstance(value, str) and not is_known(value):
        _writable(argument, value)
        return
    match = _PROXY.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match["port"] or 1) not in range(1, limits.HIGHEST_PORT + 1):
        raise _fail_form(argument, "be an address such as 'http://proxy.internal:3128'", value, "Token.as_string")


def no_proxy(argument: str, values: Sequence[str]) -> None:
    """Names and addresses that are reached without the proxy."""
    if _is_list_token(argument, "be a list of host names, domains or addresses", values):
        return
    for index, value in enumerate(values):
        line(f"{argument}[{index}]", value)
        if re.search(r"[,\s]", _literal(value)):
            raise fail(f"{argument}[{index}]", "be one name or address", value)


def account_id(argument: str, value: object) -> None:
    """12 digits as text, a token, or `None` for the deployer's account."""
    if value is None or (isinstance(value, str) and not is_known(value)):
        return
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{12}", value):
        raise _fail_form(argument, "be 12 digits in a string", value, "Token.as_string")


def checksum(argument: str, value: object) -> None:
    """64 or 128 hexadecimal digits, a token, or `None`: the node looks the checksum up."""
    if value is None or (isinstance(value, str) and not is_known(value)):
        return
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{128}", value):
        rule = "be a SHA-256 or SHA-512 as 64 or 128 lower-case hexadecimal digits"
        raise _fail_form(argument, rule, value, "Token.as_string")


def key_name(argument: str, value: object) -> None:
    """The name of an EC2 key pair, a token, or `None`."""
    if value is None:
        return
    text(argument, value)
    longest = limits.KEY_PAIR_NAME_CHARACTERS
    if is_known(value) and not re.fullmatch(rf"(?! )[ -~]{{1,{longest}}}(?<! )", str(value)):
        raise fail(argument, f"be 1 to {longest} characters of ASCII without a blank at either end", value)


def role_name(argument: str, value: object) -> None:
    """The name of an IAM role, or a token."""
    text(argument, value)
    if not is_known(value):
        return
    if ":" in str(value):
        rule = f"be a role's name, not its ARN (the name is {str(value).rpartition('/')[2]!r})"
        raise fail(argument, rule, value)
    longest = limits.ROLE_NAME_CHARACTERS
    if not re.fullmatch(rf"[\w+=,.@-]{{1,{longest}}}", str(value), re.ASCII):
        raise fail(argument, f"be at most {longest} letters, digits and _+=,.@- (a name without its path)", value)


def parameter_name(argument: str, value: object) -> None:
    """The full name of an SSM parameter, with its leading slash."""
    text(argument, value)
    if not is_known(value):
        return
    full = str(value)
    if not re.fullmatch(r"(/[A-Za-z0-9_.-]+)+", full):
        raise fail(argument, "be a parameter's name that begins with '/', such as '/team/fleet-key'", value)
    if re.match(r"/(aws|ssm)", full, re.IGNORECASE):
        raise fail(argument, "not begin with '/aws' or '/ssm', which Systems Manager keeps for AWS's own", value)
    if len(full) > limits.PARAMETER_NAME_CHARACTERS or full.count("/") > limits.PARAMETER_LEVELS:
        rule = f"have at most {limits.PARAMETER_NAME_CHARACTERS} characters and {limits.PARAMETER_LEVELS} levels"
        raise fail(argument, rule, value)


def words(argument: str, values: Sequence[str]) -> None:
    """What a command is given, word by word; a word may be empty."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence) or not is_known(values):
        raise fail(argument, "be a literal list of strings (its elements may be tokens)", values)
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise _fail_form(f"{argument}[{index}]", "be a string", value, "Token.as_string")
        _writable(f"{argument}[{index}]", value)


def instance(argument: str, value: object, kind: type, example: str) -> None:
    """An object of one class, which has looked at what is in it."""
    if not isinstance(value, kind):
        raise fail(argument, f"be an object such as {example}", value)


def provider(argument: str, value: object) -> None:
    """A provider, or `None`."""
    if value is not None:
        instance(argument, value, TerraformProvider, "AwsProvider(stack, 'aws', alias='ireland')")


def answer(argument: str, value: object, methods: Iterable[str], example: str) -> None:
    """An object of one of the small classes that answer an open choice: known by its methods."""
    if isinstance(value, type) or not all(callable(getattr(value, method, None)) for method in methods):
        raise fail(argument, f"be an object such as {example}", value)
