"""What arguments may be: each check raises `ValueError` in the caller's words, and never compares a Terraform token.

A value is looked at here, in Python, before jsii gets it: a number that is no finite one would end jsii's process, and
what JSON does not have is an error of jsii's own.
"""

from __future__ import annotations

import ipaddress
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
_TOKEN = re.compile(r"\$\{TfToken\[[^]]*\]\}")
_EXPRESSION = re.compile(rf"\$\{{[^{{}}]*({_TOKEN.pattern}[^{{}}]*)+\}}")
"""What an app writes around a token where cdktf has no words for it: `f"${{{role.fqn}[0].name}}"`."""
_HEX = "[0-9a-f]"
_PARTITION = "aws(-[a-z]+)*"
_REGION = "[a-z]+(-[a-z]+)+-[0-9]+"
_PARAMETER_ARN = ("arn", _PARTITION, "ssm", _REGION, "[0-9]{12}", "parameter(/[A-Za-z0-9_.-]+)+")
# https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
_KEY_ARN = (
    *("arn", _PARTITION, "kms", _REGION, "[0-9]{12}"),
    f"key/({_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}|mrk-{_HEX}{{32}})",
)
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html
_BOUNDARY_ARN = (
    *("arn", _PARTITION, "iam", "", "([0-9]{12}|aws)"),
    rf"policy/([\w+=,.@/-]+/)?[\w+=,.@-]{{1,{limits.POLICY_NAME_CHARACTERS}}}",
)
_HOST_LABEL = re.compile("[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_INTERPRETER = re.compile(r"#![ \t]*/[\t -~]+(\n|$)")
# What is known to take all that follows for one argument; Perl, for one, reads the line itself.
_SEVERAL_ARGUMENTS = re.compile(
    r"#![ \t]*/(\S*/)?(env(?![ \t]+(-[a-z]*S|--split-string))|(ba|da|k|z)?sh|python[0-9.]*)([ \t]+\S+){2}"
)
_SPARK_KEY = re.compile(r"""spark\.[^\x00-\x20\x7f-\U0010ffff=:\\$%{}"']+""")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
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
    if isinstance(got, str) and not is_token_alone(got):
        got = _TOKEN.sub("<token>", got) if _TOKEN.search(got) else got
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
    object_key("id", id)
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


def object_key(argument: str, value: str) -> None:
    """A text that becomes a key of an object of JavaScript's, as ids of constructs and keys of tags do.

    jsii and cdktf take what every such object has for what is there: https://tc39.es/ecma262/#sec-properties-of-the-object-prototype-object
    """
    written(argument, value)
    if value in _OF_EVERY_OBJECT:
        raise fail(argument, "not name what every object of JavaScript has, which jsii would take for it", value)


_OF_EVERY_OBJECT = {
    *("__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__", "__proto__", "constructor"),
    *("hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf"),
}


def _in_an_address(id: str) -> str:
    # Ids lose what would part their path or a line, then cdktf drops what is left of other characters.
    return re.sub(r"[^A-Za-z0-9_-]", "", re.sub(r"[/\n]", "--", id))


def name(argument: str, value: str) -> None:
    """A cluster's name becomes a DNS label, a bucket's prefix and part of IAM names, so it obeys the strictest."""
    if not isinstance(value, str) or not is_known(value):
        raise fail(argument, "be a literal string, since addresses and names are built from it", value)
    written(argument, value)
    if not value:
        raise fail(argument, "not be empty", value)
    if len(value) > limits.CLUSTER_NAME_CHARACTERS:
        raise fail(argument, f"have at most {limits.CLUSTER_NAME_CHARACTERS} characters", value)
    for beginnings, whose in (
        (limits.RESERVED_SECURITY_GROUP_BEGINNINGS, "EC2 keeps for security groups' ids"),
        (limits.RESERVED_BUCKET_BEGINNINGS, "S3 keeps for itself"),
    ):
        for one in beginnings:
            if f"{value}-".startswith(one):
                raise fail(argument, f"neither be {one[:-1]!r} nor begin with {one!r}, which {whose}", value)
    if not _NAME.fullmatch(value):
        rule = "be lower-case letters, digits and single inner hyphens, beginning with a letter (a DNS and bucket name)"
        raise fail(argument, rule, value)


def text(argument: str, value: object) -> str:
    """A string that is not blank, or a token."""
    if value is None:
        raise fail(argument, "be given", value)
    return _string(argument, "be a string that is not empty", value, blank=False)


def _string(argument: str, rule: str, value: object, *, blank: bool = True) -> str:
    if not isinstance(value, str) or not (blank or value.strip()):
        raise _fail_form(argument, rule, value, "Token.as_string")
    written(argument, value)
    return value


_UNWRITABLE = (
    (r"#\{TfToken\[", "not be a part of a list that only Terraform knows (join lists with cdktf's Fn.concat)"),
    (r"&\{TfToken\[", "hold no map that only Terraform knows (make a text of it with cdktf's Fn.jsonencode)"),
    # https://github.com/hashicorp/terraform-cdk/blob/main/packages/cdktf/lib/tokens/private/encoding.ts
    (r"-[0-9](\.[0-9]+)?e\+2[89][0-9]", "hold a number of Terraform's as text (convert with cdktf's Token.as_string)"),
    (r"<[\w.]+ object at 0x", "hold a value of Terraform's as text (convert with cdktf's Token.as_string)"),
    ("[\x00\ud800-\udfff]", "hold no NUL character and no half of a surrogate pair, which no file of text has"),
)


def written(argument: str, value: str) -> None:
    """A text that reaches Terraform as what it is, tokens in it included: each text is held to this, whatever it is."""
    # An enum's member is a text with its value, and formatted with its name. Of a StrEnum both are the value.
    if f"{value}" != str.__str__(value):
        raise fail(argument, "be a text that is formatted as what it is (of an enum's member give the value)", value)
    for pattern, rule in _UNWRITABLE:
        if re.search(pattern, value):
            raise fail(argument, rule, value)


def _literal(value: str) -> str:
    """What of a text is known: all but the tokens in it."""
    return _TOKEN.sub("", value)


def _hold(
    argument: str, rule: str, value: str, form: str, characters: str, *beginnings: str, told: bool = False
) -> None:
    """Hold a text to a form; one with tokens in it to the form's characters and to how it can begin.

    An expression around a token is as good as one, but in what nodes are told, where it would be escaped.
    """
    if is_known(value):
        fits = re.fullmatch(form, value) is not None
    else:
        parts = _TOKEN.split(value if told else _without_expressions(value))
        begins = any(parts[0].startswith(one) or one.startswith(parts[0]) for one in beginnings or ("",))
        fits = begins and re.fullmatch(f"[{characters}]*", "".join(parts)) is not None
    if not fits:
        raise fail(argument, rule, value)


def _without_expressions(value: str) -> str:
    return _EXPRESSION.sub("${TfToken[]}", value)


def line(argument: str, value: object) -> str:
    """A string on one line that is not blank, or a token."""
    given = text(argument, value)
    if any(unicodedata.category(one) == "Cc" for one in given):
        raise fail(argument, "hold no line's end and no other control character", given)
    return given


def optional_text(argument: str, value: object) -> None:
    """As `text`, or `None`."""
    if value is not None:
        text(argument, value)


def domain(argument: str, value: object) -> None:
    """The name of a domain, without a dot at its end, in which the master's name has room."""
    longest = limits.HOST_NAME_CHARACTERS - len("master.-spark.") - limits.CLUSTER_NAME_CHARACTERS
    rule, form = "be a domain's name in lower case such as 'data.internal'", rf"{_LABEL}(\.{_LABEL})*"
    _hold(argument, rule, text(argument, value), rf"(?=.{{1,{longest}}}\Z){form}", "a-z0-9_.-", told=True)


def prefixed(argument: str, value: object, prefix: str) -> None:
    """An AWS id, which begins with `vpc-`, `subnet-`, `ami-` …, or a token."""
    given = text(argument, value)
    if is_known(given) and not given.startswith(prefix):
        raise fail(argument, f"begin with {prefix!r}", given)
    # Of 8 or 17 hexadecimal digits, says EC2 today: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html
    rule = f"be an id such as {prefix + '0123456789abcdef0'!r}"
    _hold(argument, rule, given, f"{prefix}[0-9a-z][0-9a-z-]*", "0-9a-z-", prefix)


def zone_id(argument: str, value: object) -> None:
    """The id of a hosted zone, or a token."""
    form = f"Z[0-9A-Z]{{0,{limits.ZONE_ID_CHARACTERS - 1}}}"
    rule = "be the id of a hosted zone such as 'Z1D633PJN98FT9'"
    _hold(argument, rule, text(argument, value), form, "0-9A-Z", "Z")


def key_arn(argument: str, value: object, *, told: bool = False) -> None:
    """The ARN of a KMS key, a token, or `None`: no key of one's own.

    Not an alias: a policy that names one gives nothing (https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html),
    and EC2 answers with the key's ARN, which Terraform would take for another key.
    """
    if value is None:
        return
    given = text(argument, value)
    rule = "be a KMS key's ARN such as 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab'"
    if "alias/" in _literal(given):
        raise fail(argument, f"{rule}, not an alias, which gives nothing in a policy", value)
    _hold_arn(argument, rule, given, _KEY_ARN, "A-Za-z0-9:/-", told=told)


def _hold_arn(
    argument: str, rule: str, value: str, fields: Sequence[str], characters: str, *, told: bool = False
) -> None:
    """As `_hold`; of one with tokens in it each field is held to its form that ends before the first of them."""
    _hold(argument, rule, value, f"(?a:{':'.join(fields)})", characters, "arn:", told=told)
    whole = _TOKEN.split(_without_expressions(value))[0].split(":")[:-1]
    if not all(re.fullmatch(form, field) for form, field in zip(fields, whole, strict=False)):
        raise fail(argument, rule, value)


def boundary_arn(argument: str, value: object, account_id: object = None) -> None:
    """The ARN of a managed policy, a token, or `None`: no boundary. It is AWS's, or of the roles' own account."""
    if value is None:
        return
    given = text(argument, value)
    rule = "be the ARN of a managed policy, 'arn:aws:iam::<account>:policy/<name>'"
    if len(given) > limits.ARN_CHARACTERS:
        raise fail(argument, rule, given)
    _hold_arn(argument, rule, given, _BOUNDARY_ARN, "A-Za-z0-9_+=,.@:/-")
    if is_known(given) and is_known(account_id) and given.split(":")[4] not in {account_id, "aws"}:
        raise fail(argument, f"be a policy of AWS's or of account_id, {account_id!r}", given)


def parameter_arn(argument: str, value: object) -> None:
    """The ARN of an SSM parameter, or a token."""
    rule = "be a parameter's ARN such as 'arn:aws:ssm:eu-central-1:111122223333:parameter/team/fleet-key'"
    _hold_arn(argument, rule, text(argument, value), _PARAMETER_ARN, "A-Za-z0-9_.:/-")


def keys_of_one_region(arguments: Mapping[str, object], region: object = None) -> None:
    """KMS keys that services of one region use; a service takes no key of another.

    Args:
        arguments: the keys' ARNs by argument.
        region: that of the caller's provider, if it is known.
    """
    known = {argument: str(arn).split(":") for argument, arn in arguments.items() if is_known(arn)}
    for argument, fields in known.items():
        first = next(iter(known))
        if (fields[1], fields[3]) != (known[first][1], known[first][3]):
            rule = f"be a key of the region of {first}, {known[first][3]} in {known[first][1]}"
            raise fail(argument, rule, arguments[argument])
        if is_known(region) and fields[3] != region:
            raise fail(argument, f"be a key of the provider's region, {region}", arguments[argument])


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
    and `micro` of every family (https://docs.aws.amazon.com/ec2/latest/instancetypes/gp.html) and two of the first
    types, with 1.7 GiB (https://docs.aws.amazon.com/ec2/latest/instancetypes/pg.html). Macs run on Dedicated Hosts
    alone (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-mac-instances.html).
    """
    given = text(argument, value)
    rule = "be an EC2 instance type such as 'm6i.xlarge'"
    _hold(argument, rule, given, r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "a-z0-9.-")
    if given.endswith((".nano", ".micro")) or given in ("m1.small", "c1.medium"):
        raise fail(argument, "be an EC2 instance type with 2 GiB of memory or more, which Spark needs", value)
    if re.match(r"mac[0-9-]", given):
        raise fail(argument, "be an EC2 instance type that runs without a Dedicated Host, unlike all Macs", value)


def price(argument: str, value: object) -> None:
    """A price in US dollars an hour as text: a float would reach AWS as 0.009499999."""
    if value is None:
        return
    rule = "be US dollars an hour as text, such as '0.0950'"
    given = _string(argument, rule, value)
    # Decimal itself takes more than AWS does: `1e3`, `1_000`, blanks, Arabic digits.
    form = rf"(?=.{{1,{limits.SPOT_PRICE_CHARACTERS}}}\Z)-?([0-9]+\.?[0-9]*|\.[0-9]+)"
    _hold(argument, rule, given, form, "0-9.")
    if is_known(given) and Decimal(given) < Decimal(limits.LOWEST_SPOT_PRICE_DOLLARS):
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
    object_key(argument, key)
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
    written(f"{argument}[{key!r}]", value)
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules
    if value.lower().startswith("aws:"):
        raise fail(f"{argument}[{key!r}]", "not begin with 'aws:', which AWS keeps for itself", value)
    if not _is_of_tags(_literal(_without_expressions(value))):
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
        written(argument, key)
        if not _SPARK_KEY.fullmatch(key):
            raise fail(argument, "have keys of ASCII without any of = : \\ $ % { } and quotes", key)
        if spark_properties.is_secret(key):
            rule = "hold no secret, because user data and Terraform's state are readable; let a setup_script fetch it"
            raise fail(argument, rule, key)
        _spark_property(f"{argument}[{key!r}]", key, value)
    if found := spark_properties.clash({key: value if is_known(value) else None for key, value in values.items()}):
        key, rule = found
        raise fail(f"{argument}[{key!r}]", rule, values[key])


def _spark_property(argument: str, key: str, value: object) -> None:
    if key == "spark.master":
        raise fail(
            argument, "be left out, since it is the cluster's own; give a job for another one its --master", value
        )
    if not isinstance(value, str) or re.search(r"[\r\n]", value):
        raise _fail_form(argument, "be a string on one line", value, "Token.as_string")
    written(argument, value)
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
    form = spark_properties.form(key)
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
    first = mended.partition("\n")[0]
    if not is_known(first):
        return
    if len(first) > limits.INTERPRETER_LINE_BYTES:
        rule = f"have at most {limits.INTERPRETER_LINE_BYTES} bytes in its first line, of which Linux reads no more"
        raise fail(argument, rule, first)
    if _SEVERAL_ARGUMENTS.match(first):
        rule = (
            "give the interpreter in its first line one argument at most, since Linux hands over all of them as one: "
            "put `set -eu -o pipefail` on a line of its own, or begin with '#!/usr/bin/env -S'"
        )
        raise fail(argument, rule, first)


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
    rule = "be an address such as 'http://proxy.internal:3128'"
    given = _string(argument, rule, value)
    _hold(argument, rule, given, "https?://.+", r"A-Za-z0-9_.:/\[\]-", "http://", "https://", told=True)
    if is_known(given) and not is_url(given, "https?", "/?"):
        raise fail(argument, rule, given)


def is_url(value: str, scheme: str, path: str) -> bool:
    """Whether a text is an address on the web, with a scheme and a path of these forms, and a host that may be there.

    A user, a password, a query and a fragment it has only if the path may have them.
    """
    match = re.fullmatch(rf"{scheme}://([^/:@\[\]]+|\[[^/@\]]+\])(?::([0-9]{{1,5}}))?({path})", value)
    return match is not None and is_host(match[1]) and 1 <= int(match[2] or 1) <= limits.HIGHEST_PORT


def is_host(value: str) -> bool:
    """Whether a text is a host's name, an IPv4 address, or an IPv6 address in brackets."""
    if value.startswith("["):
        return ":" in value and is_address(value.removeprefix("[").removesuffix("]"))
    labels = value.split(".")
    # What ends in a number is an address, or none: https://url.spec.whatwg.org/#ends-in-a-number-checker
    if re.fullmatch("[0-9]+", labels[-1]):
        return ":" not in value and is_address(value)
    return len(value) <= limits.URL_HOST_CHARACTERS and all(map(_HOST_LABEL.fullmatch, labels))


def is_bucket(value: str) -> bool:
    """Whether a text may be the name of a bucket.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    return re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value) is not None and not (
        ".." in value
        or re.fullmatch(r"[0-9]+(\.[0-9]+){3}", value)
        or value.startswith(("xn--", *limits.RESERVED_BUCKET_BEGINNINGS))
        or value.endswith(limits.RESERVED_BUCKET_ENDS)
    )


def is_address(value: str) -> bool:
    """Whether a text is an IP address, or a range of them as in `10.0.0.0/8`."""
    if not re.fullmatch("[0-9A-Fa-f:.]+(/[0-9]+)?", value):
        return False
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return True


def no_proxy(argument: str, values: Sequence[str]) -> None:
    """Names and addresses that are reached without the proxy."""
    if _is_list_token(argument, "be a list of host names, domains or addresses", values):
        return
    for index, value in enumerate(values):
        given = line(f"{argument}[{index}]", value)
        rule = "be one name or address, such as 'host.internal', '.internal', '10.0.0.1' or '10.0.0.0/8'"
        _hold(f"{argument}[{index}]", rule, given, ".+", r"A-Za-z0-9_.:/\[\]-", told=True)
        reachable = is_address(given) or is_url(f"http://{given.removeprefix('.')}", "http", "")
        if "//" in given or (is_known(given) and not reachable):
            raise fail(f"{argument}[{index}]", rule, given)


def account_id(argument: str, value: object) -> None:
    """12 digits as text, a token, or `None` for the deployer's account."""
    if value is not None:
        rule = "be 12 digits in a string"
        _hold(argument, rule, _string(argument, rule, value), "[0-9]{12}", "0-9")


def checksum(argument: str, value: object) -> None:
    """64 or 128 hexadecimal digits, a token, or `None`: the node looks the checksum up."""
    if value is not None:
        rule = "be a SHA-256 or SHA-512 as 64 or 128 lower-case hexadecimal digits"
        _hold(argument, rule, _string(argument, rule, value), "[0-9a-f]{64}|[0-9a-f]{128}", "0-9a-f", told=True)


def key_name(argument: str, value: object) -> None:
    """The name of an EC2 key pair, a token, or `None`."""
    if value is None:
        return
    given, longest = text(argument, value), limits.KEY_PAIR_NAME_CHARACTERS
    rule = f"be 1 to {longest} characters of ASCII without a blank at either end"
    _hold(argument, rule, given, rf"(?! )[ -~]{{1,{longest}}}(?<! )", " -~")
    # It reaches Terraform as it is, and so does a dollar before a token.
    if re.search(r"[$%]\{(?!TfToken\[)|\$\$\{TfToken\[", _without_expressions(given)):
        raise fail(argument, "hold neither '${' nor '%{', which Terraform takes for a template", given)


def role_name(argument: str, value: object) -> None:
    """The name of an IAM role, or a token."""
    given, longest = text(argument, value), limits.ROLE_NAME_CHARACTERS
    if ":" in _literal(_without_expressions(given)):
        name = f" (the name is {given.rpartition('/')[2]!r})" if is_known(given) else ""
        raise fail(argument, f"be a role's name, not its ARN{name}", value)
    characters = r"A-Za-z0-9_+=,.@-"
    rule = f"be at most {longest} letters, digits and _+=,.@- (a name without its path)"
    _hold(argument, rule, given, rf"[{characters}]{{1,{longest}}}", characters)


def parameter_name(argument: str, value: object) -> None:
    """The full name of an SSM parameter, with its leading slash."""
    full = text(argument, value)
    rule = "be a parameter's name that begins with '/', such as '/team/fleet-key'"
    _hold(argument, rule, full, "(/[A-Za-z0-9_.-]+)+", "A-Za-z0-9_./-", "/", told=True)
    if re.match(r"/(aws|ssm)", full, re.IGNORECASE):
        raise fail(argument, "not begin with '/aws' or '/ssm', which Systems Manager keeps for AWS's own", value)
    full = _literal(full)
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
        written(f"{argument}[{index}]", value)


def instance(argument: str, value: object, kind: type, example: str) -> None:
    """An object of one class, which has looked at what is in it."""
    if not isinstance(value, kind):
        raise fail(argument, f"be an object such as {example}", value)


def provider(argument: str, value: object, *, scope: Construct) -> None:
    """One of AWS's providers in the stack of `scope`, whose resources name no other stack's, or `None`."""
    if value is None:
        return
    example = "AwsProvider(stack, 'aws', alias='ireland')"
    if not isinstance(value, TerraformProvider):
        raise fail(argument, f"be an object such as {example}", value)
    if value.terraform_resource_type != "aws":
        raise fail(argument, f"be one of AWS's, such as {example}", value.terraform_resource_type)
    own = TerraformStack.of(scope).node.path
    if TerraformStack.of(value).node.path != own:
        rule = f"be one of the stack of what it makes, {own!r}, since Terraform shares none between stacks"
        raise fail(argument, rule, value.node.path)


def answer(argument: str, value: object, methods: Iterable[str], example: str) -> None:
    """An object of one of the small classes that answer an open choice: known by its methods."""
    if isinstance(value, type) or not all(callable(getattr(value, method, None)) for method in methods):
        raise fail(argument, f"be an object such as {example}", value)
