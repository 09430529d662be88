#!/usr/bin/env python3
"""Expand a SAM template into the CloudFormation that AWS would make of it.

The transform runs offline, with the code that the SAM CLI carries. Two things
differ from a deployment: code that was not uploaded is named by a made-up
bucket and key, and the parameters of an environment become the defaults, so
that a linter resolves references to what that environment deploys.

    expand_template.py template.yaml --config samconfig.toml --environment prod
"""

import argparse
import json
import logging
import os
import pathlib
import shlex
import sys
import tomllib

# The transform asks for a region and would look for credentials otherwise.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samcli.yamlhelper import yaml_parse
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform

UPLOADED = {
    "AWS::Serverless::Function": ("CodeUri", {"Bucket": "expanded-offline", "Key": "code.zip"}),
    "AWS::Serverless::LayerVersion": ("ContentUri", {"Bucket": "expanded-offline", "Key": "layer.zip"}),
}


class NoManagedPolicies:
    """The names of AWS's managed policies, none of which a template here uses."""

    def load(self):
        return {}


def overrides(config, environment):
    """Parameter values that a samconfig.toml gives to an environment."""
    with open(config, "rb") as file:
        sections = tomllib.load(file)
    if environment not in sections:
        raise SystemExit(f"{config}: no environment {environment!r}")
    values = sections[environment].get("global", {}).get("parameters", {}).get("parameter_overrides", [])
    pairs = shlex.split(values) if isinstance(values, str) else values
    return dict(pair.split("=", 1) for pair in pairs)


def expand(path, values):
    template = yaml_parse(pathlib.Path(path).read_text(encoding="utf-8"))
    parameters = template.get("Parameters", {})
    unknown = sorted(set(values) - set(parameters))
    if unknown:
        raise SystemExit(f"{path}: no such parameters: {', '.join(unknown)}")
    for name, value in values.items():
        parameters[name]["Default"] = int(value) if parameters[name]["Type"] == "Number" else value
    for resource in template["Resources"].values():
        if resource["Type"] in UPLOADED:
            name, place = UPLOADED[resource["Type"]]
            resource["Properties"][name] = place
    known = {name: parameter["Default"] for name, parameter in parameters.items() if "Default" in parameter}
    try:
        return transform(template, known, NoManagedPolicies(), passthrough_metadata=True)
    except InvalidDocumentException as error:
        faults = [cause.message for cause in error.causes] or [str(error)]
        raise SystemExit("\n".join(f"{path}: {fault}" for fault in faults)) from error


# Properties that end in "Name" and name nothing that an account has once alone,
# and a type whose names belong to another resource.
COMMON = {"DBName", "MetricName", "ServiceName", "StageName", "TargetGroupName", "DisplayName", "DeploymentConfigName"}
PART_OF_ANOTHER = {"AWS::Lambda::Alias"}


def fixed_names(template):
    """Resources whose name is the same in every environment of an account."""
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] in PART_OF_ANOTHER:
            continue
        for key, value in resource.get("Properties", {}).items():
            text = json.dumps(value)
            refers = isinstance(value, dict) and any(f'"{other}"' in text for other in template["Resources"])
            if key.endswith("Name") and key not in COMMON and "AWS::StackName" not in text and not refers:
                yield f"{logical_id}: {key} is {text} in every environment"


def main():
    logging.disable(logging.WARNING)  # it mentions its own feature toggles
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("template")
    parser.add_argument("--config", help="a samconfig.toml")
    parser.add_argument("--environment", help="one of its environments")
    arguments = parser.parse_args()
    values = overrides(arguments.config, arguments.environment) if arguments.config else {}
    expanded = expand(arguments.template, values)
    if faults := list(fixed_names(expanded)):
        raise SystemExit("\n".join(f"{arguments.template}: {fault}" for fault in faults))
    json.dump(expanded, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
