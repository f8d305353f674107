"""No false alarm with --aws either: every healthy shape, with an AWS that says what fits it."""

import judged as judging
import pytest
from fleets import described
from msgspec.structs import replace
from shapes import SHAPES
from surveys import healthy

from preflight.diagnosis import diagnose


@pytest.mark.parametrize("name", SHAPES)
def test_healthy_shapes_are_quiet_with_aws_asked(name):
    survey = healthy()
    ids = {node.name: node.imds.instance_id for node in survey.nodes}
    survey = SHAPES[name](replace(survey, aws=described(survey, ids)))
    outcomes = judging.judged(survey)
    assert judging.not_passed(outcomes) == {}
    assert diagnose(survey, outcomes).causes == ()
