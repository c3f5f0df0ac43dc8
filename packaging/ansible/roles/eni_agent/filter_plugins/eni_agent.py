"""What a configuration violates of its JSON Schema, in words."""
import json

from ansible.errors import AnsibleFilterError

try:
    from jsonschema import Draft7Validator
except ImportError:
    Draft7Validator = None


def problems(config, schema_file):
    """A list of texts such as `interfaces[0].mtu: 'big' is not of type 'integer'`; empty when there are none."""
    if Draft7Validator is None:
        raise AnsibleFilterError(
            "checking the configuration: the control node's Python has no jsonschema; "
            "dnf install python3-jsonschema, or pip install jsonschema where ansible is"
        )
    with open(schema_file, encoding="utf-8") as file:
        validator = Draft7Validator(json.load(file))
    # Through JSON: Ansible's own types of text are none for a validator.
    found = validator.iter_errors(json.loads(json.dumps(config)))
    return sorted("%s: %s" % (place(error.absolute_path), error.message) for error in found)


def place(path):
    text = "".join("[%d]" % part if isinstance(part, int) else ".%s" % part for part in path)
    return text.lstrip(".") or "the configuration"


class FilterModule:
    def filters(self):
        return {"eni_agent_problems": problems}
